/*
 * admin_connection.c -- reads one request after the other, waits for its answer, writes it.
 *
 * A request is handled when its body is whole; while it waits only a hang-up is looked for.  What
 * is malformed, too large, too slow or chunked is answered once and the connection closed.
 */
#include "shifter/admin/admin_connection.h"

#include "config/base/text.h"
#include "shifter/admin/admin_tls.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES_FIRST  4096u
#define IN_BYTES_MAX    (XF_ADMIN_HEAD_BYTES_MAX + XF_ADMIN_BODY_BYTES_MAX)
#define READ_SECONDS    15 /* between bytes of a request, and from its first to its last */
#define WRITE_SECONDS   30 /* without any progress */
#define NOT_MODIFIED    304u
#define HEAD_TEXT_BYTES (512u + XF_ADMIN_LINES_BYTES)

static void pursue(struct xf_admin_connection *connection);
static void connection_readable(evutil_socket_t fd, short what, void *arg);
static void connection_writable(evutil_socket_t fd, short what, void *arg);

void xf_admin_connection_close(struct xf_admin_connection *connection)
{
    struct xf_admin *admin = connection->admin;
    void (*gone)(void *) = connection->exchange.gone;
    bool open = connection->phase == XF_ADMIN_WAITING || connection->phase == XF_ADMIN_STREAMING;
    if (open && gone != NULL) {
        connection->exchange.gone = NULL;
        gone(connection->exchange.gone_context);
    }
    xf_list_remove(&connection->node);
    if (connection->peer.local) {
        admin->connections_count--;
    } else {
        admin->tcp_count--;
    }
    if (connection->readable != NULL) {
        event_free(connection->readable);
    }
    if (connection->writable != NULL) {
        event_free(connection->writable);
    }
    SSL_free(connection->tls);
    close(connection->fd);
    free(connection->in);
    free(connection->out);
    free(connection);
}

static void expect_bytes(struct xf_admin_connection *connection)
{
    connection->phase = XF_ADMIN_READING;
    if (connection->tls_wants_write) {
        event_add(connection->writable, &(struct timeval){.tv_sec = WRITE_SECONDS});
    }
    event_add(connection->readable, &(struct timeval){.tv_sec = READ_SECONDS});
}

/* The client that has been there longest without a whole request goes, so that slow ones cannot
 * keep others out. */
static void make_room(struct xf_admin *admin, bool local)
{
    for (struct xf_list *node = admin->connections.next; node != &admin->connections;
         node = node->next) {
        struct xf_admin_connection *connection =
            XF_CONTAINER_OF(node, struct xf_admin_connection, node);
        if (connection->peer.local == local && connection->phase == XF_ADMIN_READING) {
            xf_admin_connection_close(connection);
            return;
        }
    }
}

static bool begin_tls(struct xf_admin_connection *connection)
{
    connection->tls = SSL_new(connection->admin->tls);
    if (connection->tls == NULL || SSL_set_fd(connection->tls, connection->fd) != 1) {
        return false;
    }
    SSL_set_accept_state(connection->tls);
    return true;
}

void xf_admin_connection_open(struct xf_admin *admin, int fd, const struct xf_admin_peer *peer)
{
    bool local = peer->local;
    unsigned *count = local ? &admin->connections_count : &admin->tcp_count;
    struct xf_admin_connection *connection = NULL;
    if (*count >= (local ? XF_ADMIN_CONNECTIONS_MAX : XF_ADMIN_TCP_MAX)) {
        make_room(admin, local);
    }
    if (*count < (local ? XF_ADMIN_CONNECTIONS_MAX : XF_ADMIN_TCP_MAX)) {
        connection = calloc(1, sizeof(*connection));
    }
    if (connection == NULL) {
        close(fd);
        return;
    }
    connection->admin = admin;
    connection->fd = fd;
    connection->peer = *peer;
    (*count)++;
    xf_list_append(&admin->connections, &connection->node);
    connection->readable = event_new(admin->loop, fd, EV_READ, connection_readable, connection);
    connection->writable = event_new(admin->loop, fd, EV_WRITE, connection_writable, connection);
    connection->in = malloc(IN_BYTES_FIRST);
    connection->in_capacity = IN_BYTES_FIRST;
    bool secured = peer->local || admin->tls == NULL || begin_tls(connection);
    if (!secured || connection->readable == NULL || connection->writable == NULL ||
        connection->in == NULL) {
        xf_admin_connection_close(connection);
        return;
    }
    expect_bytes(connection);
}

/* ---- answers ---- */

static void start_answer(struct xf_admin_connection *connection, unsigned status, const char *type,
                         const char *body, size_t length)
{
    struct xf_text text;
    xf_text_init(&text, HEAD_TEXT_BYTES + length);
    xf_text_printf(&text, "HTTP/1.1 %u %s\r\n", status, xf_http_reason(status));
    if (status != NOT_MODIFIED) { /* which has no body and says nothing of one */
        xf_text_printf(&text, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, length);
    }
    xf_text_printf(&text, "Cache-Control: %s\r\nX-Content-Type-Options: nosniff\r\n%s%s\r\n",
                   connection->exchange.may_be_kept ? "no-cache" : "no-store",
                   connection->exchange.lines,
                   connection->keep_alive ? "" : "Connection: close\r\n");
    if (!connection->head_only) {
        xf_text_append(&text, body, length);
    }
    connection->out_length = text.length;
    connection->out_sent = 0;
    connection->out = xf_text_take(&text);
    xf_text_release(&text);
    connection->phase = XF_ADMIN_WRITING;
    if (connection->out == NULL) {
        connection->out_length = 0;
        connection->keep_alive = false;
    }
}

static void refuse(struct xf_admin_connection *connection, unsigned status, const char *reason)
{
    struct xf_text text;
    xf_text_init(&text, HEAD_TEXT_BYTES);
    xf_text_puts(&text, "{\"exit\": 2, \"message\": ");
    xf_text_json(&text, reason, strlen(reason));
    xf_text_puts(&text, "}\n");
    connection->keep_alive = false;
    connection->head_only = false;
    connection->in_length = 0;
    connection->in_needed = 0;
    connection->exchange = (struct xf_admin_exchange){0};
    start_answer(connection, status, "application/json", text.data, text.length);
    xf_text_release(&text);
}

void xf_admin_answer(struct xf_admin_exchange *exchange, unsigned status, const char *type,
                     const char *body, size_t length)
{
    struct xf_admin_connection *connection =
        XF_CONTAINER_OF(exchange, struct xf_admin_connection, exchange);
    XF_ASSERT(connection->phase == XF_ADMIN_WAITING);
    connection->exchange.gone = NULL;
    start_answer(connection, status, type, body, length);
    if (!connection->in_handler) {
        pursue(connection);
    }
}

void xf_admin_stream(struct xf_admin_exchange *exchange, const char *type, const char *body,
                     size_t length)
{
    struct xf_admin_connection *connection =
        XF_CONTAINER_OF(exchange, struct xf_admin_connection, exchange);
    XF_ASSERT(connection->phase == XF_ADMIN_WAITING);
    struct xf_text text;
    xf_text_init(&text, HEAD_TEXT_BYTES + length);
    xf_text_printf(&text,
                   "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
                   "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                   type);
    xf_text_append(&text, body, length);
    connection->keep_alive = false;
    connection->out_length = text.length;
    connection->out_sent = 0;
    connection->out = xf_text_take(&text);
    xf_text_release(&text);
    connection->phase = XF_ADMIN_STREAMING;
    if (connection->out == NULL) { /* it begins with the next event */
        connection->out_length = 0;
    }
    if (!connection->in_handler) {
        pursue(connection);
    }
}

void xf_admin_stream_send(struct xf_admin_exchange *exchange, const char *bytes, size_t length)
{
    struct xf_admin_connection *connection =
        XF_CONTAINER_OF(exchange, struct xf_admin_connection, exchange);
    XF_ASSERT(connection->phase == XF_ADMIN_STREAMING);
    size_t left = connection->out_length - connection->out_sent;
    char *out = left + length <= XF_ADMIN_STREAM_BYTES_MAX ? malloc(left + length + 1) : NULL;
    if (out == NULL) {
        xf_admin_connection_close(connection);
        return;
    }
    if (left > 0) {
        memcpy(out, connection->out + connection->out_sent, left);
    }
    memcpy(out + left, bytes, length);
    free(connection->out);
    connection->out = out;
    connection->out_length = left + length;
    connection->out_sent = 0;
    if (left == 0) { /* else it waits until the reader takes something, or its time is over */
        pursue(connection);
    }
}

void xf_admin_header(struct xf_admin_exchange *exchange, const char *line)
{
    size_t used = strlen(exchange->lines);
    if (used + strlen(line) + 3 <= sizeof(exchange->lines)) {
        (void) snprintf(exchange->lines + used, sizeof(exchange->lines) - used, "%s\r\n", line);
    }
}

void xf_admin_etag(struct xf_admin_exchange *exchange, const char *etag)
{
    char line[XF_ADMIN_TEXT_BYTES];
    (void) snprintf(line, sizeof(line), "ETag: %s", etag);
    xf_admin_header(exchange, line);
    exchange->may_be_kept = true;
}

void xf_admin_on_gone(struct xf_admin_exchange *exchange, void (*gone)(void *context),
                      void *context)
{
    exchange->gone = gone;
    exchange->gone_context = context;
}

/* ---- requests ---- */

static void copy_field(const char *bytes, const struct xf_field *field,
                       char out[XF_ADMIN_TEXT_BYTES])
{
    size_t length = field->value.length < XF_ADMIN_TEXT_BYTES - 1 ? field->value.length
                                                                  : XF_ADMIN_TEXT_BYTES - 1;
    memcpy(out, bytes + field->value.at, length);
    out[length] = '\0';
}

static void read_fields(const struct xf_admin *admin, const char *bytes,
                        const struct xf_http_request *head, struct xf_admin_request *ret)
{
    for (unsigned i = 0; i < head->fields; i++) {
        const struct xf_field *field = &admin->fields[i];
        if (xf_http_field_is(bytes, field, "origin")) {
            copy_field(bytes, field, ret->origin);
        } else if (xf_http_field_is(bytes, field, "idempotency-key")) {
            copy_field(bytes, field, ret->idempotency_key);
        } else if (xf_http_field_is(bytes, field, "authorization")) {
            copy_field(bytes, field, ret->authorization);
        } else if (xf_http_field_is(bytes, field, "if-none-match")) {
            copy_field(bytes, field, ret->if_none_match);
        }
    }
    const struct xf_field host = {.value = head->authority};
    copy_field(bytes, &host, ret->host);
}

/* `span` and a NUL; "/" where it is empty. */
static char *copy_span(const char *bytes, const struct xf_span *span)
{
    return span->length > 0 ? strndup(bytes + span->at, span->length) : strdup("/");
}

static void handle(struct xf_admin_connection *connection, const struct xf_http_request *head)
{
    struct xf_admin *admin = connection->admin;
    struct xf_admin_request request = {.method = head->method,
                                       .local = connection->peer.local,
                                       .uid = connection->peer.uid,
                                       .body_length = (size_t) head->content_length};
    memcpy(request.address, connection->peer.address, sizeof(request.address));
    char *target = copy_span(connection->in, &head->target);
    char *body = malloc(request.body_length + 1);
    if (target == NULL || body == NULL) {
        free(target);
        free(body);
        refuse(connection, 503, "no memory");
        return;
    }
    memcpy(body, connection->in + head->head_bytes, request.body_length);
    body[request.body_length] = '\0';
    char *query = strchr(target, '?');
    if (query != NULL) {
        *query = '\0';
    }
    request.path = target;
    request.query = query != NULL ? query + 1 : "";
    request.body = body;
    read_fields(admin, connection->in, head, &request);
    request.certified =
        connection->tls != NULL && xf_admin_tls_client(connection->tls, request.who, &request.role);

    size_t used = head->head_bytes + request.body_length;
    memmove(connection->in, connection->in + used, connection->in_length - used);
    connection->in_length -= used;
    connection->in_seen = 0;
    connection->in_needed = 0;
    connection->keep_alive = head->keep_alive;
    connection->head_only = head->method == XF_METHOD_HEAD;
    connection->phase = XF_ADMIN_WAITING;
    connection->exchange = (struct xf_admin_exchange){0};
    connection->in_handler = true;
    admin->calls.handle(admin->calls.context, &connection->exchange, &request);
    connection->in_handler = false;
    free(target);
    free(body);
}

/* Looks whether a whole request is there; true when the phase has changed. */
static bool parse(struct xf_admin_connection *connection)
{
    static const struct xf_http_limits limits = {.head_bytes_max = XF_ADMIN_HEAD_BYTES_MAX,
                                                 .fields_max = XF_ADMIN_FIELDS_MAX};
    struct xf_http_request head;
    struct xf_http_refusal refusal;
    if (connection->in_length == 0 || connection->in_length < connection->in_needed) {
        return false;
    }
    switch (xf_http_parse_request(connection->in, connection->in_length, connection->in_seen,
                                  &limits, connection->admin->fields, &head, &refusal)) {
    case XF_HTTP_MORE:
        connection->in_seen = connection->in_length;
        return false;
    case XF_HTTP_BAD:
        refuse(connection, refusal.status, refusal.reason);
        return true;
    case XF_HTTP_DONE:
        break;
    }
    if (head.framing == XF_FRAMING_CHUNKED) {
        refuse(connection, 411, "a body must come with Content-Length");
        return true;
    }
    if (head.framing == XF_FRAMING_NONE) {
        head.content_length = 0;
    }
    if (head.content_length > XF_ADMIN_BODY_BYTES_MAX) {
        refuse(connection, 413, "the body is too large");
        return true;
    }
    if (connection->in_length - head.head_bytes < head.content_length) {
        connection->in_seen = 0; /* the head is whole: parse it again when its body is */
        connection->in_needed = head.head_bytes + (size_t) head.content_length;
        return false;
    }
    handle(connection, &head);
    return true;
}

/* ---- bytes ---- */

static bool grow(struct xf_admin_connection *connection)
{
    if (connection->in_length < connection->in_capacity) {
        return true;
    }
    size_t capacity = connection->in_capacity * 2;
    if (capacity > IN_BYTES_MAX) {
        capacity = IN_BYTES_MAX;
    }
    if (capacity == connection->in_capacity) {
        return false;
    }
    char *in = realloc(connection->in, capacity);
    if (in == NULL) {
        return false;
    }
    connection->in = in;
    connection->in_capacity = capacity;
    return true;
}

static bool too_slow(struct xf_admin_connection *connection)
{
    int64_t now_ms = xf_clock_monotonic_ms(connection->admin->clock);
    if (!connection->begun) { /* a handshake, or half a record, counts though it brings no text */
        connection->begun = true;
        connection->began_ms = now_ms;
    }
    return connection->phase == XF_ADMIN_READING &&
           now_ms - connection->began_ms > READ_SECONDS * 1000;
}

static ssize_t receive(struct xf_admin_connection *connection, char *bytes, size_t size)
{
    return connection->tls != NULL
               ? xf_admin_tls_receive(connection->tls, bytes, size, &connection->tls_wants_write)
               : recv(connection->fd, bytes, size, 0);
}

static ssize_t transmit(struct xf_admin_connection *connection, const char *bytes, size_t size)
{
    return connection->tls != NULL ? xf_admin_tls_send(connection->tls, bytes, size)
                                   : send(connection->fd, bytes, size, MSG_NOSIGNAL);
}

/* Reads what is there; false: the client is gone. */
static bool fill(struct xf_admin_connection *connection)
{
    if (too_slow(connection)) {
        return false;
    }
    while (grow(connection)) {
        ssize_t got = receive(connection, connection->in + connection->in_length,
                              connection->in_capacity - connection->in_length);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        }
        if (got < 0 && errno == EAGAIN) {
            return true;
        }
        connection->in_length += got > 0 ? (size_t) got : 0;
    }
    return true;
}

/* Writes what is left; false: the client is gone. */
static bool drain(struct xf_admin_connection *connection)
{
    while (connection->out_sent < connection->out_length) {
        ssize_t put = transmit(connection, connection->out + connection->out_sent,
                               connection->out_length - connection->out_sent);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return errno == EAGAIN;
        }
        connection->out_sent += (size_t) put;
    }
    return true;
}

/* Goes on until something must be waited for.  May close the connection. */
static void pursue(struct xf_admin_connection *connection)
{
    for (;;) {
        if (connection->phase == XF_ADMIN_READING && !parse(connection)) {
            expect_bytes(connection);
            return;
        }
        if (connection->phase == XF_ADMIN_WAITING) { /* only a hang-up is of interest */
            event_add(connection->readable, NULL);
            return;
        }
        if (!drain(connection)) {
            xf_admin_connection_close(connection);
            return;
        }
        if (connection->out_sent < connection->out_length) {
            event_del(connection->readable);
            event_add(connection->writable, &(struct timeval){.tv_sec = WRITE_SECONDS});
            return;
        }
        free(connection->out);
        connection->out = NULL;
        connection->out_length = 0;
        connection->out_sent = 0;
        if (connection->phase == XF_ADMIN_STREAMING) { /* until there is more, or it hangs up */
            event_add(connection->readable, NULL);
            return;
        }
        if (!connection->keep_alive) {
            xf_admin_connection_close(connection);
            return;
        }
        connection->phase = XF_ADMIN_READING;
        connection->begun = connection->in_length > 0;
        connection->began_ms = xf_clock_monotonic_ms(connection->admin->clock);
    }
}

static void connection_readable(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    struct xf_admin_connection *connection = arg;
    if ((what & EV_TIMEOUT) != 0 || !fill(connection)) {
        xf_admin_connection_close(connection);
        return;
    }
    if (connection->phase == XF_ADMIN_STREAMING) {
        connection->in_length = 0; /* whatever a listener says */
        event_add(connection->readable, NULL);
        return;
    }
    if (connection->phase == XF_ADMIN_WAITING) {
        if (connection->in_length < IN_BYTES_MAX) {
            event_add(connection->readable, NULL);
        }
        return;
    }
    pursue(connection);
}

static void connection_writable(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    struct xf_admin_connection *connection = arg;
    if ((what & EV_TIMEOUT) != 0) {
        xf_admin_connection_close(connection);
        return;
    }
    if (connection->tls_wants_write && !fill(connection)) { /* the handshake goes on */
        xf_admin_connection_close(connection);
        return;
    }
    pursue(connection);
}
