/*
 * test_kong_version.c -- Kong's numbers and paths, against the table of its upgrade page.
 */
#include "shifter/gates/kong_version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct xf_kong_version version(const char *text)
{
    struct xf_kong_version read = {{0}};
    assert_true(xf_kong_version_parse(text, &read));
    return read;
}

static void versions_of_both_editions_are_read(void **state)
{
    (void) state;
    struct xf_kong_version read = version("3.8.0.0-enterprise-edition");
    assert_int_equal(read.part[0], 3);
    assert_int_equal(read.part[1], 8);
    assert_int_equal(read.part[3], 0);
    read = version("3.1.x");
    assert_int_equal(read.part[2], -1);
    static const char *const refused[] = {"", "x", "3.", "3.1.0.0.0", "v3", "3.1 ", "99999.1"};
    for (size_t i = 0; i < XF_COUNT(refused); i++) {
        assert_false(xf_kong_version_parse(refused[i], &read));
    }
}

static void paths_are_those_of_the_upgrade_page(void **state)
{
    (void) state;
    static const struct {
        const char *from, *to;
        enum xf_kong_topology topology;
        const char *path; /* hops joined by commas; "!": impossible */
    } rows[] = {
        {"2.5", "3.1", XF_KONG_TRADITIONAL, "2.8.2.x,3.0.x,3.1.x"},
        {"2.5", "3.1", XF_KONG_HYBRID, "2.8.2.x,3.0.x,3.1.x"},
        {"2.5", "3.1", XF_KONG_DBLESS, "3.0.x,3.1.x"},
        {"1.5", "3.1", XF_KONG_TRADITIONAL, "2.8.2.x,3.0.x,3.1.x"},
        {"2.8.2", "3.1", XF_KONG_TRADITIONAL, "3.0.x,3.1.x"},
        {"2.8.1", "3.0", XF_KONG_TRADITIONAL, "2.8.2.x,3.0.x"},
        {"2.8.2", "3.0", XF_KONG_TRADITIONAL, "3.0.x"},
        {"3.0.0", "3.1.0", XF_KONG_TRADITIONAL, "3.1.x"},
        {"3.0", "3.1", XF_KONG_HYBRID, "3.1.x"},
        {"3.0", "3.1", XF_KONG_DBLESS, "3.1.x"},
        {"3.0", "3.2", XF_KONG_TRADITIONAL, "3.1.x,3.2.x"},
        {"3.0", "3.2", XF_KONG_HYBRID, "3.1.1.3,3.2.x"},
        {"3.1.0.0", "3.2", XF_KONG_HYBRID, "3.1.1.3,3.2.x"},
        {"3.1.1.3", "3.2", XF_KONG_HYBRID, "3.2.x"},
        {"3.1.0", "3.2", XF_KONG_TRADITIONAL, "3.2.x"},
        {"3.1.0", "3.1.1", XF_KONG_TRADITIONAL, "3.1.x"},
        {"3.1", "3.0", XF_KONG_TRADITIONAL, "!"},
        {"3.1.2", "3.1.1", XF_KONG_TRADITIONAL, "!"},
        {"3.1", "4.0", XF_KONG_TRADITIONAL, "!"},
        {"3.3", "3.5", XF_KONG_TRADITIONAL, "3.4.x,3.5.x"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_kong_version from = version(rows[i].from);
        struct xf_kong_version to = version(rows[i].to);
        struct xf_kong_path path;
        char joined[256] = "";
        xf_kong_path_find(&from, &to, rows[i].topology, &path);
        for (unsigned j = 0; j < path.hops_count && path.possible; j++) {
            size_t used = strlen(joined);
            snprintf(joined + used, sizeof(joined) - used, "%s%s", j == 0 ? "" : ",", path.hops[j]);
        }
        assert_string_equal(path.possible ? joined : "!", rows[i].path);
        assert_int_equal(path.direct, path.possible && strchr(joined, ',') == NULL);
        assert_true(path.possible || path.notes_count > 0);
    }
}

static void notes_name_the_traps_of_a_path(void **state)
{
    (void) state;
    static const struct {
        const char *from, *to;
        enum xf_kong_topology topology;
        const char *part; /* of one of its notes */
    } rows[] = {
        {"2.5", "3.1", XF_KONG_TRADITIONAL, "blue-green only"},
        {"2.8.2", "3.0", XF_KONG_TRADITIONAL, "rewrites routes.paths"},
        {"2.8.2", "3.1", XF_KONG_HYBRID, "2.8 data planes cannot follow"},
        {"3.0", "3.1", XF_KONG_HYBRID, "never syncs again"},
        {"3.1.0", "3.1.1", XF_KONG_HYBRID, "serve only the new protocol"},
        {"3.1.1.2", "3.2", XF_KONG_HYBRID, "another protocol than 3.2"},
        {"3.1", "3.0", XF_KONG_DBLESS, "cannot be downgraded"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_kong_version from = version(rows[i].from);
        struct xf_kong_version to = version(rows[i].to);
        struct xf_kong_path path;
        bool found = false;
        xf_kong_path_find(&from, &to, rows[i].topology, &path);
        for (unsigned j = 0; j < path.notes_count; j++) {
            found = found || strstr(path.notes[j], rows[i].part) != NULL;
        }
        assert_true(found);
    }
}

static void each_version_knows_its_core_migrations(void **state)
{
    (void) state;
    struct xf_kong_version v30 = version("3.0.0");
    struct xf_kong_version v31 = version("3.1.0.0");
    assert_string_equal(xf_kong_core_migrations[xf_kong_core_count(&v30) - 1], "016_280_to_300");
    assert_string_equal(xf_kong_core_migrations[xf_kong_core_count(&v31) - 1], "017_300_to_310");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_of_both_editions_are_read),
        cmocka_unit_test(paths_are_those_of_the_upgrade_page),
        cmocka_unit_test(notes_name_the_traps_of_a_path),
        cmocka_unit_test(each_version_knows_its_core_migrations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
