/*
 * tls_tickets.c -- see tls_tickets.h.
 */
#include "proxy/transport/tls_tickets.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NAME_BYTES 16u
#define HMAC_BYTES 32u
#define HMAC_AT    NAME_BYTES
#define CIPHER_AT  (NAME_BYTES + HMAC_BYTES)
#define LOOKS_MAX  64 /* at keys that are being written; then the session goes without a ticket */
#define KEY_BYTES  sizeof(((struct xf_ticket_keys *) 0)->keys[0])
#define KEYS_MAX   XF_COUNT(((struct xf_ticket_keys *) 0)->keys)

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

static void write_keys(struct xf_ticket_keys *to, struct keys *new)
{
    atomic_fetch_add_explicit(&to->sequence, 1, memory_order_acq_rel);
    to->count = new->count;
    memcpy(to->keys, new->keys, sizeof(to->keys));
    atomic_fetch_add_explicit(&to->sequence, 1, memory_order_release);
    OPENSSL_cleanse(new, sizeof(*new));
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
    write_keys(keys, &new);
    return 0;
}

int xf_tls_rotate_tickets(struct xf_ticket_keys *keys, struct xf_error *err)
{
    struct keys new = {.count = 0};
    if (!read_keys(keys, &new)) {
        new.count = 0; /* there was none yet */
    }
    memmove(new.keys[1], new.keys[0], (KEYS_MAX - 1) * KEY_BYTES);
    if (getrandom(new.keys[0], KEY_BYTES, 0) != (ssize_t) KEY_BYTES) {
        return XF_FAIL(err, XF_E_SYSTEM, "no random bytes: %s", strerrordesc_np(errno));
    }
    new.count = new.count < KEYS_MAX ? new.count + 1 : KEYS_MAX;
    write_keys(keys, &new);
    return 0;
}

int xf_tls_load_tickets(struct xf_ticket_keys *keys, const char *path, struct xf_error *err)
{
    struct keys new = {.count = 0};
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char more;
    ssize_t got = file < 0 ? -1 : read(file, new.keys, sizeof(new.keys));
    int error = errno;
    bool whole = got > 0 && (size_t) got % KEY_BYTES == 0 && read(file, &more, 1) == 0;
    if (file >= 0) {
        close(file);
    }
    if (got < 0) {
        return XF_FAIL(err, XF_E_CONFIG, "ticket_keys_file: cannot read %.160s: %s", path,
                       strerrordesc_np(error));
    }
    if (!whole) {
        OPENSSL_cleanse(&new, sizeof(new));
        return XF_FAIL(err, XF_E_CONFIG,
                       "ticket_keys_file: %.160s: expected one to %zu keys of %zu bytes", path,
                       KEYS_MAX, KEY_BYTES);
    }
    new.count = (unsigned) ((size_t) got / KEY_BYTES);
    write_keys(keys, &new);
    return 0;
}

const char *xf_tls_tickets_file(const struct xf_config *config)
{
    for (unsigned i = 0; i < config->listeners_count; i++) {
        if (config->listeners[i].tls.ticket_keys_file != NULL) {
            return config->listeners[i].tls.ticket_keys_file;
        }
    }
    return NULL;
}

/* Looked for among the providers once and not for every ticket; kept until the process ends. */
static const EVP_CIPHER *fetched(void)
{
    static EVP_CIPHER *cipher;
    if (cipher == NULL) {
        cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    }
    return cipher != NULL ? cipher : EVP_aes_256_cbc();
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
    bool done = EVP_CipherInit_ex(cipher, fetched(), NULL, key + CIPHER_AT, iv, seal) == 1 &&
                EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(secret, sizeof(secret));
    return done;
}

/* 1: done; 2: done, and the client gets a newer one; 0: no ticket, or one that is not ours; -1:
 * failure.  As OpenSSL wants it. */
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
                bool newest =
                    i == 0 && SSL_version(ssl) != TLS1_3_VERSION; /* there each is used once */
                result = !set_up(keys.keys[i], iv, cipher, mac, 0) ? -1 : newest ? 1 : 2;
            }
        }
    }
    OPENSSL_cleanse(&keys, sizeof(keys));
    return result;
}

void xf_tls_use_tickets(SSL_CTX *context, const struct xf_ticket_keys *keys)
{
    SSL_CTX_set_app_data(context, (void *) (uintptr_t) keys);
    (void) SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}
