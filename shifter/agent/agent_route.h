/*
 * agent_route.h -- from the documents to what the board is to hold for one service.
 *
 * Pure: no board, no clock.  DESIGN.md sections 6, 7 and 9 say what each state means for traffic.
 * Outside a cutover both roles are the live cluster and the weight is 0.  A service that follows
 * another has no document of its own: it is on blue's side until draining begins, then on green's.
 */
#ifndef XF_SHIFTER_AGENT_ROUTE_H
#define XF_SHIFTER_AGENT_ROUTE_H

#include "proxy/proxy.h"
#include "shifter/plan/document.h"

struct xf_agent_route {
    struct xf_route_record record;
    unsigned flags;
    unsigned weight;
};

/* What one host knows of a service beside its document. */
struct xf_agent_facts {
    const struct xf_document *document; /* NULL: none yet, or the service follows another */
    struct xf_version version;
    bool overridden; /* break-glass: `weight` below stands, not the document's */
    unsigned override_weight;
};

/* `facts` has one entry for each service of `config`.  An error names the cluster or service that
 * the configuration does not have; *ret is then untouched and the former route stands. */
XF_NODISCARD int xf_agent_route_make(const struct xf_config *config, unsigned service,
                                     const struct xf_agent_facts *facts, struct xf_agent_route *ret,
                                     struct xf_error *err);

/* The route of a service that has no document: its configured live cluster (--assume-live). */
void xf_agent_route_live(const struct xf_config *config, unsigned service,
                         struct xf_agent_route *ret);

/* The service whose document decides: itself, or the one it follows. */
unsigned xf_agent_route_source(const struct xf_config *config, unsigned service);

#endif
