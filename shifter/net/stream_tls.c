/*
 * stream_tls.c -- see stream_tls.h.
 */
#include "shifter/net/stream_tls.h"

#include "proxy/transport/tls_context.h"
#include "shifter/net/stream.h"

#include <event2/buffer.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES 16384

struct xf_stream_tls {
    SSL_CTX *context;
    SSL *ssl;
    BIO *from_wire; /* owned by ssl */
    BIO *to_wire;   /* owned by ssl */
    bool open;
    char why[160];
};

static const char *library_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "unknown reason";
}

static int load_files(SSL_CTX *context, const struct xf_stream_options *options,
                      struct xf_error *err)
{
    int loaded = options->ca != NULL ? SSL_CTX_load_verify_file(context, options->ca)
                                     : SSL_CTX_set_default_verify_paths(context);
    if (loaded != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "TLS to %s: cannot read the CA file %s: %s", options->host,
                       options->ca != NULL ? options->ca : "of the system", library_reason());
    }
    if (options->certificate == NULL) {
        return 0;
    }
    const char *key = options->key != NULL ? options->key : options->certificate;
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "TLS to %s: cannot use %s with %s: %s", options->host,
                       options->certificate, key, library_reason());
    }
    return 0;
}

/* The certificate must name the host, which may be an address. */
static bool expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) {
        return true;
    }
    ERR_clear_error();
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int xf_stream_tls_create(const struct xf_stream_options *options, struct xf_stream_tls **ret,
                         struct xf_error *err)
{
    struct xf_stream_tls *tls = calloc(1, sizeof(*tls));
    ERR_clear_error();
    if (tls == NULL || !xf_tls_prepare() ||
        (tls->context = SSL_CTX_new(TLS_client_method())) == NULL) {
        free(tls);
        return XF_FAIL(err, XF_E_NO_MEMORY, "TLS to %s: out of memory", options->host);
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    if (load_files(tls->context, options, err) != 0) {
        xf_stream_tls_destroy(tls);
        return -1;
    }
    tls->ssl = SSL_new(tls->context);
    tls->from_wire = BIO_new(BIO_s_mem());
    tls->to_wire = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->from_wire == NULL || tls->to_wire == NULL ||
        !expect_host(tls->ssl, options->host)) {
        BIO_free(tls->from_wire);
        BIO_free(tls->to_wire);
        xf_stream_tls_destroy(tls);
        return XF_FAIL(err, XF_E_NO_MEMORY, "TLS to %s: cannot be set up", options->host);
    }
    SSL_set_bio(tls->ssl, tls->from_wire, tls->to_wire);
    SSL_set_connect_state(tls->ssl);
    *ret = tls;
    return 0;
}

void xf_stream_tls_destroy(struct xf_stream_tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl);
        SSL_CTX_free(tls->context);
        free(tls);
    }
}

static bool feed(struct xf_stream_tls *tls, struct evbuffer *wire_in)
{
    size_t length = evbuffer_get_length(wire_in);
    if (length == 0) {
        return true;
    }
    const unsigned char *bytes = evbuffer_pullup(wire_in, -1);
    bool fed = bytes != NULL && length <= INT_MAX &&
               BIO_write(tls->from_wire, bytes, (int) length) == (int) length;
    evbuffer_drain(wire_in, length);
    return fed;
}

static bool collect(struct xf_stream_tls *tls, struct evbuffer *wire_out)
{
    char piece[PIECE_BYTES];
    int got;
    while ((got = BIO_read(tls->to_wire, piece, sizeof(piece))) > 0) {
        if (evbuffer_add(wire_out, piece, (size_t) got) != 0) {
            return false;
        }
    }
    return true;
}

static enum xf_stream_tls_state failed(struct xf_stream_tls *tls)
{
    long verify = SSL_get_verify_result(tls->ssl);
    if (verify != X509_V_OK) {
        snprintf(tls->why, sizeof(tls->why), "TLS: the certificate is refused: %s",
                 X509_verify_cert_error_string(verify));
    } else {
        snprintf(tls->why, sizeof(tls->why), "TLS: %s", library_reason());
    }
    return XF_TLS_FAILED;
}

/* What an SSL call came to when it gave nothing: waiting, the peer's orderly end, or failure. */
static enum xf_stream_tls_state judge(struct xf_stream_tls *tls, int code,
                                      enum xf_stream_tls_state waiting)
{
    switch (SSL_get_error(tls->ssl, code)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return waiting;
    case SSL_ERROR_ZERO_RETURN:
        return XF_TLS_ENDED;
    default:
        return failed(tls);
    }
}

static enum xf_stream_tls_state decrypt(struct xf_stream_tls *tls, struct evbuffer *in)
{
    char piece[PIECE_BYTES];
    for (;;) {
        int got = SSL_read(tls->ssl, piece, sizeof(piece));
        if (got <= 0) {
            return judge(tls, got, XF_TLS_OPEN);
        }
        if (evbuffer_add(in, piece, (size_t) got) != 0) {
            return failed(tls);
        }
    }
}

enum xf_stream_tls_state xf_stream_tls_advance(struct xf_stream_tls *tls, struct evbuffer *wire_in,
                                               struct evbuffer *in, struct evbuffer *wire_out)
{
    enum xf_stream_tls_state state = XF_TLS_SHAKING;
    ERR_clear_error();
    if (!feed(tls, wire_in)) {
        return failed(tls);
    }
    if (!tls->open) {
        int code = SSL_do_handshake(tls->ssl);
        tls->open = code == 1;
        state = tls->open ? XF_TLS_OPEN : judge(tls, code, XF_TLS_SHAKING);
    }
    if (tls->open) {
        state = decrypt(tls, in);
    }
    return collect(tls, wire_out) ? state : failed(tls);
}

bool xf_stream_tls_send(struct xf_stream_tls *tls, const void *bytes, size_t length,
                        struct evbuffer *wire_out)
{
    ERR_clear_error();
    if (!tls->open || length > INT_MAX) {
        return false;
    }
    /* A memory BIO takes everything, so one write is a whole one. */
    if (length > 0 && SSL_write(tls->ssl, bytes, (int) length) != (int) length) {
        return false;
    }
    return collect(tls, wire_out);
}

const char *xf_stream_tls_why(const struct xf_stream_tls *tls)
{
    return tls->why;
}
