/*
 * test_timeline.c -- what `crossfade plan` foretells, against the judge's own figures.
 */
#include "shifter/cli/leak.h"
#include "shifter/plan/plan_judge.h"
#include "shifter/cli/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW       1795431600000 /* 2026-11-23T11:00:00Z, a Monday */
#define MINUTE    60000
#define HOUR      (60 * MINUTE)
#define PLAN_HEAD "name: p\nservice: web\nto: v2\n"

static struct xf_plan *plan_of(const char *text)
{
    struct xf_plan *plan = NULL;
    struct xf_problems problems = {0};
    int result = xf_plan_parse("plan", text, strlen(text), &plan, &problems);
    xf_problems_print(&problems, stderr);
    xf_problems_release(&problems);
    assert_int_equal(result, 0);
    return plan;
}

static struct xf_timeline *timeline_of(const char *text, double rps)
{
    struct xf_plan *plan = plan_of(text);
    struct xf_timeline *timeline = xf_timeline_make(plan, NOW, rps);
    assert_non_null(timeline);
    xf_plan_destroy(plan);
    return timeline;
}

static bool warned(const struct xf_timeline *timeline, const char *part)
{
    for (unsigned i = 0; i < timeline->warnings_count; i++) {
        if (strstr(timeline->warnings[i], part) != NULL) {
            return true;
        }
    }
    return false;
}

static void steps_follow_one_another(void **state)
{
    (void) state;
    struct xf_timeline *timeline =
        timeline_of(PLAN_HEAD "steps: [{weight: 10%, hold: 10m}, {ramp: 50%, over: 1h, hold: 5m}, "
                              "{weight: 100%, hold: 30m}]\n",
                    1000);
    assert_int_equal(timeline->steps[0].begins_ms, NOW);
    assert_int_equal(timeline->steps[1].begins_ms, NOW + 10 * MINUTE);
    assert_int_equal(timeline->steps[1].reached_ms, NOW + 70 * MINUTE);
    assert_int_equal(timeline->steps[2].begins_ms, NOW + 75 * MINUTE);
    assert_int_equal(timeline->ends_ms, NOW + 105 * MINUTE);
    free(timeline);
}

static void evidence_is_the_judges_and_makes_a_step_longer(void **state)
{
    (void) state;
    static const char text[] = PLAN_HEAD "steps: [{weight: 10%, hold: 10m}, {weight: 100%}]\n";
    struct xf_timeline *timeline = timeline_of(text, 20);
    assert_int_equal(timeline->steps[0].clean, 437); /* JUDGE.md 2e: p_ok 1 % */
    assert_int_equal(timeline->steps[0].evidence_ms, 437 * 600);
    assert_int_equal(timeline->steps[0].ends_ms, NOW + 10 * MINUTE);
    assert_int_equal(timeline->steps[1].clean, 0); /* what is proven stays proven */
    free(timeline);
    timeline = timeline_of(text, 2);
    assert_int_equal(timeline->steps[0].ends_ms, NOW + 437 * 5100);
    assert_true(warned(timeline, "step 1: the evidence takes"));
    free(timeline);
    timeline = timeline_of(text, -1);
    assert_int_equal(timeline->steps[0].evidence_ms, -1);
    assert_true(warned(timeline, "the rate is unknown"));
    free(timeline);
}

static void windows_and_start_at_move_the_steps(void **state)
{
    (void) state;
    struct xf_timeline *timeline =
        timeline_of(PLAN_HEAD "steps: [{weight: 10%, hold: 1h}, {weight: 100%, hold: 1h}]\n"
                              "windows: [\"Mon-Fri 20:00-21:30\"]\n",
                    1000);
    assert_int_equal(timeline->begins_ms, NOW + 9 * HOUR);
    assert_int_equal(timeline->steps[1].begins_ms, NOW + 10 * HOUR);
    assert_int_equal(timeline->ends_ms, NOW + 24 * HOUR + 9 * HOUR + 30 * MINUTE);
    free(timeline);
    timeline = timeline_of(PLAN_HEAD "steps: [{weight: 100%, hold: 1h}]\n"
                                     "start_at: 2026-11-23T13:00:00Z\n",
                           1000);
    assert_int_equal(timeline->begins_ms, NOW + 2 * HOUR);
    free(timeline);
}

/* JUDGE.md section 5: what the reference leaked. */
static void leaks_have_the_size_of_the_judges_goals(void **state)
{
    (void) state;
    static const struct {
        double rho, rps, all_max, tenfold_max, twice_max;
    } rows[] = {
        {0.01, 200, 5, 10, 170},
        {0.01, 2000, 10, 10, 170},
        {0.05, 2000, 60, 15, 170},
        {0.25, 2000, 550, 60, 250},
    };
    struct xf_plan *plan =
        plan_of(PLAN_HEAD "steps: [{weight: 1%, hold: 1h}, {weight: 5%, hold: 1h}, {weight: 25%}, "
                          "{weight: 100%}]\n");
    struct xf_judge_options options;
    struct xf_judge *judge = malloc(sizeof(*judge));
    xf_plan_judge_options(plan, false, &options);
    xf_judge_init(judge, &options, NOW);
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        double all = xf_leak_all(judge, rows[i].rho, rows[i].rho * rows[i].rps);
        double tenfold = xf_leak_ratio(judge, rows[i].rho, 10);
        double twice = xf_leak_ratio(judge, rows[i].rho, 2);
        print_message("%g at %g: %g %g %g\n", rows[i].rho, rows[i].rps, all, tenfold, twice);
        assert_true(all >= 3 && all <= rows[i].all_max);
        assert_true(tenfold >= 3 && tenfold <= rows[i].tenfold_max);
        assert_true(twice > tenfold && twice <= rows[i].twice_max);
    }
    assert_true(xf_leak_ratio(judge, 1, 10) < 0); /* nothing to compare with */
    assert_true(xf_leak_all(judge, 1, 2000) > 0); /* but there is the budget */
    free(judge);
    xf_plan_destroy(plan);
}

static void warnings_name_what_a_plan_lacks(void **state)
{
    (void) state;
    struct xf_timeline *timeline = timeline_of(
        PLAN_HEAD "steps: [{weight: 20%, hold: 1h, approve: true}, {weight: 100%, hold: 1h}]\n"
                  "guard: {errors: {then: hold}, latency: off}\n"
                  "deadline: 1h\nfinalize: {when: auto}\nstart_at: 2026-11-22T00:00:00Z\n",
        1000);
    static const char *const parts[] = {
        "first step sends 20%", "to 100% at once",       "waits for an approval", "then is hold",
        "latency is off",       "deadline comes before", "start_at is past",      "no signal"};
    for (size_t i = 0; i < XF_COUNT(parts); i++) {
        if (!warned(timeline, parts[i])) {
            fail_msg("no warning \"%s\"", parts[i]);
        }
    }
    free(timeline); /* the deadline runs from start_at */
    timeline = timeline_of(PLAN_HEAD "steps: [{weight: 5%, hold: 1h}, {weight: 50%, hold: 1h}, "
                                     "{weight: 100%, hold: 1h}]\nsignal: {webhook: ops}\n"
                                     "start_at: 2036-11-22T00:00:00Z\ndeadline: 4h\n",
                           1000);
    assert_int_equal(timeline->warnings_count, 0);
    free(timeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_one_another),
        cmocka_unit_test(evidence_is_the_judges_and_makes_a_step_longer),
        cmocka_unit_test(windows_and_start_at_move_the_steps),
        cmocka_unit_test(leaks_have_the_size_of_the_judges_goals),
        cmocka_unit_test(warnings_name_what_a_plan_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
