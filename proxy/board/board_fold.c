/*
 * board_fold.c -- moving what dead workers and ended editions had counted, so that no total falls.
 *
 * Only the supervisor folds.  While it does, the cycle counter of every retired segment it
 * touches is odd, and readers of totals throw away what they read meanwhile: a count is then never
 * seen twice, nor missed.
 */
#include "proxy/board/board.h"

#include <string.h>

/* Blocks that hold nothing but counters are moved word by word. */
static_assert(sizeof(struct xf_stats_pair) % sizeof(uint64_t) == 0, "whole words");
static_assert(sizeof(struct xf_stats_service) % sizeof(uint64_t) == 0, "whole words");

static void move(_Atomic uint64_t *from, _Atomic uint64_t *to)
{
    xf_count(to, xf_read(from));
    atomic_store_explicit(from, 0, memory_order_relaxed);
}

static void move_block(void *from, void *to, size_t bytes)
{
    _Atomic uint64_t *source = from;
    _Atomic uint64_t *target = to;
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
        move(&source[i], &target[i]);
    }
}

static void clear(_Atomic uint64_t *gauge)
{
    atomic_store_explicit(gauge, 0, memory_order_relaxed);
}

static void begin_fold(struct xf_stats_header *retired)
{
    xf_count(&retired->cycle, 1);
    atomic_thread_fence(memory_order_seq_cst);
}

static void end_fold(struct xf_stats_header *retired)
{
    atomic_thread_fence(memory_order_seq_cst);
    xf_count(&retired->cycle, 1);
}

static void move_process_counters(struct xf_stats_header *from, struct xf_stats_header *to)
{
    move(&from->accepted, &to->accepted);
    move(&from->tls_handshakes, &to->tls_handshakes);
    move(&from->tls_resumed, &to->tls_resumed);
    move(&from->log_dropped, &to->log_dropped);
}

static void move_server_counters(struct xf_stats_server *from, struct xf_stats_server *to)
{
    move(&from->requests, &to->requests);
    move(&from->failures, &to->failures);
    move(&from->ejections, &to->ejections);
}

static void move_cluster_counters(struct xf_stats_cluster *from, struct xf_stats_cluster *to)
{
    for (unsigned i = 0; i < XF_DRAINED_KINDS; i++) {
        move(&from->drained[i], &to->drained[i]);
    }
}

static void clear_gauges(struct xf_stats_header *stats)
{
    clear(&stats->clients);
    clear(&stats->accepting);
    clear(&stats->buffers);
    for (unsigned i = 0; i < stats->clusters; i++) {
        struct xf_stats_cluster *cluster = xf_stats_cluster(stats, i);
        clear(&cluster->in_flight);
        clear(&cluster->tunnels);
        clear(&cluster->pooled);
        clear(&cluster->queued);
    }
    for (unsigned i = 0; i < stats->servers; i++) {
        clear(&xf_stats_server(stats, i)->in_flight);
        clear(&xf_stats_server(stats, i)->ejected_until_ms);
    }
}

void xf_board_fold_worker(struct xf_board *board, unsigned worker)
{
    XF_ASSERT(worker < board->workers);
    struct xf_stats_header *from = board->stats[worker];
    struct xf_stats_header *to = board->retired;

    begin_fold(to);
    move_process_counters(from, to);
    for (unsigned i = 0; i < from->services; i++) {
        move_block(xf_stats_service(from, i), xf_stats_service(to, i),
                   sizeof(struct xf_stats_service));
    }
    for (unsigned i = 0; i < from->pairs; i++) {
        move_block(xf_stats_pair(from, i), xf_stats_pair(to, i), sizeof(struct xf_stats_pair));
    }
    for (unsigned i = 0; i < from->clusters; i++) {
        move_cluster_counters(xf_stats_cluster(from, i), xf_stats_cluster(to, i));
    }
    for (unsigned i = 0; i < from->servers; i++) {
        move_server_counters(xf_stats_server(from, i), xf_stats_server(to, i));
    }
    clear_gauges(from);
    atomic_store_explicit(&from->pid, 0, memory_order_relaxed);
    xf_cycle_end(from);
    end_fold(to);
}

/* ---- from one edition to another, by name ---- */

static const struct xf_config_service *same_service(const struct xf_config *config,
                                                    const struct xf_config_service *service)
{
    for (unsigned i = 0; i < config->services_count; i++) {
        if (strcmp(config->services[i].name, service->name) == 0) {
            return &config->services[i];
        }
    }
    return NULL;
}

static const struct xf_config_cluster *same_cluster(const struct xf_config *config,
                                                    const struct xf_config_cluster *cluster)
{
    for (unsigned i = 0; i < config->clusters_count; i++) {
        if (strcmp(config->clusters[i].name, cluster->name) == 0) {
            return &config->clusters[i];
        }
    }
    return NULL;
}

/* The place of cluster `name` among those of `service`, or -1. */
static int position_of(const struct xf_config *config, const struct xf_config_service *service,
                       const char *name)
{
    for (unsigned i = 0; i < service->clusters_count; i++) {
        if (strcmp(config->clusters[service->clusters[i]].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

static void fold_service(const struct xf_config_service *service, struct xf_board *from,
                         const struct xf_config *from_config, struct xf_board *to,
                         const struct xf_config *to_config)
{
    const struct xf_config_service *heir = same_service(to_config, service);
    if (heir == NULL) {
        return;
    }
    move_block(xf_stats_service(from->retired, service->index),
               xf_stats_service(to->retired, heir->index), sizeof(struct xf_stats_service));
    for (unsigned i = 0; i < service->clusters_count; i++) {
        const char *name = from_config->clusters[service->clusters[i]].name;
        int position = position_of(to_config, heir, name);
        if (position >= 0) {
            move_block(xf_stats_pair(from->retired, service->first_pair + i),
                       xf_stats_pair(to->retired, heir->first_pair + (unsigned) position),
                       sizeof(struct xf_stats_pair));
        }
    }
}

static void fold_cluster(const struct xf_config_cluster *cluster, struct xf_board *from,
                         struct xf_board *to, const struct xf_config *to_config)
{
    const struct xf_config_cluster *heir = same_cluster(to_config, cluster);
    if (heir == NULL) {
        return;
    }
    move_cluster_counters(xf_stats_cluster(from->retired, cluster->index),
                          xf_stats_cluster(to->retired, heir->index));
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        for (unsigned k = 0; k < heir->servers_count; k++) {
            if (strcmp(cluster->servers[i].endpoint.text, heir->servers[k].endpoint.text) == 0) {
                move_server_counters(xf_stats_server(from->retired, cluster->first_server + i),
                                     xf_stats_server(to->retired, heir->first_server + k));
                break;
            }
        }
    }
}

void xf_board_fold_edition(struct xf_board *from, const struct xf_config *from_config,
                           struct xf_board *to, const struct xf_config *to_config)
{
    begin_fold(from->retired);
    begin_fold(to->retired);
    move_process_counters(from->retired, to->retired);
    for (unsigned i = 0; i < from_config->services_count; i++) {
        fold_service(&from_config->services[i], from, from_config, to, to_config);
    }
    for (unsigned i = 0; i < from_config->clusters_count; i++) {
        fold_cluster(&from_config->clusters[i], from, to, to_config);
    }
    end_fold(to->retired);
    end_fold(from->retired);
}

/* ---- the reader's side ---- */

/* The sum of all marks only grows, so it is unchanged exactly when each of them is. */
static bool read_marks(struct xf_board *const *boards, unsigned count, uint64_t *ret_sum)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t cycle = atomic_load_explicit(&boards[i]->retired->cycle, memory_order_acquire);
        if ((cycle & 1) != 0) {
            return false;
        }
        sum += cycle;
    }
    *ret_sum = sum;
    return true;
}

bool xf_boards_read_begin(struct xf_board *const *boards, unsigned count, uint64_t *ret_mark)
{
    return read_marks(boards, count, ret_mark);
}

bool xf_boards_read_end(struct xf_board *const *boards, unsigned count, uint64_t mark)
{
    uint64_t now;
    atomic_thread_fence(memory_order_acquire);
    return read_marks(boards, count, &now) && now == mark;
}
