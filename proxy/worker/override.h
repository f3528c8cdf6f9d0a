/*
 * override.h -- the guarded override: a request that names its cluster itself.
 *
 * A field (X-Crossfade unless configured otherwise) holds `CLUSTER SECRET`, or `CLUSTER` alone
 * where the peer's address is in one of the service's networks.  CLUSTER is blue, green or a name.
 * Without leave the field means nothing; either way it is never sent on.  Whether an override may
 * choose at this moment is the route record's to say.
 */
#ifndef XF_PROXY_OVERRIDE_H
#define XF_PROXY_OVERRIDE_H

#include "config/config.h"
#include "proxy/http/address.h"
#include "proxy/http/fields.h"

struct xf_overrides; /* the secrets of a worker's services */

/* Reads the secrets.  *ret is NULL where no service has an override. */
XF_NODISCARD int xf_overrides_load(const struct xf_config *config, struct xf_overrides **ret,
                                   struct xf_error *err);
void xf_overrides_free(struct xf_overrides *overrides); /* accepts NULL */

/* The cluster that the request names and may name; length 0: none. */
struct xf_piece xf_override_find(const struct xf_overrides *overrides,
                                 const struct xf_config_service *service, const char *bytes,
                                 const struct xf_http_request *request,
                                 const struct xf_field *fields, const struct xf_address *peer);

#endif
