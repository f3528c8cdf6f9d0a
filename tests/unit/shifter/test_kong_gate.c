/*
 * test_kong_gate.c -- lists of names in the words of the kong gate's checks.
 */
#include "shifter/gates/kong_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void a_name_is_listed_once_though_another_begins_or_ends_with_it(void **state)
{
    static const struct {
        const char *list, *name, *expected;
    } rows[] = {
        {"", "edge-1", "edge-1"},
        {"edge-1", "edge-1", "edge-1"},
        {"edge-10", "edge-1", "edge-10, edge-1"},
        {"my-edge-1", "edge-1", "my-edge-1, edge-1"},
        {"edge-10, edge-1", "edge-1", "edge-10, edge-1"},
        {"edge-1, edge-10", "edge-1", "edge-1, edge-10"},
        {"edge-1", "", "edge-1, "}, /* a name that a stranger sent */
        {"edge-10, edge-1 and more", "edge-1", "edge-10, edge-1 and more"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char list[64];
        snprintf(list, sizeof(list), "%s", rows[i].list);
        xf_kong_list_once(list, sizeof(list), rows[i].name);
        assert_string_equal(list, rows[i].expected);
    }
}

static void a_full_list_says_that_there_are_more_and_says_it_once(void **state)
{
    char list[32] = "";
    (void) state;
    for (int i = 0; i < 9; i++) {
        char name[8];
        snprintf(name, sizeof(name), "edge-%d", i);
        xf_kong_list_once(list, sizeof(list), name);
    }
    assert_string_equal(list, "edge-0, edge-1 and more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_listed_once_though_another_begins_or_ends_with_it),
        cmocka_unit_test(a_full_list_says_that_there_are_more_and_says_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
