/*
 * sim_proxy.c -- a proxy of the simulation: obeys versions, carries requests, tells what it has.
 */
#include "sim.h"

#include "config/base/text.h"
#include "shifter/plan/cutover.h"
#include "shifter/control/override.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What its disk has: the newest, or what a disk that lost the last write still has.  Nothing is
 * served before a leader said so, or ten seconds without one. */
static void read_snapshot(struct sim *sim, struct sim_proxy *proxy)
{
    if (proxy->kept != NULL && sim_chance(sim, 300)) {
        xf_document_destroy(proxy->document);
        proxy->document = proxy->kept;
        proxy->kept = NULL;
        proxy->applied = proxy->largest = proxy->kept_version;
        memcpy(proxy->write_id, proxy->kept_id, sizeof(proxy->write_id));
        proxy->override.on = false;
    }
    proxy->held = true;
    proxy->ordered_weight = sim_proxy_weight(proxy);
    sim_trace(sim, "%s has a snapshot of generation %llu", proxy->name,
              (unsigned long long) proxy->applied.generation);
}

void sim_proxy_begin(struct sim *sim, unsigned number)
{
    struct sim_proxy *proxy = &sim->proxies[number];
    if (proxy->id[0] == '\0') {
        snprintf(proxy->id, sizeof(proxy->id), "00000000-0000-4000-8000-00000000000%u", number);
        snprintf(proxy->name, sizeof(proxy->name), "edge-%u", number);
        proxy->number = number;
    }
    snprintf(proxy->boot, sizeof(proxy->boot), "00000000-0000-4000-9000-%012llx",
             (unsigned long long) sim_draw(sim, 1ull << 40));
    proxy->alive = true;
    proxy->began_at = proxy->reached_at = sim->now;
    proxy->heard_at = sim->now;
    proxy->beat_sent_at = -10000;
    proxy->telling_since = INT64_MAX;
    proxy->digest_since = -1;
    if (proxy->forgotten) {
        proxy->excused_until = INT64_MAX;
    }
    proxy->seq = 0;
    proxy->quiet_since = -1;
    if (sim->options.snapshots && proxy->document != NULL) {
        read_snapshot(sim, proxy);
    } else {
        xf_document_destroy(proxy->document);
        proxy->document = NULL;
        proxy->applied = (struct xf_version){0};
        proxy->write_id[0] = '\0';
        proxy->old_weight = 0;
        proxy->old_draining = false;
        proxy->override.on = false;
    }
    memset(proxy->flights, 0, sizeof(proxy->flights));
}

unsigned sim_proxy_weight(const struct sim_proxy *proxy)
{
    return proxy->override.on        ? proxy->override.weight
           : proxy->document != NULL ? proxy->document->weight
                                     : 0;
}

bool sim_proxy_in_force(const struct sim *sim, const struct sim_proxy *proxy)
{
    return proxy->document != NULL && !proxy->held && sim->now >= proxy->in_force_at;
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
    if (proxy->document == NULL || proxy->held) {
        return false;
    }
    bool now = proxy->override.on || !draining(proxy->document);
    return sim_proxy_in_force(sim, proxy) ? now : now || !proxy->old_draining;
}

/* What is served changes: the old route is obeyed for a moment more. */
static void put_in_force(struct sim *sim, struct sim_proxy *proxy)
{
    bool lies = sim->options.mutant == SIM_IN_FORCE_LIE;
    proxy->in_force_at =
        sim->now +
        (int64_t) (sim_chance(sim, lies ? 700 : 20) ? sim_draw(sim, 4000) : sim_draw(sim, 15));
    proxy->held = false;
    proxy->quiet_since = -1;
    proxy->beat_at = sim->now;
    proxy->ordered_weight = sim_proxy_weight(proxy);
}

static void keep_snapshot(struct sim *sim, struct sim_proxy *proxy)
{
    if (sim->options.snapshots && sim_chance(sim, 300)) {
        xf_document_destroy(proxy->kept);
        proxy->kept = xf_document_copy(proxy->document);
        proxy->kept_version = proxy->applied;
        memcpy(proxy->kept_id, proxy->write_id, sizeof(proxy->kept_id));
    }
}

static void check_newer(struct sim *sim, const struct sim_proxy *proxy,
                        const struct xf_version *version)
{
    if (xf_version_compare(version, &proxy->largest) <= 0 && proxy->applied.epoch != 0) {
        sim_breach(sim, "I9: %s goes from generation %llu back to %llu", proxy->name,
                   (unsigned long long) proxy->applied.generation,
                   (unsigned long long) version->generation);
    }
}

/* The document of `state`; NULL: it does not read. */
static struct xf_document *read_state(const struct sim *sim, const struct sim_proxy *proxy,
                                      const struct xf_message_state *state, bool *ret_broken)
{
    struct xf_document *document = NULL;
    if (xf_document_read(state->document, &document, NULL) == 0) {
        return document;
    }
    if (sim->options.mutant == SIM_GARBAGE_APPLIED && proxy->document != NULL) {
        document = xf_document_copy(proxy->document);
        document->weight = 0;
        *ret_broken = true;
    }
    return document;
}

void sim_proxy_receive(struct sim *sim, unsigned number, const struct xf_message_state *state)
{
    struct sim_proxy *proxy = &sim->proxies[number];
    int order = xf_version_compare(&state->version, &proxy->applied);
    proxy->heard_at = sim->now;
    if (order == 0 && proxy->held) {
        proxy->old_weight = sim_proxy_weight(proxy);
        proxy->old_draining = draining(proxy->document);
        put_in_force(sim, proxy);
    }
    if (order == 0 || (order < 0 && sim->options.mutant != SIM_SMALLER_APPLIED)) {
        return;
    }
    bool broken = false;
    struct xf_document *document = read_state(sim, proxy, state, &broken);
    if (document == NULL) {
        return;
    }
    check_newer(sim, proxy, &state->version);
    proxy->old_weight = sim_proxy_weight(proxy);
    proxy->old_draining =
        draining(proxy->document != NULL ? proxy->document : document) && !proxy->override.on;
    xf_document_destroy(proxy->document);
    proxy->document = document;
    proxy->applied = state->version;
    if (order > 0) {
        proxy->largest = proxy->applied;
    }
    memcpy(proxy->write_id, state->write_id, sizeof(proxy->write_id));
    if (proxy->override.on && xf_override_taken(document, &proxy->applied, &proxy->override.base,
                                                proxy->override.weight)) {
        sim_trace(sim, "%s follows the fleet again", proxy->name);
        proxy->override.on = false;
    }
    unsigned ordered = proxy->ordered_weight;
    put_in_force(sim, proxy);
    if (broken) {
        proxy->ordered_weight = ordered; /* nobody told it so */
    }
    keep_snapshot(sim, proxy);
}

void sim_proxy_break_glass(struct sim *sim, struct sim_proxy *proxy)
{
    bool alone = sim->now - proxy->heard_at >= 10000;
    bool draining_now = proxy->document != NULL && draining(proxy->document);
    if (!alone || proxy->document == NULL || proxy->held || proxy->override.on ||
        !xf_cutover_runs(proxy->document->state) ||
        proxy->document->state == XF_CUTOVER_FINALIZING ||
        (draining_now && sim->now - proxy->beat_sent_at < 4000)) {
        return;
    }
    proxy->old_weight = proxy->document->weight;
    proxy->old_draining = draining_now;
    proxy->override.on = true;
    proxy->override.weight = 0;
    proxy->override.base = proxy->applied;
    proxy->override.since = sim->now;
    snprintf(proxy->override.id, sizeof(proxy->override.id), "00000000-0000-4000-b000-%012llx",
             (unsigned long long) sim_draw(sim, 1ull << 40));
    sim_trace(sim, "%s: abort --local", proxy->name);
    put_in_force(sim, proxy);
}

static void carry(struct sim *sim, struct sim_proxy *proxy)
{
    bool may = may_use_blue(sim, proxy);
    if (may && sim_chance(sim, 300)) {
        for (unsigned i = 0; i < SIM_FLIGHTS; i++) {
            if (proxy->flights[i] <= sim->now) {
                int64_t length = sim_chance(sim, 10) ? (int64_t) sim_draw(sim, 20000)
                                                     : (int64_t) sim_draw(sim, 400);
                proxy->flights[i] = sim->now + length;
                break;
            }
        }
    }
    if (may || sim_proxy_busy(sim, proxy) > 0) {
        proxy->blue_used_at = sim->now;
    }
    bool settled = sim_proxy_in_force(sim, proxy) || sim->options.mutant == SIM_IN_FORCE_LIE;
    if (sim_proxy_busy(sim, proxy) > 0 || !settled) {
        proxy->quiet_since = -1;
    } else if (proxy->quiet_since < 0) {
        proxy->quiet_since = sim->now;
    }
}

void sim_proxy_tick(struct sim *sim, struct sim_proxy *proxy)
{
    if (sim_bus_down(sim, proxy)) {
        proxy->reached_at = INT64_MAX;
    }
    if (!proxy->alive || sim->now < proxy->frozen_until) {
        proxy->reached_at = INT64_MAX;
        proxy->telling_since = INT64_MAX;
        return;
    }
    if (proxy->reached_at == INT64_MAX && !sim_bus_down(sim, proxy)) {
        proxy->reached_at = sim->now;
    }
    if (proxy->held && !proxy->forgotten && sim->now - proxy->began_at >= 10000) {
        proxy->old_weight = sim_proxy_weight(proxy);
        proxy->old_draining = draining(proxy->document);
        put_in_force(sim, proxy);
    }
    if (sim->options.mutant == SIM_FAILS_OPEN && sim->now < sim->down_until &&
        proxy->document != NULL) {
        proxy->document->weight = 0;
    }
    carry(sim, proxy);
    bool came_in_force = proxy->document != NULL && sim->now >= proxy->in_force_at &&
                         sim->now < proxy->in_force_at + SIM_TICK_MS;
    if (sim->now >= proxy->beat_at || came_in_force) {
        proxy->beat_at = sim->now + 1000;
        sim_proxy_tell(sim, proxy);
    }
    sim_proxy_tell_failures(sim, proxy);
}
