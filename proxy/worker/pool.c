/*
 * pool.c -- see pool.h.
 */
#include "proxy/worker/pool.h"

#include <stdlib.h>

#define SHED_AT_ONCE 8u /* closed together when descriptors are short */

static struct xf_upstream *upstream_of(struct xf_list *link)
{
    return XF_CONTAINER_OF(link, struct xf_upstream, link);
}

static _Atomic uint64_t *gauge_of(struct xf_engine *engine, unsigned server)
{
    return &engine->clusters[engine->servers[server].cluster].stats->pooled;
}

void xf_pool_remove(struct xf_upstream *upstream)
{
    struct xf_engine *engine = upstream->engine;
    xf_deadline_disarm(&engine->deadlines, XF_DEADLINE_UPSTREAM_IDLE, &upstream->deadline);
    xf_list_remove(&upstream->link);
    engine->servers[upstream->server].idle_count--;
    xf_uncount(gauge_of(engine, upstream->server));
}

bool xf_pool_has_news(const struct xf_upstream *upstream)
{
    return upstream->conn.hung_up || upstream->conn.readable;
}

struct xf_upstream *xf_pool_take(struct xf_engine *engine, unsigned server, bool fresh_only)
{
    struct xf_engine_server *from = &engine->servers[server];
    struct xf_list *link = from->idle.next;
    while (link != &from->idle && xf_pool_has_news(upstream_of(link))) {
        link = link->next;
    }
    if (link == &from->idle) {
        return NULL;
    }
    struct xf_upstream *newest = upstream_of(link);
    if (fresh_only && engine->now_ms - newest->used_ms >= XF_POOL_FRESH_MS) {
        return NULL;
    }
    xf_pool_remove(newest);
    newest->reused = true;
    return newest;
}

/* Whether it leads where the server's name led before it was looked up anew. */
static bool is_astray(const struct xf_upstream *upstream)
{
    const struct xf_server_health *health = upstream->engine->servers[upstream->server].health;
    return upstream->address_sequence !=
           atomic_load_explicit(&health->sequence, memory_order_relaxed);
}

void xf_pool_give(struct xf_upstream *upstream)
{
    struct xf_engine *engine = upstream->engine;
    struct xf_engine_server *server = &engine->servers[upstream->server];
    if (is_astray(upstream) || engine->clusters[server->cluster].config->send_proxy ||
        server->idle_count >= XF_POOL_IDLE_MAX || engine->clusters[server->cluster].closing ||
        engine->stopping) {
        xf_upstream_close(upstream);
        return;
    }
    xf_slab_put(&engine->slab, upstream->in);
    upstream->in = NULL;
    upstream->used_ms = engine->now_ms;
    xf_list_prepend(&server->idle, &upstream->link);
    server->idle_count++;
    xf_count(gauge_of(engine, upstream->server), 1);
    xf_deadline_arm(&engine->deadlines, 0, XF_DEADLINE_UPSTREAM_IDLE, &upstream->deadline,
                    engine->now_ms);
}

bool xf_pool_shed(struct xf_engine *engine)
{
    /* They all wait in one queue, in the order in which they became idle. */
    struct xf_list *idle = &engine->deadlines.queues[XF_DEADLINE_UPSTREAM_IDLE].head;
    unsigned closed = 0;
    for (; closed < SHED_AT_ONCE && !xf_list_empty(idle); closed++) {
        struct xf_deadline *first = XF_CONTAINER_OF(idle->next, struct xf_deadline, link);
        struct xf_upstream *upstream = XF_CONTAINER_OF(first, struct xf_upstream, deadline);
        xf_pool_remove(upstream);
        xf_upstream_close(upstream);
    }
    return closed > 0;
}

void xf_pool_close_server(struct xf_engine *engine, unsigned server)
{
    struct xf_list *idle = &engine->servers[server].idle;
    while (!xf_list_empty(idle)) {
        struct xf_upstream *upstream = upstream_of(idle->next);
        xf_pool_remove(upstream);
        xf_upstream_close(upstream);
    }
}

/* Marks the clusters that the word of one service can still choose. */
static void mark_wanted(struct xf_engine *engine, unsigned service)
{
    uint64_t word =
        atomic_load_explicit(&engine->services[service].route->word, memory_order_acquire);
    unsigned flags = xf_route_flags(word);
    unsigned number = xf_route_record_number(word);
    if ((flags & XF_ROUTE_VALID) == 0 || number >= XF_ROUTE_RECORDS) {
        return;
    }
    const struct xf_route_record *record = xf_board_record(engine->board, service, number);
    bool cutover = (flags & XF_ROUTE_CUTOVER) != 0;
    bool wanted[XF_ROLES] = {
        [XF_BLUE] = (flags & XF_ROUTE_DRAINING) == 0,
        [XF_GREEN] =
            (cutover && (flags & XF_ROUTE_EMPTYING) == 0) || (flags & XF_ROUTE_DRAINING) != 0,
    };
    for (unsigned role = 0; role < XF_ROLES; role++) {
        if (wanted[role] && record->cluster[role] < engine->config->clusters_count) {
            engine->clusters[record->cluster[role]].closing = false;
        }
    }
}

void xf_pool_review(struct xf_engine *engine)
{
    xf_cycle_begin(engine->stats);
    for (unsigned i = 0; i < engine->config->clusters_count; i++) {
        engine->clusters[i].closing = true;
    }
    for (unsigned i = 0; i < engine->config->services_count; i++) {
        mark_wanted(engine, i);
    }
    for (unsigned i = 0; i < engine->config->servers_count; i++) {
        const struct xf_engine_server *server = &engine->servers[i];
        bool astray =
            !xf_list_empty(&server->idle) && is_astray(upstream_of(server->idle.previous));
        if (astray || engine->clusters[server->cluster].closing) {
            xf_pool_close_server(engine, i);
        }
    }
}
