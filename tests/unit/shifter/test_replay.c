/*
 * test_replay.c -- recorded runs are judged as the reference judges them, and bad files are named.
 */
#include "shifter/judge/replay.h"

#include "shifter/judge/replay_log.h"

#include "config/base/check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TOLERANCE_MS 200 /* two blips */

static void default_options(struct xf_replay_options *ret)
{
    *ret = (struct xf_replay_options){.learn_budget = true};
    xf_judge_options_default(&ret->judge);
    ret->judge.exact = true;
    ret->judge.blip_ms = 100;
}

static void replay(const char *path, const char *schedule_text, struct xf_replay_options *options,
                   struct xf_replay_result *ret)
{
    struct xf_error err;
    struct xf_replay_schedule schedule;
    struct xf_replay_trace trace;
    assert_int_equal(xf_replay_schedule_parse(schedule_text, &schedule, &err), 0);
    if (xf_replay_read(path, NULL, &trace, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(xf_replay_run(&trace, &schedule, options, ret, &err), 0);
    xf_replay_trace_release(&trace);
}

static void the_shared_traces_give_the_expected_verdicts(void **state)
{
    (void) state;
    static const struct {
        const char *file;
        const char *schedule;
        enum xf_judge_rule verdict;
        double t_ms;
        double soft_hold_ms;
        const char *words; /* of the sentence */
    } rows[] = {
        {"04.csv", "0:0;10000:0.01", XF_JUDGE_ERRORS, 11165, 10787,
         "paused at 1 %: green fails 100 % (5 of 5), blue 0 % (0 of 236)"},
        {"19.csv", "0:0;15000:0.05", XF_JUDGE_LATENCY, 37679.852, -1,
         "6.1 % of green requests are slower than blue's p99 (17 of 279), blue's own 0.69 % (40 of "
         "5,758); fewer than 1 in 258"},
        {"27.csv", "0:0;10000:0.2", XF_JUDGE_ERRORS, 16104, 15061,
         "green fails 100 % (7 of 7), blue 0 % (0 of 23)"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/judge/%s", XF_TEST_DATA, rows[i].file);
        struct xf_replay_options options;
        struct xf_replay_result result;
        default_options(&options);
        options.judge.planned_ms = 3600000;
        options.judge.steps = 7;
        replay(path, rows[i].schedule, &options, &result);
        assert_int_equal(result.verdict, rows[i].verdict);
        assert_true(fabs(result.t_ms - rows[i].t_ms) <= TOLERANCE_MS);
        assert_true(fabs(result.soft_hold_ms - rows[i].soft_hold_ms) <= TOLERANCE_MS);
        assert_true(result.both_ms == -1);
        assert_true(result.srm_ms == -1);
        assert_true(result.promote_ms == -1);
        if (strstr(result.sentence, rows[i].words) == NULL) {
            fail_msg("%s: %s", rows[i].file, result.sentence);
        }
    }
}

/* ---- made traces ---- */

struct made {
    char path[64];
    FILE *file;
};

static void make_begin(struct made *made)
{
    snprintf(made->path, sizeof(made->path), "/tmp/xf-replay-XXXXXX");
    int fd = mkstemp(made->path);
    assert_true(fd >= 0);
    made->file = fdopen(fd, "w");
    assert_non_null(made->file);
    fputs("t_ms,cluster,result,latency_us\n", made->file);
}

static uint64_t random_state = 88172645463325252u;

static double draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double) (random_state >> 11) / 9007199254740992.0;
}

struct traffic {
    double rps;
    double rho;  /* what the router does after 10 s */
    double blue; /* failing shares; green's from 10 s on */
    double green;
    double both_from_ms; /* both fail half of all from here on; 0: never */
    int ms;
};

static void make_traffic(struct made *made, const struct traffic *traffic)
{
    make_begin(made);
    for (int t = 0; t < traffic->ms; t++) {
        if (draw() >= traffic->rps / 1000) {
            continue;
        }
        bool green = t >= 10000 && draw() < traffic->rho;
        double share = green ? traffic->green : traffic->blue;
        if (traffic->both_from_ms > 0 && t >= traffic->both_from_ms) {
            share = 0.5;
        }
        fprintf(made->file, "%d,%s,%s,%d\n", t, green ? "green" : "blue",
                draw() < share ? "err" : "ok", 2000 + (int) (draw() * 20000));
    }
    assert_int_equal(fclose(made->file), 0);
}

static void what_both_clusters_share_is_not_blamed_on_green(void **state)
{
    (void) state;
    struct made made;
    struct traffic traffic = {
        .rps = 300, .rho = 0.25, .blue = 0.002, .green = 0.002, .both_from_ms = 20000, .ms = 60000};
    struct xf_replay_options options;
    struct xf_replay_result result;
    make_traffic(&made, &traffic);
    default_options(&options);
    replay(made.path, "0:0;10000:0.25", &options, &result);
    unlink(made.path);
    assert_int_equal(result.verdict, XF_JUDGE_NONE);
    assert_true(result.both_ms >= 20000 && result.both_ms < 22000);
    assert_non_null(strstr(result.sentence, "green and blue both fail"));
}

/* Of what both shared blue is over it, and green is not: the live guard looks at the recent past,
 * JUDGE.md 2a at all of it. */
static void a_trace_is_judged_as_the_page_says_and_a_log_as_the_live_guard(void **state)
{
    (void) state;
    static const struct {
        bool plain;
        enum xf_judge_rule verdict;
    } rows[] = {{true, XF_JUDGE_NONE}, {false, XF_JUDGE_BUDGET}};
    struct made made;
    make_begin(&made);
    for (int t = 0; t < 43000; t++) {
        bool green = t >= 10000 && t % 2 == 0;
        bool bad = t >= 20000 && t % 4 < (green || t < 40000 ? 2 : 0);
        fprintf(made.file, "%d,%s,%s,1000\n", t, green ? "green" : "blue", bad ? "err" : "ok");
    }
    assert_int_equal(fclose(made.file), 0);
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_replay_options options;
        struct xf_replay_result result;
        default_options(&options);
        options.judge.plain = rows[i].plain;
        options.judge.worse_than = 1000; /* the budget alone */
        replay(made.path, "0:0;10000:0.5", &options, &result);
        assert_int_equal(result.verdict, rows[i].verdict);
        assert_true(result.both_ms > 20000 && result.both_ms < 21000);
    }
    unlink(made.path);
}

static void a_healthy_green_is_proved_and_never_paused(void **state)
{
    (void) state;
    struct made made;
    struct traffic traffic = {.rps = 300, .rho = 0.25, .blue = 0.001, .green = 0.001, .ms = 120000};
    struct xf_replay_options options;
    struct xf_replay_result result;
    make_traffic(&made, &traffic);
    default_options(&options);
    replay(made.path, "0:0;10000:0.25", &options, &result);
    unlink(made.path);
    assert_int_equal(result.verdict, XF_JUDGE_NONE);
    assert_true(result.t_ms == -1);
    assert_true(result.srm_ms == -1);
    assert_true(result.promote_ms > 50000 && result.promote_ms < 100000);
}

static void a_router_that_splits_wrongly_is_flagged(void **state)
{
    (void) state;
    struct made made;
    struct traffic traffic = {.rps = 400, .rho = 0.35, .blue = 0, .green = 0, .ms = 60000};
    struct xf_replay_options options;
    struct xf_replay_result result;
    make_traffic(&made, &traffic);
    default_options(&options);
    replay(made.path, "0:0;10000:0.25", &options, &result);
    unlink(made.path);
    assert_true(result.srm_ms > 10000 && result.srm_ms < 30000);
    assert_int_equal((int) result.srm_ms % 1000, 0);
}

static void a_green_that_fails_at_every_split_is_over_its_budget(void **state)
{
    (void) state;
    struct made made;
    struct traffic traffic = {.rps = 200, .rho = 1, .blue = 0.001, .green = 0.5, .ms = 30000};
    struct xf_replay_options options;
    struct xf_replay_result result;
    make_traffic(&made, &traffic);
    default_options(&options);
    replay(made.path, "0:0;10000:1", &options, &result);
    unlink(made.path);
    assert_int_equal(result.verdict, XF_JUDGE_BUDGET);
    assert_true(result.t_ms > 10000 && result.t_ms < 11500);
}

static void a_hung_green_is_seen_before_its_requests_end(void **state)
{
    (void) state;
    struct made made;
    make_begin(&made);
    for (int t = 0; t < 30000; t++) {
        if (t >= 20000 && t % 20 == 0) { /* sent 10 s ago to the hung green, timed out now */
            fprintf(made.file, "%d,green,err,10000000\n", t);
        }
        if (t % 5 == 0 && (t < 10000 || t % 20 != 0)) {
            fprintf(made.file, "%d,blue,ok,%d\n", t, 2000 + (int) (draw() * 20000));
        }
    }
    assert_int_equal(fclose(made.file), 0);
    struct xf_replay_options options;
    struct xf_replay_result result;
    default_options(&options);
    replay(made.path, "0:0;10000:0.25", &options, &result);
    unlink(made.path);
    assert_int_equal(result.verdict, XF_JUDGE_LATENCY);
    assert_true(result.t_ms > 10000 && result.t_ms < 13000);
}

static void bad_files_are_told_with_their_line(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", ":1: the file is empty"},
        {"time,cluster\n", ":1: a trace begins with"},
        {"t_ms,cluster,result,latency_us\n1,blue,ok,5\n2,red,ok,5\n", ":3: cluster must be"},
        {"t_ms,cluster,result,latency_us\n1,blue,maybe,5\n", ":2: result must be"},
        {"t_ms,cluster,result,latency_us\n1,blue,ok\n", ":2: a row has 4 fields"},
        {"t_ms,cluster,result,latency_us\n1,blue,ok,5,6\n", ":2: a row has 4 fields"},
        {"t_ms,cluster,result,latency_us\n-1,blue,ok,5\n", ":2: t_ms must be"},
        {"t_ms,cluster,result,latency_us\n1,blue,ok,nan\n", ":2: latency_us must be"},
        {"t_ms,cluster,result,latency_us\n1e400,blue,ok,1\n", ":2: t_ms must be"},
        {"{\"time\": 1}\n", ":1: this is an access log"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char path[] = "/tmp/xf-replay-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
        close(fd);
        struct xf_replay_trace trace = {.count = 0};
        struct xf_error err = {.code = XF_E_NONE};
        assert_int_equal(xf_replay_read(path, NULL, &trace, &err), -1);
        assert_int_equal(err.code, XF_E_USAGE);
        if (strstr(err.message, rows[i].words) == NULL ||
            strncmp(err.message, path, strlen(path)) != 0) {
            fail_msg("row %zu: %s", i, err.message);
        }
        xf_replay_trace_release(&trace);
        unlink(path);
    }
    struct xf_replay_trace trace;
    struct xf_error err;
    assert_int_equal(xf_replay_read("/nowhere/trace.csv", NULL, &trace, &err), -1);
    assert_int_equal(err.code, XF_E_USAGE);
}

static void an_access_log_is_judged_with_its_own_weights(void **state)
{
    (void) state;
    char path[] = "/tmp/xf-replay-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    for (int t = 0; t < 30000; t += 5) {
        bool shifted = t >= 10000;
        bool green = shifted && draw() < 0.05;
        fprintf(file,
                "{\"time\": \"2026-11-22T10:00:%02d.%03dZ\", \"cluster\": \"%s\", \"status\": %d, "
                "\"total_ms\": %.1f, \"weight\": %d}\n",
                t / 1000, t % 1000, green ? "web-v2" : "web-v1", green ? 502 : 200, 2 + 20 * draw(),
                shifted ? 5 : 0);
    }
    fputs("{\"time\": \"2026-11-22T10:00:59Z\", \"cluster\": null, \"status\": 400}\n"
          "{\"time\": \"2026-11-22T10:00:59Z\", \"cluster\": \"web-v2\", \"why\": \"override\"}\n"
          "{\"time\": \"2026-11-22T10:00:59Z\", \"cluster\": \"other\", \"status\": 200}\n",
          file);
    assert_int_equal(fclose(file), 0);
    struct xf_error err;
    struct xf_replay_trace trace;
    struct xf_replay_schedule schedule;
    struct xf_replay_clusters clusters = {.blue = "web-v1", .green = "web-v2"};
    if (xf_replay_read(path, &clusters, &trace, &err) != 0) {
        fail_msg("%s", err.message);
    }
    unlink(path);
    assert_int_equal(trace.count, 6000);
    assert_int_equal(xf_replay_schedule_derive(&trace, &schedule, &err), 0);
    assert_int_equal(schedule.count, 1);
    struct xf_replay_options options;
    struct xf_replay_result result;
    default_options(&options);
    xf_replay_plan(&trace, &schedule, &options.judge);
    assert_int_equal(options.judge.steps, 1);
    assert_int_equal(xf_replay_run(&trace, &schedule, &options, &result, &err), 0);
    xf_replay_trace_release(&trace);
    assert_int_equal(result.verdict, XF_JUDGE_ERRORS);
    assert_true(result.t_ms > 10000 && result.t_ms < 13000);
}

#define LOGGED "\"time\":\"2026-11-22T10:00:01.250Z\",\"total_ms\":250.5"

static void a_line_of_the_access_log_means_what_the_judge_counted(void **state)
{
    (void) state;
    static const struct {
        const char *line;
        enum xf_replay_line kind;
        const char *problem; /* of a bad one */
        bool green;
        bool bad;
        bool bad_4xx;
        double rho;
    } rows[] = {
        {"{" LOGGED ",\"cluster\":\"v1\",\"status\":200,\"weight\":12.50}", XF_LINE_COUNTS, NULL,
         false, false, false, 0.125},
        {"{" LOGGED ",\"cluster\":\"v2\",\"status\":503,\"weight\":null}", XF_LINE_COUNTS, NULL,
         true, true, false, 0},
        {"{" LOGGED ",\"cluster\":\"v2\",\"status\":404}", XF_LINE_COUNTS, NULL, true, false, true,
         0},
        {"{" LOGGED ",\"cluster\":\"v2\",\"status\":200,\"ended\":\"server\"}", XF_LINE_COUNTS,
         NULL, true, true, false, 0},
        {"{" LOGGED ",\"cluster\":\"v2\",\"status\":499,\"ended\":\"client\"}", XF_LINE_COUNTS,
         NULL, true, false, false, 0},
        {"{" LOGGED ",\"cluster\":\"v1\",\"status\":200,\"why\":\"rescue\"}", XF_LINE_COUNTS, NULL,
         true, true, false, 0},
        {"{" LOGGED ",\"cluster\":\"v2\",\"status\":500,\"why\":\"override\"}", XF_LINE_SKIPPED,
         NULL, false, false, false, 0},
        {"{" LOGGED ",\"cluster\":null,\"status\":400}", XF_LINE_SKIPPED, NULL, false, false, false,
         0},
        {"{" LOGGED ",\"cluster\":\"other\",\"status\":200}", XF_LINE_SKIPPED, NULL, false, false,
         false, 0},
        /* escapes where nobody looks, and where somebody does; other forms of JSON */
        {"{" LOGGED ",\"path\":\"/a\\\"b\\\\\",\"cluster\":\"v2\",\"status\":500}", XF_LINE_COUNTS,
         NULL, true, true, false, 0},
        {"{" LOGGED ",\"cluster\":\"v\\u0032\",\"status\":500}", XF_LINE_COUNTS, NULL, true, true,
         false, 0},
        {"{ \"cluster\" : \"v2\", " LOGGED ", \"status\": 5e2, \"more\": {\"a\": [true]}}",
         XF_LINE_COUNTS, NULL, true, true, false, 0},
        /* nonsense */
        {"{" LOGGED ",\"cluster\":\"v1\",\"cluster\":\"v2\"}", XF_LINE_BAD, "JSON", false, false,
         false, 0},
        {"{" LOGGED ",\"cluster\":\"v1\"", XF_LINE_BAD, "JSON", false, false, false, 0},
        {"{" LOGGED ",\"cluster\":\"v1", XF_LINE_BAD, "JSON", false, false, false, 0},
        {"{" LOGGED ",\"cluster\":\"v1\\", XF_LINE_BAD, "JSON", false, false, false, 0},
        {"{" LOGGED ",\"cluster\":\"v1\"} x", XF_LINE_BAD, "JSON", false, false, false, 0},
        {"[1]", XF_LINE_BAD, "JSON", false, false, false, 0},
        {"{\"cluster\":\"v1\",\"total_ms\":1}", XF_LINE_BAD, "time", false, false, false, 0},
        {"{\"time\":\"yesterday\",\"cluster\":\"v1\",\"total_ms\":1}", XF_LINE_BAD, "time", false,
         false, false, 0},
        {"{\"time\":\"2026-11-22T10:00:01Z\",\"cluster\":\"v1\",\"total_ms\":\"1\"}", XF_LINE_BAD,
         "total_ms", false, false, false, 0},
        {"{" LOGGED ",\"cluster\":\"v1\",\"weight\":101}", XF_LINE_BAD, "weight", false, false,
         false, 0},
        {"{" LOGGED ",\"cluster\":\"v1\",\"weight\":\"5\"}", XF_LINE_BAD, "weight", false, false,
         false, 0},
    };
    struct xf_replay_clusters clusters = {.blue = "v1", .green = "v2"};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_replay_response response = {.rho = -1};
        const char *problem = NULL;
        enum xf_replay_line kind =
            xf_replay_log_line(rows[i].line, strlen(rows[i].line), &clusters, &response, &problem);
        if (kind != rows[i].kind) {
            fail_msg("%s: %d, %s", rows[i].line, (int) kind, problem);
        }
        if (kind == XF_LINE_BAD && strstr(problem, rows[i].problem) == NULL) {
            fail_msg("%s: %s", rows[i].line, problem);
        }
        if (kind == XF_LINE_COUNTS) {
            assert_int_equal(response.done_us - response.sent_us, 250500);
            assert_int_equal(response.done_us % 1000000, 250000);
            assert_int_equal(response.green, rows[i].green);
            assert_int_equal(response.bad, rows[i].bad);
            assert_int_equal(response.bad_4xx, rows[i].bad_4xx);
            assert_true(response.rho == rows[i].rho);
        }
    }
}

static void schedules_are_read_whole_or_refused(void **state)
{
    (void) state;
    static const char *const refused[] = {"",      "10",      "10:",        "10:2",
                                          "0:0;",  "0:0;0:1", "5:0.1;4:.2", "0:-0.1",
                                          "0:nan", "x:0.1",   "0:0.1x",     "-5:0.1"};
    struct xf_replay_schedule schedule;
    struct xf_error err;
    assert_int_equal(xf_replay_schedule_parse("0:0;10000:0.01;20000:1", &schedule, &err), 0);
    assert_int_equal(schedule.count, 3);
    assert_int_equal(schedule.steps[1].t_us, 10000000);
    assert_true(schedule.steps[1].rho == 0.01);
    for (size_t i = 0; i < XF_COUNT(refused); i++) {
        err.code = XF_E_NONE;
        if (xf_replay_schedule_parse(refused[i], &schedule, &err) == 0) {
            fail_msg("accepted: %s", refused[i]);
        }
        assert_int_equal(err.code, XF_E_USAGE);
    }
    assert_int_equal(schedule.count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shared_traces_give_the_expected_verdicts),
        cmocka_unit_test(what_both_clusters_share_is_not_blamed_on_green),
        cmocka_unit_test(a_trace_is_judged_as_the_page_says_and_a_log_as_the_live_guard),
        cmocka_unit_test(a_healthy_green_is_proved_and_never_paused),
        cmocka_unit_test(a_router_that_splits_wrongly_is_flagged),
        cmocka_unit_test(a_green_that_fails_at_every_split_is_over_its_budget),
        cmocka_unit_test(a_hung_green_is_seen_before_its_requests_end),
        cmocka_unit_test(bad_files_are_told_with_their_line),
        cmocka_unit_test(an_access_log_is_judged_with_its_own_weights),
        cmocka_unit_test(a_line_of_the_access_log_means_what_the_judge_counted),
        cmocka_unit_test(schedules_are_read_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
