/*
 * fetch.h -- one GET of a whole URL, for gates.  Blocks, with a time limit.
 */
#ifndef XF_SHIFTER_FETCH_H
#define XF_SHIFTER_FETCH_H

#include "shifter/net/client.h"

#define XF_FETCH_MS 5000

/* `url` may have path and query, but no credentials.  See xf_client_call(). */
XF_NODISCARD int xf_fetch(const char *url, int64_t timeout_ms, struct xf_client_answer *ret,
                          struct xf_error *err);

/* The same with another Host field: a virtual host at an address; NULL: the URL's own. */
XF_NODISCARD int xf_fetch_as(const char *url, const char *host, int64_t timeout_ms,
                             struct xf_client_answer *ret, struct xf_error *err);

#endif
