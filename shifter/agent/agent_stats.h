/*
 * agent_stats.h -- what all workers of all live editions have counted, as one sum.
 *
 * Stats segments are a stranger's input: indices come from our own configuration, never from the
 * segment, and sums saturate.  Editions may differ in their configuration, so each one's places
 * are mapped by name to those of the configuration that the sum is for.
 */
#ifndef XF_SHIFTER_AGENT_STATS_H
#define XF_SHIFTER_AGENT_STATS_H

#include "proxy/proxy.h"

/* One live edition as the agent holds it. */
struct xf_agent_edition {
    uint64_t number;
    struct xf_config *config; /* owned: its places are those of `board` */
    struct xf_board *board;   /* owned */
    bool routed;              /* every service has a route and the supervisor was told */
    bool refused;             /* the board does not fit the configuration: it gets no route */
    /* From places of this edition to places of the newest configuration; -1: not there. */
    int *services, *pairs, *clusters, *servers;
    int64_t *expiry; /* of the listeners' certificates in their order, as the workers read them */
};

/* Takes over both; NULL without memory (both are then destroyed). */
XF_NODISCARD struct xf_agent_edition *
xf_agent_edition_create(uint64_t number, struct xf_config *config, struct xf_board *board);
void xf_agent_edition_destroy(struct xf_agent_edition *edition); /* accepts NULL */
/* Maps its places to those of `target`. */
void xf_agent_edition_map(struct xf_agent_edition *edition, const struct xf_config *target);
/* Whether the board has exactly the places that the configuration names. */
bool xf_agent_edition_fits(const struct xf_agent_edition *edition);

struct xf_totals_pair {
    uint64_t requests, class[6], errors[XF_ERROR_KINDS], why[XF_WHYS];
    uint64_t rescued, retried, client_aborts, no_route, bytes_in, bytes_out;
    uint64_t latency[XF_HISTOGRAM_BUCKETS], latency_sum_us;
};
struct xf_totals_service {
    uint64_t refused[6], fenced, no_server;
};
struct xf_totals_cluster {
    uint64_t in_flight, tunnels, pooled, queued;
    uint64_t drained[XF_DRAINED_KINDS];
};
struct xf_totals_server {
    uint64_t in_flight, requests, failures, ejections;
    uint64_t ejected; /* workers that have it ejected now */
};
struct xf_totals {
    unsigned pairs_count, services_count, clusters_count, servers_count;
    struct xf_totals_pair *pairs;
    struct xf_totals_service *services;
    struct xf_totals_cluster *clusters;
    struct xf_totals_server *servers;
    uint64_t clients, accepted, tls_handshakes, tls_resumed, log_dropped, accepting, buffers;
    unsigned workers;
};

/* Zeroed, with the places of `config`; false without memory. */
XF_NODISCARD bool xf_totals_init(struct xf_totals *totals, const struct xf_config *config);
void xf_totals_release(struct xf_totals *totals);
/* Sums everything anew.  False: counters were being moved; *totals is as before. */
XF_NODISCARD bool xf_totals_read(struct xf_totals *totals, struct xf_agent_edition *const *editions,
                                 unsigned count, int64_t boottime_ms);

/* Only the clusters' gauges and the pairs' requests: cheap enough for twenty times a second. */
XF_NODISCARD bool xf_totals_read_gauges(struct xf_totals *totals,
                                        struct xf_agent_edition *const *editions, unsigned count);

uint64_t xf_totals_errors(const struct xf_totals_pair *pair);

#endif
