/*
 * forwarded.h -- who a request comes from, where trusted proxies stand before us.
 *
 * Pure.  Each proxy appends the address of its own peer to X-Forwarded-For, so the list is true
 * from its end backwards, as long as the one who wrote an element is trusted.
 */
#ifndef XF_PROXY_FORWARDED_H
#define XF_PROXY_FORWARDED_H

#include "proxy/http/address.h"
#include "proxy/http/http1.h"

struct xf_networks {
    const struct xf_config_network *items;
    unsigned count;
};

/* For a trusted `peer`: the last address of X-Forwarded-For that is not trusted itself; where all
 * are, the first.  The list ends where an element is no address: what stands before it is not
 * believed.  Without an address it is `peer`. */
void xf_forwarded_source(const char *bytes, const struct xf_http_request *request,
                         const struct xf_field *fields, const struct xf_networks *trusted,
                         const struct xf_address *peer, struct xf_address *ret);

#endif
