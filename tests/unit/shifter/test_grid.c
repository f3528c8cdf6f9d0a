/*
 * test_grid.c -- cells of the fleet: summed, closed in the order of time, counted once.
 */
#include "shifter/control/grid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW  1000000000000ll /* a multiple of XF_CELL_MS */
#define CELL (NOW / XF_CELL_MS)

static struct xf_grid grid;

static bool add(const char *boot, uint64_t seq, uint64_t number, unsigned weight, uint64_t bad,
                int64_t now)
{
    struct xf_message_cell cell = {.number = number, .entries_count = 1};
    struct xf_message_samples samples = {.seq = seq, .cells = &cell, .cells_count = 1};
    snprintf(samples.proxy.boot, sizeof(samples.proxy.boot), "%s", boot);
    cell.entries[0].weight = weight;
    cell.entries[0].counts.bad[1] = bad;
    cell.entries[0].counts.done[1] = bad;
    cell.asked[1] = 2 * bad;
    cell.answered[0] = bad;
    return xf_grid_add(&grid, &samples, now);
}

static void proxies_are_summed_cell_by_cell_and_weight_by_weight(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    assert_true(add("a", 1, CELL, 100, 1, NOW));
    assert_true(add("b", 1, CELL, 100, 2, NOW));
    assert_true(add("c", 1, CELL, 500, 4, NOW));
    assert_true(xf_grid_take(&grid, NOW + 200, &cell));
    assert_int_equal(cell.t_ms, NOW);
    assert_int_equal(cell.entry_count, 2);
    assert_int_equal(cell.entries[0].role[1].bad + cell.entries[1].role[1].bad, 7);
    assert_int_equal(cell.asked[1], 14);
    assert_int_equal(cell.answered[0], 7);
    assert_false(xf_grid_take(&grid, NOW + 200, &cell));
}

static void a_cell_is_closed_100_ms_after_its_end(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    assert_true(add("a", 1, CELL, 100, 1, NOW));
    assert_false(xf_grid_take(&grid, NOW + XF_CELL_MS + XF_GRID_CLOSE_MS - 1, &cell));
    assert_true(xf_grid_take(&grid, NOW + XF_CELL_MS + XF_GRID_CLOSE_MS, &cell));
}

static void what_comes_late_joins_the_next_cell_to_close(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    assert_true(add("a", 1, CELL, 100, 1, NOW));
    assert_true(xf_grid_take(&grid, NOW + 1000, &cell));
    assert_true(add("b", 1, CELL, 100, 2, NOW + 1000));
    assert_true(xf_grid_take(&grid, NOW + 2000, &cell));
    assert_true(cell.t_ms > NOW);
    assert_int_equal(cell.entries[0].role[1].bad, 2);
}

static void what_was_counted_before_is_forgotten_here_and_later(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    assert_true(add("a", 1, CELL, 100, 1, NOW));
    assert_true(add("a", 2, CELL + 2, 100, 2, NOW));
    xf_grid_forget(&grid, NOW + 2 * XF_CELL_MS + 10);
    assert_true(add("b", 1, CELL + 1, 100, 4, NOW + 120));
    assert_true(add("b", 2, CELL + 2, 100, 8, NOW + 130));
    assert_true(xf_grid_take(&grid, NOW + 1000, &cell));
    assert_int_equal(cell.t_ms, NOW + 2 * XF_CELL_MS);
    assert_int_equal(cell.entries[0].role[1].bad, 10);
    assert_false(xf_grid_take(&grid, NOW + 1000, &cell));
}

static void a_clock_that_is_set_back_blinds_nobody(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    xf_grid_forget(&grid, NOW + 3600000);
    assert_true(add("a", 1, CELL, 100, 1, NOW));
    assert_true(xf_grid_take(&grid, NOW + 1000, &cell));
    assert_int_equal(cell.entries[0].role[1].bad, 1);
}

static void a_repeated_sequence_counts_once(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    assert_true(add("a", 7, CELL, 100, 1, NOW));
    assert_false(add("a", 7, CELL, 100, 1, NOW));
    assert_false(add("a", 6, CELL, 100, 1, NOW));
    assert_true(add("a-again", 1, CELL, 100, 1, NOW)); /* another boot counts anew */
    assert_true(xf_grid_take(&grid, NOW + 200, &cell));
    assert_int_equal(cell.entries[0].role[1].bad, 2);
}

static void a_number_from_nowhere_stays_in_the_grid(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    assert_true(add("a", 1, 0, 100, 1, NOW));
    assert_true(add("b", 1, INT64_MAX / XF_CELL_MS, 100, 2, NOW));
    uint64_t bad = 0;
    for (int64_t now = NOW; now < NOW + 10000; now += 50) {
        int64_t last = 0;
        while (xf_grid_take(&grid, now, &cell)) {
            assert_true(cell.t_ms >= last);
            last = cell.t_ms;
            bad += cell.entries[0].role[1].bad;
        }
    }
    assert_int_equal(bad, 3);
}

static void after_a_long_sleep_the_grid_begins_where_time_is(void **state)
{
    (void) state;
    struct xf_judge_cell cell;
    xf_grid_init(&grid);
    assert_true(add("a", 1, CELL, 100, 1, NOW));
    assert_true(xf_grid_take(&grid, NOW + 3600000, &cell));
    assert_false(xf_grid_take(&grid, NOW + 3600000, &cell));
    uint64_t number = (uint64_t) (NOW + 3600000) / XF_CELL_MS;
    assert_true(add("a", 2, number, 100, 1, NOW + 3600000));
    assert_true(xf_grid_take(&grid, NOW + 3600000 + 500, &cell));
    assert_int_equal(cell.t_ms, (int64_t) number * XF_CELL_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proxies_are_summed_cell_by_cell_and_weight_by_weight),
        cmocka_unit_test(a_cell_is_closed_100_ms_after_its_end),
        cmocka_unit_test(what_comes_late_joins_the_next_cell_to_close),
        cmocka_unit_test(what_was_counted_before_is_forgotten_here_and_later),
        cmocka_unit_test(a_clock_that_is_set_back_blinds_nobody),
        cmocka_unit_test(a_repeated_sequence_counts_once),
        cmocka_unit_test(a_number_from_nowhere_stays_in_the_grid),
        cmocka_unit_test(after_a_long_sleep_the_grid_begins_where_time_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
