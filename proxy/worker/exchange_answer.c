/*
 * exchange_answer.c -- the answer on its way to the client; see exchange.h.
 *
 * Read into the worker's input, behind a headroom.  The new head is put directly before the body,
 * so that a whole answer leaves in one send.
 */
#include "proxy/worker/exchange.h"

#include "proxy/worker/eject.h"
#include "proxy/http/fields.h"

#include <string.h>

#define FIRST_ANSWER_BYTES (128u * 1024u)

bool xf_exchange_to_client(struct xf_exchange *exchange, const char *bytes, size_t length)
{
    struct xf_client *client = exchange->client;
    struct xf_slab *slab = &exchange->engine->slab;
    struct xf_buffer *held = exchange->answer;
    size_t at = 0;
    exchange->bytes_out += length;
    if (exchange->ends_with_this && xf_exchange_part(exchange, bytes, length)) {
        return true;
    }
    if (held == NULL && client->conn.writable) {
        ssize_t sent = exchange->ends_with_this ? xf_conn_send_last(&client->conn, bytes, length)
                                                : xf_conn_send(&client->conn, bytes, length);
        if (sent < 0) {
            return false;
        }
        at = (size_t) sent;
    }
    if (at == length) {
        return true;
    }
    exchange->blocked = true;
    size_t rest = length - at;
    size_t before = xf_buffer_length(held);
    if (held == NULL || held->size - held->end < rest) {
        struct xf_buffer *larger = xf_slab_get(slab, before + rest);
        if (larger == NULL) {
            return false;
        }
        if (before > 0) {
            memcpy(larger->bytes, held->bytes + held->start, before);
        }
        larger->end = (uint32_t) before;
        xf_slab_put(slab, held);
        exchange->answer = held = larger;
    }
    memcpy(held->bytes + held->end, bytes + at, rest);
    held->end += (uint32_t) rest;
    return true;
}

enum xf_step xf_exchange_push_answer(struct xf_exchange *exchange)
{
    struct xf_buffer *answer = exchange->answer;
    if (answer == NULL || !exchange->client->conn.writable) {
        return XF_STEP_IDLE;
    }
    ssize_t sent = xf_conn_send(&exchange->client->conn, answer->bytes + answer->start,
                                xf_buffer_length(answer));
    if (sent < 0) {
        xf_exchange_client_lost(exchange);
        return XF_STEP_GONE;
    }
    answer->start += (uint32_t) sent;
    if (answer->start < answer->end) {
        return sent > 0 ? XF_STEP_MOVED : XF_STEP_IDLE;
    }
    xf_slab_put(&exchange->engine->slab, answer);
    exchange->answer = NULL;
    if (exchange->state == XF_EXCHANGE_FLUSHING) {
        xf_exchange_end(exchange, exchange->persist);
        return XF_STEP_GONE;
    }
    return XF_STEP_MOVED;
}

/* The answer's last byte was read: the server is free, the client may still have to take some. */
static enum xf_step finish(struct xf_exchange *exchange, bool more_came)
{
    struct xf_upstream *upstream = exchange->upstream;
    bool reusable = exchange->reusable && exchange->drained && !more_came &&
                    exchange->upload.done && !exchange->upload_dropped &&
                    xf_exchange_unsent(exchange) == 0 && !upstream->conn.hung_up;
    exchange->last = true;
    exchange->ending = XF_ENDING_DONE;
    xf_exchange_judge(exchange, exchange->status / 100 == 4 ? XF_JUDGED_4XX : XF_JUDGED_GOOD);
    if (reusable) {
        upstream->conn.readable = false;
    }
    xf_exchange_detach(exchange, reusable);
    xf_exchange_enter(exchange, XF_ON_LAST);
    if (exchange->parting) {
        return XF_STEP_GONE; /* it is when the turn ends */
    }
    if (exchange->answer == NULL) {
        xf_exchange_end(exchange, exchange->persist);
        return XF_STEP_GONE;
    }
    return XF_STEP_MOVED;
}

/* Kong's own 404: its configuration lacks the route.  It is the symptom of an empty new cluster,
 * and no error of a server, so it is counted apart. */
static void look_for_no_route(struct xf_exchange *exchange, const struct xf_body_piece *piece)
{
    static const char says[] = "no Route matched";
    struct xf_stats_pair *pair =
        xf_engine_pair(exchange->engine, exchange->service, exchange->choice.cluster);
    if (!exchange->no_route && pair != NULL && piece->length >= sizeof(says) - 1 &&
        memmem(piece->data, piece->length, says, sizeof(says) - 1) != NULL) {
        exchange->no_route = true;
        xf_count(&pair->no_route, 1);
    }
}

/* Passes on what came of the body: bytes[0, length), with `head` bytes of a head to put before. */
static enum xf_step pass_body(struct xf_exchange *exchange, char *bytes, size_t length,
                              const char *head, size_t head_length)
{
    struct xf_body_piece piece;
    if (!xf_body_decode(&exchange->download, bytes, length, &piece)) {
        if (head_length > 0 && !xf_exchange_to_client(exchange, head, head_length)) {
            xf_exchange_client_lost(exchange);
            return XF_STEP_GONE;
        }
        return xf_exchange_failed(exchange, XF_FAILURE_MALFORMED) ? XF_STEP_MOVED : XF_STEP_GONE;
    }
    bool more_came = piece.used < length;
    bool done = exchange->download.done;
    if (exchange->status == 404) {
        look_for_no_route(exchange, &piece);
    }
    if (exchange->rechunk) {
        xf_body_frame(&piece, done);
    }
    if (head_length > 0) {
        piece.data -= head_length;
        piece.length += head_length;
        memcpy(piece.data, head, head_length);
    }
    exchange->ends_with_this = done && !exchange->persist;
    if (piece.length > 0 && !xf_exchange_to_client(exchange, piece.data, piece.length)) {
        xf_exchange_client_lost(exchange);
        return XF_STEP_GONE;
    }
    return done ? finish(exchange, more_came) : XF_STEP_MOVED;
}

/* The client sent on behind a request to switch protocols, which was not granted: those bytes are
 * of that protocol, and must not be taken for a request. */
static bool sent_early(const struct xf_exchange *exchange)
{
    const struct xf_client *client = exchange->client;
    return exchange->upgrade_sought && (client->in != NULL || client->conn.readable);
}

/* How the body is framed for this client, and whether its connection goes on. */
static void frame_answer(struct xf_exchange *exchange, const struct xf_http_response *response,
                         struct xf_response_options *options)
{
    enum xf_http_framing framing = response->framing;
    exchange->rechunk = false;
    if (framing == XF_FRAMING_CHUNKED || framing == XF_FRAMING_CLOSE) {
        exchange->rechunk = exchange->minor >= 1;
        framing = exchange->rechunk ? XF_FRAMING_CHUNKED : XF_FRAMING_CLOSE;
    }
    exchange->persist = exchange->keep_alive && exchange->upload.done &&
                        framing != XF_FRAMING_CLOSE && !exchange->engine->closing &&
                        !sent_early(exchange);
    options->framing = framing;
    options->content_length = response->content_length;
    options->connection = !exchange->persist     ? XF_CONNECTION_CLOSE
                          : exchange->minor == 0 ? XF_CONNECTION_KEEP_ALIVE
                                                 : XF_CONNECTION_NONE;
}

static bool status_is_bad(const struct xf_exchange *exchange, unsigned status)
{
    return (exchange->choice.bad_statuses[status / 64] >> (status % 64) & 1) != 0;
}

/* The final head: rescue, charge, build, send.  `bytes` is the raw head, the body behind it. */
static enum xf_step final_head(struct xf_exchange *exchange, char *bytes, size_t length,
                               const struct xf_http_response *response)
{
    struct xf_engine *engine = exchange->engine;
    if (!status_is_bad(exchange, response->status)) {
        xf_eject_passed(engine, (unsigned) exchange->server);
    } else {
        xf_eject_failed(engine, (unsigned) exchange->server);
        xf_exchange_charge(exchange, XF_ERROR_STATUS);
        if (xf_exchange_rescue(exchange)) {
            return xf_exchange_try(exchange) ? XF_STEP_MOVED : XF_STEP_GONE;
        }
    }
    const char *date = xf_engine_date(engine);
    struct xf_response_options options = {
        .via = {XF_VIA_NAME, sizeof(XF_VIA_NAME) - 1},
        .date = {date, strlen(date)},
    };
    frame_answer(exchange, response, &options);
    char cookie[XF_STICKY_COOKIE_BYTES];
    if (exchange->cookie_new && (xf_route_flags(exchange->choice.word) & XF_ROUTE_CUTOVER) != 0) {
        const struct xf_engine_service *service = &engine->services[exchange->service];
        options.set_cookie.length =
            xf_sticky_cookie(cookie, service->config->sticky.name, exchange->cookie_id,
                             engine->listeners[exchange->client->listener].tls);
        options.set_cookie.bytes = cookie;
    }
    size_t built = xf_build_response(engine->scratch, engine->scratch_bytes, bytes, response,
                                     engine->fields, &options);
    if (built > engine->scratch_bytes || built > response->head_bytes + XF_INPUT_HEADROOM / 2) {
        return xf_exchange_failed(exchange, XF_FAILURE_MALFORMED) ? XF_STEP_MOVED : XF_STEP_GONE;
    }
    exchange->status = response->status;
    exchange->reusable = response->keep_alive;
    exchange->head_sent = true;
    xf_body_init(&exchange->download, response->framing, response->content_length);
    xf_exchange_enter(exchange, XF_ON_HEAD);
    if (exchange->upload.done) { /* never again needed */
        if (xf_exchange_unsent(exchange) == 0) {
            xf_slab_put(&engine->slab, exchange->request);
            exchange->request = NULL;
        }
    }
    exchange->replayable = false;
    return pass_body(exchange, bytes + response->head_bytes, length - response->head_bytes,
                     engine->scratch, built);
}

/* A 1xx: passed on to who can understand it. */
static enum xf_step interim_head(struct xf_exchange *exchange, const char *bytes,
                                 const struct xf_http_response *response)
{
    struct xf_engine *engine = exchange->engine;
    if (exchange->minor == 0) {
        return XF_STEP_MOVED;
    }
    struct xf_response_options options = {
        .via = {XF_VIA_NAME, sizeof(XF_VIA_NAME) - 1},
        .framing = XF_FRAMING_NONE,
        .connection = XF_CONNECTION_NONE,
    };
    size_t built = xf_build_response(engine->scratch, engine->scratch_bytes, bytes, response,
                                     engine->fields, &options);
    if (built <= engine->scratch_bytes &&
        !xf_exchange_to_client(exchange, engine->scratch, built)) {
        xf_exchange_client_lost(exchange);
        return XF_STEP_GONE;
    }
    return XF_STEP_MOVED;
}

/* Keeps a partial head until more of it comes. */
static bool keep_head(struct xf_upstream *upstream, const char *bytes, size_t length)
{
    struct xf_slab *slab = &upstream->engine->slab;
    struct xf_buffer *in = upstream->in;
    if (in == NULL || in->size < length) {
        xf_slab_put(slab, in);
        upstream->in = in = xf_slab_get(slab, length);
        if (in == NULL) {
            return false;
        }
    }
    memcpy(in->bytes, bytes, length);
    in->start = 0;
    in->end = (uint32_t) length;
    return true;
}

static enum xf_step parse_heads(struct xf_exchange *exchange, char *bytes, size_t length,
                                size_t seen)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_upstream *upstream = exchange->upstream;
    for (;;) {
        struct xf_http_response response;
        struct xf_http_refusal refusal;
        enum xf_http_verdict verdict = XF_HTTP_MORE;
        if (length > 0) {
            verdict = xf_http_parse_response(
                bytes, length, seen, (enum xf_http_method) exchange->method,
                &engine->services[exchange->service].limits, engine->fields, &response, &refusal);
        }
        if (verdict == XF_HTTP_MORE) {
            bool kept = length == 0 || keep_head(upstream, bytes, length);
            if (kept) {
                return XF_STEP_MOVED;
            }
            verdict = XF_HTTP_BAD;
        }
        bool flood = verdict == XF_HTTP_DONE && response.status < 200 &&
                     ++exchange->interims > XF_INTERIM_MAX;
        if (verdict == XF_HTTP_BAD || flood ||
            (response.status == 101 && !xf_exchange_switches(exchange, bytes, &response))) {
            return xf_exchange_failed(exchange, XF_FAILURE_MALFORMED) ? XF_STEP_MOVED
                                                                      : XF_STEP_GONE;
        }
        if (exchange->line != NULL && exchange->first_byte_us == 0) { /* for the log alone */
            exchange->first_byte_us = xf_engine_now_us();
        }
        if (response.status == 101) {
            return xf_exchange_switch(exchange, bytes, length, &response);
        }
        if (response.status >= 200) {
            bool whole = response.framing == XF_FRAMING_NONE ||
                         (response.framing == XF_FRAMING_LENGTH &&
                          response.content_length <= length - response.head_bytes);
            if (exchange->drained && whole) {
                xf_conn_drained(&upstream->conn);
            }
            return final_head(exchange, bytes, length, &response);
        }
        if (interim_head(exchange, bytes, &response) == XF_STEP_GONE) {
            return XF_STEP_GONE;
        }
        bytes += response.head_bytes;
        length -= response.head_bytes;
        seen = 0;
    }
}

/* The server's end, or its loss. */
static enum xf_step ended(struct xf_exchange *exchange, bool orderly)
{
    enum xf_failure failure = XF_FAILURE_TRUNCATED;
    if (exchange->state == XF_EXCHANGE_WAITING) {
        failure = exchange->upstream->in == NULL ? XF_FAILURE_CLOSED : XF_FAILURE_TRUNCATED;
    } else if (exchange->download.framing == XF_FRAMING_CLOSE && orderly) {
        struct xf_engine *engine = exchange->engine;
        exchange->download.done = true;
        exchange->reusable = false;
        char *end = engine->input + XF_INPUT_HEADROOM;
        struct xf_body_piece piece = {end, 0, 0};
        if (exchange->rechunk) {
            xf_body_frame(&piece, true);
            if (!xf_exchange_to_client(exchange, piece.data, piece.length)) {
                xf_exchange_client_lost(exchange);
                return XF_STEP_GONE;
            }
        }
        return finish(exchange, true);
    }
    return xf_exchange_failed(exchange, failure) ? XF_STEP_MOVED : XF_STEP_GONE;
}

/* Whether so much of the body is still to come, and none of it concerns us, that it need not pass
 * through our memory. */
static bool passes_unseen(const struct xf_exchange *exchange)
{
    return exchange->state == XF_EXCHANGE_ANSWERING &&
           exchange->download.framing == XF_FRAMING_LENGTH &&
           exchange->download.left > XF_CONDUIT_BYTES_MIN && exchange->status != 404 &&
           xf_conduit_joins(&exchange->engine->conduit, &exchange->upstream->conn,
                            &exchange->client->conn);
}

/* The middle of a large body; its end is read, so that the rules of the end hold. */
static enum xf_step pass_unseen(struct xf_exchange *exchange, size_t room)
{
    struct xf_engine *engine = exchange->engine;
    ssize_t sent;
    ssize_t taken = xf_conduit_move(&engine->conduit, &exchange->upstream->conn,
                                    &exchange->client->conn, room, &sent);
    if (taken == XF_CONN_AGAIN) {
        return XF_STEP_IDLE;
    }
    if (taken <= 0) {
        return ended(exchange, taken == 0);
    }
    xf_body_pass(&exchange->download, (uint64_t) taken);
    exchange->bytes_out += (uint64_t) taken;
    if (sent == taken) {
        return XF_STEP_MOVED;
    }
    if (sent < 0) {
        xf_conduit_empty(&engine->conduit);
        xf_exchange_client_lost(exchange);
        return XF_STEP_GONE;
    }
    size_t rest = (size_t) (taken - sent);
    struct xf_buffer *kept = xf_slab_get(&engine->slab, rest); /* `room` was for twice as much */
    if (kept == NULL || !xf_conduit_fetch(&engine->conduit, kept->bytes, rest)) {
        xf_conduit_empty(&engine->conduit);
        xf_slab_put(&engine->slab, kept);
        xf_exchange_cut(exchange); /* out of memory, which is not the client's doing */
        return XF_STEP_GONE;
    }
    kept->end = (uint32_t) rest;
    exchange->answer = kept;
    exchange->blocked = true;
    return XF_STEP_MOVED;
}

enum xf_step xf_exchange_pull_answer(struct xf_exchange *exchange)
{
    struct xf_upstream *upstream = exchange->upstream;
    struct xf_engine *engine = exchange->engine;
    if (upstream == NULL || upstream->connecting || !upstream->conn.readable ||
        exchange->answer != NULL) {
        return XF_STEP_IDLE;
    }
    if ((exchange->client->reader != XF_READER_PROVEN || upstream->limited) &&
        xf_exchange_is_large(exchange)) {
        xf_exchange_limit_ahead(exchange);
    }
    /* A client that has not yet taken much may turn out to take nothing. */
    size_t most = exchange->blocked                          ? XF_RELAY_BYTES_LOW
                  : exchange->bytes_out < FIRST_ANSWER_BYTES ? FIRST_ANSWER_BYTES
                                                             : XF_RELAY_BYTES_HIGH;
    size_t room = xf_slab_room(&engine->slab, most - 2 * XF_SLAB_BYTES_MIN, exchange->blocked);
    if (room == 0) {
        xf_client_starve(exchange->client);
        return XF_STEP_IDLE;
    }
    if (passes_unseen(exchange)) {
        return pass_unseen(exchange, room);
    }
    char *bytes = engine->input + XF_INPUT_HEADROOM;
    size_t held = 0;
    if (upstream->in != NULL) {
        held = xf_buffer_length(upstream->in);
        memcpy(bytes, upstream->in->bytes + upstream->in->start, held);
        if (room < held + XF_SLAB_BYTES_MIN) {
            room = held + XF_SLAB_BYTES_MIN;
        }
    }
    ssize_t got = xf_conn_receive(&upstream->conn, bytes + held, room - held);
    if (got == XF_CONN_AGAIN) {
        return XF_STEP_IDLE;
    }
    if (got <= 0) {
        return ended(exchange, got == 0);
    }
    xf_slab_put(&engine->slab, upstream->in); /* what was kept of a head stands in `bytes` now */
    upstream->in = NULL;
    size_t length = held + (size_t) got;
    exchange->drained = length < room;
    if (exchange->state == XF_EXCHANGE_WAITING) {
        upstream->large = length > XF_GATHER_BYTES;
        return parse_heads(exchange, bytes, length, held);
    }
    return pass_body(exchange, bytes, length, NULL, 0);
}
