/*
 * test_tenure_blame.c -- whom a fleet blames: the newest word of every proxy, of this attempt.
 */
#include "shifter/judge/judge_tally.h"
#include "shifter/controller/tenure_parts.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct xf_tenure tenure;
static struct xf_config config;
static struct xf_config_cluster clusters[2];

static int set_up(void **state)
{
    (void) state;
    memset(&tenure, 0, sizeof(tenure));
    clusters[0] = (struct xf_config_cluster){.name = (char *) "v1", .servers_count = 1};
    clusters[1] = (struct xf_config_cluster){.name = (char *) "v2", .servers_count = 3};
    config.clusters = clusters;
    config.clusters_count = 2;
    tenure.magic = XF_TENURE_MAGIC;
    tenure.options.config = &config;
    tenure.document = xf_document_create("gateway", "v1");
    assert_non_null(tenure.document);
    snprintf(tenure.document->to, sizeof(tenure.document->to), "v2");
    tenure.document->verdict_attempt = 2;
    tenure.judging = true;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    xf_tenure_blame_drop(&tenure);
    xf_document_destroy(tenure.document);
    return 0;
}

/* A proxy says: of 1,000 green responses so many of `server` failed, on `path`. */
static void tell(const char *proxy, unsigned attempt, enum xf_judge_stream stream,
                 const char *server, const char *path, unsigned bad)
{
    struct xf_tally tally;
    xf_tally_init(&tally);
    xf_tally_done(&tally, XF_JUDGE_BLUE, 9000);
    xf_tally_done(&tally, XF_JUDGE_GREEN, 1000);
    for (unsigned i = 0; i < bad; i++) {
        xf_tally_bad(&tally, stream, XF_JUDGE_GREEN, server, path, strlen(path));
    }
    struct xf_message_samples samples = {.blame = xf_tally_json(&tally, attempt)};
    snprintf(samples.proxy.id, sizeof(samples.proxy.id), "%s", proxy);
    assert_non_null(samples.blame);
    xf_tenure_blame_take(&tenure, &samples);
    json_decref(samples.blame);
}

static json_int_t bad_of(const json_t *told, const char *list, const char *key, const char *name)
{
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(told, list), i, each)
    {
        if (strcmp(json_string_value(json_object_get(each, key)), name) == 0) {
            return json_integer_value(json_object_get(each, "bad"));
        }
    }
    return 0;
}

static void the_newest_word_of_every_proxy_is_summed(void **state)
{
    (void) state;
    assert_null(xf_tenure_blame(&tenure));
    tell("one", 2, XF_STREAM_ERRORS, "10.0.0.7:80", "/pay", 5);
    tell("one", 2, XF_STREAM_ERRORS, "10.0.0.7:80", "/pay", 30); /* it sends all it has each time */
    tell("two", 2, XF_STREAM_ERRORS, "10.0.0.7:80", "/pay", 12);
    json_t *told = xf_tenure_blame(&tenure);
    assert_non_null(told);
    assert_int_equal(json_integer_value(json_object_get(told, "bad")), 42);
    assert_int_equal(bad_of(told, "servers", "server", "10.0.0.7:80"), 42);
    assert_int_equal(bad_of(told, "paths", "path", "/pay"), 42);
    const char *sentence = json_string_value(json_object_get(told, "sentence"));
    assert_non_null(strstr(sentence, "server 10.0.0.7:80"));
    assert_non_null(strstr(sentence, "path /pay"));
    json_decref(told);
}

static void words_of_another_attempt_or_of_nobody_count_nothing(void **state)
{
    (void) state;
    tell("one", 1, XF_STREAM_ERRORS, "a:1", "/old", 50);
    tell("one", 3, XF_STREAM_ERRORS, "a:1", "/future", 50);
    assert_null(xf_tenure_blame(&tenure));
    static const char *const nonsense[] = {"5", "{}", "{\"attempt\": 2, \"done\": [1]}",
                                           "{\"attempt\": 2, \"done\": [1, 2], \"errors\": 7}",
                                           "{\"attempt\": 2, \"done\": [-1, 2]}"};
    for (size_t i = 0; i < XF_COUNT(nonsense); i++) {
        struct xf_message_samples samples = {.proxy = {.id = "evil"}};
        samples.blame = json_loads(nonsense[i], JSON_DECODE_ANY, NULL);
        xf_tenure_blame_take(&tenure, &samples);
        json_decref(samples.blame);
    }
    struct xf_message_samples silent = {.blame = NULL};
    xf_tenure_blame_take(&tenure, &silent);
    assert_null(xf_tenure_blame(&tenure));
    tell("one", 2, XF_STREAM_ERRORS, "a:1", "/now", 20);
    tenure.document->verdict_attempt = 3; /* what was said of attempt 2 is over */
    assert_null(xf_tenure_blame(&tenure));
}

static void the_last_verdict_says_which_trouble_is_told(void **state)
{
    (void) state;
    tell("one", 2, XF_STREAM_ERRORS, "a:1", "/errors", 20);
    tell("two", 2, XF_STREAM_SLOW, "b:1", "/slow", 20);
    tell("three", 2, XF_STREAM_4XX, "c:1", "/client", 20);
    static const struct {
        const char *rule; /* NULL: there was no verdict */
        bool standing;
        enum xf_finding_kind kind;
        const char *path;
    } rows[] = {
        {NULL, false, XF_FINDING_FAILS, "/errors"},
        {"errors", true, XF_FINDING_FAILS, "/errors"},
        {"errors", true, XF_FINDING_4XX, "/client"},
        {"errors", true, XF_FINDING_SILENCE, "/slow"}, /* what hangs was slow first */
        {"latency", false, XF_FINDING_FAILS, "/slow"},
        {"budget", false, XF_FINDING_FAILS, "/errors"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"rule\": \"%s\"}",
                 rows[i].rule != NULL ? rows[i].rule : "");
        tenure.document->last_verdict_json = rows[i].rule != NULL ? text : NULL;
        tenure.judge.findings[XF_JUDGE_ERRORS].standing = rows[i].standing;
        tenure.judge.findings[XF_JUDGE_ERRORS].kind = rows[i].kind;
        json_t *told = xf_tenure_blame(&tenure);
        assert_int_equal(bad_of(told, "paths", "path", rows[i].path), 20);
        assert_int_equal(json_array_size(json_object_get(told, "paths")), 1);
        json_decref(told);
        tenure.document->last_verdict_json = NULL;
    }
    tenure.judging = false;
    assert_null(xf_tenure_blame(&tenure));
}

static void no_number_of_proxies_grows_it_without_bound(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 600; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%u", i);
        tell(name, 2, XF_STREAM_ERRORS, "a:1", "/p", 1);
    }
    assert_int_equal(tenure.blames_count, 512);
    json_t *told = xf_tenure_blame(&tenure);
    assert_int_equal(json_integer_value(json_object_get(told, "bad")), 512);
    json_decref(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_newest_word_of_every_proxy_is_summed),
        TEST(words_of_another_attempt_or_of_nobody_count_nothing),
        TEST(the_last_verdict_says_which_trouble_is_told),
        TEST(no_number_of_proxies_grows_it_without_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
