/*
 * tls_upstream.c -- the client's side of a session: the handshake with a server, and resuming.
 *
 * The handshake is driven here and not by reads, because nothing may be sent before it is known
 * who answers; upstream.c counts it as a part of connecting.
 */
#include "proxy/transport/tls_cluster.h"
#include "proxy/transport/tls_session.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

/* A ticket came: with the handshake (1.2) or behind it (1.3).  Returns 1: we own it now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct xf_tls *tls = SSL_get_app_data(ssl);
    SSL_SESSION **place = &tls->worker->sessions[tls->server];
    SSL_SESSION_free(*place);
    *place = session;
    return 1;
}

bool xf_tls_sessions_init(struct xf_tls_worker *worker)
{
    const struct xf_tls_contexts *contexts = worker->contexts;
    for (unsigned i = 0; i < contexts->clusters_count; i++) {
        if (contexts->to[i] != NULL) {
            (void) SSL_CTX_set_session_cache_mode(contexts->to[i], SSL_SESS_CACHE_CLIENT |
                                                                       SSL_SESS_CACHE_NO_INTERNAL);
            SSL_CTX_sess_set_new_cb(contexts->to[i], on_session);
        }
    }
    worker->sessions = calloc(contexts->servers_count + 1, sizeof(worker->sessions[0]));
    return worker->sessions != NULL;
}

void xf_tls_sessions_release(struct xf_tls_worker *worker)
{
    for (unsigned i = 0; worker->sessions != NULL && i < worker->contexts->servers_count; i++) {
        SSL_SESSION_free(worker->sessions[i]);
    }
    free(worker->sessions);
}

bool xf_tls_open_server(struct xf_tls_worker *worker, const struct xf_config_cluster *cluster,
                        unsigned server, struct xf_conn *conn)
{
    struct xf_tls *tls = xf_tls_begin(worker, worker->contexts->to[cluster->index]);
    conn->tls = tls;
    if (tls == NULL) {
        return false;
    }
    tls->server = server;
    tls->to_server = true;
    SSL_set_connect_state(tls->ssl);
    /* on_session() needs the data. */
    if (SSL_set_app_data(tls->ssl, tls) != 1 ||
        !xf_tls_expect(tls->ssl, xf_tls_name(cluster, server - cluster->first_server))) {
        xf_tls_drop(conn);
        return false;
    }
    if (worker->sessions[server] != NULL) {
        (void) SSL_set_session(tls->ssl, worker->sessions[server]); /* else a whole handshake */
    }
    return true;
}

const char *xf_tls_why(const struct xf_tls_worker *worker)
{
    return worker->why;
}

/* The reason is kept, the session that may have been the cause is not. */
static enum xf_tls_shake broken(struct xf_tls *tls, const char *why)
{
    struct xf_tls_worker *worker = tls->worker;
    long verified = SSL_get_verify_result(tls->ssl);
    bool refused = SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE && verified != X509_V_OK;
    if (why == NULL && refused) {
        (void) snprintf(worker->why, sizeof(worker->why), "the certificate is refused: %s",
                        X509_verify_cert_error_string(verified));
    } else {
        (void) snprintf(worker->why, sizeof(worker->why), "%s",
                        why != NULL ? why : xf_tls_reason());
    }
    ERR_clear_error();
    SSL_SESSION_free(worker->sessions[tls->server]);
    worker->sessions[tls->server] = NULL;
    tls->failed = true;
    return XF_SHAKE_BROKEN;
}

static enum xf_tls_shake shaken(struct xf_conn *conn)
{
    struct xf_tls *tls = conn->tls;
    tls->counted = true;
    if (!xf_tls_keep_input(tls)) {
        return broken(tls, "out of buffers");
    }
    return XF_SHAKE_DONE;
}

enum xf_tls_shake xf_tls_shake(struct xf_conn *conn)
{
    struct xf_tls *tls = conn->tls;
    struct xf_tls_worker *worker = tls->worker;
    worker->in_at = worker->in_end = worker->out_length = 0;
    if (tls->failed) {
        return broken(tls, "the connection was lost");
    }
    for (;;) {
        bool last;
        ERR_clear_error();
        int done = SSL_do_handshake(tls->ssl);
        int error = SSL_get_error(tls->ssl, done);
        bool good = done == 1 || error == SSL_ERROR_WANT_READ;
        if (!good) {
            enum xf_tls_shake result = broken(tls, NULL);
            (void) xf_tls_push_out(conn, 0); /* the alert */
            return result;
        }
        if (!xf_tls_push_out(conn, 0)) {
            return broken(tls, "the connection was lost");
        }
        if (done == 1) {
            return shaken(conn);
        }
        if (!conn->readable) {
            return XF_SHAKE_GOES_ON;
        }
        if (xf_tls_feed(conn, XF_TLS_IN_BYTES, &last) != XF_TLS_GOES_ON) {
            return broken(tls, "the server closed in the handshake");
        }
        if (worker->in_end == 0) {
            return XF_SHAKE_GOES_ON;
        }
    }
}
