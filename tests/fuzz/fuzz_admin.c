/*
 * fuzz_admin.c -- any bytes on the admin socket and the admin port: what the handler sees keeps its
 * bounds, every request that it sees is answered once, and the server's own words are valid HTTP.
 *
 * The path says how the handler answers (`/later`, `/feed`, `/stream`, `/large`, `/fresh`); an
 * input that begins with byte 1 is sent by a client that speaks TLS, one with byte 2 as it is to a
 * port that expects TLS, one with byte 3 by a client that hangs up without reading.  What ends a
 * connection (a hang-up, either time limit, slowness) hangs on the bytes. All is done once more
 * while one allocation fails; then only the ends are looked at.
 */
#include "fuzz.h"

#include "config/base/clock.h"
#include "proxy/http/http1.h"
#include "shifter/admin/admin.h"
#include "shifter/admin/admin_connection.h"
#include "shifter/admin/admin_tls.h"

#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS_BYTES (4u * 1024u * 1024u)
#define LARGE_BYTES   300000u /* more than a socket takes at once */
#define TURNS_MAX     256u    /* of both sides, until neither has anything more to say */

enum way { PLAIN, TLS_CLIENT, TLS_PORT, RUDE };

static struct event_base *loop;
static struct xf_clock stopped; /* at now_ms */
static int64_t now_ms;
static char certificate_path[] = "/tmp/fuzz-admin-XXXXXX", key_path[] = "/tmp/fuzz-admin-XXXXXX";
static SSL_CTX *rules; /* the client's */
static char large[LARGE_BYTES];

static struct {
    unsigned handled;
    bool head;                           /* one of them was HEAD: its answer has no body */
    struct xf_admin_exchange *late;      /* not answered yet */
    bool streams;                        /* the late one's answer is a stream */
    struct xf_admin_exchange *streaming; /* its listener is there */
} seen;

static int64_t now_ns(void *context)
{
    (void) context;
    return now_ms * 1000000;
}

static void check_text(const char *text, size_t room)
{
    FUZZ_CHECK(memchr(text, '\0', room) != NULL && strpbrk(text, "\r\n") == NULL);
}

static void on_gone(void *context)
{
    struct xf_admin_exchange **which = context;
    FUZZ_CHECK(*which != NULL);
    *which = NULL;
}

static void answer(struct xf_admin_exchange *exchange, const struct xf_admin_request *request)
{
    if (strcmp(request->path, "/later") == 0 || strcmp(request->path, "/feed") == 0) {
        seen.late = exchange;
        seen.streams = request->path[1] == 'f';
        xf_admin_on_gone(exchange, on_gone, &seen.late);
    } else if (strcmp(request->path, "/stream") == 0) {
        seen.streaming = exchange;
        xf_admin_on_gone(exchange, on_gone, &seen.streaming);
        xf_admin_stream(exchange, "text/event-stream", "\n", 1);
    } else if (strcmp(request->path, "/large") == 0) {
        xf_admin_answer(exchange, 200, "text/plain", large, sizeof(large));
    } else if (strcmp(request->path, "/fresh") == 0) {
        xf_admin_header(exchange, "Allow: GET");
        xf_admin_etag(exchange, "\"1\"");
        bool known = strcmp(request->if_none_match, "\"1\"") == 0;
        xf_admin_answer(exchange, known ? 304 : 200, "text/plain", "x", known ? 0 : 1);
    } else {
        xf_admin_answer(exchange, 200, "text/plain", request->path, strlen(request->path));
    }
}

static void handle(void *context, struct xf_admin_exchange *exchange,
                   const struct xf_admin_request *request)
{
    (void) context;
    seen.handled++;
    seen.head = seen.head || request->method == XF_METHOD_HEAD;
    FUZZ_CHECK(request->path[0] == '/' || request->path[0] == '*' || request->path[0] == 'h' ||
               request->path[0] == 'H');
    FUZZ_CHECK(strpbrk(request->path, " \r\n?") == NULL);
    FUZZ_CHECK(strpbrk(request->query, " \r\n") == NULL);
    FUZZ_CHECK(request->body[request->body_length] == '\0');
    check_text(request->host, sizeof(request->host));
    check_text(request->origin, sizeof(request->origin));
    check_text(request->idempotency_key, sizeof(request->idempotency_key));
    check_text(request->authorization, sizeof(request->authorization));
    check_text(request->if_none_match, sizeof(request->if_none_match));
    FUZZ_CHECK(!request->certified ||
               (strcmp(request->who, "fuzz") == 0 && request->role == XF_ADMIN_OPERATOR));
    answer(exchange, request);
}

static const struct xf_admin_calls calls = {handle, NULL};

/* Reads answers one after another; their number. */
static unsigned count_answers(const char *bytes, size_t length)
{
    static const struct xf_http_limits limits = {.head_bytes_max = 65536, .fields_max = 64};
    static struct xf_field fields[64];
    unsigned count = 0;
    for (size_t at = 0; at < length; count++) {
        struct xf_http_response response;
        struct xf_http_refusal refusal;
        FUZZ_CHECK(xf_http_parse_response(bytes + at, length - at, 0, XF_METHOD_GET, &limits,
                                          fields, &response, &refusal) == XF_HTTP_DONE);
        FUZZ_CHECK(response.framing != XF_FRAMING_CHUNKED);
        at += response.head_bytes;
        if (response.framing == XF_FRAMING_CLOSE) {
            return count + 1; /* a stream: all that follows is its own */
        }
        size_t body = response.framing == XF_FRAMING_NONE ? 0 : (size_t) response.content_length;
        FUZZ_CHECK(body <= length - at);
        at += body;
    }
    return count;
}

/* ---- the client ---- */

struct client {
    int fd;
    SSL *tls; /* NULL: plain */
    char answers[ANSWERS_BYTES];
    size_t got;
};

static void turn(void)
{
    (void) event_base_loop(loop, EVLOOP_NONBLOCK);
}

static bool hear(struct client *client)
{
    size_t room = sizeof(client->answers) - client->got;
    ssize_t took = client->tls != NULL
                       ? SSL_read(client->tls, client->answers + client->got, (int) room)
                       : recv(client->fd, client->answers + client->got, room, 0);
    client->got += took > 0 ? (size_t) took : 0;
    return took > 0;
}

/* Both sides go on as long as one has something to say. */
static void settle(struct client *client)
{
    for (unsigned quiet = 0, i = 0; i < TURNS_MAX && quiet < 2; i++) {
        turn();
        quiet = hear(client) ? 0 : quiet + 1;
    }
}

static ssize_t say(const struct client *client, const char *bytes, size_t length)
{
    return client->tls != NULL ? SSL_write(client->tls, bytes, (int) length)
                               : send(client->fd, bytes, length, MSG_NOSIGNAL);
}

static void shake(struct client *client)
{
    client->tls = SSL_new(rules);
    FUZZ_CHECK(client->tls != NULL && SSL_set_fd(client->tls, client->fd) == 1);
    SSL_set_connect_state(client->tls);
    for (unsigned i = 0; i < 8 && SSL_do_handshake(client->tls) != 1; i++) {
        turn();
    }
    turn();
}

/* More than the server keeps of a client whose answer it still owes. */
static void chatter(const struct client *client)
{
    for (unsigned i = 0; i < TURNS_MAX && say(client, large, sizeof(large)) > 0; i++) {
        turn();
    }
}

/* Says all in pieces, then what is still owed is answered. */
static void converse(struct client *client, const char *bytes, size_t size, size_t hash)
{
    size_t piece = 1 + hash % (size + 1);
    for (size_t sent = 0; sent < size;) {
        ssize_t put = say(client, bytes + sent, size - sent < piece ? size - sent : piece);
        if (put <= 0) {
            break; /* it closed */
        }
        sent += (size_t) put;
        turn();
    }
    settle(client);
    if (seen.late != NULL && (hash >> 20 & 7) == 0) {
        chatter(client);
    }
    for (unsigned i = 0; i < TURNS_MAX && seen.late != NULL; i++) {
        struct xf_admin_exchange *late = seen.late;
        seen.late = NULL;
        if (seen.streams) {
            xf_admin_on_gone(late, on_gone, &seen.streaming);
            seen.streaming = late;
            xf_admin_stream(late, "text/event-stream", "\n", 1);
        } else {
            xf_admin_answer(late, 200, "text/plain", "late", 4);
        }
        settle(client);
    }
}

/* Events for a listener: taken as they come, or until there are more than wait for it. */
static void stream(struct client *client, bool listens)
{
    for (unsigned i = 0; i < TURNS_MAX && seen.streaming != NULL; i++) {
        xf_admin_stream_send(seen.streaming, large, sizeof(large) / 8);
        if (listens) {
            settle(client);
        }
    }
    FUZZ_CHECK(listens || seen.streaming == NULL);
}

/* ---- the server ---- */

static struct xf_admin_connection *only(struct xf_admin *admin)
{
    return xf_list_empty(&admin->connections)
               ? NULL
               : XF_CONTAINER_OF(admin->connections.next, struct xf_admin_connection, node);
}

/* One of the ways in which a connection ends though its client is still there. */
static void give_up(struct xf_admin *admin, const struct client *client, unsigned how)
{
    struct xf_admin_connection *connection = only(admin);
    if (connection == NULL) {
        return;
    }
    if (how == 0) {
        event_active(connection->readable, EV_TIMEOUT, 0);
    } else if (how == 1) {
        event_active(connection->writable, EV_TIMEOUT, 0);
    } else {
        now_ms += 60000;
        (void) say(client, "G", 1);
        turn();
        now_ms += 60000;
        (void) say(client, "E", 1);
    }
    turn();
    FUZZ_CHECK(seen.late != NULL || seen.streaming != NULL || only(admin) == NULL);
}

/* More clients than there is room for: the longest silent ones go. */
static void crowd(bool local)
{
    enum { CLIENTS = XF_ADMIN_CONNECTIONS_MAX + 3 };
    static int ends[CLIENTS];
    struct xf_admin *admin = xf_admin_create(loop, &stopped, &calls);
    struct xf_admin_peer peer = {.local = local};
    FUZZ_CHECK(admin != NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        int pair[2];
        FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
        ends[i] = pair[1];
        xf_admin_connection_open(admin, pair[0], &peer);
        FUZZ_CHECK(admin->connections_count <= XF_ADMIN_CONNECTIONS_MAX &&
                   admin->tcp_count <= XF_ADMIN_TCP_MAX);
    }
    xf_admin_destroy(admin);
    for (unsigned i = 0; i < CLIENTS; i++) {
        close(ends[i]);
    }
}

/* A certificate that vouches for itself and for its holder, the same on both sides. */
static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    FILE *files[2] = {fdopen(mkstemp(certificate_path), "w"), fdopen(mkstemp(key_path), "w")};
    FUZZ_CHECK(key != NULL && certificate != NULL && files[0] != NULL && files[1] != NULL);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *) "fuzz", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    FUZZ_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
    FUZZ_CHECK(PEM_write_X509(files[0], certificate) == 1);
    FUZZ_CHECK(PEM_write_PrivateKey(files[1], key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(files[0]);
    fclose(files[1]);
    rules = SSL_CTX_new(TLS_client_method());
    FUZZ_CHECK(rules != NULL && SSL_CTX_use_certificate(rules, certificate) == 1 &&
               SSL_CTX_use_PrivateKey(rules, key) == 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static SSL_CTX *load_tls(void)
{
    struct xf_config_tls tls = {
        .certificate = certificate_path, .key = key_path, .client_ca = certificate_path};
    static SSL_CTX *loaded;
    struct xf_error err;
    if (loaded == NULL) {
        FUZZ_CHECK(xf_admin_tls_load(&tls, &loaded, &err) == 0 && loaded != NULL);
        unlink(certificate_path);
        unlink(key_path);
    }
    SSL_CTX_up_ref(loaded);
    return loaded;
}

static void begin(void)
{
    (void) signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    stopped = (struct xf_clock){.monotonic_ns = now_ns};
    loop = event_base_new();
    FUZZ_CHECK(loop != NULL);
    memset(large, 'l', sizeof(large));
    make_certificate();
    crowd(true);
    crowd(false);
}

/* One connection from its beginning to its end; `check`: its answers are looked at. */
static void serve(const char *bytes, size_t size, enum way way, size_t hash, bool check)
{
    static struct client client;
    int pair[2];
    struct xf_admin *admin = xf_admin_create(loop, &stopped, &calls);
    FUZZ_CHECK(admin != NULL);
    bool plain = way == PLAIN || way == RUDE;
    xf_admin_use_tls(admin, plain ? NULL : load_tls());
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    memset(&seen, 0, sizeof(seen));
    client.fd = pair[1];
    client.tls = NULL;
    client.got = 0;
    struct xf_admin_peer peer = {.local = plain};
    if (check) {
        fuzz_count_allocations();
    } else {
        fuzz_fail_one(hash);
    }
    xf_admin_connection_open(admin, pair[0], &peer);
    if (way == TLS_CLIENT && only(admin) != NULL) {
        shake(&client);
    }
    if (way == RUDE) {
        (void) say(&client, bytes, size);
        turn();
        (void) shutdown(client.fd, SHUT_RDWR);
    } else {
        converse(&client, bytes, size, hash);
    }
    bool all = client.got < sizeof(client.answers);
    if (check && (way == PLAIN || way == TLS_CLIENT) && !seen.head &&
        all) { /* else: whose answers are they? */
        unsigned count = count_answers(client.answers, client.got);
        FUZZ_CHECK(count == seen.handled || count == seen.handled + 1); /* one more: a refusal */
    }
    if (way != RUDE) {
        stream(&client, hash >> 16 & 1);
    }
    fuzz_fail_none();
    if ((hash >> 17 & 1) != 0 && all && way != RUDE) {
        give_up(admin, &client, (unsigned) (hash >> 18) % 3);
    }
    SSL_free(client.tls);
    close(pair[1]);
    turn();
    xf_admin_destroy(admin);
    FUZZ_CHECK(seen.late == NULL && seen.streaming == NULL); /* each is told that it is over */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (loop == NULL) {
        begin();
    }
    size_t hash = fuzz_hash(data, size);
    enum way way = PLAIN;
    if (size > 0 && data[0] <= RUDE) {
        way = (enum way) data[0];
    }
    size_t first = way != PLAIN;
    serve((const char *) data + first, size - first, way, hash, true);
    serve((const char *) data + first, size - first, way, hash, false);
    return 0;
}
