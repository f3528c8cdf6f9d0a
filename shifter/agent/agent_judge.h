/*
 * agent_judge.h -- this proxy's own judge: while the store is gone, somebody must still look.
 *
 * With nobody to judge the fleet (guard.without_store: retreat) it may take this proxy's weight to
 * 0, as an override with the actor `judge`; it may do nothing else, and never raises anything.
 */
#ifndef XF_SHIFTER_AGENT_JUDGE_H
#define XF_SHIFTER_AGENT_JUDGE_H

#include "shifter/agent/agent_state.h"

/* Reads nothing by itself: what the workers counted since the last look, in the order of time. */
void xf_agent_judge_take(struct xf_agent *agent, unsigned service, struct xf_message_cell *cells,
                         size_t count);
/* Closes cells, follows the documents, and acts where it may. */
void xf_agent_judge_tick(struct xf_agent *agent);

/* The verdict for which this proxy retreated by itself, as status shows one: a borrowed JSON text;
 * NULL: it did not. */
const char *xf_agent_judge_verdict(const struct xf_agent_service *service);

#endif
