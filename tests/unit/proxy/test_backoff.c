/*
 * test_backoff.c -- when what died is restarted.
 */
#include "config/base/check.h"
#include "proxy/supervisor/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void the_third_death_in_ten_seconds_waits_and_each_further_one_twice_as_long(void **state)
{
    (void) state;
    static const struct {
        int64_t at_ms, delay_ms;
    } deaths[] = {{0, 0},        {100, 0},     {200, 500},   {700, 1000},
                  {1700, 2000},  {3700, 4000}, {7700, 8000}, {15700, 8000},
                  {23700, 8000}, {100000, 0},  {100001, 0},  {100002, 500}};
    struct xf_backoff backoff = {.deaths = 0};
    for (size_t i = 0; i < XF_COUNT(deaths); i++) {
        assert_int_equal(xf_backoff_died(&backoff, deaths[i].at_ms), deaths[i].delay_ms);
    }
}

static void deaths_far_apart_are_restarted_at_once(void **state)
{
    (void) state;
    struct xf_backoff backoff = {.deaths = 0};
    for (int64_t i = 0; i < 50; i++) {
        assert_int_equal(xf_backoff_died(&backoff, i * (XF_BACKOFF_WINDOW_MS / 2 + 1)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_third_death_in_ten_seconds_waits_and_each_further_one_twice_as_long),
        cmocka_unit_test(deaths_far_apart_are_restarted_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
