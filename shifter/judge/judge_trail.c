/*
 * judge_trail.c -- the last blocks a detector saw, and its state before them.
 */
#include "shifter/judge/judge_trail.h"

#include <string.h>

void xf_trail_start(struct xf_trail *trail, const struct xf_detector *detector)
{
    trail->base = *detector;
    trail->count = 0;
}

void xf_trail_apply(struct xf_detector *detector, const struct xf_trail_block *trailed)
{
    struct xf_block block = {.opened_us = trailed->opened_us, .count = trailed->count};
    memcpy(block.shares, trailed->shares, trailed->count * sizeof(block.shares[0]));
    xf_detector_block_mass(detector, &block, &trailed->totals, trailed->mass);
}

void xf_trail_push(struct xf_trail *trail, const struct xf_detector *detector,
                   const struct xf_block *block, const struct xf_totals *totals, double mass)
{
    if (block->count > XF_TRAIL_SHARES) {
        xf_trail_start(trail, detector);
        return;
    }
    if (trail->count == XF_TRAIL_BLOCKS) {
        xf_trail_apply(&trail->base, &trail->blocks[0]);
        trail->count--;
        memmove(&trail->blocks[0], &trail->blocks[1], trail->count * sizeof(trail->blocks[0]));
    }
    struct xf_trail_block *last = &trail->blocks[trail->count++];
    *last = (struct xf_trail_block){
        .opened_us = block->opened_us, .mass = mass, .totals = *totals, .count = block->count};
    memcpy(last->shares, block->shares, block->count * sizeof(block->shares[0]));
}

void xf_budget_trail_start(struct xf_budget_trail *trail, const struct xf_budget *budget)
{
    trail->base = *budget;
    trail->stale = false;
    trail->count = 0;
}

void xf_budget_trail_push(struct xf_budget_trail *trail, const struct xf_budget_block *block)
{
    if (trail->count == XF_TRAIL_BLOCKS) {
        xf_budget_block_mass(&trail->base, &trail->blocks[0]);
        trail->count--;
        memmove(&trail->blocks[0], &trail->blocks[1], trail->count * sizeof(trail->blocks[0]));
    }
    trail->blocks[trail->count++] = *block;
}
