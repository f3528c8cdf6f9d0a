/*
 * test_agent_stats.c -- sums over editions whose configurations differ, and while a fold goes on.
 */
#include "agent_fixture.h"

#include "shifter/agent/agent_stats.h"

/* The same names in another order, one server moved, one cluster more. */
#define NEXT_CONFIG                                                                                \
    "store: sqlite:/tmp/none.db\n"                                                                 \
    "listeners: [{bind: \"127.0.0.1:18000\", service: gateway}]\n"                                 \
    "services: {gateway: {live: old, clusters: [new, newer, old]}}\n"                              \
    "clusters:\n"                                                                                  \
    "  newer: \"127.0.0.1:18020\"\n"                                                               \
    "  new: \"127.0.0.1:18012\"\n"                                                                 \
    "  old: [\"127.0.0.1:18011\", \"127.0.0.1:18030\"]\n"

static struct xf_agent_edition *first, *second;
static struct xf_totals totals;

static struct xf_agent_edition *make(const char *text, uint64_t number)
{
    struct xf_config *config = fixture_config_of(text);
    struct xf_board *board = NULL;
    struct xf_error err = {0};
    assert_int_equal(xf_board_create(config, number, 2, &board, &err), 0);
    struct xf_agent_edition *edition = xf_agent_edition_create(number, config, board);
    assert_non_null(edition);
    assert_true(xf_agent_edition_fits(edition));
    return edition;
}

static int begin(void **state)
{
    (void) state;
    first = make(FIXTURE_CONFIG, 1);
    second = make(NEXT_CONFIG, 2);
    xf_agent_edition_map(first, second->config);
    xf_agent_edition_map(second, second->config);
    return xf_totals_init(&totals, second->config) ? 0 : -1;
}

static int end(void **state)
{
    (void) state;
    xf_totals_release(&totals);
    xf_agent_edition_destroy(first);
    xf_agent_edition_destroy(second);
    return 0;
}

static bool read_all(void)
{
    struct xf_agent_edition *editions[] = {first, second};
    return xf_totals_read(&totals, editions, 2, 1000);
}

/* Place of (gateway, cluster) in the configuration of `edition`. */
static unsigned pair_of(const struct xf_agent_edition *edition, const char *cluster)
{
    int service = xf_config_find_service(edition->config, "gateway");
    int number = xf_config_find_cluster(edition->config, cluster);
    return (unsigned) xf_config_pair(edition->config, (unsigned) service, (unsigned) number);
}

static unsigned cluster_of(const struct xf_agent_edition *edition, const char *cluster)
{
    return (unsigned) xf_config_find_cluster(edition->config, cluster);
}

static void places_are_joined_by_name(void **state)
{
    (void) state;
    xf_count(&xf_stats_pair(first->board->stats[0], pair_of(first, "old"))->requests, 5);
    xf_count(&xf_stats_pair(first->board->retired, pair_of(first, "old"))->requests, 70);
    xf_count(&xf_stats_pair(second->board->stats[1], pair_of(second, "old"))->requests, 300);
    xf_count(&xf_stats_pair(second->board->stats[1], pair_of(second, "new"))->errors[1], 2);
    xf_count(&xf_stats_cluster(first->board->stats[1], cluster_of(first, "old"))->tunnels, 1);
    xf_count(&xf_stats_cluster(second->board->stats[0], cluster_of(second, "old"))->tunnels, 2);
    xf_count(&xf_stats_cluster(first->board->stats[0], cluster_of(first, "old-admin"))->tunnels, 9);
    assert_true(read_all());
    assert_int_equal(totals.pairs[pair_of(second, "old")].requests, 375);
    assert_int_equal(xf_totals_errors(&totals.pairs[pair_of(second, "new")]), 2);
    assert_int_equal(totals.clusters[cluster_of(second, "old")].tunnels, 3);
    assert_int_equal(totals.clusters[cluster_of(second, "newer")].tunnels, 0);
    assert_int_equal(totals.workers, 4);
}

static void gauges_alone_are_the_same_sums(void **state)
{
    (void) state;
    struct xf_agent_edition *editions[] = {first, second};
    xf_count(&xf_stats_cluster(first->board->stats[1], cluster_of(first, "old"))->tunnels, 1);
    xf_count(&xf_stats_cluster(second->board->stats[0], cluster_of(second, "old"))->pooled, 2);
    xf_count(&xf_stats_pair(first->board->retired, pair_of(first, "old"))->requests, 70);
    xf_count(&xf_stats_pair(second->board->stats[1], pair_of(second, "old"))->requests, 300);
    assert_true(xf_totals_read_gauges(&totals, editions, 2));
    assert_int_equal(totals.clusters[cluster_of(second, "old")].tunnels, 1);
    assert_int_equal(totals.clusters[cluster_of(second, "old")].pooled, 2);
    assert_int_equal(totals.pairs[pair_of(second, "old")].requests, 370);
    xf_count(&second->board->retired->cycle, 1);
    assert_false(xf_totals_read_gauges(&totals, editions, 2));
    xf_count(&second->board->retired->cycle, 1);
}

static void servers_are_joined_by_cluster_and_address(void **state)
{
    (void) state;
    const struct xf_config_cluster *old = &first->config->clusters[cluster_of(first, "old")];
    xf_count(&xf_stats_server(first->board->stats[0], old->first_server)->requests, 1);
    xf_count(&xf_stats_server(first->board->stats[0], old->first_server + 1)->requests, 20);
    const struct xf_config_cluster *heir = &second->config->clusters[cluster_of(second, "old")];
    xf_count(&xf_stats_server(second->board->stats[0], heir->first_server)->requests, 300);
    assert_true(read_all());
    assert_int_equal(totals.servers[heir->first_server].requests, 320); /* :18011 */
    assert_int_equal(totals.servers[heir->first_server + 1].requests, 0);
}

static void a_fold_that_goes_on_leaves_the_last_sum(void **state)
{
    (void) state;
    _Atomic uint64_t *requests =
        &xf_stats_pair(second->board->stats[0], pair_of(second, "old"))->requests;
    xf_count(requests, 7);
    assert_true(read_all());
    xf_count(&first->board->retired->cycle, 1);
    xf_count(requests, 7);
    assert_false(read_all());
    assert_int_equal(totals.pairs[pair_of(second, "old")].requests, 7);
    xf_count(&first->board->retired->cycle, 1);
    assert_true(read_all());
    assert_int_equal(totals.pairs[pair_of(second, "old")].requests, 14);
}

static void sums_stop_at_the_largest_number(void **state)
{
    (void) state;
    unsigned pair = pair_of(second, "old");
    atomic_store(&xf_stats_pair(second->board->stats[0], pair)->bytes_in, UINT64_MAX - 1);
    atomic_store(&xf_stats_pair(second->board->stats[1], pair)->bytes_in, 5);
    atomic_store(&xf_stats_pair(second->board->stats[0], pair)->errors[0], UINT64_MAX);
    atomic_store(&xf_stats_pair(second->board->stats[0], pair)->errors[1], 1);
    assert_true(read_all());
    assert_true(totals.pairs[pair].bytes_in == UINT64_MAX);
    assert_true(xf_totals_errors(&totals.pairs[pair]) == UINT64_MAX);
}

static void a_worker_that_is_folded_away_takes_nothing_with_it(void **state)
{
    (void) state;
    unsigned pair = pair_of(first, "old");
    xf_count(&xf_stats_pair(first->board->stats[0], pair)->requests, 11);
    xf_count(&xf_stats_cluster(first->board->stats[0], cluster_of(first, "old"))->in_flight, 3);
    assert_true(read_all());
    assert_int_equal(totals.clusters[cluster_of(second, "old")].in_flight, 3);
    xf_board_fold_worker(first->board, 0);
    assert_true(read_all());
    assert_int_equal(totals.pairs[pair_of(second, "old")].requests, 11);
    assert_int_equal(totals.clusters[cluster_of(second, "old")].in_flight, 0);
}

static void a_board_of_another_configuration_does_not_fit(void **state)
{
    (void) state;
    struct xf_config *kept = first->config;
    first->config = second->config;
    assert_false(xf_agent_edition_fits(first));
    first->config = kept;
    assert_true(xf_agent_edition_fits(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(places_are_joined_by_name, begin, end),
        cmocka_unit_test_setup_teardown(gauges_alone_are_the_same_sums, begin, end),
        cmocka_unit_test_setup_teardown(servers_are_joined_by_cluster_and_address, begin, end),
        cmocka_unit_test_setup_teardown(a_fold_that_goes_on_leaves_the_last_sum, begin, end),
        cmocka_unit_test_setup_teardown(sums_stop_at_the_largest_number, begin, end),
        cmocka_unit_test_setup_teardown(a_worker_that_is_folded_away_takes_nothing_with_it, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_board_of_another_configuration_does_not_fit, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
