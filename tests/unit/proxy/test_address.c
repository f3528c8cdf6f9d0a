/*
 * test_address.c -- peers' addresses.
 */
#include "proxy/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct xf_address address_of(const char *text)
{
    struct sockaddr_storage storage = {0};
    struct xf_address address;
    if (strchr(text, ':') != NULL) {
        storage.ss_family = AF_INET6;
        assert_int_equal(
            inet_pton(AF_INET6, text, &((struct sockaddr_in6 *) (void *) &storage)->sin6_addr), 1);
    } else {
        storage.ss_family = AF_INET;
        assert_int_equal(
            inet_pton(AF_INET, text, &((struct sockaddr_in *) (void *) &storage)->sin_addr), 1);
    }
    xf_address_from(&storage, &address);
    return address;
}

static void addresses_are_written_as_people_write_them(void **state)
{
    (void) state;
    static const char *const rows[][2] = {{"10.0.0.1", "10.0.0.1"},
                                          {"255.255.255.255", "255.255.255.255"},
                                          {"0.10.100.9", "0.10.100.9"},
                                          {"::ffff:192.0.2.7", "192.0.2.7"},
                                          {"2001:db8::1", "2001:db8::1"}};
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        char text[XF_ADDRESS_TEXT_BYTES];
        struct xf_address address = address_of(rows[i][0]);
        assert_int_equal(xf_address_text(&address, text), strlen(rows[i][1]));
        assert_string_equal(text, rows[i][1]);
    }
}

static void networks_hold_what_their_prefix_says(void **state)
{
    (void) state;
    static const struct {
        struct xf_config_network network;
        const char *address;
        bool inside;
    } rows[] = {
        {{AF_INET, {10}, 8}, "10.255.0.1", true},
        {{AF_INET, {10}, 8}, "11.0.0.1", false},
        {{AF_INET, {192, 0, 2, 128}, 25}, "192.0.2.129", true},
        {{AF_INET, {192, 0, 2, 128}, 25}, "192.0.2.127", false},
        {{AF_INET, {1, 2, 3, 4}, 32}, "::ffff:1.2.3.4", true},
        {{AF_INET, {0}, 0}, "9.9.9.9", true},
        {{AF_INET, {0}, 0}, "::1", false},
        {{AF_INET6, {0x20, 0x01, 0x0d, 0xb8}, 32}, "2001:db8:5::1", true},
        {{AF_INET6, {0x20, 0x01, 0x0d, 0xb8}, 32}, "2001:db9::1", false},
    };
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        struct xf_address address = address_of(rows[i].address);
        assert_int_equal(xf_address_in(&address, &rows[i].network, 1), rows[i].inside);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_written_as_people_write_them),
        cmocka_unit_test(networks_hold_what_their_prefix_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
