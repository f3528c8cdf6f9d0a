/*
 * drain.h -- ends what would keep a cluster busy, by the policy in the route record.
 *
 * From DRAINING on blue is emptied, after a retreat or abort (EMPTYING) green.  `tunnel_rate_milli`
 * paces the end of tunnels; at `drain_deadline_ms` tunnels and answers in progress are cut.  With
 * neither, everything ends by itself.  A WebSocket is told 1001 between two frames.
 */
#ifndef XF_PROXY_DRAIN_H
#define XF_PROXY_DRAIN_H

#include "proxy/engine.h"

/* Once a tick.  `boottime_ms` is CLOCK_BOOTTIME. */
void xf_drain_tick(struct xf_engine *engine, uint64_t boottime_ms);

#endif
