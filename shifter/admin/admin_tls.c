/*
 * admin_tls.c -- see admin_tls.h.
 */
#include "shifter/admin/admin_tls.h"

#include "proxy/transport/tls_context.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

static bool set_rules(SSL_CTX *context)
{
    static const unsigned char id[] = "crossfade-admin";
    (void) SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return xf_tls_set_common(context) && SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_session_id_context(context, id, sizeof(id) - 1) == 1;
}

static int load_files(SSL_CTX *context, const struct xf_config_tls *tls, struct xf_error *err)
{
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "admin.tls.certificate: %.160s: %s", tls->certificate,
                       xf_tls_reason());
    }
    if (SSL_CTX_use_PrivateKey_file(context, tls->key, SSL_FILETYPE_PEM) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "admin.tls.key: %.160s: %s", tls->key, xf_tls_reason());
    }
    if (tls->client_ca == NULL) {
        return 0;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(tls->client_ca);
    if (names == NULL || SSL_CTX_load_verify_locations(context, tls->client_ca, NULL) != 1 ||
        !xf_tls_prepare_trust(context)) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return XF_FAIL(err, XF_E_CONFIG, "admin.tls.client_ca: %.160s: %s", tls->client_ca,
                       xf_tls_reason());
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

int xf_admin_tls_load(const struct xf_config_tls *tls, struct ssl_ctx_st **ret,
                      struct xf_error *err)
{
    *ret = NULL;
    if (tls->certificate == NULL) {
        return 0;
    }
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || !set_rules(context)) {
        SSL_CTX_free(context);
        return XF_FAIL(err, XF_E_SYSTEM, "admin.tls: OpenSSL: %s", xf_tls_reason());
    }
    if (load_files(context, tls, err) != 0) {
        SSL_CTX_free(context);
        return -1;
    }
    *ret = context;
    return 0;
}

static ssize_t outcome(SSL *ssl, int result, bool *ret_wants_write)
{
    if (result > 0) {
        return result;
    }
    int why = SSL_get_error(ssl, result);
    if (why == SSL_ERROR_ZERO_RETURN) {
        return 0;
    }
    *ret_wants_write = why == SSL_ERROR_WANT_WRITE;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

ssize_t xf_admin_tls_receive(struct ssl_st *ssl, void *bytes, size_t size, bool *ret_wants_write)
{
    ERR_clear_error();
    *ret_wants_write = false;
    return outcome(ssl, SSL_read(ssl, bytes, size > INT_MAX ? INT_MAX : (int) size),
                   ret_wants_write);
}

ssize_t xf_admin_tls_send(struct ssl_st *ssl, const void *bytes, size_t size)
{
    bool wants_write;
    ERR_clear_error();
    return outcome(ssl, SSL_write(ssl, bytes, size > INT_MAX ? INT_MAX : (int) size), &wants_write);
}

bool xf_admin_tls_client(struct ssl_st *ssl, char name[XF_TOKEN_NAME_BYTES],
                         enum xf_admin_role *ret)
{
    char unit[XF_TOKEN_NAME_BYTES] = "", common[XF_TOKEN_NAME_BYTES] = "";
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        return false;
    }
    X509_NAME *subject = X509_get_subject_name(certificate);
    (void) X509_NAME_get_text_by_NID(subject, NID_organizationalUnitName, unit, sizeof(unit));
    (void) X509_NAME_get_text_by_NID(subject, NID_commonName, common, sizeof(common));
    if (!xf_admin_role_parse(unit, ret)) {
        *ret = XF_ADMIN_OPERATOR;
    }
    memcpy(name, xf_token_name_valid(common) ? common : "certificate",
           xf_token_name_valid(common) ? strlen(common) + 1 : sizeof("certificate"));
    return true;
}
