/*
 * test_judge.c -- the judge of one attempt on drawn traffic: what it finds, what it does not, and
 * that its state can move to another leader at any moment.
 */
#include "shifter/judge/judge.h"

#include "shifter/judge/judge_checkpoint.h"
#include "shifter/judge/judge_explain.h"

#include "config/base/check.h"
#include "proxy/board/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_MS INT64_C(1764374592000) /* 2025-11-29T00:03:12Z */

/* ---- traffic ---- */

struct traffic {
    uint64_t chance;
    double rps;
    unsigned weight;
    double blue; /* shares */
    double green;
    double blue_slow;
    double green_slow;
    bool green_hangs;
    bool blue_hangs; /* answers nothing from now on; with `tells` */
    bool tells;      /* what was asked and answered */
};

static double draw(struct traffic *traffic)
{
    traffic->chance += 0x9e3779b97f4a7c15u;
    uint64_t z = traffic->chance;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return ((double) (z >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t draw_poisson(struct traffic *traffic, double mean)
{
    double p = exp(-mean);
    double u = draw(traffic);
    uint64_t count = 0;
    while (u > p && p > 0) {
        u -= p;
        count++;
        p *= mean / (double) count;
    }
    return count;
}

static void draw_cell(struct traffic *traffic, int64_t t_ms, struct xf_judge_cell *ret)
{
    double rho = (double) traffic->weight / XF_WEIGHT_FULL;
    double mean = traffic->rps * XF_CELL_MS / 1000;
    double parts[2] = {mean * (1 - rho), mean * rho};
    double bad[2] = {traffic->blue, traffic->green};
    double slow[2] = {traffic->blue_slow, traffic->green_slow};
    xf_judge_cell_init(ret, t_ms, XF_CELL_MS);
    for (unsigned role = 0; role < 2; role++) {
        struct xf_judge_counts counts = {.bad = draw_poisson(traffic, parts[role] * bad[role])};
        counts.done = counts.bad + draw_poisson(traffic, parts[role] * (1 - bad[role]));
        counts.sent = counts.done;
        counts.slow = draw_poisson(traffic, parts[role] * slow[role]);
        if (role == XF_JUDGE_GREEN && traffic->green_hangs) {
            counts = (struct xf_judge_counts){.sent = counts.sent, .slow = counts.sent};
        }
        if (traffic->tells) {
            ret->asked[role] = counts.sent;
            ret->answered[role] = traffic->blue_hangs ? 0 : counts.done;
        }
        xf_judge_cell_add(ret, traffic->weight, role, &counts);
    }
}

static void begin(struct xf_judge *judge, unsigned weight)
{
    struct xf_judge_options options;
    xf_judge_options_default(&options);
    options.steps = 7;
    options.planned_ms = 3600000;
    options.watch_4xx = true;
    xf_judge_init(judge, &options, START_MS);
    xf_judge_step_started(judge, START_MS, weight);
}

/* Feeds until a rule of `rules` stands or the time is over; returns the time it took. */
static int64_t run(struct xf_judge *judge, struct traffic *traffic, int64_t from_ms, int64_t ms,
                   unsigned rules)
{
    struct xf_judge_cell cell;
    for (int64_t at_ms = 0; at_ms < ms; at_ms += XF_CELL_MS) {
        draw_cell(traffic, from_ms + at_ms, &cell);
        xf_judge_feed(judge, &cell);
        if ((xf_judge_standing(judge) & rules) != 0) {
            return at_ms + XF_CELL_MS;
        }
    }
    return -1;
}

#define BIT(rule) (1u << (rule))
#define PAUSES    (BIT(XF_JUDGE_ERRORS) | BIT(XF_JUDGE_BUDGET) | BIT(XF_JUDGE_LATENCY))
#define ANY       (PAUSES | BIT(XF_JUDGE_BOTH) | BIT(XF_JUDGE_ROUTER))

static void verify(const struct xf_judge *judge, enum xf_judge_rule rule)
{
    struct xf_error err;
    json_t *payload = xf_judge_explain_json(judge, rule);
    assert_non_null(payload);
    char *text = json_dumps(payload, JSON_REAL_PRECISION(17));
    json_decref(payload);
    payload = json_loads(text, 0, NULL);
    assert_non_null(payload);
    if (xf_judge_verify_json(payload, &err) != 0) {
        fail_msg("%s\n%s", err.message, text);
    }
    free(text);
    json_decref(payload);
}

/* ---- what is found ---- */

static void a_green_that_fails_is_paused_within_few_responses(void **state)
{
    (void) state;
    static const struct {
        unsigned weight;
        double rps;
        double green;
        double leaked_max; /* mean over the runs */
    } rows[] = {{100, 200, 1, 5}, {100, 2000, 1, 10}, {2500, 200, 0.5, 40}, {500, 200, 0.1, 15}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        double leaked = 0;
        for (unsigned seed = 0; seed < 100; seed++) {
            struct xf_judge judge;
            struct traffic traffic = {.chance = seed,
                                      .rps = rows[i].rps,
                                      .weight = rows[i].weight,
                                      .blue = rows[i].green / 100,
                                      .green = rows[i].green};
            begin(&judge, rows[i].weight);
            assert_true(run(&judge, &traffic, START_MS, 600000, PAUSES) > 0);
            leaked += (double) judge.streams[XF_STREAM_ERRORS].totals.bad_green / 100;
        }
        if (leaked > rows[i].leaked_max) {
            fail_msg("row %zu leaks %g", i, leaked);
        }
    }
}

static void the_errors_sentence_has_its_numbers(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {.chance = 3, .rps = 200, .weight = 500, .blue = 0.01, .green = 0.2};
    begin(&judge, 500);
    assert_true(run(&judge, &traffic, START_MS, 60000, ANY) > 0);
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_ERRORS);
    assert_int_equal(verdict.weight, 500);
    assert_true(verdict.n >= 1 / (0.01 * 0.4));
    assert_true(verdict.measured > verdict.limit);
    assert_int_equal(verdict.bad_green, judge.findings[XF_JUDGE_ERRORS].window.bad_green);
    assert_non_null(strstr(verdict.sentence, "paused at 5 %: green fails "));
    assert_non_null(strstr(verdict.sentence, " since 00:03:"));
    assert_non_null(strstr(verdict.sentence, "a green no more than 1.2x worse would look like "
                                             "this in fewer than 1 of "));
    verify(&judge, XF_JUDGE_ERRORS);
}

static void client_errors_are_a_stream_of_their_own(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {.chance = 4, .rps = 200, .weight = 1000};
    begin(&judge, 1000);
    for (int i = 0; i < 400 && xf_judge_standing(&judge) == 0; i++) {
        struct xf_judge_cell cell;
        draw_cell(&traffic, START_MS + i * XF_CELL_MS, &cell);
        cell.entries[0].role[XF_JUDGE_GREEN].bad_4xx = cell.entries[0].role[XF_JUDGE_GREEN].done;
        xf_judge_feed(&judge, &cell);
    }
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_ERRORS);
    assert_non_null(strstr(verdict.sentence, "green answers 4xx to 100 %"));
    verify(&judge, XF_JUDGE_ERRORS);
}

static void a_slow_green_is_paused_for_latency(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {
        .chance = 5, .rps = 200, .weight = 2500, .blue_slow = 0.01, .green_slow = 0.08};
    begin(&judge, 2500);
    assert_true(run(&judge, &traffic, START_MS, 60000, ANY) > 0);
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_LATENCY);
    assert_non_null(strstr(verdict.sentence, "of green requests are slower than blue's p99"));
    verify(&judge, XF_JUDGE_LATENCY);
}

static void a_hung_green_is_judged_though_nothing_ends(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {
        .chance = 6, .rps = 200, .weight = 2500, .blue_slow = 0.01, .green_hangs = true};
    begin(&judge, 2500);
    int64_t took_ms = run(&judge, &traffic, START_MS, 60000, ANY);
    assert_true(took_ms > 0 && took_ms < 3000);
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_LATENCY);
}

static void a_green_that_answers_nothing_fails_within_seconds(void **state)
{
    (void) state;
    static const struct {
        double rps;
        unsigned weight;
    } rows[] = {{500, 1000}, {200, 2500}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_judge judge;
        struct xf_judge_verdict verdict;
        struct traffic traffic = {.chance = 6 + i,
                                  .rps = rows[i].rps,
                                  .weight = rows[i].weight,
                                  .blue_slow = 0.01,
                                  .green_slow = 0.01,
                                  .tells = true};
        begin(&judge, rows[i].weight);
        assert_int_equal(run(&judge, &traffic, START_MS, 5000, ANY), -1);
        traffic.green_hangs = true;
        int64_t took_ms = run(&judge, &traffic, START_MS + 5000, 60000, BIT(XF_JUDGE_ERRORS));
        assert_true(took_ms >= 2000 && took_ms <= 2600);
        assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_ERRORS);
        assert_non_null(strstr(verdict.sentence, "green answers nothing: "));
        assert_non_null(strstr(verdict.sentence, " requests sent in 2"));
        assert_true(verdict.n >= 250 && verdict.samples_green >= 50 && verdict.samples_blue > 100);
        assert_true((xf_judge_standing(&judge) & BIT(XF_JUDGE_LATENCY)) != 0);
        verify(&judge, XF_JUDGE_ERRORS);
        verify(&judge, XF_JUDGE_LATENCY);

        char *text = xf_judge_save(&judge); /* and a new leader says the same */
        struct xf_judge loaded;
        struct xf_judge_verdict again;
        begin(&loaded, rows[i].weight);
        assert_int_equal(xf_judge_load(&loaded, text, NULL), 0);
        xf_judge_verdict(&loaded, &again);
        assert_string_equal(again.sentence, verdict.sentence);
        verify(&loaded, XF_JUDGE_ERRORS);
        free(text);
    }
}

static void a_green_that_is_only_slow_is_not_silent(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct traffic traffic = {
        .chance = 6, .rps = 200, .weight = 2500, .blue_slow = 0.01, .green_slow = 1, .tells = true};
    begin(&judge, 2500);
    assert_int_equal(run(&judge, &traffic, START_MS, 20000, BIT(XF_JUDGE_ERRORS)), -1);
    assert_int_equal(xf_judge_standing(&judge), BIT(XF_JUDGE_LATENCY));
}

static void where_blue_answers_nothing_either_it_is_both(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {.chance = 6, .rps = 200, .weight = 2500, .tells = true};
    begin(&judge, 2500);
    assert_int_equal(run(&judge, &traffic, START_MS, 3000, ANY), -1);
    traffic.green_hangs = traffic.blue_hangs = true;
    traffic.blue_slow = 1; /* they hang alike: nothing tells green from blue */
    int64_t took_ms = run(&judge, &traffic, START_MS + 3000, 60000, BIT(XF_JUDGE_BOTH));
    assert_true(took_ms >= 2000 && took_ms <= 2600);
    assert_int_equal(run(&judge, &traffic, START_MS + 6000, 4000, BIT(XF_JUDGE_ERRORS)), -1);
    xf_judge_verdict_of(&judge, XF_JUDGE_BOTH, &verdict);
    assert_non_null(strstr(verdict.sentence, "both answer nothing"));
    verify(&judge, XF_JUDGE_BOTH);
    traffic.green_hangs = traffic.blue_hangs = false;
    traffic.blue_slow = 0;
    assert_int_equal(run(&judge, &traffic, START_MS + 10000, 6000, BIT(XF_JUDGE_ERRORS)), -1);
    assert_int_equal(xf_judge_standing(&judge) & BIT(XF_JUDGE_BOTH), 0);
}

static void at_full_weight_only_the_budget_sees(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {.chance = 7, .rps = 200, .weight = 10000, .green = 0.3};
    begin(&judge, 10000);
    int64_t took_ms = run(&judge, &traffic, START_MS, 60000, ANY);
    assert_true(took_ms > 0 && took_ms < 2000);
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_BUDGET);
    assert_true(verdict.limit == 0.05);
    assert_true(judge.streams[XF_STREAM_ERRORS].detector.value == 0);
    verify(&judge, XF_JUDGE_BUDGET);
}

static void both_comes_and_goes_and_blames_nobody(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {.chance = 8, .rps = 400, .weight = 2500};
    begin(&judge, 2500);
    assert_int_equal(run(&judge, &traffic, START_MS, 10000, ANY), -1);
    traffic.blue = traffic.green = 0.5;
    assert_true(run(&judge, &traffic, START_MS + 10000, 5000, ANY) > 0);
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_BOTH);
    assert_non_null(strstr(verdict.sentence, "frozen: green and blue both fail ("));
    verify(&judge, XF_JUDGE_BOTH);
    assert_int_equal(run(&judge, &traffic, START_MS + 15000, 60000, PAUSES), -1);
    verify(&judge, XF_JUDGE_BOTH);
    traffic.blue = traffic.green = 0;
    assert_int_equal(run(&judge, &traffic, START_MS + 75000, 7000, PAUSES), -1);
    assert_int_equal(xf_judge_standing(&judge), 0);
}

static void when_blue_recovers_alone_green_is_judged(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct traffic traffic = {.chance = 9, .rps = 400, .weight = 8000, .blue = 0.5, .green = 0.5};
    begin(&judge, 8000);
    assert_int_equal(run(&judge, &traffic, START_MS, 30000, PAUSES), -1);
    traffic.blue = 0;
    int64_t took_ms = run(&judge, &traffic, START_MS + 30000, 30000, PAUSES);
    assert_true(took_ms > 0 && took_ms < 15000);
}

static void a_wrong_split_is_flagged_until_it_is_right(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {.chance = 10, .rps = 1000, .weight = 2500};
    struct xf_judge_cell cell;
    begin(&judge, 2500);
    for (int i = 0; i < 400; i++) {
        traffic.weight = 3500;
        draw_cell(&traffic, START_MS + i * XF_CELL_MS, &cell);
        cell.entries[0].weight = 2500; /* what was ordered */
        xf_judge_feed(&judge, &cell);
    }
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_ROUTER);
    assert_non_null(strstr(verdict.sentence, "instead of 25 %"));
    verify(&judge, XF_JUDGE_ROUTER);
    traffic.weight = 2500;
    assert_int_equal(run(&judge, &traffic, START_MS + 20000, 60000, PAUSES), -1);
    assert_int_equal(xf_judge_standing(&judge), 0);
}

/* ---- what is not ---- */

static void equal_clusters_are_hardly_ever_paused(void **state)
{
    (void) state;
    unsigned paused = 0;
    for (unsigned seed = 0; seed < 300; seed++) {
        static const unsigned weights[] = {100, 500, 2500, 5000, 8000};
        struct xf_judge judge;
        struct traffic traffic = {.chance = seed * 1000,
                                  .rps = 200,
                                  .blue = 0.01,
                                  .green = 0.01,
                                  .blue_slow = 0.01,
                                  .green_slow = 0.01};
        begin(&judge, weights[0]);
        for (unsigned step = 0; step < XF_COUNT(weights); step++) {
            traffic.weight = weights[step];
            if (step > 0) {
                xf_judge_step_started(&judge, START_MS + step * 30000, weights[step]);
            }
            if (run(&judge, &traffic, START_MS + step * 30000, 30000, PAUSES) > 0) {
                paused++;
                break;
            }
        }
    }
    assert_true(paused <= 6); /* 3 expected at most: 1 % */
}

static void errors_sent_at_no_or_full_weight_say_nothing(void **state)
{
    (void) state;
    struct xf_detector_options options = {
        .worse_than = 1.2, .alpha = 0.005, .steps = 1, .planned_us = 1000000};
    struct xf_detector detector;
    struct xf_block block = {.opened_us = 0};
    struct xf_totals totals = {.t_us = 0};
    double factor = 7;
    xf_detector_init(&detector, &options, 0);
    xf_block_add(&block, 0, 5, 5);
    xf_block_add(&block, 1, 5, 5);
    assert_false(xf_block_informative(&block));
    assert_false(xf_block_factor(&block, 2, 1.2, &factor));
    assert_true(factor == 7);
    xf_block_add(&block, 0.5, 0, 0);
    assert_false(xf_block_informative(&block));
    xf_block_add(&block, 0.5, 1, 0);
    assert_true(xf_block_informative(&block));
    xf_detector_block_mass(&detector, &block, &totals, 0.5);
    struct xf_block only = {.opened_us = 0};
    struct xf_detector other;
    xf_detector_init(&other, &options, 0);
    xf_block_add(&only, 0.5, 1, 0);
    xf_detector_block_mass(&other, &only, &totals, 0.5);
    assert_true(detector.value == other.value);
}

static void sums_stay_finite_whatever_comes(void **state)
{
    (void) state;
    static const double splits[] = {1e-300, 1e-9, 0.0001, 0.5, 0.9999, 1 - 1e-16};
    for (size_t i = 0; i < XF_COUNT(splits); i++) {
        for (unsigned green = 0; green < 2; green++) {
            struct xf_detector_options options = {
                .worse_than = 1.2, .alpha = 0.005, .steps = 1, .planned_us = 1};
            struct xf_detector detector;
            struct xf_totals totals = {.t_us = 0};
            xf_detector_init(&detector, &options, 0);
            for (unsigned n = 0; n < 2000; n++) {
                struct xf_block block = {.opened_us = n * INT64_C(1000000000)};
                xf_block_add(&block, splits[i], green ? UINT32_MAX : 0, green ? 0 : UINT32_MAX);
                (void) xf_detector_block(&detector, &block, &totals);
                assert_true(isfinite(detector.value));
                assert_true(detector.value >= 0);
                assert_true(detector.value <= XF_DETECTOR_VALUE_MAX);
            }
        }
    }
}

static void a_burst_is_one_piece_of_evidence(void **state)
{
    (void) state;
    struct xf_judge judges[2];
    for (unsigned i = 0; i < 2; i++) {
        struct xf_judge_cell cell;
        struct xf_judge_counts counts = {.done = i ? 500 : 1, .bad = i ? 500 : 1};
        begin(&judges[i], 100);
        xf_judge_cell_init(&cell, START_MS + 1000, XF_CELL_MS);
        xf_judge_cell_add(&cell, 100, XF_JUDGE_GREEN, &counts);
        xf_judge_feed(&judges[i], &cell);
        xf_judge_advance(&judges[i], START_MS + 2000);
    }
    double one = judges[0].streams[XF_STREAM_ERRORS].detector.value;
    assert_true(one > 0);
    assert_true(one == judges[1].streams[XF_STREAM_ERRORS].detector.value);
}

static void errors_are_judged_by_the_split_at_dispatch(void **state)
{
    (void) state;
    /* One error of green sent at 1 %, told while 50 % are in force, is as surprising as at 1 %. */
    struct xf_judge late;
    struct xf_judge early;
    struct xf_judge_counts counts = {.done = 1, .bad = 1};
    struct xf_judge_cell cell;
    begin(&late, 100);
    begin(&early, 100);
    xf_judge_set_weight(&late, 5000);
    xf_judge_cell_init(&cell, START_MS + 1000, XF_CELL_MS);
    xf_judge_cell_add(&cell, 100, XF_JUDGE_GREEN, &counts);
    xf_judge_feed(&late, &cell);
    xf_judge_feed(&early, &cell);
    xf_judge_advance(&late, START_MS + 2000);
    xf_judge_advance(&early, START_MS + 2000);
    assert_true(late.streams[0].detector.value == early.streams[0].detector.value);
    assert_true(late.streams[0].detector.value > 1);
}

/* ---- evidence ---- */

static void evidence_tells_what_is_missing(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_evidence evidence;
    begin(&judge, 1000);
    for (int i = 0; i < 37; i++) { /* 0.2 a second, as at 2/s and 10 % */
        struct xf_judge_cell cell;
        struct xf_judge_counts counts = {.sent = 1, .done = 1};
        xf_judge_cell_init(&cell, START_MS + i * 5000, XF_CELL_MS);
        xf_judge_cell_add(&cell, 1000, XF_JUDGE_GREEN, &counts);
        xf_judge_feed(&judge, &cell);
    }
    xf_judge_advance(&judge, START_MS + 185000);
    xf_judge_evidence(&judge, &evidence);
    assert_false(evidence.enough);
    assert_int_equal(evidence.green, 37);
    assert_int_equal(evidence.missing, 400);
    assert_int_equal(evidence.missing_ms, 2000000);
    assert_string_equal(evidence.sentence,
                        "not advancing: 37 green responses, no errors, rule out only > 11 %; 437 "
                        "needed to rule out 1 % (about 33 min at this rate)");
    verify(&judge, XF_JUDGE_EVIDENCE);
}

static void before_green_has_answered_blues_traffic_tells_how_long(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_evidence evidence;
    begin(&judge, 1000);
    xf_judge_advance(&judge, START_MS + 1000);
    xf_judge_evidence(&judge, &evidence);
    assert_int_equal(evidence.missing_ms, -1);
    assert_non_null(strstr(evidence.sentence, "437 needed to rule out 1 % (no traffic to tell"));
    for (int i = 0; i < 4; i++) { /* 2 a minute: 437 of green take 437 / 0.2 min at 10 % */
        struct xf_judge_cell cell;
        struct xf_judge_counts counts = {.sent = 1, .done = 1};
        xf_judge_cell_init(&cell, START_MS + i * 30000, XF_CELL_MS);
        xf_judge_cell_add(&cell, 1000, XF_JUDGE_BLUE, &counts);
        xf_judge_feed(&judge, &cell);
    }
    xf_judge_advance(&judge, START_MS + 120000);
    xf_judge_evidence(&judge, &evidence);
    assert_int_equal(evidence.green, 0);
    assert_int_equal(evidence.missing_ms, 437LL * 5 * 60 * 1000);
    assert_string_equal(evidence.sentence,
                        "not advancing: 0 green responses, no errors, rule out nothing; 437 needed "
                        "to rule out 1 % (about 36 h at this rate)");
    verify(&judge, XF_JUDGE_EVIDENCE);
}

static void a_healthy_green_is_proved_after_437_clean_responses(void **state)
{
    (void) state;
    static const struct {
        double p_ok;
        uint64_t needed;
    } rows[] = {{0.05, 86}, {0.01, 437}, {0.005, 876}, {0.001, 4388}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_promote_options options = {.errors_below = rows[i].p_ok, .ratio_below = 2};
        struct xf_promote promote;
        assert_int_equal(xf_promote_needed(&options), rows[i].needed);
        xf_promote_init(&promote, &options, 0);
        uint64_t count = 0;
        for (; xf_promote_value(&promote) < XF_PROMOTE_ENOUGH; count++) {
            xf_promote_green(&promote, (int64_t) count * 1000000, 1, 0);
            xf_promote_advance(&promote, (int64_t) count * 1000000 + 500000);
        }
        assert_true(count <= rows[i].needed && count > rows[i].needed * 98 / 100); /* E1 is 1 */
        assert_int_equal(xf_promote_missing(&promote), 0);
    }
}

static void evidence_against_green_holds_the_step_softly(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_evidence evidence;
    struct xf_judge_cell cell;
    struct xf_judge_counts clean = {.sent = 1, .done = 1};
    struct xf_judge_counts blue = {.sent = 99, .done = 99};
    struct xf_judge_counts bad = {.sent = 1, .done = 1, .bad = 1};
    begin(&judge, 100);
    for (int i = 0; i < 2; i++) {
        xf_judge_cell_init(&cell, START_MS + i * 200, XF_CELL_MS);
        xf_judge_cell_add(&cell, 100, XF_JUDGE_GREEN, &bad);
        xf_judge_feed(&judge, &cell);
    }
    for (int i = 0; i < 3000; i++) {
        xf_judge_cell_init(&cell, START_MS + 1000 + i * 200, XF_CELL_MS);
        xf_judge_cell_add(&cell, 100, XF_JUDGE_GREEN, &clean);
        xf_judge_cell_add(&cell, 100, XF_JUDGE_BLUE, &blue);
        xf_judge_feed(&judge, &cell);
    }
    xf_judge_evidence(&judge, &evidence);
    assert_true(evidence.value >= XF_PROMOTE_ENOUGH);
    assert_true(evidence.soft_hold);
    assert_false(evidence.enough);
    assert_non_null(strstr(evidence.sentence, "green looks worse than blue"));
    assert_null(strstr(evidence.sentence, "e+"));
    assert_int_equal(xf_judge_standing(&judge), 0);
}

static void spent_evidence_begins_anew_and_other_is_kept(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_evidence evidence;
    struct traffic traffic = {.chance = 11, .rps = 200, .weight = 500};
    begin(&judge, 500);
    assert_int_equal(run(&judge, &traffic, START_MS, 10000, ANY), -1);
    xf_judge_step_started(&judge, START_MS + 10000, 2500);
    xf_judge_evidence(&judge, &evidence);
    assert_true(evidence.green > 50);
    traffic.weight = 2500;
    assert_int_equal(run(&judge, &traffic, START_MS + 10000, 90000, ANY), -1);
    xf_judge_evidence(&judge, &evidence);
    assert_true(evidence.enough);
    assert_string_equal(evidence.sentence, "");
    assert_null(xf_judge_explain_json(&judge, XF_JUDGE_EVIDENCE));
    xf_judge_step_started(&judge, START_MS + 100000, 5000);
    xf_judge_evidence(&judge, &evidence);
    assert_int_equal(evidence.green, 0);
}

/* ---- attempts, learning ---- */

static void a_reset_forgets_and_numbers_the_attempt(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge_verdict verdict;
    struct traffic traffic = {.chance = 12, .rps = 200, .weight = 500, .green = 0.5};
    begin(&judge, 500);
    assert_true(run(&judge, &traffic, START_MS, 60000, PAUSES) > 0);
    xf_judge_reset(&judge, START_MS + 60000);
    assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_NONE);
    assert_string_equal(verdict.sentence, "");
    assert_int_equal(judge.attempt, 2);
    assert_true(run(&judge, &traffic, START_MS + 60000, 60000, PAUSES) > 0);
    xf_judge_verdict(&judge, &verdict);
    assert_non_null(strstr(verdict.sentence, "paused at 5 % (attempt 2): "));
    verify(&judge, verdict.rule);
}

/* No step begins then: a weight by hand before the first one, a ramp resumed at weight 0. */
static void a_weight_without_a_step_is_judged(void **state)
{
    (void) state;
    struct xf_judge_options options;
    xf_judge_options_default(&options);
    for (unsigned reset = 0; reset < 2; reset++) {
        struct xf_judge judge;
        struct xf_judge_verdict verdict;
        struct traffic traffic = {.chance = 13, .rps = 200, .weight = 500, .green = 0.5};
        xf_judge_init(&judge, &options, START_MS);
        if (reset == 1) {
            xf_judge_step_started(&judge, START_MS, 500);
            xf_judge_set_weight(&judge, 0);
            xf_judge_reset(&judge, START_MS);
        }
        xf_judge_advance(&judge, START_MS + 30000);
        xf_judge_set_weight(&judge, 500);
        assert_true(run(&judge, &traffic, START_MS + 30000, 60000, PAUSES) > 0);
        assert_int_equal(xf_judge_verdict(&judge, &verdict), XF_JUDGE_ERRORS);
        verify(&judge, verdict.rule);
    }
}

static void a_blue_that_fails_much_itself_raises_the_budget(void **state)
{
    (void) state;
    struct xf_judge_options options;
    struct xf_judge judge;
    struct xf_judge_cell cell;
    struct xf_judge_counts counts = {.done = 5000, .bad = 200}; /* 4 % */
    xf_judge_options_default(&options);
    xf_judge_init(&judge, &options, START_MS - 60000);
    xf_judge_cell_init(&cell, START_MS - 60000, 60000);
    xf_judge_cell_add(&cell, 0, XF_JUDGE_BLUE, &counts);
    xf_judge_learn(&judge, &cell);
    xf_judge_step_started(&judge, START_MS, 8000);
    assert_true(fabs(judge.limit - 0.12) < 1e-12);
    assert_true(fabs(judge.budget.options.limit - 0.12) < 1e-12);
}

static unsigned learn_blip(double burst_ms, double burst_errors, double burst_rate, double rate)
{
    struct xf_judge_options options;
    struct xf_judge judge;
    struct traffic traffic = {.chance = 13};
    double until_ms = 0;
    xf_judge_options_default(&options);
    xf_judge_init(&judge, &options, START_MS);
    for (int64_t t_ms = 0; t_ms < 1800000; t_ms += XF_CELL_MS) {
        struct xf_judge_cell cell;
        struct xf_judge_counts counts = {.done = 10};
        if (draw(&traffic) < burst_rate * XF_CELL_MS / 1000) {
            until_ms = (double) t_ms + burst_ms;
        }
        counts.bad = draw_poisson(&traffic, rate * XF_CELL_MS / 1000);
        if ((double) t_ms < until_ms) {
            counts.bad += draw_poisson(&traffic, burst_errors * XF_CELL_MS / burst_ms);
        }
        xf_judge_cell_init(&cell, START_MS + t_ms, XF_CELL_MS);
        xf_judge_cell_add(&cell, 0, XF_JUDGE_BLUE, &counts);
        xf_judge_learn(&judge, &cell);
    }
    xf_judge_step_started(&judge, START_MS + 1800000, 100);
    return judge.blip_ms;
}

static void the_blip_is_learnt_from_blues_bursts(void **state)
{
    (void) state;
    assert_int_equal(learn_blip(1, 0, 0, 2), 100);     /* single errors */
    assert_int_equal(learn_blip(1, 0, 0, 0), 100);     /* none at all */
    unsigned blip_ms = learn_blip(400, 20, 0.05, 0.2); /* bursts of 0.4 s */
    assert_true(blip_ms >= 400 && blip_ms <= 800);
    blip_ms = learn_blip(1600, 40, 0.02, 0.2);
    assert_true(blip_ms >= 1600 && blip_ms <= 3200);
}

static void tau_is_known_from_1000_responses(void **state)
{
    (void) state;
    uint64_t buckets[XF_HISTOGRAM_BUCKETS] = {0};
    buckets[xf_histogram_bucket(10000)] = 985;
    buckets[xf_histogram_bucket(135000)] = 14;
    assert_int_equal(xf_judge_tau_us(buckets), 0);
    buckets[xf_histogram_bucket(900000)]++;
    assert_int_equal(xf_judge_tau_us(buckets), 139264);
}

static void options_out_of_range_are_named(void **state)
{
    (void) state;
    struct xf_judge_options options;
    struct xf_error err;
    xf_judge_options_default(&options);
    assert_int_equal(xf_judge_options_check(&options, &err), 0);
    options.blip_ms = 120;
    assert_int_equal(xf_judge_options_check(&options, &err), -1);
    assert_non_null(strstr(err.message, "blip"));
    options.blip_ms = 150;
    options.limit = NAN;
    assert_int_equal(xf_judge_options_check(&options, &err), -1);
    assert_non_null(strstr(err.message, "errors.limit"));
}

/* ---- another leader, the log ---- */

static void a_new_leader_goes_on_at_any_cell(void **state)
{
    (void) state;
    struct xf_judge alone;
    struct xf_judge led;
    struct xf_judge_verdict a;
    struct xf_judge_verdict b;
    struct traffic traffic = {.chance = 14,
                              .rps = 200,
                              .weight = 500,
                              .blue = 0.01,
                              .green = 0.1,
                              .blue_slow = 0.01,
                              .green_slow = 0.02};
    begin(&alone, 500);
    begin(&led, 500);
    for (int64_t at_ms = 0; at_ms < 60000 && xf_judge_standing(&alone) == 0; at_ms += XF_CELL_MS) {
        struct xf_judge_cell cell;
        struct xf_error err;
        draw_cell(&traffic, START_MS + at_ms, &cell);
        xf_judge_feed(&alone, &cell);
        xf_judge_feed(&led, &cell);
        char *text = xf_judge_save(&led);
        assert_non_null(text);
        assert_true(strlen(text) < 16384);
        begin(&led, 100); /* what a new leader makes before it loads */
        assert_int_equal(xf_judge_load(&led, text, &err), 0);
        free(text);
    }
    assert_int_equal(xf_judge_verdict(&alone, &a), XF_JUDGE_ERRORS);
    assert_int_equal(xf_judge_verdict(&led, &b), XF_JUDGE_ERRORS);
    assert_string_equal(a.sentence, b.sentence);
    assert_true(a.n == b.n);
    assert_int_equal(a.at_ms, b.at_ms);
}

static void a_foreign_or_damaged_checkpoint_is_refused(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_judge other;
    struct xf_error err;
    struct traffic traffic = {.chance = 15, .rps = 200, .weight = 500, .blue = .05, .green = .05};
    begin(&judge, 500);
    (void) run(&judge, &traffic, START_MS, 5000, ANY);
    char *text = xf_judge_save(&judge);
    struct xf_judge_options options = judge.options;
    options.worse_than = 1.3;
    xf_judge_init(&other, &options, START_MS);
    assert_int_equal(xf_judge_load(&other, text, &err), -1);
    static const char *const refused[] = {"", "{}", "[]", "{\"schema\": 1}", "{\"schema\": 2}"};
    for (size_t i = 0; i < XF_COUNT(refused); i++) {
        assert_int_equal(xf_judge_load(&judge, refused[i], &err), -1);
    }
    /* Every number replaced in turn by what must not stand there: refused, or at least harmless. */
    static const char *const wrong[] = {"-1", "1e308", "null", "9007199254740993", "\"x\""};
    json_t *whole = json_loads(text, 0, NULL);
    json_t *numbers = json_object_get(whole, "state");
    for (size_t i = 0; i < json_array_size(numbers); i++) {
        for (size_t k = 0; k < XF_COUNT(wrong); k++) {
            json_t *damaged = json_deep_copy(whole);
            json_t *value = json_loads(wrong[k], JSON_DECODE_ANY, NULL);
            json_array_set_new(json_object_get(damaged, "state"), i, value);
            char *damaged_text = json_dumps(damaged, JSON_REAL_PRECISION(17));
            begin(&other, 500);
            if (xf_judge_load(&other, damaged_text, &err) == 0) {
                struct traffic more = {.chance = i, .rps = 200, .weight = 500, .green = 0.5};
                struct xf_judge_verdict verdict;
                struct xf_judge_evidence evidence;
                (void) run(&other, &more, START_MS + 5000, 1000, 0);
                (void) xf_judge_verdict(&other, &verdict);
                xf_judge_evidence(&other, &evidence);
            }
            free(damaged_text);
            json_decref(damaged);
        }
    }
    json_decref(whole);
    free(text);
}

static void a_changed_log_entry_does_not_bear_its_verdict(void **state)
{
    (void) state;
    struct xf_judge judge;
    struct xf_error err;
    struct traffic traffic = {.chance = 16, .rps = 200, .weight = 500, .blue = .01, .green = .2};
    begin(&judge, 500);
    assert_true(run(&judge, &traffic, START_MS, 60000, PAUSES) > 0);
    json_t *payload = xf_judge_explain_json(&judge, XF_JUDGE_ERRORS);
    assert_int_equal(xf_judge_verify_json(payload, &err), 0);
    json_t *changed = json_deep_copy(payload);
    json_object_set_new(changed, "n", json_real(1e6));
    assert_int_equal(xf_judge_verify_json(changed, &err), -1);
    json_decref(changed);
    changed = json_deep_copy(payload);
    json_object_set_new(changed, "sentence", json_string("all is well"));
    assert_int_equal(xf_judge_verify_json(changed, &err), -1);
    json_decref(changed);
    changed = json_deep_copy(payload);
    json_t *blocks = json_object_get(json_object_get(changed, "inputs"), "blocks");
    assert_true(json_array_size(blocks) > 0);
    json_array_remove(blocks, json_array_size(blocks) - 1);
    assert_int_equal(xf_judge_verify_json(changed, &err), -1);
    json_decref(changed);
    changed = json_deep_copy(payload);
    json_object_del(changed, "inputs");
    assert_int_equal(xf_judge_verify_json(changed, &err), -1);
    json_decref(changed);
    json_decref(payload);
    assert_int_equal(xf_judge_verify_json(NULL, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_green_that_fails_is_paused_within_few_responses),
        cmocka_unit_test(the_errors_sentence_has_its_numbers),
        cmocka_unit_test(client_errors_are_a_stream_of_their_own),
        cmocka_unit_test(a_slow_green_is_paused_for_latency),
        cmocka_unit_test(a_hung_green_is_judged_though_nothing_ends),
        cmocka_unit_test(a_green_that_answers_nothing_fails_within_seconds),
        cmocka_unit_test(a_green_that_is_only_slow_is_not_silent),
        cmocka_unit_test(where_blue_answers_nothing_either_it_is_both),
        cmocka_unit_test(at_full_weight_only_the_budget_sees),
        cmocka_unit_test(both_comes_and_goes_and_blames_nobody),
        cmocka_unit_test(when_blue_recovers_alone_green_is_judged),
        cmocka_unit_test(a_wrong_split_is_flagged_until_it_is_right),
        cmocka_unit_test(equal_clusters_are_hardly_ever_paused),
        cmocka_unit_test(errors_sent_at_no_or_full_weight_say_nothing),
        cmocka_unit_test(sums_stay_finite_whatever_comes),
        cmocka_unit_test(a_burst_is_one_piece_of_evidence),
        cmocka_unit_test(errors_are_judged_by_the_split_at_dispatch),
        cmocka_unit_test(evidence_tells_what_is_missing),
        cmocka_unit_test(before_green_has_answered_blues_traffic_tells_how_long),
        cmocka_unit_test(a_healthy_green_is_proved_after_437_clean_responses),
        cmocka_unit_test(evidence_against_green_holds_the_step_softly),
        cmocka_unit_test(spent_evidence_begins_anew_and_other_is_kept),
        cmocka_unit_test(a_reset_forgets_and_numbers_the_attempt),
        cmocka_unit_test(a_weight_without_a_step_is_judged),
        cmocka_unit_test(a_blue_that_fails_much_itself_raises_the_budget),
        cmocka_unit_test(the_blip_is_learnt_from_blues_bursts),
        cmocka_unit_test(tau_is_known_from_1000_responses),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(a_new_leader_goes_on_at_any_cell),
        cmocka_unit_test(a_foreign_or_damaged_checkpoint_is_refused),
        cmocka_unit_test(a_changed_log_entry_does_not_bear_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
