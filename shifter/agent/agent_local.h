/*
 * agent_local.h -- break-glass: `abort --local` and `weight --local` act on this proxy alone.
 *
 * Only while the store does not answer (5 s) or nobody leads (10 s).  Downwards freely, upwards
 * with force; DESIGN.md section 8 has the rules.
 */
#ifndef XF_SHIFTER_AGENT_LOCAL_H
#define XF_SHIFTER_AGENT_LOCAL_H

#include "shifter/agent/agent_state.h"

struct xf_agent_local_order {
    const char *service;
    unsigned weight;
    bool force;
    const char *actor, *reason;
};

/* Comes once, perhaps before order() returns and perhaps some seconds later: blue may be used
 * again only when the leader counts this proxy as silent. */
typedef void xf_agent_local_done(void *context, int exit_code, const char *message);

struct xf_agent_local_wait; /* an order that waits */

/* NULL: `done` was called already. */
struct xf_agent_local_wait *xf_agent_local_order(struct xf_agent *agent,
                                                 const struct xf_agent_local_order *order,
                                                 xf_agent_local_done *done, void *context);
/* This proxy's own judge: weight 0 here, for `sentence`.  From draining on it comes late, like an
 * order. */
void xf_agent_local_retreat(struct xf_agent *agent, struct xf_agent_service *service,
                            const char *sentence);
/* The one who asked is gone; the order stands. */
void xf_agent_local_detach(struct xf_agent_local_wait *wait);

#endif
