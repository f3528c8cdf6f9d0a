/*
 * agent_heartbeat.c -- what this proxy confirms and counts, for the leader.
 *
 * Order matters: whether a version is in force is asked first, gauges are read after that, so a
 * heartbeat that confirms a version never carries gauges from before it.
 */
#include "shifter/agent/agent_state.h"

#include "shifter/agent/agent_checks.h"
#include "shifter/agent/agent_drain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bounded(uint64_t value) /* JSON's integers are signed */
{
    return value < (uint64_t) INT64_MAX ? value : (uint64_t) INT64_MAX;
}

static bool fill_latency(struct xf_message_pair *pair, const struct xf_totals_pair *totals)
{
    pair->latency = calloc(XF_HISTOGRAM_BUCKETS, sizeof(pair->latency[0]));
    for (unsigned i = 0; pair->latency != NULL && i < XF_HISTOGRAM_BUCKETS; i++) {
        pair->latency[i] = bounded(totals->latency[i]);
    }
    return pair->latency != NULL;
}

static bool fill_pairs(const struct xf_agent *agent, unsigned place, struct xf_message_service *ret)
{
    const struct xf_config_service *service = &agent->config->services[place];
    ret->pairs = calloc(service->clusters_count + 1, sizeof(ret->pairs[0]));
    if (ret->pairs == NULL) {
        return false;
    }
    ret->pairs_count = service->clusters_count;
    for (unsigned i = 0; i < service->clusters_count; i++) {
        const struct xf_totals_pair *totals = &agent->totals.pairs[service->first_pair + i];
        struct xf_message_pair *pair = &ret->pairs[i];
        xf_agent_copy(pair->cluster, sizeof(pair->cluster),
                      agent->config->clusters[service->clusters[i]].name);
        pair->requests = bounded(totals->requests);
        pair->errors = bounded(xf_totals_errors(totals));
        pair->rescued = bounded(totals->rescued);
        pair->client_aborts = bounded(totals->client_aborts);
        pair->no_route = bounded(totals->no_route);
        if (!fill_latency(pair, totals)) {
            return false;
        }
    }
    return true;
}

static void fill_override(const struct xf_local_override *override, struct xf_message_service *ret)
{
    ret->override_on = override->on;
    if (override->on) {
        memcpy(ret->override.id, override->id, sizeof(ret->override.id));
        memcpy(ret->override.actor, override->actor, sizeof(ret->override.actor));
        memcpy(ret->override.reason, override->reason, sizeof(ret->override.reason));
        ret->override.weight = override->weight;
        ret->override.base = override->base;
    }
}

static uint64_t fenced_of(const struct xf_agent *agent, unsigned place)
{
    uint64_t fenced = 0;
    for (unsigned i = 0; i < agent->config->services_count; i++) {
        bool ours = i == place || agent->config->services[i].follows == (int) place;
        fenced += ours ? agent->totals.services[i].fenced : 0;
    }
    return fenced;
}

static bool fill_service(const struct xf_agent *agent, unsigned place,
                         struct xf_message_service *ret)
{
    const struct xf_agent_service *service = &agent->services[place];
    memcpy(ret->name, service->name, sizeof(ret->name));
    ret->version = service->version;
    memcpy(ret->write_id, service->write_id, sizeof(ret->write_id));
    ret->in_force = xf_agent_routes_in_force(agent, service);
    ret->weight = service->weight;
    memcpy(ret->digest, agent->config->services[place].digest, sizeof(ret->digest));
    ret->fenced = bounded(fenced_of(agent, place));
    ret->learnt = xf_agent_samples_learnt(agent, service->name);
    fill_override(&service->override, ret);
    return fill_pairs(agent, place, ret);
}

static bool fill_services(const struct xf_agent *agent, struct xf_message_heartbeat *ret)
{
    ret->services = calloc(agent->services_count + 1, sizeof(ret->services[0]));
    bool ok = ret->services != NULL;
    for (unsigned i = 0; ok && i < agent->services_count; i++) {
        if (agent->config->services[i].follows < 0) {
            ok = fill_service(agent, i, &ret->services[ret->services_count++]);
        }
    }
    return ok;
}

static bool fill_servers(const struct xf_agent *agent, const struct xf_config_cluster *cluster,
                         struct xf_message_cluster *ret)
{
    ret->servers = calloc(cluster->servers_count + 1, sizeof(ret->servers[0]));
    if (ret->servers == NULL) {
        return false;
    }
    ret->servers_count = cluster->servers_count;
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        struct xf_message_server *server = &ret->servers[i];
        unsigned number = cluster->first_server + i;
        xf_agent_copy(server->address, sizeof(server->address), cluster->servers[i].endpoint.text);
        server->up = xf_agent_checks_up(agent, number, server->reason, sizeof(server->reason));
        xf_agent_checks_source(agent, number, server->from);
        server->in_flight = bounded(agent->totals.servers[number].in_flight);
    }
    return true;
}

static bool fill_clusters(const struct xf_agent *agent, struct xf_message_heartbeat *ret)
{
    ret->clusters = calloc(agent->config->clusters_count + 1, sizeof(ret->clusters[0]));
    if (ret->clusters == NULL) {
        return false;
    }
    for (unsigned i = 0; i < agent->config->clusters_count; i++) {
        const struct xf_totals_cluster *totals = &agent->totals.clusters[i];
        struct xf_message_cluster *cluster = &ret->clusters[ret->clusters_count++];
        xf_agent_copy(cluster->name, sizeof(cluster->name), agent->config->clusters[i].name);
        cluster->in_flight = bounded(totals->in_flight);
        cluster->tunnels = bounded(totals->tunnels);
        cluster->pooled = bounded(totals->pooled);
        cluster->quiet_ms = xf_agent_quiet_ms(agent, i);
        if (!fill_servers(agent, &agent->config->clusters[i], cluster)) {
            return false;
        }
    }
    return true;
}

void xf_agent_heartbeat_send(struct xf_agent *agent, bool left)
{
    if (agent->bus == NULL || agent->left || xf_agent_now_ms(agent) < agent->muted_until_ms) {
        return;
    }
    struct xf_message_heartbeat heartbeat = {
        .proxy = agent->self, .reload_ok = agent->reload_ok, .left = left};
    memcpy(heartbeat.config_digest, agent->config->digest, sizeof(heartbeat.config_digest));
    xf_agent_copy(heartbeat.reload_error, sizeof(heartbeat.reload_error), agent->reload_error);
    bool made = fill_services(agent, &heartbeat); /* in_force is asked before gauges are read */
    xf_agent_quiet_tick(agent);
    made = made && fill_clusters(agent, &heartbeat);
    json_t *message = made ? xf_message_heartbeat_make(&heartbeat) : NULL;
    if (message != NULL) {
        if (xf_bus_send(agent->bus, message)) { /* lost: the next one says the same */
            agent->beat_sent_ms = xf_agent_now_ms(agent);
        }
        xf_agent_drain_note(agent);
    }
    json_decref(message);
    xf_message_heartbeat_release(&heartbeat);
}
