/*
 * test_admin_limit.c -- who fails too often must wait, in a table of fixed size.
 */
#include "shifter/admin/admin_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

static struct xf_admin_limit limit;

static const unsigned char *address(const char *text)
{
    static unsigned char bytes[4][XF_ADMIN_ADDRESS_BYTES];
    static unsigned turn;
    unsigned char *place = bytes[turn++ % 4];
    assert_int_equal(inet_pton(AF_INET6, text, place), 1);
    return place;
}

static void fail_times(const char *text, unsigned times, int64_t now_ms)
{
    for (unsigned i = 0; i < times; i++) {
        xf_admin_limit_failed(&limit, address(text), now_ms);
    }
}

static void after_ten_failures_an_address_waits_and_is_then_forgiven(void **state)
{
    (void) state;
    memset(&limit, 0, sizeof(limit));
    fail_times("::ffff:10.0.0.1", XF_ADMIN_LIMIT_FAILURES - 1, 1000);
    assert_int_equal(xf_admin_limit_wait_ms(&limit, address("::ffff:10.0.0.1"), 1000), 0);
    fail_times("::ffff:10.0.0.1", 1, 2000);
    assert_int_equal(xf_admin_limit_wait_ms(&limit, address("::ffff:10.0.0.1"), 2000),
                     XF_ADMIN_LIMIT_PAUSE_MS);
    assert_int_equal(xf_admin_limit_wait_ms(&limit, address("::ffff:10.0.0.2"), 2000), 0);
    int64_t later_ms = 2000 + XF_ADMIN_LIMIT_PAUSE_MS;
    assert_int_equal(xf_admin_limit_wait_ms(&limit, address("::ffff:10.0.0.1"), later_ms), 0);
    fail_times("::ffff:10.0.0.1", 1, later_ms);
    assert_int_equal(xf_admin_limit_wait_ms(&limit, address("::ffff:10.0.0.1"), later_ms), 0);
}

static void failures_far_apart_do_not_add_up(void **state)
{
    (void) state;
    memset(&limit, 0, sizeof(limit));
    int64_t now_ms = 0;
    for (unsigned i = 0; i < 100; i++, now_ms += XF_ADMIN_LIMIT_PAUSE_MS) {
        fail_times("2001:db8::1", 1, now_ms);
        assert_int_equal(xf_admin_limit_wait_ms(&limit, address("2001:db8::1"), now_ms), 0);
    }
}

static void one_network_of_ipv6_is_one_customer(void **state)
{
    (void) state;
    memset(&limit, 0, sizeof(limit));
    fail_times("2001:db8:0:1::1", XF_ADMIN_LIMIT_FAILURES / 2, 1000);
    fail_times("2001:db8:0:1:ffff::2", XF_ADMIN_LIMIT_FAILURES / 2, 1000);
    assert_true(xf_admin_limit_wait_ms(&limit, address("2001:db8:0:1::3"), 1000) > 0);
    assert_int_equal(xf_admin_limit_wait_ms(&limit, address("2001:db8:0:2::3"), 1000), 0);
}

static void a_full_table_forgets_who_failed_longest_ago(void **state)
{
    (void) state;
    memset(&limit, 0, sizeof(limit));
    fail_times("::ffff:10.9.9.9", XF_ADMIN_LIMIT_FAILURES, 500);
    fail_times("::ffff:10.8.8.8", XF_ADMIN_LIMIT_FAILURES, 900);
    for (unsigned i = 0; i < XF_ADMIN_LIMIT_ADDRESSES - 1; i++) {
        unsigned char other[XF_ADMIN_ADDRESS_BYTES] = {
            [0] = 0x20, [6] = (unsigned char) (i >> 8), [7] = (unsigned char) i};
        xf_admin_limit_failed(&limit, other, 1000);
    }
    assert_int_equal(xf_admin_limit_wait_ms(&limit, address("::ffff:10.9.9.9"), 1000), 0);
    assert_true(xf_admin_limit_wait_ms(&limit, address("::ffff:10.8.8.8"), 1000) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_ten_failures_an_address_waits_and_is_then_forgiven),
        cmocka_unit_test(failures_far_apart_do_not_add_up),
        cmocka_unit_test(one_network_of_ipv6_is_one_customer),
        cmocka_unit_test(a_full_table_forgets_who_failed_longest_ago),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
