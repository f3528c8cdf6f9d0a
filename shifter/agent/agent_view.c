/*
 * agent_view.c -- fills the views of status and metrics from the agent's own state.
 */
#include "shifter/agent/agent_view.h"

#include "shifter/agent/agent_checks.h"
#include "shifter/agent/agent_judge.h"
#include "shifter/agent/agent_rates.h"
#include "shifter/agent/metrics.h"
#include "shifter/plan/cutover.h"
#include "shifter/control/override.h"
#include "shifter/control/why.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory { /* what a status view points into */
    struct xf_status_cluster clusters[XF_SERVICE_CLUSTERS_MAX];
    struct xf_status_server *servers;
    char (*reasons)[XF_WHY_DOWN_BYTES];
    struct xf_status_proxy proxy;
    struct xf_document *shown; /* owned; the document with what this host alone knows of it */
};

static void release_memory(struct memory *memory)
{
    free(memory->servers);
    free(memory->reasons);
    xf_document_destroy(memory->shown);
}

static unsigned count_servers(const struct xf_config *config,
                              const struct xf_config_service *service)
{
    unsigned count = 0;
    for (unsigned i = 0; i < service->clusters_count; i++) {
        count += config->clusters[service->clusters[i]].servers_count;
    }
    return count;
}

static void view_servers(const struct xf_agent *agent, const struct xf_config_cluster *cluster,
                         struct memory *memory, unsigned first, struct xf_status_cluster *ret)
{
    ret->servers = &memory->servers[first];
    ret->servers_count = cluster->servers_count;
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        unsigned number = cluster->first_server + i;
        struct xf_status_server *server = &memory->servers[first + i];
        char *reason = memory->reasons[first + i];
        server->address = cluster->servers[i].endpoint.text;
        server->up = xf_agent_checks_up(agent, number, reason, XF_WHY_DOWN_BYTES);
        server->reason = reason[0] != '\0' ? reason : NULL;
        server->in_flight = agent->totals.servers[number].in_flight;
    }
}

static void view_cluster(const struct xf_agent *agent, const struct xf_config_service *service,
                         unsigned position, struct xf_status_cluster *ret)
{
    unsigned number = service->clusters[position];
    const struct xf_totals_cluster *gauges = &agent->totals.clusters[number];
    const struct xf_totals_pair *pair = &agent->totals.pairs[service->first_pair + position];
    struct xf_agent_rate rate;
    xf_agent_rates_read(agent->rates, agent->config, &agent->totals, xf_agent_now_ms(agent), number,
                        &rate);
    ret->name = agent->config->clusters[number].name;
    ret->in_flight = gauges->in_flight;
    ret->tunnels = gauges->tunnels;
    ret->pooled = gauges->pooled;
    ret->requests = pair->requests;
    ret->errors = xf_totals_errors(pair);
    ret->rescued = pair->rescued;
    ret->no_route = pair->no_route;
    ret->rps = rate.rps;
    ret->error_ratio = rate.error_ratio;
    ret->p50_ms = rate.p50_ms;
    ret->p99_ms = rate.p99_ms;
}

/* What this host knows of the store: only whether its leader speaks. */
static void view_store(const struct xf_agent *agent, const struct xf_agent_service *service,
                       struct xf_status_view *ret)
{
    bool sqlite = agent->config->store.kind == XF_STORE_SQLITE;
    ret->store.kind = sqlite ? "sqlite" : "redis";
    ret->store.scope = sqlite ? "this host" : "fleet";
    ret->store.ok = xf_agent_bus_led(agent, service);
    ret->store.since_ms = agent->bus_changed_ms;
    ret->store.stale_s = service->confirmed_ms > 0
                             ? fmax(0.0, (double) (ret->wall_ms - service->confirmed_ms) / 1000.0)
                             : -1.0;
}

static void show_hold(struct xf_document *shown, enum xf_hold hold, int64_t since_ms,
                      const char *by, const char *lifted_by)
{
    struct xf_hold_entry *entry = &shown->holds[hold];
    entry->on = true;
    entry->since_ms = since_ms;
    (void) snprintf(entry->by, sizeof(entry->by), "%s", by);
    (void) snprintf(entry->lifted_by, sizeof(entry->lifted_by), "%s", lifted_by);
}

static void show_store(const struct xf_agent *agent, const struct xf_agent_service *service,
                       struct xf_document *shown)
{
    const char *problem = xf_agent_bus_problem(agent);
    const char *what = agent->bus_up        ? "no leader answers"
                       : problem[0] != '\0' ? problem
                                            : "the store does not answer";
    char since[XF_TIME_TEXT_BYTES] = "an unknown time";
    if (service->confirmed_ms > 0) {
        xf_format_time(service->confirmed_ms, since);
    }
    show_hold(shown, XF_HOLD_STORE, agent->bus_changed_ms, "crossfade", "the store's return");
    (void) snprintf(
        shown->holds[XF_HOLD_STORE].sentence, XF_SENTENCE_BYTES,
        "%.300s; traffic flows on at the weight last known here, which is the state of %s", what,
        since);
}

static void show_override(const struct xf_agent_service *service, struct xf_document *shown)
{
    const struct xf_local_override *override = &service->override;
    char weight[XF_WEIGHT_TEXT_BYTES];
    bool judge = strcmp(override->actor, XF_OVERRIDE_JUDGE) == 0;
    show_hold(shown, XF_HOLD_OVERRIDE, override->at_ms, override->actor,
              "the leader, which takes the lowest weight for the fleet; then `resume override`, "
              "`weight` or `abort`");
    (void) snprintf(shown->holds[XF_HOLD_OVERRIDE].sentence, XF_SENTENCE_BYTES,
                    "this proxy serves %s by %s%s%.300s",
                    xf_format_weight(override->weight, weight),
                    judge ? "its own judge, for nobody else could judge" : "a local order",
                    override->reason[0] != '\0' ? ": " : "", override->reason);
}

/* What the document cannot say, because nobody could write it: no leader, an override. */
static void view_document(const struct xf_agent *agent, const struct xf_agent_service *service,
                          struct memory *memory, struct xf_status_view *ret)
{
    const struct xf_document *document = service->document;
    ret->document = document;
    if (document == NULL || !xf_cutover_runs(document->state) ||
        (xf_agent_bus_led(agent, service) && !service->override.on)) {
        return;
    }
    memory->shown = xf_document_copy(document);
    if (memory->shown == NULL) {
        return;
    }
    if (!xf_agent_bus_led(agent, service)) {
        show_store(agent, service, memory->shown);
    }
    if (service->override.on) {
        show_override(service, memory->shown);
    }
    const char *verdict = xf_agent_judge_verdict(service);
    char *copy = verdict != NULL ? strdup(verdict) : NULL;
    if (copy != NULL) {
        free(memory->shown->last_verdict_json);
        memory->shown->last_verdict_json = copy;
    }
    ret->document = memory->shown;
}

/* In a follower's view its own cluster stands where the document names the one it pairs with. */
static void pair_name(const struct xf_config *config, const struct xf_config_service *leading,
                      const struct xf_config_service *follower, char name[XF_NAME_BYTES])
{
    for (unsigned i = 0; i < leading->clusters_count && i < follower->clusters_count; i++) {
        if (strcmp(config->clusters[leading->clusters[i]].name, name) == 0) {
            (void) snprintf(name, XF_NAME_BYTES, "%s",
                            config->clusters[follower->clusters[i]].name);
            return;
        }
    }
}

/* The followed service's document, as it concerns its follower, which is never split. */
static void view_follower(struct xf_agent *agent, unsigned place, struct memory *memory,
                          struct xf_status_view *ret)
{
    const struct xf_agent_service *service = &agent->services[place];
    const struct xf_agent_service *deciding = xf_agent_deciding(agent, place);
    const struct xf_config_service *leading = &agent->config->services[deciding - agent->services];
    if (memory->shown == NULL && ret->document != NULL) {
        memory->shown = xf_document_copy(ret->document);
    }
    ret->document = memory->shown;
    if (memory->shown != NULL) {
        pair_name(agent->config, leading, &agent->config->services[place], memory->shown->live);
        pair_name(agent->config, leading, &agent->config->services[place], memory->shown->from);
        pair_name(agent->config, leading, &agent->config->services[place], memory->shown->to);
        memory->shown->weight = service->weight;
    }
    if (xf_agent_bus_led(agent, deciding)) {
        ret->leader.known = true;
        ret->leader.name = deciding->leader_name;
        ret->leader.id = deciding->leader_id;
        ret->leader.epoch = deciding->version.epoch;
    }
}

static void view_proxy(const struct xf_agent *agent, const struct xf_agent_service *service,
                       struct xf_status_proxy *ret)
{
    *ret = (struct xf_status_proxy){.name = agent->self.name,
                                    .id = agent->self.id,
                                    .version_known = service->routed,
                                    .version = service->written,
                                    .in_force = xf_agent_routes_in_force(agent, service)};
}

static int view_service(struct xf_agent *agent, unsigned place, struct memory *memory,
                        struct xf_status_view *ret)
{
    const struct xf_config_service *entry = &agent->config->services[place];
    const struct xf_agent_service *own = &agent->services[place];
    const struct xf_agent_service *service = xf_agent_deciding(agent, place);
    unsigned servers = count_servers(agent->config, entry);
    memory->servers = calloc(servers + 1, sizeof(memory->servers[0]));
    memory->reasons = calloc(servers + 1, sizeof(memory->reasons[0]));
    if (memory->servers == NULL || memory->reasons == NULL) {
        return -1;
    }
    *ret = (struct xf_status_view){.service = own->name,
                                   .version = service->version,
                                   .wall_ms = xf_clock_wall_ms(agent->clock),
                                   .weight_actual =
                                       own->routed ? (int) own->weight : XF_STATUS_UNKNOWN,
                                   .clusters = memory->clusters,
                                   .clusters_count = entry->clusters_count,
                                   .proxies = &memory->proxy,
                                   .proxies_count = 1};
    ret->step.elapsed_ms = service->progress.step_elapsed_ms;
    ret->step.remaining_ms = service->progress.step_remaining_ms;
    ret->step.eta_ms = XF_STATUS_UNKNOWN;
    if (service->leader_heard_ms == 0) {
        ret->step.elapsed_ms = ret->step.remaining_ms = XF_STATUS_UNKNOWN;
    }
    ret->config.digest = agent->config->digest;
    ret->config.reload_ok = agent->reload_ok;
    ret->config.error = agent->reload_error;
    view_document(agent, service, memory, ret);
    if (own != service) {
        view_follower(agent, place, memory, ret);
    }
    view_store(agent, service, ret);
    view_proxy(agent, service, &memory->proxy);
    unsigned first = 0;
    for (unsigned i = 0; i < entry->clusters_count; i++) {
        const struct xf_config_cluster *cluster = &agent->config->clusters[entry->clusters[i]];
        view_cluster(agent, entry, i, &memory->clusters[i]);
        view_servers(agent, cluster, memory, first, &memory->clusters[i]);
        first += cluster->servers_count;
    }
    return 0;
}

void xf_agent_view_refresh(struct xf_agent *agent)
{
    (void) !xf_totals_read(&agent->totals, agent->editions, agent->editions_count,
                           xf_clock_boottime_ms(agent->clock));
}

static json_t *build(struct xf_agent *agent, const char *service,
                     json_t *(*builder)(const struct xf_status_view *view))
{
    int place = xf_config_find_service(agent->config, service);
    XF_ASSERT(place >= 0);
    struct memory memory = {0};
    struct xf_status_view view;
    json_t *ret = NULL;
    xf_agent_view_refresh(agent);
    if (view_service(agent, (unsigned) place, &memory, &view) == 0) {
        ret = builder(&view);
    }
    release_memory(&memory);
    return ret;
}

json_t *xf_agent_view_status(struct xf_agent *agent, const char *service)
{
    return build(agent, service, xf_status_build);
}

json_t *xf_agent_view_why(struct xf_agent *agent, const char *service)
{
    return build(agent, service, xf_why_build);
}

json_t *xf_agent_view_plan(const struct xf_agent *agent, const char *service)
{
    int place = xf_config_find_service(agent->config, service);
    const struct xf_document *document = place >= 0 ? agent->services[place].document : NULL;
    const struct xf_plan *plan = document != NULL ? document->plan : NULL;
    bool runs = xf_status_in_cutover(document) && plan != NULL && plan->json != NULL;
    json_t *copy = runs ? json_loads(plan->json, 0, NULL) : json_null();
    return json_pack("{s:s, s:s?, s:o, s:o}", "service", service, "cutover",
                     runs ? document->cutover : NULL, "step",
                     runs ? json_integer(document->step + 1) : json_null(), "plan",
                     copy != NULL ? copy : json_null());
}

/* ---- servers ---- */

json_t *xf_agent_view_servers(struct xf_agent *agent)
{
    json_t *servers = json_array();
    for (unsigned c = 0; c < agent->config->clusters_count; c++) {
        const struct xf_config_cluster *cluster = &agent->config->clusters[c];
        for (unsigned i = 0; i < cluster->servers_count; i++) {
            char reason[XF_WHY_DOWN_BYTES];
            unsigned number = cluster->first_server + i;
            bool up = xf_agent_checks_up(agent, number, reason, sizeof(reason));
            (void) json_array_append_new(
                servers, json_pack("{s:s, s:s, s:b, s:s?, s:I, s:I}", "cluster", cluster->name,
                                   "address", cluster->servers[i].endpoint.text, "up", up, "reason",
                                   reason[0] != '\0' ? reason : NULL, "weight",
                                   (json_int_t) xf_agent_checks_weight(agent, number), "in_flight",
                                   (json_int_t) (agent->totals.servers[number].in_flight &
                                                 (uint64_t) INT64_MAX)));
        }
    }
    return json_pack("{s:o}", "servers", servers);
}

/* ---- metrics ---- */

static void metric_service(const struct xf_agent *agent, unsigned place,
                           struct xf_metrics_service *ret)
{
    const struct xf_agent_service *service = &agent->services[place];
    int64_t now_ms = xf_clock_wall_ms(agent->clock);
    *ret = (struct xf_metrics_service){
        .name = service->name,
        .document = service->document,
        .version = service->version,
        .routed = service->routed,
        .weight = service->weight,
        .in_force = xf_agent_routes_in_force(agent, service),
        .led = xf_agent_bus_led(agent, service),
        .fork = service->fork,
        .stale = service->source == XF_AGENT_SNAPSHOT || service->source == XF_AGENT_ASSUMED,
        .journal = service->progress.journal,
        .journal_backlog = service->progress.journal_backlog,
        .lag_s = service->confirmed_ms > 0
                     ? fmax(0.0, (double) (now_ms - service->confirmed_ms) / 1000.0)
                     : NAN};
}

static void metric_servers(const struct xf_agent *agent, bool *up)
{
    for (unsigned i = 0; i < agent->config->servers_count; i++) {
        char reason[XF_WHY_DOWN_BYTES];
        up[i] = xf_agent_checks_up(agent, i, reason, sizeof(reason));
    }
}

static const int64_t *metric_expiry(const struct xf_agent *agent)
{
    for (unsigned i = 0; i < agent->editions_count; i++) {
        if (agent->editions[i]->config == agent->config) {
            return agent->editions[i]->expiry;
        }
    }
    return NULL;
}

char *xf_agent_view_metrics(struct xf_agent *agent, size_t *ret_length)
{
    struct xf_metrics_service *services = calloc(agent->services_count + 1, sizeof(services[0]));
    bool *up = calloc(agent->config->servers_count + 1, sizeof(up[0]));
    char *text = NULL;
    xf_agent_view_refresh(agent);
    if (services != NULL && up != NULL) {
        unsigned count = 0;
        for (unsigned i = 0; i < agent->services_count; i++) {
            if (agent->config->services[i].follows < 0) {
                metric_service(agent, i, &services[count++]);
            }
        }
        metric_servers(agent, up);
        struct xf_metrics_view view = {.config = agent->config,
                                       .totals = &agent->totals,
                                       .services = services,
                                       .services_count = count,
                                       .expiry = metric_expiry(agent),
                                       .server_up = up,
                                       .editions = agent->editions_count,
                                       .bus_up = agent->bus_up,
                                       .reload_ok = agent->reload_ok,
                                       .snapshot_ok = xf_snapshot_writer_ok(agent->writer, NULL)};
        text = xf_metrics_write(&view, ret_length);
    }
    free(services);
    free(up);
    return text;
}
