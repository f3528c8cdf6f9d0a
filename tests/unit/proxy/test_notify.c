/*
 * test_notify.c -- what systemd hears.
 */
#include "proxy/supervisor/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void lines_reach_an_abstract_socket_and_the_environment_is_cleared(void **state)
{
    (void) state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct xf_notify notify;
    char name[64], heard[64] = "";
    snprintf(name, sizeof(name), "@crossfade-test-%d", (int) getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t bytes = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *) &address, bytes), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    xf_notify_init(&notify);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_int_equal(notify.watchdog_ms, 1500);
    xf_notify_send(&notify, "READY=%d", 1);
    assert_int_equal(recv(fd, heard, sizeof(heard) - 1, 0), 7);
    assert_string_equal(heard, "READY=1");
    xf_notify_release(&notify);
    close(fd);
}

static void without_systemd_nothing_happens(void **state)
{
    (void) state;
    struct xf_notify notify;
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "3000000", 1);
    xf_notify_init(&notify);
    assert_int_equal(notify.fd, -1);
    assert_int_equal(notify.watchdog_ms, 0);
    xf_notify_send(&notify, "READY=1");
    xf_notify_release(&notify);
}

static void a_watchdog_meant_for_another_process_is_not_ours(void **state)
{
    (void) state;
    struct xf_notify notify;
    setenv("NOTIFY_SOCKET", "@crossfade-nobody", 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    xf_notify_init(&notify);
    assert_int_equal(notify.watchdog_ms, 0);
    xf_notify_release(&notify);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_reach_an_abstract_socket_and_the_environment_is_cleared),
        cmocka_unit_test(without_systemd_nothing_happens),
        cmocka_unit_test(a_watchdog_meant_for_another_process_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
