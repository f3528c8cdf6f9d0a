/*
 * test_text.c -- units, names and growing strings.
 */
#include "config/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void durations_are_read_with_their_units(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {{"250ms", 250}, {"10s", 10000}, {"1h30m", 5400000}, {"0", 0},
                {"0s", 0},      {"1.5s", 1500}, {"2d", 172800000},  {"10", -1},
                {"", -1},       {"-1s", -1},    {"30m1h", -1},      {"1s1s", -1},
                {" 1s", -1},    {"1s ", -1},    {"1e3s", -1},       {"99999999d", -1}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        int64_t ms = -1;
        bool read = xf_parse_duration_ms(rows[i].text, &ms);
        assert_int_equal(read, rows[i].ms >= 0);
        assert_int_equal(ms, rows[i].ms);
    }
}

static void a_duration_is_written_as_it_would_be_read(void **state)
{
    (void) state;
    char text[XF_DURATION_TEXT_BYTES];
    static const int64_t values[] = {1, 999, 1000, 90000, 5400000, 86400000 + 1};
    for (size_t i = 0; i < XF_COUNT(values); i++) {
        int64_t back;
        assert_true(xf_parse_duration_ms(xf_format_duration(values[i], text), &back));
        assert_int_equal(back, values[i]);
    }
    assert_string_equal(xf_format_duration(90000, text), "1m30s");
}

static void weights_need_their_sign_and_stay_whole(void **state)
{
    (void) state;
    unsigned weight = 77;
    assert_true(xf_parse_weight("12.5%", &weight));
    assert_int_equal(weight, 1250);
    assert_true(xf_parse_weight("100%", &weight));
    assert_int_equal(weight, 10000);
    assert_true(xf_parse_weight("0.01%", &weight));
    assert_int_equal(weight, 1);
    static const char *const refused[] = {"25",     "101%", "-1%",  "0.001%", "%",
                                          "12.5 %", "1e1%", "nan%", "",       "100.01%"};
    for (size_t i = 0; i < XF_COUNT(refused); i++) {
        assert_false(xf_parse_weight(refused[i], &weight));
    }
    assert_int_equal(weight, 1);
    char text[XF_WEIGHT_TEXT_BYTES];
    assert_string_equal(xf_format_weight(1250, text), "12.5%");
    assert_string_equal(xf_format_weight(1, text), "0.01%");
    assert_string_equal(xf_format_weight(10000, text), "100%");
}

static void sizes_know_both_families_of_units(void **state)
{
    (void) state;
    uint64_t bytes = 0;
    assert_true(xf_parse_size("32KiB", &bytes));
    assert_int_equal(bytes, 32768);
    assert_true(xf_parse_size("1GB", &bytes));
    assert_int_equal(bytes, 1000000000);
    assert_false(xf_parse_size("1KB", &bytes));
    assert_false(xf_parse_size("-1", &bytes));
}

static void times_are_read_with_their_offset(void **state)
{
    (void) state;
    int64_t a = 0;
    int64_t b = 0;
    assert_true(xf_parse_time("2026-11-22T22:00:00+01:00", &a));
    assert_true(xf_parse_time("2026-11-22T21:00:00Z", &b));
    assert_int_equal(a, b);
    char text[XF_TIME_TEXT_BYTES];
    assert_string_equal(xf_format_time(a + 123, text), "2026-11-22T21:00:00.123Z");
    assert_false(xf_parse_time("2026-02-31T00:00:00Z", &a));
    assert_false(xf_parse_time("2026-11-22T22:00:00", &a));
    assert_false(xf_parse_time("tomorrow", &a));
}

static void a_text_stops_at_its_ceiling_and_says_so(void **state)
{
    (void) state;
    struct xf_text text;
    xf_text_init(&text, 10);
    xf_text_puts(&text, "12345");
    xf_text_printf(&text, "%d", 67890);
    assert_false(text.failed);
    assert_string_equal(text.data, "1234567890");
    xf_text_puts(&text, "!");
    assert_true(text.failed);
    assert_null(xf_text_take(&text));
}

static void json_strings_are_always_valid(void **state)
{
    (void) state;
    struct xf_text text;
    xf_text_init(&text, 1000);
    xf_text_json(&text, "a\"b\\\n\xff\xc3\xa9", 8);
    assert_string_equal(text.data, "\"a\\\"b\\\\\\u000a\\ufffd\xc3\xa9\"");
    xf_text_release(&text);
}

static void names_follow_the_design(void **state)
{
    (void) state;
    assert_true(xf_name_valid("kong-30"));
    assert_false(xf_name_valid("Kong"));
    assert_false(xf_name_valid("-a"));
    assert_false(xf_name_valid("a\r\nX: y"));
    assert_false(xf_name_valid("kong-3.1"));
    assert_true(xf_plan_name_valid("kong-3.1"));
    assert_false(xf_name_valid(""));
}

static void the_nearest_word_is_suggested_only_when_near(void **state)
{
    (void) state;
    static const char *const words[] = {"check", "servers", "timeouts"};
    assert_string_equal(xf_text_nearest("chek", words, 3), "check");
    assert_null(xf_text_nearest("banana", words, 3));
}

static void uuids_are_valid_and_differ(void **state)
{
    (void) state;
    char a[XF_UUID_TEXT_BYTES];
    char b[XF_UUID_TEXT_BYTES];
    xf_uuid_make(a);
    xf_uuid_make(b);
    assert_true(xf_uuid_valid(a));
    assert_string_not_equal(a, b);
    assert_false(xf_uuid_valid("no"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_with_their_units),
        cmocka_unit_test(a_duration_is_written_as_it_would_be_read),
        cmocka_unit_test(weights_need_their_sign_and_stay_whole),
        cmocka_unit_test(sizes_know_both_families_of_units),
        cmocka_unit_test(times_are_read_with_their_offset),
        cmocka_unit_test(a_text_stops_at_its_ceiling_and_says_so),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(names_follow_the_design),
        cmocka_unit_test(the_nearest_word_is_suggested_only_when_near),
        cmocka_unit_test(uuids_are_valid_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
