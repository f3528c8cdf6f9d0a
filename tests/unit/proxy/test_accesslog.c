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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_escapes_what_a_client_sent),
        cmocka_unit_test(combined_cannot_be_broken_by_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
