/*
 * tls_prepare.c -- what OpenSSL would look up at the first handshake, looked up before it.
 *
 * OpenSSL asks its providers once for the algorithms of each operation, and takes note that it
 * asked even where it had no memory for the answer: from then on they are "unsupported" for as long
 * as the process lives.  A process that met a lack of memory in its first handshake would never
 * finish another.  So each operation is asked for here, where whoever starts can still give up.
 * Likewise the extensions of an authority are read once, and where that failed it is believed no
 * more.
 */
#include "proxy/transport/tls_context.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* What is found stays in the library; only our hold of it is given back. */
#define KNOWS(type, name)                                                                          \
    static bool knows_##type(const char *name)                                                     \
    {                                                                                              \
        type *found = type##_fetch(NULL, name, NULL);                                              \
        type##_free(found);                                                                        \
        return found != NULL;                                                                      \
    }

KNOWS(EVP_MD, name)
KNOWS(EVP_CIPHER, name)
KNOWS(EVP_MAC, name)
KNOWS(EVP_KDF, name)
KNOWS(EVP_KEYMGMT, name)
KNOWS(EVP_KEYEXCH, name)
KNOWS(EVP_SIGNATURE, name)
KNOWS(EVP_ASYM_CIPHER, name)
KNOWS(EVP_KEM, name)
KNOWS(OSSL_DECODER, name)

/* One of each operation brings all of its algorithms; those are named without which no session
 * of ours comes about. */
static const struct {
    bool (*knows)(const char *name);
    const char *name;
} needed[] = {
    {knows_EVP_MD, "SHA2-256"},        {knows_EVP_MD, "SHA2-384"},
    {knows_EVP_CIPHER, "AES-128-GCM"}, {knows_EVP_CIPHER, "AES-256-GCM"},
    {knows_EVP_CIPHER, "AES-256-CBC"}, {knows_EVP_MAC, "HMAC"},
    {knows_EVP_KDF, "TLS13-KDF"},      {knows_EVP_KDF, "TLS1-PRF"},
    {knows_EVP_KDF, "HKDF"},           {knows_EVP_KEYMGMT, "EC"},
    {knows_EVP_KEYMGMT, "RSA"},        {knows_EVP_KEYEXCH, "ECDH"},
    {knows_EVP_SIGNATURE, "ECDSA"},    {knows_EVP_SIGNATURE, "RSA"},
    {knows_EVP_ASYM_CIPHER, "RSA"},    {knows_EVP_KEM, "RSA"},
    {knows_OSSL_DECODER, "EC"},        {knows_OSSL_DECODER, "RSA"},
};

bool xf_tls_prepare(void)
{
    unsigned char byte;
    for (size_t i = 0; i < XF_COUNT(needed); i++) {
        if (!needed[i].knows(needed[i].name)) {
            return false;
        }
    }
    /* Numbers that OpenSSL draws once for all; and both of its sources of randomness. */
    return SSL_get_ex_data_X509_STORE_CTX_idx() >= 0 && RAND_bytes(&byte, 1) == 1 &&
           RAND_priv_bytes(&byte, 1) == 1;
}

/* Whether memory was among what was missing; empties OpenSSL's list of errors. */
static bool was_memory(void)
{
    bool found = false;
    for (unsigned long error; (error = ERR_get_error()) != 0;) {
        found |= ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    }
    return found;
}

bool xf_tls_prepare_trust(SSL_CTX *context)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    ERR_clear_error();
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        /* One of a bundle may be faulty: that is for whoever presents it. */
        if (authority != NULL && X509_check_purpose(authority, -1, 0) != 1 && was_memory()) {
            ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE); /* for xf_tls_reason() */
            return false;
        }
    }
    ERR_clear_error();
    return true;
}
