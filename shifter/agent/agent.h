/*
 * agent.h -- the agent process: one per host.
 *
 * Follows the store by the bus, writes routes to the boards of all live editions, confirms what is
 * in force, sums counters, sends heartbeats and samples, keeps the snapshot, serves the admin
 * socket.  If the store is gone it leaves the routes as they are.
 */
#ifndef XF_SHIFTER_AGENT_H
#define XF_SHIFTER_AGENT_H

#include "proxy/proxy.h"

/* An xf_child_main: runs until the supervisor ends it. */
int xf_agent_main(const struct xf_child_start *start);

#endif
