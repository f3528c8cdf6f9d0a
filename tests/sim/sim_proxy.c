/*
 * sim_proxy.c -- a proxy of the simulation: obeys versions, carries requests, tells what it has.
 */
#include "sim.h"

#include "config/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_proxy_begin(struct sim *sim, unsigned number)
{
    struct sim_proxy *proxy = &sim->proxies[number];
    xf_document_destroy(proxy->document);
    if (proxy->id[0] == '\0') {
        snprintf(proxy->id, sizeof(proxy->id), "00000000-0000-4000-8000-00000000000%u", number);
        snprintf(proxy->name, sizeof(proxy->name), "edge-%u", number);
        proxy->number = number;
    }
    snprintf(proxy->boot, sizeof(proxy->boot), "00000000-0000-4000-9000-%012llx",
             (unsigned long long) sim_draw(sim, 1ull << 40));
    proxy->alive = true;
    proxy->document = NULL;
    proxy->applied = (struct xf_version){0};
    proxy->write_id[0] = '\0';
    proxy->seq = 0;
    proxy->old_weight = 0;
    proxy->old_draining = false;
    proxy->quiet_since = -1;
    memset(proxy->flights, 0, sizeof(proxy->flights));
}

bool sim_proxy_in_force(const struct sim *sim, const struct sim_proxy *proxy)
{
    return proxy->document != NULL && sim->now >= proxy->in_force_at;
}

unsigned sim_proxy_busy(const struct sim *sim, const struct sim_proxy *proxy)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < SIM_FLIGHTS; i++) {
        busy += proxy->flights[i] > sim->now;
    }
    return busy;
}

static bool draining(const struct xf_document *document)
{
    return document->state >= XF_CUTOVER_DRAINING && document->state <= XF_CUTOVER_FINALIZED;
}

/* Whether a request of now may go to blue. */
static bool may_use_blue(const struct sim *sim, const struct sim_proxy *proxy)
{
    if (proxy->document == NULL) {
        return false;
    }
    bool now = !draining(proxy->document);
    return sim_proxy_in_force(sim, proxy) ? now : now || !proxy->old_draining;
}

void sim_proxy_receive(struct sim *sim, unsigned number, const struct xf_message_state *state)
{
    struct sim_proxy *proxy = &sim->proxies[number];
    struct xf_document *document = NULL;
    bool larger = xf_version_compare(&state->version, &proxy->applied) > 0;
    bool same = xf_version_compare(&state->version, &proxy->applied) == 0;
    if (same || (!larger && sim->options.mutant != SIM_SMALLER_APPLIED) ||
        xf_document_read(state->document, &document, NULL) != 0) {
        return;
    }
    if (xf_version_compare(&state->version, &proxy->largest) <= 0 && proxy->applied.epoch != 0) {
        sim_breach(sim, "I9: %s goes from generation %llu back to %llu", proxy->name,
                   (unsigned long long) proxy->applied.generation,
                   (unsigned long long) state->version.generation);
    }
    if (proxy->document != NULL) {
        proxy->old_weight = proxy->document->weight;
        proxy->old_draining = draining(proxy->document);
    } else {
        proxy->old_draining = draining(document);
    }
    xf_document_destroy(proxy->document);
    proxy->document = document;
    proxy->applied = state->version;
    if (xf_version_compare(&proxy->applied, &proxy->largest) > 0) {
        proxy->largest = proxy->applied;
    }
    memcpy(proxy->write_id, state->write_id, sizeof(proxy->write_id));
    proxy->in_force_at =
        sim->now + (int64_t) (sim_chance(sim, sim->options.mutant == SIM_IN_FORCE_LIE ? 700 : 20)
                                  ? sim_draw(sim, 4000)
                                  : sim_draw(sim, 15));
    proxy->quiet_since = -1;
    proxy->beat_at = sim->now;
}

static void carry(struct sim *sim, struct sim_proxy *proxy)
{
    if (may_use_blue(sim, proxy) && sim_chance(sim, 300)) {
        for (unsigned i = 0; i < SIM_FLIGHTS; i++) {
            if (proxy->flights[i] <= sim->now) {
                int64_t length = sim_chance(sim, 10) ? (int64_t) sim_draw(sim, 20000)
                                                     : (int64_t) sim_draw(sim, 400);
                proxy->flights[i] = sim->now + length;
                break;
            }
        }
    }
    bool settled = sim_proxy_in_force(sim, proxy) || sim->options.mutant == SIM_IN_FORCE_LIE;
    if (sim_proxy_busy(sim, proxy) > 0 || !settled) {
        proxy->quiet_since = -1;
    } else if (proxy->quiet_since < 0) {
        proxy->quiet_since = sim->now;
    }
}

struct beat {
    unsigned leader;
    struct xf_message_heartbeat heartbeat;
    struct xf_message_samples samples;
};

static void beat_arrives(struct sim *sim, void *argument)
{
    struct beat *beat = argument;
    struct sim_leader *leader = &sim->leaders[beat->leader];
    if (leader->alive) {
        int64_t boot_ms = leader->clock.boottime_ns(leader->clock.context) / 1000000;
        (void) xf_roster_heartbeat(leader->roster, &beat->heartbeat, boot_ms);
        xf_tenure_samples(leader->tenure, &beat->samples);
    }
    xf_message_heartbeat_release(&beat->heartbeat);
    xf_message_samples_release(&beat->samples);
    free(beat);
}

static void fill_cluster(const struct sim *sim, const struct sim_proxy *proxy, const char *name,
                         bool blue, struct xf_message_cluster *ret)
{
    unsigned busy = blue ? sim_proxy_busy(sim, proxy) : 0;
    *ret = (struct xf_message_cluster){.in_flight = busy, .quiet_ms = -1, .servers_count = 1};
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    ret->servers = calloc(1, sizeof(*ret->servers));
    ret->servers[0].up = true;
    snprintf(ret->servers[0].address, sizeof(ret->servers[0].address), "10.0.0.1:80");
    if (blue && proxy->quiet_since >= 0) {
        ret->quiet_ms = sim->now - proxy->quiet_since;
    }
    if (sim->options.mutant == SIM_QUIET_LIE) {
        ret->quiet_ms = 60000;
    }
}

/* How many of `count` fail, each with `both_fail` per mille: the same whoever asks. */
static uint64_t draw_failing(const struct sim *sim, const struct sim_proxy *proxy, uint64_t cell,
                             unsigned role, uint64_t count)
{
    double p = sim->options.both_fail / 1000.0;
    uint64_t bits = (sim->options.seed * 0x9e3779b97f4a7c15u) ^ (cell * 0xbf58476d1ce4e5b9u) ^
                    ((proxy->number * 2u + role + 1u) * 0x94d049bb133111ebu);
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    double u = (double) ((bits ^ (bits >> 31)) >> 11) / 9007199254740992.0;
    double term = 1;
    for (uint64_t i = 0; i < count; i++) {
        term *= 1 - p;
    }
    uint64_t failing = 0;
    for (; u > term && failing < count; failing++) {
        u -= term;
        term *= (double) (count - failing) / (double) (failing + 1) * p / (1 - p);
    }
    return failing;
}

/* Second by second: as many responses of green as its weight, none or half of them bad. */
static void fill_samples(const struct sim *sim, const struct sim_proxy *proxy,
                         struct xf_message_samples *ret)
{
    const struct xf_document *document = proxy->document;
    ret->attempt = document->attempts;
    ret->seq = proxy->seq;
    snprintf(ret->service, sizeof(ret->service), "web");
    ret->cells = calloc(10, sizeof(*ret->cells));
    ret->cells_count = 10;
    uint64_t first = (uint64_t) (sim->now + 1790000000000) / XF_CELL_MS - 12;
    for (unsigned i = 0; i < 10; i++) {
        struct xf_message_cell *cell = &ret->cells[i];
        cell->number = first + i;
        cell->entries_count = 1;
        cell->entries[0].weight = document->weight;
        struct xf_message_counts *counts = &cell->entries[0].counts;
        counts->done[1] = document->weight / 100;
        counts->done[0] = 100 - counts->done[1];
        memcpy(counts->sent, counts->done, sizeof(counts->sent));
        counts->bad[1] = sim->green_bad ? (counts->done[1] + 1) / 2 : 0;
        if (sim->options.both_fail > 0) {
            counts->bad[0] = draw_failing(sim, proxy, cell->number, 0, counts->done[0]);
            counts->bad[1] = draw_failing(sim, proxy, cell->number, 1, counts->done[1]);
        }
        counts->done[1] = counts->done[1] < counts->bad[1] ? counts->bad[1] : counts->done[1];
    }
}

static void tell(struct sim *sim, struct sim_proxy *proxy)
{
    proxy->seq++;
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        if (sim_faulty(sim) && sim_chance(sim, sim->options.message_loss)) {
            continue;
        }
        struct beat *beat = calloc(1, sizeof(*beat));
        struct xf_message_heartbeat *heartbeat = &beat->heartbeat;
        beat->leader = i;
        heartbeat->reload_ok = true;
        memcpy(heartbeat->proxy.id, proxy->id, sizeof(proxy->id));
        memcpy(heartbeat->proxy.boot, proxy->boot, sizeof(proxy->boot));
        memcpy(heartbeat->proxy.name, proxy->name, sizeof(proxy->name));
        beat->samples.proxy = heartbeat->proxy;
        heartbeat->services = calloc(1, sizeof(*heartbeat->services));
        heartbeat->services_count = 1;
        struct xf_message_service *service = heartbeat->services;
        snprintf(service->name, sizeof(service->name), "web");
        service->version = proxy->applied;
        memcpy(service->write_id, proxy->write_id, sizeof(service->write_id));
        service->in_force = sim_proxy_in_force(sim, proxy) ||
                            (sim->options.mutant == SIM_IN_FORCE_LIE && proxy->document != NULL);
        service->weight = proxy->document != NULL ? proxy->document->weight : 0;
        heartbeat->clusters = calloc(2, sizeof(*heartbeat->clusters));
        heartbeat->clusters_count = 2;
        bool v1_blue = proxy->document == NULL || strcmp(proxy->document->from, "v2") != 0;
        fill_cluster(sim, proxy, "v1", v1_blue, &heartbeat->clusters[0]);
        fill_cluster(sim, proxy, "v2", !v1_blue, &heartbeat->clusters[1]);
        if (proxy->document != NULL) {
            fill_samples(sim, proxy, &beat->samples);
        }
        sim_later(sim,
                  (int64_t) (sim_chance(sim, sim->options.message_loss) ? sim_draw(sim, 2500)
                                                                        : sim_draw(sim, 20)),
                  beat_arrives, beat);
    }
}

void sim_proxy_tick(struct sim *sim, struct sim_proxy *proxy)
{
    if (!proxy->alive || sim->now < proxy->frozen_until) {
        return;
    }
    carry(sim, proxy);
    bool came_in_force = proxy->document != NULL && sim->now >= proxy->in_force_at &&
                         sim->now < proxy->in_force_at + SIM_TICK_MS;
    if (sim->now >= proxy->beat_at || came_in_force) {
        proxy->beat_at = sim->now + 1000;
        tell(sim, proxy);
    }
}
