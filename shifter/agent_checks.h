/*
 * agent_checks.h -- whether servers answer: the agent's health checks.
 *
 * The result stands in the control segment of every live edition; an address that several
 * clusters or editions name in the same way is checked once.
 */
#ifndef XF_SHIFTER_AGENT_CHECKS_H
#define XF_SHIFTER_AGENT_CHECKS_H

#include "shifter/agent_state.h"

/* Whether `server` of the newest configuration may be chosen; `reason` says why not. */
bool xf_agent_checks_up(const struct xf_agent *agent, unsigned server, char *reason, size_t bytes);

#endif
