/*
 * test_journal_rows.c -- entries of the log as rows; migrations in order.
 */
#include "shifter/journal/journal_rows.h"
#include "shifter/journal/journal_schema.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "0d1f5a8e-6c2b-4f0e-9d3a-1b2c3d4e5f60"

static bool stands_now(void *context, const json_t *signal)
{
    assert_non_null(json_object_get(signal, "key"));
    return *(bool *) context;
}

static json_t *rows_of(const struct xf_store_entry *entries, size_t count, bool stands,
                       size_t *ret_used)
{
    char *text = xf_journal_rows_make(entries, count, 1234, stands_now, &stands, ret_used);
    assert_non_null(text);
    json_t *rows = json_loads(text, 0, NULL);
    free(text);
    assert_true(json_is_array(rows));
    return rows;
}

static void an_entry_becomes_a_row_with_its_place_time_and_epoch(void **state)
{
    (void) state;
    struct xf_store_entry entry = {
        7, 3, ID, "{\"at\":\"2026-11-22T10:00:00.500Z\",\"epoch\":4,\"actor\":\"a\\\"b\"}"};
    size_t used = 0;
    json_t *rows = rows_of(&entry, 1, true, &used);
    const json_t *row = json_array_get(rows, 0);
    assert_int_equal(used, 1);
    assert_string_equal(json_string_value(json_object_get(row, "write_id")), ID);
    assert_int_equal(json_integer_value(json_object_get(row, "epoch")), 4);
    assert_int_equal(json_integer_value(json_object_get(row, "generation")), 7);
    assert_int_equal(json_integer_value(json_object_get(row, "revision")), 3);
    assert_int_equal(json_integer_value(json_object_get(row, "at_ms")) % 86400000, 36000500);
    assert_true(json_is_null(json_object_get(row, "announce")));
    const json_t *kept = json_object_get(row, "entry");
    assert_string_equal(json_string_value(json_object_get(kept, "actor")), "a\"b");
    json_decref(rows);
}

static void what_the_table_would_refuse_never_reaches_it(void **state)
{
    (void) state;
    struct xf_store_entry entries[] = {
        {1, 0, ID, "no json"},
        {2, 0, "not-an-id", "{}"},
        {3, 0, ID, "{\"verdict\":{\"measured\":\"x\",\"limit\":1,\"samples_blue\":1.5}}"},
    };
    size_t used = 0;
    json_t *rows = rows_of(entries, XF_COUNT(entries), true, &used);
    assert_int_equal(used, 3);
    assert_int_equal(json_array_size(rows), 2);
    const json_t *odd = json_object_get(json_array_get(rows, 0), "entry");
    assert_string_equal(json_string_value(json_object_get(odd, "verb")), "unreadable");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "at_ms")), 1234);
    const json_t *verdict =
        json_object_get(json_object_get(json_array_get(rows, 1), "entry"), "verdict");
    assert_null(json_object_get(verdict, "measured"));
    assert_null(json_object_get(verdict, "samples_blue"));
    assert_non_null(json_object_get(verdict, "limit"));
    json_decref(rows);
}

static void a_signal_is_announced_only_while_it_stands(void **state)
{
    (void) state;
    struct xf_store_entry entry = {1, 0, ID, "{\"signal\":{\"key\":\"web/1\",\"sequence\":1}}"};
    for (int stands = 0; stands < 2; stands++) {
        size_t used = 0;
        json_t *rows = rows_of(&entry, 1, stands == 1, &used);
        const json_t *announce = json_object_get(json_array_get(rows, 0), "announce");
        assert_int_equal(json_is_string(announce), stands);
        json_decref(rows);
    }
}

static void a_batch_is_bounded_and_holds_at_least_one_entry(void **state)
{
    (void) state;
    enum { COUNT = XF_JOURNAL_ROWS_MAX + 5 };
    static struct xf_store_entry entries[COUNT];
    static char large[XF_JOURNAL_BATCH_BYTES_MAX];
    for (size_t i = 0; i < COUNT; i++) {
        entries[i] = (struct xf_store_entry){i + 1, 0, ID, "{}"};
    }
    size_t used = 0;
    json_decref(rows_of(entries, COUNT, true, &used));
    assert_int_equal(used, XF_JOURNAL_ROWS_MAX);
    memset(large, ' ', sizeof(large) - 1);
    memcpy(large, "{}", 2);
    entries[0].entry = large;
    entries[1].entry = large;
    json_decref(rows_of(entries, COUNT, true, &used));
    assert_int_equal(used, 1);
}

static void migrations_are_numbered_without_a_gap_up_to_what_is_known(void **state)
{
    (void) state;
    int number = 0;
    for (const struct xf_journal_migration *m = xf_journal_migrations; m->number != 0; m++) {
        assert_int_equal(m->number, ++number);
        assert_null(strchr(m->name, '\''));
        assert_non_null(m->sql);
    }
    assert_int_equal(number, XF_JOURNAL_SCHEMA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_becomes_a_row_with_its_place_time_and_epoch),
        cmocka_unit_test(what_the_table_would_refuse_never_reaches_it),
        cmocka_unit_test(a_signal_is_announced_only_while_it_stands),
        cmocka_unit_test(a_batch_is_bounded_and_holds_at_least_one_entry),
        cmocka_unit_test(migrations_are_numbered_without_a_gap_up_to_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
