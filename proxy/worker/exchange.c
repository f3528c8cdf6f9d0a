/*
 * exchange.c -- the pump, the deadlines and the end of an exchange; see exchange.h.
 */
#include "proxy/worker/exchange.h"

#include "proxy/board/histogram.h"
#include "proxy/worker/pool.h"

#define PUMP_ROUNDS 6u /* then the others have their turn */

void xf_exchange_enter(struct xf_exchange *exchange, enum xf_exchange_event on)
{
    enum xf_exchange_state to;
    bool exists = xf_exchange_next((enum xf_exchange_state) exchange->state, on, &to);
    XF_ASSERT(exists);
    exchange->state = (uint8_t) to;
}

static struct xf_deadlines *deadlines_of(struct xf_exchange *exchange)
{
    return &exchange->engine->deadlines;
}

static void disarm(struct xf_exchange *exchange)
{
    xf_deadline_disarm(deadlines_of(exchange),
                       (enum xf_deadline_kind) exchange->client_deadline_kind,
                       &exchange->client_deadline);
    xf_deadline_disarm(deadlines_of(exchange),
                       (enum xf_deadline_kind) exchange->server_deadline_kind,
                       &exchange->server_deadline);
}

/* What the exchange waits for on the client's side; KINDS: nothing. */
static enum xf_deadline_kind client_wait(const struct xf_exchange *exchange)
{
    if (exchange->state == XF_EXCHANGE_TUNNEL) {
        return exchange->answer != NULL ? XF_DEADLINE_SEND : XF_DEADLINE_TUNNEL_IDLE;
    }
    if (exchange->answer != NULL) {
        return XF_DEADLINE_SEND;
    }
    bool wanted = !exchange->upload.done && exchange->state == XF_EXCHANGE_WAITING &&
                  xf_exchange_unsent(exchange) == 0;
    return wanted ? XF_DEADLINE_BODY : XF_DEADLINE_KINDS;
}

static enum xf_deadline_kind server_wait(const struct xf_exchange *exchange)
{
    switch ((enum xf_exchange_state) exchange->state) {
    case XF_EXCHANGE_QUEUED:
        return XF_DEADLINE_QUEUE;
    case XF_EXCHANGE_CONNECTING:
        return XF_DEADLINE_CONNECT;
    case XF_EXCHANGE_WAITING:
        return exchange->upload.done || xf_exchange_unsent(exchange) > 0 ? XF_DEADLINE_FIRST_BYTE
                                                                         : XF_DEADLINE_KINDS;
    case XF_EXCHANGE_ANSWERING:
        return exchange->answer == NULL ? XF_DEADLINE_UPSTREAM_BODY : XF_DEADLINE_KINDS;
    default:
        return XF_DEADLINE_KINDS;
    }
}

/* How long the client was waited for is what limits.body_rate measures by. */
static void clock_body(struct xf_exchange *exchange, bool waits)
{
    uint64_t now_ms = exchange->engine->now_ms;
    if (waits && exchange->body_since_ms == 0) {
        exchange->body_since_ms = now_ms;
    } else if (!waits && exchange->body_since_ms != 0) {
        exchange->body_waited_ms += now_ms - exchange->body_since_ms;
        exchange->body_since_ms = 0;
    }
}

static void watch(struct xf_exchange *exchange, struct xf_deadline *deadline, uint8_t *held,
                  enum xf_deadline_kind kind, bool moved)
{
    bool armed = xf_deadline_armed(deadline);
    if (armed && (*held != kind || moved)) {
        xf_deadline_disarm(deadlines_of(exchange), (enum xf_deadline_kind) * held, deadline);
        armed = false;
    }
    if (!armed && kind != XF_DEADLINE_KINDS) {
        *held = (uint8_t) kind;
        xf_deadline_arm(deadlines_of(exchange), exchange->service, kind, deadline,
                        exchange->engine->now_ms);
    }
}

static enum xf_step pump_once(struct xf_exchange *exchange)
{
    if (exchange->state == XF_EXCHANGE_TUNNEL) {
        return xf_exchange_tunnel(exchange);
    }
    enum xf_step moved = XF_STEP_IDLE;
    enum xf_step (*const steps[])(struct xf_exchange *) = {
        xf_exchange_push_request,
        xf_exchange_push_answer,
        xf_exchange_pull_answer,
        xf_exchange_pull_request,
    };
    for (unsigned i = 0; i < XF_COUNT(steps); i++) {
        enum xf_step step = steps[i](exchange);
        if (step == XF_STEP_GONE) {
            return step;
        }
        moved |= step;
    }
    return moved;
}

void xf_exchange_pump(struct xf_exchange *exchange)
{
    bool any = false;
    if (XF_UNLIKELY(exchange->state == XF_EXCHANGE_CHOOSING) && !xf_exchange_try(exchange)) {
        return; /* it had waited in the queue */
    }
    for (unsigned round = 0; round < PUMP_ROUNDS; round++) {
        enum xf_step step = pump_once(exchange);
        if (step == XF_STEP_GONE) {
            return;
        }
        if (step == XF_STEP_IDLE) {
            break;
        }
        any = true;
        if (round == PUMP_ROUNDS - 1) {
            xf_client_again(exchange->client);
        }
    }
    /* To wait for the client, the loop must know it. */
    bool waits =
        !exchange->upload.done || exchange->answer != NULL || exchange->state == XF_EXCHANGE_TUNNEL;
    if (waits && !xf_client_watch(exchange->client)) {
        return;
    }
    enum xf_deadline_kind wait = client_wait(exchange);
    clock_body(exchange, wait == XF_DEADLINE_BODY);
    watch(exchange, &exchange->client_deadline, &exchange->client_deadline_kind, wait, any);
    /* A server that sends its head byte by byte gains no time by it. */
    bool waiting = exchange->state == XF_EXCHANGE_WAITING;
    watch(exchange, &exchange->server_deadline, &exchange->server_deadline_kind,
          server_wait(exchange), waiting ? exchange->request_moved : any);
    exchange->request_moved = false;
}

void xf_exchange_client_event(struct xf_exchange *exchange, short what)
{
    /* While nothing is read from the client, because it waits for its answer or the server takes
     * no more, either it sends on, or this is a reset, which a look at the socket tells. */
    bool reads = xf_exchange_unsent(exchange) == 0 &&
                 (!exchange->upload.done || exchange->state == XF_EXCHANGE_TUNNEL);
    if ((what & EV_READ) != 0 && !reads && xf_conn_broken(&exchange->client->conn)) {
        xf_exchange_client_lost(exchange);
        return;
    }
    xf_exchange_pump(exchange);
}

void xf_exchange_server_event(struct xf_exchange *exchange, short what)
{
    /* The answer is not read while the client does not take what came of it. */
    if ((what & EV_READ) != 0 && exchange->answer != NULL &&
        exchange->state == XF_EXCHANGE_ANSWERING && xf_conn_broken(&exchange->upstream->conn) &&
        !xf_exchange_failed(exchange, XF_FAILURE_TRUNCATED)) {
        return;
    }
    xf_exchange_pump(exchange);
}

void xf_exchange_connected(struct xf_exchange *exchange, bool success)
{
    if (success) {
        exchange->connected_us = xf_engine_now_us();
        xf_exchange_enter(exchange, XF_ON_READY);
    } else if (!xf_exchange_failed(exchange, XF_FAILURE_CONNECT)) {
        return;
    }
    xf_exchange_pump(exchange);
}

/* A limit of the client's side ran out: its body does not come, or it does not take its answer. */
static void client_expired(struct xf_exchange *exchange, enum xf_deadline_kind kind)
{
    if (kind == XF_DEADLINE_BODY && !exchange->head_sent && exchange->answer == NULL) {
        exchange->keep_alive = false;
        xf_exchange_answer_self(exchange, 408, "the request's body did not come in time");
        return;
    }
    xf_exchange_cut(exchange);
}

void xf_exchange_expired(struct xf_exchange *exchange, enum xf_deadline_kind kind)
{
    switch (kind) {
    case XF_DEADLINE_CONNECT:
        xf_exchange_connected(exchange, false);
        break;
    case XF_DEADLINE_FIRST_BYTE:
    case XF_DEADLINE_UPSTREAM_BODY:
        if (xf_exchange_failed(exchange, XF_FAILURE_TIMEOUT)) {
            xf_exchange_pump(exchange);
        }
        break;
    case XF_DEADLINE_QUEUE:
        if (exchange->state != XF_EXCHANGE_QUEUED || xf_exchange_waited_enough(exchange)) {
            xf_exchange_pump(exchange);
        }
        break;
    case XF_DEADLINE_TOTAL:
        if (!exchange->head_sent && exchange->state != XF_EXCHANGE_TUNNEL) {
            xf_exchange_charge(exchange, XF_ERROR_TIMEOUT);
            xf_exchange_answer_self(exchange, 504, "the request took too long");
        } else if (exchange->state != XF_EXCHANGE_TUNNEL) {
            xf_exchange_cut(exchange);
        }
        break;
    default:
        client_expired(exchange, kind);
        break;
    }
}

void xf_exchange_attach(struct xf_exchange *exchange, struct xf_upstream *upstream)
{
    XF_ASSERT(exchange->upstream == NULL);
    exchange->upstream = upstream;
    upstream->exchange = exchange;
    exchange->server = (int32_t) upstream->server;
    exchange->written = false;
    exchange->interims = 0;
    exchange->upload_dropped = false; /* that was about another connection */
    if (exchange->request != NULL) {
        exchange->request->start = 0;
    }
    struct xf_stats_server *stats = exchange->engine->servers[upstream->server].stats;
    xf_count(&stats->in_flight, 1);
    xf_count(&stats->requests, 1);
    exchange->judging.server = exchange->server;
}

void xf_exchange_detach(struct xf_exchange *exchange, bool reusable)
{
    struct xf_upstream *upstream = exchange->upstream;
    if (upstream == NULL) {
        return;
    }
    exchange->upstream = NULL;
    upstream->exchange = NULL;
    struct xf_engine_server *server = &exchange->engine->servers[upstream->server];
    xf_uncount(&server->stats->in_flight);
    xf_cluster_wake(exchange->engine, server->cluster);
    if (reusable) {
        xf_pool_give(upstream);
    } else {
        xf_upstream_close(upstream);
    }
}

/* Counts on the pair (service, cluster) that the request ended on. */
static void account(struct xf_exchange *exchange)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_stats_pair *pair =
        xf_engine_pair(engine, exchange->service, exchange->choice.cluster);
    if (pair == NULL || !exchange->choice.counted) {
        return;
    }
    xf_count(&pair->bytes_in, exchange->bytes_in);
    xf_count(&pair->bytes_out, exchange->bytes_out);
    if (exchange->ending == XF_ENDING_CLIENT) {
        xf_count(&pair->client_aborts, 1);
    }
    xf_count(&pair->class[exchange->head_sent ? exchange->status / 100 : 0], 1);
    if (exchange->ending == XF_ENDING_DONE) {
        uint64_t us = xf_engine_now_us() - exchange->dispatched_us;
        xf_count(&pair->latency.count[xf_histogram_bucket(us)], 1);
        xf_count(&pair->latency.sum_us, us);
    }
}

void xf_exchange_judge(struct xf_exchange *exchange, enum xf_judged_outcome outcome)
{
    struct xf_engine *engine = exchange->engine;
    if (exchange->judging.active) {
        xf_judged_ended(&engine->services[exchange->service].judged, &exchange->judging, outcome,
                        xf_engine_cell(engine), xf_engine_now_us());
    }
}

void xf_exchange_release(struct xf_exchange *exchange)
{
    struct xf_engine *engine = exchange->engine;
    if (exchange->parting) {
        xf_parting_forget(engine->parting, exchange);
    }
    disarm(exchange);
    xf_deadline_disarm(deadlines_of(exchange), XF_DEADLINE_TOTAL, &exchange->total_deadline);
    account(exchange);
    xf_exchange_judge(exchange, XF_JUDGED_ABORTED);
    xf_exchange_log_end(exchange);
    xf_exchange_detach(exchange, false);
    if (exchange->tunnel_counted) {
        xf_uncount(&engine->clusters[exchange->choice.cluster].stats->tunnels);
        exchange->tunnel_counted = false;
        engine->tunnels_count--;
    }
    xf_exchange_uncount(exchange);
    xf_slab_put(&engine->slab, exchange->request);
    xf_slab_put(&engine->slab, exchange->answer);
    exchange->request = NULL;
    exchange->answer = NULL;
    xf_exchange_enter(exchange, XF_ON_END);
    engine->exchanges_count--;
    xf_list_append(&engine->swept_exchanges, &exchange->link);
    exchange->client->exchange = NULL;
    exchange->client->served = true;
}

void xf_exchange_end(struct xf_exchange *exchange, bool persist)
{
    struct xf_client *client = exchange->client;
    xf_exchange_release(exchange);
    xf_client_continue(client, persist);
}

void xf_exchange_client_lost(struct xf_exchange *exchange)
{
    struct xf_client *client = exchange->client;
    bool begun = exchange->head_sent;
    exchange->ending = XF_ENDING_CLIENT;
    xf_exchange_release(exchange);
    if (begun) {
        xf_client_reset(client); /* what it has is not the whole, should it be there after all */
    } else {
        xf_client_close(client);
    }
}

void xf_exchange_break_off(struct xf_exchange *exchange, enum xf_ending ending)
{
    struct xf_client *client = exchange->client;
    bool visible = exchange->rechunk || exchange->download.framing == XF_FRAMING_LENGTH;
    bool pending = exchange->answer != NULL;
    exchange->ending = (uint8_t) ending;
    xf_exchange_release(exchange);
    if (visible && !pending) {
        xf_client_close(client);
    } else {
        xf_client_reset(client);
    }
}

void xf_exchange_answer_self(struct xf_exchange *exchange, unsigned status, const char *text)
{
    struct xf_client *client = exchange->client;
    struct xf_own_answer answer = {
        .status = status,
        .text = text,
        .head_only = exchange->method == XF_METHOD_HEAD,
        .close = !exchange->keep_alive || !exchange->upload.done || client->engine->closing,
    };
    XF_ASSERT(!exchange->head_sent);
    bool interrupted = exchange->answer != NULL; /* a 1xx of which the client took a part */
    exchange->ending = XF_ENDING_OWN;
    exchange->status = (uint16_t) status;
    xf_count(&client->engine->services[exchange->service].stats->refused[status / 100], 1);
    xf_exchange_release(exchange);
    if (interrupted) {
        xf_client_reset(client);
    } else {
        xf_client_answer(client, &answer);
    }
}

void xf_exchange_cut(struct xf_exchange *exchange)
{
    struct xf_client *client = exchange->client;
    if (!exchange->head_sent && exchange->state != XF_EXCHANGE_TUNNEL) {
        exchange->keep_alive = false;
        xf_exchange_answer_self(exchange, 503, "the proxy is shutting down");
        return;
    }
    exchange->ending = XF_ENDING_CUT;
    xf_exchange_release(exchange);
    xf_client_reset(client);
}
