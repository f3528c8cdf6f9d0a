/*
 * conduit.c -- see conduit.h.
 */
#include "proxy/worker/conduit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIPE_BYTES (512 * 1024) /* of pages, which a socket fills only in part */

void xf_conduit_open(struct xf_conduit *conduit)
{
    int ends[2];
    *conduit = (struct xf_conduit){-1, -1};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return;
    }
    conduit->out = ends[0];
    conduit->in = ends[1];
    if (fcntl(conduit->in, F_SETPIPE_SZ, PIPE_BYTES) < PIPE_BYTES) {
        xf_conduit_close(conduit); /* a small one moves too little at a time to be worth it */
    }
}

void xf_conduit_close(struct xf_conduit *conduit)
{
    if (xf_conduit_is_open(conduit)) {
        (void) close(conduit->in);
        (void) close(conduit->out);
    }
    *conduit = (struct xf_conduit){-1, -1};
}

bool xf_conduit_joins(const struct xf_conduit *conduit, const struct xf_conn *from,
                      const struct xf_conn *to)
{
    return xf_conduit_is_open(conduit) && from->tls == NULL && to->tls == NULL &&
           from->gathered == NULL && !from->lost && to->writable;
}

static ssize_t splice_on(int from, int to, size_t size)
{
    ssize_t moved;
    do {
        moved = splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    } while (moved < 0 && errno == EINTR);
    return moved;
}

ssize_t xf_conduit_move(struct xf_conduit *conduit, struct xf_conn *from, struct xf_conn *to,
                        size_t size, ssize_t *ret_sent)
{
    *ret_sent = 0;
    ssize_t taken = splice_on(xf_conn_fd(from), conduit->in, size);
    if (taken == 0) {
        return 0;
    }
    if (taken < 0) { /* the pipe is empty: it is the socket that has nothing */
        from->readable = errno != EAGAIN;
        return from->readable ? XF_CONN_ERROR : XF_CONN_AGAIN;
    }
    ssize_t sent = splice_on(conduit->out, xf_conn_fd(to), (size_t) taken);
    if (sent < 0 && errno != EAGAIN) {
        *ret_sent = XF_CONN_ERROR;
    } else {
        *ret_sent = sent < 0 ? 0 : sent;
        to->writable = sent == taken;
    }
    return taken;
}

bool xf_conduit_fetch(struct xf_conduit *conduit, char *bytes, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(conduit->out, bytes + got, size - got);
        if (n <= 0 && errno != EINTR) {
            return false;
        }
        got += n > 0 ? (size_t) n : 0;
    }
    return true;
}

void xf_conduit_empty(struct xf_conduit *conduit)
{
    char bytes[16384];
    while (read(conduit->out, bytes, sizeof(bytes)) > 0) {
    }
}
