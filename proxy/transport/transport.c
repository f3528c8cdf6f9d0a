/*
 * transport.c -- registration, recv and send; see transport.h.
 */
#include "proxy/transport/transport.h"

#include "proxy/transport/gather.h"
#include "proxy/transport/tls.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENT_S  30 /* before a peer is probed */
#define PROBE_S   10 /* between two probes */
#define PROBES    3
#define UNREAD_MS 60000 /* least time for which the kernel tries to reach a peer */

void xf_conn_keep_alive(int fd, int64_t send_ms)
{
    int64_t unread_ms = send_ms > UNREAD_MS ? send_ms : UNREAD_MS;
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, SILENT_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S},
        {IPPROTO_TCP, TCP_KEEPCNT, PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, unread_ms < INT_MAX ? (int) unread_ms : INT_MAX},
    };
    unsigned count = XF_COUNT(options) - (send_ms < 0); /* the last one is for a limit */
    for (unsigned i = 0; i < count; i++) {
        (void) setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                          sizeof(options[i].value));
    }
}

void xf_conn_prepare(struct xf_conn *conn, struct event_base *loop, int fd,
                     event_callback_fn callback, void *owner)
{
    short what = EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST;
    (void) event_assign(&conn->event, loop, fd, what, callback, owner);
    conn->tls = NULL;
    conn->gathered = NULL;
    conn->lost = false;
    conn->readable = true;
    conn->writable = true;
    conn->hung_up = false;
    conn->open = true;
    conn->watched = false;
}

bool xf_conn_watch(struct xf_conn *conn)
{
    if (!conn->watched) {
        conn->watched = event_add(&conn->event, NULL) == 0;
    }
    return conn->watched;
}

bool xf_conn_open(struct xf_conn *conn, struct event_base *loop, int fd, event_callback_fn callback,
                  void *owner)
{
    xf_conn_prepare(conn, loop, fd, callback, owner);
    conn->readable = false;
    conn->writable = false;
    conn->open = xf_conn_watch(conn);
    return conn->open;
}

void xf_conn_close(struct xf_conn *conn)
{
    if (!conn->open) {
        return;
    }
    int fd = xf_conn_fd(conn);
    if (conn->tls != NULL) {
        xf_tls_finish(conn);
        xf_tls_drop(conn);
    }
    if (conn->watched) {
        (void) event_del(&conn->event);
    }
    xf_gathered_drop(conn);
    if (fd >= 0) {
        (void) close(fd);
    }
    conn->watched = false;
    conn->open = false;
}

void xf_conn_spoil(struct xf_conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void) setsockopt(xf_conn_fd(conn), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (conn->tls != NULL) {
        xf_tls_drop(conn);
    }
}

void xf_conn_reset(struct xf_conn *conn)
{
    if (conn->open) {
        xf_conn_spoil(conn);
        xf_conn_close(conn);
    }
}

static ssize_t take(struct xf_conn *conn, void *bytes, size_t size, int flags)
{
    ssize_t got;
    do {
        got = recv(xf_conn_fd(conn), bytes, size, flags);
    } while (got < 0 && errno == EINTR);
    if (got >= 0) {
        return got;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        conn->readable = false;
        return XF_CONN_AGAIN;
    }
    return XF_CONN_ERROR;
}

/* What was read ahead, and what the socket holds behind it: a result below `size` still means that
 * nothing is left. */
static ssize_t take_gathered(struct xf_conn *conn, char *bytes, size_t size)
{
    bool more;
    ssize_t got = xf_gathered_take(conn, bytes, size, &more);
    if (!more || (size_t) got == size) {
        return got;
    }
    ssize_t rest = take(conn, bytes + got, size - (size_t) got, 0);
    if (rest == 0 || rest == XF_CONN_ERROR) {
        conn->hung_up = true; /* the next read meets it, whatever edge was missed */
        conn->lost = rest != 0;
    }
    return rest > 0 ? got + rest : got;
}

ssize_t xf_conn_receive_raw(struct xf_conn *conn, void *bytes, size_t size)
{
    if (conn->gathered != NULL) {
        return take_gathered(conn, bytes, size);
    }
    return XF_UNLIKELY(conn->lost) ? XF_CONN_ERROR : take(conn, bytes, size, 0);
}

ssize_t xf_conn_peek(struct xf_conn *conn, void *bytes, size_t size)
{
    return take(conn, bytes, size, MSG_PEEK);
}

ssize_t xf_conn_send_raw(struct xf_conn *conn, const void *bytes, size_t size, int flags)
{
    ssize_t sent;
    do {
        sent = send(xf_conn_fd(conn), bytes, size, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        if ((size_t) sent < size) {
            conn->writable = false;
        }
        return sent;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
        conn->writable = false;
        return 0;
    }
    return XF_CONN_ERROR;
}

ssize_t xf_conn_receive(struct xf_conn *conn, void *bytes, size_t size)
{
    return conn->tls != NULL ? xf_tls_receive(conn, bytes, size)
                             : xf_conn_receive_raw(conn, bytes, size);
}

ssize_t xf_conn_send(struct xf_conn *conn, const void *bytes, size_t size)
{
    return conn->tls != NULL ? xf_tls_send(conn, bytes, size, 0)
                             : xf_conn_send_raw(conn, bytes, size, 0);
}

ssize_t xf_conn_send_last(struct xf_conn *conn, const void *bytes, size_t size)
{
    return conn->tls != NULL ? xf_tls_send(conn, bytes, size, MSG_MORE)
                             : xf_conn_send_raw(conn, bytes, size, MSG_MORE);
}

bool xf_conn_flush(struct xf_conn *conn)
{
    return conn->tls == NULL || !conn->writable || xf_tls_flush(conn);
}

void xf_conn_finish(struct xf_conn *conn)
{
    if (conn->open) {
        if (conn->tls != NULL) {
            xf_tls_finish(conn);
        }
        (void) shutdown(xf_conn_fd(conn), SHUT_WR);
    }
}

bool xf_conn_broken(struct xf_conn *conn)
{
    /* A peek would not tell: what came before the reset is still there, or an end was. */
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(xf_conn_fd(conn), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0;
}
