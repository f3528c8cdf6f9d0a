/*
 * upstream.h -- one connection to one server.
 *
 * Belongs to one worker; serves one exchange at a time, or lies idle in the pool.
 *
 *     dial --> connecting --> in use --> give() --> idle --> take() --> in use ...
 *                  |            |                     |
 *                  +-- failed --+-- not reusable -----+-- peer closed, idle limit, drain --> closed
 */
#ifndef XF_PROXY_UPSTREAM_H
#define XF_PROXY_UPSTREAM_H

#include "proxy/worker/engine.h"
#include "proxy/transport/transport.h"

struct xf_upstream {
    struct xf_conn conn;
    struct xf_engine *engine;
    struct xf_exchange *exchange; /* NULL: idle */
    struct xf_list link;          /* in the server's idle list, at last in swept_upstreams */
    struct xf_deadline deadline;  /* idle limit */
    struct xf_buffer *in;         /* a partial head */
    uint64_t used_ms;             /* when it last became idle */
    uint32_t server;              /* over all clusters */
    uint32_t address_sequence;    /* of the server's address that it leads to */
    bool connecting;
    bool reused;  /* came from the pool */
    bool limited; /* ahead.h: until a client that is known to read needs it */
    bool large;   /* its last answer began with more than is gathered: it reads for itself */
};

/* Begins a connection for `exchange`; NULL: it failed at once, errno says why. */
XF_NODISCARD struct xf_upstream *xf_upstream_dial(struct xf_engine *engine, unsigned server,
                                                  struct xf_exchange *exchange);
void xf_upstream_close(struct xf_upstream *upstream); /* memory goes back when the turn is over */

#endif
