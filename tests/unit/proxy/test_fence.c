/*
 * test_fence.c -- what a cutover keeps clients from changing.
 */
#include "proxy/worker/fence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void globs_match_within_one_segment(void **state)
{
    (void) state;
    static const struct {
        const char *glob, *path;
        bool matches;
    } rows[] = {
        {"/schemas/*/validate", "/schemas/routes/validate", true},
        {"/schemas/*/validate", "/schemas/a/b/validate", false},
        {"/schemas/*/validate", "/schemas//validate", true},
        {"/schemas/*/validate", "/schemas/routes/validate/", false},
        {"/status", "/status", true},
        {"/status", "/statuses", false},
        {"/*", "/anything", true},
        {"/*", "/any/thing", false},
        {"/a*c*e", "/abcde", true},
        {"", "/", false},
        {"*", "", true},
    };
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        assert_int_equal(xf_fence_glob(rows[i].glob, rows[i].path, strlen(rows[i].path)),
                         rows[i].matches);
    }
}

static void listed_methods_are_refused_but_for_allowed_paths(void **state)
{
    (void) state;
    struct xf_route_record record = {.fence_methods = 1u << XF_METHOD_POST, .fence_paths_count = 1};
    (void) snprintf(record.fence_allow[0], sizeof(record.fence_allow[0]), "/schemas/*/validate");
    (void) snprintf(record.cutover, sizeof(record.cutover), "kong-3.1/7");
    assert_true(xf_fence_refuses(&record, XF_METHOD_POST, "/services", 9));
    assert_false(xf_fence_refuses(&record, XF_METHOD_GET, "/services", 9));
    assert_false(xf_fence_refuses(&record, XF_METHOD_POST, "/schemas/x/validate", 19));
    char text[XF_FENCE_TEXT_BYTES];
    xf_fence_text(&record, text);
    assert_non_null(strstr(text, "\"cutover\":\"kong-3.1/7\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_within_one_segment),
        cmocka_unit_test(listed_methods_are_refused_but_for_allowed_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
