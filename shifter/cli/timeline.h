/*
 * timeline.h -- what a plan will do, and when, if nothing goes wrong: `crossfade plan`.
 *
 * Pure: a plan, a time and a rate in, a value out.  Times are the earliest: holds that only trouble
 * or a person brings are not in them, and an approval is taken as given in time.  What the judge
 * needs is asked of the judge's own functions.
 */
#ifndef XF_SHIFTER_TIMELINE_H
#define XF_SHIFTER_TIMELINE_H

#include "shifter/plan/plan.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_TIMELINE_NEVER        (-1) /* no window opens within two weeks */
#define XF_TIMELINE_WARNINGS_MAX 16u
#define XF_TIMELINE_WARNING      256u

struct xf_timeline_step {
    unsigned weight;
    int64_t begins_ms;   /* its weight, or its ramp */
    int64_t reached_ms;  /* the ramp has reached the weight */
    int64_t held_ms;     /* the hold is over */
    int64_t ends_ms;     /* so is the wait for evidence, and a window is open */
    uint64_t clean;      /* clean green responses wanted, one in each tenth of a second */
    int64_t evidence_ms; /* how long these take; -1: no rate is known */
    double leak_all;     /* failed requests until the guard acts, if green fails every one; */
    double leak_tenfold; /* ten times as often as blue; */
    double leak_twice;   /* twice.  Negative: unknown, or never by comparison */
};

struct xf_timeline {
    int64_t begins_ms; /* XF_TIMELINE_NEVER as everywhere here */
    int64_t ends_ms;   /* of the soak */
    double rps;        /* negative: unknown */
    double worst;      /* the most that a step leaks, with a fault that begins late in it */
    unsigned worst_step;
    struct xf_timeline_step steps[XF_PLAN_STEPS_MAX];
    unsigned steps_count;
    char warnings[XF_TIMELINE_WARNINGS_MAX][XF_TIMELINE_WARNING];
    unsigned warnings_count;
};

/* `rps`: the service's requests a second, negative where unknown.  NULL without memory, or where
 * the judge takes no such guard; the caller frees it. */
XF_NODISCARD struct xf_timeline *xf_timeline_make(const struct xf_plan *plan, int64_t now_ms,
                                                  double rps);

#endif
