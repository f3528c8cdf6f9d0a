/*
 * exchange_begin.c -- from a parsed head to a request that is on its way; see exchange.h.
 */
#include "proxy/worker/exchange.h"

#include "proxy/worker/fence.h"
#include "proxy/http/fields.h"
#include "proxy/http/forwarded.h"
#include "proxy/worker/override.h"

#include <string.h>

static struct xf_piece piece_of(const char *text)
{
    return (struct xf_piece){text, text == NULL ? 0 : strlen(text)};
}

/* The first configured protocol that the client offers, counted from 1; 0 where there is none. */
static unsigned wanted_upgrade(const struct xf_config *config, const char *bytes,
                               const struct xf_http_request *request)
{
    if (request->upgrade && request->minor >= 1) {
        struct xf_span offered = request->upgrade_protocols;
        for (unsigned i = 0; i < config->upgrade_count; i++) {
            if (xf_http_list_has(bytes + offered.at, offered.length, config->upgrade[i])) {
                return i + 1;
            }
        }
    }
    return 0;
}

/* What the proxy answers itself, before anything is chosen.  True: it did. */
static bool answer_here(struct xf_client *client, const char *bytes, size_t length,
                        const struct xf_http_request *request)
{
    struct xf_engine *engine = client->engine;
    const struct xf_config_listener *listener = engine->listeners[client->listener].config;
    const struct xf_config_service *service = &engine->config->services[listener->service];
    bool body = request->framing == XF_FRAMING_CHUNKED ||
                (request->framing == XF_FRAMING_LENGTH && request->content_length > 0);
    struct xf_own_answer answer = {
        .head_only = request->method == XF_METHOD_HEAD,
        .close = !request->keep_alive || body || engine->closing,
    };
    bool reflects = request->method == XF_METHOD_TRACE || request->method == XF_METHOD_OPTIONS;
    if (request->framing == XF_FRAMING_LENGTH && request->content_length > service->limits.body) {
        answer.status = 413;
        answer.text = "the body is too large";
        answer.close = true;
    } else if (listener->health != NULL && request->path.length == strlen(listener->health) &&
               memcmp(bytes + request->path.at, listener->health, request->path.length) == 0) {
        answer.status = engine->closing || engine->lameduck ? 503 : 200;
        answer.text = answer.status == 200 ? "ok" : "shutting down";
    } else if (reflects && request->max_forwards == 0) {
        answer.status = request->method == XF_METHOD_OPTIONS ? 200 : 405;
        answer.extra = "Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS\r\n";
    } else {
        return false;
    }
    struct xf_stats_service *stats = engine->services[listener->service].stats;
    xf_count(&stats->refused[answer.status / 100], 1);
    client->served = true;
    if (answer.status / 100 == 4) {
        const char *reason = answer.text != NULL ? answer.text : xf_http_reason(answer.status);
        xf_exchange_log_refused(client, bytes, length, answer.status, reason);
    }
    if (!xf_client_consume(client, bytes, length, request->head_bytes)) {
        answer.close = true;
    }
    xf_client_answer(client, &answer);
    return true;
}

static struct xf_exchange *create(struct xf_client *client, const struct xf_http_request *request)
{
    struct xf_engine *engine = client->engine;
    struct xf_exchange *exchange = xf_objects_get(&engine->exchanges_memory);
    if (exchange == NULL) {
        return NULL;
    }
    exchange->engine = engine;
    exchange->client = client;
    exchange->service = (uint8_t) xf_client_service(client);
    exchange->state = XF_EXCHANGE_CHOOSING;
    exchange->method = (uint8_t) request->method;
    exchange->minor = request->minor;
    exchange->keep_alive = request->keep_alive;
    exchange->server = -1;
    exchange->replayable = true;
    exchange->begun_us = xf_engine_now_us();
    exchange->dispatched_us = exchange->begun_us;
    xf_list_init(&exchange->link);
    xf_list_init(&exchange->queued);
    xf_list_init(&exchange->judging.link);
    xf_deadline_init(&exchange->client_deadline);
    xf_deadline_init(&exchange->server_deadline);
    xf_deadline_init(&exchange->total_deadline);
    xf_body_init(&exchange->upload, request->framing, request->content_length);
    client->exchange = exchange;
    engine->exchanges_count++;
    xf_deadline_arm(&engine->deadlines, exchange->service, XF_DEADLINE_TOTAL,
                    &exchange->total_deadline, engine->now_ms);
    return exchange;
}

static void find_source(struct xf_exchange *exchange, const char *bytes,
                        const struct xf_http_request *request)
{
    const struct xf_client *client = exchange->client;
    exchange->source = client->address;
    if (XF_UNLIKELY(client->trusted)) {
        const struct xf_config *config = exchange->engine->config;
        const struct xf_networks trusted = {config->trusted, config->trusted_count};
        xf_forwarded_source(bytes, request, exchange->engine->fields, &trusted, &client->address,
                            &exchange->source);
    }
}

/* Chooses the cluster; a client without its cookie gets an id while a cutover is going on. */
static bool choose(struct xf_exchange *exchange, const char *bytes,
                   const struct xf_http_request *request)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_engine_service *service = &engine->services[exchange->service];
    const struct xf_config_sticky *sticky = &service->config->sticky;
    struct xf_sticky_key key = {NULL, 0};
    struct xf_piece named = {NULL, 0};
    bool fresh = false;
    if (XF_UNLIKELY(engine->overrides != NULL)) {
        named = xf_override_find(engine->overrides, service->config, bytes, request, engine->fields,
                                 &exchange->source);
    }
    if (named.length > 0 && xf_exchange_override(exchange, named)) {
        return true;
    }
    if (sticky->by != XF_STICKY_NONE) {
        key = xf_sticky_find(sticky, bytes, request, engine->fields, &exchange->source, &fresh);
        if (fresh) {
            xf_sticky_make(&engine->random, exchange->cookie_id);
            key = (struct xf_sticky_key){exchange->cookie_id, XF_STICKY_ID_BYTES};
        }
    }
    xf_service_second(service, engine->now_ms / 1000);
    service->rescue_seen[service->rescue_second % XF_COUNT(service->rescue_seen)]++;
    exchange->cookie_new = fresh;
    if (!xf_exchange_choose(exchange, &key)) {
        return false;
    }
    struct xf_judging *judging = &exchange->judging;
    if (judging->active) {
        size_t length = request->target.length;
        length = length < XF_BLAME_TARGET_BYTES ? length : XF_BLAME_TARGET_BYTES;
        judging->target_length = (uint8_t) length;
        memcpy(judging->target, bytes + request->target.at, length);
    }
    return true;
}

/* Builds the head to send, followed by what came of the body, in one buffer. */
static bool build(struct xf_exchange *exchange, char *bytes, size_t length,
                  const struct xf_http_request *request, size_t *ret_used,
                  struct xf_http_refusal *ret_refusal)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_client *client = exchange->client;
    const struct xf_engine_listener *listener = &engine->listeners[client->listener];
    const struct xf_config_sticky *sticky = &engine->services[exchange->service].config->sticky;
    char address[XF_ADDRESS_TEXT_BYTES], source[XF_ADDRESS_TEXT_BYTES];
    char id[XF_STICKY_ID_BYTES];
    xf_sticky_make(&engine->random, id);
    unsigned upgrade = wanted_upgrade(engine->config, bytes, request);
    struct xf_request_options options = {
        .client = {address, xf_address_text(&client->address, address)},
        .trusted = client->trusted,
        .scheme = piece_of(listener->tls ? "https" : "http"),
        .port = piece_of(listener->port),
        .via = {XF_VIA_NAME, sizeof(XF_VIA_NAME) - 1},
        .request_id = {id, sizeof(id)},
        .host = piece_of(listener->config->bind.text),
        .strip_cookie = piece_of(sticky->by == XF_STICKY_COOKIE ? sticky->name : NULL),
        .strip_field = engine->services[exchange->service].config->override.header,
        .upgrade = piece_of(upgrade > 0 ? engine->config->upgrade[upgrade - 1] : NULL),
        .framing = request->framing,
        .content_length = request->content_length,
    };
    if (XF_UNLIKELY(client->trusted)) {
        options.source = (struct xf_piece){source, xf_address_text(&exchange->source, source)};
    }
    exchange->upgrade = (uint8_t) upgrade;
    exchange->upgrade_sought = request->upgrade;
    struct xf_body_piece piece;
    size_t head = xf_build_request(engine->scratch, engine->scratch_bytes, bytes, request,
                                   engine->fields, &options);
    if (head > engine->scratch_bytes) { /* what we add repeats much of it, as a long Host */
        *ret_refusal = (struct xf_http_refusal){431, "the head is too large to be sent on"};
        return false;
    }
    *ret_refusal = (struct xf_http_refusal){503, "out of buffers"};
    if (!xf_body_decode(&exchange->upload, bytes + request->head_bytes,
                        length - request->head_bytes, &piece)) {
        *ret_refusal = (struct xf_http_refusal){400, "malformed chunked body"};
        return false;
    }
    if (xf_body_exceeds(&exchange->upload,
                        engine->services[exchange->service].config->limits.body)) {
        *ret_refusal = (struct xf_http_refusal){413, "the body is too large"};
        return false;
    }
    *ret_used = request->head_bytes + piece.used;
    exchange->bytes_in += piece.length;
    if (request->framing == XF_FRAMING_CHUNKED) {
        /* The head stands before it and is not needed any more: room for the size line. */
        xf_body_frame(&piece, exchange->upload.done);
    }
    exchange->request = xf_slab_get(&engine->slab, head + piece.length);
    if (exchange->request == NULL) {
        return false;
    }
    memcpy(exchange->request->bytes, engine->scratch, head);
    memcpy(exchange->request->bytes + head, piece.data, piece.length);
    exchange->request->end = (uint32_t) (head + piece.length);
    return true;
}

/* A fence of the cutover: listed methods are refused until it is lifted. */
static bool fenced(struct xf_exchange *exchange, const char *bytes, size_t length,
                   const struct xf_http_request *request)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_client *client = exchange->client;
    const struct xf_choice *choice = &exchange->choice;
    if ((choice->record_flags & XF_RECORD_FENCE) == 0) {
        return false;
    }
    const struct xf_route_record *record =
        xf_board_record(engine->board, exchange->service, xf_route_record_number(choice->word));
    if (!xf_fence_refuses(record, request->method, bytes + request->path.at,
                          request->path.length)) {
        return false;
    }
    char text[256];
    xf_fence_text(record, text);
    xf_count(&engine->services[exchange->service].stats->fenced, 1);
    exchange->ending = XF_ENDING_OWN;
    exchange->status = 503;
    struct xf_own_answer answer = {
        .status = 503,
        .text = text,
        .type = "application/json",
        .extra = "Retry-After: 60\r\n",
        .close = !exchange->keep_alive || !exchange->upload.done || engine->closing,
    };
    xf_exchange_release(exchange);
    answer.close |= !xf_client_consume(client, bytes, length, request->head_bytes);
    xf_client_answer(client, &answer);
    return true;
}

static void refuse(struct xf_exchange *exchange, unsigned status, const char *text)
{
    exchange->keep_alive = false;
    xf_exchange_answer_self(exchange, status, text);
}

void xf_exchange_begin(struct xf_client *client, char *bytes, size_t length, bool all,
                       const struct xf_http_request *request)
{
    if (answer_here(client, bytes, length, request)) {
        return;
    }
    struct xf_exchange *exchange = create(client, request);
    if (exchange == NULL) {
        xf_client_answer(client, &(struct xf_own_answer){.status = 503, .close = true});
        return;
    }
    find_source(exchange, bytes, request);
    xf_exchange_log_begin(exchange, bytes, request);
    if (!choose(exchange, bytes, request)) {
        refuse(exchange, 503, "no route");
        return;
    }
    if (fenced(exchange, bytes, length, request)) {
        return;
    }
    struct xf_http_refusal refusal;
    size_t used = 0;
    if (!build(exchange, bytes, length, request, &used, &refusal)) {
        refuse(exchange, refusal.status, refusal.reason);
        return;
    }
    if (!xf_client_consume(client, bytes, length, used)) {
        refuse(exchange, 503, "out of buffers");
        return;
    }
    if (exchange->upload.done && all && client->in == NULL) {
        xf_conn_drained(&client->conn);
    }
    exchange->expects = request->expect_continue && !exchange->upload.done;
    if (xf_exchange_try(exchange)) {
        xf_exchange_pump(exchange);
    }
}
