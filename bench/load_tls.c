/*
 * load_tls.c -- the client of bench/load over TLS 1.3: closed loop, and idle connections.
 *
 * As load_client.c: what an answer is long is learned from a connection's first.  The client's own
 * cost does not matter (it runs on another CPU and is not counted), so OpenSSL reads the socket.
 */
#include "bench/load.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SAMPLES_MAX 2000000u
#define ANSWER_MAX  (1u << 16)

enum kind { KEEP, FULL, RESUMED };

struct link {
    SSL *ssl;
    SSL_SESSION *session; /* the last ticket: OpenSSL's client uses each only once */
    int fd;
    size_t got, expected;
    uint64_t begun_us;
    bool sent;
};

struct run {
    const struct load_options *options;
    enum kind kind;
    SSL_CTX *rules;
    int epoll;
    char request[512];
    int request_length;
    uint64_t answered, failed;
    uint32_t *samples;
    size_t samples_count;
    bool counting;
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct link *link = SSL_get_app_data(ssl);
    if (link == NULL) {
        return 0;
    }
    SSL_SESSION_free(link->session);
    link->session = session;
    return 1;
}

static SSL_CTX *make_rules(void)
{
    SSL_CTX *rules = SSL_CTX_new(TLS_client_method());
    if (rules == NULL || SSL_CTX_set_min_proto_version(rules, TLS1_3_VERSION) != 1) {
        load_die("SSL_CTX_new");
    }
    (void) SSL_CTX_set_session_cache_mode(rules,
                                          SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(rules, on_session);
    return rules;
}

static void open_link(struct run *run, struct link *link)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = link};
    *link = (struct link){.session = link->session,
                          .fd = load_connect(run->options->port),
                          .ssl = SSL_new(run->rules),
                          .begun_us = load_now_us()};
    if (link->ssl == NULL || SSL_set_fd(link->ssl, link->fd) != 1 ||
        epoll_ctl(run->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0) {
        load_die("open");
    }
    SSL_set_connect_state(link->ssl);
    SSL_set_app_data(link->ssl, link);
    if (run->kind == RESUMED && link->session != NULL) {
        (void) SSL_set_session(link->ssl, link->session);
    }
}

static void reopen(struct run *run, struct link *link)
{
    SSL_set_shutdown(link->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(link->ssl);
    (void) close(link->fd);
    open_link(run, link);
}

static size_t learn(const char *bytes, size_t length)
{
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    const char *field = end == NULL ? NULL : strcasestr(bytes, "\r\ncontent-length:");
    return field == NULL ? 0 : (size_t) (end + 4 - bytes) + strtoul(field + 17, NULL, 10);
}

static void count(struct run *run, struct link *link)
{
    uint64_t us = load_now_us() - link->begun_us;
    if (run->counting) {
        run->answered++;
        run->failed += run->kind == RESUMED && !SSL_session_reused(link->ssl);
        if (run->samples_count < SAMPLES_MAX) {
            run->samples[run->samples_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t) us;
        }
    }
}

/* False: there is nothing to do until an event. */
static bool step(struct run *run, struct link *link)
{
    static char answer[ANSWER_MAX + 1];
    if (!link->sent) { /* the handshake goes with it */
        int sent = SSL_write(link->ssl, run->request, run->request_length);
        link->sent = sent == run->request_length;
        if (sent <= 0 && SSL_get_error(link->ssl, sent) == SSL_ERROR_WANT_READ) {
            return false;
        }
    }
    int got = link->sent ? SSL_read(link->ssl, answer, ANSWER_MAX) : -1;
    if (got <= 0) {
        if (link->sent && SSL_get_error(link->ssl, got) == SSL_ERROR_WANT_READ) {
            return false;
        }
        run->failed++;
        reopen(run, link);
        return false;
    }
    answer[got] = '\0';
    if (link->got == 0 && link->expected == 0) {
        link->expected = learn(answer, (size_t) got);
    }
    link->got += (size_t) got;
    if (link->expected == 0 || link->got < link->expected) {
        return true;
    }
    count(run, link);
    if (run->kind != KEEP) {
        reopen(run, link);
        return false;
    }
    link->got = 0;
    link->sent = false;
    link->begun_us = load_now_us();
    return true;
}

static void spin(struct run *run, uint64_t until_us)
{
    struct epoll_event events[256];
    while (load_now_us() < until_us) {
        int ready = epoll_wait(run->epoll, events, 256, 50);
        for (int i = 0; i < ready; i++) {
            while (step(run, events[i].data.ptr)) {
            }
        }
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return x < y ? -1 : x > y;
}

int load_tls_client(const struct load_options *options)
{
    struct run run = {.options = options, .rules = make_rules(), .epoll = epoll_create1(0)};
    struct link *links = calloc(options->connections, sizeof(*links));
    run.samples = calloc(SAMPLES_MAX, sizeof(*run.samples));
    if (links == NULL || run.samples == NULL) {
        load_die("calloc");
    }
    run.kind = strcmp(options->kind, "tls") == 0        ? KEEP
               : strcmp(options->kind, "tls-full") == 0 ? FULL
                                                        : RESUMED;
    run.request_length = snprintf(run.request, sizeof(run.request),
                                  "GET %s HTTP/1.1\r\nHost: shop.example.com\r\n%s\r\n",
                                  options->path, run.kind == KEEP ? "" : "Connection: close\r\n");
    for (unsigned i = 0; i < options->connections; i++) {
        open_link(&run, &links[i]);
    }
    spin(&run, load_now_us() + 300000);
    run.counting = true;
    run.failed = 0;
    (void) printf("go\n");
    (void) fflush(stdout);
    uint64_t from = load_now_us();
    spin(&run, from + (uint64_t) (options->seconds * 1e6));
    double seconds = (double) (load_now_us() - from) / 1e6;
    qsort(run.samples, run.samples_count, sizeof(*run.samples), compare);
    (void) printf("{\"requests\": %llu, \"failed\": %llu, \"seconds\": %.4f, \"p99_us\": %u}\n",
                  (unsigned long long) run.answered, (unsigned long long) run.failed, seconds,
                  run.samples_count > 0 ? run.samples[run.samples_count * 99 / 100] : 0);
    return run.failed > 0;
}

int load_tls_idle(unsigned port, unsigned connections)
{
    static const char request[] = "GET /128 HTTP/1.1\r\nHost: bench\r\n\r\n";
    SSL_CTX *rules = make_rules();
    char answer[4096];
    for (unsigned i = 0; i < connections; i++) {
        SSL *ssl = SSL_new(rules);
        int fd = load_connect(port);
        if (ssl == NULL || fcntl(fd, F_SETFL, 0) != 0 || SSL_set_fd(ssl, fd) != 1 ||
            SSL_connect(ssl) != 1 || SSL_write(ssl, request, sizeof(request) - 1) <= 0 ||
            SSL_read(ssl, answer, sizeof(answer)) <= 0) {
            load_die("idle request over TLS");
        }
    }
    (void) printf("{\"idle\": %u}\n", connections);
    (void) fflush(stdout);
    while (read(STDIN_FILENO, answer, sizeof(answer)) > 0) {
    }
    return 0;
}
