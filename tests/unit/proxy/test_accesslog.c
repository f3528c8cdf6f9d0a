/*
 * test_accesslog.c -- a line of the access log.
 */
#include "proxy/worker/accesslog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct xf_access_entry sample(void)
{
    return (struct xf_access_entry){.wall_ms = 1795341600123,
                                    .service = "web",
                                    .cluster = "web-v2",
                                    .server = "10.0.0.1:80",
                                    .why = "weight",
                                    .ended = "done",
                                    .client = "192.0.2.1",
                                    .method = {"GET", 3},
                                    .target = {"/a\"b\\c\xff", 7},
                                    .status = 200,
                                    .bytes = 128,
                                    .weight = 1250,
                                    .generation = 7,
                                    .first_byte_us = 1234,
                                    .total_us = 2000500};
}

static void json_escapes_what_a_client_sent(void **state)
{
    (void) state;
    struct xf_text out;
    struct xf_access_entry entry = sample();
    xf_text_init(&out, 4096);
    xf_access_format(&out, XF_LOG_FORMAT_JSON, &entry);
    assert_string_equal(
        out.data,
        "{\"time\":\"2026-11-22T10:00:00.123Z\",\"service\":\"web\",\"client\":\"192.0.2.1\","
        "\"method\":\"GET\",\"path\":\"/a\\\"b\\\\c\\ufffd\",\"status\":200,\"bytes\":128,"
        "\"cluster\":\"web-v2\",\"server\":\"10.0.0.1:80\",\"why\":\"weight\",\"weight\":12.50,"
        "\"generation\":7,\"connect_ms\":null,\"first_byte_ms\":1.234,\"total_ms\":2000.500,"
        "\"retries\":0,\"ended\":\"done\"}\n");
    xf_text_release(&out);
}

static void combined_cannot_be_broken_by_a_client(void **state)
{
    (void) state;
    struct xf_text out;
    struct xf_access_entry entry = sample();
    entry.agent = (struct xf_piece){"x\" \n", 4};
    xf_text_init(&out, 4096);
    xf_access_format(&out, XF_LOG_FORMAT_COMBINED, &entry);
    assert_string_equal(out.data, "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET "
                                  "/a\\x22b\\x5Cc\xff HTTP/1.1\" 200 128 \"-\" "
                                  "\"x\\x22 \\x0A\"\n");
    xf_text_release(&out);
}

static void a_refused_head_says_why_and_of_what_cluster_it_was_not(void **state)
{
    (void) state;
    struct xf_text out;
    struct xf_access_entry entry = {.wall_ms = 1795341600123,
                                    .service = "web",
                                    .client = "192.0.2.1",
                                    .ended = "proxy",
                                    .status = 400,
                                    .weight = -1,
                                    .reason = "no Host field"};
    xf_text_init(&out, 4096);
    xf_access_format(&out, XF_LOG_FORMAT_JSON, &entry);
    assert_string_equal(out.data,
                        "{\"time\":\"2026-11-22T10:00:00.123Z\",\"service\":\"web\","
                        "\"client\":\"192.0.2.1\",\"method\":\"\",\"path\":\"\",\"status\":400,"
                        "\"bytes\":0,\"cluster\":null,\"server\":null,\"why\":null,\"weight\":null,"
                        "\"generation\":0,\"connect_ms\":null,\"first_byte_ms\":null,"
                        "\"total_ms\":0.000,\"retries\":0,\"ended\":\"proxy\","
                        "\"reason\":\"no Host field\"}\n");
    xf_text_clear(&out);
    xf_access_format(&out, XF_LOG_FORMAT_COMBINED, &entry);
    assert_string_equal(out.data,
                        "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"-\" 400 0 \"-\" \"-\"\n");
    xf_text_release(&out);
}

static void of_a_refused_head_only_what_is_sure_is_told(void **state)
{
    (void) state;
    static const struct {
        const char *bytes, *method, *target;
    } rows[] = {
        {"GET /a?b HTTP/1.1\r\n\r\n", "GET", "/a?b"},
        {"\r\nGET /a HTTP/9.9\r\n", "GET", "/a"},
        {"OPTIONS * HTTP/1.1\r\n", "OPTIONS", "*"},
        {"GET http://user:secret@a/ HTTP/1.1\r\n", "GET", ""},
        {"CONNECT a:443 HTTP/1.1\r\n", "CONNECT", ""},
        {"GET /part", "GET", "/part"},
        {"GET /a\x01\"b HTTP/1.1\r\n", "GET", "/a"},
        {"GET /a\xff\xfe HTTP/1.1\r\n", "GET", "/a"},
        {"GET ", "GET", ""},
        {"GE", "", ""},
        {"", "", ""},
        {"G\"T / HTTP/1.1\r\n", "", ""},
        {"\x16\x03\x01\x02", "", ""},
        {"Cookie: a=secret\r\n", "", ""},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGH / HTTP/1.1\r\n", "", ""},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_piece method, target;
        xf_access_find_request(rows[i].bytes, strlen(rows[i].bytes), &method, &target);
        assert_int_equal(method.length, strlen(rows[i].method));
        assert_int_equal(target.length, strlen(rows[i].target));
        assert_true(method.length == 0 || memcmp(method.bytes, rows[i].method, method.length) == 0);
        assert_true(target.length == 0 || memcmp(target.bytes, rows[i].target, target.length) == 0);
    }
    char bytes[4096] = "GET /";
    memset(bytes + 5, 'a', sizeof(bytes) - 5);
    struct xf_piece method, target;
    xf_access_find_request(bytes, sizeof(bytes), &method, &target);
    assert_int_equal(target.length, XF_ACCESS_TARGET_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_escapes_what_a_client_sent),
        cmocka_unit_test(combined_cannot_be_broken_by_a_client),
        cmocka_unit_test(a_refused_head_says_why_and_of_what_cluster_it_was_not),
        cmocka_unit_test(of_a_refused_head_only_what_is_sure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
