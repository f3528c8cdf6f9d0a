/*
 * test_tenure.c -- one service and its leadership on a store that the test holds in its hands:
 * each call waits until the test answers it.
 */
#include "shifter/controller/tenure_parts.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOLDER    "00000000-0000-4000-8000-000000000001"
#define PROXY     "00000000-0000-4000-8000-0000000000aa"
#define CALLS_MAX 32u

enum kind { STATE, WRITE, TAIL, PUT, GET, LEASE, SWAP, TIME, SIGNAL };

struct call {
    enum kind kind;
    void *done, *context;
    struct xf_store_lease seen, next;
};

struct world {
    struct xf_store store; /* first */
    struct xf_clock clock;
    int64_t now_ms;
    struct xf_config *config;
    struct xf_roster *roster;
    struct xf_tenure *tenure;
    struct call calls[CALLS_MAX];
    unsigned calls_count, kinds[SIGNAL + 1];
    /* what stands in the store */
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    char *document;
    struct xf_store_lease lease;
    unsigned refusals; /* of attempts to signal */
};

static struct world world;

/* ---- the store ---- */

static struct call *post(enum kind kind, void *done, void *context)
{
    assert_true(world.calls_count < CALLS_MAX);
    struct call *call = &world.calls[world.calls_count++];
    *call = (struct call){.kind = kind, .done = done, .context = context};
    world.kinds[kind]++;
    return call;
}

static void read_state(struct xf_store *store, const char *service, xf_store_got_state *done,
                       void *context)
{
    (void) store;
    (void) service;
    (void) post(STATE, (void *) done, context);
}

/* Done at once; only the answer waits. */
static void write_state(struct xf_store *store, const struct xf_store_write *write,
                        xf_store_done *done, void *context)
{
    (void) store;
    free(world.document);
    world.document = strdup(write->document);
    world.version = write->next;
    snprintf(world.write_id, sizeof(world.write_id), "%s", write->write_id);
    (void) post(WRITE, (void *) done, context);
}

static void read_log_tail(struct xf_store *store, const char *service, size_t count,
                          xf_store_got_log *done, void *context)
{
    (void) store;
    (void) service;
    (void) count;
    (void) post(TAIL, (void *) done, context);
}

static void write_checkpoint(struct xf_store *store, const char *service, const char *name,
                             const char *holder, uint64_t epoch, const char *text,
                             xf_store_done *done, void *context)
{
    (void) store;
    (void) service;
    (void) name;
    (void) holder;
    (void) epoch;
    (void) text;
    (void) post(PUT, (void *) done, context);
}

static void read_checkpoint(struct xf_store *store, const char *service, const char *name,
                            xf_store_got_text *done, void *context)
{
    (void) store;
    (void) service;
    (void) name;
    (void) post(GET, (void *) done, context);
}

static void read_lease(struct xf_store *store, const char *service, xf_store_got_lease *done,
                       void *context)
{
    (void) store;
    (void) service;
    (void) post(LEASE, (void *) done, context);
}

static void swap_lease(struct xf_store *store, const char *service,
                       const struct xf_store_lease *seen, const struct xf_store_lease *next,
                       xf_store_done *done, void *context)
{
    (void) store;
    (void) service;
    struct call *call = post(SWAP, (void *) done, context);
    call->seen = *seen;
    call->next = *next;
}

static void read_time(struct xf_store *store, xf_store_got_text *done, void *context)
{
    (void) store;
    (void) post(TIME, (void *) done, context);
}

static void write_signal(struct xf_store *store, const char *service, const char *holder,
                         uint64_t epoch, const char *record, xf_store_done *done, void *context)
{
    (void) store;
    (void) service;
    (void) holder;
    (void) epoch;
    (void) record;
    (void) post(SIGNAL, (void *) done, context);
}

static const struct xf_store_vtable hand_calls = {.read_state = read_state,
                                                  .write = write_state,
                                                  .read_log_tail = read_log_tail,
                                                  .write_checkpoint = write_checkpoint,
                                                  .read_checkpoint = read_checkpoint,
                                                  .read_lease = read_lease,
                                                  .swap_lease = swap_lease,
                                                  .read_time = read_time,
                                                  .write_signal = write_signal};

static void answer_swap(const struct call *call)
{
    bool same =
        strcmp(call->seen.holder, world.lease.holder) == 0 && call->seen.beat == world.lease.beat;
    if (same) {
        world.lease = call->next;
    }
    ((xf_store_done *) call->done)(call->context, same ? XF_STORE_OK : XF_STORE_STALE, "");
}

static void answer(const struct call *call)
{
    struct xf_store_state state = {.version = world.version, .document = world.document};
    struct xf_store_entry top = {.generation = world.version.generation,
                                 .revision = world.version.revision};
    enum xf_store_result there = world.document != NULL ? XF_STORE_OK : XF_STORE_ABSENT;
    memcpy(state.write_id, world.write_id, sizeof(state.write_id));
    switch (call->kind) {
    case STATE:
        ((xf_store_got_state *) call->done)(call->context, there, &state, "");
        break;
    case TAIL:
        ((xf_store_got_log *) call->done)(call->context, there, &top, 1, "");
        break;
    case GET:
        ((xf_store_got_text *) call->done)(call->context, XF_STORE_ABSENT, NULL, "");
        break;
    case TIME:
        ((xf_store_got_text *) call->done)(call->context, XF_STORE_OK, "1790000000000", "");
        break;
    case LEASE:
        ((xf_store_got_lease *) call->done)(call->context, XF_STORE_OK, &world.lease, "");
        break;
    case SWAP:
        answer_swap(call);
        break;
    case WRITE:
    case PUT:
    case SIGNAL:
        ((xf_store_done *) call->done)(call->context, XF_STORE_OK, "");
        break;
    }
}

/* Answers what is open, and what that asks for. */
static void answer_all(void)
{
    while (world.calls_count > 0) {
        struct call call = world.calls[0];
        memmove(&world.calls[0], &world.calls[1], --world.calls_count * sizeof(call));
        answer(&call);
    }
}

/* ---- what the tenure calls ---- */

static int64_t now_ns(void *context)
{
    return ((struct world *) context)->now_ms * 1000000;
}

static int64_t wall_ms(void *context)
{
    return ((struct world *) context)->now_ms + 1790000000000;
}

static void publish(void *context, const struct xf_message_state *state)
{
    (void) context;
    (void) state;
}

static void note(void *context, const char *service, const char *event, const char *text,
                 const json_t *entry)
{
    (void) context;
    (void) service;
    (void) event;
    (void) text;
    (void) entry;
}

static void deliver(void *context, const char *service, const struct xf_signal_record *record,
                    const struct xf_plan *plan)
{
    (void) context;
    (void) service;
    (void) record;
    (void) plan;
}

static void checked(void *context, const char *service, bool stands)
{
    (void) context;
    (void) service;
    world.refusals += !stands;
}

static const char *nobody(void *context, const char *service, const char *cluster)
{
    (void) context;
    (void) service;
    (void) cluster;
    return NULL;
}

static void make_config(void)
{
    static const char text[] = "store: redis://127.0.0.1:1/0\n"
                               "listeners: [{bind: \"127.0.0.1:1\", service: gateway}]\n"
                               "services: {gateway: {live: v1, clusters: [v1, v2]}}\n"
                               "clusters: {v1: \"127.0.0.1:1\", v2: \"127.0.0.1:2\"}\n";
    struct xf_problems problems = {0};
    if (xf_config_parse("c", text, sizeof(text) - 1, &world.config, &problems) != 0) {
        fail_msg("%s", problems.items[0].message);
    }
    xf_problems_release(&problems);
}

static void pass_time(int64_t ms)
{
    for (int64_t end = world.now_ms + ms; world.now_ms < end; world.now_ms += 100) {
        xf_tenure_tick(world.tenure);
        answer_all();
    }
}

static void until_it_leads(int64_t ms)
{
    for (int64_t end = world.now_ms + ms; world.now_ms < end && !xf_tenure_leads(world.tenure);) {
        pass_time(100);
    }
    assert_true(xf_tenure_leads(world.tenure));
}

static int set_up(void **state)
{
    (void) state;
    world = (struct world){.now_ms = 100000};
    make_config();
    world.store.calls = &hand_calls;
    world.store.kind = XF_STORE_REDIS;
    world.store.ok = true;
    world.clock = (struct xf_clock){
        .monotonic_ns = now_ns, .boottime_ns = now_ns, .wall_ms = wall_ms, .context = &world};
    world.roster = xf_roster_create(world.config);
    struct xf_tenure_options options = {.config = world.config,
                                        .store = &world.store,
                                        .clock = &world.clock,
                                        .roster = world.roster,
                                        .holder = HOLDER,
                                        .name = "here",
                                        .seed = 1};
    struct xf_tenure_calls calls = {.publish = publish,
                                    .note = note,
                                    .deliver = deliver,
                                    .checked = checked,
                                    .in_use_by = nobody,
                                    .signalled_by = nobody,
                                    .context = &world};
    world.tenure = xf_tenure_create(&options, &calls);
    assert_non_null(world.tenure);
    until_it_leads(10000);
    pass_time(3000);
    assert_int_equal(world.version.generation, 1); /* the service's first document */
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    answer_all();
    xf_tenure_destroy(world.tenure);
    xf_roster_destroy(world.roster);
    xf_config_destroy(world.config);
    free(world.document);
    return 0;
}

static void who_leads_beats_and_writes_the_first_document_once(void **state)
{
    (void) state;
    pass_time(5000);
    assert_int_equal(world.kinds[WRITE], 1);
    assert_string_equal(world.lease.holder, HOLDER);
}

/* A namespace that two installations were given by mistake, for a second. */
static void a_foreign_state_that_ends_before_the_lease_does_leaves_the_service_led(void **state)
{
    (void) state;
    struct xf_document *foreign = xf_document_create("gateway", "v1");
    char *own = world.document;
    assert_string_not_equal(foreign->install_id, world.tenure->document->install_id);
    world.document = xf_document_write(foreign);
    world.version.generation = 9;
    for (unsigned i = 0; i < 30 && !world.tenure->foreign; i++) {
        pass_time(100);
    }
    assert_true(world.tenure->foreign);
    assert_false(xf_tenure_leads(world.tenure));
    free(world.document);
    world.document = own;
    world.version.generation = 1;
    until_it_leads(5000);
    assert_int_equal(world.kinds[WRITE], 1); /* nothing was written over the foreign one */
    xf_document_destroy(foreign);
}

static void a_store_that_was_set_back_stops_the_signal_before_the_next_tick(void **state)
{
    (void) state;
    struct xf_document *document = world.tenure->document;
    document->signal.sequence = 1;
    snprintf(document->signal.key, sizeof(document->signal.key), "gone/1");
    world.tenure->version.generation = 5; /* as this leader wrote it */
    world.version.generation = 5;
    xf_tenure_signal_check(world.tenure);
    assert_int_equal(world.kinds[SIGNAL], 1); /* all is well: the attempt may be made sure of */
    answer_all();
    assert_int_equal(world.refusals, 0);
    world.version.generation = 4; /* an older save */
    while (!world.tenure->holds_newer) {
        world.now_ms += 100;
        if (world.calls_count == 0) {
            xf_tenure_tick(world.tenure);
        }
        answer_all();
    }
    xf_tenure_signal_check(world.tenure);
    assert_int_equal(world.kinds[SIGNAL], 1);
    assert_int_equal(world.refusals, 1);
}

/* The checkpoint is written each second, so it may be older than the last `forget`. */
static void who_was_forgotten_comes_back_only_by_what_another_leader_knew(void **state)
{
    (void) state;
    static const char text[] =
        "{\"members\": [[\"00000000-0000-4000-8000-0000000000aa\", \"edge-1\"]]}";
    xf_tenure_members_recall(world.tenure, text);
    assert_int_equal(xf_roster_count(world.roster), 1);
    assert_true(xf_roster_forget(world.roster, "edge-1", world.now_ms));
    xf_tenure_members_recall(world.tenure, text);
    assert_int_equal(xf_roster_count(world.roster), 0);
    world.tenure->counted = (struct xf_version){0}; /* another one led since, and heard it */
    xf_tenure_members_recall(world.tenure, text);
    assert_int_equal(xf_roster_count(world.roster), 1);
}

/* ---- a cutover that another leader left at 10 %, its hold over ---- */

static void store_running(void)
{
    static const char plan[] = "name: p\nservice: gateway\nto: v2\nsteps:\n"
                               "  - {weight: 10%, hold: 1s, evidence: advisory}\n"
                               "  - {weight: 50%, hold: 1h, evidence: advisory}\n"
                               "  - {weight: 100%, hold: 1h}\n";
    struct xf_document *document = xf_document_copy(world.tenure->document);
    struct xf_problems problems = {0};
    assert_int_equal(xf_plan_parse("p", plan, sizeof(plan) - 1, &document->plan, &problems), 0);
    document->state = XF_CUTOVER_SHIFTING;
    snprintf(document->from, sizeof(document->from), "v1");
    snprintf(document->to, sizeof(document->to), "v2");
    snprintf(document->cutover, sizeof(document->cutover), "p/1");
    document->attempts = 1;
    document->verdict_attempt = 1;
    document->step = 0;
    document->step_entry = 2;
    document->weight = 1000;
    free(world.document);
    world.document = xf_document_write(document);
    assert_non_null(world.document);
    world.version.generation = 5;
    xf_document_destroy(document);
}

/* One proxy, which has what is stored in force. */
static void beat(void)
{
    struct xf_message_heartbeat heartbeat = {.reload_ok = true, .services_count = 1};
    heartbeat.services = calloc(1, sizeof(*heartbeat.services));
    struct xf_message_service *service = heartbeat.services;
    snprintf(heartbeat.proxy.id, sizeof(heartbeat.proxy.id), "%s", PROXY);
    snprintf(heartbeat.proxy.boot, sizeof(heartbeat.proxy.boot), "%s", PROXY);
    snprintf(heartbeat.proxy.name, sizeof(heartbeat.proxy.name), "edge-1");
    snprintf(service->name, sizeof(service->name), "gateway");
    snprintf(service->digest, sizeof(service->digest), "%s", world.config->services[0].digest);
    service->version = world.version;
    memcpy(service->write_id, world.write_id, sizeof(service->write_id));
    service->in_force = true;
    assert_true(xf_roster_heartbeat(world.roster, &heartbeat, world.now_ms));
}

/* The two cells that closed last; half of green's answers in them are bad. */
static void fail_on_green(void)
{
    struct xf_message_cell cells[2] = {0};
    struct xf_message_samples samples = {.seq = (uint64_t) world.now_ms,
                                         .service = "gateway",
                                         .attempt = 1,
                                         .cells = cells,
                                         .cells_count = 2};
    snprintf(samples.proxy.id, sizeof(samples.proxy.id), "%s", PROXY);
    snprintf(samples.proxy.boot, sizeof(samples.proxy.boot), "%s", PROXY);
    for (unsigned i = 0; i < 2; i++) {
        cells[i].number = (uint64_t) xf_tenure_store_time(world.tenure) / 50 - 2 + i;
        cells[i].entries_count = 1;
        cells[i].entries[0].weight = 1000;
        cells[i].entries[0].counts =
            (struct xf_message_counts){.sent = {90, 10}, .done = {90, 10}, .bad = {0, 5}};
    }
    xf_tenure_samples(world.tenure, &samples);
}

/* So long, with a heartbeat each second. */
static void hear(int64_t ms, bool green_fails)
{
    for (int64_t passed = 0; passed < ms; passed += 100) {
        if (passed % 1000 == 0) {
            beat();
        }
        if (green_fails) {
            fail_on_green();
        }
        pass_time(100);
        if (world.tenure->version.generation != 5 && passed % 1000 != 900) {
            beat(); /* a change is obeyed at once */
        }
    }
}

static unsigned weight_now(void)
{
    return world.tenure->document->weight;
}

static void lead_what_runs(void)
{
    store_running();
    beat();
    xf_tenure_load_again(world.tenure);
    until_it_leads(2000);
    world.tenure->progress.attempt = 1; /* as the checkpoint would say */
    world.tenure->progress.step_entry = 2;
    world.tenure->progress.step_ms = 1000;
}

static void who_begins_to_lead_listens_before_it_raises(void **state)
{
    (void) state;
    lead_what_runs();
    hear(1300, false);
    assert_int_equal(weight_now(), 1000);
    hear(1000, false);
    assert_int_equal(weight_now(), 5000);
}

static void what_failed_while_nobody_led_is_seen_before_a_rise(void **state)
{
    (void) state;
    lead_what_runs();
    for (unsigned i = 0; i < 60; i++) {
        hear(100, true);
        assert_true(weight_now() <= 1000);
    }
    assert_int_equal(weight_now(), 0);
}

static void who_was_silent_is_listened_to_before_a_rise(void **state)
{
    (void) state;
    lead_what_runs();
    hear(900, false);
    pass_time(4000);
    hear(1300, false);
    assert_int_equal(weight_now(), 1000);
    hear(2000, false);
    assert_int_equal(weight_now(), 5000);
}

static void detectors_that_begin_anew_listen_before_a_rise(void **state)
{
    (void) state;
    lead_what_runs();
    hear(900, false);
    world.tenure->document->verdict_attempt++; /* as `resume` does */
    xf_tenure_judge_follow(world.tenure);
    hear(1300, false);
    assert_int_equal(weight_now(), 1000);
    hear(1000, false);
    assert_int_equal(weight_now(), 5000);
}

static void a_lost_checkpoint_leaves_the_members_that_the_document_names(void **state)
{
    (void) state;
    struct xf_document *document = xf_document_copy(world.tenure->document);
    free(document->members_json);
    document->members_json = strdup("[[\"00000000-0000-4000-8000-0000000000aa\", \"edge-1\"]]");
    free(world.document);
    world.document = xf_document_write(document);
    world.version.generation++; /* by another leader */
    xf_document_destroy(document);
    xf_tenure_load_again(world.tenure);
    until_it_leads(2000);
    assert_int_equal(xf_roster_count(world.roster), 1);
    assert_non_null(xf_roster_find(world.roster, "edge-1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_leads_beats_and_writes_the_first_document_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_foreign_state_that_ends_before_the_lease_does_leaves_the_service_led, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            a_store_that_was_set_back_stops_the_signal_before_the_next_tick, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            who_was_forgotten_comes_back_only_by_what_another_leader_knew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_begins_to_lead_listens_before_it_raises, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_failed_while_nobody_led_is_seen_before_a_rise, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_was_silent_is_listened_to_before_a_rise, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(detectors_that_begin_anew_listen_before_a_rise, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_lost_checkpoint_leaves_the_members_that_the_document_names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
