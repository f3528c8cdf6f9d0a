/*
 * exchange_choose.c -- which cluster, which server, which connection; see exchange.h.
 *
 * Every choice reads the route word anew, after xf_cycle_begin(), so that the in-force rule
 * (DESIGN.md section 9) covers it.
 */
#include "proxy/worker/exchange.h"

#include "proxy/worker/eject.h"
#include "proxy/worker/pool.h"
#include "proxy/http/tokens.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define RESCUES_FREE 16u /* in 10 s: of so few requests a half is not a matter of rates yet */

struct route_view {
    uint64_t word;
    unsigned flags;
    const struct xf_route_record *record;
};

static bool read_route(struct xf_exchange *exchange, struct route_view *ret)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_engine_service *service = &engine->services[exchange->service];
    xf_cycle_begin(engine->stats);
    uint64_t word = atomic_load_explicit(&service->route->word, memory_order_acquire);
    unsigned record = xf_route_record_number(word);
    if ((xf_route_flags(word) & XF_ROUTE_VALID) == 0 || record >= XF_ROUTE_RECORDS) {
        return false;
    }
    if (word != service->word_seen) {
        service->word_seen = word;
        xf_pool_review(engine);
    }
    *ret = (struct route_view){word, xf_route_flags(word),
                               xf_board_record(engine->board, exchange->service, record)};
    return true;
}

/* For the test that no signal passes a worker which has chosen blue and not yet counted: it stops
 * itself here, in mid-turn, while the file that CROSSFADE_STOP_FILE names exists. */
static void stop_where_told(const struct xf_engine *engine)
{
    if (access(engine->stop_file, F_OK) == 0) {
        (void) raise(SIGSTOP);
    }
}

/* Puts the request on `role`'s cluster: counted there before it is taken off another. */
static bool settle(struct xf_exchange *exchange, const struct route_view *view, enum xf_role role,
                   enum xf_why why)
{
    struct xf_engine *engine = exchange->engine;
    unsigned cluster = view->record->cluster[role];
    if (cluster >= engine->config->clusters_count) {
        return false;
    }
    struct xf_stats_pair *pair = xf_engine_pair(engine, exchange->service, cluster);
    if (pair == NULL) {
        return false;
    }
    if (XF_UNLIKELY(engine->stop_file != NULL) && role == XF_BLUE) {
        stop_where_told(engine);
    }
    xf_count(&engine->clusters[cluster].stats->in_flight, 1);
    xf_exchange_uncount(exchange);
    xf_count(&pair->requests, 1);
    xf_count(&pair->why[why], 1);
    struct xf_choice *choice = &exchange->choice;
    choice->word = view->word;
    choice->tau_us = view->record->tau_us;
    choice->record_flags = view->record->flags;
    choice->attempt = view->record->attempt;
    choice->step = view->record->step;
    choice->cluster = (uint16_t) cluster;
    choice->role = (uint8_t) role;
    choice->why = (uint8_t) why;
    choice->counted = true;
    for (unsigned i = 0; i < XF_COUNT(choice->bad_statuses); i++) {
        choice->bad_statuses[i] = view->record->bad_statuses[i];
    }
    exchange->charged = false;
    return true;
}

void xf_exchange_uncount(struct xf_exchange *exchange)
{
    if (exchange->choice.counted) {
        xf_exchange_leave(exchange);
        xf_uncount(&exchange->engine->clusters[exchange->choice.cluster].stats->in_flight);
        exchange->choice.counted = false;
    }
}

/* Tells the judge that the request is sent. */
static void judge(struct xf_exchange *exchange, const struct route_view *view, uint64_t hash)
{
    struct xf_engine *engine = exchange->engine;
    const struct xf_choice *choice = &exchange->choice;
    if ((view->record->flags & XF_RECORD_JUDGED) == 0) {
        return;
    }
    struct xf_judged_terms terms = {
        .attempt = choice->attempt,
        .step = choice->step,
        .tau_us = choice->tau_us,
        .weight = (uint16_t) xf_route_weight(view->word),
        .role = choice->role,
        .sticky = choice->why == XF_WHY_STICKY,
        .key = (uint16_t) hash, /* the slot is made from other bits */
    };
    xf_judged_sent(&engine->services[exchange->service].judged, &exchange->judging, &terms,
                   xf_engine_cell(engine), exchange->dispatched_us);
}

bool xf_exchange_choose(struct xf_exchange *exchange, const struct xf_sticky_key *key)
{
    struct xf_engine *engine = exchange->engine;
    struct route_view view;
    if (!read_route(exchange, &view)) {
        return false;
    }
    enum xf_role role = XF_BLUE;
    enum xf_why why = XF_WHY_WEIGHT;
    uint64_t hash = 0;
    if ((view.flags & XF_ROUTE_DRAINING) != 0) {
        role = XF_GREEN;
    } else if ((view.flags & XF_ROUTE_CUTOVER) != 0) {
        if (key->length > 0) {
            hash = xf_pick_hash(key->bytes, key->length, view.record->seed);
            role = xf_pick_role(xf_pick_slot(hash), xf_route_weight(view.word));
            why = XF_WHY_STICKY;
        } else {
            struct xf_engine_service *service = &engine->services[exchange->service];
            role = xf_pick_next(&service->block, view.word, &engine->random);
        }
    }
    if (!settle(exchange, &view, role, why)) {
        return false;
    }
    judge(exchange, &view, hash);
    return true;
}

static bool is_role(const struct xf_engine *engine, const struct route_view *view,
                    enum xf_role role, struct xf_piece named)
{
    unsigned cluster = view->record->cluster[role];
    return cluster < engine->config->clusters_count &&
           xf_bytes_same(named.bytes, named.length, engine->config->clusters[cluster].name,
                         strlen(engine->config->clusters[cluster].name));
}

bool xf_exchange_override(struct xf_exchange *exchange, struct xf_piece named)
{
    struct xf_engine *engine = exchange->engine;
    struct route_view view;
    if (!read_route(exchange, &view) || (view.flags & XF_ROUTE_CUTOVER) == 0 ||
        (view.record->flags & XF_RECORD_OVERRIDE) == 0) {
        return false;
    }
    bool green = is_role(engine, &view, XF_GREEN, named);
    bool blue = is_role(engine, &view, XF_BLUE, named);
    if (!green && !blue) { /* a cluster's own name goes before the word for its role */
        green = xf_bytes_same(named.bytes, named.length, "green", 5);
        blue = xf_bytes_same(named.bytes, named.length, "blue", 4);
    }
    if ((!green && !blue) || (blue && (view.flags & XF_ROUTE_DRAINING) != 0) ||
        (green && (view.flags & XF_ROUTE_EMPTYING) != 0)) {
        return false;
    }
    return settle(exchange, &view, green ? XF_GREEN : XF_BLUE, XF_WHY_OVERRIDE);
}

/* The other cluster, if the word of this moment still lets `wanted` flags move a request. */
static bool move_to(struct xf_exchange *exchange, enum xf_role role, uint32_t wanted,
                    enum xf_why why)
{
    struct route_view view;
    if (!read_route(exchange, &view) || (view.record->flags & wanted) == 0 ||
        (view.flags & XF_ROUTE_CUTOVER) == 0 ||
        ((view.flags & XF_ROUTE_DRAINING) != 0 && role == XF_BLUE) ||
        ((view.flags & XF_ROUTE_EMPTYING) != 0 && role == XF_GREEN) ||
        view.record->cluster[role] == exchange->choice.cluster) {
        return false;
    }
    unsigned from = exchange->choice.cluster;
    xf_exchange_detach(exchange, false);
    if (!settle(exchange, &view, role, why)) {
        return false;
    }
    struct xf_stats_pair *pair = xf_engine_pair(exchange->engine, exchange->service, from);
    if (pair != NULL && why == XF_WHY_RESCUE) {
        xf_count(&pair->rescued, 1);
    }
    exchange->tries = 0;
    exchange->no_pool = false;
    exchange->woken = false;
    xf_exchange_enter(exchange, XF_ON_FAILED);
    return true;
}

void xf_service_second(struct xf_engine_service *service, uint64_t second)
{
    const unsigned slots = XF_COUNT(service->rescue_seen);
    if (second - service->rescue_second >= slots) {
        service->rescue_second = second - slots;
    }
    while (service->rescue_second < second) {
        service->rescue_second++;
        service->rescue_seen[service->rescue_second % slots] = 0;
        service->rescue_done[service->rescue_second % slots] = 0;
    }
}

/* At most half of the service's requests over 10 s may be rescued. */
static bool rescue_allowed(struct xf_engine *engine, struct xf_engine_service *service)
{
    uint64_t seen = 0, done = 0;
    xf_service_second(service, engine->now_ms / 1000);
    for (unsigned i = 0; i < XF_COUNT(service->rescue_seen); i++) {
        seen += service->rescue_seen[i];
        done += service->rescue_done[i];
    }
    return done < RESCUES_FREE || 2 * (done + 1) <= seen;
}

bool xf_exchange_rescue(struct xf_exchange *exchange)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_engine_service *service = &engine->services[exchange->service];
    if (exchange->choice.why == XF_WHY_OVERRIDE) {
        return false; /* who asks for a cluster wants its own answer */
    }
    if (exchange->rescued || exchange->choice.role != XF_GREEN || exchange->head_sent ||
        !xf_http_method_safe((enum xf_http_method) exchange->method) || !exchange->replayable ||
        !rescue_allowed(engine, service)) {
        return false;
    }
    if (!move_to(exchange, XF_BLUE, XF_RECORD_RESCUE, XF_WHY_RESCUE)) {
        return false;
    }
    exchange->rescued = true;
    service->rescue_done[service->rescue_second % XF_COUNT(service->rescue_done)]++;
    return true;
}

bool xf_exchange_fall_back(struct xf_exchange *exchange)
{
    if (exchange->choice.why == XF_WHY_FALLBACK || exchange->choice.why == XF_WHY_OVERRIDE ||
        exchange->rescued || exchange->head_sent || !exchange->replayable) {
        return false;
    }
    bool green = exchange->choice.role == XF_GREEN;
    return move_to(exchange, green ? XF_BLUE : XF_GREEN,
                   green ? XF_RECORD_FALLBACK_BLUE : XF_RECORD_FALLBACK_GREEN, XF_WHY_FALLBACK);
}

static bool was_tried(const struct xf_exchange *exchange, uint32_t server)
{
    for (unsigned i = 0; i < exchange->tries && i < XF_COUNT(exchange->tried); i++) {
        if (exchange->tried[i] == server) {
            return true;
        }
    }
    return false;
}

struct look {
    struct xf_exchange *exchange;
    unsigned first;
    bool ejected; /* servers that are ejected may be chosen */
    bool again;   /* servers that were tried may be tried once more */
    bool full;    /* one was seen that would do but for its cap */
};

static struct xf_pick_server look_at(void *context, unsigned index)
{
    struct look *look = context;
    struct xf_engine *engine = look->exchange->engine;
    unsigned number = look->first + index;
    const struct xf_engine_server *server = &engine->servers[number];
    const struct xf_server_health *health = server->health;
    struct xf_pick_server seen = {
        .backup = server->config->backup,
        .weight = xf_eject_weight(engine, server,
                                  atomic_load_explicit(&health->weight, memory_order_relaxed)),
        .in_flight = (uint32_t) xf_read(&server->stats->in_flight),
    };
    seen.usable = atomic_load_explicit(&health->up, memory_order_relaxed) != 0 &&
                  atomic_load_explicit(&health->drained, memory_order_relaxed) == 0 &&
                  health->address_bytes != 0 &&
                  (look->again || !was_tried(look->exchange, number)) &&
                  (look->ejected || !xf_eject_is_out(engine, server));
    if (XF_UNLIKELY(server->in_flight_max != 0) && seen.usable &&
        seen.in_flight >= server->in_flight_max) {
        look->full = true;
        seen.usable = false;
    }
    return seen;
}

/* The server, -1 where none may be used, or NO_ROOM where one may be waited for. */
#define NO_ROOM (-2)
static int pick_server(struct xf_exchange *exchange)
{
    struct xf_engine *engine = exchange->engine;
    const struct xf_engine_cluster *cluster = &engine->clusters[exchange->choice.cluster];
    struct look look = {.exchange = exchange, .first = cluster->config->first_server};
    struct xf_pick_servers servers = {look_at, &look, cluster->config->servers_count,
                                      cluster->weight_max};
    int index = xf_pick_server(&servers, &engine->random);
    if (index < 0 && !look.full) { /* an ejection is a guess: better that one than none */
        look.ejected = true;
        index = xf_pick_server(&servers, &engine->random);
    }
    if (index < 0 && !look.full && exchange->tries > 0) {
        look.again = true;
        index = xf_pick_server(&servers, &engine->random);
    }
    if (index < 0) {
        return look.full ? NO_ROOM : -1;
    }
    return (int) look.first + index;
}

/* A connection to `server`: true when one is attached. */
static bool connect_to(struct xf_exchange *exchange, unsigned server)
{
    struct xf_engine *engine = exchange->engine;
    bool repeatable = xf_http_method_idempotent((enum xf_http_method) exchange->method);
    struct xf_upstream *upstream = NULL;
    if (!exchange->no_pool) {
        upstream = xf_pool_take(engine, server, !repeatable);
    }
    if (upstream != NULL) {
        xf_exchange_attach(exchange, upstream);
        xf_exchange_enter(exchange, XF_ON_READY);
        return true;
    }
    upstream = xf_upstream_dial(engine, server, exchange);
    if (upstream == NULL) {
        return false;
    }
    xf_exchange_attach(exchange, upstream);
    xf_exchange_enter(exchange, XF_ON_DIAL);
    return true;
}

bool xf_exchange_try(struct xf_exchange *exchange)
{
    struct xf_engine *engine = exchange->engine;
    if (!xf_exchange_admit(exchange)) {
        return xf_exchange_enqueue(exchange);
    }
    while (exchange->tries < XF_EXCHANGE_TRIES) {
        int server = pick_server(exchange);
        if (server == NO_ROOM) {
            return xf_exchange_enqueue(exchange);
        }
        if (server < 0) {
            break;
        }
        exchange->server = server;
        exchange->tried[exchange->tries++] = (uint32_t) server;
        if (connect_to(exchange, (unsigned) server)) {
            return true;
        }
        bool ours = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ||
                    errno == EADDRNOTAVAIL;
        exchange->failure = XF_FAILURE_CONNECT;
        xf_count(&engine->servers[server].stats->failures, 1);
        if (!ours) {
            xf_eject_failed(engine, (unsigned) server);
        }
    }
    return xf_exchange_gave_up(exchange);
}
