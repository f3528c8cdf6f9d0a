/*
 * tls_cluster.h -- what the TLS connections to a cluster have in common: whom they trust, what
 * they show.  For the workers' connections and for the agent's checks.
 */
#ifndef XF_PROXY_TLS_CLUSTER_H
#define XF_PROXY_TLS_CLUSTER_H

#include "config/base/error.h"
#include "config/config.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* SSL */

/* The context of a cluster with `tls`; the error names the file and the reason.  *ret is to be
 * freed with SSL_CTX_free(), on failure too. */
XF_NODISCARD int xf_tls_cluster_load(const struct xf_config_cluster *cluster,
                                     struct ssl_ctx_st **ret, struct xf_error *err);
/* The name that servers[server] is called by and must prove: a host, or an address. */
const char *xf_tls_name(const struct xf_config_cluster *cluster, unsigned server);
/* The session sends that name, and verifies it where the cluster wants that.  False without
 * memory. */
XF_NODISCARD bool xf_tls_expect(struct ssl_st *ssl, const char *name);

#endif
