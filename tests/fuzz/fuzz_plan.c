/*
 * fuzz_plan.c -- any bytes as a plan: told what is wrong with them, or a plan within its ranges
 * whose canonical form is read as the same plan.
 */
#include "fuzz.h"

#include "shifter/plan/plan.h"

static void check_steps(const struct xf_plan *plan)
{
    FUZZ_CHECK(plan->steps_count >= 1);
    for (unsigned i = 0; i < plan->steps_count; i++) {
        FUZZ_CHECK(plan->steps[i].weight <= XF_WEIGHT_FULL);
        FUZZ_CHECK(plan->steps[i].ramp_ms >= 0 && plan->steps[i].hold_ms >= 0);
    }
    FUZZ_CHECK(plan->steps[plan->steps_count - 1].weight == XF_WEIGHT_FULL);
}

static void check_windows(const struct xf_plan *plan)
{
    for (unsigned i = 0; i < plan->windows_count; i++) {
        const struct xf_plan_window *window = &plan->windows[i];
        FUZZ_CHECK(window->days > 0 && window->days < 1u << 7);
        FUZZ_CHECK(window->from_minute <= 24 * 60 && window->to_minute <= 24 * 60);
        FUZZ_CHECK(memchr(window->zone, '\0', sizeof(window->zone)) != NULL);
    }
}

static void check_round_trip(const struct xf_plan *plan)
{
    struct xf_plan *again = NULL;
    struct xf_problems problems;
    FUZZ_CHECK(plan->json != NULL);
    FUZZ_CHECK(xf_plan_parse("again", plan->json, strlen(plan->json), &again, &problems) == 0);
    FUZZ_CHECK(strcmp(plan->json, again->json) == 0);
    FUZZ_CHECK(plan->steps_count == again->steps_count);
    FUZZ_CHECK(plan->windows_count == again->windows_count);
    xf_problems_release(&problems);
    xf_plan_destroy(again);
}

/* Read anew while one allocation fails: nothing is asked of it but that it ends. */
static void short_of_memory(const char *text, size_t size, size_t hash)
{
    struct xf_plan *plan = NULL;
    struct xf_problems problems;
    fuzz_fail_one(hash);
    int result = xf_plan_parse("fuzz.yaml", text, size, &plan, &problems);
    fuzz_fail_none();
    FUZZ_CHECK((result == 0) == (plan != NULL));
    xf_plan_destroy(plan);
    xf_problems_release(&problems);
}

/* Whether all that it names is configured is answered with a reason, whatever it names. */
static void check_names(const struct xf_plan *plan)
{
    static const char text[] =
        "listeners: [{bind: 127.0.0.1:1, service: web}]\n"
        "services: {web: {live: web-v1, clusters: [web-v1, web-v2]},\n"
        "           api: {follows: web, clusters: [web-v1, web-v2]}}\n"
        "clusters: {web-v1: 127.0.0.1:2, web-v2: 127.0.0.1:3, other: 127.0.0.1:4}\n"
        "hooks: {ring: {command: [\"true\"]}}\nwebhooks: {ops: {url: http://a/}}\n";
    static struct xf_config *config;
    struct xf_problems problems;
    if (config == NULL) {
        FUZZ_CHECK(xf_config_parse("a", text, sizeof(text) - 1, &config, &problems) == 0);
        xf_problems_release(&problems);
    }
    problems = (struct xf_problems){.file = "fuzz.yaml"};
    bool good = xf_plan_check(plan, config, &problems) == 0;
    FUZZ_CHECK(good == (problems.errors == 0));
    FUZZ_CHECK(!good || strcmp(plan->service, "web") == 0);
    xf_problems_release(&problems);
}

/* The plan that one gets without a plan, for the same names; none without memory. */
static void check_bare(const struct xf_plan *plan)
{
    fuzz_count_allocations();
    struct xf_plan *bare = xf_plan_bare(plan->service, plan->to);
    FUZZ_CHECK(bare != NULL);
    check_steps(bare);
    check_round_trip(bare);
    xf_plan_destroy(bare);
    for (size_t i = 0; i < 2; i++) { /* itself, its steps */
        fuzz_fail_one(i);
        bare = xf_plan_bare(plan->service, plan->to);
        fuzz_fail_none();
        FUZZ_CHECK(bare == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xf_plan *plan = NULL;
    struct xf_problems problems;
    char *text = fuzz_exact(data, size);
    fuzz_count_allocations();
    int result = xf_plan_parse("fuzz.yaml", text, size, &plan, &problems);
    short_of_memory(text, size, fuzz_hash(data, size));
    free(text);
    FUZZ_CHECK((result == 0) == (plan != NULL));
    FUZZ_CHECK((result != 0) == (problems.errors > 0));
    if (plan != NULL) {
        check_steps(plan);
        check_windows(plan);
        check_round_trip(plan);
        check_names(plan);
        check_bare(plan);
        xf_plan_destroy(plan);
    }
    xf_problems_release(&problems);
    return 0;
}
