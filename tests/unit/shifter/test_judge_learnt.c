/*
 * test_judge_learnt.c -- what is normal for a cluster is learnt from its recent past.
 */
#include "shifter/judge/judge_learnt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_MS INT64_C(1000000000)

/* `seconds` with 100 responses each and a burst of `errors` over 400 ms every 5 s. */
static int64_t live(struct xf_learner *learner, int64_t t_ms, int seconds, unsigned errors)
{
    for (int cell = 0; cell < seconds * 20; cell++, t_ms += 50) {
        xf_learner_cell(learner, t_ms, 5, cell % 100 < 8 ? errors / 8 : 0);
    }
    xf_learner_seen(learner, t_ms);
    return t_ms;
}

static void bursts_and_shares_are_learnt(void **state)
{
    (void) state;
    struct xf_learner learner;
    xf_learner_init(&learner);
    assert_int_equal(xf_learner_learnt(&learner).done, 0);
    assert_int_equal(xf_learner_learnt(&learner).blip_ms, 0);
    live(&learner, START_MS, 120, 16);
    struct xf_learnt learnt = xf_learner_learnt(&learner);
    assert_int_equal(learnt.done, 12000);
    assert_int_equal(learnt.bad, 24 * 16);
    assert_true(learnt.blip_ms >= 400 && learnt.blip_ms <= 800);
}

static void what_is_long_past_is_forgotten(void **state)
{
    (void) state;
    struct xf_learner learner;
    xf_learner_init(&learner);
    int64_t t_ms = live(&learner, START_MS, 300, 16);
    t_ms = live(&learner, t_ms, 600, 0);
    assert_true(xf_learner_learnt(&learner).bad > 0); /* not yet twenty minutes ago */
    live(&learner, t_ms, 601, 0);
    struct xf_learnt learnt = xf_learner_learnt(&learner);
    assert_int_equal(learnt.bad, 0);
    assert_true(learnt.done >= 60000 && learnt.done <= 121000);
}

static void a_fleet_learns_the_longest_burst_and_all_responses(void **state)
{
    (void) state;
    struct xf_learnt fleet = {.done = 100, .bad = 3, .blip_ms = 200};
    xf_learnt_add(&fleet, &(struct xf_learnt){.done = 50, .bad = 1, .blip_ms = 800});
    xf_learnt_add(&fleet, &(struct xf_learnt){.done = 7});
    assert_int_equal(fleet.done, 157);
    assert_int_equal(fleet.bad, 4);
    assert_int_equal(fleet.blip_ms, 800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_and_shares_are_learnt),
        cmocka_unit_test(what_is_long_past_is_forgotten),
        cmocka_unit_test(a_fleet_learns_the_longest_burst_and_all_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
