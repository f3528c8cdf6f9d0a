/*
 * tenure_view.c -- what is known, for those who decide (facts) and those who ask (status, why,
 * history, signal).
 */
#include "shifter/journal/journal.h"
#include "shifter/controller/tenure_parts.h"
#include "shifter/control/why.h"

#include "proxy/board/histogram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Below this nobody cares: waking an idle process costs about as much, and green, with the smaller
 * share, sleeps more.  Any tau that is fixed beforehand is valid (JUDGE.md 2c). */
#define TAU_US_MIN 10000u
/* Blue, and the clusters that stand at its place in the services that follow this one. */
static void fill_blues(const struct xf_tenure *tenure, struct xf_roster_question *question)
{
    const struct xf_config *config = tenure->options.config;
    const char *blue = tenure->document->from;
    if (blue[0] == '\0') {
        return;
    }
    question->blues[question->blues_count++] = blue;
    unsigned place = 0;
    while (place < tenure->service->clusters_count &&
           strcmp(config->clusters[tenure->service->clusters[place]].name, blue) != 0) {
        place++;
    }
    for (unsigned i = 0; i < config->services_count; i++) {
        const struct xf_config_service *service = &config->services[i];
        if (service->follows == (int) tenure->service->index && place < service->clusters_count &&
            question->blues_count < XF_SERVICES_MAX) {
            question->blues[question->blues_count++] =
                config->clusters[service->clusters[place]].name;
        }
    }
}

void xf_tenure_facts(struct xf_tenure *tenure, const struct xf_plan *start, struct xf_facts *ret)
{
    const struct xf_document *document = tenure->document;
    *ret = (struct xf_facts){
        .wall_ms = xf_clock_wall_ms(tenure->options.clock),
        .boot_ms = xf_tenure_now(tenure),
        .store_ok = xf_tenure_store_ok(tenure),
        .config = tenure->options.config,
        .accepted = xf_tenure_signal_accepted(tenure),
    };
    const char *blue = document->from[0] != '\0' ? document->from : document->live;
    struct xf_roster_question question = {.service = tenure->service->name,
                                          .version = tenure->version,
                                          .write_id = tenure->write_id,
                                          .document = document,
                                          .green = start != NULL ? start->to : document->to,
                                          .now_ms = ret->boot_ms};
    fill_blues(tenure, &question);
    xf_roster_fleet(tenure->options.roster, &question, &ret->fleet);
    if (document->from[0] != '\0') {
        ret->in_use_by =
            tenure->calls.in_use_by(tenure->calls.context, tenure->service->name, document->from);
    }
    if (start != NULL) {
        ret->seed = xf_tenure_random(tenure);
        ret->signalled_by =
            tenure->calls.signalled_by(tenure->calls.context, tenure->service->name, start->to);
    }
    struct xf_traffic traffic;
    xf_roster_traffic(tenure->options.roster, tenure->service->name, blue, ret->boot_ms, &traffic);
    uint64_t tau_us = xf_judge_tau_us(traffic.latency);
    ret->tau_us = tau_us > 0 && tau_us < TAU_US_MIN ? TAU_US_MIN : tau_us;
    xf_tenure_recover_facts(tenure, ret);
    xf_tenure_judge_facts(tenure, ret);
    xf_tenure_action_facts(tenure, ret);
    xf_tenure_drift_facts(tenure, ret);
    xf_tenure_gates_facts(tenure, ret);
    xf_tenure_during_facts(tenure, ret);
    xf_tenure_journal_facts(tenure, ret);
}

/* ---- the view ---- */

struct view {
    struct xf_status_view status;
    struct xf_status_cluster clusters[XF_SERVICE_CLUSTERS_MAX];
    struct xf_status_server *servers[XF_SERVICE_CLUSTERS_MAX];
    struct xf_status_proxy *proxies;
    char blockers[XF_BLOCKERS_MAX][XF_SENTENCE_BYTES];
    const char *blocker_list[XF_BLOCKERS_MAX];
    struct xf_judge_evidence evidence;
    struct xf_facts facts; /* of the gates */
    json_t *blame;
    struct xf_document *shown; /* the document with the hold `store` where that stands */
};

/* A server's view from every proxy: up where any sees it up; the first reason that one gives who
 * sees it so (a server that is up may be ejected by some workers). */
static void fill_servers(const struct xf_tenure *tenure, const struct xf_config_cluster *cluster,
                         struct xf_status_server *servers)
{
    const struct xf_roster *roster = tenure->options.roster;
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        struct xf_status_server *server = &servers[i];
        const char *reasons[2] = {NULL, NULL};
        *server = (struct xf_status_server){.address = cluster->servers[i].endpoint.text};
        for (unsigned j = 0; j < xf_roster_count(roster); j++) {
            const struct xf_message_cluster *seen =
                xf_member_cluster(xf_roster_member(roster, j), cluster->name);
            for (size_t k = 0; seen != NULL && k < seen->servers_count; k++) {
                const struct xf_message_server *from = &seen->servers[k];
                if (strcmp(from->address, server->address) == 0) {
                    const char **reason = &reasons[from->up];
                    server->up = server->up || from->up;
                    server->in_flight += from->in_flight;
                    *reason = *reason == NULL && from->reason[0] != '\0' ? from->reason : *reason;
                }
            }
        }
        server->reason = reasons[server->up];
    }
}

static void fill_clusters(struct xf_tenure *tenure, struct view *view)
{
    const struct xf_config *config = tenure->options.config;
    for (unsigned i = 0; i < tenure->service->clusters_count; i++) {
        const struct xf_config_cluster *from = &config->clusters[tenure->service->clusters[i]];
        struct xf_status_cluster *to = &view->clusters[i];
        struct xf_traffic traffic;
        xf_roster_traffic(tenure->options.roster, tenure->service->name, from->name,
                          xf_tenure_now(tenure), &traffic);
        uint64_t p50 = xf_histogram_quantile(traffic.latency, 0.5);
        uint64_t p99 = xf_histogram_quantile(traffic.latency, 0.99);
        *to = (struct xf_status_cluster){
            .name = from->name,
            .in_flight = traffic.in_flight,
            .tunnels = traffic.tunnels,
            .pooled = traffic.pooled,
            .requests = traffic.requests,
            .errors = traffic.errors,
            .rescued = traffic.rescued,
            .no_route = traffic.no_route,
            .rps = traffic.rps,
            .error_ratio = traffic.error_ratio,
            .p50_ms = p50 > 0 ? (double) p50 / 1000.0 : -1,
            .p99_ms = p99 > 0 ? (double) p99 / 1000.0 : -1,
        };
        view->servers[i] = calloc(from->servers_count + 1, sizeof(**view->servers));
        if (view->servers[i] != NULL) {
            fill_servers(tenure, from, view->servers[i]);
            to->servers = view->servers[i];
            to->servers_count = from->servers_count;
        }
    }
    view->status.clusters = view->clusters;
    view->status.clusters_count = tenure->service->clusters_count;
}

static void fill_proxies(struct xf_tenure *tenure, struct view *view)
{
    const struct xf_roster *roster = tenure->options.roster;
    int64_t now = xf_tenure_now(tenure);
    unsigned count = xf_roster_count(roster);
    int actual = XF_STATUS_UNKNOWN;
    view->proxies = calloc(count + 1, sizeof(*view->proxies));
    for (unsigned i = 0; view->proxies != NULL && i < count; i++) {
        const struct xf_member *member = xf_roster_member(roster, i);
        const struct xf_message_service *service = xf_member_service(member, tenure->service->name);
        bool known = service != NULL && service->version.generation > 0;
        view->proxies[i] = (struct xf_status_proxy){
            .name = member->heartbeat.proxy.name,
            .id = member->heartbeat.proxy.id,
            .version_known = known,
            .version = known ? service->version : (struct xf_version){0},
            .in_force = known && service->in_force &&
                        xf_version_compare(&service->version, &tenure->version) == 0 &&
                        strcmp(service->write_id, tenure->write_id) == 0,
            .last_seen_s = (double) (now - member->seen_ms) / 1000.0,
            .silent = xf_member_silent(member, now),
        };
        if (!known || view->proxies[i].silent) {
            continue;
        }
        int weight = (int) service->weight;
        int desired = (int) tenure->document->weight;
        /* the one that is farthest from what is wanted */
        if (actual == XF_STATUS_UNKNOWN || abs(desired - weight) > abs(desired - actual)) {
            actual = weight;
        }
    }
    view->status.weight_actual = actual;
    view->status.proxies = view->proxies;
    view->status.proxies_count = view->proxies != NULL ? count : 0;
}

static void fill_step(struct xf_tenure *tenure, struct view *view)
{
    const struct xf_document *document = tenure->document;
    view->status.step.elapsed_ms = XF_STATUS_UNKNOWN;
    view->status.step.remaining_ms = XF_STATUS_UNKNOWN;
    view->status.step.eta_ms = XF_STATUS_UNKNOWN;
    if (xf_schedule_step(document) != NULL) {
        view->status.step.elapsed_ms = tenure->progress.step_ms;
        view->status.step.remaining_ms = xf_schedule_remaining_ms(document, &tenure->progress);
    }
    if (document->plan != NULL) {
        int64_t left = xf_schedule_left_ms(document, &tenure->progress);
        view->status.step.eta_ms = left >= 0 ? view->status.wall_ms + left : XF_STATUS_UNKNOWN;
    }
    view->status.drift_unseen = xf_tenure_drift_unseen(tenure);
    xf_tenure_during_facts(tenure, &view->facts);
    if (view->facts.gate != XF_GATE_PASSED && document->state != XF_CUTOVER_SAFE) {
        view->status.gate_sentence = view->facts.gate_sentence;
    }
    if (tenure->judging && document->step >= 0) {
        xf_judge_evidence(&tenure->judge, &view->evidence);
        view->status.evidence.known = true;
        view->status.evidence.enough = view->evidence.enough;
        view->status.evidence.green = view->evidence.green;
        view->status.evidence.missing = view->evidence.missing;
        view->status.evidence.missing_ms = view->evidence.missing_ms;
        view->status.evidence.sentence = view->evidence.sentence;
    }
}

/* Why no change can be written, and what would end that. */
static void say_store(const struct xf_tenure *tenure, struct xf_hold_entry *hold)
{
    const struct xf_pending_write *write = &tenure->write;
    bool unsure = write->on && write->final && write->why[0] != '\0' && tenure->options.store->ok;
    if (unsure) {
        (void) snprintf(hold->sentence, sizeof(hold->sentence),
                        "%s waits until a replica has it: %.300s",
                        xf_cutover_state_name(write->decision.document->state), write->why);
    } else {
        (void) snprintf(hold->sentence, sizeof(hold->sentence),
                        "the store takes no changes; traffic flows on at the last weight");
    }
    (void) snprintf(hold->lifted_by, sizeof(hold->lifted_by), "%s",
                    unsure ? "a replica that acknowledges, or taking it out of Redis"
                           : "the store's return");
}

static void fill_store(struct xf_tenure *tenure, struct view *view)
{
    bool ok = xf_tenure_store_ok(tenure);
    view->status.store.kind = tenure->options.store->kind == XF_STORE_SQLITE ? "sqlite" : "redis";
    view->status.store.scope = tenure->options.store->scope;
    view->status.store.ok = ok;
    view->status.store.since_ms = tenure->ok_wall_ms;
    view->status.store.stale_s = -1;
    if (ok || !xf_cutover_runs(tenure->document->state)) {
        return;
    }
    view->shown = xf_document_copy(tenure->document);
    if (view->shown != NULL) {
        struct xf_hold_entry *hold = &view->shown->holds[XF_HOLD_STORE];
        *hold = (struct xf_hold_entry){.on = true, .since_ms = tenure->ok_wall_ms};
        (void) snprintf(hold->by, sizeof(hold->by), "crossfade");
        say_store(tenure, hold);
        view->status.document = view->shown;
    }
}

/* Requests that a fence refused: of this service and its followers, and of the plan's others. */
static uint64_t count_fenced(const struct xf_tenure *tenure)
{
    const struct xf_plan *plan = tenure->document->plan;
    uint64_t fenced = 0;
    for (unsigned i = 0; i < xf_roster_count(tenure->options.roster); i++) {
        const struct xf_member *member = xf_roster_member(tenure->options.roster, i);
        const struct xf_message_service *own = xf_member_service(member, tenure->service->name);
        fenced += own != NULL ? own->fenced : 0;
        for (unsigned k = 0; plan != NULL && k < plan->fence_services_count; k++) {
            const struct xf_message_service *other =
                xf_member_service(member, plan->fence_services[k]);
            fenced += other != NULL && other != own ? other->fenced : 0;
        }
    }
    return fenced;
}

static void fill(struct xf_tenure *tenure, struct view *view)
{
    struct xf_facts facts;
    *view = (struct view){0};
    xf_tenure_facts(tenure, NULL, &facts);
    view->status.service = tenure->service->name;
    view->status.document = tenure->document;
    view->status.version = tenure->version;
    view->status.wall_ms = facts.wall_ms;
    fill_step(tenure, view);
    view->blame = xf_tenure_blame(tenure);
    view->status.blame = view->blame;
    fill_clusters(tenure, view);
    fill_proxies(tenure, view);
    fill_store(tenure, view);
    view->status.leader.known = xf_tenure_leads(tenure);
    view->status.leader.name = tenure->name;
    view->status.leader.id = tenure->holder;
    view->status.leader.epoch = xf_lease_epoch(tenure->lease);
    view->status.journal.configured = tenure->options.config->journal.url != NULL;
    if (tenure->options.journal != NULL) {
        struct xf_journal_view journal;
        xf_journal_look(tenure->options.journal, tenure->service->name, &journal);
        view->status.journal.ok = journal.ok;
        view->status.journal.backlog = journal.backlog;
    }
    view->status.fenced = count_fenced(tenure);
    view->status.config.digest = tenure->options.config->digest;
    view->status.config.reload_ok = true;
    for (unsigned i = 0; i < xf_roster_count(tenure->options.roster); i++) {
        const struct xf_message_heartbeat *heartbeat =
            &xf_roster_member(tenure->options.roster, i)->heartbeat;
        if (!heartbeat->reload_ok) {
            view->status.config.reload_ok = false;
            view->status.config.error = heartbeat->reload_error;
        }
    }
    view->status.blockers_count = xf_control_blockers(tenure->document, &facts, view->blockers);
    for (size_t i = 0; i < view->status.blockers_count; i++) {
        view->blocker_list[i] = view->blockers[i];
    }
    view->status.blockers = view->blocker_list;
}

static void view_release(struct view *view)
{
    for (unsigned i = 0; i < XF_SERVICE_CLUSTERS_MAX; i++) {
        free(view->servers[i]);
    }
    free(view->proxies);
    json_decref(view->blame);
    xf_document_destroy(view->shown);
}

/* ---- questions ---- */

static void give(struct xf_tenure *tenure, const char *request, int exit_code, const char *message,
                 json_t *body)
{
    struct xf_message_reply reply = {.exit = body != NULL || exit_code != 0 ? exit_code : 1,
                                     .body = body};
    (void) snprintf(reply.request, sizeof(reply.request), "%s", request);
    (void) snprintf(reply.message, sizeof(reply.message), "%s",
                    body == NULL && exit_code == 0 ? "out of memory" : message);
    tenure->calls.reply(tenure->calls.context, &reply);
    json_decref(body);
}

struct history_question {
    struct xf_tenure *tenure;
    char request[XF_REQUEST_ID_BYTES];
    int64_t since_ms;
    size_t count;
    bool of_journal; /* asked, and not the store */
};

static json_t *history_entry(const struct xf_store_entry *from)
{
    json_t *entry = json_loads(from->entry, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(entry)) {
        json_decref(entry);
        return NULL;
    }
    json_object_set_new(entry, "generation", json_integer((json_int_t) from->generation));
    json_object_set_new(entry, "revision", json_integer((json_int_t) from->revision));
    json_object_set_new(entry, "write_id", json_string(from->write_id));
    return entry;
}

static void got_history(void *context, enum xf_store_result result,
                        const struct xf_store_entry *entries, size_t count, const char *message)
{
    struct history_question *question = context;
    struct xf_store *store = question->tenure->options.store;
    if (question->of_journal && result != XF_STORE_OK) { /* the store has what it has not */
        question->of_journal = false;
        store->calls->read_log_tail(store, question->tenure->service->name, question->count,
                                    got_history, question);
        return;
    }
    json_t *array = json_array();
    for (size_t i = 0; result == XF_STORE_OK && i < count; i++) {
        json_t *entry = history_entry(&entries[i]);
        int64_t at_ms = 0;
        const char *at = json_string_value(json_object_get(entry, "at"));
        if (entry != NULL && (question->since_ms == 0 || (at != NULL && xf_parse_time(at, &at_ms) &&
                                                          at_ms >= question->since_ms))) {
            (void) json_array_append(array, entry);
        }
        json_decref(entry);
    }
    if (result == XF_STORE_OK || result == XF_STORE_ABSENT) {
        give(question->tenure, question->request, 0, "",
             json_pack("{s:o, s:s}", "entries", array, "source",
                       question->of_journal ? "journal" : "store"));
    } else {
        json_decref(array);
        give(question->tenure, question->request, 7,
             message != NULL && message[0] != '\0' ? message : "the store does not answer", NULL);
    }
    free(question);
}

#define HISTORY_COUNT_MAX 5000

static void ask_history(struct xf_tenure *tenure, const struct xf_message_command *command)
{
    struct xf_store *store = tenure->options.store;
    const json_t *count = json_object_get(command->arguments, "count");
    json_int_t wanted = json_is_integer(count) ? json_integer_value(count) : 100;
    wanted = wanted < 1 ? 1 : wanted > HISTORY_COUNT_MAX ? HISTORY_COUNT_MAX : wanted;
    struct history_question *question = calloc(1, sizeof(*question));
    if (question == NULL) {
        give(tenure, command->request, 1, "out of memory", NULL);
        return;
    }
    question->tenure = tenure;
    memcpy(question->request, command->request, sizeof(question->request));
    question->since_ms = json_integer_value(json_object_get(command->arguments, "since_ms"));
    question->count = (size_t) wanted;
    question->of_journal = true;
    if (tenure->options.journal == NULL ||
        !xf_journal_history(tenure->options.journal, tenure->service->name, question->since_ms,
                            question->count, got_history, question)) {
        question->of_journal = false;
        store->calls->read_log_tail(store, tenure->service->name, question->count, got_history,
                                    question);
    }
}

static void ask_signal(struct xf_tenure *tenure, const struct xf_message_command *command)
{
    const char *key = json_string_value(json_object_get(command->arguments, "key"));
    const struct xf_document *document = tenure->document;
    if (key == NULL || document->signal.sequence == 0 || strcmp(key, document->signal.key) != 0) {
        give(tenure, command->request, 1, "there is no such signal", NULL);
        return;
    }
    struct xf_signal_record record;
    xf_tenure_signal_record(document, &record);
    char *body = xf_signal_body(&record);
    give(tenure, command->request, 0, "", body != NULL ? json_loads(body, 0, NULL) : NULL);
    free(body);
}

bool xf_tenure_question(struct xf_tenure *tenure, const struct xf_message_command *command)
{
    bool status = strcmp(command->verb, "status") == 0;
    if (strcmp(command->verb, "history") == 0) {
        ask_history(tenure, command);
        return true;
    }
    if (strcmp(command->verb, "signal") == 0) {
        ask_signal(tenure, command);
        return true;
    }
    if (!status && strcmp(command->verb, "why") != 0) {
        return false;
    }
    struct view *view = calloc(1, sizeof(*view));
    if (view == NULL) {
        give(tenure, command->request, 1, "out of memory", NULL);
        return true;
    }
    fill(tenure, view);
    give(tenure, command->request, 0, "",
         status ? xf_status_build(&view->status) : xf_why_build(&view->status));
    view_release(view);
    free(view);
    return true;
}
