/*
 * admin_access.h -- who asks, and whether they may: tokens, roles, Host and Origin.
 *
 * The mode of the unix socket decides who may use it, and its users may everything.  Over TCP a
 * request comes with a token of admin.tokens_file.  Without one only the probes are answered, and
 * to this host itself the metrics.
 */
#ifndef XF_SHIFTER_ADMIN_ACCESS_H
#define XF_SHIFTER_ADMIN_ACCESS_H

#include "shifter/admin/admin_table.h"

struct xf_agent;
struct xf_admin_access; /* tokens as they were read last, and who failed to log in */

XF_NODISCARD struct xf_admin_access *xf_admin_access_create(void);
void xf_admin_access_destroy(struct xf_admin_access *access); /* accepts NULL */

/* Fills role and who of the request.  False: it was answered (401, 403 or 429). */
bool xf_admin_access_check(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                           struct xf_admin_request *request, enum xf_admin_role needed,
                           enum xf_admin_open open);
/* Whether who asks may do `what`, which needs the role of an admin; false: it was answered. */
bool xf_admin_access_admin(struct xf_admin_exchange *exchange,
                           const struct xf_admin_request *request, const char *what);

/* `host[:port]` names this machine: a page in a browser cannot make one of its own names mean
 * this port (DNS rebinding).  `name` is what the configuration calls this proxy. */
bool xf_admin_host_is_ours(const char *host, const char *name);
/* `origin` is http:// or https:// and `host`: a page that came from here. */
bool xf_admin_origin_is_host(const char *origin, const char *host);

#endif
