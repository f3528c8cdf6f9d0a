/*
 * test_backoff.c -- waits double up to their bound, and are jittered within half of it.
 */
#include "shifter/net/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static long ms_of(struct timeval wait)
{
    return wait.tv_sec * 1000 + wait.tv_usec / 1000;
}

static void waits_double_up_to_the_bound(void **state)
{
    static const long bounds[] = {50, 100, 200, 400, 800, 1600, 2000, 2000, 2000};
    (void) state;
    struct xf_backoff backoff = {.ms_min = 50, .ms_max = 2000};
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        assert_in_range(ms_of(xf_backoff_next(&backoff)), bounds[i] / 2, bounds[i]);
    }
    xf_backoff_reset(&backoff);
    assert_in_range(ms_of(xf_backoff_next(&backoff)), 25, 50);
}

static void waits_are_not_all_alike(void **state)
{
    (void) state;
    struct xf_backoff backoff = {.ms_min = 2000, .ms_max = 2000};
    long first = ms_of(xf_backoff_next(&backoff));
    bool differs = false;
    for (int i = 0; i < 100 && !differs; i++) {
        differs = ms_of(xf_backoff_next(&backoff)) != first;
    }
    assert_true(differs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_bound),
        cmocka_unit_test(waits_are_not_all_alike),
    };
    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
