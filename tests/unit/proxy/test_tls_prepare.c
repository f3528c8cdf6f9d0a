/*
 * test_tls_prepare.c -- a lack of memory that comes after the preparation passes without a trace.
 */
#include "proxy/transport/tls_context.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* OpenSSL itself loses a little where it has no memory: LeakSanitizer is asked to be silent. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

static bool scarce; /* nothing can be had */

static void *get(size_t size, const char *file, int line)
{
    (void) file;
    (void) line;
    return scarce ? NULL : malloc(size);
}

static void *get_more(void *memory, size_t size, const char *file, int line)
{
    (void) file;
    (void) line;
    return scarce ? NULL : realloc(memory, size);
}

static void give_back(void *memory, const char *file, int line)
{
    (void) file;
    (void) line;
    free(memory);
}

static bool find_kdf(const char *name)
{
    EVP_KDF *found = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_free(found);
    return found != NULL;
}

static bool find_exchange(const char *name)
{
    EVP_KEYEXCH *found = EVP_KEYEXCH_fetch(NULL, name, NULL);
    EVP_KEYEXCH_free(found);
    return found != NULL;
}

static bool find_signature(const char *name)
{
    EVP_SIGNATURE *found = EVP_SIGNATURE_fetch(NULL, name, NULL);
    EVP_SIGNATURE_free(found);
    return found != NULL;
}

/* Fetched by a handshake, and not among the algorithms that the preparation names. */
static void what_a_handshake_fetches_is_found_after_a_lack_of_memory(void **state)
{
    (void) state;
    assert_true(xf_tls_prepare());
    scarce = true;
    (void) find_kdf("HKDF");
    (void) find_exchange("X25519");
    (void) find_signature("ED25519");
    scarce = false;
    assert_true(find_kdf("TLS13-KDF"));
    assert_true(find_kdf("TLS1-PRF"));
    assert_true(find_exchange("X25519"));
    assert_true(find_signature("ED25519"));
}

static X509 *make_authority(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = X509_new();
    X509V3_CTX context;
    X509V3_set_ctx(&context, made, made, NULL, NULL, 0);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE");
    assert_non_null(extension);
    assert_int_equal(X509_set_version(made, 2), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    assert_int_equal(X509_set_pubkey(made, key), 1);
    assert_int_equal(X509_add_ext(made, extension, -1), 1);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    X509_EXTENSION_free(extension);
    EVP_PKEY_free(key);
    return made;
}

static void an_authority_is_believed_after_a_lack_of_memory(void **state)
{
    (void) state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    X509 *authority = make_authority();
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority), 1);
    assert_true(xf_tls_prepare_trust(context));
    scarce = true;
    (void) X509_check_ca(authority);
    scarce = false;
    assert_int_equal(X509_check_ca(authority), 1);
    X509_free(authority);
    SSL_CTX_free(context);
}

static void a_preparation_without_memory_says_so(void **state)
{
    (void) state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    X509 *authority = make_authority();
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority), 1);
    scarce = true;
    assert_false(xf_tls_prepare_trust(context));
    scarce = false;
    X509_free(authority);
    SSL_CTX_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_handshake_fetches_is_found_after_a_lack_of_memory),
        cmocka_unit_test(an_authority_is_believed_after_a_lack_of_memory),
        cmocka_unit_test(a_preparation_without_memory_says_so),
    };
    if (CRYPTO_set_mem_functions(get, get_more, give_back) != 1) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
