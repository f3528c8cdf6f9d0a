/*
 * test_document.c -- the document survives the store, and a damaged one does not get in.
 */
#include "shifter/plan/document.h"

#include "config/base/check.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char plan_text[] = "name: v2\nservice: web\nto: web-v2\nsteps:\n"
                                "  - {weight: 10%, hold: 1m}\n  - {weight: 100%, hold: 1m}\n";

static struct xf_document *running_document(void)
{
    struct xf_document *document = xf_document_create("web", "web-v1");
    struct xf_problems problems;
    assert_int_equal(xf_plan_parse("p", plan_text, strlen(plan_text), &document->plan, &problems),
                     0);
    xf_problems_release(&problems);
    document->state = XF_CUTOVER_SHIFTING;
    strcpy(document->from, "web-v1");
    strcpy(document->to, "web-v2");
    strcpy(document->cutover, "v2/3");
    document->attempts = 3;
    document->step = 0;
    document->weight = 1000;
    document->seed = 0xfedcba9876543210ull;
    document->holds[XF_HOLD_OPERATOR] =
        (struct xf_hold_entry){true, 5, "paused by a@b", "a@b", "resume"};
    strcpy(document->pauses[0].by, "a@b");
    document->pauses_count = 1;
    document->last_verdict_json = strdup("{\"rule\":\"errors\"}");
    document->members_json = strdup("[[\"00000000-0000-4000-8000-000000000001\",\"edge-1\"]]");
    return document;
}

static void every_field_comes_back(void **state)
{
    (void) state;
    struct xf_document *document = running_document();
    for (unsigned i = 0; i < 300; i++) { /* more than are kept: the oldest fall out */
        struct xf_request_seen *seen = &document->requests[document->requests_next];
        snprintf(seen->id, sizeof(seen->id), "r%u", i);
        seen->exit_code = (int) i % 3;
        document->requests_next = (document->requests_next + 1) % XF_REQUEST_IDS_KEPT;
        document->requests_count += document->requests_count < XF_REQUEST_IDS_KEPT;
    }
    char *text = xf_document_write(document);
    assert_non_null(text);
    struct xf_document *read = NULL;
    struct xf_error err;
    if (xf_document_read(text, &read, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(read->seed, document->seed);
    assert_int_equal(read->weight, 1000);
    assert_string_equal(read->plan->json, document->plan->json);
    assert_true(read->holds[XF_HOLD_OPERATOR].on);
    assert_string_equal(read->pauses[0].by, "a@b");
    assert_string_equal(read->members_json, document->members_json);
    assert_int_equal(read->requests_count, XF_REQUEST_IDS_KEPT);
    assert_string_equal(read->requests[0].id, "r44");
    char *again = xf_document_write(read);
    assert_string_equal(text, again);
    struct xf_document *copy = xf_document_copy(read);
    char *third = xf_document_write(copy);
    assert_string_equal(text, third);
    free(text);
    free(again);
    free(third);
    xf_document_destroy(document);
    xf_document_destroy(read);
    xf_document_destroy(copy);
}

static void the_first_document_is_idle_on_the_live_cluster(void **state)
{
    (void) state;
    struct xf_document *document = xf_document_create("web", "web-v1");
    char *text = xf_document_write(document);
    struct xf_document *read = NULL;
    assert_int_equal(xf_document_read(text, &read, NULL), 0);
    assert_int_equal(read->state, XF_CUTOVER_IDLE);
    assert_int_equal(read->step, -1);
    assert_string_equal(read->live, "web-v1");
    assert_false(xf_document_held(read));
    free(text);
    xf_document_destroy(read);
    xf_document_destroy(document);
}

/* Sets one member of a good document to a bad value. */
static void a_bad_field_is_refused_and_named(void **state)
{
    (void) state;
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"schema", "2"},
        {"state", "\"held\""},
        {"state", "\"idle\""},
        {"state", "\"draining\""}, /* at 10 % */
        {"service", "\"a\\r\\nX: y\""},
        {"live", "\"\""},
        {"to", "\"web-v1\""},
        {"weight", "10001"},
        {"weight", "-1"},
        {"weight", "12.5"},
        {"weight", "\"5%\""},
        {"seed", "\"xyz\""},
        {"step", "2"},
        {"step", "-2"},
        {"plan", "null"},
        {"plan", "{\"name\": \"x\"}"},
        {"holds", "{\"sleepy\": {}}"},
        {"holds", "{}"}, /* with a pause */
        {"signal", "{\"key\":\"\",\"sequence\":3,\"at_ms\":0,\"accepted_at_ms\":0}"},
        {"requests", "[[1,2,3]]"},
        {"attempts", "null"},
        {"approved", "1"},
    };
    struct xf_document *document = running_document();
    char *text = xf_document_write(document);
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        json_t *root = json_loads(text, 0, NULL);
        json_t *value = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        json_object_set_new(root, rows[i].key, value);
        char *bad = json_dumps(root, 0);
        struct xf_document *read = NULL;
        struct xf_error err = {0};
        if (xf_document_read(bad, &read, &err) == 0) {
            fail_msg("%s: %s was accepted", rows[i].key, rows[i].value);
        }
        assert_true(strlen(err.message) > 0);
        free(bad);
        json_decref(root);
    }
    free(text);
    xf_document_destroy(document);
}

/* Cut anywhere, or with a byte changed, it is read or refused, never more. */
static void damage_never_gets_past_the_reader(void **state)
{
    (void) state;
    struct xf_document *document = running_document();
    char *text = xf_document_write(document);
    size_t length = strlen(text);
    char *bad = malloc(length + 1);
    unsigned random = 12345;
    for (unsigned i = 0; i < 4000; i++) {
        memcpy(bad, text, length + 1);
        random = random * 1103515245u + 12345u;
        size_t at = (random >> 8) % length;
        if (i % 2 == 0) {
            bad[at] = '\0';
        } else {
            bad[at] = (char) (random >> 3 & 0x7f);
        }
        struct xf_document *read = NULL;
        if (xf_document_read(bad, &read, NULL) == 0) {
            assert_true(read->weight <= XF_WEIGHT_FULL);
            xf_document_destroy(read);
        }
    }
    free(bad);
    free(text);
    xf_document_destroy(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(the_first_document_is_idle_on_the_live_cluster),
        cmocka_unit_test(a_bad_field_is_refused_and_named),
        cmocka_unit_test(damage_never_gets_past_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
