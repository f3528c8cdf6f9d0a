/*
 * ahead.c -- see ahead.h.
 *
 * Only the size of the receive buffer bounds what waits there.  TCP_WINDOW_CLAMP does not: it
 * limits each window that is offered, not their sum, and growth overwrites it.  SO_RCVBUF limits
 * for good, and not above net.core.rmem_max, so here it only makes a grown buffer small; what it
 * locks is given free again, and SO_RCVLOWAT enlarges the buffer to what we want of it.
 */
#include "proxy/transport/ahead.h"

#include <linux/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static bool set(const struct xf_conn *conn, int level, int name, int value)
{
    return setsockopt(xf_conn_fd(conn), level, name, &value, sizeof(value)) == 0;
}

void xf_ahead_limit_unsent(const struct xf_conn *conn)
{
    (void) set(conn, IPPROTO_TCP, TCP_NOTSENT_LOWAT, XF_AHEAD_UNSENT_BYTES);
}

void xf_ahead_free_unsent(const struct xf_conn *conn)
{
    (void) set(conn, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0); /* as the machine has it */
}

bool xf_ahead_limit_received(const struct xf_conn *conn)
{
    /* Without SO_BUF_LOCK (Linux 5.15) a limit could not be taken back. */
    return set(conn, SOL_SOCKET, SO_BUF_LOCK, 0) &&
           set(conn, SOL_SOCKET, SO_RCVBUF, XF_AHEAD_RECEIVED_BYTES) &&
           set(conn, SOL_SOCKET, SO_BUF_LOCK, 0) &&
           set(conn, SOL_SOCKET, SO_RCVLOWAT, XF_AHEAD_RECEIVED_BYTES) &&
           set(conn, SOL_SOCKET, SO_RCVLOWAT, 1) &&
           set(conn, SOL_SOCKET, SO_BUF_LOCK, SOCK_RCVBUF_LOCK);
}

void xf_ahead_free_received(const struct xf_conn *conn)
{
    (void) set(conn, SOL_SOCKET, SO_BUF_LOCK, 0);
}
