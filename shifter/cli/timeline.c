/*
 * timeline.c -- what a plan will do, and when, if nothing goes wrong.
 */
#include "shifter/cli/timeline.h"

#include "shifter/cli/leak.h"
#include "shifter/plan/plan_judge.h"
#include "shifter/plan/schedule.h"

#include "config/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MINUTE_MS           60000
#define CLOSED_MINUTES_MAX  (14 * 24 * 60)
#define CLEAN_SIMULATED_MAX 1000000u
#define LATE_FACTOR         2.0 /* JUDGE.md section 5: a fault late in a step leaks at most twice */
#define FLEET_DELAY_S       0.2 /* and a fleet adds this much of green's rate */
#define COMPARABLE_WEIGHT   7500u
#define FIRST_WEIGHT_MAX    1000u

static void warn(struct xf_timeline *timeline, const char *format, ...) XF_PRINTF(2, 3);
static void warn(struct xf_timeline *timeline, const char *format, ...)
{
    va_list arguments;
    if (timeline->warnings_count == XF_TIMELINE_WARNINGS_MAX) {
        return;
    }
    va_start(arguments, format);
    (void) vsnprintf(timeline->warnings[timeline->warnings_count++], XF_TIMELINE_WARNING, format,
                     arguments);
    va_end(arguments);
}

/* The moment at which `length_ms` of time in which the weight may rise have passed since `at_ms`,
 * and it still may. */
static int64_t pass(const struct xf_plan *plan, int64_t at_ms, int64_t length_ms)
{
    char why[XF_SENTENCE_BYTES];
    if (at_ms == XF_TIMELINE_NEVER) {
        return XF_TIMELINE_NEVER;
    }
    at_ms = at_ms < plan->start_at_ms ? plan->start_at_ms : at_ms;
    if (plan->windows_count == 0) {
        return at_ms + length_ms;
    }
    for (unsigned closed = 0; closed < CLOSED_MINUTES_MAX;) {
        int64_t next_ms = (at_ms / MINUTE_MS + 1) * MINUTE_MS;
        if (!xf_schedule_open(plan, at_ms, why)) {
            closed++;
            at_ms = next_ms;
        } else if (length_ms < next_ms - at_ms) {
            return at_ms + length_ms;
        } else {
            closed = 0;
            length_ms -= next_ms - at_ms;
            at_ms = next_ms;
        }
    }
    return XF_TIMELINE_NEVER;
}

/* What the step still has to prove, and that proof given to the judge. */
static uint64_t prove(struct xf_promote *promote, int64_t t_us)
{
    uint64_t missing = xf_promote_missing(promote);
    for (uint64_t i = 0; i < missing && missing <= CLEAN_SIMULATED_MAX; i++) {
        xf_promote_green(promote, t_us, 1, 0);
        t_us += XF_PROMOTE_BLOCK_US;
        xf_promote_advance(promote, t_us);
    }
    xf_promote_renew(promote, t_us, true);
    return missing;
}

/* A block opens with a response and lasts a tenth of a second. */
static int64_t evidence_ms(uint64_t clean, double green_rps)
{
    if (clean == 0) {
        return 0;
    }
    if (!(green_rps > 0)) {
        return -1;
    }
    return (int64_t) fmin((double) clean * (XF_PROMOTE_BLOCK_US / 1000.0 + 1000 / green_rps), 1e15);
}

static void fill_times(const struct xf_plan *plan, const struct xf_plan_step *step,
                       int64_t begins_ms, struct xf_timeline_step *ret)
{
    ret->begins_ms = begins_ms;
    ret->reached_ms = pass(plan, begins_ms, step->ramp_ms);
    ret->held_ms = pass(plan, ret->reached_ms, step->hold_ms);
    ret->ends_ms = ret->held_ms;
    if (ret->evidence_ms > 0 && ret->held_ms != XF_TIMELINE_NEVER &&
        ret->reached_ms + ret->evidence_ms > ret->held_ms) {
        ret->ends_ms = pass(plan, ret->reached_ms + ret->evidence_ms, 0);
    }
}

static void fill_leaks(const struct xf_judge *judge, double green_rps, struct xf_timeline_step *ret)
{
    double rho = (double) ret->weight / XF_WEIGHT_FULL;
    ret->leak_all = xf_leak_all(judge, rho, green_rps);
    ret->leak_tenfold = xf_leak_ratio(judge, rho, 10);
    ret->leak_twice = xf_leak_ratio(judge, rho, 2);
}

static void find_worst(struct xf_timeline *timeline)
{
    timeline->worst = XF_LEAK_UNKNOWN;
    for (unsigned i = 0; i < timeline->steps_count; i++) {
        const struct xf_timeline_step *step = &timeline->steps[i];
        double green_rps = fmax(timeline->rps, 0) * step->weight / XF_WEIGHT_FULL;
        double leak = fmax(step->leak_all, fmax(step->leak_tenfold, step->leak_twice));
        leak = leak < 0 ? leak : ceil(LATE_FACTOR * leak + FLEET_DELAY_S * green_rps);
        if (leak > timeline->worst) {
            timeline->worst = leak;
            timeline->worst_step = i;
        }
    }
}

static void warn_of_steps(const struct xf_plan *plan, struct xf_timeline *timeline)
{
    char weight[XF_WEIGHT_TEXT_BYTES];
    char wait[XF_DURATION_TEXT_BYTES];
    if (plan->steps[0].weight > FIRST_WEIGHT_MAX) {
        warn(timeline, "the first step sends %s at once; a smaller one fails fewer requests",
             xf_format_weight(plan->steps[0].weight, weight));
    }
    if (plan->steps_count > 1 &&
        plan->steps[plan->steps_count - 2].weight <= COMPARABLE_WEIGHT / 2) {
        warn(timeline, "from %s the weight goes to 100%% at once",
             xf_format_weight(plan->steps[plan->steps_count - 2].weight, weight));
    }
    for (unsigned i = 0; i < timeline->steps_count; i++) {
        const struct xf_timeline_step *step = &timeline->steps[i];
        if (step->evidence_ms > plan->steps[i].hold_ms) {
            warn(timeline, "step %u: the evidence takes %s, longer than the hold", i + 1,
                 xf_format_duration(step->evidence_ms / 1000 * 1000, wait));
        }
        if (plan->steps[i].approve && plan->finalize_when == XF_FINALIZE_AUTO) {
            warn(timeline, "step %u waits for an approval, though the plan finalizes by itself",
                 i + 1);
        }
    }
}

static void warn_of_guard(const struct xf_plan *plan, struct xf_timeline *timeline)
{
    if (plan->guard.errors_then == XF_THEN_HOLD) {
        warn(timeline, "guard.errors.then is hold: green goes on failing until somebody acts");
    }
    if (!plan->guard.latency_on) {
        warn(timeline, "guard.latency is off: a slow new cluster is not noticed");
    }
    if (timeline->rps < 0) {
        warn(timeline, "the rate is unknown: --rps N tells how long the evidence takes");
    }
}

static void warn_of_ends(const struct xf_plan *plan, int64_t now_ms, struct xf_timeline *timeline)
{
    if (plan->signal_webhook[0] == '\0' && plan->signal_hook[0] == '\0') {
        warn(timeline, "no signal: only `status` and `wait --for safe` tell that the old cluster "
                       "may go");
    }
    if (plan->start_at_ms != 0 && plan->start_at_ms < now_ms) {
        warn(timeline, "start_at is past: it begins at once");
    }
    if (timeline->ends_ms == XF_TIMELINE_NEVER) {
        warn(timeline, "no window opens within two weeks");
    } else if (plan->deadline_ms != 0 &&
               timeline->ends_ms - timeline->begins_ms > plan->deadline_ms) {
        warn(timeline, "the deadline comes before the end of the soak");
    }
}

static void fill_steps(const struct xf_plan *plan, const struct xf_judge *judge,
                       struct xf_timeline *ret)
{
    struct xf_promote promote = judge->promote;
    int64_t at_ms = ret->begins_ms;
    for (unsigned i = 0; i < plan->steps_count; i++) {
        struct xf_timeline_step *step = &ret->steps[i];
        double green_rps = ret->rps * plan->steps[i].weight / XF_WEIGHT_FULL;
        step->weight = plan->steps[i].weight;
        step->clean = plan->steps[i].evidence_advisory ? 0 : prove(&promote, judge->begun_us);
        step->evidence_ms = evidence_ms(step->clean, green_rps);
        fill_times(plan, &plan->steps[i], at_ms, step);
        fill_leaks(judge, green_rps, step);
        at_ms = step->ends_ms;
    }
    ret->steps_count = plan->steps_count;
    ret->ends_ms = at_ms;
}

struct xf_timeline *xf_timeline_make(const struct xf_plan *plan, int64_t now_ms, double rps)
{
    struct xf_judge_options options;
    struct xf_timeline *timeline = calloc(1, sizeof(*timeline));
    struct xf_judge *judge = malloc(sizeof(*judge));
    xf_plan_judge_options(plan, false, &options);
    if (timeline == NULL || judge == NULL || xf_judge_options_check(&options, NULL) != 0) {
        free(judge);
        free(timeline);
        return NULL;
    }
    xf_judge_init(judge, &options, now_ms);
    timeline->rps = rps;
    timeline->begins_ms = pass(plan, now_ms, 0);
    fill_steps(plan, judge, timeline);
    find_worst(timeline);
    warn_of_steps(plan, timeline);
    warn_of_guard(plan, timeline);
    warn_of_ends(plan, now_ms, timeline);
    free(judge);
    return timeline;
}
