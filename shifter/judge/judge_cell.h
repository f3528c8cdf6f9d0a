/*
 * judge_cell.h -- counts of one stretch of time, as the judge takes them.
 *
 * A request belongs to the entry of the weight that was in force when it was sent, whenever it
 * ends: judging by the weight at completion blames whoever is slow around a change of weight.
 * Only first attempts count; rescues, retries and overrides are left out by the workers.
 */
#ifndef XF_SHIFTER_JUDGE_CELL_H
#define XF_SHIFTER_JUDGE_CELL_H

#include "config/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_JUDGE_ENTRIES_MAX 16u /* weights told apart in one cell of the fleet's sum */

enum xf_judge_role { XF_JUDGE_BLUE, XF_JUDGE_GREEN };
enum xf_judge_stream { XF_STREAM_ERRORS, XF_STREAM_4XX, XF_STREAM_SLOW, XF_STREAMS };

struct xf_judge_counts {
    uint64_t sent;    /* dispatched within the cell; sticky: a key's first in this step */
    uint64_t done;    /* ended within the cell, well or badly */
    uint64_t bad;     /* failed within the cell */
    uint64_t slow;    /* reached send + tau within the cell, still in flight */
    uint64_t bad_4xx; /* ended within the cell with a 4xx */
};

struct xf_judge_entry {
    unsigned weight;                /* 0..10000, at dispatch */
    struct xf_judge_counts role[2]; /* indexed by enum xf_judge_role */
};

struct xf_judge_cell {
    int64_t t_ms; /* start, a multiple of XF_CELL_MS on the store's clock */
    unsigned length_ms;
    unsigned entry_count;
    struct xf_judge_entry entries[XF_JUDGE_ENTRIES_MAX];
    uint64_t asked[2];    /* by role: every request sent, sticky keys not told apart */
    uint64_t answered[2]; /* every one that ended, but by its client's leaving */
};

/* An empty cell. */
void xf_judge_cell_init(struct xf_judge_cell *cell, int64_t t_ms, unsigned length_ms);
/* Adds counts of one role under one weight.  When every entry is taken by another weight they
 * join the nearest one.  Weights above 10000 are dropped: they came from outside. */
void xf_judge_cell_add(struct xf_judge_cell *cell, unsigned weight, enum xf_judge_role role,
                       const struct xf_judge_counts *counts);
/* Adds all entries of `from`. */
void xf_judge_cell_merge(struct xf_judge_cell *cell, const struct xf_judge_cell *from);

#endif
