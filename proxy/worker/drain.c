/*
 * drain.c -- see drain.h.
 *
 * The rates are parted among the workers by the agent, which sees what everybody has; a worker
 * only keeps its pace.  What a pause of the loop left undone is made up for a quarter of a second
 * and no more, so that a pause does not become a burst.
 */
#include "proxy/worker/drain.h"

#include "proxy/worker/client.h"
#include "proxy/worker/exchange.h"

#define MILLION       1000000u /* credit is counted in millionths of an end */
#define CREDIT_MIN    MILLION
#define CREDIT_MAX_MS 250u
#define ENDS_AT_ONCE  1000000u
#define LOOK_AGAIN_MS 250u /* after a look over all clients that found too few answers */

struct order {
    unsigned service;
    unsigned cluster;
    uint64_t before_us;  /* what began later is left alone */
    uint64_t answers_us; /* likewise for answers at a rate; 0: none is ended */
    bool cut;            /* the deadline is over: everything */
    uint64_t ends;       /* how many may be ended now */
};

static void count(struct xf_exchange *exchange, enum xf_drained kind)
{
    struct xf_engine_cluster *cluster = &exchange->engine->clusters[exchange->choice.cluster];
    xf_count(&cluster->stats->drained[kind], 1);
}

/* An answer that has begun, or a request that still waits for one. */
static void end_answer(struct xf_exchange *exchange)
{
    if (exchange->head_sent) {
        count(exchange, XF_DRAINED_ANSWER);
        xf_exchange_break_off(exchange, XF_ENDING_CUT);
    } else {
        count(exchange, XF_DRAINED_REQUEST);
        xf_exchange_answer_self(exchange, 503, "the cluster was drained before it answered");
    }
}

static void end_tunnel(struct xf_exchange *exchange, bool cut)
{
    if (!exchange->closing) {
        count(exchange, XF_DRAINED_TUNNEL);
        xf_exchange_close_tunnel(exchange);
    } else if (cut) { /* a frame that does not end holds its tunnel for a tick only */
        xf_exchange_cut(exchange);
    }
}

static bool is_wanted(const struct xf_exchange *exchange, const struct order *order, bool tunnels)
{
    if ((exchange->state == XF_EXCHANGE_TUNNEL) != tunnels) {
        return false;
    }
    if (order->cut) {
        return true;
    }
    return tunnels ? !exchange->closing
                   : exchange->head_sent && exchange->begun_us <= order->answers_us;
}

/* Ends tunnels, or what is none, in the order in which their clients came. */
static void end_all(struct xf_engine *engine, struct order *order, bool tunnels)
{
    struct xf_list *link = engine->clients.next;
    while (link != &engine->clients && (order->cut || order->ends > 0)) {
        struct xf_client *client = XF_CONTAINER_OF(link, struct xf_client, link);
        struct xf_exchange *exchange = client->exchange;
        link = link->next;
        if (exchange == NULL || exchange->service != order->service ||
            exchange->choice.cluster != order->cluster || exchange->begun_us > order->before_us ||
            !is_wanted(exchange, order, tunnels)) {
            continue;
        }
        order->ends -= order->ends > 0;
        if (tunnels) {
            end_tunnel(exchange, order->cut);
        } else {
            end_answer(exchange);
        }
    }
}

/* Looks over all clients, and there may be many, only where somebody may be found. */
static void carry_out(struct xf_engine *engine, struct xf_engine_drain *drain, struct order *order)
{
    const struct xf_stats_cluster *gauges = engine->clusters[order->cluster].stats;
    if (xf_read(&gauges->tunnels) > 0) {
        end_all(engine, order, true);
    }
    bool others = xf_read(&gauges->in_flight) > xf_read(&gauges->tunnels);
    bool paced = order->answers_us > 0 && order->ends > 0 && engine->now_ms >= drain->look_ms;
    if (others && (order->cut || paced)) {
        end_all(engine, order, false);
        drain->look_ms = order->ends > 0 ? engine->now_ms + LOOK_AGAIN_MS : 0;
    }
}

/* Adds what the rate has earned since the last tick; returns how many whole ends that is. */
static uint64_t earn(struct xf_engine_drain *drain, uint32_t rate_milli, uint64_t since_ms)
{
    if (rate_milli == XF_DRAIN_UNBOUNDED) {
        return ENDS_AT_ONCE;
    }
    uint64_t most = (uint64_t) rate_milli * CREDIT_MAX_MS;
    most = most < CREDIT_MIN ? CREDIT_MIN : most;
    /* The rate is in thousandths a second, the time in thousandths of one. */
    drain->credit += (uint64_t) rate_milli * since_ms;
    drain->credit = drain->credit > most ? most : drain->credit;
    return drain->credit / MILLION;
}

/* Answers to requests that began no later may be ended at the rate; 0: none. */
static uint64_t answers_before(const struct xf_drain *board, uint64_t now_us)
{
    uint64_t age_us =
        (uint64_t) atomic_load_explicit(&board->answers_after_ms, memory_order_relaxed) * 1000u;
    return age_us > 0 && now_us > age_us ? now_us - age_us : 0;
}

static void tick_drain(struct xf_engine *engine, unsigned service, unsigned cluster,
                       struct xf_engine_drain *drain, uint64_t boottime_ms)
{
    uint64_t number = atomic_load_explicit(&drain->board->order, memory_order_acquire);
    if (number != drain->order) {
        drain->order = number;
        drain->credit = 0;
        drain->tick_ms = engine->now_ms;
        drain->look_ms = 0;
    }
    if (number == 0) {
        return;
    }
    uint32_t rate =
        atomic_load_explicit(&drain->board->rate_milli[engine->index], memory_order_relaxed);
    uint64_t deadline_ms = atomic_load_explicit(&drain->board->deadline_ms, memory_order_relaxed);
    uint64_t since_us = atomic_load_explicit(&drain->board->since_us, memory_order_relaxed);
    struct order order = {
        .service = service,
        .cluster = cluster,
        .before_us = number == XF_DRAIN_ALL ? UINT64_MAX : since_us,
        .answers_us = answers_before(drain->board, xf_engine_now_us()),
        .cut = deadline_ms != 0 && boottime_ms >= deadline_ms,
        .ends = earn(drain, rate, engine->now_ms - drain->tick_ms),
    };
    drain->tick_ms = engine->now_ms;
    engine->draining |= engine->tunnels_count > 0 && (rate > 0 || order.cut);
    uint64_t allowed = order.ends;
    if (allowed > 0 || order.cut) {
        carry_out(engine, drain, &order);
    }
    if (rate != XF_DRAIN_UNBOUNDED) {
        drain->credit -= (allowed - order.ends) * MILLION;
    }
}

void xf_drain_tick(struct xf_engine *engine, uint64_t boottime_ms)
{
    engine->draining = false;
    for (unsigned i = 0; i < engine->config->services_count; i++) {
        const struct xf_config_service *service = &engine->config->services[i];
        for (unsigned k = 0; k < service->clusters_count; k++) {
            tick_drain(engine, i, service->clusters[k], &engine->drains[service->first_pair + k],
                       boottime_ms);
        }
    }
}
