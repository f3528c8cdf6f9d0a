/*
 * agent_quiet.c -- for how long a cluster has carried nothing through this proxy.
 *
 * In flight, tunnels and pooled connections, over all workers of all live editions, must all be 0
 * and no request may have been counted since the last look; one look that cannot be trusted ends
 * the quiet.  The time is this host's monotonic clock's, so no jump of the wall clock shortens it.
 */
#include "shifter/agent/agent_state.h"

#include <stdlib.h>
#include <string.h>

/* Requests of a cluster over all services that may choose it. */
static uint64_t cluster_requests(const struct xf_agent *agent, unsigned cluster)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < agent->config->services_count; i++) {
        int pair = xf_config_pair(agent->config, i, cluster);
        if (pair >= 0) {
            sum += agent->totals.pairs[pair].requests;
        }
    }
    return sum;
}

void xf_agent_quiet_tick(struct xf_agent *agent)
{
    bool read = xf_totals_read_gauges(&agent->totals, agent->editions, agent->editions_count);
    bool settled = agent->sequence_settled == agent->sequence;
    int64_t now_ms = xf_agent_now_ms(agent);
    for (unsigned i = 0; i < agent->config->clusters_count; i++) {
        const struct xf_totals_cluster *cluster = &agent->totals.clusters[i];
        struct xf_agent_quiet *quiet = &agent->quiet[i];
        uint64_t requests = cluster_requests(agent, i);
        bool empty = cluster->in_flight == 0 && cluster->tunnels == 0 && cluster->pooled == 0;
        if (!read || !settled || !empty || requests != quiet->requests) {
            quiet->since_ms = -1;
        } else if (quiet->since_ms < 0) {
            quiet->since_ms = now_ms;
        }
        quiet->requests = requests;
    }
}

void xf_agent_quiet_reset(struct xf_agent *agent)
{
    for (unsigned i = 0; i < agent->config->clusters_count; i++) {
        agent->quiet[i].since_ms = -1;
    }
}

int64_t xf_agent_quiet_ms(const struct xf_agent *agent, unsigned cluster)
{
    int64_t since_ms = agent->quiet[cluster].since_ms;
    return since_ms >= 0 ? xf_agent_now_ms(agent) - since_ms : -1;
}
