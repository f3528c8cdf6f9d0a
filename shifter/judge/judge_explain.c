/*
 * judge_explain.c -- what a verdict's log entry holds, and recomputing the verdict from it.
 */
#include "shifter/judge/judge_explain.h"

#include "shifter/judge/judge_checkpoint.h"
#include "shifter/judge/judge_sentence.h"

#include "config/base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIGURE_TOLERANCE 1e-9 /* relative; a store may print a double its own way */

/* ---- reading ---- */

static bool get_int(const json_t *object, const char *key, int64_t *ret)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) > (json_int_t) 1 << 61 ||
        json_integer_value(value) < -((json_int_t) 1 << 61)) {
        return false;
    }
    *ret = json_integer_value(value);
    return true;
}

static bool get_count(const json_t *value, uint64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *ret = (uint64_t) json_integer_value(value);
    return true;
}

static bool get_double(const json_t *object, const char *key, double max, double *ret)
{
    const json_t *value = json_object_get(object, key);
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 0 && number <= max)) {
        return false;
    }
    *ret = number;
    return true;
}

static bool read_share(const json_t *value, struct xf_block_share *ret)
{
    const json_t *rho = json_array_get(value, 0);
    ret->rho = json_number_value(rho);
    return json_is_number(rho) && ret->rho >= 0 && ret->rho <= 1 &&
           get_count(json_array_get(value, 1), &ret->green) &&
           get_count(json_array_get(value, 2), &ret->blue);
}

static bool read_block(const json_t *value, struct xf_trail_block *ret)
{
    const json_t *shares = json_object_get(value, "shares");
    size_t count = json_array_size(shares);
    if (count > XF_TRAIL_SHARES || !get_int(value, "opened_us", &ret->opened_us) ||
        !get_double(value, "mass", 1e9, &ret->mass) ||
        !xf_totals_from_json(json_object_get(value, "totals"), &ret->totals)) {
        return false;
    }
    ret->count = (unsigned) count;
    for (size_t i = 0; i < count; i++) {
        if (!read_share(json_array_get(shares, i), &ret->shares[i])) {
            return false;
        }
    }
    return true;
}

static bool read_budget_block(const json_t *value, struct xf_budget_block *ret)
{
    return get_int(value, "opened_us", &ret->opened_us) &&
           get_double(value, "mass", 1e9, &ret->mass) &&
           xf_totals_from_json(json_object_get(value, "totals"), &ret->totals) &&
           get_count(json_object_get(value, "done"), &ret->done) &&
           get_count(json_object_get(value, "bad"), &ret->bad) && ret->done > 0 &&
           ret->bad <= ret->done;
}

/* Each recompute_… fills `ret` from the inputs; false: they do not bear the verdict. */
static bool recompute_stream(const json_t *inputs, struct xf_judge_finding *ret)
{
    struct xf_detector detector;
    struct xf_trail_block block;
    const json_t *blocks = json_object_get(inputs, "blocks");
    if (!xf_detector_from_json(json_object_get(inputs, "base"), &detector)) {
        return false;
    }
    size_t i;
    const json_t *value;
    json_array_foreach((json_t *) blocks, i, value)
    {
        if (!read_block(value, &block)) {
            return false;
        }
        xf_trail_apply(&detector, &block);
    }
    ret->kind =
        json_is_true(json_object_get(inputs, "client_errors")) ? XF_FINDING_4XX : XF_FINDING_FAILS;
    ret->n = detector.value;
    ret->window = xf_detector_window(&detector);
    return xf_detector_alarm(&detector);
}

/* ---- writing ---- */

static json_t *block_json(const struct xf_trail_block *block)
{
    json_t *shares = json_array();
    for (unsigned i = 0; i < block->count; i++) {
        const struct xf_block_share *share = &block->shares[i];
        (void) json_array_append_new(shares,
                                     json_pack("[f, I, I]", share->rho, (json_int_t) share->green,
                                               (json_int_t) share->blue));
    }
    return json_pack("{s:I, s:f, s:o, s:o}", "opened_us", (json_int_t) block->opened_us, "mass",
                     block->mass, "totals", xf_totals_json(&block->totals), "shares", shares);
}

static json_t *stream_inputs(const struct xf_judge *judge, const struct xf_judge_finding *finding,
                             enum xf_judge_rule rule)
{
    enum xf_judge_stream which = XF_STREAM_ERRORS;
    if (rule == XF_JUDGE_LATENCY) {
        which = XF_STREAM_SLOW;
    } else if (finding->kind == XF_FINDING_4XX) {
        which = XF_STREAM_4XX;
    }
    const struct xf_trail *trail = &judge->streams[which].trail;
    json_t *blocks = json_array();
    for (unsigned i = 0; i < trail->count; i++) {
        (void) json_array_append_new(blocks, block_json(&trail->blocks[i]));
    }
    return json_pack("{s:b, s:I, s:f, s:o, s:o}", "client_errors", finding->kind == XF_FINDING_4XX,
                     "at_us", (json_int_t) finding->at_us, "rho", finding->rho, "base",
                     xf_detector_json(&trail->base), "blocks", blocks);
}

static json_t *budget_inputs(const struct xf_judge *judge, const struct xf_judge_finding *finding)
{
    const struct xf_budget_trail *trail = &judge->budget_trail;
    json_t *blocks = json_array();
    for (unsigned i = 0; i < trail->count; i++) {
        const struct xf_budget_block *block = &trail->blocks[i];
        (void) json_array_append_new(
            blocks,
            json_pack("{s:I, s:f, s:o, s:I, s:I}", "opened_us", (json_int_t) block->opened_us,
                      "mass", block->mass, "totals", xf_totals_json(&block->totals), "done",
                      (json_int_t) block->done, "bad", (json_int_t) block->bad));
    }
    return json_pack("{s:I, s:f, s:o, s:o}", "at_us", (json_int_t) finding->at_us, "rho",
                     finding->rho, "base", xf_budget_json(&trail->base), "blocks", blocks);
}

/* The latency verdict that an errors verdict for silence leans on has an entry of its own; its
 * blocks are here only while the trail still bears it. */
static json_t *silence_inputs(const struct xf_judge *judge, const struct xf_judge_finding *finding,
                              enum xf_judge_rule rule)
{
    const struct xf_totals *window = &finding->window;
    json_t *inputs =
        json_pack("{s:b, s:I, s:f, s:I, s:I, s:I, s:I}", "silence", true, "at_us",
                  (json_int_t) finding->at_us, "rho", finding->rho, "since_us",
                  (json_int_t) window->t_us, "asked", (json_int_t) window->done_green, "blue",
                  (json_int_t) window->done_blue, "blue_silent", (json_int_t) window->bad_blue);
    if (rule != XF_JUDGE_ERRORS) {
        return inputs;
    }
    const struct xf_judge_finding *latency = &judge->findings[XF_JUDGE_LATENCY];
    double alarm = 1 / judge->streams[XF_STREAM_SLOW].detector.options.alpha;
    json_t *slow = stream_inputs(judge, latency, XF_JUDGE_LATENCY);
    struct xf_judge_finding again = {.standing = true};
    if (recompute_stream(slow, &again) && again.n == latency->n) {
        (void) json_object_set(inputs, "slow", slow);
    }
    json_decref(slow);
    (void) json_object_set_new(inputs, "n", json_real(latency->n));
    (void) json_object_set_new(inputs, "alarm", json_real(alarm));
    return inputs;
}

static json_t *router_inputs(const struct xf_judge *judge, const struct xf_judge_finding *finding)
{
    return json_pack("{s:I, s:f, s:I, s:I, s:I}", "at_us", (json_int_t) finding->at_us, "rho",
                     finding->rho, "blue", (json_int_t) finding->window.done_blue, "green",
                     (json_int_t) finding->window.done_green, "steps",
                     (json_int_t) judge->options.steps);
}

static json_t *evidence_inputs(const struct xf_judge *judge)
{
    struct xf_judge_evidence_basis basis;
    xf_judge_evidence_basis(judge, &basis);
    return json_pack("{s:o, s:f, s:f, s:I, s:I, s:f}", "promote", xf_promote_json(&basis.promote),
                     "against", basis.against, "alarm", basis.alarm, "elapsed_us",
                     (json_int_t) basis.elapsed_us, "at_us", (json_int_t) basis.at_us, "rho",
                     basis.rho);
}

json_t *xf_judge_explain_json(const struct xf_judge *judge, enum xf_judge_rule rule)
{
    const struct xf_judge_finding *finding = &judge->findings[rule];
    struct xf_judge_verdict verdict;
    xf_judge_verdict_of(judge, rule, &verdict);
    if (verdict.rule == XF_JUDGE_NONE) {
        return NULL;
    }
    json_t *inputs;
    if (rule == XF_JUDGE_EVIDENCE) {
        inputs = evidence_inputs(judge);
    } else if (rule == XF_JUDGE_ROUTER) {
        inputs = router_inputs(judge, finding);
    } else if (finding->kind == XF_FINDING_SILENCE) {
        inputs = silence_inputs(judge, finding, rule);
    } else if (rule == XF_JUDGE_BUDGET || rule == XF_JUDGE_BOTH) {
        inputs = budget_inputs(judge, finding);
    } else {
        inputs = stream_inputs(judge, finding, rule);
    }
    return json_pack("{s:i, s:s, s:I, s:f, s:s, s:o, s:o}", "schema", XF_JUDGE_EXPLAIN_SCHEMA,
                     "rule", xf_judge_rule_name(rule), "attempt", (json_int_t) judge->attempt, "n",
                     verdict.n, "sentence", verdict.sentence, "options",
                     xf_judge_options_json(&judge->options), "inputs", inputs);
}

/* ---- recomputing ---- */

static bool recompute_budget(const json_t *inputs, enum xf_judge_rule rule,
                             struct xf_judge_finding *ret)
{
    struct xf_budget budget;
    struct xf_budget_block block;
    const json_t *blocks = json_object_get(inputs, "blocks");
    if (!xf_budget_from_json(json_object_get(inputs, "base"), &budget)) {
        return false;
    }
    size_t i;
    const json_t *value;
    json_array_foreach((json_t *) blocks, i, value)
    {
        if (!read_budget_block(value, &block)) {
            return false;
        }
        xf_budget_block_mass(&budget, &block);
    }
    ret->n = budget.value;
    ret->limit = budget.options.limit;
    ret->window = xf_budget_window(&budget);
    enum xf_budget_finding wanted = rule == XF_JUDGE_BOTH ? XF_BUDGET_BOTH : XF_BUDGET_OVER;
    return xf_budget_finding(&budget) == wanted;
}

static bool same_figure(double a, double b)
{
    return fabs(a - b) <= FIGURE_TOLERANCE * fmax(1, fabs(b));
}

static bool recompute_silence(const json_t *inputs, enum xf_judge_rule rule,
                              struct xf_judge_finding *ret)
{
    struct xf_totals *window = &ret->window;
    ret->kind = XF_FINDING_SILENCE;
    if (!get_int(inputs, "since_us", &window->t_us) ||
        !get_count(json_object_get(inputs, "asked"), &window->done_green) ||
        !get_count(json_object_get(inputs, "blue"), &window->done_blue) ||
        !get_count(json_object_get(inputs, "blue_silent"), &window->bad_blue) ||
        window->done_green < XF_SILENCE_ASKED_MIN || ret->at_us - window->t_us < XF_SILENCE_US) {
        return false;
    }
    window->bad_green = window->done_green;
    if (rule == XF_JUDGE_BOTH) {
        return window->bad_blue == window->done_blue && window->bad_blue >= XF_SILENCE_ASKED_MIN;
    }
    double alarm;
    struct xf_judge_finding latency = {.standing = true};
    const json_t *slow = json_object_get(inputs, "slow");
    if (!get_double(inputs, "n", 1e300, &ret->n) || !get_double(inputs, "alarm", 1e300, &alarm) ||
        (slow != NULL && !(recompute_stream(slow, &latency) && same_figure(latency.n, ret->n)))) {
        return false;
    }
    return ret->n >= alarm && window->done_blue > 0 && window->bad_blue == 0;
}

static bool recompute_router(const json_t *inputs, struct xf_judge_finding *ret)
{
    int64_t steps;
    if (!get_int(inputs, "steps", &steps) || steps < 1 || steps > XF_PLAN_STEPS_MAX ||
        !get_count(json_object_get(inputs, "blue"), &ret->window.done_blue) ||
        !get_count(json_object_get(inputs, "green"), &ret->window.done_green) ||
        !(ret->rho > 0 && ret->rho < 1)) {
        return false;
    }
    ret->window.t_us = ret->at_us;
    ret->n = xf_router_log_bf(ret->rho, ret->window.done_green, ret->window.done_blue);
    return ret->n >= xf_router_threshold((unsigned) steps, 0);
}

static bool recompute_evidence(const json_t *inputs, struct xf_judge_verdict *ret)
{
    struct xf_judge_evidence_basis basis;
    if (!xf_promote_from_json(json_object_get(inputs, "promote"), &basis.promote) ||
        !get_double(inputs, "against", 1e300, &basis.against) ||
        !get_double(inputs, "alarm", 1e300, &basis.alarm) ||
        !get_int(inputs, "elapsed_us", &basis.elapsed_us) ||
        !get_int(inputs, "at_us", &basis.at_us) || !get_double(inputs, "rho", 1, &basis.rho)) {
        return false;
    }
    xf_judge_sentence_evidence_verdict(&basis, ret);
    return ret->rule == XF_JUDGE_EVIDENCE;
}

static bool recompute_finding(const json_t *inputs, enum xf_judge_rule rule,
                              struct xf_judge_finding *ret)
{
    *ret = (struct xf_judge_finding){.standing = true};
    if (!get_int(inputs, "at_us", &ret->at_us) || !get_double(inputs, "rho", 1, &ret->rho)) {
        return false;
    }
    if (rule == XF_JUDGE_ROUTER) {
        return recompute_router(inputs, ret);
    }
    if (json_is_true(json_object_get(inputs, "silence"))) {
        return (rule == XF_JUDGE_ERRORS || rule == XF_JUDGE_BOTH) &&
               recompute_silence(inputs, rule, ret);
    }
    if (rule == XF_JUDGE_BUDGET || rule == XF_JUDGE_BOTH) {
        return recompute_budget(inputs, rule, ret);
    }
    return recompute_stream(inputs, ret);
}

static enum xf_judge_rule rule_named(const char *name)
{
    for (enum xf_judge_rule rule = XF_JUDGE_ERRORS; rule < XF_JUDGE_RULES; rule++) {
        if (name != NULL && strcmp(xf_judge_rule_name(rule), name) == 0) {
            return rule;
        }
    }
    return XF_JUDGE_NONE;
}

static bool recompute(const json_t *payload, enum xf_judge_rule rule, struct xf_judge_verdict *ret)
{
    const json_t *inputs = json_object_get(payload, "inputs");
    struct xf_judge_options options;
    struct xf_judge_finding finding;
    int64_t attempt;
    if (rule == XF_JUDGE_EVIDENCE) {
        return recompute_evidence(inputs, ret);
    }
    if (!xf_judge_options_from_json(json_object_get(payload, "options"), &options) ||
        !get_int(payload, "attempt", &attempt) || attempt < 1 || attempt > UINT32_MAX ||
        !recompute_finding(inputs, rule, &finding)) {
        return false;
    }
    xf_judge_sentence_finding(&options, (unsigned) attempt, rule, &finding, ret);
    return ret->rule == rule;
}

int xf_judge_verify_json(const json_t *payload, struct xf_error *err)
{
    const char *sentence = json_string_value(json_object_get(payload, "sentence"));
    enum xf_judge_rule rule = rule_named(json_string_value(json_object_get(payload, "rule")));
    double n = json_number_value(json_object_get(payload, "n"));
    struct xf_judge_verdict verdict;
    if (json_integer_value(json_object_get(payload, "schema")) != XF_JUDGE_EXPLAIN_SCHEMA ||
        rule == XF_JUDGE_NONE || sentence == NULL) {
        return XF_FAIL(err, XF_E_FAILED, "the entry holds no verdict of a known kind");
    }
    if (!recompute(payload, rule, &verdict)) {
        return XF_FAIL(err, XF_E_FAILED, "%s: what the entry holds does not bear its verdict",
                       xf_judge_rule_name(rule));
    }
    if (!same_figure(verdict.n, n)) {
        return XF_FAIL(err, XF_E_FAILED, "%s: recomputed 1 in %.12g, the entry says 1 in %.12g",
                       xf_judge_rule_name(rule), verdict.n, n);
    }
    if (strcmp(verdict.sentence, sentence) != 0) {
        return XF_FAIL(err, XF_E_FAILED, "%s: recomputed \"%.200s\"", xf_judge_rule_name(rule),
                       verdict.sentence);
    }
    return 0;
}
