/*
 * test_gather.c -- reading ahead for many connections at once.
 *
 * Where the kernel has no io_uring for us, what needs one cannot be tried, and the output says so.
 */
#include "proxy/transport/gather.h"

#include "proxy/transport/transport.h"
#include "ring_kernel.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOM 20000u

struct side {
    struct xf_conn conn;
    int peer;
};

struct stand {
    struct event_base *loop;
    struct xf_gather *gather;
    char bytes[ROOM];
};

static void nothing_happens(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

static int set_up(void **state)
{
    struct stand *stand = calloc(1, sizeof(*stand));
    assert_non_null(stand);
    stand->loop = event_base_new();
    stand->gather = xf_gather_create();
    assert_non_null(stand->gather);
    *state = stand;
    return 0;
}

static int tear_down(void **state)
{
    struct stand *stand = *state;
    ring_kernel = KERNEL_WORKS;
    xf_gather_destroy(stand->gather);
    event_base_free(stand->loop);
    free(stand);
    return 0;
}

static void open_side(struct stand *stand, struct side *side)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    xf_conn_prepare(&side->conn, stand->loop, ends[0], nothing_happens, side);
    side->peer = ends[1];
}

static void close_side(struct side *side)
{
    xf_conn_close(&side->conn);
    if (side->peer >= 0) {
        (void) close(side->peer);
    }
}

static void say(struct side *side, size_t length, char byte)
{
    char bytes[ROOM];
    memset(bytes, byte, sizeof(bytes));
    assert_int_equal(write(side->peer, bytes, length), (ssize_t) length);
}

static void hang_up(struct side *side)
{
    (void) close(side->peer);
    side->peer = -1;
}

static void everybody_gets_his_own_bytes(void **state)
{
    struct stand *stand = *state;
    struct side sides[XF_GATHER_PLACES];
    for (unsigned i = 0; i < XF_GATHER_PLACES; i++) {
        open_side(stand, &sides[i]);
        say(&sides[i], 100 + i, (char) i);
        xf_gather_ask(stand->gather, &sides[i].conn);
    }
    xf_gather_read(stand->gather);
    for (unsigned i = 0; i < XF_GATHER_PLACES; i++) {
        assert_non_null(sides[i].conn.gathered);
        assert_int_equal(xf_conn_receive(&sides[i].conn, stand->bytes, ROOM), 100 + i);
        assert_int_equal(stand->bytes[99 + i], (char) i);
        assert_null(sides[i].conn.gathered);
        assert_int_equal(xf_conn_receive(&sides[i].conn, stand->bytes, ROOM), XF_CONN_AGAIN);
        close_side(&sides[i]);
    }
}

static void who_has_nothing_is_not_readable(void **state)
{
    struct stand *stand = *state;
    struct side side;
    open_side(stand, &side);
    xf_gather_ask(stand->gather, &side.conn);
    xf_gather_read(stand->gather);
    assert_false(side.conn.readable);
    assert_null(side.conn.gathered);
    close_side(&side);
}

static void an_end_and_a_reset_are_told(void **state)
{
    struct stand *stand = *state;
    struct side ended, reset;
    open_side(stand, &ended);
    open_side(stand, &reset);
    hang_up(&ended);
    assert_int_equal(write(xf_conn_fd(&reset.conn), "unread", 6), 6);
    hang_up(&reset); /* with bytes that it did not read */
    xf_gather_ask(stand->gather, &ended.conn);
    xf_gather_ask(stand->gather, &reset.conn);
    xf_gather_read(stand->gather);
    assert_int_equal(xf_conn_receive(&ended.conn, stand->bytes, ROOM), 0);
    assert_int_equal(xf_conn_receive(&reset.conn, stand->bytes, ROOM), XF_CONN_ERROR);
    close_side(&ended);
    close_side(&reset);
}

static void more_than_a_place_holds_comes_in_one_receive(void **state)
{
    struct stand *stand = *state;
    static const size_t lengths[] = {XF_GATHER_BYTES - 1, XF_GATHER_BYTES, XF_GATHER_BYTES + 1,
                                     3 * XF_GATHER_BYTES};
    for (unsigned i = 0; i < XF_COUNT(lengths); i++) {
        struct side side;
        open_side(stand, &side);
        say(&side, lengths[i], 'm');
        xf_gather_ask(stand->gather, &side.conn);
        xf_gather_read(stand->gather);
        assert_int_equal(xf_conn_receive(&side.conn, stand->bytes, ROOM), lengths[i]);
        assert_false(side.conn.hung_up);
        close_side(&side);
    }
}

static void a_loss_behind_a_full_place_is_not_missed(void **state)
{
    struct stand *stand = *state;
    for (unsigned reset = 0; reset < 2; reset++) {
        struct side side;
        open_side(stand, &side);
        say(&side, XF_GATHER_BYTES, 'x');
        if (reset) {
            assert_int_equal(write(xf_conn_fd(&side.conn), "unread", 6), 6);
        }
        xf_gather_ask(stand->gather, &side.conn);
        xf_gather_read(stand->gather);
        hang_up(&side);
        assert_int_equal(xf_conn_receive(&side.conn, stand->bytes, ROOM), XF_GATHER_BYTES);
        xf_conn_drained(&side.conn);
        assert_true(side.conn.readable); /* although no further edge may come */
        assert_int_equal(xf_conn_receive(&side.conn, stand->bytes, ROOM),
                         reset ? XF_CONN_ERROR : 0);
        close_side(&side);
    }
}

static void a_small_reader_gets_it_in_parts(void **state)
{
    struct stand *stand = *state;
    struct side side;
    open_side(stand, &side);
    say(&side, 10, 'p');
    xf_gather_ask(stand->gather, &side.conn);
    xf_gather_ask(stand->gather, &side.conn); /* it has its place already */
    xf_gather_read(stand->gather);
    assert_int_equal(xf_conn_receive(&side.conn, stand->bytes, 4), 4);
    assert_int_equal(xf_conn_receive(&side.conn, stand->bytes, 4), 4);
    say(&side, 5, 'q');
    assert_int_equal(xf_conn_receive(&side.conn, stand->bytes, 4), 2);
    assert_int_equal(xf_conn_receive(&side.conn, stand->bytes, ROOM), 5);
    close_side(&side);
}

static void whoever_closes_gives_his_place_back(void **state)
{
    struct stand *stand = *state;
    for (unsigned round = 0; round < 3; round++) {
        struct side sides[XF_GATHER_PLACES + 1];
        for (unsigned i = 0; i < XF_COUNT(sides); i++) {
            open_side(stand, &sides[i]);
            say(&sides[i], 1, 'c');
            xf_gather_ask(stand->gather, &sides[i].conn);
        }
        xf_gather_read(stand->gather);
        assert_non_null(sides[XF_GATHER_PLACES - 1].conn.gathered);
        assert_null(sides[XF_GATHER_PLACES].conn.gathered); /* it reads for itself */
        assert_int_equal(xf_conn_receive(&sides[XF_GATHER_PLACES].conn, stand->bytes, ROOM), 1);
        for (unsigned i = 0; i < XF_COUNT(sides); i++) {
            close_side(&sides[i]);
        }
    }
}

static void who_was_not_begun_with_reads_for_himself(void **state)
{
    struct stand *stand = *state;
    struct side sides[3];
    for (unsigned round = 0; round < 2 * XF_GATHER_PLACES; round++) { /* no place is used up */
        ring_kernel = KERNEL_BEGINS_NOTHING;
        for (unsigned i = 0; i < XF_COUNT(sides); i++) {
            open_side(stand, &sides[i]);
            say(&sides[i], 10 + i, 'b');
            xf_gather_ask(stand->gather, &sides[i].conn);
            assert_non_null(sides[i].conn.gathered);
        }
        xf_gather_read(stand->gather);
        for (unsigned i = 0; i < XF_COUNT(sides); i++) {
            assert_null(sides[i].conn.gathered);
            assert_true(sides[i].conn.readable);
            assert_int_equal(xf_conn_receive(&sides[i].conn, stand->bytes, ROOM), 10 + i);
            close_side(&sides[i]);
        }
    }
}

/* The bytes may be read into the place later: whoever read on would miss them in the middle. */
static void a_connection_whose_answer_is_missing_is_lost(void **state)
{
    struct stand *stand = *state;
    struct side asked[2], other;
    ring_kernel = KERNEL_ANSWERS_NOTHING;
    for (unsigned i = 0; i < XF_COUNT(asked); i++) {
        open_side(stand, &asked[i]);
        say(&asked[i], 10, 'l');
        xf_gather_ask(stand->gather, &asked[i].conn);
    }
    xf_gather_read(stand->gather);
    ring_kernel = KERNEL_WORKS;
    for (unsigned i = 0; i < XF_COUNT(asked); i++) {
        assert_null(asked[i].conn.gathered);
        assert_true(asked[i].conn.readable); /* so that it is soon met */
        assert_int_equal(xf_conn_receive(&asked[i].conn, stand->bytes, ROOM), XF_CONN_ERROR);
        close_side(&asked[i]);
    }
    open_side(stand, &other);
    say(&other, 10, 'o');
    xf_gather_ask(stand->gather, &other.conn);
    assert_null(other.conn.gathered); /* nothing is gathered any more */
    xf_gather_read(stand->gather);
    assert_int_equal(xf_conn_receive(&other.conn, stand->bytes, ROOM), 10);
    close_side(&other);
}

static void nothing_is_left_of_a_refused_attempt(void **state)
{
    (void) state;
    int before = dup(STDIN_FILENO);
    ring_kernel = KERNEL_REFUSES;
    assert_null(xf_gather_create());
    ring_kernel = KERNEL_WORKS;
    int after = dup(STDIN_FILENO);
    assert_int_equal(after, before + 1);
    (void) close(before);
    (void) close(after);
}

int main(void)
{
    const struct CMUnitTest without[] = {cmocka_unit_test(nothing_is_left_of_a_refused_attempt)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everybody_gets_his_own_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_nothing_is_not_readable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_and_a_reset_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_a_place_holds_comes_in_one_receive, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_loss_behind_a_full_place_is_not_missed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_small_reader_gets_it_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_closes_gives_his_place_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_not_begun_with_reads_for_himself, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_connection_whose_answer_is_missing_is_lost, set_up,
                                        tear_down),
        cmocka_unit_test(nothing_is_left_of_a_refused_attempt),
    };
    struct xf_gather *gather = xf_gather_create();
    if (gather == NULL) {
        print_message("NO IO_URING HERE: only its absence is tried\n");
        return cmocka_run_group_tests(without, NULL, NULL);
    }
    xf_gather_destroy(gather);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
