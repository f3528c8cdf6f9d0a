/*
 * test_admin_access.c -- which Host and Origin are ours.
 */
#include "shifter/agent/admin_access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void a_host_is_an_address_or_a_name_of_this_machine(void **state)
{
    (void) state;
    static const struct {
        const char *host;
        bool ours;
    } rows[] = {
        {"localhost", true},       {"LocalHost:9180", true},  {"127.0.0.1", true},
        {"10.1.2.3:80", true},     {"[::1]:9180", true},      {"[2001:db8::1]", true},
        {"edge-1", true},          {"EDGE-1:9180", true},     {"", false},
        {"edge-1.example", false}, {"localhost.evil", false}, {"127.0.0.1.evil.example:80", false},
        {"evil.example", false},   {"[localhost", true},      {"[evil.example]:1", false},
    };
    char own[256] = "";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (xf_admin_host_is_ours(rows[i].host, "edge-1") != rows[i].ours) {
            fail_msg("%s", rows[i].host);
        }
    }
    assert_int_equal(gethostname(own, sizeof(own) - 1), 0);
    assert_true(xf_admin_host_is_ours(own, "edge-1"));
}

static void an_origin_is_ours_only_where_it_is_the_host(void **state)
{
    (void) state;
    assert_true(xf_admin_origin_is_host("http://10.0.0.1:9180", "10.0.0.1:9180"));
    assert_true(xf_admin_origin_is_host("https://Edge-1:9180", "edge-1:9180"));
    assert_false(xf_admin_origin_is_host("null", "null"));
    assert_false(xf_admin_origin_is_host("http://10.0.0.1:9180", "10.0.0.1:9181"));
    assert_false(xf_admin_origin_is_host("http://10.0.0.1:9180.evil", "10.0.0.1:9180"));
    assert_false(xf_admin_origin_is_host("ftp://10.0.0.1", "10.0.0.1"));
    assert_false(xf_admin_origin_is_host("http://", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_an_address_or_a_name_of_this_machine),
        cmocka_unit_test(an_origin_is_ours_only_where_it_is_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
