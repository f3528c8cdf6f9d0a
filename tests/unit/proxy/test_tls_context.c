/*
 * test_tls_context.c -- several certificates on one listener: which one a client gets by the name
 * that it asks for, and what it gets whatever it asks for.
 */
#include "proxy/transport/tls_context.h"
#include "proxy/transport/tls_tickets.h"

#include "certificate.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CERTIFICATES 3u

/* The first is the listener's own. */
static const char *const hosts[CERTIFICATES] = {"first.test", "*.second.test", "third.test"};

struct listener {
    char folder[64], paths[2 * CERTIFICATES][96]; /* certificates, then keys */
    struct xf_config_listener listener;
    struct xf_config_tls more[CERTIFICATES - 1];
    struct xf_config config;
    struct xf_tls_contexts *contexts;
    struct xf_ticket_keys tickets;
    SSL_CTX *rules; /* the client's */
};

static void write_pair(const struct listener *listener, unsigned i)
{
    EVP_PKEY *key;
    X509 *certificate;
    make_certificate(hosts[i], &certificate, &key);
    write_certificate(listener->paths[i], certificate);
    FILE *file = fopen(listener->paths[CERTIFICATES + i], "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    struct xf_error err;
    assert_non_null(listener);
    strcpy(listener->folder, "/tmp/crossfade-test-XXXXXX");
    assert_non_null(mkdtemp(listener->folder));
    for (unsigned i = 0; i < 2 * CERTIFICATES; i++) {
        snprintf(listener->paths[i], sizeof(listener->paths[i]), "%s/%u", listener->folder, i);
    }
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        struct xf_config_tls *tls = i == 0 ? &listener->listener.tls : &listener->more[i - 1];
        write_pair(listener, i);
        tls->certificate = listener->paths[i];
        tls->key = listener->paths[CERTIFICATES + i];
    }
    listener->listener.tls_more = listener->more;
    listener->listener.tls_more_count = CERTIFICATES - 1;
    listener->config.listeners = &listener->listener;
    listener->config.listeners_count = 1;
    assert_int_equal(xf_tls_contexts_load(&listener->config, &listener->contexts, &err), 0);
    assert_int_equal(xf_tls_set_tickets(&listener->tickets, NULL, &err), 0);
    xf_tls_contexts_use_tickets(listener->contexts, &listener->tickets);
    listener->rules = SSL_CTX_new(TLS_client_method());
    assert_non_null(listener->rules);
    *state = listener;
    return 0;
}

static int tear_down(void **state)
{
    struct listener *listener = *state;
    SSL_CTX_free(listener->rules);
    xf_tls_contexts_free(listener->contexts);
    for (unsigned i = 0; i < 2 * CERTIFICATES; i++) {
        unlink(listener->paths[i]);
    }
    rmdir(listener->folder);
    free(listener);
    return 0;
}

/* A client that asks for `name` (NULL: for none), after its handshake and with its ticket. */
static SSL *shake(const struct listener *listener, const char *name, SSL_SESSION *session)
{
    SSL *client = SSL_new(listener->rules), *server = SSL_new(listener->contexts->of[0]);
    BIO *near, *far;
    char byte;
    assert_int_equal(BIO_new_bio_pair(&near, 65536, &far, 65536), 1);
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    if (name != NULL) {
        assert_int_equal(SSL_set_tlsext_host_name(client, name), 1);
    }
    if (session != NULL) {
        assert_int_equal(SSL_set_session(client, session), 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        (void) SSL_do_handshake(client);
        (void) SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    assert_int_equal(SSL_write(server, "x", 1), 1);
    assert_int_equal(SSL_read(client, &byte, 1), 1); /* in TLS 1.3 the ticket came before it */
    SSL_free(server);
    return client;
}

/* Ends it as a client does whose session is to be resumed. */
static void end(SSL *client)
{
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
}

static const char *subject(const SSL *client, char *out, int bytes)
{
    const X509 *certificate = SSL_get0_peer_certificate(client);
    assert_non_null(certificate);
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, out,
                                          bytes) > 0);
    return out;
}

static void the_name_chooses_the_certificate(void **state)
{
    static const struct {
        const char *asked;
        unsigned expect; /* of hosts */
    } rows[] = {
        {NULL, 0},
        {"first.test", 0},
        {"a.second.test", 1},
        {"A.Second.TEST", 1},
        {"third.test", 2},
        {"second.test", 0}, /* `*` is one label */
        {"a.b.second.test", 0},
        {"unknown.test", 0},
        {"third.test.evil", 0},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct listener *listener = *state;
    for (size_t v = 0; v < XF_COUNT(versions); v++) {
        assert_int_equal(SSL_CTX_set_max_proto_version(listener->rules, versions[v]), 1);
        for (size_t i = 0; i < XF_COUNT(rows); i++) {
            char got[128];
            SSL *client = shake(listener, rows[i].asked, NULL);
            assert_int_equal(SSL_version(client), versions[v]);
            assert_string_equal(subject(client, got, sizeof(got)), hosts[rows[i].expect]);
            end(client);
        }
    }
}

static void a_ticket_resumes_whichever_certificate_was_chosen(void **state)
{
    static const char *const asked[CERTIFICATES] = {"first.test", "a.second.test", "third.test"};
    struct listener *listener = *state;
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        SSL *client = shake(listener, asked[i], NULL);
        assert_false(SSL_session_reused(client));
        SSL_SESSION *session = SSL_get1_session(client);
        end(client);
        client = shake(listener, asked[i], session);
        assert_true(SSL_session_reused(client));
        end(client);
        SSL_SESSION_free(session);
    }
}

static void a_bad_one_among_several_is_named(void **state)
{
    struct listener *listener = *state;
    struct xf_error err;
    listener->more[1].key = listener->paths[CERTIFICATES]; /* the first one's */
    assert_int_equal(xf_tls_check(&listener->config, &err), -1);
    assert_non_null(strstr(err.message, "listeners[0].tls.key: "));
    assert_non_null(strstr(err.message, listener->paths[CERTIFICATES]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_name_chooses_the_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ticket_resumes_whichever_certificate_was_chosen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_bad_one_among_several_is_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
