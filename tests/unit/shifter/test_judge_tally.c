/*
 * test_judge_tally.c -- who carries the trouble, through messages and over proxies.
 */
#include "shifter/judge/judge_tally.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct xf_tally tally;

static int set_up(void **state)
{
    (void) state;
    xf_tally_init(&tally);
    return 0;
}

static void bad(enum xf_judge_role role, const char *server, const char *target, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        xf_tally_bad(&tally, XF_STREAM_ERRORS, role, server, target, strlen(target));
    }
}

static const char *text_at(const json_t *object, const char *list, size_t index, const char *key)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(object, list), index), key));
}

static void what_blue_shows_on_a_path_is_no_excess_of_green(void **state)
{
    (void) state;
    xf_tally_done(&tally, XF_JUDGE_BLUE, 9000);
    xf_tally_done(&tally, XF_JUDGE_GREEN, 1000);
    bad(XF_JUDGE_BLUE, "b", "/old", 270); /* green's share of it: 30 */
    bad(XF_JUDGE_GREEN, "g1", "/old", 14);
    bad(XF_JUDGE_GREEN, "g2", "/old", 15);
    bad(XF_JUDGE_GREEN, "g1", "/new/17?x", 11);
    bad(XF_JUDGE_GREEN, "g2", "/new/18", 10);
    json_t *told = xf_tally_explain(&tally, XF_STREAM_ERRORS, 2);
    assert_int_equal(json_array_size(json_object_get(told, "paths")), 1);
    assert_string_equal(text_at(told, "paths", 0, "path"), "/new/*");
    const char *sentence = json_string_value(json_object_get(told, "sentence"));
    if (strstr(sentence, "mostly path /new/* (21 of 50 errors)") == NULL ||
        strstr(sentence, "mostly server") != NULL) {
        fail_msg("%s", sentence);
    }
    json_decref(told);
    assert_null(xf_tally_explain(&tally, XF_STREAM_SLOW, 2));
}

static void few_errors_do_not_single_out_a_server(void **state)
{
    (void) state;
    xf_tally_done(&tally, XF_JUDGE_GREEN, 100);
    bad(XF_JUDGE_GREEN, "g1", "/a", 7);
    bad(XF_JUDGE_GREEN, "g2", "/a", 3);
    json_t *told = xf_tally_explain(&tally, XF_STREAM_ERRORS, 2);
    assert_null(strstr(json_string_value(json_object_get(told, "sentence")), "mostly server"));
    assert_int_equal(json_array_size(json_object_get(told, "servers")), 2);
    json_decref(told);
    bad(XF_JUDGE_GREEN, "g1", "/a", 30);
    told = xf_tally_explain(&tally, XF_STREAM_ERRORS, 2);
    assert_non_null(
        strstr(json_string_value(json_object_get(told, "sentence")), "mostly server g1"));
    json_decref(told);
}

static void the_sum_of_two_proxies_is_what_one_would_have_told(void **state)
{
    (void) state;
    struct xf_tally sum;
    unsigned attempt = 0;
    xf_tally_init(&sum);
    xf_tally_done(&tally, XF_JUDGE_GREEN, 500);
    xf_tally_done(&tally, XF_JUDGE_BLUE, 4500);
    for (unsigned i = 0; i < 100; i++) { /* more keys than are told */
        char target[16];
        snprintf(target, sizeof(target), "/p%u", i);
        bad(XF_JUDGE_GREEN, "g1", target, 1);
    }
    bad(XF_JUDGE_GREEN, "g2", "/worst", 40);
    bad(XF_JUDGE_BLUE, NULL, "/worst", 2);
    json_t *message = xf_tally_json(&tally, 3);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(xf_tally_add_json(&sum, message, &attempt, NULL), 0);
    }
    assert_int_equal(attempt, 3);
    assert_int_equal(sum.done[XF_JUDGE_GREEN], 1000);
    assert_int_equal(sum.streams[XF_STREAM_ERRORS].paths[XF_JUDGE_GREEN].bad, 280);
    json_t *told = xf_tally_explain(&sum, XF_STREAM_ERRORS, 3);
    assert_int_equal(json_integer_value(json_object_get(told, "bad")), 280);
    assert_string_equal(text_at(told, "paths", 0, "path"), "/worst");
    assert_string_equal(text_at(told, "servers", 0, "server"), "g1");
    json_decref(told);
    json_decref(message);
}

static void a_message_may_be_anything(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "{}",
        "{\"attempt\": -1, \"done\": [1, 2]}",
        "{\"attempt\": 1, \"done\": [1]}",
        "{\"attempt\": 1, \"done\": [1, -2]}",
        "{\"attempt\": 1, \"done\": [1, 2], \"errors\": []}",
        "{\"attempt\": 1, \"done\": [1, 2], \"errors\": {\"bad\": [0, 0], \"servers\": [[1, 2]], "
        "\"paths\": []}}",
        "{\"attempt\": 1, \"done\": [1, 2], \"slow\": {\"bad\": [0, 0], \"servers\": [], "
        "\"paths\": [[\"/\", 1, 1e99]]}}",
    };
    unsigned attempt;
    for (size_t i = 0; i < XF_COUNT(texts); i++) {
        json_t *message = json_loads(texts[i], 0, NULL);
        assert_int_equal(xf_tally_add_json(&tally, message, &attempt, NULL), -1);
        json_decref(message);
    }
    assert_int_equal(tally.done[XF_JUDGE_GREEN], 0);
}

static void what_fades_counts_half(void **state)
{
    (void) state;
    xf_tally_done(&tally, XF_JUDGE_GREEN, 100);
    bad(XF_JUDGE_GREEN, "g1", "/once", 1);
    bad(XF_JUDGE_GREEN, "g1", "/often", 9);
    xf_tally_fade(&tally);
    const struct xf_blame *paths = &tally.streams[XF_STREAM_ERRORS].paths[XF_JUDGE_GREEN];
    assert_int_equal(tally.done[XF_JUDGE_GREEN], 50);
    assert_int_equal(paths->count, 1);
    assert_int_equal(paths->keys[0].bad, 4);
    assert_int_equal(paths->bad, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_blue_shows_on_a_path_is_no_excess_of_green, set_up),
        cmocka_unit_test_setup(few_errors_do_not_single_out_a_server, set_up),
        cmocka_unit_test_setup(the_sum_of_two_proxies_is_what_one_would_have_told, set_up),
        cmocka_unit_test_setup(a_message_may_be_anything, set_up),
        cmocka_unit_test_setup(what_fades_counts_half, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
