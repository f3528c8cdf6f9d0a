/*
 * admin_verbs.h -- requests about one service: questions and verbs, most of them the leader's.
 */
#ifndef XF_SHIFTER_ADMIN_VERBS_H
#define XF_SHIFTER_ADMIN_VERBS_H

#include "shifter/admin/admin.h"
#include "shifter/agent/agent_state.h"

/* `status`, `why`, `history`, `signal`: from the leader, the first two from here without one.
 * False: there is no such question. */
bool xf_admin_query(struct xf_agent *agent, struct xf_admin_exchange *exchange, const char *service,
                    const char *what, const char *key, const char *query);

/* A POST of a verb that stands in the table of routes. */
bool xf_admin_verb(struct xf_agent *agent, struct xf_admin_exchange *exchange, const char *service,
                   const char *verb, const struct xf_admin_request *request);

/* An order for one server on this host: `drain`, `ready`, `weight` with {arguments: {weight}}. */
bool xf_admin_server(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                     const char *cluster, const char *address, const char *order,
                     const struct xf_admin_request *request);

/* Reads the body of a POST into a command; its `arguments` are a new reference.  -1 with `err`. */
XF_NODISCARD int xf_admin_read_command(const char *body, size_t length, const char *service,
                                       const char *verb, struct xf_message_command *ret,
                                       struct xf_error *err);

#endif
