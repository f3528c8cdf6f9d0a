/*
 * agent_probe.h -- one check of one server: a TCP connect, and a GET where a path is configured.
 *
 * Never blocks; one time limit covers everything; what is read is bounded.  The GET speaks TLS
 * where the cluster does.
 */
#ifndef XF_SHIFTER_AGENT_PROBE_H
#define XF_SHIFTER_AGENT_PROBE_H

#include "proxy/proxy.h"

#define XF_PROBE_REASON_BYTES 96u

struct event_base;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct xf_probe;

struct xf_probe_options {
    const struct sockaddr_storage *address;
    const char *host; /* as sent in Host */
    const char *path; /* NULL: a connect is enough */
    unsigned expect_low, expect_high;
    const char *body;       /* text the body must contain; NULL: any */
    bool send_proxy;        /* PROXY v2, LOCAL, goes before all else */
    struct ssl_ctx_st *tls; /* of the cluster; NULL: plain text */
    const char *tls_name;   /* whom the server must be */
    int64_t timeout_ms;
};

/* Comes once, later, from the loop; the probe is over then and must not be used any more. */
typedef void xf_probe_done(void *context, bool passed, const char *reason);

/* `options` and what it points at must live until the probe is over.  NULL: out of memory or
 * descriptors. */
XF_NODISCARD struct xf_probe *xf_probe_start(struct event_base *loop,
                                             const struct xf_probe_options *options,
                                             xf_probe_done *done, void *context);
void xf_probe_cancel(struct xf_probe *probe); /* accepts NULL; without a call of `done` */

#endif
