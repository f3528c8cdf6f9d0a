/*
 * admin_reexec.h -- replacing the running binary by the one on disk, asked for over the admin API.
 *
 * The agent passes the wish to the supervisor, and is itself replaced when it is granted: whoever
 * asked reads what became of it from the next agent.
 */
#ifndef XF_SHIFTER_ADMIN_REEXEC_H
#define XF_SHIFTER_ADMIN_REEXEC_H

#include "shifter/admin/admin.h"
#include "shifter/agent/agent_state.h"

/* What the supervisor says of the last re-execution. */
void xf_admin_reexec_take(struct xf_agent *agent, const struct xf_channel_message *message);
/* POST /v1/reexec asks for one; GET tells how many were tried and what became of the last. */
void xf_admin_reexec(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                     const struct xf_admin_request *request);

#endif
