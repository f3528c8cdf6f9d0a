/*
 * test_board_fold.c -- no total falls when workers die and editions end.
 */
#include "proxy/board/board.h"
#include "sample_config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct xf_board *make_board(struct sample *sample, uint64_t edition)
{
    struct xf_board *board;
    sample_init(sample);
    assert_int_equal(xf_board_create(&sample->config, edition, 2, &board, NULL), 0);
    return board;
}

static uint64_t total_requests(const struct xf_board *board, unsigned pair)
{
    uint64_t sum = xf_read(&xf_stats_pair(board->retired, pair)->requests);
    for (unsigned i = 0; i < board->workers; i++) {
        sum += xf_read(&xf_stats_pair(board->stats[i], pair)->requests);
    }
    return sum;
}

static void a_reaped_workers_counters_move_and_its_gauges_vanish(void **state)
{
    (void) state;
    struct sample sample;
    struct xf_board *board = make_board(&sample, 1);
    struct xf_stats_header *stats = board->stats[1];
    struct xf_stats_header *retired = board->retired;
    unsigned last = XF_HISTOGRAM_BUCKETS - 1;
    xf_count(&xf_stats_pair(stats, 2)->latency.count[last], 3);
    xf_count(&xf_stats_pair(stats, 2)->requests, 10);
    xf_count(&xf_stats_service(stats, 1)->refused[4], 2);
    xf_count(&xf_stats_server(stats, 3)->failures, 4);
    xf_count(&xf_stats_server(stats, 3)->in_flight, 1);
    xf_count(&xf_stats_cluster(stats, 2)->in_flight, 6);
    xf_count(&xf_stats_cluster(stats, 2)->tunnels, 1);
    xf_count(&xf_stats_cluster(stats, 2)->drained[XF_DRAINED_ANSWER], 5);
    xf_count(&stats->clients, 8);
    xf_count(&stats->accepted, 20);
    xf_cycle_begin(stats);

    xf_board_fold_worker(board, 1);
    assert_int_equal(xf_read(&xf_stats_pair(retired, 2)->latency.count[last]), 3);
    assert_int_equal(total_requests(board, 2), 10);
    assert_int_equal(xf_read(&xf_stats_service(retired, 1)->refused[4]), 2);
    assert_int_equal(xf_read(&xf_stats_server(retired, 3)->failures), 4);
    assert_int_equal(xf_read(&xf_stats_cluster(retired, 2)->drained[XF_DRAINED_ANSWER]), 5);
    assert_int_equal(xf_read(&xf_stats_cluster(stats, 2)->drained[XF_DRAINED_ANSWER]), 0);
    assert_int_equal(xf_read(&retired->accepted), 20);
    assert_int_equal(xf_read(&xf_stats_pair(stats, 2)->requests), 0);
    assert_int_equal(xf_read(&xf_stats_cluster(stats, 2)->in_flight), 0);
    assert_int_equal(xf_read(&xf_stats_cluster(retired, 2)->in_flight), 0);
    assert_int_equal(xf_read(&xf_stats_cluster(stats, 2)->tunnels), 0);
    assert_int_equal(xf_read(&xf_stats_server(stats, 3)->in_flight), 0);
    assert_int_equal(xf_read(&stats->clients), 0);
    assert_int_equal(xf_read(&stats->cycle), 2);
    xf_board_destroy(board);
}

/* The next configuration: other order, one cluster dropped, another service first. */
static void shuffle(struct sample *next)
{
    sample_init(next);
    next->clusters[0].name = SAMPLE_TEXT("tools");
    next->clusters[0].servers = &next->servers[3];
    next->clusters[0].servers_count = 1;
    next->clusters[1].first_server = 1;
    next->clusters[2].name = SAMPLE_TEXT("web-v3");
    next->clusters[2].servers = &next->servers[0];
    next->clusters[2].first_server = 2;
    next->services[0].name = SAMPLE_TEXT("admin");
    next->services[0].clusters[0] = 0;
    next->services[0].clusters_count = 1;
    next->services[1].name = SAMPLE_TEXT("gateway");
    next->services[1].clusters[0] = 2;
    next->services[1].clusters[1] = 1;
    next->services[1].clusters_count = 2;
    next->services[1].first_pair = 1;
    next->config.servers_count = 3;
}

static void an_ended_editions_counters_go_on_under_the_same_names(void **state)
{
    (void) state;
    struct sample sample, next;
    struct xf_board *old = make_board(&sample, 1), *new;
    shuffle(&next);
    assert_int_equal(xf_board_create(&next.config, 2, 1, &new, NULL), 0);

    xf_count(&xf_stats_pair(old->stats[0], 0)->requests, 100); /* gateway, web-v1: dropped */
    xf_count(&xf_stats_pair(old->stats[0], 1)->requests, 7);   /* gateway, web-v2 */
    xf_count(&xf_stats_pair(old->stats[1], 2)->requests, 5);   /* admin, tools */
    xf_count(&xf_stats_pair(new->stats[0], 2)->requests, 1);   /* gateway, web-v2 */
    xf_count(&xf_stats_service(old->stats[0], 0)->fenced, 3);
    xf_count(&xf_stats_server(old->stats[0], 3)->requests, 11);
    xf_count(&xf_stats_cluster(old->stats[1], 1)->drained[XF_DRAINED_TUNNEL], 4); /* web-v2 */
    xf_board_fold_worker(old, 0);
    xf_board_fold_worker(old, 1);
    xf_board_fold_edition(old, &sample.config, new, &next.config);

    assert_int_equal(total_requests(new, 2), 8);
    assert_int_equal(total_requests(new, 0), 5);
    assert_int_equal(total_requests(new, 1), 0);
    assert_int_equal(total_requests(old, 1), 0);
    assert_int_equal(xf_read(&xf_stats_service(new->retired, 1)->fenced), 3);
    assert_int_equal(xf_read(&xf_stats_server(new->retired, 0)->requests), 11);
    assert_int_equal(xf_read(&xf_stats_cluster(new->retired, 1)->drained[XF_DRAINED_TUNNEL]), 4);
    xf_board_destroy(old);
    xf_board_destroy(new);
}

struct folding {
    struct xf_board *boards[2];
    struct sample samples[2];
    _Atomic bool done;
};

/* Moves a fixed sum to and fro between segments and editions. */
static void *fold_often(void *arg)
{
    struct folding *folding = arg;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned from = i % 2;
        xf_board_fold_worker(folding->boards[from], 0);
        xf_board_fold_edition(folding->boards[from], &folding->samples[from].config,
                              folding->boards[1 - from], &folding->samples[1 - from].config);
    }
    atomic_store(&folding->done, true);
    return NULL;
}

static void a_reader_never_sees_a_count_twice_nor_misses_one(void **state)
{
    (void) state;
    struct folding folding = {.done = false};
    pthread_t thread;
    unsigned good = 0;
    folding.boards[0] = make_board(&folding.samples[0], 1);
    folding.boards[1] = make_board(&folding.samples[1], 2);
    xf_count(&xf_stats_pair(folding.boards[0]->stats[0], 0)->requests, 1000);
    assert_int_equal(pthread_create(&thread, NULL, fold_often, &folding), 0);
    while (!atomic_load(&folding.done)) {
        uint64_t mark;
        if (!xf_boards_read_begin(folding.boards, 2, &mark)) {
            continue;
        }
        uint64_t sum = total_requests(folding.boards[0], 0) + total_requests(folding.boards[1], 0);
        if (xf_boards_read_end(folding.boards, 2, mark)) {
            assert_int_equal(sum, 1000);
            good++;
        }
    }
    pthread_join(thread, NULL);
    assert_true(good > 0);
    xf_board_destroy(folding.boards[0]);
    xf_board_destroy(folding.boards[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reaped_workers_counters_move_and_its_gauges_vanish),
        cmocka_unit_test(an_ended_editions_counters_go_on_under_the_same_names),
        cmocka_unit_test(a_reader_never_sees_a_count_twice_nor_misses_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
