/*
 * test_gate.c -- lists of checks, and gates run in a child.
 */
#include "shifter/controller/gate_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

static char word_true[] = "true";
static char word_false[] = "false";
static char word_sleep[] = "sleep";
static char word_60[] = "61.5";
static char name_good[] = "good";
static char name_bad[] = "bad";
static char name_slow[] = "slow";
static char *true_argv[] = {word_true, NULL};
static char *false_argv[] = {word_false, NULL};
static char *slow_argv[] = {word_sleep, word_60, NULL};
static struct xf_config_hook hooks[] = {
    {.name = name_good, .command = true_argv, .timeout_ms = 5000},
    {.name = name_bad, .command = false_argv, .timeout_ms = 5000},
    {.name = name_slow, .command = slow_argv, .timeout_ms = 60000},
};
static struct xf_config config = {.hooks = hooks, .hooks_count = 3};
static const struct xf_gate_context gate_context = {.config = &config, .from = "", .to = ""};

struct outcome {
    struct event_base *loop;
    json_t *result;
};

static void keep_result(void *context, const json_t *result)
{
    struct outcome *outcome = context;
    outcome->result = json_deep_copy(result);
    event_base_loopbreak(outcome->loop);
}

static json_t *run(const char *gates, int64_t timeout_ms)
{
    struct outcome outcome = {.loop = event_base_new()};
    struct xf_gate_runner *runner = NULL;
    struct xf_error err;
    assert_int_equal(xf_gate_runner_start(outcome.loop, gates, &gate_context, timeout_ms,
                                          keep_result, &outcome, &runner, &err),
                     0);
    event_base_dispatch(outcome.loop);
    xf_gate_runner_destroy(runner);
    event_base_free(outcome.loop);
    assert_non_null(outcome.result);
    return outcome.result;
}

static void a_gate_passes_only_on_its_hook_s_exit_0(void **state)
{
    (void) state;
    static const struct {
        const char *gates;
        bool passed;
    } rows[] = {
        {"[{\"hook\": \"good\"}]", true},
        {"[{\"hook\": \"bad\"}]", false},
        {"[{\"hook\": \"good\"}, {\"hook\": \"bad\"}]", false},
        {"[{\"hook\": \"absent\"}]", false},
        {"[{\"hook\": 5}]", false},
        {"[{\"astrology\": {}}]", false},
        {"[{\"kong\": []}]", false},
        {"[{\"kong\": {\"unknown\": 1}}]", false},
        {"[{\"http\": {\"url\": \"http://127.0.0.1:1/\"}}]", false},
        {"[{\"postgres\": {\"database\": \"absent\", \"query\": \"SELECT 1\", \"equals\": 1}}]",
         false},
        {"[{\"prometheus\": {\"url\": \"http://127.0.0.1:1\", \"query\": \"up\"}}]", false},
        {"[]", true},
        {"not json", false},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        json_t *result = run(rows[i].gates, 10000);
        assert_int_equal(json_is_true(json_object_get(result, "passed")), rows[i].passed);
        json_decref(result);
    }
}

/* Processes whose command line is the slow hook's. */
static unsigned slow_hooks(void)
{
    FILE *list = popen("ps -eo args", "r");
    char line[256];
    unsigned count = 0;
    while (fgets(line, sizeof(line), list) != NULL) {
        count += strcmp(line, "sleep 61.5\n") == 0;
    }
    pclose(list);
    return count;
}

static void gates_that_take_too_long_fail_and_leave_no_process(void **state)
{
    (void) state;
    json_t *result = run("[{\"hook\": \"slow\"}]", 200);
    assert_false(json_is_true(json_object_get(result, "passed")));
    const json_t *check = json_array_get(json_object_get(result, "checks"), 0);
    assert_non_null(strstr(json_string_value(json_object_get(check, "message")), "time limit"));
    json_decref(result);
    assert_int_equal(slow_hooks(), 0);
}

static void a_runner_may_be_destroyed_while_its_gates_run(void **state)
{
    (void) state;
    struct outcome outcome = {.loop = event_base_new()};
    struct xf_gate_runner *runner = NULL;
    struct xf_error err;
    assert_int_equal(xf_gate_runner_start(outcome.loop, "[{\"hook\": \"slow\"}]", &gate_context,
                                          60000, keep_result, &outcome, &runner, &err),
                     0);
    xf_gate_runner_destroy(runner);
    assert_null(outcome.result);
    event_base_free(outcome.loop);
}

static void messages_are_printable(void **state)
{
    (void) state;
    char text[] = "a\x1b[2J\r\n\xff\xc2\x9b\xc3\xa9z";
    xf_printable(text);
    assert_string_equal(text, "a?[2J???"
                              "??"
                              "\xc3\xa9z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gate_passes_only_on_its_hook_s_exit_0),
        cmocka_unit_test(gates_that_take_too_long_fail_and_leave_no_process),
        cmocka_unit_test(a_runner_may_be_destroyed_while_its_gates_run),
        cmocka_unit_test(messages_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
