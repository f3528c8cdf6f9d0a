/*
 * board.h -- the shared memory of one edition: one control segment, one stats segment a worker.
 *
 * Control: written by the agent, mapped read-only by workers.  Stats: written by its one worker,
 * read by the agent, which treats it as a stranger's input and bounds every index it reads.
 * Segments are memfds, mode 0600, sized, populated and sealed (grow, shrink, further seals) when
 * the edition starts.  Header, routes, cycle counter and gauges have a frozen layout with magic
 * and version, so the next binary can read them; offsets in the header say where things are.
 *
 * A worker maps control and the first page of its stats (`identity` below) from descriptors opened
 * read-only: it can never change where things are, so what attach() checked stays true.
 *
 * Counters have one writer: load, add, store, all relaxed (an atomic add is `lock add`).
 *
 * A third kind, the retired segment, has the stats layout and is written by the supervisor alone:
 * what reaped workers of this edition, and ended editions before it, had counted.  A total is the
 * retired segment plus all stats segments, over all editions; it is read between
 * xf_boards_read_begin() and xf_boards_read_end(), so that no fold is seen half done.
 */
#ifndef XF_PROXY_BOARD_H
#define XF_PROXY_BOARD_H

#include "config/base/error.h"
#include "config/config.h"
#include "proxy/board/route.h"
#include "proxy/board/segment.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define XF_CONTROL_MAGIC 0x6c72746e6f436658ull /* "XfContrl" */
#define XF_STATS_MAGIC   0x7374617473736658ull /* "Xfsstats" */
#define XF_BOARD_VERSION 2u

/* ---- control: the agent writes, workers read ---- */

struct xf_server_health {
    _Alignas(XF_CACHE_LINE) _Atomic uint32_t sequence; /* odd while address is being written */
    _Atomic uint32_t up;         /* 0 down, 1 up (starts as 1: unknown is usable) */
    _Atomic uint32_t weight;     /* effective, 0..1000: slow start and `server weight` in it */
    _Atomic uint32_t drained;    /* by an operator: no new request */
    _Atomic uint64_t changed_ms; /* CLOCK_BOOTTIME of the last change of `up` */
    uint32_t address_bytes;      /* 0: not resolved yet */
    struct sockaddr_storage address;
};

struct xf_ticket_keys {
    _Atomic uint32_t sequence; /* odd while being written */
    uint32_t count;            /* keys[0] encrypts, all decrypt */
    uint8_t keys[3][80];       /* name 16, HMAC 32, AES-256 32 */
};

/* How one cluster of one service is being emptied.  The agent writes what belongs to an order
 * before the order itself, and 0 before it changes an order. */
#define XF_DRAIN_ALL       UINT64_MAX /* the policy's: whatever is there */
#define XF_DRAIN_UNBOUNDED UINT32_MAX /* a rate: all at once */
struct xf_drain {
    /* 0: none.  One that is not the policy's is an operator's, and ends what had begun before it.
     */
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t order;
    _Atomic uint64_t since_us;    /* CLOCK_MONOTONIC: when the order came */
    _Atomic uint64_t deadline_ms; /* CLOCK_BOOTTIME at which what is left is cut; 0: never */
    _Atomic uint32_t rate_milli[XF_WORKERS_MAX]; /* so many a worker may end in 1000 s */
    /* At that rate answers in progress end too, once their request is so old; 0: tunnels alone. */
    _Atomic uint32_t answers_after_ms;
};

struct xf_control_header {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes_unused;
    uint64_t bytes; /* of the whole segment */
    uint64_t edition;
    uint32_t services, servers, workers, pairs;
    uint64_t routes_at;  /* offsets from the segment's start */
    uint64_t records_at; /* [service][XF_ROUTE_RECORDS] */
    uint64_t health_at;  /* [server] */
    uint64_t tickets_at;
    uint64_t drains_at;              /* [pair] */
    _Atomic int64_t clock_offset_us; /* store's wall clock minus CLOCK_BOOTTIME: labels cells */
};

/* ---- stats: one worker writes, the agent reads ---- */

enum xf_error_kind {
    XF_ERROR_STATUS,  /* one of the chosen statuses */
    XF_ERROR_CONNECT, /* connect failed, on every try */
    XF_ERROR_RESET,   /* closed or reset before the answer was whole; malformed answers too */
    XF_ERROR_TIMEOUT,
    XF_ERROR_TRUNCATED,
    XF_ERROR_KINDS
};

enum xf_why { /* why that cluster */
              XF_WHY_WEIGHT,
              XF_WHY_STICKY,
              XF_WHY_OVERRIDE,
              XF_WHY_RESCUE,
              XF_WHY_FALLBACK, /* only one up */
              XF_WHYS
};

struct xf_histogram { /* microseconds; bucket edges in histogram.h */
    _Atomic uint64_t count[XF_HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum_us;
};

/* One (service, cluster). */
struct xf_stats_pair {
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t requests; /* sent to the cluster, each try of a
                                                          request counted once per cluster */
    _Atomic uint64_t class[6];               /* [1..5]: answers passed on by class; [0]: none */
    _Atomic uint64_t errors[XF_ERROR_KINDS]; /* charged to the cluster */
    _Atomic uint64_t why[XF_WHYS];
    _Atomic uint64_t rescued; /* failed here, answered by blue */
    _Atomic uint64_t retried; /* further connections tried */
    _Atomic uint64_t client_aborts;
    _Atomic uint64_t no_route; /* 404s in which Kong says that it has no such route */
    _Atomic uint64_t bytes_in, bytes_out;
    struct xf_histogram latency; /* dispatch to the last byte of the answer */
};

/* Per service, not charged to a cluster. */
struct xf_stats_service {
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t refused[6]; /* answers made by the proxy, by class */
    _Atomic uint64_t fenced;
    _Atomic uint64_t no_server;            /* 503: nothing up */
    _Atomic uint64_t safe_10s, rescue_10s; /* unused by readers: the rescue cap's window */
};

enum xf_drained { XF_DRAINED_TUNNEL, XF_DRAINED_ANSWER, XF_DRAINED_REQUEST, XF_DRAINED_KINDS };

/* Gauges: what is going on now.  Then what drains have ended, a counter. */
struct xf_stats_cluster {
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t in_flight; /* from the choice to the last byte */
    _Atomic uint64_t tunnels;
    _Atomic uint64_t pooled; /* idle connections kept */
    _Atomic uint64_t queued;
    _Atomic uint64_t drained[XF_DRAINED_KINDS];
};

struct xf_stats_server {
    _Atomic uint64_t in_flight;
    _Atomic uint64_t requests;
    _Atomic uint64_t failures; /* connect failures, resets, timeouts */
    _Atomic uint64_t ejections;
    _Atomic uint64_t ejected_until_ms; /* CLOCK_BOOTTIME; 0: not ejected */
};

/* Counts of one weight at dispatch in one cell, by role. */
struct xf_cell_entry {
    _Atomic uint32_t weight;         /* 0..10000, plus 1; 0: entry unused */
    _Atomic uint32_t sent[XF_ROLES]; /* dispatched in this cell; overrides left out; a sticky
                                        key once per step */
    _Atomic uint32_t done[XF_ROLES]; /* first attempts that ended in this cell */
    _Atomic uint32_t bad[XF_ROLES];
    _Atomic uint32_t slow[XF_ROLES]; /* passed send + tau in this cell */
    _Atomic uint32_t bad_4xx[XF_ROLES];
};

struct xf_cell {
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t number; /* (store's time in ms) / XF_CELL_MS; set
                                                        last to 0 and first when reused */
    _Atomic uint32_t attempt;                        /* of the cutover it belongs to */
    _Atomic uint32_t lost; /* events beyond XF_CELL_WEIGHTS weights: not judged */
    struct xf_cell_entry entry[XF_CELL_WEIGHTS];
    _Atomic uint32_t asked[XF_ROLES];    /* dispatched in this cell, each request of a key */
    _Atomic uint32_t answered[XF_ROLES]; /* ended in this cell, but by the client's leaving */
};

/* ---- who is to blame: the last responses that went badly, for `why` ---- */

enum xf_blamed { XF_BLAMED_ERROR, XF_BLAMED_4XX, XF_BLAMED_SLOW, XF_BLAMED_KINDS };

#define XF_BLAME_EVENTS       64u /* a ring of them per service and worker; beyond, a sample */
#define XF_BLAME_TARGET_BYTES 85u

struct xf_blame_event {
    uint32_t attempt;
    int32_t server; /* over all clusters of the configuration; -1: none could be reached */
    uint8_t role;   /* enum xf_role */
    uint8_t kind;   /* enum xf_blamed */
    uint8_t length;
    char target[XF_BLAME_TARGET_BYTES]; /* as the client sent it, cut */
};

struct xf_blame_ring {
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t written; /* ever; the next goes to written % EVENTS */
    struct xf_blame_event events[XF_BLAME_EVENTS];
};

#define XF_STATS_RETIRED UINT32_MAX /* `worker` of a retired segment */

struct xf_stats_header {
    /* Identity: the supervisor writes, the worker cannot. */
    uint64_t magic;
    uint32_t version;
    _Atomic uint32_t pid; /* of the worker; 0 while there is none */
    uint64_t bytes;
    uint64_t edition;
    uint32_t worker, services, clusters, servers, pairs, unused;
    uint64_t services_at, pairs_at, clusters_at, servers_at, cells_at; /* offsets */
    uint64_t blames_at;

    char to_next_page[XF_SEGMENT_PAGE_BYTES - 104];

    /* The worker writes.  The in-force rule (DESIGN.md section 9): odd while a turn of the loop
     * may hold a word.  In a retired segment: odd while a fold is under way. */
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t cycle;
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t clients; /* open client connections */
    _Atomic uint64_t accepted, tls_handshakes, tls_resumed, log_dropped;
    _Atomic uint64_t accepting; /* 1 once this worker accepts */
    _Atomic uint64_t buffers;   /* bytes of buffers in use */
};

/* A mapped board of one edition, as one process sees it.  Which maps are writable depends on
 * who it is; a worker has only its own stats, the others' pointers are NULL. */
struct xf_board {
    uint64_t edition;
    unsigned workers;
    int control_fd; /* -1 once closed */
    int retired_fd;
    int *stats_fd;                     /* [workers], -1 once closed */
    struct xf_control_header *control; /* const for workers: a write faults */
    struct xf_stats_header *retired;   /* NULL in workers */
    struct xf_stats_header **stats;    /* [workers] */
    uint64_t control_bytes;
    uint64_t stats_bytes;
};

/* Creates the segments of an edition for `config` (supervisor).  Everything is zero but the
 * headers; health starts up with the configured weight and numeric addresses. */
XF_NODISCARD int xf_board_create(const struct xf_config *config, uint64_t edition, unsigned workers,
                                 struct xf_board **ret, struct xf_error *err);
/* Maps segments received as descriptors, which it owns from here on, also when it fails.  Every
 * size, offset and count is checked against the descriptors' real sizes. */
XF_NODISCARD int xf_board_attach(int control_fd, int retired_fd, const int *stats_fd,
                                 unsigned workers, struct xf_board **ret, struct xf_error *err);
/* The same for the supervisor, which folds: every segment is writable, and stays behind a fork. */
XF_NODISCARD int xf_board_adopt(int control_fd, int retired_fd, const int *stats_fd,
                                unsigned workers, struct xf_board **ret, struct xf_error *err);
/* In a freshly forked worker, before it drops its privileges: maps control read-only and its own
 * stats writable, then closes every descriptor of the board. */
XF_NODISCARD int xf_board_enter_worker(struct xf_board *board, unsigned worker,
                                       struct xf_error *err);
void xf_board_destroy(struct xf_board *board); /* unmaps and closes; accepts NULL */

/* ---- folding: the supervisor alone ---- */

/* After the worker was reaped: moves its counters to the retired segment, zeroes its gauges and
 * makes an odd cycle counter even.  Judge cells stay: they are labelled with their time. */
void xf_board_fold_worker(struct xf_board *board, unsigned worker);
/* After an edition's last worker was folded: moves its retired counters to those of the same names
 * in `to`.  Counters whose names `to_config` does not know are forgotten. */
void xf_board_fold_edition(struct xf_board *from, const struct xf_config *from_config,
                           struct xf_board *to, const struct xf_config *to_config);

/* Reading totals: begin() is false while a fold is under way; end() is false when one happened
 * since, and what was read is to be thrown away.  A fold takes well under a millisecond. */
XF_NODISCARD bool xf_boards_read_begin(struct xf_board *const *boards, unsigned count,
                                       uint64_t *ret_mark);
XF_NODISCARD bool xf_boards_read_end(struct xf_board *const *boards, unsigned count, uint64_t mark);

/* Places in the segments.  Indices must be below the header's counts (asserted: they come from
 * the configuration, never from outside). */
struct xf_route *xf_board_route(const struct xf_board *board, unsigned service);
struct xf_route_record *xf_board_record(const struct xf_board *board, unsigned service,
                                        unsigned record);
struct xf_server_health *xf_board_health(const struct xf_board *board, unsigned server);
struct xf_ticket_keys *xf_board_tickets(const struct xf_board *board);
struct xf_drain *xf_board_drain(const struct xf_board *board, unsigned pair);
struct xf_stats_service *xf_stats_service(struct xf_stats_header *stats, unsigned service);
struct xf_stats_pair *xf_stats_pair(struct xf_stats_header *stats, unsigned pair);
struct xf_stats_cluster *xf_stats_cluster(struct xf_stats_header *stats, unsigned cluster);
struct xf_stats_server *xf_stats_server(struct xf_stats_header *stats, unsigned server);
struct xf_cell *xf_stats_cells(struct xf_stats_header *stats, unsigned service); /* [XF_CELLS] */
struct xf_blame_ring *xf_stats_blame(struct xf_stats_header *stats, unsigned service);

static inline void xf_count(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}
static inline void xf_count32(_Atomic uint32_t *counter, uint32_t by)
{
    uint32_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}
static inline uint64_t xf_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The worker's side of "in force": begin before the first word is read in a turn, end when the
 * turn is over. */
static inline void xf_cycle_begin(struct xf_stats_header *stats)
{
    uint64_t cycle = atomic_load_explicit(&stats->cycle, memory_order_relaxed);
    if ((cycle & 1) == 0) {
        atomic_store_explicit(&stats->cycle, cycle + 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
    }
}
static inline void xf_cycle_end(struct xf_stats_header *stats)
{
    uint64_t cycle = atomic_load_explicit(&stats->cycle, memory_order_relaxed);
    if ((cycle & 1) != 0) {
        atomic_store_explicit(&stats->cycle, cycle + 1, memory_order_release);
    }
}

#endif
