/*
 * test_agent_route.c -- what each state of a document means for traffic.
 */
#include "agent_fixture.h"

#include "shifter/agent/agent_route.h"

enum { GATEWAY, KONG_ADMIN };
enum { OLD, NEW, OLD_ADMIN, NEW_ADMIN };

static struct xf_config *config;

static int load(void **state)
{
    (void) state;
    config = fixture_config_of(FIXTURE_CONFIG);
    return 0;
}

static int unload(void **state)
{
    (void) state;
    xf_config_destroy(config);
    return 0;
}

static struct xf_agent_route make(struct xf_document *document, unsigned service)
{
    struct xf_agent_facts facts[2] = {
        {.document = document, .version = {.epoch = 2, .generation = 9, .revision = 4}}};
    struct xf_agent_route route;
    struct xf_error err = {0};
    assert_int_equal(xf_agent_route_make(config, service, facts, &route, &err), 0);
    xf_document_destroy(document);
    return route;
}

static struct xf_document *at_rest(enum xf_cutover_state state, const char *live)
{
    struct xf_document *document = xf_document_create("gateway", live);
    document->state = state;
    return document;
}

static void outside_a_cutover_both_roles_are_the_live_cluster(void **state)
{
    (void) state;
    static const enum xf_cutover_state states[] = {XF_CUTOVER_IDLE, XF_CUTOVER_FINALIZED,
                                                   XF_CUTOVER_ABORTED};
    for (unsigned i = 0; i < XF_COUNT(states); i++) {
        struct xf_agent_route route = make(at_rest(states[i], "new"), GATEWAY);
        assert_int_equal(route.flags, XF_ROUTE_VALID);
        assert_int_equal(route.weight, 0);
        assert_int_equal(route.record.cluster[XF_BLUE], NEW);
        assert_int_equal(route.record.cluster[XF_GREEN], NEW);
        assert_int_equal(route.record.attempt, 0);
        assert_int_equal(route.record.flags, XF_RECORD_JUDGED); /* its ways are learnt */
        assert_int_equal(route.record.tau_us, 0);
    }
}

static void every_state_of_a_cutover_has_its_flags(void **state)
{
    (void) state;
    const unsigned to_blue = XF_RECORD_RESCUE | XF_RECORD_FALLBACK_BLUE | XF_RECORD_JUDGED;
    static const unsigned cutover = XF_ROUTE_VALID | XF_ROUTE_CUTOVER;
    const struct {
        enum xf_cutover_state state;
        unsigned weight, flags, record;
    } table[] = {
        {XF_CUTOVER_PREFLIGHT, 0, cutover, to_blue},
        {XF_CUTOVER_SHIFTING, 2500, cutover, to_blue},
        {XF_CUTOVER_SOAKING, 10000, cutover, to_blue},
        {XF_CUTOVER_DRAINING, 10000, cutover | XF_ROUTE_DRAINING, XF_RECORD_JUDGED},
        {XF_CUTOVER_SAFE, 10000, cutover | XF_ROUTE_DRAINING, XF_RECORD_JUDGED},
        {XF_CUTOVER_FINALIZING, 10000, cutover | XF_ROUTE_DRAINING, XF_RECORD_JUDGED},
        {XF_CUTOVER_ABORTING, 0, cutover | XF_ROUTE_EMPTYING,
         XF_RECORD_RESCUE | XF_RECORD_FALLBACK_BLUE},
    };
    for (unsigned i = 0; i < XF_COUNT(table); i++) {
        struct xf_agent_route route =
            make(fixture_document(table[i].state, table[i].weight), GATEWAY);
        assert_int_equal(route.weight, table[i].weight);
        assert_int_equal(route.flags, table[i].flags);
        assert_int_equal(route.record.flags, table[i].record);
        assert_int_equal(route.record.cluster[XF_BLUE], OLD);
        assert_int_equal(route.record.cluster[XF_GREEN], NEW);
    }
}

static void the_record_carries_what_a_choice_and_the_log_need(void **state)
{
    (void) state;
    struct xf_agent_route route = make(fixture_document(XF_CUTOVER_SHIFTING, 2500), GATEWAY);
    assert_int_equal(route.record.seed, 0x1234567890abcdefull >> 1);
    assert_int_equal(route.record.tau_us, 25000);
    assert_int_equal(route.record.attempt, 7);
    assert_int_equal(route.record.step, 3);
    assert_int_equal(route.record.epoch, 2);
    assert_int_equal(route.record.revision, 4);
    assert_string_equal(route.record.cutover, "move/7");
    for (unsigned status = 0; status < 640; status++) {
        bool bad = (route.record.bad_statuses[status / 64] >> (status % 64) & 1) != 0;
        assert_int_equal(bad, status >= 500 && status <= 599);
    }
}

static void a_retreat_empties_green_and_keeps_blue_reachable(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 0);
    document->retreated = true;
    struct xf_agent_route route = make(document, GATEWAY);
    assert_int_equal(route.weight, 0);
    assert_true((route.flags & XF_ROUTE_EMPTYING) != 0);
    assert_true((route.record.flags & XF_RECORD_FALLBACK_BLUE) != 0);
    assert_int_equal(route.record.flags & XF_RECORD_OVERRIDE, 0);
}

static void a_follower_is_never_split(void **state)
{
    (void) state;
    const struct {
        enum xf_cutover_state state;
        unsigned weight;
    } table[] = {{XF_CUTOVER_SHIFTING, 0},       {XF_CUTOVER_SOAKING, 0},
                 {XF_CUTOVER_DRAINING, 10000},   {XF_CUTOVER_SAFE, 10000},
                 {XF_CUTOVER_FINALIZING, 10000}, {XF_CUTOVER_ABORTING, 0}};
    for (unsigned i = 0; i < XF_COUNT(table); i++) {
        struct xf_agent_route route = make(fixture_document(table[i].state, 2500), KONG_ADMIN);
        assert_int_equal(route.weight, table[i].weight);
        assert_int_equal(route.record.cluster[XF_BLUE], OLD_ADMIN);
        assert_int_equal(route.record.cluster[XF_GREEN], NEW_ADMIN);
    }
    struct xf_agent_route after = make(at_rest(XF_CUTOVER_FINALIZED, "new"), KONG_ADMIN);
    assert_int_equal(after.record.cluster[XF_BLUE], NEW_ADMIN);
}

static void the_fence_stands_over_the_named_service_while_the_cutover_runs(void **state)
{
    (void) state;
    struct xf_agent_route fenced = make(fixture_document(XF_CUTOVER_SHIFTING, 2500), KONG_ADMIN);
    assert_true((fenced.record.flags & XF_RECORD_FENCE) != 0);
    assert_int_equal(fenced.record.fence_methods, 1u << XF_METHOD_POST | 1u << XF_METHOD_DELETE);
    assert_int_equal(fenced.record.fence_paths_count, 1);
    assert_string_equal(fenced.record.fence_allow[0], "/schemas/*/validate");
    struct xf_agent_route open = make(fixture_document(XF_CUTOVER_SHIFTING, 2500), GATEWAY);
    assert_int_equal(open.record.flags & XF_RECORD_FENCE, 0);
    struct xf_agent_route over = make(at_rest(XF_CUTOVER_FINALIZED, "new"), KONG_ADMIN);
    assert_int_equal(over.record.flags & XF_RECORD_FENCE, 0);
}

static void a_cluster_that_the_configuration_lacks_changes_nothing(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 2500);
    (void) snprintf(document->to, sizeof(document->to), "elsewhere");
    struct xf_agent_facts facts[2] = {{.document = document}};
    struct xf_agent_route route = {.weight = 4711};
    struct xf_error err = {0};
    assert_int_equal(xf_agent_route_make(config, GATEWAY, facts, &route, &err), -1);
    assert_int_equal(route.weight, 4711);
    assert_non_null(strstr(err.message, "\"elsewhere\""));
    xf_document_destroy(document);
}

static void a_local_override_replaces_the_weight(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 2500);
    struct xf_agent_facts facts[2] = {
        {.document = document, .overridden = true, .override_weight = 100}};
    struct xf_agent_route route;
    struct xf_error err = {0};
    assert_int_equal(xf_agent_route_make(config, GATEWAY, facts, &route, &err), 0);
    assert_int_equal(route.weight, 100);
    xf_document_destroy(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outside_a_cutover_both_roles_are_the_live_cluster),
        cmocka_unit_test(every_state_of_a_cutover_has_its_flags),
        cmocka_unit_test(the_record_carries_what_a_choice_and_the_log_need),
        cmocka_unit_test(a_retreat_empties_green_and_keeps_blue_reachable),
        cmocka_unit_test(a_follower_is_never_split),
        cmocka_unit_test(the_fence_stands_over_the_named_service_while_the_cutover_runs),
        cmocka_unit_test(a_cluster_that_the_configuration_lacks_changes_nothing),
        cmocka_unit_test(a_local_override_replaces_the_weight),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
