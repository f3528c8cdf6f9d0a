/*
 * test_judge_blame.c -- the server and the path that carry the errors are named.
 */
#include "shifter/judge/judge_blame.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t chance;

static unsigned draw(unsigned below)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned) (chance >> 33) % below;
}

static void add(struct xf_blame *blame, const char *text, bool bad)
{
    xf_blame_add(blame, text, strlen(text), 1, bad);
}

static void the_one_bad_server_is_named(void **state)
{
    (void) state;
    for (unsigned round = 0; round < 50; round++) {
        struct xf_blame servers;
        struct xf_blame paths;
        char phrase[XF_SENTENCE_BYTES];
        char text[32];
        unsigned culprit = draw(5);
        xf_blame_init(&servers);
        xf_blame_init(&paths);
        for (unsigned i = 0; i < 2000; i++) {
            unsigned server = draw(5);
            bool bad = draw(100) < (server == culprit ? 30 : 1);
            snprintf(text, sizeof(text), "10.0.1.%u:8000", server);
            add(&servers, text, bad);
            snprintf(text, sizeof(text), "/p%u", draw(10));
            add(&paths, text, bad);
        }
        xf_blame_phrase(&servers, &paths, 0.01, phrase);
        snprintf(text, sizeof(text), "mostly server 10.0.1.%u:8000 (", culprit);
        if (strstr(phrase, text) != phrase || strstr(phrase, "; paths /p") == NULL) {
            fail_msg("%u: %s", culprit, phrase);
        }
    }
}

static void the_one_bad_path_is_named_among_many(void **state)
{
    (void) state;
    for (unsigned round = 0; round < 50; round++) {
        struct xf_blame servers;
        struct xf_blame paths;
        char phrase[XF_SENTENCE_BYTES];
        char text[32];
        unsigned culprit = draw(40);
        xf_blame_init(&servers);
        xf_blame_init(&paths);
        for (unsigned i = 0; i < 20000; i++) {
            unsigned path = draw(40);
            unsigned one_off = draw(1000000);
            bool bad = path == culprit ? draw(100) < 50 : draw(1000) < 2;
            snprintf(text, sizeof(text), "10.0.1.%u:8000", draw(3));
            add(&servers, text, bad);
            snprintf(text, sizeof(text), path == culprit ? "/v1/p%u" : "/v1/p%u-%u", path, one_off);
            add(&paths, text, bad); /* others come once: more keys than the sketch has */
        }
        assert_true(paths.count <= XF_BLAME_KEYS);
        xf_blame_phrase(&servers, &paths, 0.002, phrase);
        snprintf(text, sizeof(text), "mostly path /v1/p%u (", culprit);
        if (strstr(phrase, text) == NULL || strstr(phrase, "servers 10.0.1.") != phrase) {
            fail_msg("%u: %s", culprit, phrase);
        }
    }
}

static void at_most_five_are_told_the_largest_first(void **state)
{
    (void) state;
    struct xf_blame blame;
    struct xf_blame_item items[XF_BLAME_TOP];
    xf_blame_init(&blame);
    for (unsigned i = 0; i < 10; i++) {
        char text[8];
        snprintf(text, sizeof(text), "s%u", i);
        xf_blame_add(&blame, text, strlen(text), 100, 10 + i);
    }
    assert_int_equal(xf_blame_top(&blame, 0.01, items), XF_BLAME_TOP);
    for (unsigned i = 0; i < XF_BLAME_TOP; i++) {
        assert_int_equal(items[i].bad, 19 - i);
    }
    assert_int_equal(xf_blame_top(&blame, 0.5, items), 0);
}

static void nothing_is_named_without_excess(void **state)
{
    (void) state;
    struct xf_blame servers;
    struct xf_blame paths;
    char phrase[XF_SENTENCE_BYTES] = "x";
    xf_blame_init(&servers);
    xf_blame_init(&paths);
    xf_blame_phrase(&servers, &paths, 0, phrase);
    assert_string_equal(phrase, "");
    xf_blame_add(&servers, "a", 1, 1000, 10);
    xf_blame_add(&paths, "/", 1, 1000, 10);
    xf_blame_phrase(&servers, &paths, 0.02, phrase);
    assert_string_equal(phrase, "");
}

static void sums_over_proxies_keep_totals(void **state)
{
    (void) state;
    struct xf_blame fleet;
    struct xf_blame proxy;
    struct xf_blame_item items[XF_BLAME_TOP];
    xf_blame_init(&fleet);
    for (unsigned i = 0; i < 3; i++) {
        xf_blame_init(&proxy);
        xf_blame_add(&proxy, "a", 1, 100, 5);
        xf_blame_add(&proxy, "b", 1, 100, 0);
        xf_blame_merge(&fleet, &proxy);
    }
    assert_int_equal(fleet.done, 600);
    assert_int_equal(fleet.bad, 15);
    assert_int_equal(xf_blame_top(&fleet, 0, items), 1);
    assert_int_equal(items[0].bad, 15);
}

static void paths_are_short_printable_and_without_identifiers(void **state)
{
    (void) state;
    static const struct {
        const char *target;
        const char *key;
    } rows[] = {
        {"/", "/"},
        {"", ""},
        {"/users/1234/orders?page=2", "/users/*/orders"},
        {"/a/550e8400-e29b-41d4-a716-446655440000", "/a/*"},
        {"/deadbeef/x#y", "/deadbeef/x"},
        {"//x//", "//x//"},
        {"/?q=/1", "/"},
    };
    char out[XF_BLAME_TEXT_BYTES];
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        size_t length = xf_blame_path(rows[i].target, strlen(rows[i].target), out);
        assert_string_equal(out, rows[i].key);
        assert_int_equal(length, strlen(rows[i].key));
    }
    char target[5000];
    memset(target, 'x', sizeof(target));
    assert_int_equal(xf_blame_path(target, sizeof(target), out), XF_BLAME_TEXT_BYTES - 1);
    struct xf_blame blame;
    xf_blame_init(&blame);
    xf_blame_add(&blame, "/\x1b[31m\n\xff", 8, 1, 1);
    assert_string_equal(blame.keys[0].text, "/?[31m??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_bad_server_is_named),
        cmocka_unit_test(the_one_bad_path_is_named_among_many),
        cmocka_unit_test(at_most_five_are_told_the_largest_first),
        cmocka_unit_test(nothing_is_named_without_excess),
        cmocka_unit_test(sums_over_proxies_keep_totals),
        cmocka_unit_test(paths_are_short_printable_and_without_identifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
