/*
 * test_control_drain.c -- the verb `drain`, and green's drain after an abort.
 */
#include "control_bench.h"

#include "agent_fixture.h"

#include "shifter/control/drain_wish.h"

#define CONFIG                                                                                     \
    "store: sqlite:/tmp/none.db\n"                                                                 \
    "listeners: [{bind: \"127.0.0.1:18000\", service: web}]\n"                                     \
    "services: {web: {live: web-v1, clusters: [web-v1, web-v2]}}\n"                                \
    "clusters: {web-v1: \"127.0.0.1:18010\", web-v2: \"127.0.0.1:18011\", "                        \
    "other: \"127.0.0.1:18012\"}\n"

#define PLAN                                                                                       \
    "name: web\nservice: web\nto: web-v2\n"                                                        \
    "drain: {policy: paced, rate: 30/s}\n"                                                         \
    "steps: [{weight: 10%, hold: 1m}, {weight: 100%, hold: 1m}]\n"

static struct xf_config *config;

static int setup(void **state)
{
    static struct bench bench;
    config = fixture_config_of(CONFIG);
    bench_open(&bench);
    bench.facts.config = config;
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    bench_close(*state);
    xf_config_destroy(config);
    return 0;
}

static void a_wrong_order_changes_nothing(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const char *arguments;
        int exit_code;
    } rows[] = {
        {"{}", 6},
        {"{\"cluster\": \"nope\"}", 2},
        {"{\"cluster\": \"other\"}", 2},
        {"{\"cluster\": 7}", 2},
        {"{\"cluster\": \"web-v1\", \"rate\": \"20\"}", 2},
        {"{\"cluster\": \"web-v1\", \"rate\": \"0/s\"}", 2},
        {"{\"cluster\": \"web-v1\", \"rate\": 20}", 2},
        {"{\"cluster\": \"web-v1\", \"rate\": \"20/s\", \"now\": true}", 2},
    };
    uint64_t before = bench->version.generation;
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        assert_int_equal(bench_verb(bench, "ann", "drain", rows[i].arguments), rows[i].exit_code);
    }
    assert_int_equal(bench->version.generation, before);
    assert_int_equal(bench->document->drain.number, 0);
}

static void an_order_names_cluster_and_pace_and_takes_a_generation(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const char *arguments;
        uint32_t rate_milli;
        int64_t after_ms;
    } rows[] = {
        {"{\"cluster\": \"web-v2\", \"rate\": \"90/m\"}", 1500, -1},
        {"{\"cluster\": \"web-v2\", \"now\": true}", XF_DRAIN_UNBOUNDED, 0},
        {"{\"cluster\": \"web-v2\", \"now\": false}", 20000, -1}, /* nobody has set a pace */
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        uint64_t before = bench->version.generation;
        assert_int_equal(bench_verb(bench, "ann", "drain", rows[i].arguments), 0);
        assert_int_equal(bench->version.generation, before + 1);
        assert_int_equal(bench->document->drain.number, i + 1);
        assert_string_equal(bench->document->drain.cluster, "web-v2");
        assert_true(bench->document->drain.rate_milli == rows[i].rate_milli);
        assert_int_equal(bench->document->drain.after_ms, rows[i].after_ms);
        assert_string_equal(bench->last_verb, "drain");
    }
}

static void without_a_name_the_cluster_is_the_one_that_traffic_left(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, PLAN), 0);
    bench_run(bench, 1000);
    assert_int_equal(bench_verb(bench, "ann", "drain", "{}"), 6); /* both serve */
    assert_int_equal(bench_verb(bench, "ann", "weight", "{\"weight\": 10000}"), 0);
    assert_int_equal(bench_verb(bench, "ann", "drain", "{}"), 0);
    assert_string_equal(bench->document->drain.cluster, "web-v1");
    assert_int_equal(bench->document->drain.rate_milli, 30000); /* the plan's */
}

static void after_an_abort_green_goes_on_being_emptied(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench_start(bench, PLAN), 0);
    bench_run(bench, 1000);
    assert_int_equal(bench_verb(bench, "ann", "abort", NULL), 0);
    assert_true(bench_until(bench, XF_CUTOVER_ABORTED, 5000));
    assert_string_equal(bench->document->drain.cluster, "web-v2");
    assert_int_equal(bench->document->drain.rate_milli, 30000);
    assert_int_equal(bench->document->drain.after_ms, -1);
    assert_int_equal(bench_start(bench, PLAN), 0); /* a new cutover forgets it */
    assert_string_equal(bench->document->drain.cluster, "");
    assert_int_equal(bench->document->drain.number, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_wrong_order_changes_nothing),
        CASE(an_order_names_cluster_and_pace_and_takes_a_generation),
        CASE(without_a_name_the_cluster_is_the_one_that_traffic_left),
        CASE(after_an_abort_green_goes_on_being_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
