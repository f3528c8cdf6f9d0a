/*
 * board.c -- making, mapping and finding one's way in the segments of an edition.
 *
 * The layout follows from the configuration's counts alone and is written into the headers; who
 * attaches to segments made by another process believes nothing that it did not compare with the
 * real sizes.  Folding stands in board_fold.c.
 */
#include "proxy/board/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(sizeof(struct xf_route) == XF_CACHE_LINE, "routes lie one to a cache line");
static_assert(offsetof(struct xf_stats_header, cycle) == XF_SEGMENT_PAGE_BYTES,
              "a worker's first page holds its identity and nothing it writes");
static_assert(offsetof(struct xf_stats_header, blames_at) < 4096,
              "the identity fits the smallest page");

#define SEGMENT_BYTES_MAX (1ull << 36) /* more than any configuration within limits.h needs */

static uint64_t round_up(uint64_t value)
{
    return (value + XF_CACHE_LINE - 1) / XF_CACHE_LINE * XF_CACHE_LINE;
}

/* Places `count` objects behind *end, on a cache line, and moves *end behind them. */
static uint64_t place(uint64_t *end, uint64_t count, uint64_t bytes)
{
    uint64_t at = round_up(*end);
    *end = at + count * bytes;
    return at;
}

static void lay_out_control(struct xf_control_header *header)
{
    uint64_t end = sizeof(*header);
    uint64_t records = (uint64_t) header->services * XF_ROUTE_RECORDS;
    header->routes_at = place(&end, header->services, sizeof(struct xf_route));
    header->records_at = place(&end, records, sizeof(struct xf_route_record));
    header->health_at = place(&end, header->servers, sizeof(struct xf_server_health));
    header->tickets_at = place(&end, 1, sizeof(struct xf_ticket_keys));
    header->drains_at = place(&end, header->pairs, sizeof(struct xf_drain));
    header->bytes = round_up(end);
}

static void lay_out_stats(struct xf_stats_header *header)
{
    uint64_t end = sizeof(*header);
    uint64_t cells = (uint64_t) header->services * XF_CELLS;
    header->services_at = place(&end, header->services, sizeof(struct xf_stats_service));
    header->pairs_at = place(&end, header->pairs, sizeof(struct xf_stats_pair));
    header->clusters_at = place(&end, header->clusters, sizeof(struct xf_stats_cluster));
    header->servers_at = place(&end, header->servers, sizeof(struct xf_stats_server));
    header->cells_at = place(&end, cells, sizeof(struct xf_cell));
    header->blames_at = place(&end, header->services, sizeof(struct xf_blame_ring));
    header->bytes = round_up(end);
}

static struct xf_board *allocate_board(unsigned workers)
{
    struct xf_board *board = calloc(1, sizeof(*board));
    if (board == NULL) {
        return NULL;
    }
    board->workers = workers;
    board->control_fd = -1;
    board->retired_fd = -1;
    board->stats = calloc(workers, sizeof(board->stats[0]));
    board->stats_fd = calloc(workers, sizeof(board->stats_fd[0]));
    if (board->stats == NULL || board->stats_fd == NULL) {
        free(board->stats);
        free(board->stats_fd);
        free(board);
        return NULL;
    }
    for (unsigned i = 0; i < workers; i++) {
        board->stats_fd[i] = -1;
    }
    return board;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void close_all(struct xf_board *board)
{
    close_fd(&board->control_fd);
    close_fd(&board->retired_fd);
    for (unsigned i = 0; i < board->workers; i++) {
        close_fd(&board->stats_fd[i]);
    }
}

void xf_board_destroy(struct xf_board *board)
{
    if (board == NULL) {
        return;
    }
    if (board->control != NULL) {
        munmap(board->control, board->control_bytes);
    }
    if (board->retired != NULL) {
        munmap(board->retired, board->stats_bytes);
    }
    for (unsigned i = 0; i < board->workers; i++) {
        if (board->stats[i] != NULL) {
            munmap(board->stats[i], board->stats_bytes);
        }
    }
    close_all(board);
    free(board->stats);
    free(board->stats_fd);
    free(board);
}

/* ---- creating ---- */

static void fill_health(const struct xf_config *config, const struct xf_board *board)
{
    for (unsigned c = 0; c < config->clusters_count; c++) {
        const struct xf_config_cluster *cluster = &config->clusters[c];
        for (unsigned s = 0; s < cluster->servers_count; s++) {
            const struct xf_config_server *server = &cluster->servers[s];
            struct xf_server_health *health = xf_board_health(board, cluster->first_server + s);
            atomic_init(&health->up, 1);
            atomic_init(&health->weight, server->weight);
            if (server->endpoint.numeric) {
                health->address_bytes = server->endpoint.address_bytes;
                health->address = server->endpoint.address;
            }
        }
    }
}

static int create_control(const struct xf_config *config, struct xf_board *board,
                          struct xf_error *err)
{
    struct xf_control_header layout = {.magic = XF_CONTROL_MAGIC,
                                       .version = XF_BOARD_VERSION,
                                       .edition = board->edition,
                                       .services = config->services_count,
                                       .servers = config->servers_count,
                                       .workers = board->workers,
                                       .pairs = config->pairs_count};
    lay_out_control(&layout);
    if (xf_segment_create("crossfade-control", layout.bytes, &board->control_fd, err) != 0) {
        return -1;
    }
    board->control = xf_segment_map(board->control_fd, layout.bytes, err);
    if (board->control == NULL) {
        return -1;
    }
    board->control_bytes = layout.bytes;
    (void) madvise(board->control, layout.bytes, MADV_DONTFORK);
    *board->control = layout;
    fill_health(config, board);
    return 0;
}

/* Creates one segment with the stats layout; `worker` may be XF_STATS_RETIRED. */
static int create_stats(const struct xf_config *config, struct xf_board *board, uint32_t worker,
                        int *ret_fd, struct xf_stats_header **ret, struct xf_error *err)
{
    struct xf_stats_header layout = {.magic = XF_STATS_MAGIC,
                                     .version = XF_BOARD_VERSION,
                                     .edition = board->edition,
                                     .worker = worker,
                                     .services = config->services_count,
                                     .clusters = config->clusters_count,
                                     .servers = config->servers_count,
                                     .pairs = config->pairs_count};
    lay_out_stats(&layout);
    if (xf_segment_create("crossfade-stats", layout.bytes, ret_fd, err) != 0) {
        return -1;
    }
    struct xf_stats_header *stats = xf_segment_map(*ret_fd, layout.bytes, err);
    if (stats == NULL) {
        return -1;
    }
    (void) madvise(stats, layout.bytes, MADV_DONTFORK);
    memcpy(stats, &layout, offsetof(struct xf_stats_header, cycle));
    board->stats_bytes = layout.bytes;
    *ret = stats;
    return 0;
}

static int create_segments(const struct xf_config *config, struct xf_board *board,
                           struct xf_error *err)
{
    if (create_control(config, board, err) != 0 ||
        create_stats(config, board, XF_STATS_RETIRED, &board->retired_fd, &board->retired, err) !=
            0) {
        return -1;
    }
    for (unsigned i = 0; i < board->workers; i++) {
        if (create_stats(config, board, i, &board->stats_fd[i], &board->stats[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

int xf_board_create(const struct xf_config *config, uint64_t edition, unsigned workers,
                    struct xf_board **ret, struct xf_error *err)
{
    XF_ASSERT(workers > 0);
    XF_ASSERT(workers <= XF_WORKERS_MAX);

    struct xf_board *board = allocate_board(workers);
    if (board == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for a board");
    }
    board->edition = edition;
    if (create_segments(config, board, err) != 0) {
        xf_board_destroy(board);
        return -1;
    }
    *ret = board;
    return 0;
}

/* ---- attaching ---- */

static int check_counts(uint32_t services, uint32_t servers, uint32_t pairs, struct xf_error *err)
{
    if (pairs > XF_SERVICES_MAX * XF_SERVICE_CLUSTERS_MAX) {
        return XF_FAIL(err, XF_E_FAILED, "a segment names %u pairs", pairs);
    }
    if (services > XF_SERVICES_MAX || servers > XF_SERVERS_MAX) {
        return XF_FAIL(err, XF_E_FAILED, "a segment names %u services and %u servers", services,
                       servers);
    }
    return 0;
}

/* The layout follows from the counts, so a header is right exactly when laying it out again from
 * its counts yields the same header. */
static int check_control(const struct xf_control_header *header, uint64_t bytes, unsigned workers,
                         struct xf_error *err)
{
    if (header->magic != XF_CONTROL_MAGIC || header->version != XF_BOARD_VERSION) {
        return XF_FAIL(err, XF_E_FAILED, "a control segment has a foreign magic or version");
    }
    if (check_counts(header->services, header->servers, header->pairs, err) != 0) {
        return -1;
    }
    struct xf_control_header expected = {
        .services = header->services, .servers = header->servers, .pairs = header->pairs};
    lay_out_control(&expected);
    if (header->workers != workers || header->bytes != bytes || expected.bytes != bytes ||
        header->routes_at != expected.routes_at || header->records_at != expected.records_at ||
        header->health_at != expected.health_at || header->tickets_at != expected.tickets_at ||
        header->drains_at != expected.drains_at) {
        return XF_FAIL(err, XF_E_FAILED, "a control segment's layout does not fit its size");
    }
    return 0;
}

static int check_stats(const struct xf_stats_header *header, uint64_t bytes, uint32_t worker,
                       const struct xf_control_header *control, struct xf_error *err)
{
    if (header->magic != XF_STATS_MAGIC || header->version != XF_BOARD_VERSION ||
        header->worker != worker || header->edition != control->edition) {
        return XF_FAIL(err, XF_E_FAILED, "a stats segment has a foreign magic, version or place");
    }
    if (check_counts(header->services, header->servers, header->pairs, err) != 0 ||
        header->clusters > XF_CLUSTERS_MAX) {
        return XF_FAIL(err, XF_E_FAILED, "a stats segment has impossible counts");
    }
    struct xf_stats_header expected = {.services = header->services,
                                       .clusters = header->clusters,
                                       .servers = header->servers,
                                       .pairs = header->pairs};
    lay_out_stats(&expected);
    if (header->services != control->services || header->servers != control->servers ||
        header->pairs != control->pairs || header->bytes != bytes || expected.bytes != bytes ||
        header->services_at != expected.services_at || header->pairs_at != expected.pairs_at ||
        header->clusters_at != expected.clusters_at || header->servers_at != expected.servers_at ||
        header->cells_at != expected.cells_at || header->blames_at != expected.blames_at) {
        return XF_FAIL(err, XF_E_FAILED, "a stats segment's layout does not fit its size");
    }
    return 0;
}

static int attach_control(struct xf_board *board, struct xf_error *err)
{
    uint64_t bytes;
    if (xf_segment_size(board->control_fd, &bytes, err) != 0) {
        return -1;
    }
    if (bytes < sizeof(struct xf_control_header) || bytes > SEGMENT_BYTES_MAX) {
        return XF_FAIL(err, XF_E_FAILED, "a control segment has an impossible size");
    }
    board->control = xf_segment_map(board->control_fd, bytes, err);
    if (board->control == NULL) {
        return -1;
    }
    board->control_bytes = bytes;
    board->edition = board->control->edition;
    return check_control(board->control, bytes, board->workers, err);
}

static int attach_stats(struct xf_board *board, int fd, uint32_t worker, bool writable,
                        struct xf_stats_header **ret, struct xf_error *err)
{
    uint64_t bytes;
    if (xf_segment_size(fd, &bytes, err) != 0) {
        return -1;
    }
    if (bytes < sizeof(struct xf_stats_header) || bytes > SEGMENT_BYTES_MAX ||
        (board->stats_bytes != 0 && board->stats_bytes != bytes)) {
        return XF_FAIL(err, XF_E_FAILED, "a stats segment has an impossible size");
    }
    board->stats_bytes = bytes;
    *ret =
        writable ? xf_segment_map(fd, bytes, err) : xf_segment_map_guarded(fd, bytes, bytes, err);
    if (*ret == NULL) {
        return -1;
    }
    if (writable) {
        (void) madvise(*ret, bytes, MADV_DONTFORK);
    }
    return check_stats(*ret, bytes, worker, board->control, err);
}

static int attach_segments(struct xf_board *board, bool writable, struct xf_error *err)
{
    if (attach_control(board, err) != 0 || attach_stats(board, board->retired_fd, XF_STATS_RETIRED,
                                                        writable, &board->retired, err) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < board->workers; i++) {
        if (attach_stats(board, board->stats_fd[i], i, writable, &board->stats[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int attach(int control_fd, int retired_fd, const int *stats_fd, unsigned workers,
                  bool writable, struct xf_board **ret, struct xf_error *err)
{
    struct xf_board *board = NULL;
    if (workers > 0 && workers <= XF_WORKERS_MAX) {
        board = allocate_board(workers);
    }
    if (board == NULL) {
        close(control_fd);
        close(retired_fd);
        for (unsigned i = 0; i < workers; i++) {
            close(stats_fd[i]);
        }
        return XF_FAIL(err, XF_E_FAILED, "cannot attach a board of %u workers", workers);
    }
    board->control_fd = control_fd;
    board->retired_fd = retired_fd;
    memcpy(board->stats_fd, stats_fd, workers * sizeof(stats_fd[0]));
    if (attach_segments(board, writable, err) != 0) {
        xf_board_destroy(board);
        return -1;
    }
    *ret = board;
    return 0;
}

int xf_board_attach(int control_fd, int retired_fd, const int *stats_fd, unsigned workers,
                    struct xf_board **ret, struct xf_error *err)
{
    return attach(control_fd, retired_fd, stats_fd, workers, false, ret, err);
}

int xf_board_adopt(int control_fd, int retired_fd, const int *stats_fd, unsigned workers,
                   struct xf_board **ret, struct xf_error *err)
{
    if (attach(control_fd, retired_fd, stats_fd, workers, true, ret, err) != 0) {
        return -1;
    }
    (void) madvise((*ret)->control, (*ret)->control_bytes, MADV_DONTFORK);
    return 0;
}

int xf_board_enter_worker(struct xf_board *board, unsigned worker, struct xf_error *err)
{
    XF_ASSERT(worker < board->workers);

    /* The supervisor's maps did not come through the fork: these pointers lead nowhere. */
    board->control = NULL;
    board->retired = NULL;
    memset(board->stats, 0, board->workers * sizeof(board->stats[0]));

    board->control =
        xf_segment_map_guarded(board->control_fd, board->control_bytes, board->control_bytes, err);
    if (board->control == NULL) {
        return -1;
    }
    board->stats[worker] = xf_segment_map_guarded(board->stats_fd[worker], board->stats_bytes,
                                                  XF_SEGMENT_PAGE_BYTES, err);
    if (board->stats[worker] == NULL) {
        return -1;
    }
    close_all(board);
    return 0;
}

/* ---- places ---- */

struct xf_route *xf_board_route(const struct xf_board *board, unsigned service)
{
    XF_ASSERT(service < board->control->services);
    return (struct xf_route *) (void *) ((char *) board->control + board->control->routes_at) +
           service;
}

struct xf_route_record *xf_board_record(const struct xf_board *board, unsigned service,
                                        unsigned record)
{
    XF_ASSERT(service < board->control->services);
    XF_ASSERT(record < XF_ROUTE_RECORDS);
    char *records = (char *) board->control + board->control->records_at;
    return (struct xf_route_record *) (void *) records + service * XF_ROUTE_RECORDS + record;
}

struct xf_server_health *xf_board_health(const struct xf_board *board, unsigned server)
{
    XF_ASSERT(server < board->control->servers);
    char *health = (char *) board->control + board->control->health_at;
    return (struct xf_server_health *) (void *) health + server;
}

struct xf_ticket_keys *xf_board_tickets(const struct xf_board *board)
{
    return (struct xf_ticket_keys *) (void *) ((char *) board->control +
                                               board->control->tickets_at);
}

struct xf_drain *xf_board_drain(const struct xf_board *board, unsigned pair)
{
    XF_ASSERT(pair < board->control->pairs);
    char *drains = (char *) board->control + board->control->drains_at;
    return (struct xf_drain *) (void *) drains + pair;
}

struct xf_stats_service *xf_stats_service(struct xf_stats_header *stats, unsigned service)
{
    XF_ASSERT(service < stats->services);
    return (struct xf_stats_service *) (void *) ((char *) stats + stats->services_at) + service;
}

struct xf_stats_pair *xf_stats_pair(struct xf_stats_header *stats, unsigned pair)
{
    XF_ASSERT(pair < stats->pairs);
    return (struct xf_stats_pair *) (void *) ((char *) stats + stats->pairs_at) + pair;
}

struct xf_stats_cluster *xf_stats_cluster(struct xf_stats_header *stats, unsigned cluster)
{
    XF_ASSERT(cluster < stats->clusters);
    return (struct xf_stats_cluster *) (void *) ((char *) stats + stats->clusters_at) + cluster;
}

struct xf_stats_server *xf_stats_server(struct xf_stats_header *stats, unsigned server)
{
    XF_ASSERT(server < stats->servers);
    return (struct xf_stats_server *) (void *) ((char *) stats + stats->servers_at) + server;
}

struct xf_cell *xf_stats_cells(struct xf_stats_header *stats, unsigned service)
{
    XF_ASSERT(service < stats->services);
    return (struct xf_cell *) (void *) ((char *) stats + stats->cells_at) +
           (size_t) service * XF_CELLS;
}

struct xf_blame_ring *xf_stats_blame(struct xf_stats_header *stats, unsigned service)
{
    XF_ASSERT(service < stats->services);
    return (struct xf_blame_ring *) (void *) ((char *) stats + stats->blames_at) + service;
}
