/*
 * exchange_request.c -- the request on its way to the server; see exchange.h.
 *
 * The head and what came of the body with it stand in one buffer, which is kept until the first
 * byte of the answer, so that it can be sent again.  What follows is read into the worker's input
 * and sent from there; only what does not fit is kept.
 */
#include "proxy/worker/exchange.h"

#include <string.h>

#define RATE_GRACE_MS 3000u /* a body may start as slowly as it likes for so long */

static const char continue_head[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* The server takes no more.  Its answer may be on the way: the rest of the body is dropped, and
 * the read that follows tells. */
static void stop_upload(struct xf_exchange *exchange)
{
    exchange->upload_dropped = true;
    exchange->replayable = exchange->replayable && exchange->upload.done;
    exchange->upstream->conn.readable = true;
    if (exchange->request != NULL) {
        exchange->request->start = exchange->request->end;
    }
}

enum xf_step xf_exchange_push_request(struct xf_exchange *exchange)
{
    struct xf_buffer *request = exchange->request;
    struct xf_upstream *upstream = exchange->upstream;
    if (xf_buffer_length(request) == 0 || upstream == NULL || upstream->connecting ||
        !upstream->conn.writable || exchange->upload_dropped) {
        return XF_STEP_IDLE;
    }
    ssize_t sent =
        xf_conn_send(&upstream->conn, request->bytes + request->start, xf_buffer_length(request));
    if (sent < 0) {
        stop_upload(exchange);
        return XF_STEP_MOVED;
    }
    /* Under TLS the bytes may be on their way though none was taken from us. */
    exchange->written |= sent > 0 || upstream->conn.tls != NULL;
    exchange->request_moved |= sent > 0;
    request->start += (uint32_t) sent;
    if (xf_buffer_length(request) == 0 && !exchange->replayable) {
        xf_slab_put(&exchange->engine->slab, request);
        exchange->request = NULL;
    }
    return sent > 0 ? XF_STEP_MOVED : XF_STEP_IDLE;
}

/* Sends a piece of the body and keeps what does not fit. */
static bool relay(struct xf_exchange *exchange, const struct xf_body_piece *piece)
{
    struct xf_engine *engine = exchange->engine;
    size_t at = 0;
    if (exchange->upload_dropped || piece->length == 0) {
        return true;
    }
    /* From here on the request is no longer whole in one buffer. */
    exchange->replayable = false;
    xf_slab_put(&engine->slab, exchange->request);
    exchange->request = NULL;
    if (exchange->upstream->conn.writable) {
        ssize_t sent = xf_conn_send(&exchange->upstream->conn, piece->data, piece->length);
        if (sent < 0) {
            stop_upload(exchange);
            return true;
        }
        exchange->written = true;
        exchange->request_moved = true;
        at = (size_t) sent;
    }
    if (at < piece->length) {
        exchange->upload_blocked = true;
        struct xf_buffer *rest = xf_slab_get(&engine->slab, piece->length - at);
        if (rest == NULL) {
            return false;
        }
        rest->end = (uint32_t) (piece->length - at);
        memcpy(rest->bytes, piece->data + at, rest->end);
        exchange->request = rest;
    }
    return true;
}

/* The body breaks the rules or the limit. */
static enum xf_step refuse(struct xf_exchange *exchange, unsigned status, const char *text)
{
    exchange->keep_alive = false;
    if (exchange->head_sent) {
        exchange->ending = XF_ENDING_CLIENT;
        xf_exchange_end(exchange, false);
    } else {
        xf_exchange_answer_self(exchange, status, text);
    }
    return XF_STEP_GONE;
}

/* Whether the body comes more slowly than limits.body_rate, over the time it was waited for. */
static bool too_slow(const struct xf_exchange *exchange)
{
    const struct xf_engine *engine = exchange->engine;
    uint64_t rate = engine->services[exchange->service].config->limits.body_rate;
    if (rate == 0 || exchange->upload.done) {
        return false;
    }
    uint64_t waited_ms = exchange->body_waited_ms;
    if (exchange->body_since_ms != 0) {
        waited_ms += engine->now_ms - exchange->body_since_ms;
    }
    return waited_ms > RATE_GRACE_MS &&
           exchange->bytes_in / rate < (waited_ms - RATE_GRACE_MS) / 1000 + 1;
}

static enum xf_step take_body(struct xf_exchange *exchange, char *bytes, size_t length, bool all)
{
    struct xf_client *client = exchange->client;
    struct xf_body_piece piece;
    if (!xf_body_decode(&exchange->upload, bytes, length, &piece)) {
        return refuse(exchange, 400, "malformed chunked body");
    }
    exchange->bytes_in += piece.length;
    if (xf_body_exceeds(&exchange->upload,
                        exchange->engine->services[exchange->service].config->limits.body)) {
        return refuse(exchange, 413, "the body is too large");
    }
    if (too_slow(exchange)) {
        return refuse(exchange, 408, "the request's body comes too slowly");
    }
    /* Before the framing below writes behind the data. */
    if (!xf_client_consume(client, bytes, length, piece.used)) {
        return refuse(exchange, 503, "out of buffers");
    }
    if (exchange->upload.done && all && client->in == NULL) {
        xf_conn_drained(&client->conn);
    }
    if (exchange->upload.framing == XF_FRAMING_CHUNKED) {
        xf_body_frame(&piece, exchange->upload.done);
    }
    if (!relay(exchange, &piece)) {
        return refuse(exchange, 503, "out of buffers");
    }
    return XF_STEP_MOVED;
}

enum xf_step xf_exchange_pull_request(struct xf_exchange *exchange)
{
    struct xf_client *client = exchange->client;
    struct xf_engine *engine = exchange->engine;
    if (exchange->upload.done || exchange->upstream == NULL || exchange->upstream->connecting ||
        xf_exchange_unsent(exchange) > 0) {
        return XF_STEP_IDLE;
    }
    if (exchange->expects && !exchange->head_sent && exchange->answer == NULL) {
        exchange->expects = false;
        if (!xf_exchange_to_client(exchange, continue_head, sizeof(continue_head) - 1)) {
            xf_exchange_client_lost(exchange);
            return XF_STEP_GONE;
        }
    }
    if (!client->conn.readable) {
        return XF_STEP_IDLE;
    }
    size_t room = xf_slab_room(&engine->slab, XF_RELAY_BYTES_HIGH - XF_SLAB_BYTES_MIN,
                               exchange->upload_blocked);
    if (room == 0) {
        xf_client_starve(client);
        return XF_STEP_IDLE;
    }
    char *bytes = engine->input + XF_INPUT_HEADROOM;
    ssize_t got = xf_conn_receive(&client->conn, bytes, room);
    if (got == XF_CONN_AGAIN) {
        return XF_STEP_IDLE;
    }
    if (got <= 0) { /* the client ended in the middle of its body */
        xf_exchange_client_lost(exchange);
        return XF_STEP_GONE;
    }
    return take_body(exchange, bytes, (size_t) got, (size_t) got < room);
}
