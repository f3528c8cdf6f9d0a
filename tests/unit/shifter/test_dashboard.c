/*
 * test_dashboard.c -- the files of the dashboard in the program, and who has one already.
 */
#include "shifter/dashboard/dashboard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct xf_dashboard_file *find(const char *path, size_t length)
{
    for (const struct xf_dashboard_file *file = xf_dashboard_files; file->path != NULL; file++) {
        if (strlen(file->path) == length && strncmp(file->path, path, length) == 0) {
            return file;
        }
    }
    return NULL;
}

static void every_file_has_a_type_a_tag_and_a_content_of_its_own(void **state)
{
    (void) state;
    for (const struct xf_dashboard_file *file = xf_dashboard_files; file->path != NULL; file++) {
        assert_true(file->length > 0);
        assert_true(strlen(file->type) > 0);
        assert_int_equal(strlen(file->etag), 34);
        assert_int_equal(file->etag[0], '"');
        assert_int_equal(file->etag[33], '"');
        for (const struct xf_dashboard_file *other = xf_dashboard_files; other != file; other++) {
            assert_string_not_equal(other->path, file->path);
            assert_string_not_equal(other->etag, file->etag);
        }
    }
}

/* Each `"/...` or `"./...` of a page or script names a file of the dashboard, or the API. */
static void what_the_files_name_is_there(void **state)
{
    (void) state;
    unsigned named = 0;
    assert_non_null(find("/", 1));
    for (const struct xf_dashboard_file *file = xf_dashboard_files; file->path != NULL; file++) {
        char *text = malloc(file->length + 1), wanted[256];
        assert_non_null(text);
        memcpy(text, file->bytes, file->length);
        text[file->length] = '\0';
        for (char *at = strchr(text, '"'); at != NULL; at = strchr(at + 1, '"')) {
            const char *begin = at[1] == '.' ? at + 2 : at + 1;
            size_t length = strcspn(begin, "\"\n");
            const char *folder =
                at[1] == '.' && strncmp(file->path, "/dashboard/", 11) == 0 ? "/dashboard" : "";
            bool script = length > 3 && (strncmp(begin + length - 3, ".js", 3) == 0 ||
                                         strncmp(begin + length - 3, "css", 3) == 0 ||
                                         strncmp(begin + length - 3, "svg", 3) == 0);
            if (begin[0] != '/' || !script) {
                continue;
            }
            (void) snprintf(wanted, sizeof(wanted), "%s%.*s", folder, (int) length, begin);
            if (find(wanted, strlen(wanted)) == NULL) {
                fail_msg("%s names %s, which is not there", file->path, wanted);
            }
            named++;
        }
        free(text);
    }
    assert_true(named > 10);
}

static void who_has_a_file_names_its_tag_with_the_quotes(void **state)
{
    (void) state;
    static const struct {
        const char *field;
        bool has;
    } rows[] = {
        {"\"ab\"", true},    {"W/\"ab\"", true}, {"\"x\", \"ab\"", true}, {"*", true},
        {"", false},         {"ab", false},      {"\"abc\"", false},      {"\"xab\"", false},
        {"\"a\"b\"", false}, {"**", false},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        if (xf_dashboard_has(rows[i].field, "\"ab\"") != rows[i].has) {
            fail_msg("%s", rows[i].field);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_has_a_type_a_tag_and_a_content_of_its_own),
        cmocka_unit_test(what_the_files_name_is_there),
        cmocka_unit_test(who_has_a_file_names_its_tag_with_the_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
