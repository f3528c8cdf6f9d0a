/*
 * notify.c -- one datagram per message to the socket that systemd named.
 */
#include "proxy/supervisor/notify.h"

#include "config/base/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int open_notify(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < 2 || length >= sizeof(address.sun_path)) {
        return -1;
    }
    memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') { /* an abstract name */
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t bytes = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length);
    if (fd >= 0 && connect(fd, (const struct sockaddr *) &address, bytes) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Half of what systemd allows, as it advises. */
static int64_t watchdog_ms(void)
{
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t us = 0, number = 0;
    if (text == NULL || !xf_parse_uint(text, INT64_MAX, &us)) {
        return 0;
    }
    if (pid != NULL && (!xf_parse_uint(pid, INT32_MAX, &number) || number != (uint64_t) getpid())) {
        return 0;
    }
    return us < 2000 ? 0 : (int64_t) (us / 2000);
}

void xf_notify_init(struct xf_notify *notify)
{
    const char *path = getenv("NOTIFY_SOCKET");
    notify->fd = path == NULL ? -1 : open_notify(path);
    notify->watchdog_ms = notify->fd < 0 ? 0 : watchdog_ms();
    unsetenv("NOTIFY_SOCKET"); /* hooks must not speak for us */
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void xf_notify_release(struct xf_notify *notify)
{
    if (notify->fd >= 0) {
        close(notify->fd);
        notify->fd = -1;
    }
}

void xf_notify_send(const struct xf_notify *notify, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (notify->fd < 0) {
        return;
    }
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t bytes = (size_t) length < sizeof(text) ? (size_t) length : sizeof(text) - 1;
        (void) send(notify->fd, text, bytes, MSG_NOSIGNAL);
    }
}
