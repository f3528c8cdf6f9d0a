/*
 * lone_judge.c -- follows the document, closes its own cells, asks the judge; see lone_judge.h.
 */
#include "shifter/agent/lone_judge.h"

#include "shifter/control/grid.h"
#include "shifter/judge/judge.h"
#include "shifter/plan/plan_judge.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define OFFSET_CHANGE_US  1000000 /* the cells are labelled by another clock now */
#define LEADER_DECIDES_MS 5000

struct xf_lone_judge {
    bool judging;
    uint64_t attempt; /* of the document; 0: of none yet */
    uint64_t step_entry;
    unsigned verdict_attempt;
    int64_t offset_us;
    int64_t standing_since_ms; /* monotonic; -1: no verdict stands */
    bool said;                 /* what stands was said */
    struct xf_judge_verdict verdict;
    char *verdict_json; /* owned */
    uint64_t seq;       /* of the cells given to the grid */
    struct xf_grid grid;
    struct xf_judge judge;
};

struct xf_lone_judge *xf_lone_judge_create(void)
{
    struct xf_lone_judge *lone = calloc(1, sizeof(*lone));
    if (lone != NULL) {
        lone->standing_since_ms = -1;
    }
    return lone;
}

void xf_lone_judge_destroy(struct xf_lone_judge *lone)
{
    if (lone != NULL) {
        free(lone->verdict_json);
        free(lone);
    }
}

static unsigned judges_of(const struct xf_lone_facts *facts)
{
    return facts->fleet > 1 ? facts->fleet : 1;
}

static void forget_standing(struct xf_lone_judge *lone)
{
    lone->standing_since_ms = -1;
    lone->said = false;
}

static void begin_attempt(struct xf_lone_judge *lone, const struct xf_lone_facts *facts)
{
    struct xf_judge_options options;
    xf_plan_judge_options(facts->document->plan, facts->sticky, &options);
    options.judges = judges_of(facts);
    lone->attempt = facts->document->attempts;
    lone->verdict_attempt = facts->document->verdict_attempt;
    lone->step_entry = UINT64_MAX;
    lone->offset_us = facts->clock_offset_us;
    lone->judging = xf_judge_options_check(&options, NULL) == 0;
    forget_standing(lone);
    xf_grid_init(&lone->grid);
    if (lone->judging) {
        xf_judge_init(&lone->judge, &options, facts->store_ms);
    }
}

static void begin_anew(struct xf_lone_judge *lone, int64_t store_ms)
{
    xf_judge_reset(&lone->judge, store_ms);
    lone->judge.attempt = lone->verdict_attempt; /* as the document counts them */
    forget_standing(lone);
}

/* Keeps it in the attempt, the step and the weight that are served, and in a fleet of that size. */
static void follow(struct xf_lone_judge *lone, const struct xf_lone_facts *facts)
{
    const struct xf_document *document = facts->document;
    if (lone->attempt != document->attempts ||
        llabs(facts->clock_offset_us - lone->offset_us) > OFFSET_CHANGE_US) {
        begin_attempt(lone, facts);
    }
    if (!lone->judging) {
        return;
    }
    if (lone->verdict_attempt != document->verdict_attempt ||
        lone->judge.options.judges != judges_of(facts)) {
        lone->judge.options.judges = judges_of(facts);
        lone->verdict_attempt = document->verdict_attempt;
        begin_anew(lone, facts->store_ms);
    }
    if (lone->step_entry != document->step_entry && document->step >= 0) {
        if (lone->step_entry == UINT64_MAX) {
            xf_judge_learnt(&lone->judge, &facts->learnt);
        }
        xf_judge_step_started(&lone->judge, facts->store_ms, facts->weight);
        lone->step_entry = document->step_entry;
    }
    xf_judge_set_weight(&lone->judge, facts->weight);
}

void xf_lone_judge_take(struct xf_lone_judge *lone, const struct xf_lone_facts *facts,
                        struct xf_message_cell *cells, size_t count)
{
    struct xf_message_samples samples = {
        .seq = lone->seq + 1, .cells = cells, .cells_count = count};
    if (count > 0 && lone->judging && lone->attempt == facts->document->attempts) {
        lone->seq++;
        (void) xf_grid_add(&lone->grid, &samples, facts->store_ms);
    }
}

static void feed(struct xf_lone_judge *lone, const struct xf_lone_facts *facts)
{
    struct xf_judge_cell cell;
    while (xf_grid_take(&lone->grid, facts->store_ms, &cell)) {
        if (facts->document->step < 0 && facts->document->weight == 0) {
            xf_judge_learn(&lone->judge, &cell);
        } else {
            xf_judge_feed(&lone->judge, &cell);
        }
    }
    xf_judge_advance(&lone->judge, facts->store_ms - XF_GRID_CLOSE_MS);
}

/* The gravest rule that stands and asks for a retreat.  One whose hold stands in the document was
 * acted on by the leader, as the plan wanted; but where it wanted a retreat, weight was given back
 * by hand, and this is the verdict of a new attempt. */
static enum xf_judge_rule to_act_on(const struct xf_lone_judge *lone,
                                    const struct xf_document *document)
{
    static const enum xf_judge_rule rules[] = {XF_JUDGE_ERRORS, XF_JUDGE_BUDGET, XF_JUDGE_LATENCY};
    unsigned standing = xf_judge_standing(&lone->judge);
    for (size_t i = 0; i < XF_COUNT(rules); i++) {
        bool latency = rules[i] == XF_JUDGE_LATENCY;
        const struct xf_plan_guard *guard = &document->plan->guard;
        enum xf_guard_then then = latency ? guard->latency_then : guard->errors_then;
        bool asks = !latency || then >= XF_THEN_RETREAT;
        bool held = document->holds[latency ? XF_HOLD_LATENCY : XF_HOLD_ERRORS].on &&
                    then < XF_THEN_RETREAT;
        if ((standing >> rules[i] & 1) != 0 && asks && !held) {
            return rules[i];
        }
    }
    return XF_JUDGE_NONE;
}

static void keep_verdict(struct xf_lone_judge *lone, enum xf_judge_rule rule)
{
    struct xf_judge_verdict *verdict = &lone->verdict;
    xf_judge_verdict_of(&lone->judge, rule, verdict);
    json_t *object = json_pack(
        "{s:s, s:f, s:f, s:s, s:I, s:I}", "rule", xf_judge_rule_name(rule), "measured",
        verdict->measured, "limit", verdict->limit, "sentence", verdict->sentence, "samples_blue",
        (json_int_t) verdict->samples_blue, "samples_green", (json_int_t) verdict->samples_green);
    free(lone->verdict_json);
    lone->verdict_json = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
}

static bool ask(struct xf_lone_judge *lone, const struct xf_lone_facts *facts)
{
    enum xf_judge_rule rule = to_act_on(lone, facts->document);
    if (rule == XF_JUDGE_NONE) {
        forget_standing(lone);
        return false;
    }
    if (lone->standing_since_ms < 0) {
        lone->standing_since_ms = facts->monotonic_ms;
    }
    if (!facts->alone) {
        if (facts->monotonic_ms - lone->standing_since_ms >= LEADER_DECIDES_MS) {
            begin_anew(lone, facts->store_ms);
        }
        return false;
    }
    if (lone->said || facts->weight == 0) {
        return false;
    }
    lone->said = true;
    keep_verdict(lone, rule);
    return true;
}

bool xf_lone_judge_tick(struct xf_lone_judge *lone, const struct xf_lone_facts *facts)
{
    follow(lone, facts);
    if (!lone->judging) {
        return false;
    }
    feed(lone, facts);
    return ask(lone, facts);
}

const char *xf_lone_judge_sentence(const struct xf_lone_judge *lone)
{
    return lone->verdict.sentence;
}

const char *xf_lone_judge_verdict(const struct xf_lone_judge *lone)
{
    return lone->verdict_json;
}
