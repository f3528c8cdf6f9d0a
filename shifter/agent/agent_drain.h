/*
 * agent_drain.h -- tells the workers what to empty, and parts a fleet's pace among them.
 *
 * A fleet's rate is parted by what holds the cluster: a proxy ends rate x own / fleet, a worker its
 * part of that likewise.  That is its tunnels, and where answers end too, whatever is in flight.
 * Others' are what the leader counted but what this proxy had told it, so that what was ended since
 * is not held against the pace.
 */
#ifndef XF_SHIFTER_AGENT_DRAIN_H
#define XF_SHIFTER_AGENT_DRAIN_H

#include "shifter/agent/agent_state.h"

struct xf_agent_drains;

/* For the places of `config`; NULL without memory. */
struct xf_agent_drains *xf_agent_drains_create(const struct xf_config *config);
void xf_agent_drains_destroy(struct xf_agent_drains *drains); /* accepts NULL */
/* Takes over what `before`, for the places of `from`, knew by name; accepts NULLs. */
void xf_agent_drains_inherit(struct xf_agent_drains *drains, const struct xf_config *config,
                             const struct xf_agent_drains *before, const struct xf_config *from);

/* Several times a second, after the gauges were read: writes orders and rates to all boards. */
void xf_agent_drain_tick(struct xf_agent *agent);
/* The heartbeat with the present gauges goes out. */
void xf_agent_drain_note(struct xf_agent *agent);

#endif
