/*
 * admin_events.h -- `/v1/events`: changes of state, weight and holds as they come (server-sent
 * events).
 *
 * Belongs to the agent's loop.  It looks at the agent's services five times a second while
 * somebody listens, and tells what is different.  Listeners are bounded in number, and one that
 * does not keep up is dropped by the admin server.
 */
#ifndef XF_SHIFTER_ADMIN_EVENTS_H
#define XF_SHIFTER_ADMIN_EVENTS_H

#include "shifter/admin/admin.h"

#define XF_ADMIN_LISTENERS_MAX 32u

struct xf_agent;
struct xf_admin_events;

/* The agent must outlive it. */
XF_NODISCARD struct xf_admin_events *xf_admin_events_create(struct xf_agent *agent);
/* Accepts NULL; after the admin server's end, which is also that of every listener. */
void xf_admin_events_destroy(struct xf_admin_events *events);

/* Answers with what is now, and goes on with what changes; 503 where too many listen already. */
void xf_admin_events_listen(struct xf_admin_events *events, struct xf_admin_exchange *exchange,
                            bool head_only);

#endif
