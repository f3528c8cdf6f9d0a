/*
 * test_tls.c -- TLS through the transport over a socket pair, with OpenSSL's own client.
 *
 * The client's ciphertext goes through memory, so that it can be cut at any byte.
 */
#include "proxy/transport/tls.h"
#include "proxy/transport/tls_tickets.h"

#include "certificate.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
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
#define BODY_BYTES  (3u * 1024u * 1024u + 17u)

struct pair {
    char folder[64], certificate[96], key[96];
    struct xf_config_listener listener;
    struct xf_config config;
    struct xf_tls_contexts *contexts;
    struct xf_ticket_keys tickets;
    struct xf_slab slab;
    _Atomic uint64_t buffers;
    struct xf_stats_header *stats;
    struct xf_tls_worker *worker;
    struct event_base *loop;
    struct xf_conn conn;
    SSL_CTX *rules;
    SSL *client;
    int fd; /* the client's end */
};

static void write_files(struct pair *pair)
{
    EVP_PKEY *key;
    X509 *certificate;
    make_certificate("test", &certificate, &key);
    write_certificate(pair->certificate, certificate);
    FILE *file = fopen(pair->key, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void nothing(evutil_socket_t fd, short what, void *context)
{
    (void) fd;
    (void) what;
    (void) context;
}

static void connect_pair(struct pair *pair, SSL_SESSION *session)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    xf_conn_prepare(&pair->conn, pair->loop, ends[0], nothing, NULL);
    assert_true(xf_tls_open(pair->worker, 0, &pair->conn));
    pair->fd = ends[1];
    pair->client = SSL_new(pair->rules);
    SSL_set_bio(pair->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(pair->client);
    if (session != NULL) {
        assert_int_equal(SSL_set_session(pair->client, session), 1);
    }
}

static void disconnect(struct pair *pair)
{
    xf_conn_close(&pair->conn);
    /* Without it OpenSSL takes the session for one that ended badly, and does not resume it. */
    SSL_set_shutdown(pair->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(pair->client);
    close(pair->fd);
    pair->client = NULL;
}

static int set_up(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    strcpy(pair->folder, "/tmp/crossfade-test-XXXXXX");
    assert_non_null(mkdtemp(pair->folder));
    snprintf(pair->certificate, sizeof(pair->certificate), "%s/crt", pair->folder);
    snprintf(pair->key, sizeof(pair->key), "%s/key", pair->folder);
    write_files(pair);
    pair->listener.tls.certificate = pair->certificate;
    pair->listener.tls.key = pair->key;
    pair->config.listeners = &pair->listener;
    pair->config.listeners_count = 1;
    struct xf_error err;
    assert_int_equal(xf_tls_contexts_load(&pair->config, &pair->contexts, &err), 0);
    assert_int_equal(xf_tls_set_tickets(&pair->tickets, NULL, &err), 0);
    xf_tls_contexts_use_tickets(pair->contexts, &pair->tickets);
    xf_slab_init(&pair->slab, 64u << 20, &pair->buffers);
    pair->stats = aligned_alloc(4096, STATS_BYTES);
    assert_non_null(pair->stats);
    memset(pair->stats, 0, STATS_BYTES);
    pair->worker = xf_tls_worker_create(pair->contexts, &pair->slab, pair->stats);
    pair->loop = event_base_new();
    pair->rules = SSL_CTX_new(TLS_client_method());
    assert_non_null(pair->worker);
    connect_pair(pair, NULL);
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    disconnect(pair);
    assert_int_equal(pair->slab.used, 0); /* nothing is left of a session */
    SSL_CTX_free(pair->rules);
    event_base_free(pair->loop);
    xf_tls_worker_destroy(pair->worker);
    xf_slab_release(&pair->slab);
    xf_tls_contexts_free(pair->contexts);
    unlink(pair->certificate);
    unlink(pair->key);
    rmdir(pair->folder);
    free(pair->stats);
    free(pair);
    return 0;
}

/* Moves at most `step` bytes of what the client wants to send to its socket; false: nothing. */
static bool client_out(struct pair *pair, size_t step)
{
    char bytes[65536];
    int length = BIO_read(SSL_get_wbio(pair->client), bytes,
                          (int) (step < sizeof(bytes) ? step : sizeof(bytes)));
    if (length <= 0) {
        return false;
    }
    for (int sent = 0; sent < length;) {
        ssize_t n = send(pair->fd, bytes + sent, (size_t) (length - sent), MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            return false;
        }
        sent += (int) n;
    }
    return true;
}

/* Whatever came to the client's socket, at most `step` bytes. */
static void client_in(struct pair *pair, size_t step)
{
    char bytes[65536];
    ssize_t got = recv(pair->fd, bytes, step < sizeof(bytes) ? step : sizeof(bytes), 0);
    if (got > 0) {
        assert_int_equal(BIO_write(SSL_get_rbio(pair->client), bytes, (int) got), got);
    }
}

static ssize_t server_read(struct pair *pair, char *bytes, size_t size)
{
    pair->conn.readable = true;
    pair->conn.writable = true;
    if (!xf_conn_flush(&pair->conn)) {
        return XF_CONN_ERROR;
    }
    return xf_conn_receive(&pair->conn, bytes, size);
}

/* Runs the handshake in steps of `step` bytes until both sides have it; what the server read. */
static ssize_t shake(struct pair *pair, size_t step)
{
    char bytes[64];
    ssize_t got = XF_CONN_AGAIN;
    for (unsigned i = 0; i < 20000 && got == XF_CONN_AGAIN; i++) {
        (void) SSL_do_handshake(pair->client);
        (void) client_out(pair, step);
        got = server_read(pair, bytes, sizeof(bytes));
        client_in(pair, step);
        if (SSL_is_init_finished(pair->client) && !xf_tls_young(&pair->conn)) {
            break;
        }
    }
    return got;
}

static void a_handshake_and_data_pass_whatever_the_cuts(void **state)
{
    struct pair *pair = *state;
    static const size_t steps[] = {1, 3, 7, 101, 1449, 16389};
    for (size_t i = 0; i < XF_COUNT(steps); i++) {
        char bytes[64];
        assert_int_equal(shake(pair, steps[i]), XF_CONN_AGAIN);
        assert_int_equal(SSL_write(pair->client, "hello", 5), 5);
        ssize_t got = XF_CONN_AGAIN;
        while (got == XF_CONN_AGAIN) {
            (void) client_out(pair, steps[i]);
            got = server_read(pair, bytes, sizeof(bytes));
        }
        assert_int_equal(got, 5);
        assert_memory_equal(bytes, "hello", 5);
        assert_int_equal(xf_conn_send(&pair->conn, "world", 5), 5);
        int length = -1;
        while (length <= 0) {
            client_in(pair, steps[i]);
            length = SSL_read(pair->client, bytes, sizeof(bytes));
        }
        assert_int_equal(length, 5);
        assert_memory_equal(bytes, "world", 5);
        assert_int_equal(pair->stats->tls_handshakes, i + 1);
        disconnect(pair);
        connect_pair(pair, NULL);
    }
    assert_int_equal(pair->stats->tls_resumed, 0);
}

static char byte_at(size_t at)
{
    return (char) (at * 31u + (at >> 8) * 7u + (at >> 16));
}

/* The sizes are those of the reader: what does not fit is kept, and comes with the next read. */
static void a_large_body_arrives_whole(void **state)
{
    struct pair *pair = *state;
    static const size_t sizes[] = {1, 65, 1000, 16384, 65536, 200000};
    static char bytes[200000];
    char piece[30000];
    size_t put = 0, taken = 0;
    assert_int_equal(shake(pair, 65536), XF_CONN_AGAIN);
    for (unsigned turn = 0; taken < BODY_BYTES; turn++) {
        while (put < BODY_BYTES && BIO_pending(SSL_get_wbio(pair->client)) < 100000) {
            size_t length = BODY_BYTES - put < sizeof(piece) ? BODY_BYTES - put : sizeof(piece);
            for (size_t i = 0; i < length; i++) {
                piece[i] = byte_at(put + i);
            }
            assert_int_equal(SSL_write(pair->client, piece, (int) length), length);
            put += length;
        }
        (void) client_out(pair, 1000 + turn % 7000);
        ssize_t got = server_read(pair, bytes, sizes[turn % XF_COUNT(sizes)]);
        if (got == XF_CONN_AGAIN) {
            continue;
        }
        assert_true(got > 0);
        for (size_t i = 0; i < (size_t) got; i++) {
            assert_int_equal(bytes[i], byte_at(taken + i));
        }
        taken += (size_t) got;
        assert_true(pair->slab.used <= 65536); /* what is kept is bounded */
    }
}

static void a_large_answer_reaches_a_slow_reader_whole(void **state)
{
    struct pair *pair = *state;
    static char body[BODY_BYTES], bytes[65536];
    size_t sent = 0, taken = 0;
    unsigned refusals = 0;
    assert_int_equal(shake(pair, 65536), XF_CONN_AGAIN);
    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = byte_at(i);
    }
    while (taken < BODY_BYTES) {
        pair->conn.writable = true;
        ssize_t done = sent < BODY_BYTES ? xf_conn_send(&pair->conn, body + sent, BODY_BYTES - sent)
                                         : xf_conn_flush(&pair->conn) - 1;
        assert_true(done >= 0);
        sent += (size_t) done;
        refusals += !pair->conn.writable;
        assert_true(pair->slab.used <= 300000);
        client_in(pair, 3001);
        int got;
        while ((got = SSL_read(pair->client, bytes, sizeof(bytes))) > 0) {
            assert_memory_equal(bytes, body + taken, (size_t) got);
            taken += (size_t) got;
        }
    }
    assert_true(refusals > 10);
    assert_int_equal(sent, BODY_BYTES);
}

/* One connection, whose ticket the client takes with the answer. */
static SSL_SESSION *one_session(struct pair *pair, SSL_SESSION *session)
{
    char bytes[16];
    disconnect(pair);
    connect_pair(pair, session);
    assert_int_equal(shake(pair, 65536), XF_CONN_AGAIN);
    assert_int_equal(xf_conn_send(&pair->conn, "x", 1), 1);
    client_in(pair, 65536);
    assert_int_equal(SSL_read(pair->client, bytes, sizeof(bytes)), 1);
    return SSL_get1_session(pair->client);
}

static void a_ticket_resumes_while_its_key_is_there(void **state)
{
    struct pair *pair = *state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct xf_error err;
    for (size_t i = 0; i < XF_COUNT(versions); i++) {
        assert_int_equal(SSL_CTX_set_max_proto_version(pair->rules, versions[i]), 1);
        uint64_t before = pair->stats->tls_resumed;
        SSL_SESSION *first = one_session(pair, NULL);
        struct xf_ticket_keys copy = {.sequence = 0};
        assert_int_equal(xf_tls_set_tickets(&copy, &pair->tickets, &err), 0);
        xf_tls_contexts_use_tickets(pair->contexts, &copy); /* as the next edition does */
        SSL_SESSION *second = one_session(pair, first);
        assert_int_equal(pair->stats->tls_resumed, before + 1);
        assert_true(SSL_session_reused(pair->client));
        assert_int_equal(xf_tls_set_tickets(&copy, NULL, &err), 0);
        SSL_SESSION *third = one_session(pair, second);
        assert_int_equal(pair->stats->tls_resumed, before + 1);
        SSL_SESSION_free(first);
        SSL_SESSION_free(second);
        SSL_SESSION_free(third);
        xf_tls_contexts_use_tickets(pair->contexts, &pair->tickets);
    }
}

static void a_replaced_key_still_opens_and_a_twice_replaced_one_does_not(void **state)
{
    struct pair *pair = *state;
    struct xf_error err;
    SSL_SESSION *first = one_session(pair, NULL);
    for (unsigned turn = 1; turn <= 3; turn++) {
        assert_int_equal(xf_tls_rotate_tickets(&pair->tickets, &err), 0);
        SSL_SESSION_free(one_session(pair, first));
        assert_int_equal(SSL_session_reused(pair->client), turn < 3);
    }
    SSL_SESSION_free(first);
}

static void keys_come_from_a_file_of_whole_keys(void **state)
{
    struct pair *pair = *state;
    static const struct {
        size_t bytes;
        unsigned keys; /* 0: refused */
    } rows[] = {{0, 0}, {79, 0}, {80, 1}, {81, 0}, {160, 2}, {240, 3}, {241, 0}, {320, 0}};
    char path[96];
    struct xf_error err;
    snprintf(path, sizeof(path), "%s/tickets", pair->folder);
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_ticket_keys keys = {.count = 7};
        FILE *file = fopen(path, "we");
        for (size_t k = 0; k < rows[i].bytes; k++) {
            fputc((int) (k & 0x7f), file);
        }
        fclose(file);
        assert_int_equal(xf_tls_load_tickets(&keys, path, &err), rows[i].keys > 0 ? 0 : -1);
        assert_int_equal(keys.count, rows[i].keys > 0 ? rows[i].keys : 7);
        assert_int_equal(keys.keys[0][79], rows[i].keys > 0 ? 79 : 0);
    }
    unlink(path);
    struct xf_ticket_keys keys = {.count = 7};
    assert_int_equal(xf_tls_load_tickets(&keys, path, &err), -1);
    assert_non_null(strstr(err.message, path));
}

static void plain_text_loses_the_connection(void **state)
{
    struct pair *pair = *state;
    char bytes[64];
    assert_int_equal(send(pair->fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(server_read(pair, bytes, sizeof(bytes)), XF_CONN_ERROR);
    assert_int_equal(server_read(pair, bytes, sizeof(bytes)), XF_CONN_ERROR);
    assert_int_equal(pair->stats->tls_handshakes, 0);
}

static void only_http_1_1_is_agreed_on(void **state)
{
    struct pair *pair = *state;
    const unsigned char *chosen;
    unsigned length;
    assert_int_equal(
        SSL_set_alpn_protos(pair->client, (const unsigned char *) "\x02h2\x08http/1.1", 12), 0);
    assert_int_equal(shake(pair, 65536), XF_CONN_AGAIN);
    SSL_get0_alpn_selected(pair->client, &chosen, &length);
    assert_int_equal(length, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    disconnect(pair);
    connect_pair(pair, NULL);
    assert_int_equal(SSL_set_alpn_protos(pair->client, (const unsigned char *) "\x02h2", 3), 0);
    assert_int_equal(shake(pair, 65536), XF_CONN_ERROR);
}

static void both_ends_are_told_with_close_notify(void **state)
{
    struct pair *pair = *state;
    char bytes[64];
    assert_int_equal(shake(pair, 65536), XF_CONN_AGAIN);
    xf_conn_finish(&pair->conn);
    client_in(pair, 65536);
    assert_int_equal(SSL_read(pair->client, bytes, sizeof(bytes)), 0);
    assert_int_equal(SSL_get_error(pair->client, 0), SSL_ERROR_ZERO_RETURN);
    (void) SSL_shutdown(pair->client);
    assert_true(client_out(pair, 65536));
    assert_int_equal(server_read(pair, bytes, sizeof(bytes)), 0);
    assert_true(pair->conn.hung_up);
}

/* Handshakes up to the client's Finished, which goes to the socket together with `request`. */
static void finish_with(struct pair *pair, const char *request)
{
    char bytes[64];
    (void) SSL_do_handshake(pair->client);
    assert_true(client_out(pair, 65536));
    assert_int_equal(server_read(pair, bytes, sizeof(bytes)), XF_CONN_AGAIN);
    client_in(pair, 65536);
    assert_int_equal(SSL_do_handshake(pair->client), 1);
    if (request[0] != '\0') {
        assert_int_equal(SSL_write(pair->client, request, (int) strlen(request)), strlen(request));
    }
    assert_true(client_out(pair, 65536));
}

static ssize_t arrived(const struct pair *pair)
{
    char bytes[65536];
    return recv(pair->fd, bytes, sizeof(bytes), MSG_PEEK);
}

static void a_ticket_leaves_with_the_answer_that_is_due(void **state)
{
    struct pair *pair = *state;
    char bytes[64];
    finish_with(pair, "hello");
    assert_int_equal(server_read(pair, bytes, sizeof(bytes)), 5);
    assert_int_equal(arrived(pair), -1);
    pair->conn.writable = true;
    assert_true(xf_conn_flush(&pair->conn));
    assert_int_equal(arrived(pair), -1); /* it waits for the answer, not for the socket */
    assert_int_equal(xf_conn_send(&pair->conn, "world", 5), 5);
    client_in(pair, 65536);
    assert_int_equal(SSL_read(pair->client, bytes, sizeof(bytes)), 5);
    assert_memory_equal(bytes, "world", 5);
    assert_true(SSL_SESSION_has_ticket(SSL_get_session(pair->client)));
}

static void a_ticket_without_a_request_leaves_at_once(void **state)
{
    struct pair *pair = *state;
    char bytes[64];
    finish_with(pair, "");
    assert_int_equal(server_read(pair, bytes, sizeof(bytes)), XF_CONN_AGAIN);
    assert_true(arrived(pair) > 0);
}

static void the_end_leaves_with_the_last_bytes(void **state)
{
    struct pair *pair = *state;
    char bytes[64];
    finish_with(pair, "hello");
    assert_int_equal(server_read(pair, bytes, sizeof(bytes)), 5);
    assert_int_equal(xf_conn_send_last(&pair->conn, "world", 5), 5);
    ssize_t length = arrived(pair);
    xf_conn_finish(&pair->conn);
    assert_int_equal(arrived(pair), length); /* it was said already, and once */
    client_in(pair, 65536);
    assert_int_equal(SSL_read(pair->client, bytes, sizeof(bytes)), 5);
    assert_int_equal(SSL_read(pair->client, bytes, sizeof(bytes)), 0);
    assert_int_equal(SSL_get_error(pair->client, 0), SSL_ERROR_ZERO_RETURN);
}

static void a_bad_file_is_named_with_the_reason(void **state)
{
    struct pair *pair = *state;
    struct xf_error err;
    assert_int_equal(xf_tls_check(&pair->config, &err), 0);
    pair->listener.tls.key = pair->certificate;
    assert_int_equal(xf_tls_check(&pair->config, &err), -1);
    assert_non_null(strstr(err.message, "listeners[0].tls.key: "));
    assert_non_null(strstr(err.message, pair->certificate));
    pair->listener.tls.certificate = pair->key;
    assert_int_equal(xf_tls_check(&pair->config, &err), -1);
    assert_non_null(strstr(err.message, "listeners[0].tls.certificate: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_handshake_and_data_pass_whatever_the_cuts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_large_body_arrives_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_answer_reaches_a_slow_reader_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_ticket_resumes_while_its_key_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_replaced_key_still_opens_and_a_twice_replaced_one_does_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_come_from_a_file_of_whole_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_text_loses_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_http_1_1_is_agreed_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_ends_are_told_with_close_notify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ticket_leaves_with_the_answer_that_is_due, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_ticket_without_a_request_leaves_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_leaves_with_the_last_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_file_is_named_with_the_reason, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
