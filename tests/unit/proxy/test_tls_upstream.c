/*
 * test_tls_upstream.c -- our side as the client, against OpenSSL's server over a socket pair.
 */
#include "proxy/transport/tls_cluster.h"
#include "proxy/transport/tls_session.h"

#include "certificate.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define STATS_BYTES ((sizeof(struct xf_stats_header) + 4095u) / 4096u * 4096u)

struct pair {
    char authority[64];
    struct xf_config_server target;
    struct xf_config_cluster cluster;
    struct xf_config config;
    struct xf_tls_contexts *contexts;
    struct xf_slab slab;
    _Atomic uint64_t buffers;
    struct xf_stats_header *stats;
    struct xf_tls_worker *worker;
    struct event_base *loop;
    struct xf_conn conn;
    SSL_CTX *rules;
    SSL *server;
    int fd; /* the server's end */
};

/* A certificate of its own authority, for `kong.example`. */
static void make_rules(struct pair *pair)
{
    EVP_PKEY *key;
    X509 *certificate;
    make_certificate("kong.example", &certificate, &key);
    write_certificate(pair->authority, certificate);
    pair->rules = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(pair->rules, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(pair->rules, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void nothing(evutil_socket_t fd, short what, void *context)
{
    (void) fd;
    (void) what;
    (void) context;
}

static void connect_pair(struct pair *pair)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    xf_conn_prepare(&pair->conn, pair->loop, ends[0], nothing, NULL);
    assert_true(xf_tls_open_server(pair->worker, &pair->cluster, 0, &pair->conn));
    pair->fd = ends[1];
    pair->server = SSL_new(pair->rules);
    SSL_set_bio(pair->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(pair->server);
}

static void disconnect(struct pair *pair)
{
    xf_conn_close(&pair->conn);
    SSL_set_shutdown(pair->server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(pair->server);
    pair->server = NULL;
    if (pair->fd >= 0) {
        close(pair->fd);
    }
}

static void load(struct pair *pair)
{
    struct xf_error err;
    assert_int_equal(xf_tls_contexts_load(&pair->config, &pair->contexts, &err), 0);
    pair->worker = xf_tls_worker_create(pair->contexts, &pair->slab, pair->stats);
    assert_non_null(pair->worker);
}

static void unload(struct pair *pair)
{
    xf_tls_worker_destroy(pair->worker);
    xf_tls_contexts_free(pair->contexts);
}

static int set_up(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    static char name[] = "kong.example", groups[] = "X25519:P-256", cluster[] = "web";
    strcpy(pair->authority, "/tmp/crossfade-test-XXXXXX");
    int file = mkstemp(pair->authority);
    assert_true(file >= 0);
    close(file);
    make_rules(pair);
    pair->target.endpoint.host = name;
    pair->cluster.name = cluster;
    pair->cluster.servers = &pair->target;
    pair->cluster.servers_count = 1;
    pair->cluster.tls = (struct xf_config_upstream_tls){
        .enabled = true, .verify = true, .ca = pair->authority, .groups = groups};
    pair->config.clusters = &pair->cluster;
    pair->config.clusters_count = 1;
    pair->config.servers_count = 1;
    xf_slab_init(&pair->slab, 64u << 20, &pair->buffers);
    pair->stats = aligned_alloc(4096, STATS_BYTES);
    assert_non_null(pair->stats);
    memset(pair->stats, 0, STATS_BYTES);
    pair->loop = event_base_new();
    load(pair);
    connect_pair(pair);
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    disconnect(pair);
    assert_int_equal(pair->slab.used, 0);
    unload(pair);
    xf_slab_release(&pair->slab);
    SSL_CTX_free(pair->rules);
    event_base_free(pair->loop);
    unlink(pair->authority);
    free(pair->stats);
    free(pair);
    return 0;
}

/* At most `step` bytes each way between the server's memory and its socket. */
static void carry(struct pair *pair, size_t step)
{
    char bytes[65536];
    ssize_t got = recv(pair->fd, bytes, step, 0);
    if (got > 0) {
        assert_int_equal(BIO_write(SSL_get_rbio(pair->server), bytes, (int) got), got);
    }
    (void) SSL_do_handshake(pair->server);
    int length = BIO_read(SSL_get_wbio(pair->server), bytes, (int) step);
    if (length > 0) {
        assert_int_equal(send(pair->fd, bytes, (size_t) length, MSG_NOSIGNAL), length);
    }
    pair->conn.readable = pair->conn.writable = true;
}

static enum xf_tls_shake shake(struct pair *pair, size_t step)
{
    enum xf_tls_shake result = XF_SHAKE_GOES_ON;
    for (unsigned i = 0; i < 20000; i++) {
        if (result == XF_SHAKE_GOES_ON) {
            result = xf_tls_shake(&pair->conn);
        }
        carry(pair, step);
        if (result == XF_SHAKE_BROKEN ||
            (result == XF_SHAKE_DONE && SSL_is_init_finished(pair->server))) {
            break;
        }
    }
    return result;
}

/* What the server sends reaches the reader, with its tickets before. */
static void answer(struct pair *pair, const char *text)
{
    char bytes[64];
    assert_int_equal(SSL_write(pair->server, text, (int) strlen(text)), strlen(text));
    carry(pair, 65536);
    assert_int_equal(xf_conn_receive(&pair->conn, bytes, sizeof(bytes)), strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void a_handshake_and_data_pass_whatever_the_cuts(void **state)
{
    struct pair *pair = *state;
    static const size_t steps[] = {1, 7, 101, 65536};
    for (size_t i = 0; i < XF_COUNT(steps); i++) {
        char bytes[64];
        assert_int_equal(shake(pair, steps[i]), XF_SHAKE_DONE);
        assert_string_equal(SSL_get_servername(pair->server, TLSEXT_NAMETYPE_host_name),
                            "kong.example");
        assert_int_equal(xf_conn_send(&pair->conn, "hello", 5), 5);
        carry(pair, 65536);
        assert_int_equal(SSL_read(pair->server, bytes, sizeof(bytes)), 5);
        answer(pair, "world");
        assert_int_equal(pair->stats->tls_handshakes, 0); /* that counts clients */
        disconnect(pair);
        connect_pair(pair);
    }
}

static void a_session_is_resumed_until_a_handshake_fails(void **state)
{
    struct pair *pair = *state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(shake(pair, 65536), XF_SHAKE_DONE);
        answer(pair, "x");
        assert_int_equal(SSL_session_reused(pair->server), i > 0);
        disconnect(pair);
        connect_pair(pair);
    }
    assert_non_null(pair->worker->sessions[0]);
    close(pair->fd);
    pair->fd = -1;
    assert_int_equal(xf_tls_shake(&pair->conn), XF_SHAKE_BROKEN);
    assert_null(pair->worker->sessions[0]);
}

static void only_who_proves_the_name_is_believed(void **state)
{
    struct pair *pair = *state;
    static char other[] = "other.example", address[] = "127.0.0.1";
    const struct {
        char *name;
        bool verify;
        enum xf_tls_shake expected;
    } rows[] = {
        {NULL, true, XF_SHAKE_DONE},      {other, true, XF_SHAKE_BROKEN},
        {address, true, XF_SHAKE_BROKEN}, {other, false, XF_SHAKE_DONE},
        {address, false, XF_SHAKE_DONE},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        disconnect(pair);
        unload(pair);
        pair->cluster.tls.server_name = rows[i].name;
        pair->cluster.tls.verify = rows[i].verify;
        load(pair);
        connect_pair(pair);
        assert_int_equal(shake(pair, 65536), rows[i].expected);
        if (rows[i].expected == XF_SHAKE_BROKEN) {
            assert_non_null(strstr(xf_tls_why(pair->worker), "mismatch"));
        }
    }
}

/* The server's certificate has the wrong name, but nobody asked for the right one. */
static void a_certificate_that_is_not_verified_is_not_blamed(void **state)
{
    struct pair *pair = *state;
    static char other[] = "other.example";
    const struct {
        bool verify;
        const char *why;
    } rows[] = {{true, "mismatch"}, {false, "alert"}};
    assert_int_equal(SSL_CTX_set_max_proto_version(pair->rules, TLS1_2_VERSION), 1);
    SSL_CTX_set_verify(pair->rules, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    pair->cluster.tls.server_name = other;
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        disconnect(pair);
        unload(pair);
        pair->cluster.tls.verify = rows[i].verify;
        load(pair);
        connect_pair(pair);
        assert_int_equal(shake(pair, 65536), XF_SHAKE_BROKEN);
        assert_non_null(strstr(xf_tls_why(pair->worker), rows[i].why));
    }
}

static void an_end_is_only_believed_with_close_notify(void **state)
{
    struct pair *pair = *state;
    char byte;
    for (int polite = 0; polite < 2; polite++) {
        assert_int_equal(shake(pair, 65536), XF_SHAKE_DONE);
        answer(pair, "x");
        if (polite) {
            (void) SSL_shutdown(pair->server);
            carry(pair, 65536);
        }
        assert_int_equal(shutdown(pair->fd, SHUT_WR), 0);
        pair->conn.readable = true;
        assert_int_equal(xf_conn_receive(&pair->conn, &byte, 1), polite ? 0 : XF_CONN_ERROR);
        disconnect(pair);
        connect_pair(pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_handshake_and_data_pass_whatever_the_cuts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_session_is_resumed_until_a_handshake_fails, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_who_proves_the_name_is_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_certificate_that_is_not_verified_is_not_blamed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_only_believed_with_close_notify, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
