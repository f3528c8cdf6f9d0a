/*
 * test_zone.c -- local times of named zones, through both changes of the clocks.
 */
#include "shifter/plan/zone.h"

#include "config/base/check.h"
#include "config/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void local_time_follows_the_zone_and_its_summer(void **state)
{
    (void) state;
    static const struct {
        const char *utc, *zone;
        unsigned weekday, minute;
    } rows[] = {
        {"2026-11-22T22:30:00Z", "", 6, 22 * 60 + 30},
        {"2026-11-22T22:30:00Z", "Europe/Paris", 6, 23 * 60 + 30},
        {"2026-11-22T23:30:00Z", "Europe/Paris", 0, 30},
        {"2026-07-01T12:00:00Z", "Europe/Paris", 2, 14 * 60},
        {"2026-03-29T00:59:00Z", "Europe/Paris", 6, 60 + 59}, /* then 02:00 becomes 03:00 */
        {"2026-03-29T01:00:00Z", "Europe/Paris", 6, 3 * 60},
        {"2026-10-25T00:30:00Z", "Europe/Paris", 6, 2 * 60 + 30}, /* 02:30 comes twice */
        {"2026-10-25T01:30:00Z", "Europe/Paris", 6, 2 * 60 + 30},
        {"2026-11-22T22:30:00Z", "America/New_York", 6, 17 * 60 + 30},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        int64_t wall_ms = 0;
        assert_true(xf_parse_time(rows[i].utc, &wall_ms));
        struct xf_zone_time local = xf_zone_local(rows[i].zone, wall_ms);
        assert_int_equal(local.weekday, rows[i].weekday);
        assert_int_equal(local.minute, rows[i].minute);
    }
}

static void the_process_keeps_its_own_zone(void **state)
{
    (void) state;
    setenv("TZ", "Asia/Tokyo", 1);
    (void) xf_zone_local("Europe/Paris", 0);
    assert_string_equal(getenv("TZ"), "Asia/Tokyo");
    unsetenv("TZ");
    (void) xf_zone_local("Europe/Paris", 0);
    assert_null(getenv("TZ"));
}

static void only_zones_of_the_database_are_known(void **state)
{
    (void) state;
    assert_true(xf_zone_known("Europe/Paris"));
    assert_true(xf_zone_known("UTC"));
    assert_false(xf_zone_known("Mars/Base"));
    assert_false(xf_zone_known(""));
    assert_false(xf_zone_known("/etc/passwd"));
    assert_false(xf_zone_known("../../../etc/passwd"));
    assert_false(xf_zone_known("zone.tab"));
    assert_false(xf_zone_known("Europe"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_time_follows_the_zone_and_its_summer),
        cmocka_unit_test(the_process_keeps_its_own_zone),
        cmocka_unit_test(only_zones_of_the_database_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
