/*
 * client.c -- see client.h.
 */
#include "proxy/worker/client.h"

#include "proxy/worker/exchange.h"
#include "proxy/http/proxy_header.h"
#include "proxy/transport/tls.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLACK            64u   /* behind what is read: a chunk's end may be written there */
#define SHED_AFTER_MS    1000u /* the next request of who was just answered may be on its way */
#define SHED_LOOKS       8u
#define LINGER_BYTES_MAX (1u << 20) /* thrown away after a refusal */

static void arm(struct xf_client *client, enum xf_deadline_kind kind)
{
    struct xf_engine *engine = client->engine;
    xf_deadline_disarm(&engine->deadlines, (enum xf_deadline_kind) client->deadline_kind,
                       &client->deadline);
    client->deadline_kind = (uint8_t) kind;
    xf_deadline_arm(&engine->deadlines, xf_client_service(client), kind, &client->deadline,
                    engine->now_ms);
}

static void disarm(struct xf_client *client)
{
    xf_deadline_disarm(&client->engine->deadlines, (enum xf_deadline_kind) client->deadline_kind,
                       &client->deadline);
}

void xf_client_again(struct xf_client *client)
{
    if (xf_list_empty(&client->again)) {
        xf_list_append(&client->engine->again, &client->again);
    }
}

void xf_client_starve(struct xf_client *client)
{
    if (xf_list_empty(&client->again)) {
        xf_list_append(&client->engine->starved, &client->again);
    }
}

/* The connection cannot go on, whatever is being done on it. */
static void give_up(struct xf_client *client)
{
    if (client->exchange != NULL) {
        xf_exchange_client_lost(client->exchange);
    } else {
        xf_client_close(client);
    }
}

bool xf_client_watch(struct xf_client *client)
{
    if (xf_conn_watch(&client->conn)) {
        return true;
    }
    give_up(client);
    return false;
}

static void drop_input(struct xf_client *client)
{
    xf_slab_put(&client->engine->slab, client->in);
    client->in = NULL;
    client->seen = 0;
}

void xf_client_close(struct xf_client *client)
{
    struct xf_engine *engine = client->engine;
    XF_ASSERT(client->exchange == NULL);
    if (!client->conn.open) {
        return;
    }
    xf_conn_close(&client->conn);
    disarm(client);
    drop_input(client);
    xf_list_remove(&client->again);
    xf_list_remove(&client->link);
    xf_list_append(&engine->swept_clients, &client->link);
    engine->clients_count--;
    atomic_store_explicit(&engine->stats->clients, engine->clients_count, memory_order_relaxed);
}

void xf_client_reset(struct xf_client *client)
{
    xf_conn_spoil(&client->conn);
    xf_client_close(client);
}

/* Reads on for a bounded time, so that a reset does not destroy our last answer. */
static void linger_read(struct xf_client *client)
{
    while (client->conn.readable) {
        ssize_t got = xf_conn_receive(&client->conn, client->engine->input, XF_FIRST_READ);
        if (got == XF_CONN_AGAIN) {
            return;
        }
        if (got > 0) {
            client->lingered += (uint32_t) got;
        }
        if (got <= 0 || client->lingered > LINGER_BYTES_MAX) {
            xf_client_close(client);
            return;
        }
    }
}

static void linger(struct xf_client *client)
{
    drop_input(client);
    client->lingering = true;
    if (!xf_client_watch(client)) {
        return;
    }
    xf_conn_finish(&client->conn);
    arm(client, XF_DEADLINE_LINGER);
    client->conn.readable = true;
    linger_read(client);
}

bool xf_client_consume(struct xf_client *client, const char *bytes, size_t length, size_t used)
{
    struct xf_buffer *in = client->in;
    XF_ASSERT(used <= length);
    client->seen = 0;
    if (in != NULL) {
        XF_ASSERT(bytes == in->bytes + in->start);
        in->start += (uint32_t) used;
        if (in->start == in->end) {
            drop_input(client);
        }
        return true;
    }
    if (used == length) {
        return true;
    }
    in = xf_slab_get(&client->engine->slab, length - used + SLACK);
    if (in == NULL) {
        return false;
    }
    memcpy(in->bytes, bytes + used, length - used);
    in->end = (uint32_t) (length - used);
    client->in = in;
    return true;
}

void xf_client_answer(struct xf_client *client, const struct xf_own_answer *answer)
{
    char text[1024];
    const char *body = answer->text != NULL ? answer->text : xf_http_reason(answer->status);
    int length = snprintf(
        text, sizeof(text),
        "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\n"
        "Content-Length: %zu\r\n%s%s\r\n%s%s",
        answer->status, xf_http_reason(answer->status), xf_engine_date(client->engine),
        answer->type != NULL ? answer->type : "text/plain", strlen(body) + 1,
        answer->extra != NULL ? answer->extra : "", answer->close ? "Connection: close\r\n" : "",
        answer->head_only ? "" : body, answer->head_only ? "" : "\n");
    if (length <= 0 || (size_t) length >= sizeof(text)) {
        xf_client_close(client);
        return;
    }
    ssize_t sent = answer->close ? xf_conn_send_last(&client->conn, text, (size_t) length)
                                 : xf_conn_send(&client->conn, text, (size_t) length);
    if (sent < 0) {
        xf_client_close(client);
    } else if (sent < length) { /* a client that has not even taken this much is not waited for */
        xf_client_reset(client);
    } else {
        xf_client_continue(client, !answer->close);
    }
}

/* bytes[0, length): what came of the head; may stand in client->in. */
static void refuse(struct xf_client *client, const char *bytes, size_t length, unsigned status,
                   const char *reason)
{
    struct xf_engine *engine = client->engine;
    struct xf_stats_service *stats = engine->services[xf_client_service(client)].stats;
    xf_count(&stats->refused[status / 100], 1);
    client->served = true;
    xf_exchange_log_refused(client, bytes, length, status, reason);
    xf_client_answer(client,
                     &(struct xf_own_answer){.status = status, .text = reason, .close = true});
}

static void refuse_held(struct xf_client *client, unsigned status, const char *reason)
{
    struct xf_buffer *in = client->in;
    refuse(client, in->bytes + in->start, xf_buffer_length(in), status, reason);
}

/* Parses what begins at `bytes`.  True: more input is needed. */
static bool parse(struct xf_client *client, char *bytes, size_t length, bool all)
{
    struct xf_engine *engine = client->engine;
    struct xf_engine_service *service = &engine->services[xf_client_service(client)];
    struct xf_http_request request;
    struct xf_http_refusal refusal;
    switch (xf_http_parse_request(bytes, length, client->seen, &service->limits, engine->fields,
                                  &request, &refusal)) {
    case XF_HTTP_DONE:
        disarm(client);
        xf_exchange_begin(client, bytes, length, all, &request);
        return false;
    case XF_HTTP_BAD:
        refuse(client, bytes, length, refusal.status, refusal.reason);
        return false;
    case XF_HTTP_MORE:
        break;
    }
    if (client->in == NULL && !xf_client_consume(client, bytes, length, 0)) {
        refuse(client, bytes, length, 503, "out of buffers");
        return false;
    }
    client->seen = (uint32_t) length;
    if (client->deadline_kind != XF_DEADLINE_HEADER || !xf_deadline_armed(&client->deadline)) {
        arm(client, XF_DEADLINE_HEADER);
    }
    return true;
}

/* Makes room behind a partial head; false: there is none. */
static bool widen(struct xf_client *client)
{
    struct xf_buffer *in = client->in;
    if (in->size - in->end > SLACK) {
        return true;
    }
    uint32_t length = xf_buffer_length(in);
    struct xf_buffer *larger = xf_slab_get(&client->engine->slab, 2 * (size_t) length + 2 * SLACK);
    if (larger == NULL) {
        return false;
    }
    memcpy(larger->bytes, in->bytes + in->start, length);
    larger->end = length;
    xf_slab_put(&client->engine->slab, in);
    client->in = larger;
    return true;
}

static void read_head(struct xf_client *client)
{
    struct xf_engine *engine = client->engine;
    while (client->conn.readable) {
        char *bytes = engine->input + XF_INPUT_HEADROOM;
        size_t held = 0, room = XF_FIRST_READ;
        if (client->in != NULL) {
            if (!widen(client)) {
                refuse_held(client, 503, "out of buffers");
                return;
            }
            bytes = client->in->bytes + client->in->start;
            held = xf_buffer_length(client->in);
            room = client->in->size - client->in->end - SLACK;
        }
        ssize_t got = xf_conn_receive(&client->conn, bytes + held, room);
        if (got == XF_CONN_AGAIN) {
            return;
        }
        if (got <= 0) {
            xf_client_close(client);
            return;
        }
        if (client->in != NULL) {
            client->in->end += (uint32_t) got;
        }
        if (!parse(client, bytes, held + (size_t) got, (size_t) got < room)) {
            return;
        }
    }
}

/* Whose address it is decides what is believed; then TLS, where the listener has it. */
static bool greet(struct xf_client *client, const struct xf_address *address)
{
    struct xf_engine *engine = client->engine;
    client->introduced = true;
    client->address = *address;
    client->trusted =
        xf_address_in(&client->address, engine->config->trusted, engine->config->trusted_count);
    if (engine->listeners[client->listener].tls &&
        !xf_tls_open(engine->tls, client->listener, &client->conn)) {
        xf_client_close(client);
        return false;
    }
    return true;
}

/* The PROXY header, which stands before everything, TLS included.  It is looked at in the socket
 * until it is whole, so nothing of it is kept.  True: the client goes on. */
static bool introduce(struct xf_client *client)
{
    struct xf_proxy_header header;
    char bytes[XF_PROXY_HEADER_MAX];
    ssize_t got = xf_conn_peek(&client->conn, bytes, sizeof(bytes));
    if (got == XF_CONN_AGAIN) {
        return false;
    }
    enum xf_proxy_verdict verdict =
        got > 0 ? xf_proxy_header_read(bytes, (size_t) got, &header) : XF_PROXY_BAD;
    if (verdict == XF_PROXY_MORE && !client->conn.hung_up) {
        client->conn.readable = false; /* more of it makes another edge */
        return false;
    }
    if (verdict != XF_PROXY_DONE ||
        xf_conn_receive_raw(&client->conn, bytes, header.bytes) != (ssize_t) header.bytes) {
        xf_client_close(client); /* whoever it is, it is not spoken to */
        return false;
    }
    struct xf_address peer = client->address;
    return greet(client, header.named ? &header.client : &peer);
}

void xf_client_resume(struct xf_client *client)
{
    if (XF_UNLIKELY(!client->introduced) && !introduce(client)) {
        return;
    }
    if (client->exchange != NULL) {
        xf_exchange_pump(client->exchange);
        return;
    }
    if (client->lingering) {
        linger_read(client);
        return;
    }
    if (client->in != NULL && client->seen < xf_buffer_length(client->in)) {
        struct xf_buffer *in = client->in;
        if (!parse(client, in->bytes + in->start, xf_buffer_length(in), false)) {
            return;
        }
    }
    read_head(client);
}

void xf_client_continue(struct xf_client *client, bool persist)
{
    if (!persist || client->engine->stopping) {
        bool quiet = client->in == NULL && !client->conn.readable;
        if (quiet || client->conn.hung_up) {
            xf_client_close(client);
        } else {
            linger(client);
        }
        return;
    }
    if (!xf_client_watch(client)) {
        return;
    }
    arm(client, XF_DEADLINE_IDLE);
    if (client->in != NULL || client->conn.readable) {
        xf_client_again(client);
    }
}

/* Whether what comes next is read, as the beginning of a request. */
static bool awaits_head(const struct xf_client *client)
{
    return client->exchange == NULL && client->introduced && !client->lingering &&
           client->conn.readable &&
           (client->in == NULL || client->seen == xf_buffer_length(client->in)) &&
           (client->conn.tls == NULL || xf_tls_hungry(&client->conn));
}

static void go_on(void *owner, short what)
{
    struct xf_client *client = owner;
    if (!xf_conn_flush(&client->conn)) {
        give_up(client);
    } else if (client->exchange != NULL) {
        xf_exchange_client_event(client->exchange, what);
    } else if (client->lingering) {
        linger_read(client);
    } else if (client->conn.readable) {
        xf_client_resume(client);
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct xf_client *client = arg;
    (void) fd;
    xf_engine_enter(client->engine);
    xf_conn_note(&client->conn, what);
    xf_ready_add(&client->engine->ready, &client->conn, what, awaits_head(client), go_on, client);
}

/* A new client's first read. */
static void begin(void *owner, short what)
{
    struct xf_client *client = owner;
    (void) what;
    read_head(client);
    if (!client->conn.open || client->conn.watched) {
        return;
    }
    if (client->exchange != NULL) {
        arm(client, XF_DEADLINE_WATCH);
    } else {
        (void) xf_client_watch(client);
    }
}

void xf_client_accept(struct xf_engine *engine, int fd, unsigned listener,
                      const struct sockaddr_storage *peer)
{
    struct xf_client *client = xf_objects_get(&engine->clients_memory);
    if (client == NULL) {
        (void) close(fd);
        return;
    }
    client->engine = engine;
    client->listener = (uint16_t) listener;
    client->service = (uint8_t) engine->listeners[listener].config->service;
    xf_list_init(&client->link);
    xf_list_init(&client->again);
    xf_deadline_init(&client->deadline);
    xf_address_from(peer, &client->address);
    xf_conn_prepare(&client->conn, engine->loop, fd, on_event, client);
    xf_list_append(&engine->clients, &client->link);
    engine->clients_count++;
    atomic_store_explicit(&engine->stats->clients, engine->clients_count, memory_order_relaxed);
    xf_count(&engine->stats->accepted, 1);
    arm(client, XF_DEADLINE_HEADER);
    struct xf_address address = client->address;
    if (engine->listeners[listener].config->proxy_protocol ? introduce(client)
                                                           : greet(client, &address)) {
        xf_ready_add(&engine->ready, &client->conn, 0, true, begin, client);
    } else if (client->conn.open) {
        (void) xf_client_watch(client);
    }
}

void xf_client_expired(struct xf_client *client, enum xf_deadline_kind kind)
{
    if (kind == XF_DEADLINE_WATCH) {
        (void) xf_client_watch(client);
    } else if (kind == XF_DEADLINE_HEADER && client->in != NULL) {
        refuse_held(client, 408, "the request's head did not come in time");
    } else {
        xf_client_close(client);
    }
}

/* A request that has arrived and was not read yet: its event comes in this turn or the next. */
static bool has_request(const struct xf_client *client)
{
    char byte;
    if (client->conn.tls != NULL && xf_tls_young(&client->conn)) {
        return true; /* it is about to come, or its limit */
    }
    return recv(xf_conn_fd(&client->conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* The longest idle client of a service; NULL: none that may be closed. */
static struct xf_client *longest_idle(struct xf_engine *engine, unsigned service)
{
    struct xf_deadline_queue *queue =
        &engine->deadlines.queues[service * XF_DEADLINE_KINDS + XF_DEADLINE_IDLE];
    struct xf_list *link = queue->head.next;
    for (unsigned i = 0; i < SHED_LOOKS && link != &queue->head; i++, link = link->next) {
        struct xf_deadline *deadline = XF_CONTAINER_OF(link, struct xf_deadline, link);
        struct xf_client *client = XF_CONTAINER_OF(deadline, struct xf_client, deadline);
        if (deadline->at_ms - (uint64_t) queue->limit_ms + SHED_AFTER_MS > engine->now_ms) {
            return NULL;
        }
        if (client->in == NULL && !has_request(client)) {
            return client;
        }
    }
    return NULL;
}

bool xf_client_shed(struct xf_engine *engine)
{
    for (unsigned i = 0; i < engine->config->services_count; i++) {
        struct xf_client *client = longest_idle(engine, i);
        if (client != NULL) {
            xf_client_close(client);
            return true;
        }
    }
    return false;
}

void xf_client_close_idle(struct xf_engine *engine, bool fresh)
{
    struct xf_list *link = engine->clients.next;
    while (link != &engine->clients) {
        struct xf_client *client = XF_CONTAINER_OF(link, struct xf_client, link);
        link = link->next;
        if (client->exchange == NULL && client->in == NULL && !client->lingering &&
            (client->served || fresh) && !has_request(client)) {
            xf_client_close(client);
        }
    }
}
