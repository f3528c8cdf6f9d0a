/*
 * test_ready.c -- who goes on in a turn, and in which order.
 */
#include "proxy/transport/ready.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct side {
    struct xf_conn conn;
    int peer;
    char name;
    struct side *closes; /* when this one goes on */
};

static char order[16];
static short last_what;

static void nothing_happens(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

static void go_on(void *owner, short what)
{
    struct side *side = owner;
    size_t length = strlen(order);
    order[length] = side->name;
    order[length + 1] = '\0';
    last_what = what;
    if (side->closes != NULL) {
        xf_conn_close(&side->closes->conn);
    }
}

static void open_side(struct event_base *loop, struct side *side, char name)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    *side = (struct side){.peer = ends[1], .name = name};
    xf_conn_prepare(&side->conn, loop, ends[0], nothing_happens, side);
    assert_int_equal(write(ends[1], "hello", 5), 5);
}

static void without_a_gather_everybody_goes_on_at_once(void **state)
{
    (void) state;
    struct event_base *loop = event_base_new();
    struct xf_ready ready = {.gather = NULL};
    struct side side;
    open_side(loop, &side, 'a');
    order[0] = '\0';
    xf_ready_add(&ready, &side.conn, EV_READ, true, go_on, &side);
    assert_string_equal(order, "a");
    assert_int_equal(last_what, EV_READ);
    xf_ready_run(&ready);
    assert_string_equal(order, "a");
    xf_conn_close(&side.conn);
    (void) close(side.peer);
    event_base_free(loop);
}

static void events_keep_their_order_and_the_closed_are_passed_over(void **state)
{
    (void) state;
    struct event_base *loop = event_base_new();
    struct xf_ready ready = {.gather = xf_gather_create()};
    if (ready.gather == NULL) { /* no io_uring here: the other test says what holds then */
        print_message("NO IO_URING HERE: the order of events is not tried\n");
        event_base_free(loop);
        return;
    }
    struct side sides[5];
    order[0] = '\0';
    for (unsigned i = 0; i < XF_COUNT(sides); i++) {
        open_side(loop, &sides[i], (char) ('a' + i));
        xf_ready_add(&ready, &sides[i].conn, EV_WRITE, i != 1, go_on, &sides[i]);
    }
    sides[0].closes = &sides[3];
    assert_string_equal(order, "");
    xf_ready_run(&ready);
    assert_string_equal(order, "abce");
    assert_int_equal(last_what, EV_WRITE);
    assert_non_null(sides[0].conn.gathered);
    assert_null(sides[1].conn.gathered); /* it did not want to read */
    xf_ready_run(&ready);
    assert_string_equal(order, "abce");
    for (unsigned i = 0; i < XF_COUNT(sides); i++) {
        xf_conn_close(&sides[i].conn);
        (void) close(sides[i].peer);
    }
    xf_gather_destroy(ready.gather);
    event_base_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_gather_everybody_goes_on_at_once),
        cmocka_unit_test(events_keep_their_order_and_the_closed_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
