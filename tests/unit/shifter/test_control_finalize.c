/*
 * test_control_finalize.c -- past the point of no return: what is known of an action decides, and
 * no hook runs twice unless somebody says so.
 */
#include "control_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define VERIFY "verify: {postgres: {database: kong, query: \"SELECT 1\", equals: \"1\"}}"
#define PLAN(first)                                                                                \
    "name: v2\nservice: web\nto: web-v2\nsteps: [{weight: 100%, hold: 1s}]\n"                      \
    "finalize: {when: manual, actions: [{hook: " first ", " VERIFY "}, {hook: once, " VERIFY       \
    "}]}\n"

static const char *const ann = "ann@h";

static struct xf_config_hook hooks[] = {
    {.name = (char *) "once"},
    {.name = (char *) "again", .repeatable = true},
};

static int setup(void **state)
{
    static struct bench bench;
    bench_open(&bench);
    bench.config.hooks = hooks;
    bench.config.hooks_count = XF_COUNT(hooks);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    bench_close(*state);
    return 0;
}

/* A new cutover whose first action is the hook `again` or `once`, and has just started. */
static struct bench *reach_started(void **state, bool again)
{
    struct bench *bench = *state;
    bench_close(bench);
    (void) setup(state);
    bench->facts.fleet.blue_quiet_ms = 5000;
    assert_int_equal(bench_start(bench, again ? PLAN("again") : PLAN("once")), 0);
    assert_true(bench_until(bench, XF_CUTOVER_SAFE, 60000));
    assert_int_equal(bench_verb(bench, ann, "finalize", NULL), 0);
    assert_int_equal(bench->document->state, XF_CUTOVER_FINALIZING);
    assert_false(bench->document->action.started); /* the state is written before any hook */
    bench_run(bench, 100);
    assert_true(bench->document->action.started);
    assert_int_equal(bench->document->action.runs, 1);
    return bench;
}

static void what_is_known_of_an_action_decides(void **state)
{
    static const struct {
        enum xf_action_found found;
        bool own, repeatable;
        unsigned index, runs; /* afterwards */
        bool started, waits;
    } rows[] = {
        {XF_ACTION_UNKNOWN, true, false, 0, 1, true, false},
        {XF_ACTION_UNKNOWN, false, true, 0, 1, true, false},
        {XF_ACTION_PROVEN, true, false, 1, 1, false, false},
        {XF_ACTION_PROVEN, false, false, 1, 1, false, false}, /* another leader's, verified */
        {XF_ACTION_PROVEN, false, true, 1, 1, false, false},
        {XF_ACTION_UNPROVEN, true, false, 0, 1, true, true}, /* exit 0 that did nothing */
        {XF_ACTION_UNPROVEN, false, false, 0, 1, true, true},
        {XF_ACTION_UNPROVEN, true, true, 0, 1, true, true}, /* it ran to its end: once is enough */
        {XF_ACTION_UNPROVEN, false, true, 0, 2, true, false}, /* cut off, and harmless to repeat */
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct bench *bench = reach_started(state, rows[i].repeatable);
        bench->facts.action.found = rows[i].found;
        bench->facts.action.own = rows[i].own;
        bench_run(bench, 100);
        assert_int_equal(bench->document->state, XF_CUTOVER_FINALIZING);
        assert_int_equal(bench->document->action.index, rows[i].index);
        assert_int_equal(bench->document->action.runs, rows[i].runs);
        assert_int_equal(bench->document->action.started, rows[i].started);
        assert_int_equal(bench_held(bench, XF_HOLD_APPROVAL), rows[i].waits);
    }
}

static void an_action_that_waits_is_decided_by_its_number_or_by_a_proof(void **state)
{
    static const struct {
        const char *verb, *arguments; /* NULL: a later look proves it */
        int exit_code;
        unsigned index, runs;
        bool waits;
    } rows[] = {
        {"finalize", "{\"redo\": 1}", 0, 0, 2, false},
        {"finalize", "{\"skip\": 1}", 0, 1, 1, false},
        {"finalize", "{\"redo\": 2}", 6, 0, 1, true},
        {"finalize", "{\"skip\": 0}", 6, 0, 1, true},
        {"finalize", "{\"redo\": 1, \"skip\": 1}", 2, 0, 1, true},
        {"finalize", "{}", 0, 0, 1, true},
        {"abort", "{\"force\": true}", 6, 0, 1, true},
        {"weight", "{\"weight\": 0, \"force\": true}", 6, 0, 1, true},
        {"back", "{}", 6, 0, 1, true},
        {NULL, NULL, 0, 1, 1, false},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct bench *bench = reach_started(state, false);
        bench->facts.action.found = XF_ACTION_UNPROVEN;
        bench_run(bench, 60000);
        assert_true(bench_held(bench, XF_HOLD_APPROVAL));
        assert_int_equal(bench->document->action.runs, 1); /* it waits and tries nothing itself */
        if (rows[i].verb != NULL) {
            assert_int_equal(bench_verb(bench, ann, rows[i].verb, rows[i].arguments),
                             rows[i].exit_code);
        } else {
            bench->facts.action.found = XF_ACTION_PROVEN;
            bench_run(bench, 100);
        }
        assert_int_equal(bench->document->weight, 10000);
        assert_int_equal(bench->document->action.index, rows[i].index);
        assert_int_equal(bench->document->action.runs, rows[i].runs);
        assert_int_equal(bench_held(bench, XF_HOLD_APPROVAL), rows[i].waits);
    }
}

static void nothing_is_decided_of_an_action_that_runs(void **state)
{
    struct bench *bench = reach_started(state, false);
    assert_int_equal(bench_verb(bench, ann, "finalize", "{\"redo\": 1}"), 6);
    assert_int_equal(bench_verb(bench, ann, "finalize", "{\"skip\": 1}"), 6);
    bench_run(bench, 3600000);
    assert_int_equal(bench->document->action.runs, 1);
}

static void each_action_and_the_end_wait_until_every_proxy_has_the_state(void **state)
{
    struct bench *bench = reach_started(state, false);
    bench->facts.fleet.in_force = false;
    bench->facts.action.found = XF_ACTION_PROVEN;
    bench_run(bench, 100);
    assert_int_equal(bench->document->action.index, 1); /* what is proven is written at once */
    bench_run(bench, 60000);
    assert_false(bench->document->action.started);
    bench->facts.fleet.in_force = true;
    bench->facts.action.found = XF_ACTION_UNKNOWN;
    bench_run(bench, 100);
    assert_int_equal(bench->document->action.runs, 2);
    bench->facts.action.found = XF_ACTION_PROVEN;
    bench_run(bench, 100);
    assert_true(bench->document->action.done);
    bench->facts.fleet.in_force = false;
    bench_run(bench, 60000);
    assert_int_equal(bench->document->state, XF_CUTOVER_FINALIZING);
    bench->facts.fleet.in_force = true;
    bench_run(bench, 100);
    assert_int_equal(bench->document->state, XF_CUTOVER_FINALIZED);
    assert_string_equal(bench->document->live, "web-v2");
    assert_int_equal(bench->document->action.runs, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_known_of_an_action_decides),
        CASE(an_action_that_waits_is_decided_by_its_number_or_by_a_proof),
        CASE(nothing_is_decided_of_an_action_that_runs),
        CASE(each_action_and_the_end_wait_until_every_proxy_has_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
