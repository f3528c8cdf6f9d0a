/*
 * agent_stats.c -- sums over editions, workers and the retired segments.
 *
 * A sum is made in spare arrays and put in place only when no fold happened meanwhile, so that a
 * total is never seen to fall and a count never twice.
 */
#include "shifter/agent/agent_stats.h"

#include <stdlib.h>
#include <string.h>

#define READ_TRIES 16

static void add(uint64_t *total, const _Atomic uint64_t *counter)
{
    uint64_t value = xf_read(counter);
    if (__builtin_add_overflow(*total, value, total)) {
        *total = UINT64_MAX;
    }
}

static void add_all(uint64_t *totals, const _Atomic uint64_t *counters, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        add(&totals[i], &counters[i]);
    }
}

static void add_pair(struct xf_totals_pair *total, const struct xf_stats_pair *pair)
{
    add(&total->requests, &pair->requests);
    add_all(total->class, pair->class, XF_COUNT(total->class));
    add_all(total->errors, pair->errors, XF_ERROR_KINDS);
    add_all(total->why, pair->why, XF_WHYS);
    add(&total->rescued, &pair->rescued);
    add(&total->retried, &pair->retried);
    add(&total->client_aborts, &pair->client_aborts);
    add(&total->no_route, &pair->no_route);
    add(&total->bytes_in, &pair->bytes_in);
    add(&total->bytes_out, &pair->bytes_out);
    add_all(total->latency, pair->latency.count, XF_HISTOGRAM_BUCKETS);
    add(&total->latency_sum_us, &pair->latency.sum_us);
}

static void add_service(struct xf_totals_service *total, const struct xf_stats_service *service)
{
    add_all(total->refused, service->refused, XF_COUNT(total->refused));
    add(&total->fenced, &service->fenced);
    add(&total->no_server, &service->no_server);
}

static void add_cluster(struct xf_totals_cluster *total, const struct xf_stats_cluster *cluster)
{
    add(&total->in_flight, &cluster->in_flight);
    add(&total->tunnels, &cluster->tunnels);
    add(&total->pooled, &cluster->pooled);
    add(&total->queued, &cluster->queued);
    add_all(total->drained, cluster->drained, XF_DRAINED_KINDS);
}

static void add_server(struct xf_totals_server *total, const struct xf_stats_server *server,
                       int64_t boottime_ms)
{
    add(&total->in_flight, &server->in_flight);
    add(&total->requests, &server->requests);
    add(&total->failures, &server->failures);
    add(&total->ejections, &server->ejections);
    total->ejected += xf_read(&server->ejected_until_ms) > (uint64_t) boottime_ms;
}

static void add_segment(struct xf_totals *totals, const struct xf_agent_edition *edition,
                        struct xf_stats_header *stats, int64_t boottime_ms)
{
    const struct xf_config *config = edition->config;
    add(&totals->clients, &stats->clients);
    add(&totals->accepted, &stats->accepted);
    add(&totals->tls_handshakes, &stats->tls_handshakes);
    add(&totals->tls_resumed, &stats->tls_resumed);
    add(&totals->log_dropped, &stats->log_dropped);
    add(&totals->accepting, &stats->accepting);
    add(&totals->buffers, &stats->buffers);
    for (unsigned i = 0; i < config->services_count; i++) {
        if (edition->services[i] >= 0) {
            add_service(&totals->services[edition->services[i]], xf_stats_service(stats, i));
        }
    }
    for (unsigned i = 0; i < config->pairs_count; i++) {
        if (edition->pairs[i] >= 0) {
            add_pair(&totals->pairs[edition->pairs[i]], xf_stats_pair(stats, i));
        }
    }
    for (unsigned i = 0; i < config->clusters_count; i++) {
        if (edition->clusters[i] >= 0) {
            add_cluster(&totals->clusters[edition->clusters[i]], xf_stats_cluster(stats, i));
        }
    }
    for (unsigned i = 0; i < config->servers_count; i++) {
        if (edition->servers[i] >= 0) {
            add_server(&totals->servers[edition->servers[i]], xf_stats_server(stats, i),
                       boottime_ms);
        }
    }
}

/* ---- editions ---- */

/* When the certificates of the listeners end; NULL without memory. */
static int64_t *read_expiry(const struct xf_config *config)
{
    size_t count = 0;
    for (unsigned i = 0; i < config->listeners_count; i++) {
        count += 1 + config->listeners[i].tls_more_count;
    }
    int64_t *expiry = calloc(count + 1, sizeof(expiry[0]));
    size_t at = 0;
    for (unsigned i = 0; i < config->listeners_count && expiry != NULL; i++) {
        const struct xf_config_tls *tls;
        for (unsigned k = 0; (tls = xf_config_certificate(&config->listeners[i], k)) != NULL; k++) {
            expiry[at++] = xf_tls_expiry(tls->certificate);
        }
    }
    return expiry;
}

struct xf_agent_edition *xf_agent_edition_create(uint64_t number, struct xf_config *config,
                                                 struct xf_board *board)
{
    struct xf_agent_edition *edition = calloc(1, sizeof(*edition));
    if (edition == NULL) {
        xf_board_destroy(board);
        xf_config_destroy(config);
        return NULL;
    }
    edition->number = number;
    edition->config = config;
    edition->board = board;
    edition->services = calloc(config->services_count + 1, sizeof(int));
    edition->pairs = calloc(config->pairs_count + 1, sizeof(int));
    edition->clusters = calloc(config->clusters_count + 1, sizeof(int));
    edition->servers = calloc(config->servers_count + 1, sizeof(int));
    edition->expiry = read_expiry(config);
    if (edition->expiry == NULL || edition->services == NULL || edition->pairs == NULL ||
        edition->clusters == NULL || edition->servers == NULL) {
        xf_agent_edition_destroy(edition);
        return NULL;
    }
    return edition;
}

void xf_agent_edition_destroy(struct xf_agent_edition *edition)
{
    if (edition == NULL) {
        return;
    }
    xf_board_destroy(edition->board);
    xf_config_destroy(edition->config);
    free(edition->services);
    free(edition->pairs);
    free(edition->clusters);
    free(edition->servers);
    free(edition->expiry);
    free(edition);
}

static void map_servers(struct xf_agent_edition *edition, const struct xf_config_cluster *cluster,
                        const struct xf_config_cluster *heir)
{
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        int place = -1;
        for (unsigned k = 0; heir != NULL && k < heir->servers_count && place < 0; k++) {
            if (strcmp(cluster->servers[i].endpoint.text, heir->servers[k].endpoint.text) == 0) {
                place = (int) (heir->first_server + k);
            }
        }
        edition->servers[cluster->first_server + i] = place;
    }
}

void xf_agent_edition_map(struct xf_agent_edition *edition, const struct xf_config *target)
{
    const struct xf_config *config = edition->config;
    for (unsigned i = 0; i < config->clusters_count; i++) {
        const struct xf_config_cluster *cluster = &config->clusters[i];
        int place = xf_config_find_cluster(target, cluster->name);
        edition->clusters[i] = place;
        map_servers(edition, cluster, place >= 0 ? &target->clusters[place] : NULL);
    }
    for (unsigned i = 0; i < config->services_count; i++) {
        const struct xf_config_service *service = &config->services[i];
        int place = xf_config_find_service(target, service->name);
        edition->services[i] = place;
        for (unsigned k = 0; k < service->clusters_count; k++) {
            int cluster = edition->clusters[service->clusters[k]];
            edition->pairs[service->first_pair + k] =
                place >= 0 && cluster >= 0
                    ? xf_config_pair(target, (unsigned) place, (unsigned) cluster)
                    : -1;
        }
    }
}

bool xf_agent_edition_fits(const struct xf_agent_edition *edition)
{
    const struct xf_config *config = edition->config;
    const struct xf_board *board = edition->board;
    if (board->control->services != config->services_count ||
        board->control->servers != config->servers_count ||
        board->retired->pairs != config->pairs_count ||
        board->retired->clusters != config->clusters_count) {
        return false;
    }
    for (unsigned w = 0; w < board->workers; w++) {
        const struct xf_stats_header *stats = board->stats[w];
        if (stats->services != config->services_count || stats->pairs != config->pairs_count ||
            stats->clusters != config->clusters_count || stats->servers != config->servers_count) {
            return false;
        }
    }
    return board->retired->services == config->services_count &&
           board->retired->servers == config->servers_count;
}

/* ---- totals ---- */

bool xf_totals_init(struct xf_totals *totals, const struct xf_config *config)
{
    memset(totals, 0, sizeof(*totals));
    totals->pairs = calloc(config->pairs_count + 1, sizeof(totals->pairs[0]));
    totals->services = calloc(config->services_count + 1, sizeof(totals->services[0]));
    totals->clusters = calloc(config->clusters_count + 1, sizeof(totals->clusters[0]));
    totals->servers = calloc(config->servers_count + 1, sizeof(totals->servers[0]));
    totals->pairs_count = config->pairs_count;
    totals->services_count = config->services_count;
    totals->clusters_count = config->clusters_count;
    totals->servers_count = config->servers_count;
    if (totals->pairs == NULL || totals->services == NULL || totals->clusters == NULL ||
        totals->servers == NULL) {
        xf_totals_release(totals);
        return false;
    }
    return true;
}

void xf_totals_release(struct xf_totals *totals)
{
    free(totals->pairs);
    free(totals->services);
    free(totals->clusters);
    free(totals->servers);
    memset(totals, 0, sizeof(*totals));
}

/* An empty sum with the same places. */
static bool init_like(struct xf_totals *totals, const struct xf_totals *model)
{
    struct xf_config places = {.pairs_count = model->pairs_count,
                               .services_count = model->services_count,
                               .clusters_count = model->clusters_count,
                               .servers_count = model->servers_count};
    return xf_totals_init(totals, &places);
}

static void sum_editions(struct xf_totals *totals, struct xf_agent_edition *const *editions,
                         unsigned count, int64_t boottime_ms)
{
    for (unsigned i = 0; i < count; i++) {
        const struct xf_board *board = editions[i]->board;
        if (editions[i]->refused) {
            continue;
        }
        add_segment(totals, editions[i], board->retired, boottime_ms);
        for (unsigned w = 0; w < board->workers; w++) {
            add_segment(totals, editions[i], board->stats[w], boottime_ms);
        }
        totals->workers += board->workers;
    }
}

/* ---- gauges alone ---- */

struct gauges {
    struct xf_totals_cluster *clusters;
    uint64_t *requests; /* [pairs] */
};

static void add_gauges(const struct gauges *gauges, const struct xf_agent_edition *edition,
                       struct xf_stats_header *stats)
{
    for (unsigned i = 0; i < edition->config->clusters_count; i++) {
        if (edition->clusters[i] >= 0) {
            add_cluster(&gauges->clusters[edition->clusters[i]], xf_stats_cluster(stats, i));
        }
    }
    for (unsigned i = 0; i < edition->config->pairs_count; i++) {
        if (edition->pairs[i] >= 0) {
            add(&gauges->requests[edition->pairs[i]], &xf_stats_pair(stats, i)->requests);
        }
    }
}

static bool sum_gauges(const struct gauges *gauges, struct xf_agent_edition *const *editions,
                       unsigned count)
{
    struct xf_board *boards[XF_INFORCE_EDITIONS_MAX] = {NULL};
    uint64_t mark;
    XF_ASSERT(count <= XF_INFORCE_EDITIONS_MAX);
    for (unsigned i = 0; i < count; i++) {
        boards[i] = editions[i]->board;
    }
    if (!xf_boards_read_begin(boards, count, &mark)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (editions[i]->refused) {
            continue;
        }
        add_gauges(gauges, editions[i], boards[i]->retired);
        for (unsigned w = 0; w < boards[i]->workers; w++) {
            add_gauges(gauges, editions[i], boards[i]->stats[w]);
        }
    }
    return xf_boards_read_end(boards, count, mark);
}

bool xf_totals_read_gauges(struct xf_totals *totals, struct xf_agent_edition *const *editions,
                           unsigned count)
{
    struct gauges gauges = {
        .clusters = calloc(totals->clusters_count + 1, sizeof(gauges.clusters[0])),
        .requests = calloc(totals->pairs_count + 1, sizeof(gauges.requests[0]))};
    bool read =
        gauges.clusters != NULL && gauges.requests != NULL && sum_gauges(&gauges, editions, count);
    for (unsigned i = 0; read && i < totals->clusters_count; i++) {
        totals->clusters[i] = gauges.clusters[i];
    }
    for (unsigned i = 0; read && i < totals->pairs_count; i++) {
        totals->pairs[i].requests = gauges.requests[i];
    }
    free(gauges.clusters);
    free(gauges.requests);
    return read;
}

/* ---- everything ---- */

bool xf_totals_read(struct xf_totals *totals, struct xf_agent_edition *const *editions,
                    unsigned count, int64_t boottime_ms)
{
    struct xf_board *boards[XF_INFORCE_EDITIONS_MAX];
    XF_ASSERT(count <= XF_INFORCE_EDITIONS_MAX);
    for (unsigned i = 0; i < count; i++) {
        boards[i] = editions[i]->board;
    }
    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        uint64_t mark;
        struct xf_totals fresh;
        if (!xf_boards_read_begin(boards, count, &mark)) {
            continue;
        }
        if (!init_like(&fresh, totals)) {
            return false;
        }
        sum_editions(&fresh, editions, count, boottime_ms);
        if (xf_boards_read_end(boards, count, mark)) {
            xf_totals_release(totals);
            *totals = fresh;
            return true;
        }
        xf_totals_release(&fresh);
    }
    return false;
}

uint64_t xf_totals_errors(const struct xf_totals_pair *pair)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < XF_ERROR_KINDS; i++) {
        if (__builtin_add_overflow(sum, pair->errors[i], &sum)) {
            return UINT64_MAX;
        }
    }
    return sum;
}
