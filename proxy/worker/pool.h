/*
 * pool.h -- idle connections to servers, one list per server and worker.
 *
 * The newest is taken first, so the surplus ages out.  A request that is not idempotent takes one
 * only if it was used within the last second: an older one may have been closed by the server
 * just now, and such a request cannot be sent twice.
 *
 *     give() --> [newest ... oldest] --> upstream_idle --> closed
 *     take() <-----'
 */
#ifndef XF_PROXY_POOL_H
#define XF_PROXY_POOL_H

#include "proxy/worker/upstream.h"

#define XF_POOL_IDLE_MAX 512u  /* connections kept for a server by one worker */
#define XF_POOL_FRESH_MS 1000u /* young enough for a request that cannot be repeated */

/* Something came on an idle connection that nobody looked at yet: its end, or what was unasked. */
bool xf_pool_has_news(const struct xf_upstream *upstream);
/* The newest idle connection to `server` without news, or NULL. */
struct xf_upstream *xf_pool_take(struct xf_engine *engine, unsigned server, bool fresh_only);
/* Keeps a connection whose message is over, or closes it where none may be kept. */
void xf_pool_give(struct xf_upstream *upstream);
/* Takes an idle connection out of the list: it is about to be closed. */
void xf_pool_remove(struct xf_upstream *upstream);
/* Descriptors are short: closes some idle connections, the longest unused first.  False: there is
 * none. */
bool xf_pool_shed(struct xf_engine *engine);
void xf_pool_close_server(struct xf_engine *engine, unsigned server);
/* Works out which clusters a route can still choose, and closes what is kept for the others. */
void xf_pool_review(struct xf_engine *engine);

#endif
