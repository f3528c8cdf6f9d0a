/*
 * engine.c -- makes what the modules of one worker share; see engine.h.
 */
#include "proxy/worker/engine.h"

#include "proxy/worker/client.h"
#include "proxy/worker/exchange.h"
#include "proxy/board/logring.h"
#include "proxy/transport/tls.h"
#include "proxy/worker/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define FILES_RESERVED  64u /* listening sockets, the loop, the channel, what is being closed */
#define WATCH_MS        50 /* a request answered within it needs no registration of its connection */
#define LINGER_MS       2000
#define SCRATCH_EXTRA   8192u                /* what a head may grow by */
#define SHARE_BYTES_MIN (4u * 1024u * 1024u) /* a worker cannot work with less */

uint64_t xf_engine_now_us(void)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000u + (uint64_t) now.tv_nsec / 1000u;
}

void xf_engine_turn_begin(struct xf_engine *engine)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    engine->now_ms = (uint64_t) now.tv_sec * 1000u + (uint64_t) now.tv_nsec / 1000000u;
    engine->turn_begun = true;
    engine->cell = 0;
}

uint64_t xf_engine_cell(struct xf_engine *engine)
{
    if (engine->cell == 0) {
        struct timespec now;
        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        int64_t us = (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
        us += atomic_load_explicit(&engine->board->control->clock_offset_us, memory_order_relaxed);
        engine->cell = us > 0 ? (uint64_t) us / 1000 / XF_CELL_MS : 0;
        engine->cell += engine->cell == 0;
    }
    return engine->cell;
}

const char *xf_engine_date(struct xf_engine *engine)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != engine->wall_second) {
        struct tm parts;
        engine->wall_second = now.tv_sec;
        (void) gmtime_r(&now.tv_sec, &parts);
        (void) strftime(engine->date, sizeof(engine->date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    }
    return engine->date;
}

static void set_deadlines(struct xf_engine *engine)
{
    for (unsigned i = 0; i < engine->config->services_count; i++) {
        const struct xf_config_timeouts *t = &engine->config->services[i].timeouts;
        const int64_t limits[XF_DEADLINE_KINDS] = {
            [XF_DEADLINE_IDLE] = t->idle,
            [XF_DEADLINE_UPSTREAM_IDLE] = engine->config->timeouts.upstream_idle,
            [XF_DEADLINE_HEADER] = t->header,
            [XF_DEADLINE_LINGER] = LINGER_MS,
            [XF_DEADLINE_WATCH] = WATCH_MS,
            [XF_DEADLINE_BODY] = t->body,
            [XF_DEADLINE_SEND] = t->send,
            [XF_DEADLINE_QUEUE] = t->queue,
            [XF_DEADLINE_CONNECT] = t->connect,
            [XF_DEADLINE_FIRST_BYTE] = t->first_byte,
            [XF_DEADLINE_UPSTREAM_BODY] = t->upstream_body,
            [XF_DEADLINE_TOTAL] = t->total,
            [XF_DEADLINE_TUNNEL_IDLE] = t->tunnel_idle,
        };
        for (unsigned kind = 0; kind < XF_DEADLINE_KINDS; kind++) {
            xf_deadlines_set(&engine->deadlines, i, (enum xf_deadline_kind) kind, limits[kind]);
        }
    }
}

static void set_services(struct xf_engine *engine)
{
    const struct xf_config *config = engine->config;
    for (unsigned i = 0; i < config->services_count; i++) {
        struct xf_engine_service *service = &engine->services[i];
        const struct xf_config_limits *limits = &config->services[i].limits;
        service->config = &config->services[i];
        service->stats = xf_stats_service(engine->stats, i);
        service->route = xf_board_route(engine->board, i);
        service->limits.head_bytes_max = (uint32_t) limits->head;
        service->limits.fields_max = (uint32_t) limits->fields;
        xf_judged_init(&service->judged, xf_stats_cells(engine->stats, i),
                       xf_stats_blame(engine->stats, i));
        xf_pick_init(&service->block, &engine->random);
        for (unsigned c = 0; c < config->clusters_count; c++) {
            engine->pairs[i * config->clusters_count + c] = (int16_t) xf_config_pair(config, i, c);
        }
    }
}

/* This worker's part of a cap for the whole host; never less than one request. */
static uint32_t share_of(const struct xf_engine *engine, unsigned cap)
{
    unsigned workers = engine->config->workers > 0 ? engine->config->workers : 1;
    uint32_t share = cap / workers + (engine->index < cap % workers);
    return cap > 0 && share == 0 ? 1 : share;
}

void xf_engine_review_weights(struct xf_engine *engine)
{
    for (unsigned c = 0; c < engine->config->clusters_count; c++) {
        struct xf_engine_cluster *cluster = &engine->clusters[c];
        const struct xf_config_cluster *config = cluster->config;
        cluster->weight_max = 1;
        for (unsigned s = 0; s < config->servers_count; s++) {
            const struct xf_server_health *health =
                engine->servers[config->first_server + s].health;
            uint32_t weight = atomic_load_explicit(&health->weight, memory_order_relaxed);
            if (weight > cluster->weight_max) {
                cluster->weight_max = weight;
            }
        }
    }
}

static void set_clusters(struct xf_engine *engine)
{
    const struct xf_config *config = engine->config;
    for (unsigned c = 0; c < config->clusters_count; c++) {
        const struct xf_config_cluster *from = &config->clusters[c];
        struct xf_engine_cluster *cluster = &engine->clusters[c];
        cluster->config = from;
        cluster->stats = xf_stats_cluster(engine->stats, c);
        cluster->admitted_max = share_of(engine, from->in_flight_max);
        xf_list_init(&cluster->queue);
        for (unsigned s = 0; s < from->servers_count; s++) {
            unsigned number = from->first_server + s;
            struct xf_engine_server *server = &engine->servers[number];
            server->config = &from->servers[s];
            server->health = xf_board_health(engine->board, number);
            server->stats = xf_stats_server(engine->stats, number);
            server->cluster = c;
            server->in_flight_max = share_of(engine, server->config->in_flight_max);
            xf_list_init(&server->idle);
        }
    }
    xf_engine_review_weights(engine);
}

static void set_drains(struct xf_engine *engine)
{
    for (unsigned i = 0; i < engine->config->pairs_count; i++) {
        engine->drains[i].board = xf_board_drain(engine->board, i);
    }
}

static void set_listeners(struct xf_engine *engine)
{
    for (unsigned i = 0; i < engine->config->listeners_count; i++) {
        struct xf_engine_listener *listener = &engine->listeners[i];
        listener->config = &engine->config->listeners[i];
        listener->tls = engine->tls != NULL && listener->config->tls.certificate != NULL;
        (void) snprintf(listener->port, sizeof(listener->port), "%u",
                        (unsigned) listener->config->bind.port);
    }
}

static size_t largest_head(const struct xf_config *config)
{
    size_t most = 0;
    for (unsigned i = 0; i < config->services_count; i++) {
        most = config->services[i].limits.head > most ? config->services[i].limits.head : most;
    }
    return most;
}

static unsigned most_fields(const struct xf_config *config)
{
    uint64_t most = 1;
    for (unsigned i = 0; i < config->services_count; i++) {
        most = config->services[i].limits.fields > most ? config->services[i].limits.fields : most;
    }
    return (unsigned) most;
}

static bool allocate(struct xf_engine *engine)
{
    const struct xf_config *config = engine->config;
    engine->scratch_bytes = largest_head(config) + SCRATCH_EXTRA;
    engine->input = malloc(XF_INPUT_HEADROOM + XF_READ_BYTES + XF_INPUT_TAILROOM);
    engine->scratch = malloc(engine->scratch_bytes);
    engine->fields = calloc(most_fields(config), sizeof(*engine->fields));
    engine->services = calloc(config->services_count, sizeof(*engine->services));
    engine->drains = calloc(config->pairs_count + 1, sizeof(*engine->drains));
    engine->clusters = calloc(config->clusters_count, sizeof(*engine->clusters));
    engine->servers = calloc(config->servers_count, sizeof(*engine->servers));
    engine->listeners = calloc(config->listeners_count, sizeof(*engine->listeners));
    engine->pairs =
        calloc((size_t) config->services_count * config->clusters_count, sizeof(*engine->pairs));
    return engine->input != NULL && engine->scratch != NULL && engine->fields != NULL &&
           engine->services != NULL && engine->drains != NULL && engine->clusters != NULL &&
           engine->servers != NULL && engine->listeners != NULL && engine->pairs != NULL &&
           xf_deadlines_init(&engine->deadlines, config->services_count);
}

static struct event_base *make_loop(void)
{
    struct event_config *options = event_config_new();
    if (options == NULL) {
        return NULL;
    }
    (void) event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK);
    (void) event_config_set_flag(options, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *loop = event_base_new_with_config(options);
    event_config_free(options);
    return loop;
}

static void set_limits(struct xf_engine *engine)
{
    const struct xf_config *config = engine->config;
    unsigned workers = config->workers > 0 ? config->workers : 1;
    uint64_t share = config->limits.buffers / workers;
    engine->clients_max = config->limits.connections / workers;
    /* Each client may need a connection to a server beside its own. */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 2 * FILES_RESERVED &&
        engine->clients_max > (files.rlim_cur - FILES_RESERVED) / 2) {
        engine->clients_max = (files.rlim_cur - FILES_RESERVED) / 2;
    }
    if (engine->clients_max == 0) {
        engine->clients_max = 1;
    }
    xf_slab_init(&engine->slab, share < SHARE_BYTES_MIN ? SHARE_BYTES_MIN : share,
                 &engine->stats->buffers);
}

int xf_engine_create(const struct xf_worker_start *start, struct xf_engine **ret,
                     struct xf_error *err)
{
    struct xf_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for a worker");
    }
    engine->config = start->config;
    engine->board = start->board;
    engine->stats = start->board->stats[start->index];
    engine->index = start->index;
    xf_conduit_open(&engine->conduit);
    engine->log_ring = start->log_ring;
    engine->overrides = start->overrides;
    engine->stop_file = getenv("CROSSFADE_STOP_FILE");
    struct xf_list *lists[] = {&engine->clients,         &engine->again,
                               &engine->starved,         &engine->swept_clients,
                               &engine->swept_exchanges, &engine->swept_upstreams};
    for (unsigned i = 0; i < XF_COUNT(lists); i++) {
        xf_list_init(lists[i]);
    }
    xf_objects_init(&engine->clients_memory, sizeof(struct xf_client));
    xf_objects_init(&engine->exchanges_memory, sizeof(struct xf_exchange));
    xf_objects_init(&engine->upstreams_memory, sizeof(struct xf_upstream));
    xf_text_init(&engine->log_text, XF_LOG_LINE_BYTES_MAX);
    xf_random_seed(&engine->random);
    set_limits(engine);
    engine->loop = make_loop();
    if (engine->loop == NULL || !allocate(engine)) {
        xf_engine_destroy(engine);
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for a worker");
    }
    if (start->tls != NULL) {
        xf_tls_contexts_use_tickets(start->tls, xf_board_tickets(start->board));
        engine->tls = xf_tls_worker_create(start->tls, &engine->slab, engine->stats);
        if (engine->tls == NULL) {
            xf_engine_destroy(engine);
            return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for TLS");
        }
    }
    set_clusters(engine);
    set_services(engine);
    set_drains(engine);
    set_listeners(engine);
    set_deadlines(engine);
    xf_engine_turn_begin(engine);
    *ret = engine;
    return 0;
}

void xf_engine_destroy(struct xf_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    for (unsigned i = 0; engine->services != NULL && i < engine->config->services_count; i++) {
        xf_judged_release(&engine->services[i].judged);
    }
    xf_text_release(&engine->log_text);
    xf_deadlines_release(&engine->deadlines);
    xf_tls_worker_destroy(engine->tls);
    xf_conduit_close(&engine->conduit);
    xf_gather_destroy(engine->ready.gather);
    xf_parting_destroy(engine->parting);
    xf_slab_release(&engine->slab);
    xf_objects_release(&engine->clients_memory);
    xf_objects_release(&engine->exchanges_memory);
    xf_objects_release(&engine->upstreams_memory);
    free(engine->input);
    free(engine->scratch);
    free(engine->fields);
    free(engine->services);
    free(engine->drains);
    free(engine->clusters);
    free(engine->servers);
    free(engine->listeners);
    free(engine->pairs);
    if (engine->loop != NULL) {
        event_base_free(engine->loop);
    }
    free(engine);
}
