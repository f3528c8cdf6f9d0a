/*
 * exchange_tunnel.c -- after a 101: bytes both ways until both sides have ended; see exchange.h.
 *
 * `request` holds what the server has not taken, `answer` what the client has not.  The end of one
 * side is passed on after what it sent, the other direction stays open.
 */
#include "proxy/worker/exchange.h"

#include "proxy/http/fields.h"
#include "proxy/http/tokens.h"

#include <string.h>

bool xf_exchange_switches(const struct xf_exchange *exchange, const char *bytes,
                          const struct xf_http_response *response)
{
    if (exchange->upgrade == 0 || !response->upgrade || response->minor == 0 ||
        !exchange->upload.done) { /* HTTP/1.0 knows neither 1xx nor Upgrade */
        return false;
    }
    const char *asked = exchange->engine->config->upgrade[exchange->upgrade - 1];
    struct xf_span chosen = response->upgrade_protocols; /* only what was offered (9110 7.8) */
    return xf_bytes_same(bytes + chosen.at, chosen.length, asked, strlen(asked));
}

enum xf_step xf_exchange_switch(struct xf_exchange *exchange, char *bytes, size_t length,
                                const struct xf_http_response *response)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_response_options options = {
        .via = {XF_VIA_NAME, sizeof(XF_VIA_NAME) - 1},
        .upgrade = {bytes + response->upgrade_protocols.at, response->upgrade_protocols.length},
        .connection = XF_CONNECTION_UPGRADE,
        .framing = XF_FRAMING_NONE,
    };
    size_t built = xf_build_response(engine->scratch, engine->scratch_bytes, bytes, response,
                                     engine->fields, &options);
    if (built > engine->scratch_bytes) {
        return xf_exchange_failed(exchange, XF_FAILURE_MALFORMED) ? XF_STEP_MOVED : XF_STEP_GONE;
    }
    exchange->status = 101;
    exchange->head_sent = true;
    exchange->replayable = false;
    xf_slab_put(&engine->slab, exchange->request);
    exchange->request = NULL;
    xf_exchange_enter(exchange, XF_ON_SWITCH);
    xf_count(&engine->clusters[exchange->choice.cluster].stats->tunnels, 1);
    exchange->tunnel_counted = true;
    engine->tunnels_count++;
    xf_exchange_judge(exchange, XF_JUDGED_GOOD); /* its length says nothing */
    exchange->websocket = xf_http_list_has(bytes + response->upgrade_protocols.at,
                                           response->upgrade_protocols.length, "websocket");
    (void) xf_websocket_follow(&exchange->frames, bytes + response->head_bytes,
                               length - response->head_bytes, true);
    if (!xf_exchange_to_client(exchange, engine->scratch, built) ||
        (length > response->head_bytes &&
         !xf_exchange_to_client(exchange, bytes + response->head_bytes,
                                length - response->head_bytes))) {
        xf_exchange_client_lost(exchange);
        return XF_STEP_GONE;
    }
    /* What the client sent early, behind its request, belongs to the tunnel. */
    exchange->request = exchange->client->in;
    exchange->client->in = NULL;
    exchange->client->conn.readable = true;
    return XF_STEP_MOVED;
}

/* One direction. */
struct way {
    struct xf_conn *from, *to;
    struct xf_buffer **held;
    bool *ended;
};

static enum xf_step lost(struct xf_exchange *exchange)
{
    struct xf_client *client = exchange->client;
    exchange->ending = XF_ENDING_DONE;
    xf_exchange_release(exchange);
    xf_client_close(client);
    return XF_STEP_GONE;
}

static enum xf_step flush(struct xf_exchange *exchange, const struct way *way)
{
    struct xf_buffer *held = *way->held;
    if (held == NULL || !way->to->writable) {
        return XF_STEP_IDLE;
    }
    ssize_t sent = xf_conn_send(way->to, held->bytes + held->start, xf_buffer_length(held));
    if (sent < 0) {
        return lost(exchange);
    }
    held->start += (uint32_t) sent;
    if (held->start == held->end) {
        xf_slab_put(&exchange->engine->slab, held);
        *way->held = NULL;
        if (*way->ended) {
            xf_conn_finish(way->to);
        }
    }
    return sent > 0 ? XF_STEP_MOVED : XF_STEP_IDLE;
}

/* Between two frames: the client is told to come again, elsewhere. */
static enum xf_step say_goodbye(struct xf_exchange *exchange)
{
    struct xf_client *client = exchange->client;
    bool told =
        xf_exchange_to_client(exchange, XF_WEBSOCKET_GOING_AWAY, XF_WEBSOCKET_GOING_AWAY_BYTES) &&
        exchange->answer == NULL;
    exchange->ending = XF_ENDING_CUT;
    if (!told) { /* it does not read: it will see that its connection ended */
        xf_exchange_release(exchange);
        xf_client_reset(client);
        return XF_STEP_GONE;
    }
    xf_exchange_end(exchange, false);
    return XF_STEP_GONE;
}

void xf_exchange_close_tunnel(struct xf_exchange *exchange)
{
    exchange->closing = true;
    if (!exchange->websocket) {
        xf_exchange_cut(exchange);
    } else if (xf_websocket_between(&exchange->frames)) {
        (void) say_goodbye(exchange);
    }
}

static enum xf_step move(struct xf_exchange *exchange, const struct way *way)
{
    struct xf_engine *engine = exchange->engine;
    if (*way->held != NULL || *way->ended || !way->from->readable) {
        return XF_STEP_IDLE;
    }
    size_t room = xf_slab_room(&engine->slab, XF_RELAY_BYTES_LOW - XF_SLAB_BYTES_MIN, false);
    if (room == 0) {
        xf_client_starve(exchange->client);
        return XF_STEP_IDLE;
    }
    char *bytes = engine->input + XF_INPUT_HEADROOM;
    ssize_t got = xf_conn_receive(way->from, bytes, room);
    if (got == XF_CONN_AGAIN) {
        return XF_STEP_IDLE;
    }
    if (got == XF_CONN_ERROR) {
        return lost(exchange);
    }
    if (got == 0) {
        *way->ended = true;
        way->from->readable = false;
        xf_conn_finish(way->to);
        return XF_STEP_MOVED;
    }
    bool down = way->held == &exchange->answer;
    bool last = false;
    if (down) {
        size_t before =
            xf_websocket_follow(&exchange->frames, bytes, (size_t) got, !exchange->closing);
        last = exchange->closing && xf_websocket_between(&exchange->frames);
        got = last ? (ssize_t) before : got;
        exchange->bytes_out += (size_t) got;
    } else {
        exchange->bytes_in += (size_t) got;
    }
    size_t at = 0;
    if (way->to->writable) {
        ssize_t sent = xf_conn_send(way->to, bytes, (size_t) got);
        if (sent < 0) {
            return lost(exchange);
        }
        at = (size_t) sent;
    }
    if (at < (size_t) got) {
        struct xf_buffer *rest = xf_slab_get(&engine->slab, (size_t) got - at);
        if (rest == NULL) {
            return lost(exchange);
        }
        rest->end = (uint32_t) ((size_t) got - at);
        memcpy(rest->bytes, bytes + at, rest->end);
        *way->held = rest;
    }
    return last ? say_goodbye(exchange) : XF_STEP_MOVED;
}

enum xf_step xf_exchange_tunnel(struct xf_exchange *exchange)
{
    struct xf_conn *client = &exchange->client->conn;
    struct xf_conn *server = &exchange->upstream->conn;
    const struct way ways[] = {
        {client, server, &exchange->request, &exchange->client_ended},
        {server, client, &exchange->answer, &exchange->server_ended},
    };
    enum xf_step moved = XF_STEP_IDLE;
    for (unsigned i = 0; i < XF_COUNT(ways); i++) {
        enum xf_step step = flush(exchange, &ways[i]);
        if (step != XF_STEP_GONE) {
            moved |= step;
            step = move(exchange, &ways[i]);
        }
        if (step == XF_STEP_GONE) {
            return step;
        }
        moved |= step;
    }
    if (exchange->client_ended && exchange->server_ended && exchange->request == NULL &&
        exchange->answer == NULL) {
        return lost(exchange);
    }
    return moved;
}
