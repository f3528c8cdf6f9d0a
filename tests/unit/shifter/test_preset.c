/*
 * test_preset.c -- what `crossfade init` prints is accepted by those who read it.
 */
#include "shifter/plan/plan.h"
#include "shifter/cli/preset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct xf_plan *accepted(const struct xf_text *text)
{
    struct xf_plan *plan = NULL;
    struct xf_problems problems = {0};
    assert_false(text->failed);
    int result = xf_plan_parse("plan", text->data, text->length, &plan, &problems);
    xf_problems_print(&problems, stderr);
    xf_problems_release(&problems);
    assert_int_equal(result, 0);
    return plan;
}

static void the_canary_needs_nobody(void **state)
{
    (void) state;
    struct xf_text text;
    xf_text_init(&text, XF_PRESET_BYTES_MAX);
    xf_preset_canary(&text);
    struct xf_plan *plan = accepted(&text);
    assert_int_equal(plan->finalize_when, XF_FINALIZE_AUTO);
    assert_int_equal(plan->guard.errors_then, XF_THEN_ABORT);
    assert_true(plan->deadline_ms > 0 && plan->deadline_aborts);
    for (unsigned i = 0; i < plan->steps_count; i++) {
        assert_false(plan->steps[i].approve);
    }
    xf_plan_destroy(plan);
    xf_text_release(&text);
}

static struct xf_preset_kong kong(enum xf_kong_topology topology, bool shared, const char *from,
                                  const char *to)
{
    struct xf_preset_kong made = {.topology = topology, .shared = shared};
    assert_true(xf_kong_version_parse(from, &made.from));
    assert_true(xf_kong_version_parse(to, &made.to));
    return made;
}

static const struct {
    enum xf_kong_topology topology;
    bool shared;
    const char *from, *to;
    const char *in_gate; /* a part of the gate as JSON */
    bool databases, fence, gate_at_the_end;
} rows[] = {
    {XF_KONG_TRADITIONAL, false, "3.0", "3.1", "\"database\":\"clone\"", true, true, false},
    {XF_KONG_TRADITIONAL, true, "3.1.0", "3.1.1", "\"database\":\"shared\"", true, true, true},
    {XF_KONG_HYBRID, false, "3.0", "3.1", "\"topology\":\"hybrid\"", true, true, false},
    {XF_KONG_DBLESS, false, "3.0.0.0", "3.1.1.3", "\"topology\":\"dbless\"", false, false, false},
};

static void every_kong_plan_is_accepted_with_its_gate(void **state)
{
    (void) state;
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_preset_kong preset =
            kong(rows[i].topology, rows[i].shared, rows[i].from, rows[i].to);
        struct xf_text text;
        xf_text_init(&text, XF_PRESET_BYTES_MAX);
        xf_preset_kong_plan(&preset, &text);
        struct xf_plan *plan = accepted(&text);
        assert_non_null(strstr(plan->before_start_json, rows[i].in_gate));
        assert_non_null(strstr(plan->before_start_json, rows[i].from));
        assert_int_equal(strstr(plan->before_start_json, "\"schema\"") != NULL, rows[i].databases);
        assert_int_equal(plan->fence_on, rows[i].fence);
        assert_int_equal(plan->before_finalize_json != NULL, rows[i].gate_at_the_end);
        assert_int_equal(plan->actions_count, rows[i].gate_at_the_end ? 1 : 0);
        xf_plan_destroy(plan);
        xf_text_release(&text);
    }
}

static void a_kong_plan_fits_the_configuration_that_goes_with_it(void **state)
{
    (void) state;
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_preset_kong preset =
            kong(rows[i].topology, rows[i].shared, rows[i].from, rows[i].to);
        struct xf_text text;
        struct xf_text config_text;
        struct xf_config *config = NULL;
        struct xf_problems problems = {0};
        xf_text_init(&text, XF_PRESET_BYTES_MAX);
        xf_text_init(&config_text, XF_PRESET_BYTES_MAX);
        xf_preset_kong_plan(&preset, &text);
        xf_preset_kong_config(&preset, &config_text);
        struct xf_plan *plan = accepted(&text);
        int result =
            xf_config_parse("config", config_text.data, config_text.length, &config, &problems);
        xf_problems_print(&problems, stderr);
        assert_int_equal(result, 0);
        assert_int_equal(config->databases_count > 0, rows[i].databases);
        assert_int_equal(xf_plan_check(plan, config, &problems), 0);
        xf_problems_release(&problems);
        xf_config_destroy(config);
        xf_plan_destroy(plan);
        xf_text_release(&config_text);
        xf_text_release(&text);
    }
}

static void clusters_are_named_after_the_versions_that_differ(void **state)
{
    (void) state;
    char names[2][XF_PRESET_NAME_BYTES];
    struct xf_preset_kong preset = kong(XF_KONG_TRADITIONAL, false, "3.0.2", "3.1");
    assert_true(xf_preset_kong_names(&preset, names[0], names[1]));
    assert_string_equal(names[0], "kong-30");
    assert_string_equal(names[1], "kong-31");
    preset = kong(XF_KONG_TRADITIONAL, false, "3.1.0", "3.1.1");
    assert_true(xf_preset_kong_names(&preset, names[0], names[1]));
    assert_string_equal(names[1], "kong-311");
    preset = kong(XF_KONG_TRADITIONAL, false, "3.1", "3.1");
    assert_false(xf_preset_kong_names(&preset, names[0], names[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_canary_needs_nobody),
        cmocka_unit_test(every_kong_plan_is_accepted_with_its_gate),
        cmocka_unit_test(a_kong_plan_fits_the_configuration_that_goes_with_it),
        cmocka_unit_test(clusters_are_named_after_the_versions_that_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
