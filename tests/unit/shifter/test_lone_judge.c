/*
 * test_lone_judge.c -- one proxy on its own: it retreats for its own evidence, and only alone.
 */
#include "shifter/agent/lone_judge.h"

#include "agent_fixture.h"

#define PLAN                                                                                       \
    "name: v2\nservice: gateway\nto: new\nsteps:\n"                                                \
    "  - {weight: 10%, hold: 1h}\n  - {weight: 100%, hold: 1h}\n"

struct bench {
    struct xf_lone_judge *lone;
    struct xf_document *document;
    struct xf_lone_facts facts;
    unsigned said; /* retreats */
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct xf_problems problems = {0};
    bench->lone = xf_lone_judge_create();
    bench->document = fixture_document(XF_CUTOVER_SHIFTING, 1000);
    xf_plan_destroy(bench->document->plan);
    assert_int_equal(xf_plan_parse("plan", PLAN, strlen(PLAN), &bench->document->plan, &problems),
                     0);
    bench->document->attempts = 1;
    bench->document->verdict_attempt = 1;
    bench->document->step = 0;
    bench->facts = (struct xf_lone_facts){.document = bench->document,
                                          .weight = 1000,
                                          .fleet = 1,
                                          .alone = true,
                                          .store_ms = 1000000000000,
                                          .monotonic_ms = 1000};
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    xf_lone_judge_destroy(bench->lone);
    xf_document_destroy(bench->document);
    free(bench);
    return 0;
}

/* `ms` at 200 requests a second; of green's every `one_in`th fails (0: none). */
static void serve(struct bench *bench, int64_t ms, unsigned one_in)
{
    unsigned greens = 0;
    for (int64_t at = 0; at < ms; at += XF_CELL_MS) {
        struct xf_message_cell cell = {
            .number = (uint64_t) (bench->facts.store_ms / XF_CELL_MS) - 1, .entries_count = 1};
        struct xf_message_counts *counts = &cell.entries[0].counts;
        cell.entries[0].weight = 1000;
        counts->sent[0] = counts->done[0] = 9;
        counts->sent[1] = counts->done[1] = 1;
        greens++;
        counts->bad[1] = one_in > 0 && greens % one_in == 0;
        xf_lone_judge_take(bench->lone, &bench->facts, &cell, 1);
        bench->said += xf_lone_judge_tick(bench->lone, &bench->facts);
        bench->facts.store_ms += XF_CELL_MS;
        bench->facts.monotonic_ms += XF_CELL_MS;
    }
}

static void alone_it_retreats_once_and_says_why(void **state)
{
    struct bench *bench = *state;
    serve(bench, 5000, 0);
    assert_int_equal(bench->said, 0);
    serve(bench, 5000, 1);
    assert_int_equal(bench->said, 1);
    assert_non_null(strstr(xf_lone_judge_sentence(bench->lone), "green fails"));
    assert_non_null(strstr(xf_lone_judge_verdict(bench->lone), "\"rule\":\"errors\""));
}

static void a_healthy_green_is_left_alone(void **state)
{
    struct bench *bench = *state;
    serve(bench, 600000, 0);
    assert_int_equal(bench->said, 0);
}

static void while_somebody_leads_it_says_nothing_and_forgets(void **state)
{
    struct bench *bench = *state;
    bench->facts.alone = false;
    serve(bench, 5000, 0);
    serve(bench, 5000, 1);
    serve(bench, 6000, 0); /* the leader let it be */
    bench->facts.alone = true;
    serve(bench, 5000, 0);
    assert_int_equal(bench->said, 0);
}

static void what_stood_when_the_leader_went_is_acted_on(void **state)
{
    struct bench *bench = *state;
    serve(bench, 5000, 0);
    bench->facts.alone = false;
    serve(bench, 2000, 1);
    assert_int_equal(bench->said, 0);
    bench->facts.alone = true;
    serve(bench, 50, 0);
    assert_int_equal(bench->said, 1);
}

static void what_the_leader_has_acted_on_is_not_acted_on_again(void **state)
{
    struct bench *bench = *state;
    bench->document->holds[XF_HOLD_ERRORS].on = true;
    bench->document->plan->guard.errors_then = XF_THEN_HOLD;
    serve(bench, 5000, 0);
    serve(bench, 5000, 1);
    assert_int_equal(bench->said, 0);
}

static void a_weight_forced_beside_the_hold_is_taken_away_again(void **state)
{
    struct bench *bench = *state;
    bench->document->holds[XF_HOLD_ERRORS].on = true; /* a retreat's; then a weight by hand */
    serve(bench, 5000, 0);
    serve(bench, 5000, 1);
    assert_int_equal(bench->said, 1);
}

/* How many failures it takes, one after another. */
static unsigned needed(struct bench *bench)
{
    serve(bench, 2000, 0);
    for (unsigned i = 1; i < 200; i++) {
        serve(bench, 200, 4); /* one failure in four */
        if (bench->said > 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void many_proxies_share_false_pause_so_each_needs_more_evidence(void **state)
{
    struct bench *bench = *state;
    unsigned single = needed(bench);
    assert_true(single < 200);
    assert_int_equal(teardown(state), 0);
    assert_int_equal(setup(state), 0);
    bench = *state;
    bench->facts.fleet = 1000;
    unsigned shared = needed(bench);
    assert_true(shared > single);
    assert_true(shared < 200);
}

static void another_attempt_begins_without_the_old_evidence(void **state)
{
    struct bench *bench = *state;
    bench->facts.alone = false;
    serve(bench, 5000, 0);
    serve(bench, 1000, 1);
    bench->document->verdict_attempt = 2;
    bench->facts.alone = true;
    serve(bench, 5000, 0);
    assert_int_equal(bench->said, 0);
    serve(bench, 5000, 1);
    assert_int_equal(bench->said, 1);
    assert_non_null(strstr(xf_lone_judge_sentence(bench->lone), "attempt 2"));
}

static void at_weight_0_there_is_nothing_to_take_away(void **state)
{
    struct bench *bench = *state;
    serve(bench, 5000, 0);
    bench->facts.weight = 0;
    serve(bench, 5000, 1);
    assert_int_equal(bench->said, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(alone_it_retreats_once_and_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(a_healthy_green_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(while_somebody_leads_it_says_nothing_and_forgets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_stood_when_the_leader_went_is_acted_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_the_leader_has_acted_on_is_not_acted_on_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_weight_forced_beside_the_hold_is_taken_away_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_proxies_share_false_pause_so_each_needs_more_evidence,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(another_attempt_begins_without_the_old_evidence, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(at_weight_0_there_is_nothing_to_take_away, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
