/*
 * test_parting.c -- last bytes and the ends of their connections, together.
 *
 * Where the kernel has no io_uring for us, what needs one cannot be tried, and the output says so.
 */
#include "proxy/transport/parting.h"

#include "proxy/transport/transport.h"
#include "ring_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NOT_TOLD (-100)

struct side {
    struct xf_conn conn;
    int fd, peer;
    ssize_t told;
};

struct stand {
    struct event_base *loop;
    struct xf_parting *parting;
    char bytes[XF_PARTING_BYTES + 1];
};

static void nothing_happens(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

static int set_up(void **state)
{
    (void) signal(SIGPIPE, SIG_DFL); /* nobody may be killed by it */
    struct stand *stand = calloc(1, sizeof(*stand));
    assert_non_null(stand);
    stand->loop = event_base_new();
    stand->parting = xf_parting_create();
    assert_non_null(stand->parting);
    memset(stand->bytes, 'p', sizeof(stand->bytes));
    *state = stand;
    return 0;
}

static int tear_down(void **state)
{
    struct stand *stand = *state;
    ring_kernel = KERNEL_WORKS;
    xf_parting_destroy(stand->parting);
    event_base_free(stand->loop);
    free(stand);
    return 0;
}

static void open_side(struct stand *stand, struct side *side)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    xf_conn_prepare(&side->conn, stand->loop, ends[0], nothing_happens, side);
    side->fd = ends[0];
    side->peer = ends[1];
    side->told = NOT_TOLD;
}

static void close_side(struct side *side)
{
    xf_conn_close(&side->conn);
    if (side->peer >= 0) {
        (void) close(side->peer);
    }
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void told(void *owner, ssize_t sent, const char *bytes, size_t length)
{
    struct side *side = owner;
    assert_int_equal(side->told, NOT_TOLD);
    assert_int_equal(bytes[0], 'p');
    assert_true(sent <= (ssize_t) length);
    side->told = sent;
}

/* What the peer has got; *ret_end: and then the end. */
static size_t arrived(struct side *side, bool *ret_end)
{
    char bytes[2 * XF_PARTING_BYTES];
    size_t got = 0;
    ssize_t n;
    while ((n = read(side->peer, bytes + got, sizeof(bytes) - got)) > 0) {
        got += (size_t) n;
    }
    *ret_end = n == 0;
    return got;
}

static void everybody_gets_his_bytes_and_the_end(void **state)
{
    struct stand *stand = *state;
    for (unsigned round = 0; round < 3; round++) {
        struct side sides[XF_PARTING_PLACES];
        bool end;
        for (unsigned i = 0; i < XF_PARTING_PLACES; i++) {
            open_side(stand, &sides[i]);
            assert_false(xf_parting_full(stand->parting));
            assert_true(
                xf_parting_add(stand->parting, &sides[i].conn, stand->bytes, 100 + i, &sides[i]));
            assert_int_equal(arrived(&sides[i], &end), 0); /* not yet */
        }
        assert_true(xf_parting_full(stand->parting));
        xf_parting_run(stand->parting, told);
        for (unsigned i = 0; i < XF_PARTING_PLACES; i++) {
            assert_int_equal(sides[i].told, 100 + i);
            assert_int_equal(arrived(&sides[i], &end), 100 + i);
            assert_true(end);
            assert_false(is_open(sides[i].fd));
        }
        /* The numbers are free for others, who may not be harmed by the tidying up. */
        int other = dup(STDIN_FILENO);
        for (unsigned i = 0; i < XF_PARTING_PLACES; i++) {
            close_side(&sides[i]);
        }
        assert_true(is_open(other));
        (void) close(other);
        xf_parting_run(stand->parting, told); /* nothing is left */
    }
}

static void what_does_not_fit_is_not_taken(void **state)
{
    struct stand *stand = *state;
    struct side sides[XF_PARTING_PLACES + 1];
    for (unsigned i = 0; i < XF_COUNT(sides); i++) {
        open_side(stand, &sides[i]);
    }
    struct xf_parting *parting = stand->parting;
    assert_false(
        xf_parting_add(parting, &sides[0].conn, stand->bytes, XF_PARTING_BYTES + 1, &sides[0]));
    for (unsigned i = 0; i < XF_COUNT(sides); i++) {
        assert_int_equal(
            xf_parting_add(parting, &sides[i].conn, stand->bytes, XF_PARTING_BYTES, &sides[i]),
            i < XF_PARTING_PLACES);
    }
    xf_parting_run(parting, told);
    for (unsigned i = 0; i < XF_COUNT(sides); i++) {
        assert_int_equal(sides[i].told, i < XF_PARTING_PLACES ? (int) XF_PARTING_BYTES : NOT_TOLD);
        close_side(&sides[i]);
    }
}

static void who_is_forgotten_is_left_alone(void **state)
{
    struct stand *stand = *state;
    struct side sides[3];
    bool end;
    for (unsigned i = 0; i < XF_COUNT(sides); i++) {
        open_side(stand, &sides[i]);
        assert_true(xf_parting_add(stand->parting, &sides[i].conn, stand->bytes, 10, &sides[i]));
    }
    xf_parting_forget(stand->parting, &sides[1]);
    xf_parting_run(stand->parting, told);
    assert_int_equal(sides[0].told, 10);
    assert_int_equal(sides[1].told, NOT_TOLD);
    assert_int_equal(sides[2].told, 10);
    assert_int_equal(arrived(&sides[1], &end), 0);
    assert_false(end);
    for (unsigned i = 0; i < XF_COUNT(sides); i++) {
        close_side(&sides[i]);
    }
}

/* A close behind a part of an answer would pass for the end of the whole. */
static void a_short_send_leaves_the_connection_open(void **state)
{
    struct stand *stand = *state;
    struct side side;
    bool end;
    int least = 1;
    open_side(stand, &side);
    assert_int_equal(setsockopt(side.fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
    assert_int_equal(write(side.fd, "before", 6), 6);
    assert_true(xf_parting_add(stand->parting, &side.conn, stand->bytes, XF_PARTING_BYTES, &side));
    xf_parting_run(stand->parting, told);
    assert_in_range(side.told, 1, XF_PARTING_BYTES - 1);
    assert_int_equal(arrived(&side, &end), 6 + (size_t) side.told);
    assert_false(end);
    assert_int_equal(xf_conn_fd(&side.conn), side.fd);
    close_side(&side);
    assert_false(is_open(side.fd));
}

static void a_full_socket_takes_nothing_and_stays_open(void **state)
{
    struct stand *stand = *state;
    struct side side;
    bool end;
    open_side(stand, &side);
    size_t before = 0;
    ssize_t n;
    int least = 1;
    assert_int_equal(setsockopt(side.fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
    while ((n = write(side.fd, stand->bytes, 100)) > 0) {
        before += (size_t) n;
    }
    assert_true(xf_parting_add(stand->parting, &side.conn, stand->bytes, 10, &side));
    xf_parting_run(stand->parting, told);
    assert_int_equal(side.told, 0);
    assert_int_equal(arrived(&side, &end), before);
    assert_false(end);
    close_side(&side);
    assert_false(is_open(side.fd));
}

static void a_peer_that_is_gone_is_told_as_lost(void **state)
{
    struct stand *stand = *state;
    struct side gone, other;
    open_side(stand, &gone);
    open_side(stand, &other);
    (void) close(gone.peer);
    gone.peer = -1;
    assert_true(xf_parting_add(stand->parting, &gone.conn, stand->bytes, 10, &gone));
    assert_true(xf_parting_add(stand->parting, &other.conn, stand->bytes, 10, &other));
    xf_parting_run(stand->parting, told);
    assert_int_equal(gone.told, XF_CONN_ERROR);
    assert_int_equal(other.told, 10);
    assert_true(is_open(gone.fd));
    close_side(&gone);
    assert_false(is_open(gone.fd));
    close_side(&other);
}

static void what_was_not_begun_is_told(void **state)
{
    struct stand *stand = *state;
    struct side sides[2];
    bool end;
    static const struct {
        enum ring_kernel kernel;
        ssize_t told[2];
    } rows[] = {{KERNEL_BEGINS_NOTHING, {0, 0}}, {KERNEL_BEGINS_ONE, {10, 0}}};
    for (unsigned row = 0; row < XF_COUNT(rows); row++) {
        ring_kernel = rows[row].kernel;
        for (unsigned i = 0; i < 2; i++) {
            open_side(stand, &sides[i]);
            assert_true(
                xf_parting_add(stand->parting, &sides[i].conn, stand->bytes, 10, &sides[i]));
        }
        xf_parting_run(stand->parting, told);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(sides[i].told, rows[row].told[i]);
            assert_int_equal(arrived(&sides[i], &end), (size_t) rows[row].told[i]);
            assert_true(is_open(sides[i].fd));
            close_side(&sides[i]);
            assert_false(is_open(sides[i].fd));
        }
        ring_kernel = KERNEL_WORKS;
        open_side(stand, &sides[0]); /* and the next one is served again */
        assert_true(xf_parting_add(stand->parting, &sides[0].conn, stand->bytes, 10, &sides[0]));
        xf_parting_run(stand->parting, told);
        assert_int_equal(sides[0].told, 10);
        close_side(&sides[0]);
    }
}

/* The kernel may yet close the descriptor, whose number may be somebody else's by then. */
static void a_missing_answer_loses_the_connection_and_ends_the_parting(void **state)
{
    struct stand *stand = *state;
    struct side side;
    open_side(stand, &side);
    ring_kernel = KERNEL_ANSWERS_NOTHING;
    assert_true(xf_parting_add(stand->parting, &side.conn, stand->bytes, 10, &side));
    xf_parting_run(stand->parting, told);
    ring_kernel = KERNEL_WORKS;
    assert_int_equal(side.told, XF_CONN_ERROR);
    xf_conn_close(&side.conn);
    assert_true(is_open(side.fd));
    assert_false(xf_parting_add(stand->parting, &side.conn, stand->bytes, 10, &side));
    (void) close(side.fd);
    (void) close(side.peer);
}

static void nothing_is_left_of_a_refused_attempt(void **state)
{
    (void) state;
    int before = dup(STDIN_FILENO);
    ring_kernel = KERNEL_REFUSES;
    assert_null(xf_parting_create());
    ring_kernel = KERNEL_WORKS;
    int after = dup(STDIN_FILENO);
    assert_int_equal(after, before + 1);
    (void) close(before);
    (void) close(after);
    xf_parting_run(NULL, told);
    xf_parting_destroy(NULL);
}

#define WITH_STAND(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest without[] = {cmocka_unit_test(nothing_is_left_of_a_refused_attempt)};
    const struct CMUnitTest tests[] = {
        WITH_STAND(everybody_gets_his_bytes_and_the_end),
        WITH_STAND(what_does_not_fit_is_not_taken),
        WITH_STAND(who_is_forgotten_is_left_alone),
        WITH_STAND(a_short_send_leaves_the_connection_open),
        WITH_STAND(a_full_socket_takes_nothing_and_stays_open),
        WITH_STAND(a_peer_that_is_gone_is_told_as_lost),
        WITH_STAND(what_was_not_begun_is_told),
        WITH_STAND(a_missing_answer_loses_the_connection_and_ends_the_parting),
        cmocka_unit_test(nothing_is_left_of_a_refused_attempt),
    };
    struct xf_parting *parting = xf_parting_create();
    if (parting == NULL) {
        print_message("NO IO_URING HERE: only its absence is tried\n");
        return cmocka_run_group_tests(without, NULL, NULL);
    }
    xf_parting_destroy(parting);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
