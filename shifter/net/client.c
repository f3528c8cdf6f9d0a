/*
 * client.c -- the CLI's end of the admin API, over a unix socket, TCP or TLS.
 */
#include "shifter/net/client.h"

#include "config/base/clock.h"
#include "config/base/text.h"
#include "proxy/http/chunked.h"
#include "proxy/http/http1.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (64u * 1024u * 1024u)
#define TOKEN_BYTES_MAX  512u
#define CONNECT_MS_MAX   5000
#define HEAD_FIELDS      64u

struct wire {
    int fd;
    SSL_CTX *tls_context;
    SSL *tls;
    int64_t deadline_ms; /* CLOCK_MONOTONIC; INT64_MAX: none */
};

struct url {
    bool tls;
    char host[256];
    char port[8];
};

static int64_t now_ms(void)
{
    return xf_clock_monotonic_ms(xf_clock_system());
}

static void wire_close(struct wire *wire)
{
    if (wire->tls != NULL) {
        SSL_free(wire->tls);
    }
    if (wire->tls_context != NULL) {
        SSL_CTX_free(wire->tls_context);
    }
    if (wire->fd >= 0) {
        close(wire->fd);
    }
}

/* Waits until `events` or the deadline; 0 on the deadline. */
static int wire_wait(const struct wire *wire, short events)
{
    struct pollfd poll_fd = {.fd = wire->fd, .events = events};
    for (;;) {
        int wait_ms = -1;
        if (wire->deadline_ms != INT64_MAX) {
            int64_t left = wire->deadline_ms - now_ms();
            if (left <= 0) {
                return 0;
            }
            wait_ms = left > 60000 ? 60000 : (int) left;
        }
        int ready = poll(&poll_fd, 1, wait_ms);
        if (ready != 0 && !(ready < 0 && errno == EINTR)) {
            return ready;
        }
    }
}

static int fail_timeout(struct xf_error *err)
{
    return XF_FAIL(err, XF_E_TIMED_OUT, "no answer within the time limit");
}

static int parse_url(const char *text, struct url *ret, struct xf_error *err)
{
    struct url url = {0};
    const char *p = text;
    if (strncmp(p, "https://", 8) == 0) {
        url.tls = true;
        p += 8;
    } else if (strncmp(p, "http://", 7) == 0) {
        p += 7;
    } else {
        return XF_FAIL(err, XF_E_USAGE, "--url %s: must begin with http:// or https://", text);
    }
    const char *end = p + strcspn(p, "/?#");
    if (end[0] != '\0' && strcmp(end, "/") != 0) {
        return XF_FAIL(err, XF_E_USAGE, "--url %s: only scheme, host and port, no path", text);
    }
    const char *host_end = end;
    const char *port = url.tls ? "9443" : "9180";
    size_t port_length = 4;
    if (*p == '[') {
        host_end = memchr(p, ']', (size_t) (end - p));
        if (host_end == NULL) {
            return XF_FAIL(err, XF_E_USAGE, "--url %s: `]` is missing", text);
        }
        p++;
    } else {
        const char *colon = memchr(p, ':', (size_t) (end - p));
        host_end = colon != NULL ? colon : end;
    }
    const char *after = *host_end == ']' ? host_end + 1 : host_end;
    if (after < end && *after == ':') {
        port = after + 1;
        port_length = (size_t) (end - port);
    }
    size_t host_length = (size_t) (host_end - p);
    if (host_length == 0 || host_length >= sizeof(url.host) || port_length == 0 ||
        port_length >= sizeof(url.port)) {
        return XF_FAIL(err, XF_E_USAGE, "--url %s: host or port is missing or too long", text);
    }
    memcpy(url.host, p, host_length);
    memcpy(url.port, port, port_length);
    *ret = url;
    return 0;
}

static int connect_within(struct wire *wire, const struct sockaddr *address, socklen_t bytes)
{
    if (connect(wire->fd, address, bytes) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return -1;
    }
    int64_t deadline_ms = wire->deadline_ms;
    int64_t limit_ms = now_ms() + CONNECT_MS_MAX;
    wire->deadline_ms = limit_ms < deadline_ms ? limit_ms : deadline_ms;
    int ready = wire_wait(wire, POLLOUT);
    wire->deadline_ms = deadline_ms;
    if (ready <= 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    int problem = 0;
    socklen_t problem_bytes = sizeof(problem);
    getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &problem, &problem_bytes);
    errno = problem;
    return problem == 0 ? 0 : -1;
}

static int connect_unix(struct wire *wire, const char *path, struct xf_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return XF_FAIL(err, XF_E_USAGE,
                       "socket path %s: longer than the %zu bytes the system allows", path,
                       sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, strlen(path));
    wire->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire->fd < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "socket: %s", strerror(errno));
    }
    if (connect_within(wire, (const struct sockaddr *) &address, sizeof(address)) == 0) {
        return 0;
    }
    if (errno == EACCES || errno == EPERM) {
        return XF_FAIL(err, XF_E_DENIED,
                       "%s: permission denied; be root or a member of the socket's group", path);
    }
    return XF_FAIL(err, XF_E_UNREACHABLE,
                   "%s: %s; is `crossfade serve` running? (--socket or CROSSFADE_SOCKET name "
                   "another socket)",
                   path, strerror(errno));
}

static int connect_tcp(struct wire *wire, const struct url *url, struct xf_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int looked_up = getaddrinfo(url->host, url->port, &hints, &found);
    if (looked_up != 0) {
        return XF_FAIL(err, XF_E_UNREACHABLE, "%s: %s", url->host, gai_strerror(looked_up));
    }
    int problem = ECONNREFUSED;
    for (struct addrinfo *entry = found; entry != NULL; entry = entry->ai_next) {
        wire->fd = socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (wire->fd >= 0 && connect_within(wire, entry->ai_addr, entry->ai_addrlen) == 0) {
            freeaddrinfo(found);
            return 0;
        }
        problem = errno;
        if (wire->fd >= 0) {
            close(wire->fd);
            wire->fd = -1;
        }
    }
    freeaddrinfo(found);
    return XF_FAIL(err, XF_E_UNREACHABLE, "%s port %s: %s", url->host, url->port,
                   strerror(problem));
}

/* Runs one TLS call until it succeeds or fails for good; returns its last value. */
static int tls_step(struct wire *wire, int result)
{
    switch (SSL_get_error(wire->tls, result)) {
    case SSL_ERROR_WANT_READ:
        return wire_wait(wire, POLLIN) > 0 ? 1 : -1;
    case SSL_ERROR_WANT_WRITE:
        return wire_wait(wire, POLLOUT) > 0 ? 1 : -1;
    default:
        return -1;
    }
}

/* Whom we trust, and what we show. */
static int load_files(SSL_CTX *context, const struct xf_client_target *target, struct xf_error *err)
{
    const char *key = target->key != NULL ? target->key : target->certificate;
    if (target->ca == NULL) {
        SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_file(context, target->ca) != 1) {
        return XF_FAIL(err, XF_E_USAGE, "--ca %s: no certificate can be read", target->ca);
    }
    if (target->certificate != NULL &&
        (SSL_CTX_use_certificate_chain_file(context, target->certificate) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)) {
        return XF_FAIL(err, XF_E_USAGE, "--certificate %s: it and its --key cannot be used",
                       target->certificate);
    }
    return 0;
}

static int start_tls(struct wire *wire, const struct url *url,
                     const struct xf_client_target *target, struct xf_error *err)
{
    wire->tls_context = SSL_CTX_new(TLS_client_method());
    if (wire->tls_context != NULL && load_files(wire->tls_context, target, err) != 0) {
        return -1;
    }
    wire->tls = wire->tls_context != NULL ? SSL_new(wire->tls_context) : NULL;
    if (wire->tls == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "TLS: out of memory");
    }
    SSL_set_verify(wire->tls, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM *verify = SSL_get0_param(wire->tls);
    if (SSL_set_tlsext_host_name(wire->tls, url->host) != 1 ||
        (X509_VERIFY_PARAM_set1_ip_asc(verify, url->host) != 1 &&
         SSL_set1_host(wire->tls, url->host) != 1)) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "TLS: out of memory"); /* never unverified */
    }
    SSL_set_fd(wire->tls, wire->fd);
    for (;;) {
        int result = SSL_connect(wire->tls);
        if (result == 1) {
            return 0;
        }
        if (tls_step(wire, result) < 0) {
            long verified = SSL_get_verify_result(wire->tls);
            const char *why = verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                                                    : ERR_reason_error_string(ERR_peek_error());
            return XF_FAIL(err, XF_E_UNREACHABLE, "%s: TLS: %s (--ca FILE names the authority)",
                           url->host, why != NULL ? why : "closed");
        }
    }
}

static int wire_send(struct wire *wire, const char *bytes, size_t length, struct xf_error *err)
{
    while (length > 0) {
        ssize_t sent;
        if (wire->tls != NULL) {
            int result = SSL_write(wire->tls, bytes, (int) length);
            if (result <= 0 && tls_step(wire, result) > 0) {
                continue;
            }
            sent = result;
        } else {
            sent = send(wire->fd, bytes, length, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                if (wire_wait(wire, POLLOUT) <= 0) {
                    return fail_timeout(err);
                }
                continue;
            }
        }
        if (sent <= 0) {
            return XF_FAIL(err, XF_E_UNREACHABLE, "the other side closed the connection: %s",
                           strerror(errno));
        }
        bytes += sent;
        length -= (size_t) sent;
    }
    return 0;
}

/* Reads once: > 0 bytes, 0 at the end, -1 with `err`. */
static ssize_t wire_receive(struct wire *wire, char *bytes, size_t length, struct xf_error *err)
{
    for (;;) {
        if (wire->tls != NULL) {
            int result = SSL_read(wire->tls, bytes, (int) length);
            if (result > 0) {
                return result;
            }
            int why = SSL_get_error(wire->tls, result);
            if (why == SSL_ERROR_ZERO_RETURN) {
                return 0;
            }
            if (tls_step(wire, result) > 0) {
                continue;
            }
            return now_ms() >= wire->deadline_ms ? fail_timeout(err) : 0;
        }
        ssize_t got = recv(wire->fd, bytes, length, 0);
        if (got >= 0) {
            return got;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return XF_FAIL(err, XF_E_UNREACHABLE, "the other side closed the connection: %s",
                           strerror(errno));
        }
        int ready = wire_wait(wire, POLLIN);
        if (ready <= 0) {
            return fail_timeout(err);
        }
    }
}

static int read_token(const char *path, char out[TOKEN_BYTES_MAX], struct xf_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return XF_FAIL(err, XF_E_USAGE, "--token-file %s: %s", path, strerror(errno));
    }
    char *line = fgets(out, TOKEN_BYTES_MAX, file);
    fclose(file);
    if (line == NULL) {
        return XF_FAIL(err, XF_E_USAGE, "--token-file %s: empty", path);
    }
    out[strcspn(out, "\r\n")] = '\0';
    for (const char *p = out; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~') {
            return XF_FAIL(err, XF_E_USAGE, "--token-file %s: no token on its first line", path);
        }
    }
    return 0;
}

static int send_request(struct wire *wire, const struct xf_client_target *target, const char *host,
                        const struct xf_client_request *request, struct xf_error *err)
{
    char token[TOKEN_BYTES_MAX] = "";
    if (target->token_file != NULL && read_token(target->token_file, token, err) != 0) {
        return -1;
    }
    char *body = NULL;
    if (request->body != NULL) {
        body = json_dumps(request->body, JSON_COMPACT);
        if (body == NULL) {
            return XF_FAIL(err, XF_E_NO_MEMORY, "out of memory");
        }
    }
    struct xf_text text;
    xf_text_init(&text, ANSWER_BYTES_MAX);
    xf_text_printf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", request->method,
                   request->path, request->host != NULL ? request->host : host);
    if (token[0] != '\0') {
        xf_text_printf(&text, "Authorization: Bearer %s\r\n", token);
    }
    if (body != NULL) {
        xf_text_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                       strlen(body));
    }
    xf_text_puts(&text, "\r\n");
    if (body != NULL) {
        xf_text_puts(&text, body);
    }
    free(body);
    int result = text.failed ? XF_FAIL(err, XF_E_NO_MEMORY, "the request is too large")
                             : wire_send(wire, text.data, text.length, err);
    xf_text_release(&text);
    return result;
}

static int read_all(struct wire *wire, struct xf_text *ret, struct xf_error *err)
{
    char bytes[16384];
    for (;;) {
        ssize_t got = wire_receive(wire, bytes, sizeof(bytes), err);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            return 0;
        }
        xf_text_append(ret, bytes, (size_t) got);
        if (ret->failed) {
            return XF_FAIL(err, XF_E_FAILED, "the answer is larger than %u bytes",
                           ANSWER_BYTES_MAX);
        }
    }
}

static int unchunk(const char *bytes, size_t length, struct xf_text *ret)
{
    struct xf_chunked chunked;
    xf_chunked_init(&chunked);
    size_t at = 0;
    while (at < length) {
        size_t used = 0;
        struct xf_span data = {0};
        enum xf_http_verdict verdict =
            xf_chunked_read(&chunked, bytes + at, length - at, &used, &data);
        xf_text_append(ret, bytes + at + data.at, data.length);
        at += used;
        if (verdict != XF_HTTP_MORE) {
            return verdict == XF_HTTP_DONE ? 0 : -1;
        }
    }
    return -1;
}

static int parse_answer(const struct xf_text *raw, struct xf_client_answer *ret,
                        struct xf_error *err)
{
    struct xf_http_limits limits = {.head_bytes_max = XF_HEAD_BYTES_MAX, .fields_max = HEAD_FIELDS};
    struct xf_field fields[HEAD_FIELDS];
    struct xf_http_response response;
    struct xf_http_refusal refusal;
    if (raw->length == 0) {
        return XF_FAIL(err, XF_E_UNREACHABLE,
                       "the other side closed the connection without an answer");
    }
    enum xf_http_verdict verdict = xf_http_parse_response(raw->data, raw->length, 0, XF_METHOD_GET,
                                                          &limits, fields, &response, &refusal);
    if (verdict != XF_HTTP_DONE) {
        return XF_FAIL(err, XF_E_UNREACHABLE, "the answer is not HTTP: is this the right address?");
    }
    const char *bytes = raw->data + response.head_bytes;
    size_t length = raw->length - response.head_bytes;
    struct xf_text body;
    xf_text_init(&body, ANSWER_BYTES_MAX);
    bool whole = true;
    if (response.framing == XF_FRAMING_CHUNKED) {
        whole = unchunk(bytes, length, &body) == 0;
    } else {
        whole = response.framing != XF_FRAMING_LENGTH || response.content_length <= length;
        xf_text_append(&body, bytes, length);
    }
    if (!whole || body.failed) {
        xf_text_release(&body);
        return XF_FAIL(err, XF_E_UNREACHABLE, "the answer broke off");
    }
    ret->status = response.status;
    ret->text = xf_text_take(&body);
    ret->body = ret->text != NULL ? json_loads(ret->text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    return 0;
}

int xf_client_call(const struct xf_client_target *target, const struct xf_client_request *request,
                   struct xf_client_answer *ret, struct xf_error *err)
{
    XF_CLEANUP(wire_close) struct wire wire = {.fd = -1, .deadline_ms = INT64_MAX};
    if (request->timeout_ms >= 0) {
        wire.deadline_ms = now_ms() + request->timeout_ms;
    }
    char host[280] = "localhost";
    if (target->url != NULL) {
        struct url url;
        if (parse_url(target->url, &url, err) != 0 || connect_tcp(&wire, &url, err) != 0 ||
            (url.tls && start_tls(&wire, &url, target, err) != 0)) {
            return -1;
        }
        bool brackets = strchr(url.host, ':') != NULL;
        snprintf(host, sizeof(host), brackets ? "[%s]:%s" : "%s:%s", url.host, url.port);
    } else if (connect_unix(&wire, target->socket, err) != 0) {
        return -1;
    }
    struct xf_text raw;
    xf_text_init(&raw, ANSWER_BYTES_MAX);
    struct xf_client_answer answer = {0};
    int result = send_request(&wire, target, host, request, err);
    if (result == 0) {
        result = read_all(&wire, &raw, err);
    }
    if (result == 0) {
        result = parse_answer(&raw, &answer, err);
    }
    xf_text_release(&raw);
    if (result == 0) {
        *ret = answer;
    }
    return result;
}

void xf_client_answer_release(struct xf_client_answer *answer)
{
    json_decref(answer->body);
    free(answer->text);
    *answer = (struct xf_client_answer){0};
}
