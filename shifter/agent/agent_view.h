/*
 * agent_view.h -- what this host alone can say: status and why without a leader, and metrics.
 */
#ifndef XF_SHIFTER_AGENT_VIEW_H
#define XF_SHIFTER_AGENT_VIEW_H

#include "shifter/agent/agent_state.h"

/* Sums all counters anew; what is being folded at the moment leaves the last sums. */
void xf_agent_view_refresh(struct xf_agent *agent);

/* New references; NULL without memory.  `leader` is null in them and store.stale_s is set. */
XF_NODISCARD json_t *xf_agent_view_status(struct xf_agent *agent, const char *service);
XF_NODISCARD json_t *xf_agent_view_why(struct xf_agent *agent, const char *service);

/* {service, cutover, step, plan}: the plan of the present cutover as the store keeps it; null where
 * none runs.  Each agent has it, so no leader is asked. */
XF_NODISCARD json_t *xf_agent_view_plan(const struct xf_agent *agent, const char *service);

/* {"servers": [{cluster, address, up, reason, weight, in_flight}]}, of this host. */
XF_NODISCARD json_t *xf_agent_view_servers(struct xf_agent *agent);

/* Prometheus' text; the caller frees it. */
XF_NODISCARD char *xf_agent_view_metrics(struct xf_agent *agent, size_t *ret_length);

#endif
