/*
 * tenure_judge.c -- the judge of the cutover at hand: fed with the fleet's closed cells, kept in
 * step with the document, asked for its verdicts.
 */
#include "shifter/tenure_parts.h"

#include <stdlib.h>
#include <string.h>

static void options_of(const struct xf_plan *plan, bool sticky, struct xf_judge_options *ret)
{
    const struct xf_plan_guard *guard = &plan->guard;
    int64_t length_ms = xf_plan_length_ms(plan);
    xf_judge_options_default(ret);
    ret->false_pause = guard->false_pause;
    ret->worse_than = guard->errors_worse_than;
    ret->ignore_below = guard->errors_ignore_below;
    ret->limit = guard->errors_limit;
    ret->latency = guard->latency_on;
    ret->latency_worse_than = guard->latency_worse_than;
    ret->prove_errors_below = guard->prove_errors_below;
    ret->prove_ratio_below = guard->prove_ratio_below;
    ret->blip_ms = (unsigned) guard->blip_ms;
    ret->steps = plan->steps_count;
    ret->planned_ms = length_ms > 60000 ? length_ms : 60000;
    ret->sticky = sticky;
}

/* A judge for the document's cutover, from its checkpoint where that is of the same judgement. */
static void make_judge(struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    struct xf_judge_options options;
    options_of(document->plan, tenure->service->sticky.by != XF_STICKY_NONE, &options);
    struct xf_error err;
    tenure->judging = xf_judge_options_check(&options, &err) == 0;
    if (!tenure->judging) {
        xf_tenure_note(tenure, "judge.off", err.message);
        return;
    }
    xf_judge_init(&tenure->judge, &options, xf_tenure_store_time(tenure));
    free(tenure->judge_text);
    tenure->judge_text = NULL;
    tenure->judge_attempt = document->attempts;
    tenure->judge_verdict_attempt = document->verdict_attempt;
    tenure->judge.attempt = document->verdict_attempt;
}

void xf_tenure_judge_follow(struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    int64_t now = xf_tenure_store_time(tenure);
    if (!xf_cutover_runs(document->state)) {
        tenure->judging = false;
        return;
    }
    if (!tenure->judging || tenure->judge_attempt != document->attempts) {
        tenure->judge_step_entry = UINT64_MAX;
        make_judge(tenure);
    }
    if (!tenure->judging) {
        return;
    }
    if (tenure->judge_verdict_attempt != document->verdict_attempt) {
        xf_judge_reset(&tenure->judge, now);
        tenure->judge.attempt = document->verdict_attempt;
        tenure->judge_verdict_attempt = document->verdict_attempt;
    }
    if (tenure->judge_step_entry != document->step_entry && document->step >= 0) {
        xf_judge_step_started(&tenure->judge, now, document->weight);
        tenure->judge_step_entry = document->step_entry;
    }
    xf_judge_set_weight(&tenure->judge, document->weight);
    tenure->judge_weight = document->weight;
}

void xf_tenure_samples(struct xf_tenure *tenure, const struct xf_message_samples *samples)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    if (tenure->phase == XF_TENURE_LEADING && tenure->judging &&
        samples->attempt == tenure->document->attempts) {
        (void) xf_grid_add(&tenure->grid, samples, xf_tenure_store_time(tenure));
    }
}

void xf_tenure_judge_tick(struct xf_tenure *tenure)
{
    struct xf_judge_cell cell;
    int64_t now = xf_tenure_store_time(tenure);
    while (xf_grid_take(&tenure->grid, now, &cell)) {
        if (!tenure->judging) {
            continue;
        }
        if (tenure->document->step < 0 && tenure->document->weight == 0) {
            xf_judge_learn(&tenure->judge, &cell);
        } else {
            xf_judge_feed(&tenure->judge, &cell);
        }
    }
    if (tenure->judging) {
        xf_judge_advance(&tenure->judge, now - XF_GRID_CLOSE_MS);
    }
}

void xf_tenure_judge_facts(const struct xf_tenure *tenure, struct xf_facts *ret)
{
    ret->judged = tenure->judging;
    if (!tenure->judging) {
        return;
    }
    ret->judge_attempt = tenure->judge_attempt;
    ret->judge_verdict_attempt = tenure->judge_verdict_attempt;
    ret->judge_step_entry = tenure->judge_step_entry;
    ret->standing = xf_judge_standing(&tenure->judge);
    for (enum xf_judge_rule rule = XF_JUDGE_ERRORS; rule <= XF_JUDGE_ROUTER; rule++) {
        if ((ret->standing >> rule & 1) != 0) {
            xf_judge_verdict_of(&tenure->judge, rule, &ret->verdicts[rule]);
        }
    }
    xf_judge_evidence(&tenure->judge, &ret->evidence);
}
