/*
 * agent_drain.c -- see agent_drain.h.
 */
#include "shifter/agent/agent_drain.h"

#include "shifter/control/drain_wish.h"

#include <stdlib.h>
#include <string.h>

#define TOLD             3u    /* the leader counts with one of so many last heartbeats */
#define ANSWERS_AFTER_MS 5000u /* a younger answer most likely ends by itself */

struct pair {
    uint64_t order;
    uint64_t since_us;    /* CLOCK_MONOTONIC: when the order came */
    uint64_t deadline_ms; /* CLOCK_BOOTTIME; 0: none */
    bool written;         /* the boards hold no order of an agent before this one */
};

/* What holds a cluster. */
struct held {
    uint64_t tunnels;
    uint64_t in_flight; /* tunnels included */
};

struct cluster {
    struct held told[TOLD]; /* in the last heartbeats */
};

struct xf_agent_drains {
    struct pair *pairs;
    struct cluster *clusters;
};

struct xf_agent_drains *xf_agent_drains_create(const struct xf_config *config)
{
    struct xf_agent_drains *drains = calloc(1, sizeof(*drains));
    if (drains == NULL) {
        return NULL;
    }
    drains->pairs = calloc(config->pairs_count + 1, sizeof(drains->pairs[0]));
    drains->clusters = calloc(config->clusters_count + 1, sizeof(drains->clusters[0]));
    if (drains->pairs == NULL || drains->clusters == NULL) {
        xf_agent_drains_destroy(drains);
        return NULL;
    }
    return drains;
}

void xf_agent_drains_destroy(struct xf_agent_drains *drains)
{
    if (drains != NULL) {
        free(drains->pairs);
        free(drains->clusters);
        free(drains);
    }
}

void xf_agent_drains_inherit(struct xf_agent_drains *drains, const struct xf_config *config,
                             const struct xf_agent_drains *before, const struct xf_config *from)
{
    for (unsigned i = 0; before != NULL && from != NULL && i < from->services_count; i++) {
        const struct xf_config_service *service = &from->services[i];
        int heir = xf_config_find_service(config, service->name);
        for (unsigned k = 0; heir >= 0 && k < service->clusters_count; k++) {
            int cluster = xf_config_find_cluster(config, from->clusters[service->clusters[k]].name);
            int pair =
                cluster >= 0 ? xf_config_pair(config, (unsigned) heir, (unsigned) cluster) : -1;
            if (pair >= 0) {
                drains->pairs[pair] = before->pairs[service->first_pair + k];
                drains->clusters[cluster] = before->clusters[service->clusters[k]];
            }
        }
    }
}

void xf_agent_drain_note(struct xf_agent *agent)
{
    for (unsigned i = 0; i < agent->config->clusters_count; i++) {
        const struct xf_totals_cluster *totals = &agent->totals.clusters[i];
        struct held *told = agent->drains->clusters[i].told;
        memmove(&told[1], &told[0], (TOLD - 1) * sizeof(told[0]));
        told[0] = (struct held){totals->tunnels, totals->in_flight};
    }
}

static uint64_t pick(const struct held *held, bool answers)
{
    return answers ? held->in_flight : held->tunnels;
}

static uint64_t of_others(const struct xf_agent *agent, unsigned cluster, uint64_t fleet,
                          bool answers)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < TOLD; i++) {
        uint64_t told = pick(&agent->drains->clusters[cluster].told[i], answers);
        most = told > most ? told : most;
    }
    return fleet > most ? fleet - most : 0;
}

/* What this proxy and, as the leader counted, the others have of what `wish` ends. */
static uint64_t of_fleet(const struct xf_agent *agent, unsigned cluster,
                         const struct xf_message_progress *progress,
                         const struct xf_drain_wish *wish)
{
    const struct xf_totals_cluster *totals = &agent->totals.clusters[cluster];
    struct held counted = {0, 0};
    if (progress != NULL) {
        counted = wish->order == XF_DRAIN_ALL
                      ? (struct held){progress->tunnels, progress->in_flight}
                      : (struct held){progress->ordered_tunnels, progress->ordered_in_flight};
    }
    struct held own = {totals->tunnels, totals->in_flight};
    return pick(&own, wish->answers) +
           of_others(agent, cluster, pick(&counted, wish->answers), wish->answers);
}

static void write_order(struct xf_drain *drain, const struct pair *pair)
{
    if (atomic_load_explicit(&drain->order, memory_order_relaxed) == pair->order &&
        atomic_load_explicit(&drain->deadline_ms, memory_order_relaxed) == pair->deadline_ms) {
        return;
    }
    atomic_store_explicit(&drain->order, 0, memory_order_release);
    atomic_store_explicit(&drain->since_us, pair->since_us, memory_order_release);
    atomic_store_explicit(&drain->deadline_ms, pair->deadline_ms, memory_order_release);
    atomic_store_explicit(&drain->order, pair->order, memory_order_release);
}

/* Every worker of every edition: its part of the fleet's rate. */
static void write_rates(const struct xf_agent_edition *edition, unsigned cluster,
                        struct xf_drain *drain, const struct xf_drain_wish *wish, uint64_t fleet)
{
    uint32_t rate_milli = wish->rate_milli;
    atomic_store_explicit(&drain->answers_after_ms, wish->answers ? ANSWERS_AFTER_MS : 0,
                          memory_order_relaxed);
    for (unsigned w = 0; w < edition->board->workers; w++) {
        const struct xf_stats_cluster *stats = xf_stats_cluster(edition->board->stats[w], cluster);
        struct held held = {xf_read(&stats->tunnels), xf_read(&stats->in_flight)};
        uint64_t own = pick(&held, wish->answers);
        uint32_t part =
            rate_milli == XF_DRAIN_UNBOUNDED ? rate_milli : xf_drain_part(rate_milli, own, fleet);
        if (atomic_load_explicit(&drain->rate_milli[w], memory_order_relaxed) != part) {
            atomic_store_explicit(&drain->rate_milli[w], part, memory_order_relaxed);
        }
    }
}

/* Where the pair of two names is on the board of `edition`; NULL: nowhere. */
static struct xf_drain *find_drain(const struct xf_agent_edition *edition, const char *service,
                                   const char *cluster)
{
    int its_service = xf_config_find_service(edition->config, service);
    int its_cluster = xf_config_find_cluster(edition->config, cluster);
    if (edition->refused || its_service < 0 || its_cluster < 0) {
        return NULL;
    }
    int pair = xf_config_pair(edition->config, (unsigned) its_service, (unsigned) its_cluster);
    return pair >= 0 ? xf_board_drain(edition->board, (unsigned) pair) : NULL;
}

/* Puts one pair of the newest configuration on all boards that have it. */
static void write_pair(struct xf_agent *agent, unsigned place, unsigned cluster,
                       const struct pair *pair, const struct xf_drain_wish *wish, uint64_t fleet)
{
    const char *name = agent->config->clusters[cluster].name;
    for (unsigned i = 0; i < agent->editions_count; i++) {
        const struct xf_agent_edition *edition = agent->editions[i];
        struct xf_drain *drain = find_drain(edition, agent->config->services[place].name, name);
        if (drain != NULL) {
            int its_cluster = xf_config_find_cluster(edition->config, name);
            write_rates(edition, (unsigned) its_cluster, drain, wish, fleet);
            write_order(drain, pair);
        }
    }
}

/* What an agent before this one had begun goes on: since when, and until when. */
static void take_over(const struct xf_agent *agent, unsigned place, unsigned cluster,
                      struct pair *pair)
{
    for (unsigned i = 0; i < agent->editions_count && pair->order == 0; i++) {
        const struct xf_drain *drain =
            find_drain(agent->editions[i], agent->config->services[place].name,
                       agent->config->clusters[cluster].name);
        if (drain != NULL) {
            pair->order = xf_read(&drain->order);
            pair->since_us = xf_read(&drain->since_us);
            pair->deadline_ms = xf_read(&drain->deadline_ms);
        }
    }
}

/* A deadline runs from when its order was first seen; the same cluster's next order may come
 * earlier, not later. */
static void take_wish(struct pair *pair, const struct xf_drain_wish *wish,
                      const struct xf_clock *clock)
{
    uint64_t now_ms = (uint64_t) xf_clock_boottime_ms(clock);
    if (wish->order != pair->order) {
        pair->since_us = (uint64_t) xf_clock_monotonic_ms(clock) * 1000u;
    }
    if (wish->order == 0 || wish->after_ms < 0) {
        pair->deadline_ms = 0;
    } else if (wish->order != pair->order || pair->deadline_ms == 0) {
        uint64_t deadline_ms = now_ms + (uint64_t) wish->after_ms;
        bool earlier = pair->deadline_ms == 0 || deadline_ms < pair->deadline_ms;
        pair->deadline_ms = earlier ? deadline_ms : pair->deadline_ms;
    }
    pair->order = wish->order;
}

static void tick_service(struct xf_agent *agent, unsigned place)
{
    const struct xf_agent_service *deciding = xf_agent_deciding(agent, place);
    const struct xf_config_service *service = &agent->config->services[place];
    const struct xf_config_service *leading = &agent->config->services[deciding - agent->services];
    if (deciding->document == NULL || deciding->source == XF_AGENT_NOTHING ||
        deciding->source == XF_AGENT_HELD) {
        return;
    }
    for (unsigned k = 0; k < service->clusters_count && k < leading->clusters_count; k++) {
        const char *name = agent->config->clusters[leading->clusters[k]].name;
        struct xf_drain_wish wish =
            xf_drain_wish(deciding->document, &agent->config->drain, deciding->override.on,
                          deciding->override.weight, name);
        struct pair *pair = &agent->drains->pairs[service->first_pair + k];
        if (wish.order == 0 && pair->order == 0 && pair->written) {
            continue;
        }
        unsigned cluster = service->clusters[k];
        if (!pair->written) {
            take_over(agent, place, cluster, pair);
        }
        take_wish(pair, &wish, agent->clock);
        bool reported = place == (unsigned) (deciding - agent->services); /* a follower's are not */
        uint64_t fleet = of_fleet(agent, cluster, reported ? &deciding->progress : NULL, &wish);
        write_pair(agent, place, cluster, pair, &wish, fleet);
        pair->written = agent->editions_count > 0;
    }
}

void xf_agent_drain_tick(struct xf_agent *agent)
{
    for (unsigned i = 0; i < agent->services_count; i++) {
        tick_service(agent, i);
    }
}
