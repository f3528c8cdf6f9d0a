/*
 * agent_forward.h -- commands on their way to the leader, until they are answered.
 *
 * Each is sent again every 2 s under its request id, which makes that harmless; 10 s without a
 * leader end it.  A verb may take minutes while a leader works.
 */
#ifndef XF_SHIFTER_AGENT_FORWARD_H
#define XF_SHIFTER_AGENT_FORWARD_H

#include "shifter/agent/agent_state.h"

struct xf_agent_pending;

/* `reply` is NULL where none came: `exit` is then 7 or 124 and `why` says so. */
typedef void xf_agent_forwarded(void *context, const struct xf_message_reply *reply, int exit,
                                const char *why);

XF_NODISCARD struct xf_agent_forward *xf_agent_forward_create(struct xf_agent *agent);
void xf_agent_forward_destroy(struct xf_agent_forward *forward); /* accepts NULL; answers no one */

/* Sends `command` (its `arguments` are held); `done` is called once, later, unless it is
 * cancelled.  NULL: too many wait, or no memory. */
XF_NODISCARD struct xf_agent_pending *
xf_agent_forward_send(struct xf_agent_forward *forward, const struct xf_message_command *command,
                      int64_t limit_ms, xf_agent_forwarded *done, void *context);
void xf_agent_forward_cancel(struct xf_agent_pending *pending);
/* A reply came: every command with that request id is answered. */
void xf_agent_forward_answer(struct xf_agent_forward *forward,
                             const struct xf_message_reply *reply);

#endif
