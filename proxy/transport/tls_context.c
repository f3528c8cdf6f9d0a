/*
 * tls_context.c -- see tls_context.h.
 */
#include "proxy/transport/tls_context.h"

#include "proxy/transport/tls_cluster.h"
#include "proxy/transport/tls_tickets.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TLS12_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"

/* ---- ALPN: a client that offers protocols must offer ours (RFC 7301 3.2) ---- */

static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
                   const unsigned char *offered, unsigned length, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void) ssl;
    (void) context;
    if (SSL_select_next_proto(&chosen, ret_length, ours, sizeof(ours) - 1, offered, length) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- loading ---- */

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void) buffer;
    (void) size;
    (void) writing;
    (void) context;
    return -1;
}

const char *xf_tls_reason(void)
{
    unsigned long last = ERR_peek_last_error();
    const char *text = ERR_reason_error_string(last);
    if (ERR_SYSTEM_ERROR(last)) {
        text = strerrordesc_np((int) ERR_GET_REASON(last));
    }
    return text != NULL ? text : "unknown error";
}

bool xf_tls_set_common(SSL_CTX *context)
{
    (void) SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void) SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    return xf_tls_prepare() && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
}

static bool set_rules(SSL_CTX *context)
{
    static const unsigned char id[] = "crossfade";
    (void) SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void) SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    return xf_tls_set_common(context) && SSL_CTX_set_num_tickets(context, 1) == 1 &&
           SSL_CTX_set_cipher_list(context, TLS12_SUITES) == 1 &&
           SSL_CTX_set_session_id_context(context, id, sizeof(id) - 1) == 1;
}

bool xf_tls_is_file(const char *path)
{
    struct stat status;
    int why = stat(path, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EINVAL;
    if (why != 0) {
        ERR_raise(ERR_LIB_SYS, why);
    }
    return why == 0;
}

static bool digest_file(const char *path, unsigned char ret[static SHA256_DIGEST_LENGTH])
{
    char bytes[4096];
    FILE *file = fopen(path, "re");
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good =
        file != NULL && digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;
    size_t got;
    while (good && (got = fread(bytes, 1, sizeof(bytes), file)) > 0) {
        good = EVP_DigestUpdate(digest, bytes, got) == 1;
    }
    good = good && ferror(file) == 0 && EVP_DigestFinal_ex(digest, ret, NULL) == 1;
    EVP_MD_CTX_free(digest);
    if (file != NULL) {
        fclose(file);
    }
    return good;
}

static int load_pair(SSL_CTX *context, unsigned listener, const struct xf_config_tls *tls,
                     struct xf_error *err)
{
    if (!xf_tls_is_file(tls->certificate) ||
        SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "listeners[%u].tls.certificate: %.160s: %s", listener,
                       tls->certificate, xf_tls_reason());
    }
    if (!xf_tls_is_file(tls->key) ||
        SSL_CTX_use_PrivateKey_file(context, tls->key, SSL_FILETYPE_PEM) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "listeners[%u].tls.key: %.160s: %s", listener, tls->key,
                       xf_tls_reason());
    }
    return 0;
}

/* Clients must prove themselves.  A session is bound to who vouched for the client, so that a
 * ticket of another listener, or of another authority, opens nothing here. */
static int ask_clients(SSL_CTX *context, unsigned listener, const struct xf_config_tls *tls,
                       struct xf_error *err)
{
    if (tls->client_ca == NULL) {
        return 0;
    }
    unsigned char id[SHA256_DIGEST_LENGTH];
    STACK_OF(X509_NAME) *names =
        xf_tls_is_file(tls->client_ca) ? SSL_load_client_CA_file(tls->client_ca) : NULL;
    if (names == NULL || SSL_CTX_load_verify_locations(context, tls->client_ca, NULL) != 1 ||
        !xf_tls_prepare_trust(context) || !digest_file(tls->client_ca, id)) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return XF_FAIL(err, XF_E_CONFIG, "listeners[%u].tls.client_ca: %.160s: %s", listener,
                       tls->client_ca, xf_tls_reason());
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    (void) SSL_CTX_set_session_id_context(context, id, sizeof(id));
    return 0;
}

/* `rules`: the listener's first certificate, which says what is asked of clients. */
static int load(SSL_CTX **ret, unsigned listener, const struct xf_config_tls *tls,
                const struct xf_config_tls *rules, struct xf_error *err)
{
    ERR_clear_error();
    *ret = SSL_CTX_new(TLS_server_method());
    if (*ret == NULL || !set_rules(*ret)) {
        return XF_FAIL(err, XF_E_SYSTEM, "OpenSSL: %s", xf_tls_reason());
    }
    return load_pair(*ret, listener, tls, err) != 0 ? -1 : ask_clients(*ret, listener, rules, err);
}

/* ---- several certificates: chosen by the name that the client asks for (SNI) ---- */

struct xf_tls_names {
    unsigned count;
    SSL_CTX *of[];
};

static int on_name(SSL *ssl, int *alert, void *context)
{
    const struct xf_tls_names *names = context;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    X509 *first = SSL_CTX_get0_certificate(SSL_get_SSL_CTX(ssl));
    (void) alert;
    if (asked == NULL || X509_check_host(first, asked, 0, 0, NULL) == 1) {
        return SSL_TLSEXT_ERR_OK;
    }
    for (unsigned i = 0; i < names->count; i++) {
        if (X509_check_host(SSL_CTX_get0_certificate(names->of[i]), asked, 0, 0, NULL) == 1) {
            (void) SSL_set_SSL_CTX(ssl, names->of[i]);
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

static int load_more(struct xf_tls_contexts *contexts, unsigned listener,
                     const struct xf_config_listener *from, struct xf_error *err)
{
    SSL_CTX *first = contexts->of[listener];
    struct xf_tls_names *names =
        calloc(1, sizeof(*names) + from->tls_more_count * sizeof(names->of[0]));
    if (names == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for TLS");
    }
    contexts->names[listener] = names;
    for (unsigned i = 0; i < from->tls_more_count; i++) {
        if (load(&names->of[names->count++], listener, &from->tls_more[i], &from->tls, err) != 0) {
            return -1;
        }
    }
    (void) SSL_CTX_set_tlsext_servername_callback(first, on_name);
    (void) SSL_CTX_set_tlsext_servername_arg(first, names);
    return 0;
}

static void free_names(struct xf_tls_names *names)
{
    for (unsigned i = 0; names != NULL && i < names->count; i++) {
        SSL_CTX_free(names->of[i]);
    }
    free(names);
}

/* ---- all together ---- */

bool xf_tls_wanted(const struct xf_config *config)
{
    for (unsigned i = 0; i < config->listeners_count; i++) {
        if (config->listeners[i].tls.certificate != NULL) {
            return true;
        }
    }
    for (unsigned i = 0; i < config->clusters_count; i++) {
        if (config->clusters[i].tls.enabled) {
            return true;
        }
    }
    return false;
}

static int load_listener(struct xf_tls_contexts *contexts, unsigned listener,
                         const struct xf_config_listener *from, struct xf_error *err)
{
    if (from->tls.certificate == NULL) {
        return 0;
    }
    if (load(&contexts->of[listener], listener, &from->tls, &from->tls, err) != 0) {
        return -1;
    }
    return from->tls_more_count > 0 ? load_more(contexts, listener, from, err) : 0;
}

int xf_tls_contexts_load(const struct xf_config *config, struct xf_tls_contexts **ret,
                         struct xf_error *err)
{
    unsigned count = config->listeners_count, clusters = config->clusters_count;
    struct xf_tls_contexts *contexts =
        calloc(1, sizeof(*contexts) + (count + clusters) * sizeof(contexts->of[0]));
    struct xf_tls_names **names = calloc(count + 1, sizeof(names[0]));
    if (contexts == NULL || names == NULL) {
        free(contexts);
        free(names);
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for TLS");
    }
    *contexts = (struct xf_tls_contexts){.count = count,
                                         .clusters_count = clusters,
                                         .servers_count = config->servers_count,
                                         .names = names,
                                         .to = contexts->of + count};
    int failed = 0;
    for (unsigned i = 0; i < count && failed == 0; i++) {
        failed = load_listener(contexts, i, &config->listeners[i], err);
    }
    for (unsigned i = 0; i < clusters && failed == 0; i++) {
        if (config->clusters[i].tls.enabled) {
            failed = xf_tls_cluster_load(&config->clusters[i], &contexts->to[i], err);
        }
    }
    ERR_clear_error();
    if (failed != 0) {
        xf_tls_contexts_free(contexts);
        return -1;
    }
    *ret = contexts;
    return 0;
}

void xf_tls_contexts_free(struct xf_tls_contexts *contexts)
{
    if (contexts != NULL) {
        for (unsigned i = 0; i < contexts->count + contexts->clusters_count; i++) {
            SSL_CTX_free(contexts->of[i]); /* those of the clusters stand behind */
        }
        for (unsigned i = 0; i < contexts->count; i++) {
            free_names(contexts->names[i]);
        }
        free(contexts->names);
        free(contexts);
    }
}

void xf_tls_contexts_use_tickets(struct xf_tls_contexts *contexts,
                                 const struct xf_ticket_keys *keys)
{
    for (unsigned i = 0; i < contexts->count; i++) {
        if (contexts->of[i] != NULL) {
            xf_tls_use_tickets(contexts->of[i], keys);
        }
        for (unsigned k = 0; contexts->names[i] != NULL && k < contexts->names[i]->count; k++) {
            xf_tls_use_tickets(contexts->names[i]->of[k], keys);
        }
    }
}

int64_t xf_tls_expiry(const char *path)
{
    struct tm when;
    FILE *file = xf_tls_is_file(path) ? fopen(path, "re") : NULL;
    X509 *first = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    int64_t at = -1;
    if (first != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(first), &when) == 1) {
        at = (int64_t) timegm(&when);
    }
    X509_free(first);
    if (file != NULL) {
        fclose(file);
    }
    ERR_clear_error();
    return at;
}

int xf_tls_check(const struct xf_config *config, struct xf_error *err)
{
    struct xf_tls_contexts *contexts;
    if (xf_tls_contexts_load(config, &contexts, err) != 0) {
        return -1;
    }
    xf_tls_contexts_free(contexts);
    const char *file = xf_tls_tickets_file(config);
    struct xf_ticket_keys keys = {.sequence = 0};
    int failed = file != NULL ? xf_tls_load_tickets(&keys, file, err) : 0;
    OPENSSL_cleanse(&keys, sizeof(keys));
    return failed;
}
