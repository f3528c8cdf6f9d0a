/*
 * test_plan.c -- plans are read whole or refused whole, and are written as they would be read.
 */
#include "shifter/plan/plan.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "name: kong-3.1\nservice: gateway\nto: kong-31\n"
#define LAST "  - {weight: 100%, hold: 30m}\n"

static struct xf_plan *read_plan(const char *text)
{
    struct xf_plan *plan = NULL;
    struct xf_problems problems;
    if (xf_plan_parse("p.yaml", text, strlen(text), &plan, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        fail();
    }
    xf_problems_release(&problems);
    return plan;
}

static void whom_a_plan_notifies_is_read_and_kept(void **state)
{
    (void) state;
    struct xf_plan *plan =
        read_plan(HEAD "steps:\n" LAST "notify: [{webhook: ops, severity: notice}, {webhook: "
                       "chat}]\n");
    struct xf_plan *again = read_plan(plan->json);
    const struct xf_plan *const plans[] = {plan, again};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(plans[i]->notify_count, 2);
        assert_string_equal(plans[i]->notify[0].webhook, "ops");
        assert_int_equal(plans[i]->notify[0].severity, 5);
        assert_string_equal(plans[i]->notify[1].webhook, "chat");
        assert_int_equal(plans[i]->notify[1].severity, 4); /* a warning, unless it says */
    }
    xf_plan_destroy(plan);
    xf_plan_destroy(again);
}

static void the_plan_of_the_design_is_read(void **state)
{
    (void) state;
    struct xf_plan *plan = read_plan(
        HEAD "from: kong-30\nsteps:\n"
             "  - {weight: 1%, hold: 10m}\n"
             "  - {weight: 5%, hold: 10m, approve: true}\n"
             "  - {ramp: 50%, over: 1h}\n"
             "  - {weight: 80%, hold: 30m, evidence: advisory}\n" LAST "guard:\n"
             "  errors: {worse_than: 1.2x, ignore_below: 0.05%, "
             "limit: 5%, then: retreat}\n"
             "  latency: off\n  both: hold\n  false_pause: 1%\n"
             "  blip: 200ms\n  statuses: [500-503, 599]\n"
             "  resume: {times: 2, after: 5m}\n"
             "  without_store: off\n"
             "start_at: 2026-11-22T22:00:00+01:00\n"
             "windows: [\"Mon-Thu 22:00-06:00 Europe/Paris\"]\n"
             "finalize: {when: auto, actions: [{hook: h, verify: {postgres: {rows: 1}}}]}\n"
             "drain: {policy: paced, rate: 20/s}\n"
             "signal: {webhook: ops, hook: decommission-blue}\n"
             "deadline: 4h\non_deadline: abort\n");
    assert_string_equal(plan->name, "kong-3.1");
    assert_int_equal(plan->steps_count, 5);
    assert_int_equal(plan->steps[0].weight, 100);
    assert_int_equal(plan->steps[0].hold_ms, 600000);
    assert_true(plan->steps[1].approve);
    assert_int_equal(plan->steps[2].ramp_ms, 3600000);
    assert_true(plan->steps[3].evidence_advisory);
    assert_false(plan->guard.latency_on);
    assert_int_equal(plan->guard.blip_ms, 200);
    assert_int_equal(plan->guard.statuses[500 / 64] >> (500 % 64) & 0x1f, 0xf);
    assert_int_equal(plan->guard.statuses[599 / 64] >> (599 % 64) & 1, 1);
    assert_int_equal(plan->guard.resume_times, 2);
    assert_false(plan->guard.without_store_retreat);
    assert_int_equal(plan->windows_count, 1);
    assert_int_equal(plan->windows[0].days, 0x0f);
    assert_int_equal(plan->windows[0].from_minute, 22 * 60);
    assert_int_equal(plan->finalize_when, XF_FINALIZE_AUTO);
    assert_int_equal(plan->actions_count, 1);
    assert_string_equal(plan->actions[0].hook, "h");
    assert_string_equal(plan->actions[0].verify_json, "[{\"postgres\":{\"rows\":1}}]");
    assert_true(plan->drain_set);
    assert_true(plan->drain.rate == 20.0);
    assert_true(plan->deadline_aborts);

    struct xf_plan *again = read_plan(plan->json);
    assert_string_equal(again->json, plan->json);
    assert_memory_equal(&again->guard, &plan->guard, sizeof(plan->guard));
    assert_memory_equal(again->windows, plan->windows, sizeof(*plan->windows));
    assert_int_equal(again->start_at_ms, plan->start_at_ms);
    xf_plan_destroy(again);
    xf_plan_destroy(plan);
}

static void a_short_plan_has_the_default_guard(void **state)
{
    (void) state;
    struct xf_plan *plan = read_plan(HEAD "steps:\n" LAST);
    assert_true(plan->guard.errors_worse_than == 1.2);
    assert_int_equal(plan->guard.errors_then, XF_THEN_RETREAT);
    assert_int_equal(plan->guard.latency_then, XF_THEN_HOLD);
    assert_true(plan->guard.rescue);
    assert_false(plan->bare);
    xf_plan_destroy(plan);
}

static void a_bare_plan_survives_its_own_reader(void **state)
{
    (void) state;
    struct xf_plan *plan = xf_plan_bare("web", "web-v2");
    assert_non_null(plan);
    assert_string_equal(plan->name, "to-web-v2");
    struct xf_plan *again = read_plan(plan->json);
    assert_true(again->bare);
    assert_int_equal(again->steps[0].hold_ms, 600000);
    xf_plan_destroy(again);
    xf_plan_destroy(plan);
}

static void a_bad_plan_is_refused_whole_with_line_and_reason(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        unsigned line;
        const char *says;
    } rows[] = {
        {HEAD "steps:\n  - {weight: 50%}\n  - {weight: 25%}\n" LAST, 6, "falls from 50% to 25%"},
        {HEAD "steps:\n  - {weight: 50%, hold: -1s}\n" LAST, 5, "must not be negative"},
        {HEAD "steps: []\n", 4, "at least one step"},
        {HEAD "steps:\n  - {weight: 25}\n" LAST, 5, "percentage"},
        {HEAD "steps:\n  - {weight: 101%}\n" LAST, 5, "percentage"},
        {HEAD "steps:\n  - {ramp: 50%}\n" LAST, 5, "needs \"over\""},
        {HEAD "steps:\n  - {weight: 50%, over: 1h}\n" LAST, 5, "goes with \"ramp\""},
        {HEAD "steps:\n  - {hold: 1h}\n" LAST, 5, "either"},
        {HEAD "steps:\n  - {weight: 50%}\n", 5, "last step must be 100%"},
        {HEAD "steps:\n  - {weight: 0%}\n" LAST, 5, "above 0%"},
        {HEAD "steps:\n" LAST "stepz: 1\n", 6, "unknown key \"stepz\""},
        {HEAD "from: kong-31\nsteps:\n" LAST, 3, "\"to\" is the cluster"},
        {HEAD "steps:\n" LAST "windows: [\"Mon 25:00-26:00\"]\n", 6, "window"},
        {HEAD "steps:\n" LAST "windows: [\"Mon 22:00-06:00 Mars/Base\"]\n", 6, "window"},
        {HEAD "steps:\n" LAST "guard: {statuses: [99]}\n", 6, "status"},
        {HEAD "steps:\n" LAST "guard: {statuses: [600]}\n", 6, "status"},
        {HEAD "steps:\n" LAST "guard: {errors: {worse_than: 0.5x}}\n", 6, "ratio"},
        {HEAD "steps:\n" LAST "guard: {errors: {then: panic}}\n", 6, "hold or step-back"},
        {HEAD "steps:\n" LAST "gates: {before_start: [{astrology: {}}]}\n", 6,
         "a gate is a mapping"},
        {HEAD "steps:\n" LAST "gates: {before_start: [{hook: a, b: 1}]}\n", 6, "unknown key"},
        {HEAD "steps:\n" LAST "gates: {during: [{hook: a, every: 1ms}]}\n", 6, "every"},
        {HEAD "steps:\n" LAST "gates: {during: [{http: {url: u, failures: 0}}]}\n", 6, "failures"},
        {HEAD "steps:\n" LAST "gates: {before_start: [{hook: a, every: 10s}]}\n", 6, "unknown key"},
        {HEAD "steps:\n" LAST "fence: {services: []}\n", 6, "list of 1 to"},
        {HEAD "steps:\n" LAST "fence: {methods: [POST]}\n", 6, "\"services\" is missing"},
        {HEAD "steps:\n" LAST "fence: {services: [a], methods: [FLY]}\n", 6, "no method"},
        {HEAD "steps:\n" LAST "fence: {services: [a], allow_paths: [x]}\n", 6, "begins with /"},
        {HEAD "steps:\n" LAST "finalize: {actions: [{verify: {kong: {}}}]}\n", 6, "needs \"hook\""},
        {HEAD "steps:\n" LAST "finalize: {actions: [{hook: a, command: b}]}\n", 6, "unknown key"},
        {HEAD "steps:\n" LAST "finalize: {actions: [{hook: a, verify: {b: c}}]}\n", 6,
         "a gate is a mapping"},
        {HEAD "steps:\n" LAST "notify: ops\n", 6, "list of 1 to 16"},
        {HEAD "steps:\n" LAST "notify: [{severity: error}]\n", 6, "\"webhook\" is missing"},
        {HEAD "steps:\n" LAST "notify: [{webhook: ops, severity: loud}]\n", 6, "loud"},
        {HEAD "steps:\n" LAST "start_at: tomorrow\n", 6, "start_at"},
        {HEAD "steps:\n" LAST "drain: {policy: paced}\n", 6, "rate"},
        {"service: a\nto: b\nsteps:\n" LAST, 1, "\"name\" is missing"},
        {"name: UPPER\nservice: a\nto: b\nsteps:\n" LAST, 1, "name"},
        {"name: a\nservice: \"a\\r\\nX: y\"\nto: b\nsteps:\n" LAST, 2, "name"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_plan *plan = NULL;
        struct xf_problems problems;
        int result = xf_plan_parse("p.yaml", rows[i].text, strlen(rows[i].text), &plan, &problems);
        if (result == 0 || problems.count == 0 ||
            strstr(problems.items[0].message, rows[i].says) == NULL ||
            problems.items[0].line != rows[i].line) {
            fail_msg("row %zu: %d, line %u: %s", i, result,
                     problems.count > 0 ? problems.items[0].line : 0,
                     problems.count > 0 ? problems.items[0].message : "-");
        }
        assert_null(plan);
        xf_problems_release(&problems);
    }
}

static void all_errors_are_told_at_once(void **state)
{
    (void) state;
    static const char text[] = "name: a\nservice: b\nto: c\nzzz: 1\nsteps:\n  - {weight: 7}\n"
                               "  - {weight: 100%, hold: x}\nguard: {blip: 33ms}\n";
    struct xf_plan *plan = NULL;
    struct xf_problems problems;
    assert_int_equal(xf_plan_parse("p", text, strlen(text), &plan, &problems), -1);
    assert_int_equal(problems.count, 4);
    xf_problems_release(&problems);
}

static void too_many_steps_are_refused(void **state)
{
    (void) state;
    static char text[64 * 1024] = HEAD "steps:\n";
    for (unsigned i = 0; i <= XF_PLAN_STEPS_MAX; i++) {
        strcat(text, "  - {weight: 100%}\n");
    }
    struct xf_plan *plan = NULL;
    struct xf_problems problems;
    assert_int_equal(xf_plan_parse("p", text, strlen(text), &plan, &problems), -1);
    assert_non_null(strstr(problems.items[0].message, "too many"));
    xf_problems_release(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plan_of_the_design_is_read),
        cmocka_unit_test(whom_a_plan_notifies_is_read_and_kept),
        cmocka_unit_test(a_short_plan_has_the_default_guard),
        cmocka_unit_test(a_bare_plan_survives_its_own_reader),
        cmocka_unit_test(a_bad_plan_is_refused_whole_with_line_and_reason),
        cmocka_unit_test(all_errors_are_told_at_once),
        cmocka_unit_test(too_many_steps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
