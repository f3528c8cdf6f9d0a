/*
 * test_journal_receipts.c -- attempts to deliver a signal wait for their rows, in bounded memory.
 */
#include "shifter/journal/journal_receipts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void add(json_t *list, const char *service, unsigned attempt, const char *sentence)
{
    struct xf_journal_receipt receipt = {.service = service,
                                         .key = "web/1",
                                         .sequence = 1,
                                         .receiver = "webhook ops",
                                         .attempt = attempt,
                                         .sentence = sentence,
                                         .at_ms = 1234};
    assert_true(xf_journal_receipts_add(list, &receipt));
}

static void the_newest_are_kept_and_each_belongs_to_its_service(void **state)
{
    (void) state;
    json_t *list = json_array();
    for (unsigned i = 0; i < XF_JOURNAL_RECEIPTS_MAX + 10; i++) {
        add(list, i % 2 == 0 ? "a" : "b", i, "refused");
    }
    assert_int_equal(json_array_size(list), XF_JOURNAL_RECEIPTS_MAX);
    json_t *of_a = xf_journal_receipts_of(list, "a");
    assert_int_equal(json_array_size(of_a), XF_JOURNAL_RECEIPTS_MAX / 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(of_a, 0), "attempt")), 10);
    xf_journal_receipts_remove(list, of_a);
    assert_int_equal(json_array_size(list), XF_JOURNAL_RECEIPTS_MAX / 2);
    json_decref(of_a);
    of_a = xf_journal_receipts_of(list, "a");
    assert_int_equal(json_array_size(of_a), 0);
    json_decref(of_a);
    json_decref(list);
}

static void what_a_killed_leader_kept_is_taken_once(void **state)
{
    (void) state;
    json_t *first = json_array(), *second = json_array();
    add(first, "a", 1, "refused");
    add(first, "b", 1, "refused");
    json_t *kept = xf_journal_receipts_of(first, "a");
    xf_journal_receipts_recall(second, "a", kept);
    xf_journal_receipts_recall(second, "a", kept);
    assert_int_equal(json_array_size(second), 1);
    assert_true(json_equal(json_array_get(second, 0), json_array_get(first, 0)));
    json_decref(kept);
    json_decref(first);
    json_decref(second);
}

static void what_the_table_would_refuse_is_not_taken_from_the_store(void **state)
{
    (void) state;
    static const struct {
        const char *key, *json;
    } odd[] = {
        {"id", "\"x\""},
        {"id", "7"},
        {"service", "\"b\""},
        {"key", "null"},
        {"receiver", "[]"},
        {"sequence", "1.5"},
        {"attempt", "-1"},
        {"attempt", "4294967296"},
        {"accepted", "\"t\""},
        {"at_ms", "\"now\""},
        {"at_ms", "9223372036854775807"},
    };
    json_t *list = json_array(), *good = json_array();
    add(good, "a", 1, "refused");
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        json_t *bad = json_deep_copy(good);
        json_object_set_new(json_array_get(bad, 0), odd[i].key,
                            json_loads(odd[i].json, JSON_DECODE_ANY, NULL));
        xf_journal_receipts_recall(list, "a", bad);
        json_decref(bad);
    }
    xf_journal_receipts_recall(list, "a", NULL);
    json_t *text = json_string("none");
    xf_journal_receipts_recall(list, "a", text);
    assert_int_equal(json_array_size(list), 0);
    json_decref(text);
    json_decref(list);
    json_decref(good);
}

static void a_sentence_of_any_bytes_is_printable_text(void **state)
{
    (void) state;
    json_t *list = json_array();
    add(list, "a", 1, "exit 1: \xff\x1b[2J");
    const json_t *receipt = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(receipt, "sentence")), "exit 1: ??[2J");
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_are_kept_and_each_belongs_to_its_service),
        cmocka_unit_test(what_a_killed_leader_kept_is_taken_once),
        cmocka_unit_test(what_the_table_would_refuse_is_not_taken_from_the_store),
        cmocka_unit_test(a_sentence_of_any_bytes_is_printable_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
