/*
 * tls_context.h -- what the TLS connections of a listener have in common: certificate, key, rules;
 * and, from tls_cluster.h, what those to a cluster have.
 *
 * Loaded while the process may still read the files: by a worker before it drops its privileges,
 * by who checks a configuration to say early what is wrong.  TLS 1.2 and 1.3, http/1.1 alone in
 * ALPN, no renegotiation, no session cache; sessions live in tickets, whose keys stand on the
 * board.
 */
#ifndef XF_PROXY_TLS_CONTEXT_H
#define XF_PROXY_TLS_CONTEXT_H

#include "config/base/error.h"
#include "config/config.h"
#include "proxy/board/board.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

struct xf_tls_names;

struct xf_tls_contexts {
    unsigned count, clusters_count, servers_count;
    struct xf_tls_names **names; /* by listener: its further certificates, or NULL */
    struct ssl_ctx_st **to;      /* by cluster; NULL: plain text */
    struct ssl_ctx_st *of[];     /* by listener; NULL: plain text */
};

/* Whether any listener or cluster has TLS. */
bool xf_tls_wanted(const struct xf_config *config);
/* One context for each listener and cluster with `tls`; the error names the file and the reason. */
XF_NODISCARD int xf_tls_contexts_load(const struct xf_config *config, struct xf_tls_contexts **ret,
                                      struct xf_error *err);
void xf_tls_contexts_free(struct xf_tls_contexts *contexts); /* accepts NULL */
/* Tickets are sealed with these keys from now on; `keys` must live as long as the contexts. */
void xf_tls_contexts_use_tickets(struct xf_tls_contexts *contexts,
                                 const struct xf_ticket_keys *keys);
/* What sessions need of OpenSSL, looked up now (tls_prepare.c says why); to be called before the
 * first context is made, as often as one likes.  False: no memory; xf_tls_reason() has a word. */
XF_NODISCARD bool xf_tls_prepare(void);
/* Likewise for the authorities that `context` trusts; those of the system are only known once they
 * were asked for. */
XF_NODISCARD bool xf_tls_prepare_trust(struct ssl_ctx_st *context);
/* What holds for every session of ours, on either side: TLS 1.2 at least, no renegotiation, and no
 * key that asks for a passphrase. */
XF_NODISCARD bool xf_tls_set_common(struct ssl_ctx_st *context);
/* To be asked before OpenSSL opens a file: a pipe in the place of one would stop the worker. False:
 * xf_tls_reason() says why. */
XF_NODISCARD bool xf_tls_is_file(const char *path);
/* OpenSSL's word for the last error. */
const char *xf_tls_reason(void);
/* Loads and forgets: whether the listeners of `config` could serve, and reach their clusters. */
XF_NODISCARD int xf_tls_check(const struct xf_config *config, struct xf_error *err);
/* When the first certificate of the file ends, in seconds of the epoch; -1: it tells nothing. */
int64_t xf_tls_expiry(const char *path);

#endif
