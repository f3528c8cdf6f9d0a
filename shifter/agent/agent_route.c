/*
 * agent_route.c -- which clusters, which weight and which permissions a state means.
 *
 * What may choose a cluster against the weight (rescue, fallback, override) is switched here and
 * nowhere else: towards blue all of it ends when draining begins, towards green when a cutover is
 * taken back.
 */
#include "shifter/agent/agent_route.h"

#include "shifter/control/status.h"

#include <string.h>

#define STATUSES_5XX_FIRST 500u
#define STATUSES_5XX_LAST  599u
#define WRITE_METHODS                                                                              \
    (1u << XF_METHOD_POST | 1u << XF_METHOD_PUT | 1u << XF_METHOD_PATCH | 1u << XF_METHOD_DELETE)

unsigned xf_agent_route_source(const struct xf_config *config, unsigned service)
{
    int follows = config->services[service].follows;
    return follows >= 0 ? (unsigned) follows : service;
}

static void default_statuses(struct xf_route_record *record)
{
    for (unsigned status = STATUSES_5XX_FIRST; status <= STATUSES_5XX_LAST; status++) {
        record->bad_statuses[status / 64] |= 1ull << (status % 64);
    }
}

void xf_agent_route_live(const struct xf_config *config, unsigned service,
                         struct xf_agent_route *ret)
{
    const struct xf_config_service *entry = &config->services[service];
    memset(ret, 0, sizeof(*ret));
    ret->flags = XF_ROUTE_VALID;
    ret->record.cluster[XF_BLUE] = (uint16_t) entry->live;
    ret->record.cluster[XF_GREEN] = (uint16_t) entry->live;
    default_statuses(&ret->record);
}

/* The cluster of `service` that is meant when the document of `source` says `name`. */
static int find_cluster(const struct xf_config *config, unsigned service, unsigned source,
                        const char *name, uint16_t *ret, struct xf_error *err)
{
    const struct xf_config_service *leading = &config->services[source];
    const struct xf_config_service *entry = &config->services[service];
    for (unsigned i = 0; i < leading->clusters_count; i++) {
        if (strcmp(config->clusters[leading->clusters[i]].name, name) != 0) {
            continue;
        }
        if (i >= entry->clusters_count) {
            return XF_FAIL(err, XF_E_CONFIG, "service %s has no cluster that pairs with %s",
                           entry->name, name);
        }
        *ret = (uint16_t) entry->clusters[i];
        return 0;
    }
    return XF_FAIL(err, XF_E_CONFIG,
                   "the control state of service %s names cluster \"%s\", which this host's "
                   "configuration does not give it",
                   leading->name, name);
}

/* Break-glass below 100 % takes draining back on this proxy. */
static bool draining_or_later(const struct xf_agent_facts *facts)
{
    enum xf_cutover_state state = facts->document->state;
    if (facts->overridden && facts->override_weight < XF_WEIGHT_FULL) {
        return false;
    }
    return state == XF_CUTOVER_DRAINING || state == XF_CUTOVER_SAFE ||
           state == XF_CUTOVER_FINALIZING;
}

static unsigned fallback_flags(enum xf_fallback fallback, bool emptying)
{
    switch (fallback) {
    case XF_FALLBACK_TO_BLUE:
        return XF_RECORD_FALLBACK_BLUE;
    case XF_FALLBACK_BOTH:
        return XF_RECORD_FALLBACK_BLUE | (emptying ? 0u : XF_RECORD_FALLBACK_GREEN);
    case XF_FALLBACK_OFF:
        break;
    }
    return 0;
}

/* Flags of the record while two clusters take part. */
static unsigned record_flags(const struct xf_config_service *service,
                             const struct xf_agent_facts *facts, bool emptying)
{
    const struct xf_document *document = facts->document;
    unsigned flags = document->state == XF_CUTOVER_ABORTING ? 0u : (unsigned) XF_RECORD_JUDGED;
    if (draining_or_later(facts)) {
        return flags;
    }
    flags |= fallback_flags(service->fallback, emptying);
    if (document->plan != NULL && document->plan->guard.rescue) {
        flags |= XF_RECORD_RESCUE;
    }
    bool guarded = service->override.header != NULL;
    if (guarded && !emptying) {
        flags |= XF_RECORD_OVERRIDE;
    }
    return flags;
}

/* One service's own route while its cutover runs. */
static void fill_cutover(const struct xf_config_service *service,
                         const struct xf_agent_facts *facts, struct xf_agent_route *route)
{
    const struct xf_document *document = facts->document;
    unsigned weight = facts->overridden ? facts->override_weight : document->weight;
    bool draining = draining_or_later(facts);
    bool back = document->retreated || facts->overridden;
    bool emptying = document->state == XF_CUTOVER_ABORTING || (back && weight == 0 && !draining);
    route->flags |= XF_ROUTE_CUTOVER | (draining ? XF_ROUTE_DRAINING : 0u) |
                    (emptying ? XF_ROUTE_EMPTYING : 0u);
    route->weight = weight <= XF_WEIGHT_FULL ? weight : XF_WEIGHT_FULL;
    route->record.flags |= record_flags(service, facts, emptying);
}

/* A follower is never split: it changes side in one word when draining begins, and back. */
static void fill_follower(const struct xf_agent_facts *facts, struct xf_agent_route *route)
{
    bool draining = draining_or_later(facts);
    route->flags |= XF_ROUTE_CUTOVER | (draining ? XF_ROUTE_DRAINING : XF_ROUTE_EMPTYING);
    route->weight = draining ? XF_WEIGHT_FULL : 0;
}

/* Whose fence it is: the plan's services; without a plan's list the followers of `source`, and it
 * itself where it has none. */
static bool fences(const struct xf_config *config, unsigned source,
                   const struct xf_document *document, unsigned service)
{
    const struct xf_plan *plan = document->plan;
    if (!document->fence.up) {
        return false;
    }
    if (plan == NULL || !plan->fence_on) {
        bool followed = false;
        for (unsigned i = 0; i < config->services_count; i++) {
            followed = followed || config->services[i].follows == (int) source;
        }
        return followed ? config->services[service].follows == (int) source : service == source;
    }
    for (unsigned i = 0; i < plan->fence_services_count; i++) {
        if (strcmp(plan->fence_services[i], config->services[service].name) == 0) {
            return true;
        }
    }
    return false;
}

/* The first fence that stands over this service, whoever's cutover raised it. */
static void fill_fence(const struct xf_config *config, unsigned service,
                       const struct xf_agent_facts *facts, struct xf_route_record *record)
{
    for (unsigned i = 0; i < config->services_count; i++) {
        const struct xf_document *document = facts[i].document;
        if (document == NULL || !fences(config, i, document, service)) {
            continue;
        }
        const struct xf_plan *plan = document->plan;
        record->flags |= XF_RECORD_FENCE;
        record->fence_methods =
            plan != NULL && plan->fence_methods != 0 ? plan->fence_methods : WRITE_METHODS;
        for (unsigned p = 0; plan != NULL && p < plan->fence_allow_count; p++) {
            size_t bytes = strlen(plan->fence_allow[p]);
            if (record->fence_paths_count == XF_FENCE_PATHS_MAX || bytes >= XF_FENCE_PATH_BYTES) {
                continue; /* what cannot be written down stays refused */
            }
            memcpy(record->fence_allow[record->fence_paths_count++], plan->fence_allow[p],
                   bytes + 1);
        }
        return;
    }
}

static void fill_record(const struct xf_agent_facts *facts, struct xf_route_record *record)
{
    const struct xf_document *document = facts->document;
    record->seed = document->seed;
    record->tau_us = document->tau_us;
    record->step = (uint32_t) document->step_entry;
    record->epoch = facts->version.epoch;
    record->revision = (uint32_t) facts->version.revision;
    if (xf_status_in_cutover(document)) {
        record->attempt = (uint32_t) document->attempts;
        memcpy(record->cutover, document->cutover, sizeof(record->cutover));
    }
    if (document->plan != NULL) {
        memcpy(record->bad_statuses, document->plan->guard.statuses, sizeof(record->bad_statuses));
    } else {
        default_statuses(record);
    }
}

int xf_agent_route_make(const struct xf_config *config, unsigned service,
                        const struct xf_agent_facts *facts, struct xf_agent_route *ret,
                        struct xf_error *err)
{
    unsigned source = xf_agent_route_source(config, service);
    const struct xf_agent_facts *deciding = &facts[source];
    const struct xf_document *document = deciding->document;
    XF_ASSERT(document != NULL);

    struct xf_agent_route route = {.flags = XF_ROUTE_VALID};
    bool cutover = xf_status_in_cutover(document);
    const char *blue = cutover ? document->from : document->live;
    const char *green = cutover ? document->to : document->live;
    if (find_cluster(config, service, source, blue, &route.record.cluster[XF_BLUE], err) != 0 ||
        find_cluster(config, service, source, green, &route.record.cluster[XF_GREEN], err) != 0) {
        return -1;
    }
    fill_record(deciding, &route.record);
    if (cutover && source == service) {
        fill_cutover(&config->services[service], deciding, &route);
    } else if (cutover) {
        fill_follower(deciding, &route);
    } else if (source == service) {
        route.record.flags |= XF_RECORD_JUDGED; /* as attempt 0: from it blue's ways are learnt */
        route.record.tau_us = 0;
    }
    fill_fence(config, service, facts, &route.record);
    *ret = route;
    return 0;
}
