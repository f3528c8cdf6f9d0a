/*
 * test_tenure_during.c -- gates that are asked while a cutover climbs: when, and what comes of the
 * answers.
 */
#include "shifter/controller/tenure_parts.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GATES                                                                                      \
    "[{\"http\": {\"url\": \"http://h/\"}, \"every\": \"2s\", \"failures\": 3},"                   \
    " {\"prometheus\": {\"url\": \"http://p/\", \"query\": \"q\", \"success\": \"< 1\"}}]"

struct world {
    struct xf_tenure tenure;
    struct xf_clock clock;
    int64_t now_ms;
    struct xf_plan plan;
    struct xf_document *document;
    struct xf_config_service service;
    unsigned asked[2]; /* how often each gate was asked */
    char last[200];    /* the newest list of one gate */
    char clusters[64];
};

static struct world world;

static int64_t now_ns(void *context)
{
    return ((struct world *) context)->now_ms * 1000000;
}

static void ask(void *context, const char *service, unsigned index, uint64_t attempt,
                const char *gates_json, const char *from, const char *to)
{
    struct world *asked = context;
    assert_string_equal(service, "gateway");
    assert_int_equal(attempt, 7);
    assert_true(index < 2);
    asked->asked[index]++;
    snprintf(asked->last, sizeof(asked->last), "%s", gates_json);
    snprintf(asked->clusters, sizeof(asked->clusters), "%s>%s", from, to);
}

static int set_up(void **state)
{
    (void) state;
    world = (struct world){.now_ms = 1000};
    world.clock = (struct xf_clock){
        .monotonic_ns = now_ns, .boottime_ns = now_ns, .wall_ms = NULL, .context = &world};
    world.service.name = (char *) "gateway";
    world.plan.during_json = (char *) GATES;
    world.document = xf_document_create("gateway", "v1");
    assert_non_null(world.document);
    world.document->plan = &world.plan;
    world.document->attempts = 7;
    world.document->state = XF_CUTOVER_SHIFTING;
    snprintf(world.document->from, sizeof(world.document->from), "v1");
    snprintf(world.document->to, sizeof(world.document->to), "v2");
    world.tenure.magic = XF_TENURE_MAGIC;
    world.tenure.options.clock = &world.clock;
    world.tenure.calls.during = ask;
    world.tenure.calls.context = &world;
    world.tenure.service = &world.service;
    world.tenure.document = world.document;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    xf_tenure_during_drop(&world.tenure);
    world.document->plan = NULL;
    xf_document_destroy(world.document);
    return 0;
}

static void pass_time(int64_t ms)
{
    world.now_ms += ms;
    xf_tenure_during_tick(&world.tenure);
}

static void answer_of(unsigned index, uint64_t attempt, bool passed, const char *runner,
                      const char *message)
{
    json_t *result =
        json_pack("{s:b, s:[{s:s, s:s, s:b, s:s}]}", "passed", passed, "checks", "gate", runner,
                  "severity", "error", "passed", passed, "message", message);
    assert_non_null(result);
    xf_tenure_during_done(&world.tenure, index, attempt, result);
    json_decref(result);
}

static void answer(unsigned index, bool passed, const char *message)
{
    answer_of(index, 7, passed, "http", message);
}

static struct xf_facts facts(void)
{
    struct xf_facts ret;
    memset(&ret, 0, sizeof(ret));
    xf_tenure_during_facts(&world.tenure, &ret);
    return ret;
}

static void each_gate_is_asked_at_its_own_pace_and_never_twice_at_once(void **state)
{
    (void) state;
    pass_time(0);
    assert_int_equal(world.asked[0], 1);
    assert_int_equal(world.asked[1], 1);
    assert_string_equal(world.clusters, "v1>v2");
    assert_non_null(strstr(world.last, "\"prometheus\""));
    assert_null(strstr(world.last, "\"http\"")); /* one gate in each list */
    pass_time(10000);
    assert_int_equal(world.asked[0], 1); /* it still runs */
    answer(0, true, "");
    answer(1, true, "");
    pass_time(0);
    assert_int_equal(world.asked[0], 2); /* every 2 s */
    assert_int_equal(world.asked[1], 1); /* 30 s where nothing is said */
    answer(0, true, "");
    pass_time(1999);
    assert_int_equal(world.asked[0], 2);
    pass_time(1);
    assert_int_equal(world.asked[0], 3);
    pass_time(18000);
    assert_int_equal(world.asked[1], 2);
}

static void nothing_is_passed_before_every_gate_has_answered(void **state)
{
    (void) state;
    assert_int_equal(facts().gate, XF_GATE_UNKNOWN);
    pass_time(0);
    assert_int_equal(facts().gate, XF_GATE_UNKNOWN);
    answer(0, true, "");
    assert_int_equal(facts().gate, XF_GATE_UNKNOWN);
    assert_non_null(strstr(facts().gate_sentence, "has not answered yet"));
    answer(1, true, "");
    assert_int_equal(facts().gate, XF_GATE_PASSED);
    world.plan.during_json = NULL; /* a plan without gates waits for none */
    assert_int_equal(facts().gate, XF_GATE_PASSED);
}

static void a_gate_holds_after_so_many_failures_in_a_row(void **state)
{
    (void) state;
    pass_time(0);
    answer(1, true, "");
    for (unsigned i = 0; i < 2; i++) {
        answer(0, false, "answered 503");
        assert_int_equal(facts().gate, XF_GATE_PASSED);
        pass_time(2000);
    }
    answer(0, true, ""); /* not in a row */
    for (unsigned i = 0; i < 2; i++) {
        pass_time(2000);
        answer(0, false, "answered 503");
        assert_int_equal(facts().gate, XF_GATE_PASSED);
    }
    pass_time(2000);
    answer(0, false, "answered 503");
    assert_int_equal(facts().gate, XF_GATE_FAILED);
    assert_string_equal(facts().gate_sentence, "gate http (3 times in a row): answered 503");
    pass_time(2000);
    answer(0, true, "");
    assert_int_equal(facts().gate, XF_GATE_PASSED);
}

static void no_evidence_holds_at_once(void **state)
{
    (void) state;
    static const struct {
        const char *runner;
        const char *message;
        enum { KNOWS, IGNORANT } says;
    } rows[] = {
        {"prometheus", "no evidence: NaN", IGNORANT},
        {"prometheus", "no evidence: no sample", IGNORANT},
        {"http", "no evidence: nobody answers", IGNORANT},
        {"gates", "the gates did not end within 60 s", IGNORANT}, /* the child itself */
        {"http", "answered 503", KNOWS},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        pass_time(60000);
        answer(1, true, "");
        answer_of(0, 7, false, rows[i].runner, rows[i].message);
        assert_int_equal(facts().gate, rows[i].says == IGNORANT ? XF_GATE_FAILED : XF_GATE_PASSED);
        answer(0, true, "");
        assert_int_equal(facts().gate, XF_GATE_PASSED);
    }
    xf_tenure_during_done(&world.tenure, 0, 7, NULL); /* the child died without a word */
    assert_int_equal(facts().gate, XF_GATE_FAILED);
    assert_string_equal(facts().gate_sentence, "gate http: no answer");
}

static void answers_of_another_attempt_or_gate_are_dropped(void **state)
{
    (void) state;
    answer(0, false, "no evidence: too early"); /* nothing was asked */
    pass_time(0);
    answer(0, true, "");
    answer(1, true, "");
    answer_of(0, 6, false, "http", "no evidence: of the last attempt");
    answer(2, false, "no evidence: of no gate");
    assert_int_equal(facts().gate, XF_GATE_PASSED);
    world.document->attempts = 8;
    assert_int_equal(facts().gate, XF_GATE_UNKNOWN); /* what the last attempt knew is no answer */
}

static void only_a_climbing_cutover_asks(void **state)
{
    (void) state;
    static const struct {
        enum xf_cutover_state state;
        unsigned asked;
    } rows[] = {{XF_CUTOVER_IDLE, 0},     {XF_CUTOVER_PREFLIGHT, 0}, {XF_CUTOVER_SHIFTING, 1},
                {XF_CUTOVER_SOAKING, 1},  {XF_CUTOVER_DRAINING, 1},  {XF_CUTOVER_SAFE, 0},
                {XF_CUTOVER_ABORTING, 0}, {XF_CUTOVER_FINALIZED, 0}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        xf_tenure_during_drop(&world.tenure);
        world.asked[0] = 0;
        world.document->state = rows[i].state;
        pass_time(60000);
        assert_int_equal(world.asked[0], rows[i].asked);
    }
}

static void settings_out_of_range_fall_back(void **state)
{
    (void) state;
    world.plan.during_json =
        (char *) "[{\"http\": {\"url\": \"http://h/\", \"every\": \"1s\", \"failures\": 2}},"
                 " {\"http\": {\"url\": \"http://h/\"}, \"every\": \"1ms\", \"failures\": -4},"
                 " {\"what\": 1}, 5]";
    pass_time(0);
    answer(0, false, "answered 500"); /* settings among the gate's own options */
    answer(1, false, "answered 500");
    assert_int_equal(facts().gate, XF_GATE_FAILED);
    assert_string_equal(facts().gate_sentence, "gate http: answered 500");
    answer(1, true, "");
    assert_int_equal(facts().gate, XF_GATE_PASSED);
    pass_time(1000);
    assert_int_equal(world.asked[0], 2);
    assert_int_equal(world.asked[1], 1); /* 30 s, not 1 ms */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(each_gate_is_asked_at_its_own_pace_and_never_twice_at_once),
        TEST(nothing_is_passed_before_every_gate_has_answered),
        TEST(a_gate_holds_after_so_many_failures_in_a_row),
        TEST(no_evidence_holds_at_once),
        TEST(answers_of_another_attempt_or_gate_are_dropped),
        TEST(only_a_climbing_cutover_asks),
        TEST(settings_out_of_range_fall_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
