/*
 * plan_judge.c -- the judge's options, from a plan's guard.
 */
#include "shifter/plan/plan_judge.h"

#include "shifter/plan/schedule.h"

#define PLANNED_MS_MIN 60000

void xf_plan_judge_options(const struct xf_plan *plan, bool sticky, struct xf_judge_options *ret)
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
    ret->planned_ms = length_ms > PLANNED_MS_MIN ? length_ms : PLANNED_MS_MIN;
    ret->sticky = sticky;
}
