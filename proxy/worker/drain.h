/*
 * drain.h -- ends what would keep a cluster busy, as the board orders it.
 *
 * The agent says for each (service, cluster) whether it is being emptied, how many tunnels and
 * answers in progress this worker may end in a second, and when what is left is cut.  A WebSocket
 * is told 1001 between two frames, another tunnel is closed; the client of an answer sees that it
 * is not whole.  At a rate tunnels go first, and an answer goes only once its request is so old
 * that it will hardly end by itself; a request that still waits for its answer is left to
 * timeouts.first_byte.  Nobody is charged for what a drain ended.
 */
#ifndef XF_PROXY_DRAIN_H
#define XF_PROXY_DRAIN_H

#include "proxy/worker/engine.h"

/* Once a tick.  `boottime_ms` is CLOCK_BOOTTIME. */
void xf_drain_tick(struct xf_engine *engine, uint64_t boottime_ms);

#endif
