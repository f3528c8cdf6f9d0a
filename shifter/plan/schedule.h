/*
 * schedule.h -- what time means to a cutover: the step's clock, ramps, windows, the deadline.
 *
 * Pure.  Durations are counted tick by tick on CLOCK_BOOTTIME, and only while what is counted may
 * go on; the wall clock is looked at for `start_at` and windows alone, so a clock that jumps
 * shortens no step.
 */
#ifndef XF_SHIFTER_SCHEDULE_H
#define XF_SHIFTER_SCHEDULE_H

#include "config/base/error.h"
#include "shifter/plan/document.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_TICK_MS_MAX 250  /* one tick counts at most this: a frozen leader saw nothing */
#define XF_RAMP_MS     5000 /* a ramp moves at most this often */
#define XF_LAG_MS      3000 /* not in force for longer: hold `lag` */

/* The clocks of a cutover: a checkpoint each second, so that a new leader loses at most one and
 * counts nothing twice. */
struct xf_progress {
    uint64_t attempt;    /* the cutover these belong to; another one begins at zero */
    uint64_t step_entry; /* the entry of a step that step_ms, ramp_ms and retreat_ms belong to */
    int64_t step_ms;     /* hold time counted in this step */
    int64_t ramp_ms;     /* of the ramp, or of an abort's fall */
    int64_t retreat_ms;  /* since the retreat */
    int64_t elapsed_ms;  /* since the first step might begin, held or not: for the deadline */
    int64_t moved_ms;    /* since the ramp last moved */
    /* not kept in the checkpoint */
    unsigned weight; /* at the last tick: moved_ms begins anew when it changes */
    int64_t lag_ms;  /* for how long the version has not been in force everywhere */
    int64_t last_ms; /* CLOCK_BOOTTIME of the last tick */
    bool ticked;
    bool holding; /* the last tick counted for step_ms: the time since then does, too */
};

/* Counts the time since the last tick.  `counts`: the version is in force on every member, nothing
 * holds, and the store answers.  A step's hold is a least time: of it only what lies between two
 * ticks that both count is counted, never the time in which the step came into force. */
void xf_progress_tick(struct xf_progress *progress, const struct xf_document *document,
                      int64_t boot_ms, bool in_force, bool counts);
/* JSON, the caller frees it; NULL without memory. */
XF_NODISCARD char *xf_progress_write(const struct xf_progress *progress);
XF_NODISCARD int xf_progress_read(const char *json, struct xf_progress *ret, struct xf_error *err);

/* The present step, or NULL before the first. */
const struct xf_plan_step *xf_schedule_step(const struct xf_document *document);
bool xf_schedule_last(const struct xf_document *document); /* the last step is the present one */
/* The weight that the step's ramp has reached; of a plain step, its weight. */
unsigned xf_schedule_weight(const struct xf_document *document, const struct xf_progress *progress);
/* The weight that an abort's fall has reached. */
unsigned xf_schedule_fall(const struct xf_document *document, const struct xf_progress *progress);
/* Whether the step's least time is over; how much is left of it. */
bool xf_schedule_time_over(const struct xf_document *document, const struct xf_progress *progress);
int64_t xf_schedule_remaining_ms(const struct xf_document *document,
                                 const struct xf_progress *progress);
/* Until the end of the last step, if nothing holds; -1 outside a plan's steps. */
int64_t xf_schedule_left_ms(const struct xf_document *document, const struct xf_progress *progress);
/* Whether a rise is allowed at `wall_ms`; if not, why (for the hold `window`). */
bool xf_schedule_open(const struct xf_plan *plan, int64_t wall_ms, char ret_why[XF_SENTENCE_BYTES]);
/* The sum of a plan's ramps and holds. */
int64_t xf_plan_length_ms(const struct xf_plan *plan);

#endif
