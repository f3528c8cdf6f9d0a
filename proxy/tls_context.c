/*
 * tls_context.c -- loading certificates and keys, ALPN, and sealing tickets; see tls_context.h.
 */
#include "proxy/tls_context.h"

#include "proxy/tls_cluster.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NAME_BYTES   16u
#define HMAC_BYTES   32u
#define HMAC_AT      NAME_BYTES
#define CIPHER_AT    (NAME_BYTES + HMAC_BYTES)
#define LOOKS_MAX    64 /* at keys that are being written; then the session goes without a ticket */
#define KEY_BYTES    sizeof(((struct xf_ticket_keys *) 0)->keys[0])
#define KEYS_MAX     XF_COUNT(((struct xf_ticket_keys *) 0)->keys)
#define TLS12_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"

/* ---- tickets ---- */

struct keys {
    unsigned count;
    uint8_t keys[KEYS_MAX][KEY_BYTES];
};

static bool read_keys(const struct xf_ticket_keys *from, struct keys *ret)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        uint32_t before = atomic_load_explicit(&from->sequence, memory_order_acquire);
        ret->count = from->count;
        memcpy(ret->keys, from->keys, sizeof(ret->keys));
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) == 0 &&
            before == atomic_load_explicit(&from->sequence, memory_order_relaxed)) {
            return ret->count > 0 && ret->count <= KEYS_MAX;
        }
    }
    return false;
}

int xf_tls_set_tickets(struct xf_ticket_keys *keys, const struct xf_ticket_keys *from,
                       struct xf_error *err)
{
    struct keys new = {.count = 1};
    if (from != NULL && !read_keys(from, &new)) {
        return XF_FAIL(err, XF_E_SYSTEM, "the ticket keys of the last edition cannot be read");
    }
    if (from == NULL && getrandom(new.keys[0], KEY_BYTES, 0) != (ssize_t) KEY_BYTES) {
        return XF_FAIL(err, XF_E_SYSTEM, "no random bytes: %s", strerrordesc_np(errno));
    }
    atomic_fetch_add_explicit(&keys->sequence, 1, memory_order_acq_rel);
    keys->count = new.count;
    memcpy(keys->keys, new.keys, sizeof(keys->keys));
    atomic_fetch_add_explicit(&keys->sequence, 1, memory_order_release);
    OPENSSL_cleanse(&new, sizeof(new));
    return 0;
}

static bool set_up(const uint8_t *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int seal)
{
    char digest[] = "SHA256";
    uint8_t secret[HMAC_BYTES];
    memcpy(secret, key + HMAC_AT, sizeof(secret));
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof(secret)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool done =
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + CIPHER_AT, iv, seal) == 1 &&
        EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(secret, sizeof(secret));
    return done;
}

/* 1: done; 0: no ticket, or one that is not ours; -1: failure.  As OpenSSL wants it. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    struct keys keys;
    int result = 0;
    if (!read_keys(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), &keys)) {
        return 0;
    }
    if (seal) {
        memcpy(name, keys.keys[0], NAME_BYTES);
        bool done = RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc())) == 1 &&
                    set_up(keys.keys[0], iv, cipher, mac, 1);
        result = done ? 1 : -1;
    } else {
        for (unsigned i = 0; i < keys.count && result == 0; i++) {
            if (memcmp(name, keys.keys[i], NAME_BYTES) == 0) {
                result = set_up(keys.keys[i], iv, cipher, mac, 0) ? 1 : -1;
            }
        }
    }
    OPENSSL_cleanse(&keys, sizeof(keys));
    return result;
}

void xf_tls_contexts_use_tickets(struct xf_tls_contexts *contexts,
                                 const struct xf_ticket_keys *keys)
{
    for (unsigned i = 0; i < contexts->count; i++) {
        if (contexts->of[i] != NULL) {
            SSL_CTX_set_app_data(contexts->of[i], (void *) (uintptr_t) keys);
            (void) SSL_CTX_set_tlsext_ticket_key_evp_cb(contexts->of[i], on_ticket);
        }
    }
}

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

static bool set_rules(SSL_CTX *context)
{
    static const unsigned char id[] = "crossfade";
    (void) SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                            SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void) SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void) SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_num_tickets(context, 1) == 1 &&
           SSL_CTX_set_cipher_list(context, TLS12_SUITES) == 1 &&
           SSL_CTX_set_session_id_context(context, id, sizeof(id) - 1) == 1;
}

static int load(SSL_CTX *context, unsigned listener, const struct xf_config_tls *tls,
                struct xf_error *err)
{
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "listeners[%u].tls.certificate: %.160s: %s", listener,
                       tls->certificate, xf_tls_reason());
    }
    if (SSL_CTX_use_PrivateKey_file(context, tls->key, SSL_FILETYPE_PEM) != 1) {
        return XF_FAIL(err, XF_E_CONFIG, "listeners[%u].tls.key: %.160s: %s", listener, tls->key,
                       xf_tls_reason());
    }
    return 0;
}

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

static int load_listener(const struct xf_config *config, unsigned listener, SSL_CTX **ret,
                         struct xf_error *err)
{
    const struct xf_config_tls *tls = &config->listeners[listener].tls;
    if (tls->certificate == NULL) {
        return 0;
    }
    ERR_clear_error();
    *ret = SSL_CTX_new(TLS_server_method());
    if (*ret == NULL || !set_rules(*ret)) {
        return XF_FAIL(err, XF_E_SYSTEM, "OpenSSL: %s", xf_tls_reason());
    }
    return load(*ret, listener, tls, err);
}

int xf_tls_contexts_load(const struct xf_config *config, struct xf_tls_contexts **ret,
                         struct xf_error *err)
{
    unsigned count = config->listeners_count, clusters = config->clusters_count;
    struct xf_tls_contexts *contexts =
        calloc(1, sizeof(*contexts) + (count + clusters) * sizeof(contexts->of[0]));
    if (contexts == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for TLS");
    }
    *contexts = (struct xf_tls_contexts){.count = count,
                                         .clusters_count = clusters,
                                         .servers_count = config->servers_count,
                                         .to = contexts->of + count};
    int failed = 0;
    for (unsigned i = 0; i < count && failed == 0; i++) {
        failed = load_listener(config, i, &contexts->of[i], err);
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
        free(contexts);
    }
}

int xf_tls_check(const struct xf_config *config, struct xf_error *err)
{
    struct xf_tls_contexts *contexts;
    if (xf_tls_contexts_load(config, &contexts, err) != 0) {
        return -1;
    }
    xf_tls_contexts_free(contexts);
    return 0;
}
