/*
 * plan_judge.h -- the judge's options, from a plan's guard.
 *
 * Pure.  The leader judges with them and `crossfade plan` foretells with them, so they are made in
 * one place.
 */
#ifndef XF_SHIFTER_PLAN_JUDGE_H
#define XF_SHIFTER_PLAN_JUDGE_H

#include "shifter/judge/judge.h"
#include "shifter/plan/plan.h"

/* `sticky`: the service keeps clients on their cluster. */
void xf_plan_judge_options(const struct xf_plan *plan, bool sticky, struct xf_judge_options *ret);

#endif
