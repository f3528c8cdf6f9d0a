/*
 * engine.h -- what the modules of one worker share: its loop, its memory, its view of the board.
 *
 * One per worker process.  It knows nothing of HTTP; client, exchange, upstream and pool hang off
 * it.  Objects that end during a turn are closed at once, and their memory goes back when the
 * turn is over, so no callback can find its own object freed.
 */
#ifndef XF_PROXY_ENGINE_H
#define XF_PROXY_ENGINE_H

#include "config/base/log.h"
#include "config/base/text.h"
#include "proxy/board/cells.h"
#include "proxy/worker/conduit.h"
#include "proxy/transport/deadlines.h"
#include "proxy/http/http1.h"
#include "proxy/transport/objects.h"
#include "proxy/transport/parting.h"
#include "proxy/board/pick.h"
#include "proxy/transport/ready.h"
#include "proxy/transport/slab.h"
#include "proxy/worker/worker.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#define XF_INPUT_HEADROOM 16384u /* room to put a head or a chunk size before what was read */
#define XF_INPUT_TAILROOM 64u    /* room for the end of a chunk behind it */
#define XF_FIRST_READ     65536u /* a read that begins a message */
#define XF_DATE_BYTES     32u
#define XF_VIA_NAME       "crossfade" /* our pseudonym in Via (RFC 9110 7.6.3) */

struct xf_client;
struct xf_exchange;
struct xf_upstream;
struct xf_tls_worker; /* tls.h */

/* One server as this worker sees it. */
struct xf_engine_server {
    const struct xf_config_server *config;
    const struct xf_server_health *health;
    struct xf_stats_server *stats;
    unsigned cluster;
    struct xf_list idle; /* pooled connections, newest first */
    unsigned idle_count;
    uint32_t in_flight_max; /* this worker's share; 0: no cap */
    uint32_t failures;      /* in a row */
    uint32_t ejections;     /* in a row, without a success between them */
    uint64_t ejected_until_ms;
};

struct xf_engine_cluster {
    const struct xf_config_cluster *config;
    struct xf_stats_cluster *stats;
    uint32_t weight_max; /* of its servers, as of the last tick */
    bool closing;        /* no route chooses it any more: connections are not kept */
    /* Where requests are capped (exchange_queue.c). */
    uint32_t admitted_max; /* this worker's share; 0: no cap */
    uint32_t admitted;     /* past the cap; counted only where there is one */
    uint32_t queued;
    uint32_t called;      /* taken from the queue, to go on in the next turn */
    uint64_t places;      /* requests that ever came to the queue */
    struct xf_list queue; /* of exchanges, the longest waiting first */
};

struct xf_engine_service {
    const struct xf_config_service *config;
    struct xf_stats_service *stats;
    struct xf_route *route;
    struct xf_pick_block block;
    uint64_t word_seen; /* the word that `closing` was last worked out from */
    struct xf_http_limits limits;
    struct xf_judged judged;
    /* The rescue cap: at most half of the requests over the last 10 s (one slot a second). */
    uint32_t rescue_seen[10], rescue_done[10];
    uint64_t rescue_second;
};

/* One (service, cluster) that may have to be emptied. */
struct xf_engine_drain {
    const struct xf_drain *board;
    uint64_t order;  /* the one that is carried out; 0: none */
    uint64_t credit; /* millionths of a tunnel or answer that may be ended */
    uint64_t tick_ms;
    uint64_t look_ms; /* when to look for answers again */
};

struct xf_engine_listener {
    const struct xf_config_listener *config;
    char port[8];
    bool tls;
};

struct xf_engine {
    const struct xf_config *config;
    const struct xf_board *board;
    struct xf_stats_header *stats;
    struct xf_log_ring *log_ring;
    const char *stop_file; /* tests only (exchange_choose.c); NULL: not set */
    unsigned index;
    struct event_base *loop;

    /* Memory. */
    char *input;   /* HEADROOM + XF_READ_BYTES + TAILROOM */
    char *scratch; /* heads are built here */
    size_t scratch_bytes;
    struct xf_field *fields; /* the table both parsers fill */
    struct xf_slab slab;
    struct xf_conduit conduit;            /* for large bodies */
    struct xf_tls_worker *tls;            /* NULL: no listener and no cluster has it */
    const struct xf_overrides *overrides; /* NULL: no service has one */
    struct xf_objects clients_memory, exchanges_memory, upstreams_memory;

    /* Time: refreshed once a turn. */
    bool turn_begun;
    uint64_t now_ms; /* CLOCK_MONOTONIC, coarse */
    uint64_t cell;   /* of the judge's, at this moment; 0: not worked out in this turn */
    int64_t wall_second;
    char date[XF_DATE_BYTES];
    struct xf_deadlines deadlines;

    /* What the configuration and the board say. */
    struct xf_engine_service *services;
    struct xf_engine_drain *drains; /* [pairs_count] */
    struct xf_engine_cluster *clusters;
    struct xf_engine_server *servers;
    struct xf_engine_listener *listeners;
    int16_t *pairs; /* [service][cluster], -1 where the cluster may not serve it */
    struct xf_random random;

    /* What goes on. */
    struct xf_ready ready;      /* connections that this turn was told of */
    struct xf_parting *parting; /* answers that leave at its end; NULL: at once */
    struct xf_list clients;     /* every open client */
    struct xf_list again;       /* clients with more to do: the next turn goes on with them */
    struct xf_list starved;     /* clients whose exchange waits for room in the slab */
    struct xf_list swept_clients, swept_exchanges, swept_upstreams; /* freed when the turn ends */
    uint64_t clients_count;
    uint64_t clients_max;
    uint64_t exchanges_count;
    uint64_t tunnels_count;
    bool draining; /* tunnels are being ended at a pace: the tick is fast */
    bool lameduck; /* health paths answer 503; all else goes on */
    bool closing;  /* SHUT, RETIRE or STOP: every answer says Connection: close */
    bool stopping; /* STOP or the supervisor's end: idle clients are closed */
    struct xf_log_limit log_limit;
    struct xf_text log_text; /* a line of the access log */
};

XF_NODISCARD int xf_engine_create(const struct xf_worker_start *start, struct xf_engine **ret,
                                  struct xf_error *err);
void xf_engine_destroy(struct xf_engine *engine); /* accepts NULL and half-built ones */

/* Looks at the servers' weights, which operators and slow start change. */
void xf_engine_review_weights(struct xf_engine *engine);

/* To be called first in every callback of the loop: takes the time once per turn. */
void xf_engine_turn_begin(struct xf_engine *engine);
static inline void xf_engine_enter(struct xf_engine *engine)
{
    if (!engine->turn_begun) {
        xf_engine_turn_begin(engine);
    }
}

/* The number of the judge's cell of this turn (board.h). */
uint64_t xf_engine_cell(struct xf_engine *engine);
uint64_t xf_engine_now_us(void); /* CLOCK_MONOTONIC, exact */
/* The value of a Date field; valid until the next call. */
const char *xf_engine_date(struct xf_engine *engine);

static inline struct xf_stats_pair *xf_engine_pair(struct xf_engine *engine, unsigned service,
                                                   unsigned cluster)
{
    int pair = engine->pairs[service * engine->config->clusters_count + cluster];
    return pair < 0 ? NULL : xf_stats_pair(engine->stats, (unsigned) pair);
}

static inline void xf_uncount(_Atomic uint64_t *gauge)
{
    uint64_t value = atomic_load_explicit(gauge, memory_order_relaxed);
    XF_ASSERT(value > 0);
    atomic_store_explicit(gauge, value - 1, memory_order_relaxed);
}

#endif
