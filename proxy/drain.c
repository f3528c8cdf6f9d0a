/*
 * drain.c -- see drain.h.
 *
 * A worker does not know how many tunnels its siblings hold, so the proxy's rate is parted evenly
 * among the workers: an uneven spread drains more slowly, never faster.
 */
#include "proxy/drain.h"

#include "proxy/client.h"
#include "proxy/exchange.h"

#define CREDIT_MAX 4000000u /* four tunnels: a pause of the loop must not become a burst */

struct order {
    unsigned service;
    unsigned cluster;
    bool cut;         /* the deadline is over: everything */
    uint64_t tunnels; /* how many may be closed now */
};

static void carry_out(struct xf_engine *engine, struct order *order)
{
    struct xf_list *link = engine->clients.next;
    while (link != &engine->clients && (order->cut || order->tunnels > 0)) {
        struct xf_client *client = XF_CONTAINER_OF(link, struct xf_client, link);
        struct xf_exchange *exchange = client->exchange;
        link = link->next;
        if (exchange == NULL || exchange->service != order->service ||
            exchange->choice.cluster != order->cluster) {
            continue;
        }
        bool tunnel = exchange->state == XF_EXCHANGE_TUNNEL;
        if (tunnel && !exchange->closing && order->tunnels > 0) {
            order->tunnels--;
            xf_exchange_close_tunnel(exchange);
        } else if (order->cut) {
            xf_exchange_cut(exchange);
        }
    }
}

static void tick_service(struct xf_engine *engine, unsigned number, uint64_t boottime_ms)
{
    struct xf_engine_service *service = &engine->services[number];
    uint64_t word = atomic_load_explicit(&service->route->word, memory_order_acquire);
    unsigned flags = xf_route_flags(word);
    unsigned record_number = xf_route_record_number(word);
    uint64_t since_ms = engine->now_ms - service->drain_tick_ms;
    service->drain_tick_ms = engine->now_ms;
    if ((flags & XF_ROUTE_VALID) == 0 || (flags & (XF_ROUTE_DRAINING | XF_ROUTE_EMPTYING)) == 0 ||
        record_number >= XF_ROUTE_RECORDS) {
        service->drain_credit = 0;
        return;
    }
    const struct xf_route_record *record = xf_board_record(engine->board, number, record_number);
    enum xf_role role = (flags & XF_ROUTE_DRAINING) != 0 ? XF_BLUE : XF_GREEN;
    uint64_t workers = engine->config->workers > 0 ? engine->config->workers : 1;
    engine->draining |= record->tunnel_rate_milli > 0 && engine->tunnels_count > 0;
    /* In millionths of a tunnel: the rate is in thousandths a second, the time in thousandths. */
    service->drain_credit += record->tunnel_rate_milli * since_ms / workers;
    if (service->drain_credit > CREDIT_MAX) {
        service->drain_credit = CREDIT_MAX;
    }
    struct order order = {
        .service = number,
        .cluster = record->cluster[role],
        .cut = record->drain_deadline_ms != 0 && boottime_ms >= record->drain_deadline_ms,
        .tunnels = service->drain_credit / 1000000u,
    };
    if (order.cluster == record->cluster[role == XF_BLUE ? XF_GREEN : XF_BLUE]) {
        return;
    }
    uint64_t allowed = order.tunnels;
    carry_out(engine, &order);
    service->drain_credit -= (allowed - order.tunnels) * 1000000u;
}

void xf_drain_tick(struct xf_engine *engine, uint64_t boottime_ms)
{
    xf_cycle_begin(engine->stats);
    engine->draining = false;
    for (unsigned i = 0; i < engine->config->services_count; i++) {
        tick_service(engine, i, boottime_ms);
    }
}
