/*
 * roster_traffic.c -- rates and latencies from the differences between heartbeats.
 */
#include "shifter/control/roster_traffic.h"

#include <stdlib.h>
#include <string.h>

#define TURN_MS    30000 /* a half of the latency window lasts at least this ... */
#define TURN_COUNT 1000u /* ... and holds at least so many responses: tau needs them */

bool xf_roster_traffic_init(struct xf_roster_traffic *traffic, const struct xf_config *config)
{
    traffic->config = config;
    traffic->pairs = calloc(config->pairs_count + 1, sizeof(*traffic->pairs));
    return traffic->pairs != NULL;
}

void xf_roster_traffic_release(struct xf_roster_traffic *traffic)
{
    free(traffic->pairs);
    traffic->pairs = NULL;
}

static struct xf_traffic_pair *pair_of(const struct xf_roster_traffic *traffic, const char *service,
                                       const char *cluster)
{
    int service_index = xf_config_find_service(traffic->config, service);
    int cluster_index = xf_config_find_cluster(traffic->config, cluster);
    if (service_index < 0 || cluster_index < 0) {
        return NULL;
    }
    int pair = xf_config_pair(traffic->config, (unsigned) service_index, (unsigned) cluster_index);
    return pair >= 0 ? &traffic->pairs[pair] : NULL;
}

static const struct xf_message_pair *find_pair(const struct xf_message_heartbeat *heartbeat,
                                               const char *service, const char *cluster)
{
    for (size_t i = 0; heartbeat != NULL && i < heartbeat->services_count; i++) {
        const struct xf_message_service *candidate = &heartbeat->services[i];
        for (size_t j = 0; strcmp(candidate->name, service) == 0 && j < candidate->pairs_count;
             j++) {
            if (strcmp(candidate->pairs[j].cluster, cluster) == 0) {
                return &candidate->pairs[j];
            }
        }
    }
    return NULL;
}

/* A count that fell came from a proxy that counts anew: nothing is known then. */
static uint64_t difference(uint64_t before, uint64_t now)
{
    return now >= before ? now - before : 0;
}

static void add_pair(struct xf_traffic_pair *pair, const struct xf_message_pair *before,
                     const struct xf_message_pair *now, int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    unsigned slot = (unsigned) (second % XF_TRAFFIC_SECONDS);
    if (pair->seconds[slot].second != second) {
        pair->seconds[slot].second = second;
        pair->seconds[slot].requests = 0;
        pair->seconds[slot].errors = 0;
    }
    pair->seconds[slot].requests += difference(before->requests, now->requests);
    pair->seconds[slot].errors += difference(before->errors, now->errors);
    if (now_ms - pair->turned_ms >= TURN_MS && pair->count >= TURN_COUNT) {
        memcpy(pair->before, pair->now, sizeof(pair->now));
        memset(pair->now, 0, sizeof(pair->now));
        pair->turned_ms = now_ms;
        pair->count = 0;
    }
    for (unsigned i = 0; now->latency != NULL && i < XF_HISTOGRAM_BUCKETS; i++) {
        uint64_t was = before->latency != NULL ? before->latency[i] : 0;
        uint64_t more = difference(was, now->latency[i]);
        pair->now[i] += more;
        pair->count += more;
    }
}

void xf_roster_traffic_add(struct xf_roster_traffic *traffic,
                           const struct xf_message_heartbeat *before,
                           const struct xf_message_heartbeat *now, int64_t now_ms)
{
    for (size_t i = 0; i < now->services_count; i++) {
        const struct xf_message_service *service = &now->services[i];
        for (size_t j = 0; j < service->pairs_count; j++) {
            const char *cluster = service->pairs[j].cluster;
            const struct xf_message_pair *old = find_pair(before, service->name, cluster);
            struct xf_traffic_pair *pair = pair_of(traffic, service->name, cluster);
            if (old != NULL && pair != NULL) {
                add_pair(pair, old, &service->pairs[j], now_ms);
            }
        }
    }
}

void xf_roster_traffic_rates(const struct xf_roster_traffic *traffic, const char *service,
                             const char *cluster, int64_t now_ms, struct xf_traffic *ret)
{
    const struct xf_traffic_pair *pair = pair_of(traffic, service, cluster);
    if (pair == NULL) {
        return;
    }
    int64_t now = now_ms / 1000;
    uint64_t requests = 0;
    uint64_t errors = 0;
    for (unsigned i = 0; i < XF_TRAFFIC_SECONDS; i++) {
        int64_t age = now - pair->seconds[i].second;
        if (age >= 1 && age < (int64_t) XF_TRAFFIC_SECONDS && pair->seconds[i].second > 0) {
            requests += pair->seconds[i].requests;
            errors += pair->seconds[i].errors;
        }
    }
    ret->rps = (double) requests / (double) (XF_TRAFFIC_SECONDS - 1);
    uint64_t bad = errors < requests ? errors : requests; /* of requests a second or more before */
    ret->error_ratio = requests > 0 ? (double) bad / (double) requests : -1;
    for (unsigned i = 0; i < XF_HISTOGRAM_BUCKETS; i++) {
        ret->latency[i] = pair->now[i] + pair->before[i];
    }
}
