/*
 * tls_session.h -- a session's inside, for tls.c (bytes) and tls_upstream.c (towards servers) only.
 */
#ifndef XF_PROXY_TLS_SESSION_H
#define XF_PROXY_TLS_SESSION_H

#include "proxy/transport/tls.h"

#include <openssl/ssl.h>

#define XF_TLS_IN_BYTES  65536u  /* read from the socket in one go */
#define XF_TLS_OUT_BYTES 131072u /* a batch, or a handshake with a long chain */
#define XF_TLS_WHY_BYTES 160u

struct xf_tls_worker {
    struct xf_tls_contexts *contexts;
    struct xf_slab *slab;
    struct xf_stats_header *stats;
    BIO_METHOD *method;
    SSL_SESSION **sessions;           /* by server: the last one, to resume; NULL: none */
    size_t in_at, in_end, out_length; /* of the session that is being worked on */
    char why[XF_TLS_WHY_BYTES];
    char in[XF_TLS_IN_BYTES], out[XF_TLS_OUT_BYTES];
};

struct xf_tls {
    struct xf_tls_worker *worker;
    SSL *ssl;
    struct xf_buffer *kept;   /* ciphertext that was read and not yet wanted */
    struct xf_buffer *unsent; /* ciphertext that did not fit into the socket */
    size_t owed;              /* of the next bytes to send so many are in `unsent` already */
    unsigned server;          /* over all clusters, where `to_server` */
    bool to_server;           /* we are the client */
    bool counted;             /* the handshake is over */
    bool failed;              /* nothing more may be done with it */
    bool finished;            /* close_notify was sent */
    bool patient; /* `unsent` waits for the next bytes to leave with, not for the socket */
};

enum xf_tls_ending {
    XF_TLS_GOES_ON,
    XF_TLS_FULL,  /* the reader's memory is */
    XF_TLS_ENDED, /* in order, or by the end of the connection */
    XF_TLS_LOST
};

/* A session over the worker's memory that is not yet either side; NULL without memory. */
struct xf_tls *xf_tls_begin(struct xf_tls_worker *worker, SSL_CTX *context);
/* Reads from the socket into the worker's memory; *ret_last: it had no more. */
enum xf_tls_ending xf_tls_feed(struct xf_conn *conn, size_t size, bool *ret_last);
/* Keeps what was read and not wanted. */
XF_NODISCARD bool xf_tls_keep_input(struct xf_tls *tls);
/* Sends what OpenSSL made, behind what already waits; false: the connection is lost, which the
 * session remembers. */
bool xf_tls_push_out(struct xf_conn *conn, int flags);

/* The sessions that may be resumed, one for each server (tls_upstream.c). */
XF_NODISCARD bool xf_tls_sessions_init(struct xf_tls_worker *worker);
void xf_tls_sessions_release(struct xf_tls_worker *worker);

#endif
