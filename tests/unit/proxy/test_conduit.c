/*
 * test_conduit.c -- bytes from one socket to another, through a pipe that is empty in between.
 */
#include "proxy/worker/conduit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY_BYTES (1u << 20)

struct stand {
    struct event_base *loop;
    struct xf_conduit conduit;
    struct xf_conn from, to;
    int server, client; /* the far ends */
    char body[BODY_BYTES], got[BODY_BYTES];
};

static void nothing_happens(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

static int open_conn(struct stand *stand, struct xf_conn *conn)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    xf_conn_prepare(conn, stand->loop, ends[0], nothing_happens, conn);
    return ends[1];
}

static int set_up(void **state)
{
    struct stand *stand = calloc(1, sizeof(*stand));
    assert_non_null(stand);
    (void) signal(SIGPIPE, SIG_IGN); /* as in a worker: splice() has no MSG_NOSIGNAL */
    stand->loop = event_base_new();
    xf_conduit_open(&stand->conduit);
    assert_true(xf_conduit_is_open(&stand->conduit));
    stand->server = open_conn(stand, &stand->from);
    stand->client = open_conn(stand, &stand->to);
    for (unsigned i = 0; i < BODY_BYTES; i++) {
        stand->body[i] = (char) (i * 31 + (i >> 8) * 7);
    }
    *state = stand;
    return 0;
}

static int tear_down(void **state)
{
    struct stand *stand = *state;
    xf_conn_close(&stand->from);
    xf_conn_close(&stand->to);
    (void) close(stand->server);
    (void) close(stand->client);
    xf_conduit_close(&stand->conduit);
    assert_false(xf_conduit_is_open(&stand->conduit));
    event_base_free(stand->loop);
    free(stand);
    return 0;
}

static void bytes_pass_in_order_whatever_the_taker_takes(void **state)
{
    struct stand *stand = *state;
    size_t given = 0, taken = 0;
    while (taken < BODY_BYTES) {
        ssize_t n = send(stand->server, stand->body + given, BODY_BYTES - given, 0);
        given += n > 0 ? (size_t) n : 0;
        stand->from.readable = true;
        stand->to.writable = true;
        ssize_t sent;
        ssize_t moved = xf_conduit_move(&stand->conduit, &stand->from, &stand->to, 100000, &sent);
        if (moved > 0) {
            assert_in_range(sent, 0, moved);
            assert_int_equal(stand->to.writable, sent == moved);
            size_t rest = (size_t) (moved - sent);
            char kept[100000];
            assert_true(xf_conduit_fetch(&stand->conduit, kept, rest));
            /* What the client had not taken comes after what was sent. */
            for (ssize_t r;
                 (r = recv(stand->client, stand->got + taken, BODY_BYTES - taken, 0)) > 0;) {
                taken += (size_t) r;
            }
            memcpy(stand->got + taken, kept, rest);
            taken += rest;
        }
        assert_int_not_equal(moved, XF_CONN_ERROR);
    }
    assert_memory_equal(stand->got, stand->body, BODY_BYTES);
}

static void what_a_full_taker_leaves_is_fetched(void **state)
{
    struct stand *stand = *state;
    while (send(xf_conn_fd(&stand->to), stand->body, 4096, 0) > 0) { /* nobody reads */
    }
    assert_int_equal(send(stand->server, "hello", 5, 0), 5);
    ssize_t sent;
    assert_int_equal(xf_conduit_move(&stand->conduit, &stand->from, &stand->to, 100, &sent), 5);
    assert_int_equal(sent, 0);
    assert_false(stand->to.writable);
    assert_false(xf_conduit_joins(&stand->conduit, &stand->from, &stand->to));
    char kept[5];
    assert_true(xf_conduit_fetch(&stand->conduit, kept, 5));
    assert_memory_equal(kept, "hello", 5);
    assert_false(xf_conduit_fetch(&stand->conduit, kept, 1)); /* it is empty again */
}

static void nothing_and_the_end_are_told(void **state)
{
    struct stand *stand = *state;
    ssize_t sent;
    stand->from.readable = true;
    assert_int_equal(xf_conduit_move(&stand->conduit, &stand->from, &stand->to, 100, &sent),
                     XF_CONN_AGAIN);
    assert_false(stand->from.readable);
    assert_int_equal(shutdown(stand->server, SHUT_WR), 0);
    assert_int_equal(xf_conduit_move(&stand->conduit, &stand->from, &stand->to, 100, &sent), 0);
}

static void a_lost_taker_is_told_and_leaves_nothing(void **state)
{
    struct stand *stand = *state;
    ssize_t sent;
    assert_int_equal(send(stand->server, "hello", 5, 0), 5);
    assert_int_equal(shutdown(stand->client, SHUT_RD), 0);
    assert_int_equal(xf_conduit_move(&stand->conduit, &stand->from, &stand->to, 100, &sent), 5);
    assert_int_equal(sent, XF_CONN_ERROR);
    xf_conduit_empty(&stand->conduit);
    char kept[1];
    assert_false(xf_conduit_fetch(&stand->conduit, kept, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_pass_in_order_whatever_the_taker_takes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_full_taker_leaves_is_fetched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_and_the_end_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_taker_is_told_and_leaves_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
