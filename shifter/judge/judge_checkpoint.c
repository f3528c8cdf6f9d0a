/*
 * judge_checkpoint.c -- the judge's state as a small text, so that a new leader goes on.
 *
 * One walk names every field once and serves both ways: writing appends the field to an array of
 * numbers, reading takes the next one.  So a field cannot be saved and forgotten on loading.
 */
#include "shifter/judge/judge_checkpoint.h"

#include "config/base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    json_t *numbers;
    bool reading;
    size_t next; /* reading: index of the next number */
    bool failed;
};

static void walk_int64(struct walk *walk, int64_t *field)
{
    if (!walk->reading) {
        walk->failed |= json_array_append_new(walk->numbers, json_integer(*field)) != 0;
        return;
    }
    const json_t *number = json_array_get(walk->numbers, walk->next++);
    if (!json_is_integer(number)) {
        walk->failed = true;
        return;
    }
    *field = json_integer_value(number);
}

/* A whole number from 0 to `most`. */
static uint64_t walk_whole(struct walk *walk, uint64_t value, uint64_t most)
{
    int64_t number = (int64_t) value;
    walk_int64(walk, &number);
    if (number < 0 || (uint64_t) number > most) {
        walk->failed = true;
        return value;
    }
    return (uint64_t) number;
}

static void walk_count(struct walk *walk, uint64_t *field)
{
    *field = walk_whole(walk, *field, (uint64_t) 1 << 62);
}

static void walk_unsigned(struct walk *walk, unsigned *field, unsigned most)
{
    *field = (unsigned) walk_whole(walk, *field, most);
}

static void walk_bool(struct walk *walk, bool *field)
{
    *field = walk_whole(walk, *field, 1) != 0;
}

/* A finite number; evidence, shares and masses are never negative, logarithms may be. */
static void walk_signed_double(struct walk *walk, double *field)
{
    if (!walk->reading) {
        walk->failed |= json_array_append_new(walk->numbers, json_real(*field)) != 0;
        return;
    }
    const json_t *number = json_array_get(walk->numbers, walk->next++);
    if (!json_is_number(number) || !isfinite(json_number_value(number))) {
        walk->failed = true;
        return;
    }
    *field = json_number_value(number);
}

static void walk_double(struct walk *walk, double *field)
{
    walk_signed_double(walk, field);
    walk->failed |= *field < 0;
}

static void walk_share(struct walk *walk, double *field)
{
    walk_double(walk, field);
    walk->failed |= *field > 1;
}

/* Times stay far from where their differences would overflow. */
static void walk_time(struct walk *walk, int64_t *field)
{
    walk_int64(walk, field);
    walk->failed |= *field < -((int64_t) 1 << 61) || *field > (int64_t) 1 << 61;
}

static void walk_totals(struct walk *walk, struct xf_totals *totals)
{
    walk_time(walk, &totals->t_us);
    walk_count(walk, &totals->done_blue);
    walk_count(walk, &totals->done_green);
    walk_count(walk, &totals->bad_blue);
    walk_count(walk, &totals->bad_green);
}

/* What was counted later is not less. */
static void check_later(struct walk *walk, const struct xf_totals *since,
                        const struct xf_totals *until)
{
    walk->failed |= since->done_blue > until->done_blue || since->done_green > until->done_green ||
                    since->bad_blue > until->bad_blue || since->bad_green > until->bad_green;
}

static void walk_options(struct walk *walk, struct xf_judge_options *options)
{
    walk_double(walk, &options->false_pause);
    walk_double(walk, &options->worse_than);
    walk_double(walk, &options->ignore_below);
    walk_double(walk, &options->limit);
    walk_bool(walk, &options->latency);
    walk_double(walk, &options->latency_worse_than);
    walk_double(walk, &options->latency_ignore_below);
    walk_double(walk, &options->prove_errors_below);
    walk_double(walk, &options->prove_ratio_below);
    walk_unsigned(walk, &options->blip_ms, XF_JUDGE_BLIP_MS_MAX);
    walk_unsigned(walk, &options->steps, XF_PLAN_STEPS_MAX);
    walk_time(walk, &options->planned_ms);
    walk_unsigned(walk, &options->judges, XF_PROXIES_MAX);
    walk_bool(walk, &options->watch_4xx);
    walk_bool(walk, &options->sticky);
    walk_bool(walk, &options->exact);
}

/* The options of a detector, its ratios and their number included: a verdict in the log is
 * recomputed with those of its own time. */
static void walk_detector(struct walk *walk, struct xf_detector *detector)
{
    walk_double(walk, &detector->options.worse_than);
    walk_bool(walk, &detector->options.latency);
    walk_share(walk, &detector->options.alpha);
    walk_share(walk, &detector->options.floor);
    walk_unsigned(walk, &detector->options.steps, XF_PLAN_STEPS_MAX);
    walk_time(walk, &detector->options.planned_us);
    walk_unsigned(walk, &detector->count, XF_DETECTOR_ALTERNATIVES);
    walk->failed |= detector->count == 0 || detector->options.steps == 0;
    walk->failed |= detector->options.planned_us <= 0 || !(detector->options.alpha > 0);
    walk->failed |= !(detector->options.worse_than > 0);
    walk_bool(walk, &detector->stepped);
    walk_time(walk, &detector->last_us);
    walk_double(walk, &detector->pending);
    walk_double(walk, &detector->mass);
    walk_double(walk, &detector->value);
    walk_double(walk, &detector->value_max);
    walk_unsigned(walk, &detector->incidents, UINT32_MAX);
    walk_totals(walk, &detector->totals);
    for (unsigned j = 0; j < detector->count && !walk->failed; j++) {
        walk_double(walk, &detector->ratio[j]);
        walk_double(walk, &detector->sum[j]);
        walk_double(walk, &detector->cusum[j]);
        walk_totals(walk, &detector->since[j]);
        check_later(walk, &detector->since[j], &detector->totals);
        walk->failed |= !(detector->ratio[j] > 0) || detector->ratio[j] > 1e9;
    }
}

static void walk_block(struct walk *walk, struct xf_block *block)
{
    walk_time(walk, &block->opened_us);
    walk_unsigned(walk, &block->count, XF_JUDGE_ENTRIES_MAX);
    for (unsigned i = 0; i < block->count && !walk->failed; i++) {
        walk_share(walk, &block->shares[i].rho);
        walk_count(walk, &block->shares[i].green);
        walk_count(walk, &block->shares[i].blue);
    }
}

static void walk_stream(struct walk *walk, struct xf_judge_stream_state *stream)
{
    walk_bool(walk, &stream->open);
    walk_block(walk, &stream->block);
    walk_totals(walk, &stream->totals);
    walk_detector(walk, &stream->detector);
    check_later(walk, &stream->detector.totals, &stream->totals);
}

static void walk_budget(struct walk *walk, struct xf_budget *budget)
{
    walk_share(walk, &budget->options.limit);
    walk_share(walk, &budget->options.alpha);
    walk_unsigned(walk, &budget->options.steps, XF_PLAN_STEPS_MAX);
    walk_time(walk, &budget->options.planned_us);
    walk->failed |= budget->options.steps == 0 || budget->options.planned_us <= 0;
    walk->failed |= !(budget->options.alpha > 0) || !(budget->options.limit > 0) ||
                    !(budget->options.limit < 1);
    walk_bool(walk, &budget->open);
    walk_time(walk, &budget->opened_us);
    walk_count(walk, &budget->block_done);
    walk_count(walk, &budget->block_bad);
    walk->failed |= budget->block_bad > budget->block_done;
    walk->failed |= budget->open && budget->block_done == 0;
    walk_bool(walk, &budget->stepped);
    walk_time(walk, &budget->last_us);
    walk_double(walk, &budget->pending);
    walk_double(walk, &budget->mass);
    walk_double(walk, &budget->value);
    walk_double(walk, &budget->value_max);
    walk_totals(walk, &budget->totals);
    walk_totals(walk, &budget->recent);
    check_later(walk, &budget->recent, &budget->totals);
    for (unsigned k = 0; k < XF_BUDGET_ALTERNATIVES; k++) {
        walk_share(walk, &budget->share[k]);
        walk_double(walk, &budget->sum[k]);
        walk_double(walk, &budget->cusum[k]);
        walk_totals(walk, &budget->since[k]);
        check_later(walk, &budget->since[k], &budget->totals);
    }
}

static void walk_promote(struct walk *walk, struct xf_promote *promote)
{
    walk_share(walk, &promote->options.errors_below);
    walk_double(walk, &promote->options.ratio_below);
    walk->failed |= !(promote->options.errors_below > 0) || !(promote->options.ratio_below > 0) ||
                    !(promote->options.errors_below < 1);
    for (unsigned k = 0; k < XF_PROMOTE_RATIOS; k++) {
        walk_double(walk, &promote->ratio[k]);
    }
    for (unsigned k = 0; k < XF_PROMOTE_SHARES; k++) {
        walk_double(walk, &promote->share[k]);
    }
    walk_bool(walk, &promote->open);
    walk_time(walk, &promote->opened_us);
    walk_count(walk, &promote->block_done);
    walk_count(walk, &promote->block_bad);
    walk->failed |= promote->block_bad > promote->block_done;
    walk->failed |= promote->open && promote->block_done == 0;
    walk_time(walk, &promote->begun_us);
    walk_count(walk, &promote->blocks);
    walk_count(walk, &promote->green);
    walk_count(walk, &promote->green_bad);
    walk->failed |= promote->green_bad > promote->green;
    walk_count(walk, &promote->blue);
}

static void walk_segment(struct walk *walk, struct xf_router_segment *segment)
{
    walk_share(walk, &segment->rho);
    walk_count(walk, &segment->blue);
    walk_count(walk, &segment->green);
    walk_signed_double(walk, &segment->log_bf);
}

static void walk_router(struct walk *walk, struct xf_router *router)
{
    walk_unsigned(walk, &router->number, UINT32_MAX);
    walk_segment(walk, &router->now);
    walk_time(walk, &router->looked_us);
    walk_bool(walk, &router->flagged);
    walk_segment(walk, &router->found);
}

static void walk_blip(struct walk *walk, struct xf_blip *blip)
{
    walk_time(walk, &blip->first_ms);
    walk_time(walk, &blip->last_ms);
    walk_double(walk, &blip->errors);
    for (unsigned k = 0; k < XF_BLIP_SCALES; k++) {
        walk_time(walk, &blip->scales[k].window);
        walk_double(walk, &blip->scales[k].open);
        walk_double(walk, &blip->scales[k].squares);
    }
}

static void walk_finding(struct walk *walk, struct xf_judge_finding *finding)
{
    walk_bool(walk, &finding->standing);
    unsigned kind = finding->kind;
    walk_unsigned(walk, &kind, XF_FINDING_KINDS - 1);
    finding->kind = (enum xf_finding_kind) kind;
    walk_time(walk, &finding->at_us);
    walk_share(walk, &finding->rho);
    walk_double(walk, &finding->n);
    walk_share(walk, &finding->limit);
    walk_totals(walk, &finding->window);
}

static void walk_judge(struct walk *walk, struct xf_judge *judge)
{
    walk_unsigned(walk, &judge->attempt, UINT32_MAX);
    walk_time(walk, &judge->begun_us);
    walk_time(walk, &judge->seen_us);
    walk_bool(walk, &judge->stepped);
    walk_share(walk, &judge->rho);
    walk_unsigned(walk, &judge->blip_ms, XF_JUDGE_BLIP_MS_MAX);
    walk_share(walk, &judge->limit);
    walk_count(walk, &judge->blue_done);
    walk_count(walk, &judge->blue_bad);
    walk_blip(walk, &judge->blip);
    for (unsigned i = 0; i < XF_STREAMS; i++) {
        walk_stream(walk, &judge->streams[i]);
    }
    walk_budget(walk, &judge->budget);
    walk_promote(walk, &judge->promote);
    walk_router(walk, &judge->router);
    for (unsigned rule = 0; rule < XF_JUDGE_RULES; rule++) {
        walk_finding(walk, &judge->findings[rule]);
    }
    walk_time(walk, &judge->marks.soft_hold_us);
    walk_time(walk, &judge->marks.both_us);
    walk_time(walk, &judge->marks.router_us);
    walk_time(walk, &judge->marks.enough_us);
}

/* ---- parts, for the log ---- */

static json_t *written(struct walk *walk)
{
    if (walk->failed) {
        json_decref(walk->numbers);
        return NULL;
    }
    return walk->numbers;
}

static bool read_whole(const struct walk *walk)
{
    return !walk->failed && walk->next == json_array_size(walk->numbers);
}

#define DEFINE_PART(type, part, walk_part)                                                         \
    json_t *part##_json(const struct type *value)                                                  \
    {                                                                                              \
        struct type copy = *value;                                                                 \
        struct walk walk = {.numbers = json_array()};                                              \
        walk_part(&walk, &copy);                                                                   \
        return written(&walk);                                                                     \
    }                                                                                              \
    bool part##_from_json(const json_t *array, struct type *ret)                                   \
    {                                                                                              \
        struct type value = {0};                                                                   \
        struct walk walk = {.numbers = (json_t *) array, .reading = true};                         \
        walk_part(&walk, &value);                                                                  \
        if (!read_whole(&walk)) {                                                                  \
            return false;                                                                          \
        }                                                                                          \
        *ret = value;                                                                              \
        return true;                                                                               \
    }

DEFINE_PART(xf_judge_options, xf_judge_options, walk_options)
DEFINE_PART(xf_detector, xf_detector, walk_detector)
DEFINE_PART(xf_budget, xf_budget, walk_budget)
DEFINE_PART(xf_promote, xf_promote, walk_promote)
DEFINE_PART(xf_totals, xf_totals, walk_totals)

/* ---- the whole ---- */

char *xf_judge_save(const struct xf_judge *judge)
{
    struct xf_judge *copy = malloc(sizeof(*copy));
    struct walk walk = {.numbers = json_array()};
    json_t *options = xf_judge_options_json(&judge->options);
    char *text = NULL;
    if (copy != NULL && options != NULL) {
        *copy = *judge;
        walk_judge(&walk, copy);
        json_t *numbers = written(&walk);
        json_t *whole = json_pack("{s:i, s:O, s:o*}", "schema", XF_JUDGE_CHECKPOINT_SCHEMA,
                                  "options", options, "state", numbers);
        if (numbers != NULL && whole != NULL) {
            text = json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(17));
        }
        json_decref(whole);
    } else {
        json_decref(walk.numbers);
    }
    json_decref(options);
    free(copy);
    return text;
}

static bool same_options(const json_t *saved, const struct xf_judge_options *options)
{
    struct xf_judge_options read;
    if (!xf_judge_options_from_json(saved, &read)) {
        return false;
    }
    json_t *a = xf_judge_options_json(&read);
    json_t *b = xf_judge_options_json(options);
    bool same = a != NULL && b != NULL && json_equal(a, b) != 0;
    json_decref(a);
    json_decref(b);
    return same;
}

static int load_whole(struct xf_judge *judge, const json_t *whole, struct xf_error *err)
{
    if (json_integer_value(json_object_get(whole, "schema")) != XF_JUDGE_CHECKPOINT_SCHEMA) {
        return XF_FAIL(err, XF_E_FAILED, "the judge's checkpoint has an unknown schema");
    }
    if (!same_options(json_object_get(whole, "options"), &judge->options)) {
        return XF_FAIL(err, XF_E_FAILED, "the judge's checkpoint is of another guard");
    }
    struct walk walk = {.numbers = json_object_get(whole, "state"), .reading = true};
    struct xf_judge *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for the judge");
    }
    *copy = *judge;
    walk_judge(&walk, copy);
    bool whole_read = read_whole(&walk);
    if (whole_read) {
        for (unsigned i = 0; i < XF_STREAMS; i++) {
            xf_trail_start(&copy->streams[i].trail, &copy->streams[i].detector);
        }
        xf_budget_trail_start(&copy->budget_trail, &copy->budget);
        *judge = *copy;
    }
    free(copy);
    return whole_read ? 0 : XF_FAIL(err, XF_E_FAILED, "the judge's checkpoint is damaged");
}

int xf_judge_load(struct xf_judge *judge, const char *text, struct xf_error *err)
{
    json_t *whole = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (whole == NULL) {
        return XF_FAIL(err, XF_E_FAILED, "the judge's checkpoint is no JSON");
    }
    int done = load_whole(judge, whole, err);
    json_decref(whole);
    return done;
}
