/*
 * test_drain_wish.c -- what is emptied in which state, and how a rate is parted.
 */
#include "agent_fixture.h"

#include "shifter/control/drain_wish.h"

static const struct xf_config_drain natural = {.policy = XF_DRAIN_NATURAL, .deadline_ms = 600000};
static const struct xf_config_drain paced = {.policy = XF_DRAIN_PACED, .rate = 20};
static const struct xf_config_drain deadline = {.policy = XF_DRAIN_DEADLINE, .deadline_ms = 60000};

static struct xf_drain_wish wish(const struct xf_document *document,
                                 const struct xf_config_drain *drain, const char *cluster)
{
    return xf_drain_wish(document, drain, false, 0, cluster);
}

static void the_policy_empties_blue_while_draining_and_green_after_going_back(void **state)
{
    (void) state;
    static const struct {
        enum xf_cutover_state state;
        unsigned weight;
        bool retreated;
        const char *emptied;
    } rows[] = {
        {XF_CUTOVER_PREFLIGHT, 0, false, NULL},   {XF_CUTOVER_SHIFTING, 2500, false, NULL},
        {XF_CUTOVER_SHIFTING, 0, false, NULL},    {XF_CUTOVER_SHIFTING, 0, true, "new"},
        {XF_CUTOVER_SOAKING, 10000, false, NULL}, {XF_CUTOVER_DRAINING, 10000, false, "old"},
        {XF_CUTOVER_SAFE, 10000, false, NULL},    {XF_CUTOVER_FINALIZING, 10000, false, NULL},
        {XF_CUTOVER_ABORTING, 2500, false, NULL}, {XF_CUTOVER_ABORTING, 0, false, "new"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_document *document = fixture_document(rows[i].state, rows[i].weight);
        document->retreated = rows[i].retreated;
        static const char *const clusters[] = {"old", "new"};
        for (size_t c = 0; c < XF_COUNT(clusters); c++) {
            bool emptied = rows[i].emptied != NULL && strcmp(rows[i].emptied, clusters[c]) == 0;
            assert_int_equal(wish(document, &natural, clusters[c]).order, 0);
            struct xf_drain_wish by_pace = wish(document, &paced, clusters[c]);
            assert_true(by_pace.order == (emptied ? XF_DRAIN_ALL : 0));
            assert_int_equal(by_pace.rate_milli, emptied ? 20000 : 0);
            assert_int_equal(by_pace.after_ms, -1);
            assert_int_equal(by_pace.answers, emptied);
            struct xf_drain_wish by_time = wish(document, &deadline, clusters[c]);
            assert_int_equal(by_time.rate_milli, 0);
            assert_int_equal(by_time.after_ms, emptied ? 60000 : -1);
        }
        xf_document_destroy(document);
    }
}

static void break_glass_to_0_empties_green_and_takes_draining_back(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_DRAINING, 10000);
    assert_true(xf_drain_wish(document, &paced, true, 0, "new").order == XF_DRAIN_ALL);
    assert_int_equal(xf_drain_wish(document, &paced, true, 0, "old").order, 0);
    assert_int_equal(xf_drain_wish(document, &paced, true, 5000, "old").order, 0);
    xf_document_destroy(document);
}

static void an_order_by_hand_goes_before_the_policy(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_DRAINING, 10000);
    document->drain = (struct xf_document_drain){
        .number = 3, .cluster = "old", .rate_milli = XF_DRAIN_UNBOUNDED, .after_ms = 0};
    struct xf_drain_wish found = wish(document, &paced, "old");
    assert_int_equal(found.order, 3);
    assert_true(found.rate_milli == XF_DRAIN_UNBOUNDED);
    assert_int_equal(found.after_ms, 0);
    assert_int_equal(wish(document, &paced, "new").order, 0);
    xf_document_destroy(document);
}

static void no_answer_is_cut_on_a_cluster_that_still_serves(void **state)
{
    (void) state;
    static const struct {
        enum xf_cutover_state state;
        unsigned weight;
        const char *cluster;
        bool cuts;
    } rows[] = {
        {XF_CUTOVER_SHIFTING, 2500, "old", false}, {XF_CUTOVER_SHIFTING, 2500, "new", false},
        {XF_CUTOVER_SHIFTING, 10000, "old", true}, {XF_CUTOVER_SHIFTING, 0, "new", true},
        {XF_CUTOVER_SHIFTING, 0, "old", false},    {XF_CUTOVER_SHIFTING, 10000, "new", false},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_document *document = fixture_document(rows[i].state, rows[i].weight);
        document->drain = (struct xf_document_drain){
            .number = 1, .rate_milli = XF_DRAIN_UNBOUNDED, .after_ms = 0};
        (void) snprintf(document->drain.cluster, sizeof(document->drain.cluster), "%s",
                        rows[i].cluster);
        struct xf_drain_wish found = wish(document, &natural, rows[i].cluster);
        assert_int_equal(found.order, 1);
        assert_int_equal(found.after_ms, rows[i].cuts ? 0 : -1);
        assert_int_equal(found.answers, rows[i].cuts);
        xf_document_destroy(document);
    }
}

static void a_rate_is_parted_by_tunnels(void **state)
{
    (void) state;
    static const struct {
        uint32_t rate;
        uint64_t own, all;
        uint32_t part;
    } rows[] = {
        {20000, 0, 100, 0},       {20000, 100, 100, 20000}, {20000, 50, 200, 5000},
        {20000, 190, 200, 19000}, {20000, 10, 200, 1000},   {20000, 5, 0, 20000},
        {1, 1, 1000, 1},          {0, 10, 10, 0},           {4000000000u, 1, 2, 2000000000u},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        assert_int_equal(xf_drain_part(rows[i].rate, rows[i].own, rows[i].all), rows[i].part);
    }
    assert_true(xf_drain_milli(1e12) == XF_DRAIN_UNBOUNDED - 1);
    assert_int_equal(xf_drain_milli(1e-9), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_empties_blue_while_draining_and_green_after_going_back),
        cmocka_unit_test(break_glass_to_0_empties_green_and_takes_draining_back),
        cmocka_unit_test(an_order_by_hand_goes_before_the_policy),
        cmocka_unit_test(no_answer_is_cut_on_a_cluster_that_still_serves),
        cmocka_unit_test(a_rate_is_parted_by_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
