/*
 * test_source_address.c -- the kernel's routes say which address a server sees.
 */
#include "shifter/net/source_address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_server_on_this_host_sees_this_host(void **state)
{
    (void) state;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(9)};
    char own[INET6_ADDRSTRLEN] = "";
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &server.sin_addr), 1);
    assert_true(xf_source_address((const struct sockaddr *) &server, sizeof(server), own));
    assert_string_equal(own, "127.0.0.1");
}

static void where_no_way_leads_nothing_is_known(void **state)
{
    (void) state;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr nothing = {.sa_family = AF_UNSPEC};
    char own[INET6_ADDRSTRLEN] = "kept";
    server.sin_addr.s_addr = htonl(INADDR_BROADCAST); /* refused without SO_BROADCAST */
    assert_false(xf_source_address((const struct sockaddr *) &server, sizeof(server), own));
    assert_false(xf_source_address(&nothing, sizeof(nothing), own));
    assert_string_equal(own, "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_on_this_host_sees_this_host),
        cmocka_unit_test(where_no_way_leads_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
