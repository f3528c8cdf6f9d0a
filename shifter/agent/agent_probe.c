/*
 * agent_probe.c -- connect, send, read, judge.
 *
 * Everything ends through finish(), from an event of its own: start() never calls back.
 */
#include "shifter/agent/agent_probe.h"

#include "config/base/text.h"
#include "proxy/transport/tls_cluster.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (64u * 1024u)
#define HEAD_BYTES_MAX   (16u * 1024u)
#define FIELDS_MAX       64u
#define REQUEST_BYTES    2048u

static const char proxy_local[16] = "\r\n\r\n\0\r\nQUIT\n\x20"; /* v2, LOCAL, no addresses */

enum phase { CONNECTING, SHAKING, SENDING, READING, DECIDED };

struct xf_probe {
    struct event_base *loop;
    struct xf_probe_options options;
    xf_probe_done *done;
    void *context;
    int fd;
    SSL *ssl; /* NULL: plain text */
    enum phase phase;
    struct event *event; /* of the socket, or the timer that tells a decision made in start() */
    struct event *limit;
    char request[REQUEST_BYTES];
    size_t request_bytes, sent;
    char *answer;
    size_t answer_bytes, seen;
    char reason[XF_PROBE_REASON_BYTES];
};

void xf_probe_cancel(struct xf_probe *probe)
{
    if (probe == NULL) {
        return;
    }
    if (probe->event != NULL) {
        event_free(probe->event);
    }
    if (probe->limit != NULL) {
        event_free(probe->limit);
    }
    SSL_free(probe->ssl);
    if (probe->fd >= 0) {
        close(probe->fd);
    }
    free(probe->answer);
    free(probe);
}

static void finish(struct xf_probe *probe, bool passed)
{
    xf_probe_done *done = probe->done;
    void *context = probe->context;
    char reason[XF_PROBE_REASON_BYTES];
    memcpy(reason, probe->reason, sizeof(reason));
    xf_probe_cancel(probe);
    done(context, passed, reason);
}

static void fail(struct xf_probe *probe, const char *reason)
{
    (void) snprintf(probe->reason, sizeof(probe->reason), "%s", reason);
    finish(probe, false);
}

static void fail_errno(struct xf_probe *probe, int number)
{
    char text[64];
    fail(probe, strerror_r(number, text, sizeof(text)));
}

/* ---- bytes: as recv() and send(), over TLS or not ---- */

static ssize_t outcome(struct xf_probe *probe, int done)
{
    if (done > 0) {
        return done;
    }
    switch (SSL_get_error(probe->ssl, done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    default: /* who is not whole by then is told so */
        ERR_clear_error();
        return 0;
    }
}

static ssize_t take(struct xf_probe *probe, char *bytes, size_t size)
{
    return probe->ssl == NULL ? recv(probe->fd, bytes, size, 0)
                              : outcome(probe, SSL_read(probe->ssl, bytes, (int) size));
}

static ssize_t put(struct xf_probe *probe, const char *bytes, size_t size)
{
    return probe->ssl == NULL ? send(probe->fd, bytes, size, MSG_NOSIGNAL)
                              : outcome(probe, SSL_write(probe->ssl, bytes, (int) size));
}

/* ---- the answer ---- */

static bool body_has_text(const struct xf_probe *probe, size_t head_bytes)
{
    return memmem(probe->answer + head_bytes, probe->answer_bytes - head_bytes, probe->options.body,
                  strlen(probe->options.body)) != NULL;
}

/* Judges what has come; at the `end` nothing more will.  True when the probe is over. */
static bool judge(struct xf_probe *probe, bool end)
{
    static const struct xf_http_limits limits = {.head_bytes_max = HEAD_BYTES_MAX,
                                                 .fields_max = FIELDS_MAX};
    struct xf_field fields[FIELDS_MAX];
    struct xf_http_response head;
    struct xf_http_refusal refusal;
    enum xf_http_verdict verdict = xf_http_parse_response(
        probe->answer, probe->answer_bytes, 0, XF_METHOD_GET, &limits, fields, &head, &refusal);
    if (verdict == XF_HTTP_BAD) {
        (void) snprintf(probe->reason, sizeof(probe->reason), "malformed answer: %s",
                        refusal.reason);
        finish(probe, false);
        return true;
    }
    if (verdict == XF_HTTP_MORE) {
        if (end) {
            fail(probe, "closed before its answer was whole");
        }
        return end;
    }
    if (head.status < probe->options.expect_low || head.status > probe->options.expect_high) {
        (void) snprintf(probe->reason, sizeof(probe->reason), "status %u", head.status);
        finish(probe, false);
        return true;
    }
    if (probe->options.body == NULL || body_has_text(probe, head.head_bytes)) {
        finish(probe, true);
        return true;
    }
    bool whole = head.framing == XF_FRAMING_LENGTH &&
                 probe->answer_bytes - head.head_bytes >= head.content_length;
    if (end || whole || probe->answer_bytes == ANSWER_BYTES_MAX) {
        fail(probe, "the body does not contain the expected text");
        return true;
    }
    return false;
}

static void read_answer(struct xf_probe *probe)
{
    bool over = false;
    while (!over) { /* what TLS holds back makes no event */
        ssize_t got = take(probe, probe->answer + probe->answer_bytes,
                           ANSWER_BYTES_MAX - probe->answer_bytes);
        if (got < 0 && errno != EAGAIN && errno != EINTR) {
            fail_errno(probe, errno);
        }
        if (got < 0) {
            return;
        }
        probe->answer_bytes += (size_t) got;
        over = judge(probe, got == 0);
    }
}

/* ---- the request ---- */

static void watch(struct xf_probe *probe, short what);

static void send_request(struct xf_probe *probe)
{
    ssize_t sent = put(probe, probe->request + probe->sent, probe->request_bytes - probe->sent);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        fail_errno(probe, errno);
        return;
    }
    probe->sent += sent > 0 ? (size_t) sent : 0;
    if (probe->sent == probe->request_bytes) {
        probe->phase = READING;
        watch(probe, EV_READ);
    }
}

/* ---- TLS ---- */

static void shake(struct xf_probe *probe)
{
    ERR_clear_error();
    int done = SSL_do_handshake(probe->ssl);
    int error = SSL_get_error(probe->ssl, done);
    if (done == 1) {
        probe->phase = SENDING;
        watch(probe, EV_WRITE);
    } else if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        watch(probe, error == SSL_ERROR_WANT_READ ? EV_READ : EV_WRITE);
    } else {
        long verified = SSL_get_verify_result(probe->ssl);
        (void) snprintf(probe->reason, sizeof(probe->reason), "TLS: %s",
                        verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                                              : xf_tls_reason());
        ERR_clear_error();
        finish(probe, false);
    }
}

static void begin_tls(struct xf_probe *probe)
{
    size_t bytes = probe->options.send_proxy ? sizeof(proxy_local) : 0;
    probe->ssl = SSL_new(probe->options.tls);
    if (probe->ssl == NULL || SSL_set_fd(probe->ssl, probe->fd) != 1 ||
        !xf_tls_expect(probe->ssl, probe->options.tls_name)) {
        fail(probe, "no memory for TLS");
        return;
    }
    if (bytes > 0 && send(probe->fd, proxy_local, bytes, MSG_NOSIGNAL) != (ssize_t) bytes) {
        fail(probe, "the PROXY header was not taken");
        return;
    }
    SSL_set_connect_state(probe->ssl);
    probe->phase = SHAKING;
    shake(probe);
}

static void connected(struct xf_probe *probe)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0 || error != 0) {
        fail_errno(probe, error != 0 ? error : errno);
        return;
    }
    if (probe->options.path == NULL) {
        finish(probe, true);
        return;
    }
    probe->answer = malloc(ANSWER_BYTES_MAX);
    if (probe->answer == NULL) {
        fail(probe, "no memory for the check");
    } else if (probe->options.tls != NULL) {
        begin_tls(probe);
    } else {
        probe->phase = SENDING;
        send_request(probe);
    }
}

static void socket_event(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_probe *probe = arg;
    switch (probe->phase) {
    case CONNECTING:
        connected(probe);
        return;
    case SHAKING:
        shake(probe);
        return;
    case SENDING:
        send_request(probe);
        return;
    case READING:
        read_answer(probe);
        return;
    case DECIDED:
        finish(probe, false);
        return;
    }
}

static void limit_reached(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    fail(arg, "timed out");
}

static void watch(struct xf_probe *probe, short what)
{
    event_del(probe->event);
    if (event_assign(probe->event, probe->loop, probe->fd, what | EV_PERSIST, socket_event,
                     probe) != 0 ||
        event_add(probe->event, NULL) != 0) {
        fail(probe, "no memory for the check");
    }
}

/* ---- begin ---- */

static void write_request(struct xf_probe *probe)
{
    size_t at = 0;
    if (probe->options.send_proxy && probe->options.tls == NULL) {
        memcpy(probe->request, proxy_local, sizeof(proxy_local));
        at = sizeof(proxy_local);
    }
    int length = snprintf(probe->request + at, REQUEST_BYTES - at,
                          "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: crossfade-check\r\n"
                          "Accept: */*\r\nConnection: close\r\n\r\n",
                          probe->options.path, probe->options.host);
    probe->request_bytes = at + ((size_t) length < REQUEST_BYTES - at ? (size_t) length : 0);
}

static int open_socket(struct xf_probe *probe)
{
    const struct sockaddr_storage *address = probe->options.address;
    socklen_t bytes =
        address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    probe->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0) {
        return errno;
    }
    if (connect(probe->fd, (const struct sockaddr *) address, bytes) == 0 || errno == EINPROGRESS) {
        return 0;
    }
    return errno;
}

struct xf_probe *xf_probe_start(struct event_base *loop, const struct xf_probe_options *options,
                                xf_probe_done *done, void *context)
{
    struct xf_probe *probe = calloc(1, sizeof(*probe));
    if (probe == NULL) {
        return NULL;
    }
    *probe = (struct xf_probe){
        .loop = loop, .options = *options, .done = done, .context = context, .fd = -1};
    if (options->path != NULL) {
        write_request(probe);
    }
    int failed = open_socket(probe);
    bool decided = failed != 0;
    if (decided) { /* refused at once: told from the loop like everything else */
        char text[64];
        (void) snprintf(probe->reason, sizeof(probe->reason), "%s",
                        strerror_r(failed, text, sizeof(text)));
        probe->phase = DECIDED;
    }
    struct timeval now = {0};
    struct timeval limit = {.tv_sec = options->timeout_ms / 1000,
                            .tv_usec = options->timeout_ms % 1000 * 1000};
    probe->event = event_new(loop, decided ? -1 : probe->fd, decided ? 0 : EV_WRITE | EV_PERSIST,
                             socket_event, probe);
    probe->limit = evtimer_new(loop, limit_reached, probe);
    if (probe->event == NULL || probe->limit == NULL ||
        event_add(probe->event, decided ? &now : NULL) != 0 ||
        event_add(probe->limit, &limit) != 0) {
        xf_probe_cancel(probe);
        return NULL;
    }
    return probe;
}
