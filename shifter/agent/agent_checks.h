/*
 * agent_checks.h -- whether servers answer, where their names point, and what operators say of
 * them.
 *
 * The result stands in the control segment of every live edition.  Servers that the editions name
 * and check in the same way share one check; names are looked up again as they expire, and the
 * last good answer is kept.  Unknown is usable: a server is up until its checks fail.
 */
#ifndef XF_SHIFTER_AGENT_CHECKS_H
#define XF_SHIFTER_AGENT_CHECKS_H

#include "shifter/agent/agent_state.h"

#include <netinet/in.h>

struct xf_agent_checks;

XF_NODISCARD struct xf_agent_checks *xf_agent_checks_create(void);
void xf_agent_checks_destroy(struct xf_agent_checks *checks); /* accepts NULL */

/* The editions changed: servers that are new begin to be checked, others go on. */
void xf_agent_checks_configure(struct xf_agent *agent);

/* Whether `server` of the newest configuration may be chosen; `reason` says why not, or which
 * workers have ejected it while others still choose it. */
bool xf_agent_checks_up(const struct xf_agent *agent, unsigned server, char *reason, size_t bytes);

/* The address that `server` sees of this host; empty where its own is not known, or no way leads
 * to it. */
void xf_agent_checks_source(const struct xf_agent *agent, unsigned server,
                            char ret[INET6_ADDRSTRLEN]);

/* What it weighs now: configured or ordered, less while it comes back slowly. */
unsigned xf_agent_checks_weight(const struct xf_agent *agent, unsigned server);

/* An operator's word on every server of that address in `cluster` (its name), on this host.
 * `weight` in 1..1000, or 0 to leave it; -1 with `err` where there is no such server. */
enum xf_agent_server_word { XF_SERVER_DRAIN, XF_SERVER_READY, XF_SERVER_WEIGHT };
XF_NODISCARD int xf_agent_checks_order(struct xf_agent *agent, const char *cluster,
                                       const char *address, enum xf_agent_server_word word,
                                       unsigned weight, struct xf_error *err);

#endif
