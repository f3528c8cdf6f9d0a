/*
 * test_listener.c -- sockets that outlive editions.
 */
#include "listener_config.h"
#include "proxy/supervisor/listener.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void open_all(struct xf_listeners *listeners, const struct addresses *addresses,
                     unsigned workers)
{
    assert_int_equal(xf_listeners_open(listeners, &addresses->config, workers, NULL), 0);
}

static void sockets_are_bound_at_once_and_listen_only_when_told(void **state)
{
    (void) state;
    struct xf_listeners listeners;
    struct addresses addresses = {.config.listeners_count = 0};
    uint16_t port = free_port();
    addresses_add(&addresses, port);
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    open_all(&listeners, &addresses, 2);
    assert_false(port_answers(port));
    assert_int_equal(xf_listeners_listen(&listeners, NULL), 0);
    assert_true(port_answers(port));
    xf_listeners_release(&listeners);
    assert_false(port_answers(port));
}

static void
an_address_keeps_its_sockets_through_reloads_and_gets_more_for_more_workers(void **state)
{
    (void) state;
    struct xf_listeners listeners;
    struct addresses one = {.config.listeners_count = 0}, two = {.config.listeners_count = 0};
    uint16_t first = free_port(), second;
    int before[2], after[3 * 2];
    addresses_add(&one, first);
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    open_all(&listeners, &one, 2);
    assert_int_equal(xf_listeners_listen(&listeners, NULL), 0);
    xf_listeners_fill(&listeners, &one.config, before);

    second = free_port();
    addresses_add(&two, second); /* in another order */
    addresses_add(&two, first);
    open_all(&listeners, &two, 3);
    assert_int_equal(listeners.slots, 3);
    xf_listeners_fill(&listeners, &two.config, after);
    assert_int_equal(after[0 * 2 + 1], before[0]);
    assert_int_equal(after[1 * 2 + 1], before[1]);
    for (unsigned i = 0; i < 6; i++) {
        assert_true(after[i] >= 0);
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(after[i], after[k]);
        }
    }

    open_all(&listeners, &one, 1); /* fewer workers: a group never becomes smaller */
    assert_int_equal(listeners.slots, 3);
    xf_listeners_release(&listeners);
}

static void a_dropped_address_ends_even_where_a_copy_is_left(void **state)
{
    (void) state;
    struct xf_listeners listeners;
    struct addresses both = {.config.listeners_count = 0}, one = {.config.listeners_count = 0};
    int fds[2];
    uint16_t kept = free_port(), dropped;
    addresses_add(&both, kept);
    addresses_add(&one, kept);
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    open_all(&listeners, &one, 1);
    dropped = free_port();
    addresses_add(&both, dropped);
    open_all(&listeners, &both, 1);
    assert_int_equal(xf_listeners_listen(&listeners, NULL), 0);
    xf_listeners_fill(&listeners, &both.config, fds);
    int copy = dup(fds[1]); /* as an old worker has one */
    xf_listeners_drop(&listeners, &one.config);
    assert_false(port_answers(dropped));
    assert_true(port_answers(kept));
    close(copy);
    xf_listeners_release(&listeners);
}

static void who_connected_before_the_door_was_shut_is_let_in_and_nobody_after(void **state)
{
    (void) state;
    struct xf_listeners listeners;
    struct addresses addresses = {.config.listeners_count = 0};
    int fds[2], on = 1;
    addresses_add(&addresses, free_port());
    const struct xf_endpoint *endpoint = &addresses.listeners[0].bind;
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    open_all(&listeners, &addresses, 2);
    xf_listeners_fill(&listeners, &addresses.config, fds);
    for (unsigned i = 0; i < 2; i++) { /* as workers set it */
        assert_int_equal(setsockopt(fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof(on)), 0);
    }
    assert_int_equal(xf_listeners_listen(&listeners, NULL), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(
        connect(client, (const struct sockaddr *) &endpoint->address, endpoint->address_bytes), 0);

    xf_listeners_shut(&listeners);
    assert_false(port_answers(endpoint->port));
    assert_int_equal(write(client, "x", 1), 1);
    struct pollfd polled[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
    assert_int_equal(poll(polled, 2, 10000), 1);
    int accepted = accept(fds[polled[0].revents != 0 ? 0 : 1], NULL, NULL);
    assert_true(accepted >= 0);
    close(accepted);
    close(client);
    xf_listeners_release(&listeners);
}

static void a_failed_open_leaves_what_was_there_as_it_was(void **state)
{
    (void) state;
    struct xf_listeners listeners;
    struct addresses good = {.config.listeners_count = 0}, bad = {.config.listeners_count = 0};
    struct sockaddr_in address;
    struct xf_error err;
    int fds[1], again[1];
    uint16_t port = free_port(), taken;
    addresses_add(&good, port);
    addresses_add(&bad, port);
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    open_all(&listeners, &good, 1);
    xf_listeners_fill(&listeners, &good.config, fds);

    taken = free_port();
    addresses_add(&bad, taken);
    memcpy(&address, &bad.listeners[1].bind.address, sizeof(address));
    int holder = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(holder, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(holder, 1), 0);
    assert_int_equal(xf_listeners_open(&listeners, &bad.config, 3, &err), -1);
    assert_non_null(strstr(err.message, bad.texts[1]));
    assert_int_equal(listeners.slots, 1);
    assert_int_equal(listeners.count, 1);
    assert_int_equal(listeners.binds[0].slots, 1);
    xf_listeners_fill(&listeners, &good.config, again);
    assert_int_equal(again[0], fds[0]);
    close(holder);
    xf_listeners_release(&listeners);
}

static void sockets_from_systemd_stand_in_every_slot(void **state)
{
    (void) state;
    struct xf_listeners listeners;
    struct addresses addresses = {.config.listeners_count = 0};
    struct sockaddr_in address;
    char pid[16];
    int fds[3];
    addresses_add(&addresses, free_port());
    memcpy(&address, &addresses.listeners[0].bind.address, sizeof(address));
    int passed = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(passed, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(passed, 1), 0);
    if (passed != 3) {
        assert_int_equal(dup2(passed, 3), 3);
    }
    snprintf(pid, sizeof(pid), "%d", (int) getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    assert_int_equal(xf_listeners_init(&listeners, NULL), 0);
    assert_null(getenv("LISTEN_FDS"));
    assert_true(xf_listeners_has(&listeners, &addresses.listeners[0].bind));
    open_all(&listeners, &addresses, 3);
    xf_listeners_fill(&listeners, &addresses.config, fds);
    assert_int_equal(fds[0], 3);
    assert_int_equal(fds[1], 3);
    assert_int_equal(fds[2], 3);
    xf_listeners_release(&listeners);
    if (passed != 3) {
        assert_true(port_answers(addresses.listeners[0].bind.port)); /* systemd goes on */
        close(passed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_bound_at_once_and_listen_only_when_told),
        cmocka_unit_test(
            an_address_keeps_its_sockets_through_reloads_and_gets_more_for_more_workers),
        cmocka_unit_test(a_dropped_address_ends_even_where_a_copy_is_left),
        cmocka_unit_test(who_connected_before_the_door_was_shut_is_let_in_and_nobody_after),
        cmocka_unit_test(a_failed_open_leaves_what_was_there_as_it_was),
        cmocka_unit_test(sockets_from_systemd_stand_in_every_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
