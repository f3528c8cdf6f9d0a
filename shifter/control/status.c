/*
 * status.c -- builds the status document, one function per key that has members.
 *
 * Every function returns a whole object: where there is nothing, its members are null, so a
 * reader finds the same keys in every state.
 */
#include "shifter/control/status.h"

#include <math.h>
#include <string.h>

static json_t *text_or_null(const char *text)
{
    if (text == NULL || text[0] == '\0') {
        return json_null();
    }
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("(not UTF-8)");
}

static json_t *time_or_null(int64_t wall_ms)
{
    char text[XF_TIME_TEXT_BYTES];
    return wall_ms > 0 ? json_string(xf_format_time(wall_ms, text)) : json_null();
}

static json_t *real_or_null(double value)
{
    return isfinite(value) && value >= 0 ? json_real(value) : json_null();
}

static json_t *seconds_or_null(int64_t ms)
{
    return ms >= 0 ? json_real((double) ms / 1000.0) : json_null();
}

/* Hundredths of a per cent as per cent. */
static json_t *per_cent(int weight)
{
    return weight >= 0 ? json_real(weight / 100.0) : json_null();
}

bool xf_status_in_cutover(const struct xf_document *document)
{
    if (document == NULL || document->from[0] == '\0' || document->to[0] == '\0') {
        return false;
    }
    return document->state >= XF_CUTOVER_PREFLIGHT && document->state != XF_CUTOVER_FINALIZED &&
           document->state != XF_CUTOVER_ABORTED;
}

const char *xf_status_role(const struct xf_document *document, const char *cluster)
{
    if (document == NULL) {
        return NULL;
    }
    if (!xf_status_in_cutover(document)) {
        return strcmp(cluster, document->live) == 0 ? "live" : NULL;
    }
    if (strcmp(cluster, document->from) == 0) {
        return "blue";
    }
    return strcmp(cluster, document->to) == 0 ? "green" : NULL;
}

static json_t *build_last(const struct xf_document *document)
{
    bool any = document != NULL && document->last.cutover[0] != '\0';
    return json_pack("{s:o, s:o, s:o}", "cutover",
                     text_or_null(any ? document->last.cutover : NULL), "outcome",
                     text_or_null(any ? document->last.outcome : NULL), "at",
                     time_or_null(any ? document->last.at_ms : 0));
}

const char *xf_status_hold_sentence(const struct xf_status_view *view, enum xf_hold hold)
{
    const char *evidence = view->evidence.sentence;
    bool moves = hold == XF_HOLD_EVIDENCE && view->evidence.known && !view->evidence.enough &&
                 evidence != NULL && evidence[0] != '\0';
    if (hold == XF_HOLD_GATE && view->gate_sentence != NULL) {
        return view->gate_sentence;
    }
    return moves ? evidence : view->document->holds[hold].sentence;
}

static json_t *build_holds(const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    json_t *holds = json_array();
    for (unsigned i = 0; document != NULL && i < XF_HOLDS; i++) {
        const struct xf_hold_entry *hold = &document->holds[i];
        if (hold->on) {
            (void) json_array_append_new(
                holds,
                json_pack("{s:s, s:o, s:o, s:o, s:o}", "reason", xf_hold_name((enum xf_hold) i),
                          "since", time_or_null(hold->since_ms), "sentence",
                          text_or_null(xf_status_hold_sentence(view, i)), "by",
                          text_or_null(hold->by), "lifted_by", text_or_null(hold->lifted_by)));
        }
    }
    return holds;
}

/* The present step, or NULL before the first and outside a cutover. */
static const struct xf_plan_step *present_step(const struct xf_document *document)
{
    if (!xf_status_in_cutover(document) || document->plan == NULL || document->step < 0 ||
        (unsigned) document->step >= document->plan->steps_count) {
        return NULL;
    }
    return &document->plan->steps[document->step];
}

static json_t *build_step(const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    const struct xf_plan_step *step = present_step(document);
    bool planned = xf_status_in_cutover(document) && document->plan != NULL;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "index",
                     planned ? json_integer(document->step + 1) : json_null(), "count",
                     planned ? json_integer(document->plan->steps_count) : json_null(), "weight",
                     step != NULL ? per_cent((int) step->weight) : json_null(), "elapsed_s",
                     seconds_or_null(step != NULL ? view->step.elapsed_ms : -1), "remaining_s",
                     seconds_or_null(step != NULL ? view->step.remaining_ms : -1), "eta",
                     time_or_null(planned ? view->step.eta_ms : 0));
}

/* `needed` or `given` where the present step asks for one. */
static json_t *build_approval(const struct xf_document *document)
{
    const struct xf_plan_step *step = present_step(document);
    if (step == NULL || !step->approve) {
        return json_null();
    }
    return json_string(document->approved ? "given" : "needed");
}

/* The last verdict, key by key: what the document holds beside these stays there. */
static json_t *build_verdict(const struct xf_document *document)
{
    static const char *const keys[] = {"rule",     "measured",     "limit",
                                       "sentence", "samples_blue", "samples_green"};
    json_t *stored = NULL;
    if (document != NULL && document->last_verdict_json != NULL) {
        stored = json_loads(document->last_verdict_json, 0, NULL);
    }
    json_t *verdict = json_object();
    for (unsigned i = 0; i < XF_COUNT(keys); i++) {
        json_t *value = json_object_get(stored, keys[i]);
        bool plain = json_is_string(value) || json_is_number(value);
        (void) json_object_set_new(verdict, keys[i], plain ? json_incref(value) : json_null());
    }
    json_decref(stored);
    return verdict;
}

static json_t *build_servers(const struct xf_status_cluster *cluster)
{
    json_t *servers = json_array();
    for (size_t i = 0; i < cluster->servers_count; i++) {
        const struct xf_status_server *server = &cluster->servers[i];
        (void) json_array_append_new(
            servers, json_pack("{s:o, s:b, s:o, s:I}", "address", text_or_null(server->address),
                               "up", server->up, "reason", text_or_null(server->reason),
                               "in_flight", (json_int_t) server->in_flight));
    }
    return servers;
}

static json_t *build_clusters(const struct xf_status_view *view)
{
    json_t *clusters = json_object();
    for (size_t i = 0; i < view->clusters_count; i++) {
        const struct xf_status_cluster *cluster = &view->clusters[i];
        json_t *entry = json_pack(
            "{s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "role",
            text_or_null(xf_status_role(view->document, cluster->name)), "servers",
            build_servers(cluster), "in_flight", (json_int_t) cluster->in_flight, "tunnels",
            (json_int_t) cluster->tunnels, "pooled", (json_int_t) cluster->pooled, "rps",
            real_or_null(cluster->rps), "error_ratio", real_or_null(cluster->error_ratio), "p50_ms",
            real_or_null(cluster->p50_ms), "p99_ms", real_or_null(cluster->p99_ms), "requests",
            (json_int_t) cluster->requests, "errors", (json_int_t) cluster->errors, "rescued",
            (json_int_t) cluster->rescued, "no_route", (json_int_t) cluster->no_route);
        (void) json_object_set_new_nocheck(clusters, cluster->name, entry);
    }
    return clusters;
}

static json_t *build_fence(const struct xf_document *document)
{
    if (document == NULL) {
        return json_null();
    }
    return document->fence.up ? json_string("up") : json_null();
}

static json_t *build_proxies(const struct xf_status_view *view)
{
    json_t *proxies = json_array();
    for (size_t i = 0; i < view->proxies_count; i++) {
        const struct xf_status_proxy *proxy = &view->proxies[i];
        char version[XF_VERSION_TEXT_BYTES];
        (void) json_array_append_new(
            proxies, json_pack("{s:o, s:o, s:o, s:b, s:o, s:b}", "name", text_or_null(proxy->name),
                               "id", text_or_null(proxy->id), "version",
                               proxy->version_known
                                   ? json_string(xf_version_format(&proxy->version, version))
                                   : json_null(),
                               "in_force", proxy->in_force, "last_seen_s",
                               real_or_null(proxy->last_seen_s), "silent", proxy->silent));
    }
    return proxies;
}

static json_t *build_leader(const struct xf_status_view *view)
{
    if (!view->leader.known) {
        return json_null();
    }
    return json_pack("{s:o, s:o, s:I}", "name", text_or_null(view->leader.name), "id",
                     text_or_null(view->leader.id), "epoch", (json_int_t) view->leader.epoch);
}

static json_t *build_store(const struct xf_status_view *view)
{
    return json_pack("{s:o, s:o, s:b, s:o, s:o}", "kind", text_or_null(view->store.kind), "scope",
                     text_or_null(view->store.scope), "ok", view->store.ok, "since",
                     time_or_null(view->store.since_ms), "stale_s",
                     real_or_null(view->store.stale_s));
}

static json_t *build_journal(const struct xf_status_view *view)
{
    if (!view->journal.configured) {
        return json_pack("{s:n, s:n}", "ok", "backlog");
    }
    return json_pack("{s:b, s:I}", "ok", view->journal.ok, "backlog",
                     (json_int_t) view->journal.backlog);
}

static json_t *build_config(const struct xf_status_view *view)
{
    return json_pack("{s:o, s:b, s:o}", "digest", text_or_null(view->config.digest), "reload_ok",
                     view->config.reload_ok, "error", text_or_null(view->config.error));
}

static json_t *build_signal(const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    bool sent = document != NULL && document->signal.sequence > 0;
    json_t *blockers = json_array();
    for (size_t i = 0; i < view->blockers_count; i++) {
        (void) json_array_append_new(blockers, text_or_null(view->blockers[i]));
    }
    return json_pack(
        "{s:o, s:o, s:o, s:o}", "key", text_or_null(sent ? document->signal.key : NULL), "sequence",
        sent ? json_integer(document->signal.sequence) : json_null(), "accepted_at",
        time_or_null(sent ? document->signal.accepted_at_ms : 0), "blockers", blockers);
}

/* What the document says of itself; all null where there is none. */
static json_t *build_head(const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    bool cutover = xf_status_in_cutover(document);
    char version[XF_VERSION_TEXT_BYTES];
    return json_pack(
        "{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", XF_STATUS_SCHEMA, "service",
        text_or_null(view->service), "cutover",
        text_or_null(document != NULL ? document->cutover : NULL), "state",
        document != NULL ? json_string(xf_cutover_state_name(document->state)) : json_null(),
        "since", time_or_null(document != NULL ? document->since_ms : 0), "live",
        text_or_null(document != NULL ? document->live : NULL), "from",
        text_or_null(cutover ? document->from : NULL), "to",
        text_or_null(cutover ? document->to : NULL), "generation",
        document != NULL ? json_integer((json_int_t) view->version.generation) : json_null(),
        "version",
        document != NULL ? json_string(xf_version_format(&view->version, version)) : json_null());
}

json_t *xf_status_build(const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    json_t *status = build_head(view);
    json_t *rest = json_pack(
        "{s:o, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
        "last", build_last(document), "weight", "desired",
        per_cent(document != NULL ? (int) document->weight : -1), "actual",
        per_cent(view->weight_actual), "holds", build_holds(view), "step", build_step(view),
        "approval", build_approval(document), "verdict", build_verdict(document), "clusters",
        build_clusters(view), "fence", build_fence(document), "fenced", (json_int_t) view->fenced,
        "proxies", build_proxies(view), "leader", build_leader(view), "store", build_store(view),
        "journal", build_journal(view), "config", build_config(view), "signal", build_signal(view));
    if (status == NULL || rest == NULL || json_object_update(status, rest) != 0) {
        json_decref(status);
        status = NULL;
    }
    json_decref(rest);
    return status;
}
