/*
 * test_forwarded.c -- X-Forwarded-For is believed from its end, as far as its writers are trusted.
 */
#include "proxy/http/forwarded.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct xf_config_network network = {.family = AF_INET, .bytes = {10}, .prefix = 8};
static const struct xf_networks trusted = {&network, 1};
static const struct xf_address peer = {.bytes = {10, 0, 0, 9}, .length = 4};

static void the_source_is_the_last_address_that_is_not_trusted(void **state)
{
    (void) state;
    static const struct {
        const char *lines, *source;
    } rows[] = {
        {"", "10.0.0.9"},
        {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 192.0.2.1, 198.51.100.7\r\n", "198.51.100.7"},
        {"X-Forwarded-For: 192.0.2.1, 198.51.100.7 ,\t10.1.1.1\r\n", "198.51.100.7"},
        {"X-Forwarded-For: 192.0.2.1\r\nA: b\r\nX-Forwarded-For: 198.51.100.7\r\n", "198.51.100.7"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.1.1.1\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 10.2.2.2, 10.1.1.1\r\n", "10.2.2.2"},
        {"X-Forwarded-For: 192.0.2.1, , 10.1.1.1,\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 192.0.2.1:8080\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"},
        {"X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"},
        {"X-Forwarded-For: [2001:db8::1]:443\r\n", "2001:db8::1"},
        {"X-Forwarded-For: 192.0.2.1, ::ffff:10.1.1.1\r\n", "192.0.2.1"},
        /* what stands before an element that is no address is not believed */
        {"X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.1\r\n", "10.1.1.1"},
        {"X-Forwarded-For: 192.0.2.1, unknown\r\n", "10.0.0.9"},
        {"X-Forwarded-For: 192.0.2.1:\r\n", "10.0.0.9"},
        {"X-Forwarded-For: 192.0.2.1:808080\r\n", "10.0.0.9"},
        {"X-Forwarded-For: 192.0.2.1:80x\r\n", "10.0.0.9"},
        {"X-Forwarded-For: 192.0.2.256\r\n", "10.0.0.9"},
        {"X-Forwarded-For: [2001:db8::1\r\n", "10.0.0.9"},
        {"X-Forwarded-For: [2001:db8::1]443\r\n", "10.0.0.9"},
        {"X-Forwarded-For: [192.0.2.1]\r\n", "10.0.0.9"},
        {"X-Forwarded-For: 1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd\r\n",
         "10.0.0.9"},
        {"X-Forwarded-For:\r\n", "10.0.0.9"},
    };
    static const struct xf_http_limits limits = {.head_bytes_max = 4096, .fields_max = 64};
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        char head[1024], text[XF_ADDRESS_TEXT_BYTES];
        struct xf_http_request request;
        struct xf_http_refusal refusal;
        struct xf_field fields[64];
        struct xf_address source;
        int length =
            snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].lines);
        assert_int_equal(
            xf_http_parse_request(head, (size_t) length, 0, &limits, fields, &request, &refusal),
            XF_HTTP_DONE);
        xf_forwarded_source(head, &request, fields, &trusted, &peer, &source);
        (void) xf_address_text(&source, text);
        if (strcmp(text, rows[i].source) != 0) {
            fail_msg("%s: %s, not %s", rows[i].lines, text, rows[i].source);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_is_the_last_address_that_is_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
