/*
 * judge_trail.h -- the last blocks a detector saw, and its state before them.
 *
 * A verdict must be recomputable from its entry in the log (DESIGN.md invariant 10).  The whole
 * history does not fit there, so a trail keeps the newest blocks and the state they started from;
 * what falls out of it is folded into that state.  It is not part of the checkpoint: a new leader's
 * trail starts at the state it loaded.
 */
#ifndef XF_SHIFTER_JUDGE_TRAIL_H
#define XF_SHIFTER_JUDGE_TRAIL_H

#include "shifter/judge/judge_budget.h"
#include "shifter/judge/judge_detector.h"

#define XF_TRAIL_BLOCKS 24u
#define XF_TRAIL_SHARES 4u /* a block with more splits than this restarts the trail */

struct xf_trail_block {
    int64_t opened_us;
    double mass;
    struct xf_totals totals; /* after the block */
    unsigned count;
    struct xf_block_share shares[XF_TRAIL_SHARES];
};

struct xf_trail {
    struct xf_detector base;
    unsigned count;
    struct xf_trail_block blocks[XF_TRAIL_BLOCKS];
};

struct xf_budget_trail {
    struct xf_budget base;
    bool stale; /* the evidence was cut back: the next block starts the trail anew */
    unsigned count;
    struct xf_budget_block blocks[XF_TRAIL_BLOCKS];
};

/* Starts at the detector's present state. */
void xf_trail_start(struct xf_trail *trail, const struct xf_detector *detector);
/* The detector has just taken `block`. */
void xf_trail_push(struct xf_trail *trail, const struct xf_detector *detector,
                   const struct xf_block *block, const struct xf_totals *totals, double mass);
/* One block of a trail, applied to a detector. */
void xf_trail_apply(struct xf_detector *detector, const struct xf_trail_block *block);

void xf_budget_trail_start(struct xf_budget_trail *trail, const struct xf_budget *budget);
void xf_budget_trail_push(struct xf_budget_trail *trail, const struct xf_budget_block *block);

#endif
