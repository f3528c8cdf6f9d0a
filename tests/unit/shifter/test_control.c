/*
 * test_control.c -- what is decided, case by case.
 */
#include "control_bench.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLAN(steps) "name: v2\nservice: web\nto: web-v2\nsteps:\n" steps
#define SHORT                                                                                      \
    PLAN("  - {weight: 10%, hold: 10s}\n  - {weight: 50%, hold: 10s}\n"                            \
         "  - {weight: 100%, hold: 10s}\n")

static const char *const ann = "ann@h";
static const char *const bob = "bob@h";

static int setup(void **state)
{
    struct bench *bench = malloc(sizeof(*bench));
    bench_open(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    bench_close(*state);
    free(*state);
    return 0;
}

static void climb_to(struct bench *bench, unsigned weight)
{
    for (unsigned i = 0; i < 20000 && bench->document->weight < weight; i++) {
        bench_run(bench, 100);
    }
    assert_int_equal(bench->document->weight, weight);
}

static void start_and_reach(struct bench *bench, const char *plan, unsigned weight)
{
    assert_int_equal(bench_start(bench, plan), 0);
    climb_to(bench, weight);
}

/* ---- the way up ---- */

static void a_healthy_cutover_climbs_soaks_drains_and_is_safe(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, SHORT), 0);
    assert_int_equal(bench->document->state, XF_CUTOVER_PREFLIGHT);
    assert_string_equal(bench->document->cutover, "v2/1");
    assert_int_equal(bench->document->seed, 42);
    bench_run(bench, 300);
    assert_int_equal(bench->document->weight, 1000);
    bench_run(bench, 10200);
    assert_int_equal(bench->document->weight, 5000);
    assert_true(bench_until(bench, XF_CUTOVER_SOAKING, 11000));
    assert_int_equal(bench->document->weight, 10000);
    assert_true(bench_until(bench, XF_CUTOVER_DRAINING, 11000));
    bench_run(bench, 5000);
    assert_int_equal(bench->document->state, XF_CUTOVER_DRAINING);
    bench->facts.fleet.blue_quiet_ms = 1000;
    bench_run(bench, 100);
    assert_int_equal(bench->document->state, XF_CUTOVER_SAFE);
    assert_int_equal(bench->document->signal.sequence, 1);
    assert_string_equal(bench->document->signal.key, "v2/1");
    bench->facts.accepted = 1;
    bench_run(bench, 100);
    assert_true(bench->document->signal.accepted_at_ms > 0);
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 0);
    assert_true(bench_until(bench, XF_CUTOVER_FINALIZED, 1000));
    assert_string_equal(bench->document->live, "web-v2");
    assert_string_equal(bench->document->last.outcome, "finalized");
    assert_null(bench->document->plan);
}

static void a_step_holds_its_time_and_no_less(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench_run(bench, 9900);
    assert_int_equal(bench->document->weight, 1000);
    bench_run(bench, 300);
    assert_int_equal(bench->document->weight, 5000);
}

static void time_counts_only_while_in_force_and_not_held(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench_run(bench, 5000);
    bench->facts.fleet.in_force = false;
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 1000);
    assert_true(bench_held(bench, XF_HOLD_LAG));
    bench->facts.fleet.in_force = true;
    bench_run(bench, 4500);
    assert_int_equal(bench->document->weight, 1000);
    assert_int_equal(bench_verb(bench, ann, "pause", NULL), 0);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 1000);
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 0);
    bench_run(bench, 1000);
    assert_int_equal(bench->document->weight, 5000);
}

static void a_gate_holds_while_it_fails_and_a_step_waits_for_its_first_answer(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench->facts.gate = XF_GATE_UNKNOWN;
    bench_run(bench, 5000);
    assert_false(bench_held(bench, XF_HOLD_GATE));
    bench_run(bench, 20000);
    assert_true(bench_held(bench, XF_HOLD_GATE));
    assert_int_equal(bench->document->weight, 1000);
    bench->facts.gate = XF_GATE_PASSED;
    bench_run(bench, 1000);
    assert_false(bench_held(bench, XF_HOLD_GATE));
    assert_int_equal(bench->document->weight, 5000);
    bench->facts.gate = XF_GATE_FAILED;
    bench_run(bench, 20000);
    assert_true(bench_held(bench, XF_HOLD_GATE));
    bench->facts.gate = XF_GATE_UNKNOWN; /* a new leader has not asked yet */
    bench_run(bench, 20000);
    assert_true(bench_held(bench, XF_HOLD_GATE));
    assert_int_equal(bench->document->weight, 5000);
}

static void a_frozen_leader_counts_no_more_than_it_saw(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench->facts.boot_ms += 3600000; /* stopped for an hour */
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 1000);
    assert_true(bench->progress.step_ms <= 1000);
}

static void a_step_lasts_its_hold_from_the_moment_it_is_in_force_everywhere(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench->facts.fleet.in_force = false;
    bench_run(bench, 700);
    bench->facts.fleet.in_force = true; /* within the next tick: from there on it counts */
    int64_t since = bench->facts.boot_ms + 100;
    climb_to(bench, 5000);
    assert_int_equal(bench->facts.boot_ms - since, 10000);
}

static void a_clock_that_jumps_shortens_no_step(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench->facts.wall_ms += (int64_t) 365 * 86400 * 1000;
    bench_run(bench, 9000);
    assert_int_equal(bench->document->weight, 1000);
    bench->facts.wall_ms -= (int64_t) 730 * 86400 * 1000;
    bench_run(bench, 500);
    assert_int_equal(bench->document->weight, 1000);
}

static void a_new_leader_goes_on_from_the_checkpoint(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench_run(bench, 7000);
    char *text = xf_progress_write(&bench->progress);
    struct xf_progress loaded;
    assert_int_equal(xf_progress_read(text, &loaded, NULL), 0);
    free(text);
    bench->progress = loaded;
    bench->facts.boot_ms = 77; /* another host, another boot */
    bench_run(bench, 2500);
    assert_int_equal(bench->document->weight, 1000);
    bench_run(bench, 1000);
    assert_int_equal(bench->document->weight, 5000);
}

static void a_checkpoint_of_another_step_counts_nothing(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench_run(bench, 9000);
    struct xf_progress old = bench->progress;
    climb_to(bench, 5000);
    bench->progress = old;
    bench_run(bench, 9000);
    assert_int_equal(bench->document->weight, 5000);
}

static void a_ramp_moves_by_revisions_at_most_every_5_s(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench,
                    PLAN("  - {weight: 10%, hold: 1s}\n  - {ramp: 50%, over: 40s}\n"
                         "  - {weight: 100%, hold: 10s}\n"),
                    1000);
    bench_run(bench, 1200);
    assert_int_equal(bench->document->step, 1);
    uint64_t generation = bench->version.generation;
    unsigned before = bench->changes;
    unsigned weight = bench->document->weight;
    for (unsigned i = 0; i < 395; i++) {
        bench_run(bench, 100);
        assert_true(bench->document->weight >= weight);
        weight = bench->document->weight;
    }
    assert_int_equal(bench->version.generation, generation);
    assert_in_range(bench->changes - before, 6, 8);
    bench_run(bench, 1000);
    assert_true(bench->document->weight >= 5000);
}

static void the_first_step_waits_for_start_at(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, SHORT "start_at: 2027-01-01T00:00:00Z\n"), 0);
    bench_run(bench, 5000);
    assert_int_equal(bench->document->weight, 0);
    assert_true(bench_held(bench, XF_HOLD_WINDOW));
    bench->facts.wall_ms = 1798761600000; /* that moment */
    bench_run(bench, 500);
    assert_false(bench_held(bench, XF_HOLD_WINDOW));
    assert_int_equal(bench->document->weight, 1000);
    bench_run(bench, 500);
    assert_int_equal(bench->document->weight, 1000); /* one step, however late it is */
}

static void outside_its_windows_nothing_rises_but_everything_falls(void **state)
{
    struct bench *bench = *state;
    bench->facts.wall_ms = 1795384800000; /* Sunday 2026-11-22 22:00 UTC */
    start_and_reach(bench, SHORT "windows: [\"Sun 21:00-23:00\"]\n", 1000);
    bench->facts.wall_ms += 3600000;
    bench_run(bench, 60000);
    assert_true(bench_held(bench, XF_HOLD_WINDOW));
    assert_int_equal(bench->document->weight, 1000);
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 0);
}

static void a_window_over_midnight_belongs_to_its_first_day(void **state)
{
    (void) state;
    static const struct {
        int64_t wall_ms;
        bool open;
    } rows[] = {
        {1795384800000, true},                 /* Sunday 22:00 */
        {1795384800000 + 3 * 3600000, true},   /* Monday 01:00 */
        {1795384800000 + 9 * 3600000, false},  /* Monday 07:00 */
        {1795384800000 + 24 * 3600000, false}, /* Monday 22:00 */
        {1795384800000 - 21 * 3600000, false}, /* Sunday 01:00: Saturday's night */
    };
    static const char text[] = SHORT "windows: [\"Sun 21:00-06:00\"]\n";
    struct xf_plan *plan = NULL;
    struct xf_problems problems;
    assert_int_equal(xf_plan_parse("p", text, strlen(text), &plan, &problems), 0);
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char why[XF_SENTENCE_BYTES];
        assert_int_equal(xf_schedule_open(plan, rows[i].wall_ms, why), rows[i].open);
    }
    xf_plan_destroy(plan);
}

static void approval_is_waited_for_and_may_come_early(void **state)
{
    struct bench *bench = *state;
    static const char plan[] = PLAN("  - {weight: 10%, hold: 5s, approve: true}\n"
                                    "  - {weight: 50%, hold: 5s, approve: true}\n"
                                    "  - {weight: 100%, hold: 5s}\n");
    start_and_reach(bench, plan, 1000);
    bench_run(bench, 20000);
    assert_true(bench_held(bench, XF_HOLD_APPROVAL));
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 0);
    bench_run(bench, 1000);
    assert_int_equal(bench->document->weight, 1000); /* resume is not approve */
    assert_int_equal(bench_verb(bench, ann, "approve", NULL), 0);
    bench_run(bench, 500);
    assert_int_equal(bench->document->weight, 5000);
    assert_int_equal(bench_verb(bench, ann, "approve", NULL), 0); /* early */
    bench_run(bench, 6000);
    assert_int_equal(bench->document->weight, 10000);
    assert_int_equal(bench_verb(bench, ann, "approve", NULL), 6);
}

static void without_evidence_no_step_is_advanced(void **state)
{
    struct bench *bench = *state;
    bench->facts.evidence.enough = false;
    start_and_reach(bench, SHORT, 1000);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 1000);
    assert_true(bench_held(bench, XF_HOLD_EVIDENCE));
    bench->facts.evidence.enough = true;
    bench_run(bench, 500);
    assert_int_equal(bench->document->weight, 5000);
}

static void nothing_rises_before_the_leader_has_listened(void **state)
{
    struct bench *bench = *state;
    bench->facts.judge_listened = false;
    start_and_reach(bench, SHORT, 1000); /* before the first step green has no traffic to hear of */
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 1000);
    bench->facts.judge_listened = true;
    bench_run(bench, 500);
    assert_int_equal(bench->document->weight, 5000);
}

static void an_advisory_step_needs_no_evidence(void **state)
{
    struct bench *bench = *state;
    bench->facts.evidence.enough = false;
    start_and_reach(bench,
                    PLAN("  - {weight: 10%, hold: 5s, evidence: advisory}\n"
                         "  - {weight: 100%, hold: 5s}\n"),
                    1000);
    bench_run(bench, 6000);
    assert_int_equal(bench->document->weight, 10000);
}

static void evidence_of_another_step_does_not_count(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench_run(bench, 12000);
    bench->facts.judged = false; /* a leader without a judge */
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 5000);
    assert_true(bench_held(bench, XF_HOLD_EVIDENCE));
}

static void the_store_away_stops_everything_and_moves_nothing(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    bench->facts.store_ok = false;
    unsigned changes = bench->changes;
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 60000);
    assert_int_equal(bench->changes, changes);
    assert_int_equal(bench->document->weight, 1000);
    bench_judge(bench, XF_JUDGE_NONE);
    bench->facts.store_ok = true;
    bench_run(bench, 5000);
    assert_int_equal(bench->document->weight, 1000);
}

/* ---- verdicts ---- */

static void errors_take_the_weight_to_0_and_keep_the_step(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    uint64_t generation = bench->version.generation;
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 0);
    assert_int_equal(bench->document->step, 1);
    assert_int_equal(bench->version.generation, generation + 1);
    assert_true(bench_held(bench, XF_HOLD_ERRORS));
    assert_non_null(strstr(bench->document->last_verdict_json, "green fails"));
    bench_run(bench, 600000);
    assert_int_equal(bench->document->weight, 0);
    assert_int_equal(bench->version.generation, generation + 1);
}

static void a_weight_forced_beside_the_hold_is_judged_anew(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 2000, \"force\": true}"), 0);
    bench_run(bench, 1000);
    assert_int_equal(bench->document->weight, 2000);
    assert_true(bench_held(bench, XF_HOLD_ERRORS));
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 0);
    uint64_t generation = bench->version.generation;
    bench_run(bench, 60000);
    assert_int_equal(bench->version.generation, generation); /* once */
}

static void what_a_verdict_does_is_the_plans_word(void **state)
{
    (void) state;
    static const struct {
        const char *then;
        enum xf_judge_rule rule;
        unsigned weight;
        enum xf_cutover_state state;
        int hold;
    } rows[] = {
        {"guard: {errors: {then: hold}}\n", XF_JUDGE_ERRORS, 5000, XF_CUTOVER_SHIFTING,
         XF_HOLD_ERRORS},
        {"guard: {errors: {then: step-back}}\n", XF_JUDGE_BUDGET, 1000, XF_CUTOVER_SHIFTING,
         XF_HOLD_ERRORS},
        {"guard: {errors: {then: abort}}\n", XF_JUDGE_ERRORS, 0, XF_CUTOVER_ABORTING, -1},
        {"", XF_JUDGE_BUDGET, 0, XF_CUTOVER_SHIFTING, XF_HOLD_ERRORS},
        {"", XF_JUDGE_LATENCY, 5000, XF_CUTOVER_SHIFTING, XF_HOLD_LATENCY},
        {"guard: {latency: {then: retreat}}\n", XF_JUDGE_LATENCY, 0, XF_CUTOVER_SHIFTING,
         XF_HOLD_LATENCY},
        {"", XF_JUDGE_BOTH, 5000, XF_CUTOVER_SHIFTING, XF_HOLD_BOTH},
        {"", XF_JUDGE_ROUTER, 5000, XF_CUTOVER_SHIFTING, XF_HOLD_ROUTER},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct bench bench;
        char plan[1024];
        bench_open(&bench);
        snprintf(plan, sizeof(plan), "%s%s", SHORT, rows[i].then);
        start_and_reach(&bench, plan, 5000);
        bench_judge(&bench, rows[i].rule);
        bench_run(&bench, 100);
        assert_int_equal(bench.document->weight, rows[i].weight);
        assert_int_equal(bench.document->state, rows[i].state);
        if (rows[i].hold >= 0) {
            assert_true(bench_held(&bench, (enum xf_hold) rows[i].hold));
        }
        bench_run(&bench, 60000);
        assert_true(bench.document->weight <= rows[i].weight);
        bench_close(&bench);
    }
}

static void a_verdict_acts_in_soaking_and_draining_too(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 2; i++) {
        struct bench bench;
        bench_open(&bench);
        assert_int_equal(bench_start(&bench, SHORT), 0);
        assert_true(bench_until(&bench, i == 0 ? XF_CUTOVER_SOAKING : XF_CUTOVER_DRAINING, 60000));
        bench_judge(&bench, XF_JUDGE_BUDGET);
        bench_run(&bench, 100);
        assert_int_equal(bench.document->weight, 0);
        assert_int_equal(bench.document->state, XF_CUTOVER_SHIFTING);
        bench_close(&bench);
    }
}

static void from_safe_on_no_verdict_moves_anything(void **state)
{
    struct bench *bench = *state;
    bench->facts.fleet.blue_quiet_ms = 5000;
    assert_int_equal(bench_start(bench, SHORT), 0);
    assert_true(bench_until(bench, XF_CUTOVER_SAFE, 60000));
    bench_judge(bench, XF_JUDGE_BUDGET);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 10000);
    assert_int_equal(bench->document->state, XF_CUTOVER_SAFE);
}

static void a_verdict_of_an_older_judgement_is_not_heard(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 0);
    /* the facts still carry the verdict of the attempt before */
    struct xf_decision decision;
    bench->facts.judge_verdict_attempt = bench->document->verdict_attempt - 1;
    bench->document->weight = 1000;
    xf_control_tick(bench->document, &bench->progress, &bench->facts, &decision);
    assert_true(decision.document == NULL || !decision.document->holds[XF_HOLD_ERRORS].on);
    xf_decision_release(&decision);
}

static void resume_climbs_again_from_the_first_step(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    unsigned attempt = bench->document->verdict_attempt;
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 0);
    assert_non_null(strstr(bench->answer, "errors"));
    assert_int_equal(bench->document->verdict_attempt, attempt + 1);
    bench_run(bench, 300);
    assert_int_equal(bench->document->weight, 1000);
    assert_int_equal(bench->document->step, 0);
    bench_run(bench, 9000);
    assert_int_equal(bench->document->weight, 1000);
}

static void resume_at_once_goes_to_the_kept_step(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    assert_int_equal(bench_verb(bench, ann, "resume", "{\"at_once\": true}"), 0);
    assert_int_equal(bench->document->weight, 5000);
    assert_int_equal(bench->document->step, 1);
}

/* ---- what proxies say that nobody decided: break-glass, a fork ---- */

static void name_override(struct bench *bench, unsigned weight)
{
    struct xf_fleet *fleet = &bench->facts.fleet;
    fleet->overrides = 1;
    fleet->override_weight = weight;
    snprintf(fleet->override_by, sizeof(fleet->override_by), "%s", ann);
    snprintf(fleet->override_sentence, sizeof(fleet->override_sentence), "proxy a serves less");
}

static void the_fleet_follows_a_proxy_that_was_aborted_locally_and_stays(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    unsigned before = bench->changes;
    name_override(bench, 0);
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 0);
    assert_int_equal(bench->changes, before + 1); /* one generation */
    assert_string_equal(bench->last_verb, "override");
    assert_true(bench_held(bench, XF_HOLD_OVERRIDE));
    assert_string_equal(bench->document->holds[XF_HOLD_OVERRIDE].by, ann);
    assert_int_equal(bench->document->step, 1);
    bench->facts.fleet.overrides = 0; /* the document has taken it over */
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 0);
    assert_int_equal(bench_verb(bench, ann, "step", NULL), 3);
    assert_int_equal(bench_verb(bench, bob, "resume", "{\"hold\": \"override\"}"), 0);
    bench_run(bench, 300);
    assert_int_equal(bench->document->weight, 1000); /* from the first step, as after a retreat */
}

static void an_override_that_asks_for_less_but_not_for_nothing_keeps_the_step(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    name_override(bench, 700);
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 700);
    bench->facts.fleet.overrides = 0;
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 2000}"), 0);
    assert_false(bench_held(bench, XF_HOLD_OVERRIDE));
    assert_int_equal(bench->document->weight, 2000);
}

static void an_override_upwards_holds_and_moves_nothing(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    name_override(bench, 1000); /* the least that is served: the others' */
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 1000);
    assert_true(bench_held(bench, XF_HOLD_OVERRIDE));
}

static void an_override_while_draining_takes_it_back(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, SHORT), 0);
    assert_true(bench_until(bench, XF_CUTOVER_DRAINING, 60000));
    name_override(bench, 0);
    bench_run(bench, 100);
    assert_int_equal(bench->document->state, XF_CUTOVER_SHIFTING);
    assert_int_equal(bench->document->weight, 0);
    bench->facts.fleet.blue_quiet_ms = 60000;
    bench_run(bench, 60000);
    assert_int_equal(bench->document->state, XF_CUTOVER_SHIFTING);
}

static void in_safe_weight_0_with_force_revokes_like_abort(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, SHORT), 0);
    bench->facts.fleet.blue_quiet_ms = 60000;
    assert_true(bench_until(bench, XF_CUTOVER_SAFE, 60000));
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 0}"), 6);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 5000, \"force\": true}"), 6);
    bench->facts.fleet.blue_up = false;
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 0, \"force\": true}"), 6);
    bench->facts.fleet.blue_up = true;
    bench->facts.fleet.silent = 1; /* the live ones decide */
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 0, \"force\": true}"), 0);
    bench->facts.fleet.silent = 0;
    assert_int_equal(bench->document->signal.sequence, 2);
    bench_run(bench, 5000);
    assert_int_equal(bench->document->state, XF_CUTOVER_SAFE); /* not yet delivered */
    assert_int_equal(bench->document->weight, 10000);
    bench->facts.accepted = 2;
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 0);
    assert_true(bench_until(bench, XF_CUTOVER_ABORTED, 5000));
}

static void in_safe_an_override_only_holds(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, SHORT), 0);
    bench->facts.fleet.blue_quiet_ms = 60000;
    assert_true(bench_until(bench, XF_CUTOVER_SAFE, 60000));
    unsigned before = bench->changes;
    name_override(bench, 0);
    bench_run(bench, 1000);
    assert_int_equal(bench->document->weight, 10000);
    assert_true(bench_held(bench, XF_HOLD_OVERRIDE));
    assert_int_equal(bench->changes, before + 1);
}

static void a_fork_holds_until_a_person_has_looked(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    snprintf(bench->facts.fleet.forked, sizeof(bench->facts.fleet.forked), "edge-2");
    bench_run(bench, 100);
    assert_true(bench_held(bench, XF_HOLD_FORK));
    assert_non_null(strstr(bench->document->holds[XF_HOLD_FORK].sentence, "edge-2"));
    bench->facts.fleet.forked[0] = '\0';
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 1000);
    assert_int_equal(bench_verb(bench, ann, "resume", "{\"hold\": \"fork\"}"), 0);
    bench_run(bench, 11000);
    assert_int_equal(bench->document->weight, 5000);
}

static void a_retreat_may_end_by_itself_so_often(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT "guard: {resume: {times: 1, after: 30s}}\n", 5000);
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    bench_run(bench, 29000);
    assert_int_equal(bench->document->weight, 0);
    bench_run(bench, 2000);
    assert_int_equal(bench->document->weight, 1000);
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    bench_run(bench, 600000);
    assert_int_equal(bench->document->weight, 0);
}

static void after_a_soak_that_was_broken_off_it_soaks_from_zero(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, SHORT), 0);
    assert_true(bench_until(bench, XF_CUTOVER_SOAKING, 60000));
    bench_run(bench, 8000);
    bench_judge(bench, XF_JUDGE_BUDGET);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    assert_int_equal(bench_verb(bench, ann, "resume", "{\"at_once\": true}"), 0);
    assert_true(bench_until(bench, XF_CUTOVER_SOAKING, 1000));
    bench_run(bench, 9000);
    assert_int_equal(bench->document->state, XF_CUTOVER_SOAKING);
    bench_run(bench, 2000);
    assert_int_equal(bench->document->state, XF_CUTOVER_DRAINING);
}

/* ---- safe ---- */

static void safe_needs_every_condition(void **state)
{
    (void) state;
    static const char *const names[] = {"members",   "silent", "in_force", "quiet",
                                        "too short", "in use", "held"};
    for (unsigned i = 0; i < XF_COUNT(names); i++) {
        struct bench bench;
        bench_open(&bench);
        assert_int_equal(bench_start(&bench, SHORT), 0);
        assert_true(bench_until(&bench, XF_CUTOVER_DRAINING, 60000));
        struct xf_fleet good = bench.facts.fleet;
        good.blue_quiet_ms = 1000;
        bench.facts.fleet = good;
        bench.facts.fleet.members = i == 0 ? 0 : 1;
        bench.facts.fleet.silent = i == 1;
        bench.facts.fleet.in_force = i != 2;
        bench.facts.fleet.blue_quiet_ms = i == 3 ? -1 : i == 4 ? 999 : 1000;
        bench.facts.in_use_by = i == 5 ? "other" : NULL;
        if (i == 6) {
            assert_int_equal(bench_verb(&bench, ann, "pause", NULL), 0);
        }
        bench_run(&bench, 30000);
        if (bench.document->state != XF_CUTOVER_DRAINING) {
            fail_msg("%s did not block", names[i]);
        }
        bench.facts.fleet = good;
        bench.facts.in_use_by = NULL;
        if (i == 6) {
            assert_int_equal(bench_verb(&bench, ann, "resume", NULL), 0);
        }
        assert_true(bench_until(&bench, XF_CUTOVER_SAFE, 1000));
        bench_close(&bench);
    }
}

static struct bench *reach_safe(void **state)
{
    struct bench *bench = *state;
    bench->facts.fleet.blue_quiet_ms = 5000;
    assert_int_equal(bench_start(bench, SHORT), 0);
    assert_true(bench_until(bench, XF_CUTOVER_SAFE, 60000));
    return bench;
}

static void going_back_from_safe_needs_force_and_revokes_first(void **state)
{
    struct bench *bench = reach_safe(state);
    assert_int_equal(bench_verb(bench, ann, "abort", NULL), 6);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 0}"), 6);
    bench->facts.fleet.blue_up = false;
    assert_int_equal(bench_verb(bench, ann, "abort", "{\"force\": true}"), 6);
    bench->facts.fleet.blue_up = true;
    bench->facts.accepted = 1;
    assert_int_equal(bench_verb(bench, ann, "abort", "{\"force\": true}"), 0);
    assert_int_equal(bench->document->signal.sequence, 2);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 10000); /* nobody knows yet */
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 6);
    bench->facts.accepted = 2;
    bench_run(bench, 100);
    assert_int_equal(bench->document->weight, 0);
    assert_true(bench_until(bench, XF_CUTOVER_ABORTED, 1000));
    assert_string_equal(bench->document->live, "web-v1");
}

static void finalize_waits_for_nobody_silent_and_happens_once(void **state)
{
    struct bench *bench = reach_safe(state);
    bench->facts.fleet.in_force = false;
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 6);
    bench->facts.fleet.in_force = true;
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 0);
    assert_int_equal(bench_verb(bench, ann, "abort", NULL), 6);
    assert_true(bench_until(bench, XF_CUTOVER_FINALIZED, 1000));
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 0);
    assert_int_equal(bench_verb(bench, ann, "abort", NULL), 6);
    assert_non_null(strstr(bench->answer, "crossfade start --service web"));
}

static void an_automatic_finalize_waits_for_the_receivers(void **state)
{
    struct bench *bench = *state;
    bench->facts.fleet.blue_quiet_ms = 5000;
    assert_int_equal(bench_start(bench, SHORT "finalize: {when: auto}\n"), 0);
    assert_true(bench_until(bench, XF_CUTOVER_SAFE, 60000));
    bench_run(bench, 60000);
    assert_int_equal(bench->document->state, XF_CUTOVER_SAFE);
    bench->facts.accepted = 1;
    assert_true(bench_until(bench, XF_CUTOVER_FINALIZED, 1000));
}

/* ---- verbs ---- */

static void a_weight_by_hand_holds_and_keeps_the_step(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 1250}"), 0);
    assert_int_equal(bench->document->weight, 1250);
    assert_int_equal(bench->document->step, 1);
    assert_true(bench_held(bench, XF_HOLD_OPERATOR));
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 1250);
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 0);
    bench_run(bench, 200);
    assert_int_equal(bench->document->weight, 5000); /* the step it kept */
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 10001}"), 2);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": \"25\"}"), 2);
}

static void full_weight_by_hand_starts_no_soak(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 10000}"), 0);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->state, XF_CUTOVER_SHIFTING);
}

static void under_errors_only_force_raises(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    bench_judge(bench, XF_JUDGE_ERRORS);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 100}"), 3);
    assert_int_equal(bench_verb(bench, ann, "step", NULL), 3);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 0}"), 0);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 100, \"force\": true}"), 0);
    assert_int_equal(bench->document->weight, 100);
    assert_true(bench_held(bench, XF_HOLD_ERRORS));
}

static void step_ends_hold_approval_and_evidence(void **state)
{
    struct bench *bench = *state;
    bench->facts.evidence.enough = false;
    start_and_reach(bench, SHORT, 1000);
    bench_run(bench, 20000);
    assert_true(bench_held(bench, XF_HOLD_EVIDENCE));
    assert_int_equal(bench_verb(bench, ann, "step", NULL), 0);
    assert_int_equal(bench->document->weight, 5000);
    assert_int_equal(bench_verb(bench, ann, "promote", "{\"full\": true}"), 0);
    assert_int_equal(bench->document->weight, 10000);
    assert_true(bench_until(bench, XF_CUTOVER_SOAKING, 1000));
    assert_int_equal(bench_verb(bench, ann, "step", NULL), 0);
    assert_true(bench_until(bench, XF_CUTOVER_DRAINING, 1000));
    assert_int_equal(bench_verb(bench, ann, "step", NULL), 6);
}

static void back_goes_to_the_step_before_and_holds(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    assert_int_equal(bench_verb(bench, ann, "back", NULL), 0);
    assert_int_equal(bench->document->weight, 1000);
    assert_int_equal(bench->document->step, 0);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 1000);
    assert_int_equal(bench_verb(bench, ann, "back", NULL), 0);
    assert_int_equal(bench->document->weight, 0);
    assert_int_equal(bench_verb(bench, ann, "back", NULL), 6);
}

static void extend_makes_the_hold_longer(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    assert_int_equal(bench_verb(bench, ann, "extend", "{\"ms\": 20000}"), 0);
    bench_run(bench, 29000);
    assert_int_equal(bench->document->weight, 1000);
    bench_run(bench, 2000);
    assert_int_equal(bench->document->weight, 5000);
    assert_int_equal(bench_verb(bench, ann, "extend", "{\"ms\": -1}"), 2);
}

static void two_pauses_do_not_cancel_each_other(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    assert_int_equal(bench_verb(bench, ann, "pause", NULL), 0);
    assert_int_equal(bench_verb(bench, bob, "pause", NULL), 0);
    assert_int_equal(bench_verb(bench, bob, "pause", NULL), 0); /* again: harmless */
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 0);
    assert_true(bench_held(bench, XF_HOLD_OPERATOR));
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 6);
    assert_non_null(strstr(bench->answer, "--of bob@h"));
    assert_int_equal(bench_verb(bench, ann, "resume", "{\"of\": \"bob@h\"}"), 0);
    assert_false(bench_held(bench, XF_HOLD_OPERATOR));
}

static void a_pause_and_a_verdict_are_lifted_apart(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    assert_int_equal(bench_verb(bench, ann, "pause", NULL), 0);
    bench_judge(bench, XF_JUDGE_LATENCY);
    bench_run(bench, 100);
    bench_judge(bench, XF_JUDGE_NONE);
    assert_int_equal(bench_verb(bench, bob, "resume", "{\"hold\": \"latency\"}"), 0);
    assert_false(bench_held(bench, XF_HOLD_LATENCY));
    assert_true(bench_held(bench, XF_HOLD_OPERATOR));
    assert_int_equal(bench_verb(bench, bob, "resume", "{\"hold\": \"lag\"}"), 6);
    assert_int_equal(bench_verb(bench, bob, "resume", "{\"hold\": \"sleep\"}"), 2);
}

static void abort_ends_on_blue_once_it_is_in_force_everywhere(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    bench->facts.fleet.in_force = false;
    assert_int_equal(bench_verb(bench, ann, "abort", NULL), 0);
    assert_int_equal(bench->document->weight, 0);
    bench_run(bench, 10000);
    assert_int_equal(bench->document->state, XF_CUTOVER_ABORTING);
    bench->facts.fleet.in_force = true;
    assert_true(bench_until(bench, XF_CUTOVER_ABORTED, 1000));
    assert_string_equal(bench->document->last.outcome, "aborted");
    assert_int_equal(bench_verb(bench, ann, "abort", NULL), 0);
}

static void a_paced_abort_falls_over_its_time(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    assert_int_equal(bench_verb(bench, ann, "abort", "{\"over_ms\": 20000}"), 0);
    assert_int_equal(bench->document->weight, 5000);
    unsigned weight = 5000;
    bench_run(bench, 10000);
    assert_in_range(bench->document->weight, 2000, 3000);
    assert_true(bench->document->weight < weight);
    assert_true(bench_until(bench, XF_CUTOVER_ABORTED, 12000));
    assert_int_equal(bench_verb(bench, ann, "abort", "{\"over_ms\": -1}"), 2);
}

static void a_second_cutover_is_refused_with_the_state(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 5000);
    assert_int_equal(bench_start(bench, SHORT), 4);
    assert_non_null(strstr(bench->answer, "shifting"));
    assert_non_null(strstr(bench->answer, "50%"));
}

static void a_start_is_refused_where_it_makes_no_sense(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_verb(bench, ann, "start", "{\"to\": \"web-v1\"}"), 6);
    assert_int_equal(bench_start(bench, "name: a\nservice: web\nfrom: web-v3\nto: web-v2\nsteps:\n"
                                        "  - {weight: 100%}\n"),
                     6);
    assert_int_equal(
        bench_start(bench, "name: a\nservice: other\nto: web-v2\nsteps:\n  - {weight: 100%}\n"), 2);
    bench->facts.signalled_by = "other";
    assert_int_equal(bench_start(bench, SHORT), 6);
    bench->facts.signalled_by = NULL;
    bench->facts.fleet.green_up = false;
    assert_int_equal(bench_start(bench, SHORT), 1);
    assert_int_equal(bench->document->state, XF_CUTOVER_IDLE);
}

static void attempts_count_and_each_draws_a_new_seed(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    assert_int_equal(bench_verb(bench, ann, "abort", NULL), 0);
    assert_true(bench_until(bench, XF_CUTOVER_ABORTED, 1000));
    bench->facts.seed = 43;
    assert_int_equal(bench_start(bench, SHORT), 0);
    assert_string_equal(bench->document->cutover, "v2/2");
    assert_int_equal(bench->document->seed, 43);
}

static void a_bare_start_waits_at_0_for_its_operator(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_verb(bench, ann, "start", "{\"to\": \"web-v2\"}"), 0);
    assert_int_equal(bench->document->state, XF_CUTOVER_SHIFTING);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 0);
    assert_int_equal(bench_verb(bench, ann, "weight", "{\"weight\": 2500}"), 0);
    assert_int_equal(bench_verb(bench, ann, "resume", NULL), 0);
    bench_run(bench, 60000);
    assert_int_equal(bench->document->weight, 2500); /* resume keeps the weight */
    assert_int_equal(bench_verb(bench, ann, "step", NULL), 0);
    assert_int_equal(bench->document->weight, 10000);
    assert_true(bench_until(bench, XF_CUTOVER_DRAINING, 610000));
    bench->facts.fleet.blue_quiet_ms = 1000;
    assert_true(bench_until(bench, XF_CUTOVER_SAFE, 1000));
    assert_int_equal(bench->document->signal.sequence, 0); /* nobody was to be told */
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 0);
    assert_true(bench_until(bench, XF_CUTOVER_FINALIZED, 1000));
}

static void the_deadline_acts_once(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT "deadline: 5s\n", 1000);
    bench_run(bench, 6000);
    assert_true(bench_held(bench, XF_HOLD_DEADLINE));
    assert_int_equal(bench_verb(bench, ann, "resume", "{\"hold\": \"deadline\"}"), 0);
    bench_run(bench, 60000);
    assert_false(bench_held(bench, XF_HOLD_DEADLINE));

    struct bench other;
    bench_open(&other);
    start_and_reach(&other, SHORT "deadline: 5s\non_deadline: abort\n", 1000);
    assert_true(bench_until(&other, XF_CUTOVER_ABORTED, 7000));
    bench_close(&other);
}

static void the_deadline_runs_from_when_the_plan_may_begin(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, SHORT "start_at: 2027-01-01T00:00:00Z\ndeadline: 20s\n"),
                     0);
    bench_run(bench, 600000);
    assert_false(bench_held(bench, XF_HOLD_DEADLINE));
    assert_int_equal(bench_verb(bench, ann, "pause", "{}"), 0);
    bench->facts.wall_ms = 1798761600000; /* that moment */
    bench_run(bench, 15000);
    assert_false(bench_held(bench, XF_HOLD_DEADLINE));
    bench_run(bench, 10000); /* from then on holds do not stop it */
    assert_true(bench_held(bench, XF_HOLD_DEADLINE));
}

/* ---- conditions and repetition ---- */

static int conditional(struct bench *bench, const char *request, const char *verb,
                       int64_t generation, int64_t step)
{
    struct xf_message_command command = {.service = "web", .actor = "ann@h"};
    struct xf_plan *plan = NULL;
    struct xf_decision decision;
    snprintf(command.request, sizeof(command.request), "%s", request);
    snprintf(command.verb, sizeof(command.verb), "%s", verb);
    command.if_generation_set = generation >= 0;
    command.if_generation = (uint64_t) generation;
    command.if_step_set = step >= 0;
    command.if_step = step;
    command.arguments = json_object();
    xf_control_command(bench->document, &bench->version, &bench->progress, &command, &plan,
                       &bench->facts, &decision);
    json_decref(command.arguments);
    int exit_code = decision.exit_code;
    if (decision.document != NULL) {
        xf_document_destroy(bench->document);
        bench->document = decision.document;
        decision.document = NULL;
        bench->version.generation++;
    }
    xf_decision_release(&decision);
    return exit_code;
}

static void another_generation_is_exit_4_whatever_the_verb(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    int64_t now = (int64_t) bench->version.generation;
    assert_int_equal(conditional(bench, "a", "pause", now - 1, -1), 4);
    assert_int_equal(conditional(bench, "b", "nonsense", now - 1, -1), 4);
    assert_int_equal(conditional(bench, "c", "pause", now, -1), 0);
    assert_int_equal(conditional(bench, "d", "pause", now, -1), 4);
}

static void a_repeated_step_acts_once(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    assert_int_equal(conditional(bench, "a", "step", -1, 1), 0);
    assert_int_equal(bench->document->weight, 5000);
    assert_int_equal(conditional(bench, "b", "step", -1, 1), 4); /* another click, same page */
    assert_int_equal(bench->document->weight, 5000);
}

static void a_known_request_gets_its_first_answer(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    int64_t generation = (int64_t) bench->version.generation;
    assert_int_equal(conditional(bench, "same", "step", generation, -1), 0);
    uint64_t after = bench->version.generation;
    assert_int_equal(conditional(bench, "same", "step", generation, -1), 0);
    assert_int_equal(bench->version.generation, after);
    assert_int_equal(bench->document->weight, 5000);
}

static void an_accepted_command_takes_a_generation(void **state)
{
    struct bench *bench = *state;
    start_and_reach(bench, SHORT, 1000);
    static const char *const again[] = {"pause", "pause", "resume", "resume"};
    for (size_t i = 0; i < XF_COUNT(again); i++) {
        uint64_t before = bench->version.generation;
        assert_int_equal(bench_verb(bench, ann, again[i], NULL), 0);
        assert_int_equal(bench->version.generation, before + 1);
    }
    uint64_t before = bench->version.generation;
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 6);
    assert_int_equal(bench_verb(bench, ann, "dance", NULL), 2);
    assert_int_equal(bench->version.generation, before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_healthy_cutover_climbs_soaks_drains_and_is_safe),
        CASE(a_step_holds_its_time_and_no_less),
        CASE(time_counts_only_while_in_force_and_not_held),
        CASE(a_gate_holds_while_it_fails_and_a_step_waits_for_its_first_answer),
        CASE(a_frozen_leader_counts_no_more_than_it_saw),
        CASE(a_step_lasts_its_hold_from_the_moment_it_is_in_force_everywhere),
        CASE(a_clock_that_jumps_shortens_no_step),
        CASE(a_new_leader_goes_on_from_the_checkpoint),
        CASE(a_checkpoint_of_another_step_counts_nothing),
        CASE(a_ramp_moves_by_revisions_at_most_every_5_s),
        CASE(the_first_step_waits_for_start_at),
        CASE(outside_its_windows_nothing_rises_but_everything_falls),
        CASE(a_window_over_midnight_belongs_to_its_first_day),
        CASE(approval_is_waited_for_and_may_come_early),
        CASE(without_evidence_no_step_is_advanced),
        CASE(nothing_rises_before_the_leader_has_listened),
        CASE(an_advisory_step_needs_no_evidence),
        CASE(evidence_of_another_step_does_not_count),
        CASE(the_store_away_stops_everything_and_moves_nothing),
        CASE(errors_take_the_weight_to_0_and_keep_the_step),
        CASE(a_weight_forced_beside_the_hold_is_judged_anew),
        CASE(what_a_verdict_does_is_the_plans_word),
        CASE(a_verdict_acts_in_soaking_and_draining_too),
        CASE(from_safe_on_no_verdict_moves_anything),
        CASE(a_verdict_of_an_older_judgement_is_not_heard),
        CASE(resume_climbs_again_from_the_first_step),
        CASE(resume_at_once_goes_to_the_kept_step),
        CASE(the_fleet_follows_a_proxy_that_was_aborted_locally_and_stays),
        CASE(an_override_that_asks_for_less_but_not_for_nothing_keeps_the_step),
        CASE(an_override_upwards_holds_and_moves_nothing),
        CASE(an_override_while_draining_takes_it_back),
        CASE(in_safe_weight_0_with_force_revokes_like_abort),
        CASE(in_safe_an_override_only_holds),
        CASE(a_fork_holds_until_a_person_has_looked),
        CASE(a_retreat_may_end_by_itself_so_often),
        CASE(after_a_soak_that_was_broken_off_it_soaks_from_zero),
        CASE(safe_needs_every_condition),
        CASE(going_back_from_safe_needs_force_and_revokes_first),
        CASE(finalize_waits_for_nobody_silent_and_happens_once),
        CASE(an_automatic_finalize_waits_for_the_receivers),
        CASE(a_weight_by_hand_holds_and_keeps_the_step),
        CASE(full_weight_by_hand_starts_no_soak),
        CASE(under_errors_only_force_raises),
        CASE(step_ends_hold_approval_and_evidence),
        CASE(back_goes_to_the_step_before_and_holds),
        CASE(extend_makes_the_hold_longer),
        CASE(two_pauses_do_not_cancel_each_other),
        CASE(a_pause_and_a_verdict_are_lifted_apart),
        CASE(abort_ends_on_blue_once_it_is_in_force_everywhere),
        CASE(a_paced_abort_falls_over_its_time),
        CASE(a_second_cutover_is_refused_with_the_state),
        CASE(a_start_is_refused_where_it_makes_no_sense),
        CASE(attempts_count_and_each_draws_a_new_seed),
        CASE(a_bare_start_waits_at_0_for_its_operator),
        CASE(the_deadline_acts_once),
        CASE(the_deadline_runs_from_when_the_plan_may_begin),
        CASE(another_generation_is_exit_4_whatever_the_verb),
        CASE(a_repeated_step_acts_once),
        CASE(a_known_request_gets_its_first_answer),
        CASE(an_accepted_command_takes_a_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
