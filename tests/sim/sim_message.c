/*
 * sim_message.c -- what a proxy of the simulation tells the leaders: heartbeats, samples, offers.
 */
#include "sim.h"

#include "config/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELLS 10u /* in one message */

struct beat {
    unsigned leader, proxy;
    struct xf_message_heartbeat heartbeat;
    struct xf_message_samples samples;
    struct xf_message_offer offer; /* document: owned; NULL: nothing is offered */
    bool speaks;                   /* has samples */
    bool failures;                 /* nothing but samples */
    int64_t sent_at;
};

/* Rules of reading that a mutant breaks. */
static void misread(const struct sim *sim, struct beat *beat)
{
    struct xf_message_service *service = beat->heartbeat.services;
    if (beat->failures && sim->options.mutant != SIM_ERRORS_UNSEEN) {
        return;
    }
    switch (sim->options.mutant) {
    case SIM_ERRORS_UNSEEN:
        for (size_t i = 0; i < beat->samples.cells_count; i++) {
            beat->samples.cells[i].entries[0].counts.bad[1] = 0;
        }
        break;
    case SIM_CONFIRMS_FOR_ALL:
        service->version = sim->version;
        memcpy(service->write_id, sim->write_id, sizeof(service->write_id));
        service->in_force = true;
        break;
    case SIM_OFFERS_LOST:
        free((void *) (uintptr_t) beat->offer.document);
        beat->offer.document = NULL;
        service->version = (struct xf_version){0};
        break;
    case SIM_OVERRIDE_UNSEEN:
        service->override_on = false;
        service->weight = sim_proxy_weight(&sim->proxies[beat->proxy]);
        break;
    case SIM_DIGEST_UNSEEN:
        service->digest[0] = '\0';
        break;
    default:
        break;
    }
}

/* What came while a leader was stopped is read when it goes on. */
static void beat_arrives(struct sim *sim, void *argument)
{
    struct beat *beat = argument;
    struct sim_leader *leader = &sim->leaders[beat->leader];
    struct sim_proxy *proxy = &sim->proxies[beat->proxy];
    if (leader->alive && sim->now < leader->frozen_until) {
        sim_later(sim, leader->frozen_until - sim->now + 1, beat_arrives, beat);
        return;
    }
    bool blind = sim->options.mutant == SIM_ROSTER_BLIND && beat->proxy == SIM_PROXIES - 1;
    if (leader->alive && !blind) {
        int64_t boot_ms = leader->clock.boottime_ns(leader->clock.context) / 1000000;
        misread(sim, beat);
        if (!beat->failures) {
            (void) xf_roster_heartbeat(leader->roster, &beat->heartbeat, boot_ms);
        }
        if (beat->speaks) {
            sim->samples_at = sim->now;
        }
        if (beat->speaks || sim->options.mutant == SIM_DATA_MADE_UP) {
            xf_tenure_samples(leader->tenure, &beat->samples);
        }
        if (beat->offer.document != NULL) {
            xf_tenure_offer(leader->tenure, &beat->offer);
        }
        if (!beat->failures && proxy->forgotten && proxy->alive &&
            beat->sent_at >= proxy->began_at) {
            proxy->forgotten = false;
            proxy->excused_until = sim->now + 12000;
        }
    }
    xf_message_heartbeat_release(&beat->heartbeat);
    xf_message_samples_release(&beat->samples);
    free((void *) (uintptr_t) beat->offer.document);
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

/* The last cell that has closed and been read. */
static uint64_t closed_cell(const struct sim *sim)
{
    return (uint64_t) (sim->now + SIM_WALL_MS - 10) / XF_CELL_MS - 1;
}

/* Up to half a second: as many responses of green as its weight, none or half of them bad. */
static void fill_samples(const struct sim *sim, const struct sim_proxy *proxy,
                         struct xf_message_samples *ret)
{
    const struct xf_document *document = proxy->document;
    ret->attempt = document->attempts;
    ret->seq = proxy->seq;
    snprintf(ret->service, sizeof(ret->service), "web");
    ret->cells = calloc(CELLS, sizeof(*ret->cells));
    uint64_t last = closed_cell(sim);
    uint64_t first = proxy->told_cell + CELLS > last ? proxy->told_cell + 1 : last - CELLS + 1;
    ret->cells_count = last + 1 - first;
    for (unsigned i = 0; i < ret->cells_count; i++) {
        struct xf_message_cell *cell = &ret->cells[i];
        cell->number = first + i;
        cell->entries_count = 1;
        cell->entries[0].weight = document->weight;
        struct xf_message_counts *counts = &cell->entries[0].counts;
        counts->done[1] = (cell->number + 1) * document->weight / 100 -
                          cell->number * document->weight / 100; /* with what was left over */
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

static void fill_service(const struct sim *sim, const struct sim_proxy *proxy,
                         struct xf_message_service *ret)
{
    snprintf(ret->name, sizeof(ret->name), "web");
    ret->version = proxy->applied;
    memcpy(ret->write_id, proxy->write_id, sizeof(ret->write_id));
    ret->in_force = sim_proxy_in_force(sim, proxy) ||
                    (sim->options.mutant == SIM_IN_FORCE_LIE && proxy->document != NULL);
    ret->weight = sim_proxy_weight(proxy);
    snprintf(ret->digest, sizeof(ret->digest), "%s",
             proxy->digest_since >= 0 ? "0123456789abcdef" : sim->config->services[0].digest);
    ret->override_on = proxy->override.on;
    if (proxy->override.on) {
        memcpy(ret->override.id, proxy->override.id, sizeof(ret->override.id));
        ret->override.weight = proxy->override.weight;
        ret->override.base = proxy->override.base;
        snprintf(ret->override.actor, sizeof(ret->override.actor), "carl");
    }
}

static void fill_heartbeat(const struct sim *sim, const struct sim_proxy *proxy,
                           struct xf_message_heartbeat *ret)
{
    ret->reload_ok = true;
    memcpy(ret->proxy.id, proxy->id, sizeof(proxy->id));
    memcpy(ret->proxy.boot, proxy->boot, sizeof(proxy->boot));
    memcpy(ret->proxy.name, proxy->name, sizeof(proxy->name));
    ret->services = calloc(1, sizeof(*ret->services));
    ret->services_count = 1;
    fill_service(sim, proxy, ret->services);
    ret->clusters = calloc(2, sizeof(*ret->clusters));
    ret->clusters_count = 2;
    bool v1_blue = proxy->document == NULL || strcmp(proxy->document->from, "v2") != 0;
    fill_cluster(sim, proxy, "v1", v1_blue, &ret->clusters[0]);
    fill_cluster(sim, proxy, "v2", !v1_blue, &ret->clusters[1]);
}

/* What the store lost, as far as this proxy can see. */
static void fill_offer(const struct sim *sim, const struct sim_proxy *proxy,
                       struct xf_message_offer *ret)
{
    bool behind = !sim->present || xf_version_compare(&proxy->applied, &sim->version) > 0;
    if (sim->options.no_offers || sim->now < sim->down_until || !behind ||
        proxy->applied.generation == 0) {
        return;
    }
    snprintf(ret->service, sizeof(ret->service), "web");
    ret->version = proxy->applied;
    memcpy(ret->write_id, proxy->write_id, sizeof(ret->write_id));
    ret->document = xf_document_write(proxy->document);
}

static bool speaks(const struct sim *sim, const struct sim_proxy *proxy)
{
    return proxy->document != NULL && !proxy->held &&
           (sim->options.mute_from_ms == 0 || sim->now < sim->options.mute_from_ms);
}

/* A heartbeat is at most a second on its way where proxies may be steered locally: the rule of
 * 4 s (DESIGN.md section 8) rests on that. */
void sim_proxy_tell(struct sim *sim, struct sim_proxy *proxy)
{
    if (sim_bus_down(sim, proxy)) {
        return;
    }
    uint64_t slow = sim->options.overrides ? 900 : 2500;
    proxy->seq++;
    proxy->beat_sent_at = sim->now;
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        if (sim_faulty(sim) && sim_chance(sim, sim->options.message_loss)) {
            continue;
        }
        struct beat *beat = calloc(1, sizeof(*beat));
        beat->leader = i;
        beat->proxy = proxy->number;
        beat->sent_at = sim->now;
        fill_heartbeat(sim, proxy, &beat->heartbeat);
        beat->samples.proxy = beat->heartbeat.proxy;
        beat->speaks = speaks(sim, proxy);
        if (beat->speaks || sim->options.mutant == SIM_DATA_MADE_UP) {
            if (proxy->document != NULL) {
                fill_samples(sim, proxy, &beat->samples);
            }
        }
        fill_offer(sim, proxy, &beat->offer);
        sim_later(sim,
                  (int64_t) (sim_chance(sim, sim->options.message_loss) ? sim_draw(sim, slow)
                                                                        : sim_draw(sim, 20)),
                  beat_arrives, beat);
    }
    proxy->told_cell = closed_cell(sim);
}

void sim_proxy_tell_failures(struct sim *sim, struct sim_proxy *proxy)
{
    bool fails = sim->green_bad && speaks(sim, proxy) && !sim_bus_down(sim, proxy) &&
                 proxy->document->weight > 0;
    if (!fails || proxy->document->weight < 500) {
        proxy->telling_since = INT64_MAX;
    } else if (proxy->telling_since == INT64_MAX) {
        proxy->telling_since = sim->now;
    }
    if (!fails || proxy->told_cell >= closed_cell(sim)) {
        return;
    }
    proxy->seq++;
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        if (sim_faulty(sim) && sim_chance(sim, sim->options.message_loss)) {
            continue;
        }
        struct beat *beat = calloc(1, sizeof(*beat));
        *beat = (struct beat){.leader = i,
                              .proxy = proxy->number,
                              .sent_at = sim->now,
                              .speaks = true,
                              .failures = true};
        memcpy(beat->samples.proxy.id, proxy->id, sizeof(proxy->id));
        memcpy(beat->samples.proxy.boot, proxy->boot, sizeof(proxy->boot));
        memcpy(beat->samples.proxy.name, proxy->name, sizeof(proxy->name));
        fill_samples(sim, proxy, &beat->samples);
        sim_later(sim, (int64_t) sim_draw(sim, 20), beat_arrives, beat);
    }
    proxy->told_cell = closed_cell(sim);
}
