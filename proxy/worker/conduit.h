/*
 * conduit.h -- bytes of a large body, from one socket to another without a copy.
 *
 * Belongs to one worker.  splice() needs a pipe between the two sockets; one serves all, because
 * after each move it is empty again: what the taker did not take is read out of it and kept like
 * any other blocked output, under limits.buffers.  No pipe is held by a connection.
 *
 * It is for plain connections that have nothing read ahead, and for bodies of which much is left:
 * only there does it save more than its two system calls cost (bench/README.md).
 */
#ifndef XF_PROXY_CONDUIT_H
#define XF_PROXY_CONDUIT_H

#include "config/base/check.h"
#include "proxy/transport/transport.h"

#define XF_CONDUIT_BYTES_MIN (1u << 20) /* of a body still to come */

struct xf_conduit {
    int in, out; /* -1: there is no pipe, and nothing may be moved */
};

/* Without a pipe it is left closed, and bodies are copied. */
void xf_conduit_open(struct xf_conduit *conduit);
void xf_conduit_close(struct xf_conduit *conduit);

static inline bool xf_conduit_is_open(const struct xf_conduit *conduit)
{
    return conduit->in >= 0;
}

/* Whether bytes may go from one to the other. */
bool xf_conduit_joins(const struct xf_conduit *conduit, const struct xf_conn *from,
                      const struct xf_conn *to);
/* Moves at most `size` bytes.  Returns what was taken from `from`, as xf_conn_receive() would; of
 * these *ret_sent went to `to`, or XF_CONN_ERROR: it is lost.  The rest must be fetched. */
ssize_t xf_conduit_move(struct xf_conduit *conduit, struct xf_conn *from, struct xf_conn *to,
                        size_t size, ssize_t *ret_sent);
/* Fetches the `size` bytes that were not sent; false: they are lost. */
XF_NODISCARD bool xf_conduit_fetch(struct xf_conduit *conduit, char *bytes, size_t size);
/* Throws away what was not sent. */
void xf_conduit_empty(struct xf_conduit *conduit);

#endif
