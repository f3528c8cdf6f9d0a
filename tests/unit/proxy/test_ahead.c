/*
 * test_ahead.c -- the kernel's buffers of one connection, limited and free again.
 */
#include "proxy/transport/ahead.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GROWN_BYTES                                                                                \
    (2 * 1024 * 1024) /* a window that autotuning gave; SO_RCVLOWAT gives it too                   \
                       */

struct stand {
    struct event_base *loop;
    struct xf_conn conn;
    int peer;
};

static void nothing_happens(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

static int set_up(void **state)
{
    static struct stand stand;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *) &address, length), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *) &address, &length), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, length), 0);
    stand.peer = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    assert_true(stand.peer >= 0);
    (void) close(listening);
    stand.loop = event_base_new();
    xf_conn_prepare(&stand.conn, stand.loop, fd, nothing_happens, &stand);
    *state = &stand;
    return 0;
}

static int tear_down(void **state)
{
    struct stand *stand = *state;
    xf_conn_close(&stand->conn);
    (void) close(stand->peer);
    event_base_free(stand->loop);
    return 0;
}

static int option(const struct stand *stand, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof(value);
    assert_int_equal(getsockopt(xf_conn_fd(&stand->conn), level, name, &value, &length), 0);
    return value;
}

static void what_lies_unsent_is_limited_until_it_is_freed(void **state)
{
    struct stand *stand = *state;
    int before = option(stand, IPPROTO_TCP, TCP_NOTSENT_LOWAT);
    xf_ahead_limit_unsent(&stand->conn);
    assert_int_equal(option(stand, IPPROTO_TCP, TCP_NOTSENT_LOWAT), XF_AHEAD_UNSENT_BYTES);
    xf_ahead_free_unsent(&stand->conn);
    assert_int_equal(option(stand, IPPROTO_TCP, TCP_NOTSENT_LOWAT), before);
}

static void a_grown_buffer_is_limited_until_it_is_freed(void **state)
{
    struct stand *stand = *state;
    int grown = GROWN_BYTES, one = 1;
    int fd = xf_conn_fd(&stand->conn);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &grown, sizeof(grown)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)), 0);
    int before = option(stand, SOL_SOCKET, SO_RCVBUF);
    assert_true(before > 2 * XF_AHEAD_RECEIVED_BYTES);
    assert_true(xf_ahead_limit_received(&stand->conn));
    int limited = option(stand, SOL_SOCKET, SO_RCVBUF);
    assert_true(limited >= XF_AHEAD_RECEIVED_BYTES && limited < before);
    assert_int_equal(option(stand, SOL_SOCKET, SO_RCVLOWAT), 1);
    assert_int_not_equal(option(stand, SOL_SOCKET, SO_BUF_LOCK), 0);
    xf_ahead_free_received(&stand->conn);
    assert_int_equal(option(stand, SOL_SOCKET, SO_BUF_LOCK), 0);
}

static void a_small_buffer_is_enlarged_to_the_limit(void **state)
{
    struct stand *stand = *state;
    int before = option(stand, SOL_SOCKET, SO_RCVBUF);
    assert_true(xf_ahead_limit_received(&stand->conn));
    int limited = option(stand, SOL_SOCKET, SO_RCVBUF);
    assert_true(limited > before && limited >= XF_AHEAD_RECEIVED_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_lies_unsent_is_limited_until_it_is_freed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_grown_buffer_is_limited_until_it_is_freed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_small_buffer_is_enlarged_to_the_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
