/*
 * tenure.c -- the life of a tenure: leading, loading, ticking, checkpoints, publishing.
 */
#include "shifter/controller/tenure.h"

#include "shifter/journal/journal.h"
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void on_led(void *context, uint64_t epoch);
static void on_lost(void *context, const char *why);

/* splitmix64: for sticky seeds and write ids, which must differ, not be secret. */
uint64_t xf_tenure_random(struct xf_tenure *tenure)
{
    uint64_t value = tenure->random += 0x9e3779b97f4a7c15ull;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

void xf_tenure_uuid(struct xf_tenure *tenure, char out[XF_UUID_TEXT_BYTES])
{
    uint64_t a = xf_tenure_random(tenure);
    uint64_t b = xf_tenure_random(tenure);
    (void) snprintf(out, XF_UUID_TEXT_BYTES, "%08x-%04x-4%03x-%04x-%012llx", (unsigned) (a >> 32),
                    (unsigned) (a >> 16) & 0xffff, (unsigned) a & 0xfff,
                    ((unsigned) (b >> 48) & 0x3fff) | 0x8000,
                    (unsigned long long) (b & 0xffffffffffffull));
}

void xf_tenure_note(struct xf_tenure *tenure, const char *event, const char *text)
{
    tenure->calls.note(tenure->calls.context, tenure->service->name, event, text, NULL);
}

struct xf_tenure *xf_tenure_create(const struct xf_tenure_options *options,
                                   const struct xf_tenure_calls *calls)
{
    struct xf_tenure *tenure = calloc(1, sizeof(*tenure));
    if (tenure == NULL) {
        return NULL;
    }
    tenure->magic = XF_TENURE_MAGIC;
    tenure->options = *options;
    tenure->calls = *calls;
    tenure->service = &options->config->services[options->service];
    (void) snprintf(tenure->holder, sizeof(tenure->holder), "%s", options->holder);
    (void) snprintf(tenure->name, sizeof(tenure->name), "%s", options->name);
    tenure->random = options->seed;
    if (tenure->random == 0 &&
        getrandom(&tenure->random, sizeof(tenure->random), 0) != sizeof(tenure->random)) {
        xf_tenure_destroy(tenure);
        return NULL;
    }
    tenure->grid_offset_ms = xf_clock_wall_ms(options->clock) - xf_tenure_now(tenure);
    xf_tenure_remember(tenure, options->copy);
    tenure->was_ok = true;
    tenure->created_ms = xf_tenure_now(tenure);
    tenure->ok_wall_ms = xf_clock_wall_ms(options->clock);
    xf_grid_init(&tenure->grid);
    struct xf_lease_calls lease_calls = {.led = on_led, .lost = on_lost, .context = tenure};
    tenure->lease = xf_lease_create(options->store, options->clock, tenure->service->name,
                                    tenure->holder, &lease_calls);
    if (tenure->lease == NULL) {
        xf_tenure_destroy(tenure);
        return NULL;
    }
    xf_lease_met_epoch(tenure->lease, tenure->version.epoch);
    return tenure;
}

void xf_tenure_destroy(struct xf_tenure *tenure)
{
    if (tenure == NULL) {
        return;
    }
    xf_lease_destroy(tenure->lease);
    for (unsigned i = 0; i < tenure->commands_count; i++) {
        struct xf_message_command *command =
            tenure->commands[(tenure->commands_first + i) % XF_COMMANDS_MAX];
        xf_message_command_release(command);
        free(command);
    }
    xf_tenure_gates_drop(tenure);
    xf_tenure_drift_release(tenure);
    if (tenure->write.for_command) {
        xf_message_command_release(&tenure->write.command);
    }
    xf_decision_release(&tenure->write.decision);
    free(tenure->write.document);
    free(tenure->write.entry);
    xf_tenure_recover_release(tenure);
    xf_document_destroy(tenure->document);
    free(tenure->document_text);
    free(tenure->judge_text);
    xf_tenure_blame_drop(tenure);
    xf_tenure_during_drop(tenure);
    tenure->magic = 0;
    free(tenure);
}

const struct xf_document *xf_tenure_document(const struct xf_tenure *tenure)
{
    return tenure->document;
}

bool xf_tenure_leads(const struct xf_tenure *tenure)
{
    return tenure->phase == XF_TENURE_LEADING && xf_lease_leads(tenure->lease);
}

struct xf_version xf_tenure_version(const struct xf_tenure *tenure,
                                    char ret_write_id[XF_UUID_TEXT_BYTES])
{
    memcpy(ret_write_id, tenure->write_id, XF_UUID_TEXT_BYTES);
    return tenure->document != NULL ? tenure->version : (struct xf_version){0};
}

const char *xf_tenure_service(const struct xf_tenure *tenure)
{
    return tenure->service->name;
}

bool xf_tenure_store_ok(const struct xf_tenure *tenure)
{
    return tenure->options.store->ok && !tenure->refused && !tenure->write.lost &&
           !tenure->holds_newer && !tenure->log_differs && tenure->ahead_ms == 0;
}

/* ---- leading and losing ---- */

static void on_led(void *context, uint64_t epoch)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    char text[64];
    (void) snprintf(text, sizeof(text), "epoch=%llu", (unsigned long long) epoch);
    xf_tenure_note(tenure, "leader.led", text);
    tenure->led_ms = xf_tenure_now(tenure);
    tenure->doubted = false;
    tenure->ahead_ms = 0;
    xf_tenure_load_again(tenure);
}

static void on_lost(void *context, const char *why)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    xf_tenure_note(tenure, "leader.lost", why);
    tenure->phase = XF_TENURE_ASIDE;
    if (tenure->options.journal != NULL) {
        xf_journal_leave(tenure->options.journal, tenure->service->name);
    }
    xf_tenure_write_drop(tenure, 7, "unknown: this host leads no more, the change may yet stand");
    xf_tenure_commands_drop(tenure, 7, "this host leads no more");
}

void xf_tenure_load_again(struct xf_tenure *tenure)
{
    tenure->phase = XF_TENURE_LOADING;
    tenure->read_log = false;
    tenure->read_progress = false;
    tenure->read_judge = false;
    tenure->read_time = false;
    tenure->read_roster = false;
    tenure->retry_ms = xf_tenure_now(tenure);
    /* What was counted belongs to the state that is loaded; the progress says what is kept. */
    tenure->progress = (struct xf_progress){0};
    xf_tenure_during_drop(tenure);
    tenure->judging = false;
    tenure->holds_newer = false;
    tenure->kept_members = UINT64_MAX;
}

/* ---- loading: state, then the checkpoints, then the store's clock ---- */

void xf_tenure_load_failed(struct xf_tenure *tenure, const char *what, const char *message)
{
    char text[XF_SENTENCE_BYTES];
    (void) snprintf(text, sizeof(text), "%s: %.400s", what, message != NULL ? message : "");
    xf_tenure_note(tenure, "store.read_failed", text);
    tenure->retry_ms = xf_tenure_now(tenure) + XF_RETRY_MS;
}

static void adopt_loaded(struct xf_tenure *tenure, const struct xf_store_state *state,
                         struct xf_document *document)
{
    if (!xf_tenure_keep(tenure, state, document)) {
        xf_tenure_load_failed(tenure, "state", "out of memory");
    }
}

static void got_state(void *context, enum xf_store_result result,
                      const struct xf_store_state *state, const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->reading = XF_READ_NONE;
    struct xf_document *document = NULL;
    struct xf_error err = {0};
    bool whole = result == XF_STORE_OK && xf_document_read(state->document, &document, &err) == 0 &&
                 strcmp(document->service, tenure->service->name) == 0;
    if (whole && xf_tenure_foreign(tenure, &state->version, document)) {
        xf_document_destroy(document);
        /* Not ticked while it is foreign; once it is not, taken and loaded like any other. */
        xf_lease_renew(tenure->lease, "the store holds another installation's state");
        return;
    }
    tenure->unreadable = result == XF_STORE_UNREADABLE;
    if (result == XF_STORE_ABSENT || result == XF_STORE_UNREADABLE) {
        if (!xf_tenure_recover_absent(tenure)) {
            xf_tenure_load_failed(tenure, "state", "out of memory");
        }
    } else if (result != XF_STORE_OK) {
        xf_tenure_load_failed(tenure, "state", message);
    } else if (tenure->document != NULL &&
               xf_version_compare(&state->version, &tenure->version) < 0) {
        tenure->holds_newer = true;
        tenure->doubted = true;
        tenure->found = state->version;
        xf_document_destroy(document);
    } else if (!whole) {
        xf_tenure_note(tenure, "store.damaged",
                       err.message[0] != '\0' ? err.message : "the document is another service's");
        xf_document_destroy(document);
        xf_tenure_recover_met(tenure, state->version.generation);
        tenure->unreadable = true;
        if (!xf_tenure_recover_absent(tenure)) {
            xf_tenure_load_failed(tenure, "state", "out of memory");
        }
        tenure->found = state->version;
    } else {
        adopt_loaded(tenure, state, document);
    }
    if (tenure->retry_ms <= xf_tenure_now(tenure) && tenure->phase == XF_TENURE_LOADING &&
        tenure->document != NULL) {
        tenure->read_log = tenure->log_differs;
        tenure->read_progress = !tenure->log_differs;
    }
}

/* The log's top, where it is elsewhere than the state: what is written next goes beyond it. */
static void got_log(void *context, enum xf_store_result result,
                    const struct xf_store_entry *entries, size_t count, const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->reading = XF_READ_NONE;
    if (result == XF_STORE_LOST || result == XF_STORE_REFUSED) {
        xf_tenure_load_failed(tenure, "log", message);
        return;
    }
    if (result == XF_STORE_OK && count > 0) {
        xf_tenure_recover_met(tenure, entries[count - 1].generation);
    }
    xf_tenure_recover_beyond(tenure);
    tenure->log_differs = false;
    tenure->read_log = false;
    tenure->read_progress = true;
}

static void got_progress(void *context, enum xf_store_result result, const char *text,
                         const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->reading = XF_READ_NONE;
    if (result != XF_STORE_OK && result != XF_STORE_ABSENT && result != XF_STORE_UNREADABLE) {
        xf_tenure_load_failed(tenure, "progress", message);
        return;
    }
    if (result == XF_STORE_OK && xf_progress_read(text, &tenure->progress, NULL) != 0) {
        tenure->progress = (struct xf_progress){0};
    }
    if (result == XF_STORE_OK) {
        xf_tenure_members_recall(tenure, text);
    } else { /* lost or damaged: nobody who is silent may be lost with it */
        xf_tenure_members_expect(tenure);
    }
    tenure->progress.weight = tenure->document->weight;
    tenure->read_progress = false;
    tenure->read_judge = true;
    tenure->read_roster = tenure->options.store->calls->read_roster != NULL;
}

static void got_judge(void *context, enum xf_store_result result, const char *text,
                      const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->reading = XF_READ_NONE;
    if (result != XF_STORE_OK && result != XF_STORE_ABSENT && result != XF_STORE_UNREADABLE) {
        xf_tenure_load_failed(tenure, "judge", message);
        return;
    }
    free(tenure->judge_text);
    tenure->judge_text = result == XF_STORE_OK ? strdup(text) : NULL;
    tenure->read_judge = false;
    tenure->read_time = true;
}

static void lead(struct xf_tenure *tenure)
{
    tenure->phase = XF_TENURE_LEADING;
    tenure->unsure = true;
    tenure->journal_behind_ms = 0;
    if (tenure->options.journal != NULL) {
        xf_journal_lead(tenure->options.journal, tenure->service->name, tenure->holder,
                        xf_lease_epoch(tenure->lease));
    }
    xf_grid_init(&tenure->grid);
    tenure->listens_since_ms = xf_tenure_now(tenure);
    tenure->listened_at_ms = tenure->listens_since_ms;
    xf_tenure_judge_follow(tenure);
    xf_tenure_signal_lead(tenure);
    if (tenure->version.generation > 0 && !tenure->holds_newer) {
        xf_tenure_publish(tenure);
    }
}

static void got_time(void *context, enum xf_store_result result, const char *text,
                     const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->reading = XF_READ_NONE;
    uint64_t ms;
    if (result != XF_STORE_OK || !xf_parse_uint(text, INT64_MAX / 4, &ms)) {
        xf_tenure_load_failed(tenure, "time", message);
        return;
    }
    tenure->grid_offset_ms = (int64_t) ms - xf_tenure_now(tenure);
    tenure->read_time = false;
    lead(tenure);
}

static void load(struct xf_tenure *tenure)
{
    struct xf_store *store = tenure->options.store;
    const char *service = tenure->service->name;
    if (tenure->reading != XF_READ_NONE || xf_tenure_now(tenure) < tenure->retry_ms) {
        return;
    }
    if (tenure->read_time) {
        tenure->reading = XF_READ_TIME;
        store->calls->read_time(store, got_time, tenure);
    } else if (tenure->read_roster) {
        xf_tenure_members_read(tenure, true);
    } else if (tenure->read_judge) {
        tenure->reading = XF_READ_JUDGE;
        store->calls->read_checkpoint(store, service, "judge", got_judge, tenure);
    } else if (tenure->read_log) {
        tenure->reading = XF_READ_LOG;
        store->calls->read_log_tail(store, service, 1, got_log, tenure);
    } else if (tenure->read_progress) {
        tenure->reading = XF_READ_PROGRESS;
        store->calls->read_checkpoint(store, service, "progress", got_progress, tenure);
    } else {
        tenure->reading = XF_READ_STATE;
        store->calls->read_state(store, service, got_state, tenure);
    }
}

/* ---- publishing and checkpoints ---- */

struct xf_tenure_held xf_tenure_held(const struct xf_tenure *tenure, const char *name)
{
    struct xf_tenure_held held = {0, 0};
    for (unsigned i = 0; name[0] != '\0' && i < xf_roster_count(tenure->options.roster); i++) {
        const struct xf_message_cluster *cluster =
            xf_member_cluster(xf_roster_member(tenure->options.roster, i), name);
        held.tunnels += cluster != NULL ? cluster->tunnels : 0;
        held.in_flight += cluster != NULL ? cluster->in_flight : 0;
    }
    return held;
}

void xf_tenure_publish(struct xf_tenure *tenure)
{
    struct xf_message_state state = {
        .version = tenure->version,
        .document = tenure->document_text,
        .progress = {.step_elapsed_ms = -1, .step_remaining_ms = -1},
        .store_time_ms = xf_tenure_store_time(tenure),
    };
    if (xf_schedule_step(tenure->document) != NULL) {
        state.progress.step_elapsed_ms = tenure->progress.step_ms;
        state.progress.step_remaining_ms =
            xf_schedule_remaining_ms(tenure->document, &tenure->progress);
    }
    state.progress.proxies = xf_roster_count(tenure->options.roster);
    const char *emptied =
        tenure->document->weight == 0 ? tenure->document->to : tenure->document->from;
    struct xf_tenure_held held = xf_tenure_held(tenure, emptied);
    struct xf_tenure_held ordered = xf_tenure_held(tenure, tenure->document->drain.cluster);
    state.progress.tunnels = held.tunnels;
    state.progress.in_flight = held.in_flight;
    state.progress.ordered_tunnels = ordered.tunnels;
    state.progress.ordered_in_flight = ordered.in_flight;
    if (tenure->options.journal != NULL) {
        struct xf_journal_view journal;
        xf_journal_look(tenure->options.journal, tenure->service->name, &journal);
        state.progress.journal = journal.ok ? 2 : 1;
        state.progress.journal_backlog = journal.backlog;
    }
    memcpy(state.service, tenure->service->name, strlen(tenure->service->name) + 1);
    memcpy(state.write_id, tenure->write_id, sizeof(state.write_id));
    memcpy(state.leader.id, tenure->holder, sizeof(state.leader.id));
    memcpy(state.leader.name, tenure->name, sizeof(state.leader.name));
    tenure->published_ms = xf_tenure_now(tenure);
    tenure->calls.publish(tenure->calls.context, &state);
}

static void checkpoint_done(void *context, enum xf_store_result result, const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    (void) message;
    XF_ASSERT(tenure->checkpoints_open > 0);
    tenure->checkpoints_open--;
    if (result == XF_STORE_OK) {
        tenure->refused = false;
        tenure->kept_members = tenure->keeping_members;
    } else if (result == XF_STORE_REFUSED) {
        tenure->refused = true;
    }
}

/* `progress` and `judge`, each second; never more than one of each on its way. */
static void checkpoint(struct xf_tenure *tenure)
{
    struct xf_store *store = tenure->options.store;
    int64_t now = xf_tenure_now(tenure);
    bool changed = tenure->kept_members != xf_roster_version(tenure->options.roster);
    if (tenure->checkpoints_open > 0 || now - tenure->checkpoint_ms < XF_CHECKPOINT_MS ||
        (!changed && !xf_cutover_runs(tenure->document->state))) {
        return;
    }
    tenure->checkpoint_ms = now;
    tenure->keeping_members = xf_roster_version(tenure->options.roster);
    char *progress = xf_tenure_members_text(tenure);
    char *judge = xf_tenure_judge_save(tenure);
    const char *names[] = {"progress", "judge"};
    const char *texts[] = {progress, judge};
    for (unsigned i = 0; i < XF_COUNT(texts); i++) {
        if (texts[i] != NULL) {
            tenure->checkpoints_open++;
            store->calls->write_checkpoint(store, tenure->service->name, names[i], tenure->holder,
                                           xf_lease_epoch(tenure->lease), texts[i], checkpoint_done,
                                           tenure);
        }
    }
    free(progress);
    free(judge);
}

/* ---- ticking ---- */

/* Writes the first document, or the one known here where the store was found older. */
static bool write_first(struct xf_tenure *tenure)
{
    if (tenure->version.generation > 0 && !tenure->holds_newer) {
        return false;
    }
    bool restored = tenure->holds_newer;
    if (restored) {
        xf_tenure_members_expect(tenure);
    }
    struct xf_decision decision = {.document = xf_document_copy(tenure->document)};
    char at[XF_TIME_TEXT_BYTES];
    decision.entry = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:n, s:{s:s, s:f, s:i}, s:s, s:n}", "at",
        xf_format_time(xf_clock_wall_ms(tenure->options.clock), at), "actor", "crossfade", "verb",
        restored ? "restored" : "created", "reason", restored ? "the store knew less" : "",
        "cutover", tenure->document->cutover, "before", "after", "state",
        xf_cutover_state_name(tenure->document->state), "weight", tenure->document->weight / 100.0,
        "step", tenure->document->step + 1, "sentence",
        restored ? "the control state is restored; the weight is as it was"
                 : "the service's first state",
        "verdict");
    if (decision.document == NULL || decision.entry == NULL) {
        xf_decision_release(&decision);
        return true;
    }
    xf_tenure_write(tenure, &decision, NULL, restored);
    return true;
}

static void decide(struct xf_tenure *tenure)
{
    struct xf_facts facts;
    xf_tenure_facts(tenure, NULL, &facts);
    facts.judge_listened = xf_tenure_judge_listen(tenure, &facts.fleet);
    xf_progress_tick(&tenure->progress, tenure->document, facts.boot_ms, facts.fleet.in_force,
                     !tenure->write.on && xf_control_counts(tenure->document, &facts));
    if (tenure->write.on) {
        return;
    }
    bool recovering = xf_tenure_recovering(tenure);
    tenure->unsure = recovering || tenure->holds_newer;
    if (recovering || write_first(tenure)) {
        return;
    }
    tenure->counted = tenure->version;
    xf_tenure_commands_tick(tenure);
    if (tenure->write.on) {
        return;
    }
    struct xf_decision decision;
    xf_control_tick(tenure->document, &tenure->progress, &facts, &decision);
    xf_tenure_drift_tick(tenure, decision.wants_drift);
    xf_tenure_gates_tick(tenure, &facts);
    if (decision.document != NULL) {
        xf_tenure_judge_explain(tenure, decision.entry);
        xf_tenure_write(tenure, &decision, NULL, false);
    }
}

/* The log's top, too: an agent that cannot read the log hears no answers. */
static void got_log_look(void *context, enum xf_store_result result,
                         const struct xf_store_entry *entries, size_t count, const char *message)
{
    struct xf_tenure *tenure = context;
    (void) message;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->looking = false;
    bool same = xf_version_compare(&tenure->version, &tenure->looked_from) == 0;
    bool known =
        result == XF_STORE_OK || result == XF_STORE_ABSENT || result == XF_STORE_UNREADABLE;
    if (tenure->phase != XF_TENURE_LEADING || tenure->write.on || !same || !known) {
        return;
    }
    bool agrees = result == XF_STORE_OK && count == 1 &&
                  entries[0].generation == tenure->version.generation &&
                  entries[0].revision == tenure->version.revision;
    if (!agrees) {
        xf_tenure_note(tenure, "store.log_differs", "the log's top is not the state");
        tenure->log_differs = true;
        xf_tenure_load_again(tenure);
    }
}

/* What the store has while nothing is being written: an older save may stand there again. */
static void got_look(void *context, enum xf_store_result result, const struct xf_store_state *state,
                     const char *message)
{
    struct xf_tenure *tenure = context;
    (void) message;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->looking = false;
    bool same = xf_version_compare(&tenure->version, &tenure->looked_from) == 0;
    if (tenure->phase != XF_TENURE_LEADING || tenure->write.on || !same) {
        return;
    }
    struct xf_version found = result == XF_STORE_OK ? state->version : (struct xf_version){0};
    bool known = result == XF_STORE_OK || result == XF_STORE_ABSENT;
    if (known && xf_version_compare(&found, &tenure->version) < 0) {
        xf_tenure_note(tenure, "store.set_back", "the store knows less than it did");
        tenure->holds_newer = true;
        tenure->doubted = true;
        tenure->unsure = true; /* at once: no attempt of a signal begins before the next tick */
        tenure->led_ms = xf_tenure_now(tenure);
        tenure->found = found;
    } else if (result == XF_STORE_UNREADABLE) {
        xf_tenure_note(tenure, "store.damaged", "what the store has is not what was written");
        xf_tenure_load_again(tenure);
    } else if (result == XF_STORE_OK && tenure->options.store->kind != XF_STORE_SQLITE) {
        tenure->looking = true;
        tenure->options.store->calls->read_log_tail(tenure->options.store, tenure->service->name, 1,
                                                    got_log_look, tenure);
    }
}

static void look_at_store(struct xf_tenure *tenure)
{
    int64_t now = xf_tenure_now(tenure);
    bool due = now - tenure->looked_ms >= XF_LOOK_MS;
    if (!due || tenure->looking || tenure->write.on || tenure->holds_newer ||
        tenure->version.generation == 0 || !xf_tenure_store_ok(tenure)) {
        return;
    }
    xf_tenure_members_read(tenure, false);
    tenure->looked_ms = now;
    tenure->looking = true;
    tenure->looked_from = tenure->version;
    tenure->options.store->calls->read_state(tenure->options.store, tenure->service->name, got_look,
                                             tenure);
}

static void watch_store(struct xf_tenure *tenure)
{
    bool ok = xf_tenure_store_ok(tenure);
    if (ok != tenure->was_ok) {
        tenure->was_ok = ok;
        tenure->ok_wall_ms = xf_clock_wall_ms(tenure->options.clock);
        xf_tenure_note(tenure, ok ? "store.back" : "store.lost",
                       ok ? "it takes changes again"
                          : "no change can be written; traffic flows on at the last weight");
    }
}

void xf_tenure_tick(struct xf_tenure *tenure)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    xf_tenure_follow_tick(tenure);
    if (xf_tenure_may_lead(tenure)) {
        xf_lease_tick(tenure->lease);
    }
    if (tenure->phase == XF_TENURE_LOADING) {
        load(tenure);
    }
    if (tenure->phase == XF_TENURE_LEADING && xf_lease_leads(tenure->lease)) {
        watch_store(tenure);
        xf_tenure_judge_tick(tenure);
        xf_tenure_during_tick(tenure);
        xf_tenure_write_tick(tenure);
        xf_tenure_action_tick(tenure);
        decide(tenure);
        checkpoint(tenure);
        look_at_store(tenure);
        if (xf_tenure_now(tenure) - tenure->published_ms >= 1000 &&
            tenure->version.generation > 0 && !tenure->holds_newer) {
            xf_tenure_publish(tenure);
        }
    } else {
        xf_tenure_commands_tick(tenure);
    }
    if (tenure->document != NULL) {
        xf_tenure_signal_tick(tenure);
    }
    xf_tenure_waiters_tick(tenure);
}
