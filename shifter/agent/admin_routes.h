/*
 * admin_routes.h -- what the admin API answers (API.md): which requests the agent answers itself,
 * which go to the leader, and who may ask what.
 */
#ifndef XF_SHIFTER_ADMIN_ROUTES_H
#define XF_SHIFTER_ADMIN_ROUTES_H

#include "shifter/admin/admin.h"

/* The handler of xf_admin_calls; `context` is the agent. */
void xf_admin_route(void *context, struct xf_admin_exchange *exchange,
                    const struct xf_admin_request *request);

/* Decodes %XX of one path segment into `out`; false where it is malformed, too long or holds
 * a control byte. */
bool xf_admin_decode(const char *segment, size_t length, char *out, size_t bytes);

#endif
