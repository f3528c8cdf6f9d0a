/*
 * test_cells.c -- what the judge is told.
 */
#include "proxy/board/cells.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TAU 100000u

static struct xf_cell cells[XF_CELLS];
static struct xf_judged judged;
static struct xf_blame_ring ring;

static int set_up(void **state)
{
    (void) state;
    memset(cells, 0, sizeof(cells));
    memset(&ring, 0, sizeof(ring));
    xf_judged_init(&judged, cells, &ring);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    xf_judged_release(&judged);
    return 0;
}

static struct xf_judged_terms terms(unsigned weight, enum xf_role role)
{
    return (struct xf_judged_terms){.attempt = 1,
                                    .step = 1,
                                    .tau_us = TAU,
                                    .weight = (uint16_t) weight,
                                    .role = (uint8_t) role};
}

static const struct xf_cell_entry *entry(uint64_t cell, unsigned weight)
{
    for (unsigned i = 0; i < XF_CELL_WEIGHTS; i++) {
        const struct xf_cell_entry *found = &cells[cell % XF_CELLS].entry[i];
        if (cells[cell % XF_CELLS].number == cell && found->weight == weight + 1) {
            return found;
        }
    }
    fail_msg("no entry");
    return NULL;
}

static void an_outcome_counts_by_the_weight_at_dispatch_in_the_cell_of_its_end(void **state)
{
    (void) state;
    struct xf_judging green, blue;
    struct xf_judged_terms of_green = terms(1000, XF_GREEN), of_blue = terms(1000, XF_BLUE);
    xf_judged_sent(&judged, &green, &of_green, 500, 0);
    xf_judged_sent(&judged, &blue, &of_blue, 500, 0);
    xf_judged_ended(&judged, &green, XF_JUDGED_BAD, 501, 50);
    xf_judged_ended(&judged, &blue, XF_JUDGED_4XX, 501, 50);
    xf_judged_ended(&judged, &blue, XF_JUDGED_BAD, 501, 50); /* ended already */
    assert_int_equal(entry(500, 1000)->sent[XF_GREEN], 1);
    assert_int_equal(entry(500, 1000)->sent[XF_BLUE], 1);
    assert_int_equal(entry(501, 1000)->done[XF_GREEN], 1);
    assert_int_equal(entry(501, 1000)->bad[XF_GREEN], 1);
    assert_int_equal(entry(501, 1000)->bad[XF_BLUE], 0);
    assert_int_equal(entry(501, 1000)->bad_4xx[XF_BLUE], 1);
}

static void a_hung_request_is_slow_at_send_plus_tau(void **state)
{
    (void) state;
    struct xf_judging one, two;
    struct xf_judged_terms green = terms(1000, XF_GREEN);
    xf_judged_sent(&judged, &one, &green, 10, 1000);
    xf_judged_sent(&judged, &two, &green, 10, 2000);
    xf_judged_tick(&judged, 11, 1000 + TAU - 1);
    xf_judged_tick(&judged, 12, 1000 + TAU);
    assert_int_equal(entry(12, 1000)->slow[XF_GREEN], 1);
    xf_judged_ended(&judged, &one, XF_JUDGED_GOOD, 13, 900000);
    assert_int_equal(entry(13, 1000)->slow[XF_GREEN], 0);       /* it fired once */
    xf_judged_ended(&judged, &two, XF_JUDGED_GOOD, 13, 900000); /* between two ticks */
    assert_int_equal(entry(13, 1000)->slow[XF_GREEN], 1);
    assert_true(xf_list_empty(&judged.waiting));
}

static void a_client_that_hangs_up_counts_only_after_tau(void **state)
{
    (void) state;
    struct xf_judging early, late;
    struct xf_judged_terms green = terms(1000, XF_GREEN);
    xf_judged_sent(&judged, &early, &green, 10, 0);
    xf_judged_sent(&judged, &late, &green, 10, 0);
    xf_judged_ended(&judged, &early, XF_JUDGED_ABORTED, 10, TAU / 2);
    assert_int_equal(entry(10, 1000)->done[XF_GREEN], 0);
    xf_judged_ended(&judged, &late, XF_JUDGED_ABORTED, 10, TAU + 1);
    assert_int_equal(entry(10, 1000)->done[XF_GREEN], 1);
    assert_int_equal(entry(10, 1000)->slow[XF_GREEN], 1);
    assert_int_equal(entry(10, 1000)->bad[XF_GREEN], 0);
}

static void a_sticky_key_counts_once_per_step(void **state)
{
    (void) state;
    struct xf_judging request;
    struct xf_judged_terms key = terms(1000, XF_GREEN);
    key.sticky = true;
    key.key = 77;
    for (unsigned i = 0; i < 10; i++) {
        xf_judged_sent(&judged, &request, &key, 20, 0);
        xf_judged_ended(&judged, &request, i < 5 ? XF_JUDGED_GOOD : XF_JUDGED_BAD, 20, 1);
    }
    assert_int_equal(entry(20, 1000)->sent[XF_GREEN], 1);
    assert_int_equal(entry(20, 1000)->bad[XF_GREEN], 1);
    assert_int_equal(entry(20, 1000)->done[XF_GREEN], 2); /* seen well, then seen badly */
    key.step = 2;
    xf_judged_sent(&judged, &request, &key, 20, 0);
    xf_judged_ended(&judged, &request, XF_JUDGED_GOOD, 20, 1);
    assert_int_equal(entry(20, 1000)->sent[XF_GREEN], 2);
}

static void every_request_and_every_answer_counts_whatever_its_key(void **state)
{
    (void) state;
    struct xf_judging requests[4];
    struct xf_judged_terms key = terms(1000, XF_GREEN);
    key.sticky = true;
    key.key = 77;
    static const enum xf_judged_outcome outcomes[] = {XF_JUDGED_GOOD, XF_JUDGED_BAD, XF_JUDGED_4XX,
                                                      XF_JUDGED_ABORTED};
    for (unsigned i = 0; i < 4; i++) {
        xf_judged_sent(&judged, &requests[i], &key, 20, 0);
    }
    xf_judged_tick(&judged, 22, TAU);
    for (unsigned i = 0; i < 4; i++) {
        xf_judged_ended(&judged, &requests[i], outcomes[i], 22, TAU + 1);
    }
    assert_int_equal(cells[20].asked[XF_GREEN], 4);
    assert_int_equal(cells[20].answered[XF_GREEN], 0);
    assert_int_equal(cells[22].answered[XF_GREEN], 3); /* the client that left got no answer */
    assert_int_equal(cells[22].answered[XF_BLUE], 0);
    xf_judged_sent(&judged, &requests[0], &key, 20 + XF_CELLS, 0);
    assert_int_equal(cells[20].asked[XF_GREEN], 1); /* emptied for its new use */
}

static void a_ninth_weight_in_a_cell_is_lost_and_counted(void **state)
{
    (void) state;
    for (unsigned weight = 0; weight < XF_CELL_WEIGHTS + 3; weight++) {
        struct xf_judging request;
        struct xf_judged_terms of = terms(weight, XF_BLUE);
        xf_judged_sent(&judged, &request, &of, 30, 0);
        xf_judged_ended(&judged, &request, XF_JUDGED_ABORTED, 30, 1);
    }
    assert_int_equal(cells[30].lost, 3);
}

static void a_cell_is_emptied_when_its_place_is_used_again(void **state)
{
    (void) state;
    struct xf_judging old, new;
    struct xf_judged_terms first = terms(1000, XF_BLUE), second = terms(2000, XF_BLUE);
    xf_judged_sent(&judged, &old, &first, 5, 0);
    xf_judged_sent(&judged, &new, &second, 5 + XF_CELLS, 0);
    assert_int_equal(cells[5].number, 5 + XF_CELLS);
    assert_int_equal(entry(5 + XF_CELLS, 2000)->sent[XF_BLUE], 1);
    second.attempt = 2; /* another cutover in the same cell: nothing of the first may stay */
    xf_judged_sent(&judged, &new, &second, 5 + XF_CELLS, 0);
    assert_int_equal(entry(5 + XF_CELLS, 2000)->sent[XF_BLUE], 1);
    assert_int_equal(cells[5].attempt, 2);
    xf_judged_ended(&judged, &old, XF_JUDGED_BAD, 5 + XF_CELLS, 1); /* of attempt 1: dropped */
    assert_int_equal(cells[5].entry[1].weight, 0);
}

static void who_is_to_blame_is_left_in_the_ring(void **state)
{
    (void) state;
    struct xf_judging request;
    struct xf_judged_terms of = terms(1000, XF_GREEN);
    for (unsigned i = 0; i < XF_BLAME_EVENTS + 3; i++) {
        xf_judged_sent(&judged, &request, &of, 40, 0);
        request.server = (int32_t) i;
        request.target_length = 2;
        memcpy(request.target, "/x", 2);
        xf_judged_ended(&judged, &request, i % 2 == 0 ? XF_JUDGED_BAD : XF_JUDGED_GOOD, 40, 1);
    }
    assert_int_equal(ring.written, (XF_BLAME_EVENTS + 4) / 2);
    assert_int_equal(ring.events[1].server, 2);
    assert_int_equal(ring.events[1].kind, XF_BLAMED_ERROR);
    assert_int_equal(ring.events[1].role, XF_GREEN);
    assert_int_equal(ring.events[1].attempt, 1);
    assert_memory_equal(ring.events[1].target, "/x", 2);
    xf_judged_sent(&judged, &request, &of, 41, 0);
    xf_judged_tick(&judged, 41, TAU);
    xf_judged_ended(&judged, &request, XF_JUDGED_4XX, 41, TAU + 1);
    assert_int_equal(ring.events[(ring.written - 2) % XF_BLAME_EVENTS].kind, XF_BLAMED_SLOW);
    assert_int_equal(ring.events[(ring.written - 1) % XF_BLAME_EVENTS].kind, XF_BLAMED_4XX);
}

#define CELL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CELL_TEST(an_outcome_counts_by_the_weight_at_dispatch_in_the_cell_of_its_end),
        CELL_TEST(a_hung_request_is_slow_at_send_plus_tau),
        CELL_TEST(a_client_that_hangs_up_counts_only_after_tau),
        CELL_TEST(a_sticky_key_counts_once_per_step),
        CELL_TEST(every_request_and_every_answer_counts_whatever_its_key),
        CELL_TEST(a_ninth_weight_in_a_cell_is_lost_and_counted),
        CELL_TEST(who_is_to_blame_is_left_in_the_ring),
        CELL_TEST(a_cell_is_emptied_when_its_place_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
