/*
 * test_admin_table.c -- the table of requests, and openapi.json held against it both ways.
 */
#include "shifter/admin/admin_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static json_t *document;

static int load_document(void **state)
{
    (void) state;
    json_error_t where;
    document = json_load_file(XF_TEST_TREE "/shifter/openapi.json", JSON_REJECT_DUPLICATES, &where);
    if (document == NULL) {
        fail_msg("openapi.json:%d: %s", where.line, where.text);
    }
    return 0;
}

static int drop_document(void **state)
{
    (void) state;
    json_decref(document);
    return 0;
}

static const char *word_of(enum xf_http_method method)
{
    return method == XF_METHOD_GET ? "get" : "post";
}

static json_t *operation_of(const struct xf_admin_entry *entry)
{
    json_t *paths = json_object_get(document, "paths");
    return json_object_get(json_object_get(paths, entry->path), word_of(entry->method));
}

/* What a `$ref` means, or the value itself. */
static const json_t *followed(const json_t *value)
{
    const char *path = json_string_value(json_object_get(value, "$ref"));
    if (path == NULL) {
        return value;
    }
    char copy[128], *rest = NULL;
    (void) snprintf(copy, sizeof(copy), "%s", path);
    const json_t *place = document;
    assert_string_equal(strtok_r(copy, "/", &rest), "#");
    for (char *word; (word = strtok_r(NULL, "/", &rest)) != NULL;) {
        place = json_object_get(place, word);
    }
    if (place == NULL) {
        fail_msg("%s leads nowhere", path);
    }
    return place;
}

static bool has_parameter(const json_t *operation, const char *name, const char *in)
{
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(operation, "parameters"), i, each)
    {
        const json_t *parameter = followed(each);
        if (strcmp(json_string_value(json_object_get(parameter, "name")), name) == 0 &&
            strcmp(json_string_value(json_object_get(parameter, "in")), in) == 0) {
            return true;
        }
    }
    return false;
}

static void every_request_is_described_with_its_role(void **state)
{
    (void) state;
    for (const struct xf_admin_entry *entry = xf_admin_table; entry->path != NULL; entry++) {
        const json_t *operation = operation_of(entry);
        const char *role = json_string_value(json_object_get(operation, "x-crossfade-role"));
        if (operation == NULL) {
            fail_msg("%s %s is not described", word_of(entry->method), entry->path);
        }
        assert_string_equal(role != NULL ? role : "nobody", xf_admin_role_name(entry->role));
        assert_int_equal(json_object_get(operation, "security") != NULL,
                         entry->open == XF_ADMIN_OPEN || entry->open == XF_ADMIN_OPEN_PAGE);
    }
}

static void every_described_path_is_there(void **state)
{
    (void) state;
    const char *path, *method;
    json_t *methods, *operation;
    unsigned described = 0, there = 0;
    json_object_foreach(json_object_get(document, "paths"), path, methods)
    {
        json_object_foreach(methods, method, operation)
        {
            bool found = false;
            for (const struct xf_admin_entry *entry = xf_admin_table; entry->path != NULL;
                 entry++) {
                found = found || (strcmp(entry->path, path) == 0 &&
                                  strcmp(word_of(entry->method), method) == 0);
            }
            if (!found) {
                fail_msg("%s %s is described and not there", method, path);
            }
            described++;
        }
    }
    while (xf_admin_table[there].path != NULL) {
        there++;
    }
    assert_int_equal(described, there);
}

/* The names in braces are parameters of the path, and there are no others. */
static void parameters_of_paths_are_the_names_in_braces(void **state)
{
    (void) state;
    for (const struct xf_admin_entry *entry = xf_admin_table; entry->path != NULL; entry++) {
        const json_t *operation = operation_of(entry);
        unsigned in_path = 0, described = 0;
        char name[64];
        for (const char *brace = strchr(entry->path, '{'); brace != NULL;
             brace = strchr(brace + 1, '{')) {
            (void) snprintf(name, sizeof(name), "%.*s", (int) strcspn(brace + 1, "}"), brace + 1);
            in_path++;
            if (!has_parameter(operation, name, "path")) {
                fail_msg("%s: {%s} is not described", entry->path, name);
            }
        }
        size_t i;
        json_t *each;
        json_array_foreach(json_object_get(operation, "parameters"), i, each)
        {
            const char *in = json_string_value(json_object_get(followed(each), "in"));
            described += strcmp(in, "path") == 0;
        }
        assert_int_equal(described, in_path);
        assert_int_equal(has_parameter(operation, "Idempotency-Key", "header"),
                         entry->kind == XF_ADMIN_VERB);
    }
}

static bool answers(const json_t *operation, const char *status)
{
    return json_object_get(json_object_get(operation, "responses"), status) != NULL;
}

static void the_answers_that_may_come_are_described(void **state)
{
    (void) state;
    static const char *const of_verbs[] = {"400", "404", "409", "422", "500", "503", "504"};
    for (const struct xf_admin_entry *entry = xf_admin_table; entry->path != NULL; entry++) {
        const json_t *operation = operation_of(entry);
        const char *status;
        json_t *response;
        bool page = entry->open == XF_ADMIN_OPEN_PAGE;
        bool closed = entry->open != XF_ADMIN_OPEN && !page;
        assert_true(answers(operation, "200") || answers(operation, "202"));
        assert_int_equal(answers(operation, "401"), closed);
        assert_int_equal(answers(operation, "403"), closed || page);
        assert_int_equal(answers(operation, "429"), closed);
        for (size_t i = 0; entry->kind == XF_ADMIN_VERB && i < XF_COUNT(of_verbs); i++) {
            assert_true(answers(operation, of_verbs[i]));
        }
        json_object_foreach(json_object_get(operation, "responses"), status, response)
        {
            assert_non_null(json_object_get(followed(response), "description"));
        }
    }
}

static void a_request_finds_its_entry_and_a_wrong_method_is_told(void **state)
{
    (void) state;
    static const struct {
        enum xf_http_method method;
        struct xf_admin_path path;
        const char *entry, *methods;
    } rows[] = {
        {XF_METHOD_GET, {{""}, 1}, "/", NULL},
        {XF_METHOD_POST, {{""}, 1}, NULL, "GET, HEAD"},
        {XF_METHOD_HEAD, {{"dashboard", "api.js"}, 2}, "/dashboard/{file}", NULL},
        {XF_METHOD_GET, {{"", ""}, 2}, NULL, NULL},
        {XF_METHOD_GET, {{"healthz"}, 1}, "/healthz", NULL},
        {XF_METHOD_HEAD, {{"metrics"}, 1}, "/metrics", NULL},
        {XF_METHOD_POST, {{"metrics"}, 1}, NULL, "GET, HEAD"},
        {XF_METHOD_GET,
         {{"v1", "services", "a", "signal", "k/1"}, 5},
         "/v1/services/{service}/signal/{key}",
         NULL},
        {XF_METHOD_GET, {{"v1", "services", "a", "signal"}, 4}, NULL, NULL},
        {XF_METHOD_GET, {{"v1", "services", "", "status"}, 4}, NULL, NULL},
        {XF_METHOD_GET, {{"v1", "services", "a", "pause"}, 4}, NULL, "POST"},
        {XF_METHOD_DELETE, {{"v1", "services", "a", "pause"}, 4}, NULL, "POST"},
        {XF_METHOD_POST, {{"v1", "services", "a", "pauses"}, 4}, NULL, NULL},
        {XF_METHOD_PUT, {{"v1", "reexec"}, 2}, NULL, "GET, HEAD, POST"},
        {XF_METHOD_GET, {{"{service}"}, 1}, NULL, NULL},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        const char *methods;
        const struct xf_admin_entry *entry =
            xf_admin_table_find(rows[i].method, &rows[i].path, &methods);
        if ((entry == NULL) != (rows[i].entry == NULL) ||
            (entry != NULL && strcmp(entry->path, rows[i].entry) != 0)) {
            fail_msg("row %zu: %s", i, entry != NULL ? entry->path : "nothing");
        }
        if (entry == NULL && rows[i].methods == NULL) {
            assert_null(methods);
        } else if (entry == NULL) {
            assert_string_equal(methods, rows[i].methods);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_is_described_with_its_role),
        cmocka_unit_test(every_described_path_is_there),
        cmocka_unit_test(parameters_of_paths_are_the_names_in_braces),
        cmocka_unit_test(the_answers_that_may_come_are_described),
        cmocka_unit_test(a_request_finds_its_entry_and_a_wrong_method_is_told),
    };
    return cmocka_run_group_tests(tests, load_document, drop_document);
}
