/*
 * transport.h -- one connection of the loop: its registration and its bytes.
 *
 * Registered once, edge-triggered and persistent, for reading, writing and the peer's close; never
 * taken out to pause.  Instead two bits are kept: `readable` until a read says that nothing is
 * left, `writable` until a write does not fit.  Who wants a pause does not read.
 *
 * Short reads (SPEED.md 7): data and FIN in one edge come with EV_CLOSED, data and RST do not, and
 * there is no second edge for either.  So a short read clears `readable` only through
 * xf_conn_drained(), which the caller calls when the message it waited for is complete, and which
 * keeps the bit where the peer is known to have closed.
 *
 * Everything above this file reads and writes through it: TLS takes its place in these functions.
 */
#ifndef XF_PROXY_TRANSPORT_H
#define XF_PROXY_TRANSPORT_H

#include "config/base/check.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct xf_tls;      /* tls.h */
struct xf_gathered; /* gather.h */

struct xf_conn {
    struct event event;
    struct xf_tls *tls;           /* NULL: plain text */
    struct xf_gathered *gathered; /* read ahead of the next receive; NULL: nothing */
    bool readable;
    bool writable;
    bool hung_up; /* EV_CLOSED came: the peer sends nothing more */
    bool open;    /* there is a descriptor */
    bool watched; /* the event is registered */
    bool lost;    /* a read failed behind bytes that were still good: the next one says so */
};

/* Registers `fd`; false without memory, `fd` is then still the caller's. */
XF_NODISCARD bool xf_conn_open(struct xf_conn *conn, struct event_base *loop, int fd,
                               event_callback_fn callback, void *owner);
/* The same without registering: for a connection whose whole life may be one request.  Both bits
 * begin as set. */
void xf_conn_prepare(struct xf_conn *conn, struct event_base *loop, int fd,
                     event_callback_fn callback, void *owner);
/* Registers it after all, once; what is ready by then is reported.  False without memory. */
XF_NODISCARD bool xf_conn_watch(struct xf_conn *conn);
/* Takes the event out and closes the descriptor; harmless when not open. */
void xf_conn_close(struct xf_conn *conn);
/* Probes a peer that is silent for 30 s, and gives it up a minute after its last sign of life, so
 * that one which vanished holds neither a tunnel nor a drain.  `send_ms` is timeouts.send: unless
 * it is off, what was sent may lie unacknowledged, or before a window of 0, for no more than that
 * or a minute.  What is accepted inherits all this from the listening socket. */
void xf_conn_keep_alive(int fd, int64_t send_ms);
/* What follows is a close that the peer sees as a reset, without TLS's word of an end. */
void xf_conn_spoil(struct xf_conn *conn);
/* Like close, but the peer gets a reset: it must not take what it has for the whole. */
void xf_conn_reset(struct xf_conn *conn);

static inline int xf_conn_fd(const struct xf_conn *conn)
{
    return conn->event.ev_fd; /* event_get_fd() is a call into a library */
}

/* The descriptor is not ours any more: closed already, or not to be touched. */
static inline void xf_conn_forget_fd(struct xf_conn *conn)
{
    conn->event.ev_fd = -1;
}

/* Takes over what the loop reports. */
static inline void xf_conn_note(struct xf_conn *conn, short what)
{
    conn->readable |= (what & (EV_READ | EV_CLOSED)) != 0;
    conn->writable |= (what & EV_WRITE) != 0;
    conn->hung_up |= (what & EV_CLOSED) != 0;
}

#define XF_CONN_AGAIN (-1) /* nothing now; an edge will come */
#define XF_CONN_ERROR (-2) /* the connection is lost */

/* Reads at most `size` bytes: their number, 0 at the peer's end, or one of the above. */
ssize_t xf_conn_receive(struct xf_conn *conn, void *bytes, size_t size);
/* Sends what fits: the number of bytes, 0 where nothing fits now, or XF_CONN_ERROR. */
ssize_t xf_conn_send(struct xf_conn *conn, const void *bytes, size_t size);
/* The same for the last bytes before a close or finish that follows at once: they leave together
 * with the end. */
ssize_t xf_conn_send_last(struct xf_conn *conn, const void *bytes, size_t size);
/* Sends what TLS owes by itself, when the connection has become writable; false: it is lost. */
XF_NODISCARD bool xf_conn_flush(struct xf_conn *conn);
/* The bytes on the wire: for tls.c, which stands between these and the functions above. */
ssize_t xf_conn_receive_raw(struct xf_conn *conn, void *bytes, size_t size);
ssize_t xf_conn_peek(struct xf_conn *conn, void *bytes, size_t size); /* leaves them there */
ssize_t xf_conn_send_raw(struct xf_conn *conn, const void *bytes, size_t size, int flags);
/* Ends our direction after what was sent. */
void xf_conn_finish(struct xf_conn *conn);
/* True when the connection has failed though nothing was read from it yet (a pending reset). */
bool xf_conn_broken(struct xf_conn *conn);

/* After a short read that completed what was waited for. */
static inline void xf_conn_drained(struct xf_conn *conn)
{
    conn->readable = conn->hung_up;
}

#endif
