/*
 * drain.c -- see drain.h.
 *
 * The rates are parted among the workers by the agent, which sees everybody's tunnels; a worker
 * only keeps its pace.  What a pause of the loop left undone is made up for a quarter of a second
 * and no more, so that a pause does not become a burst.
 */
#include "proxy/worker/drain.h"

#include "proxy/worker/client.h"
#include "proxy/worker/exchange.h"

#define MILLION         1000000u /* credit is counted in millionths of a tunnel */
#define CREDIT_MIN      MILLION
#define CREDIT_MAX_MS   250u
#define TUNNELS_AT_ONCE 1000000u

struct order {
    unsigned service;
    unsigned cluster;
    uint64_t before_us; /* what began later is left alone */
    bool cut;           /* the deadline is over: everything */
    uint64_t tunnels;   /* how many may be ended now */
};

static void carry_out_one(struct xf_exchange *exchange, struct order *order)
{
    bool tunnel = exchange->state == XF_EXCHANGE_TUNNEL;
    if (tunnel && !exchange->closing && (order->tunnels > 0 || order->cut)) {
        order->tunnels -= order->tunnels > 0;
        xf_exchange_close_tunnel(exchange);
    } else if (order->cut) { /* a frame that does not end holds its tunnel for a tick only */
        xf_exchange_cut(exchange);
    }
}

static void carry_out(struct xf_engine *engine, struct order *order)
{
    struct xf_list *link = engine->clients.next;
    while (link != &engine->clients && (order->cut || order->tunnels > 0)) {
        struct xf_client *client = XF_CONTAINER_OF(link, struct xf_client, link);
        struct xf_exchange *exchange = client->exchange;
        link = link->next;
        if (exchange != NULL && exchange->service == order->service &&
            exchange->choice.cluster == order->cluster && exchange->begun_us <= order->before_us) {
            carry_out_one(exchange, order);
        }
    }
}

/* Adds what the rate has earned since the last tick; returns how many whole tunnels that is. */
static uint64_t earn(struct xf_engine_drain *drain, uint32_t rate_milli, uint64_t since_ms)
{
    if (rate_milli == XF_DRAIN_UNBOUNDED) {
        return TUNNELS_AT_ONCE;
    }
    uint64_t most = (uint64_t) rate_milli * CREDIT_MAX_MS;
    most = most < CREDIT_MIN ? CREDIT_MIN : most;
    /* The rate is in thousandths a second, the time in thousandths of one. */
    drain->credit += (uint64_t) rate_milli * since_ms;
    drain->credit = drain->credit > most ? most : drain->credit;
    return drain->credit / MILLION;
}

static void tick_drain(struct xf_engine *engine, unsigned service, unsigned cluster,
                       struct xf_engine_drain *drain, uint64_t boottime_ms)
{
    uint64_t number = atomic_load_explicit(&drain->board->order, memory_order_acquire);
    if (number != drain->order) {
        drain->order = number;
        drain->credit = 0;
        drain->tick_ms = engine->now_ms;
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
        .cut = deadline_ms != 0 && boottime_ms >= deadline_ms,
        .tunnels = earn(drain, rate, engine->now_ms - drain->tick_ms),
    };
    drain->tick_ms = engine->now_ms;
    engine->draining |= engine->tunnels_count > 0 && (rate > 0 || order.cut);
    uint64_t allowed = order.tunnels;
    if (allowed > 0 || order.cut) { /* else nobody is to end, and there may be many */
        carry_out(engine, &order);
    }
    if (rate != XF_DRAIN_UNBOUNDED) {
        drain->credit -= (allowed - order.tunnels) * MILLION;
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
