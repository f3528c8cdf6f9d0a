/*
 * inforce.h -- when no worker can still act on an older route word (DESIGN.md section 9).
 *
 * The agent's side.  After writing words, begin(): a fence, then a note of every live worker's
 * cycle counter.  settled() looks again: each worker must have been seen even, or have changed.
 * A worker stopped in mid-turn blocks; one stopped in its poll does not and need not.
 */
#ifndef XF_PROXY_INFORCE_H
#define XF_PROXY_INFORCE_H

#include "proxy/board/board.h"

#define XF_INFORCE_EDITIONS_MAX 64u /* live editions at once; the oldest are ended beyond it */

struct xf_inforce_slot {
    const _Atomic uint64_t *cycle;
    uint64_t seen;
    bool passed;
};

struct xf_inforce {
    struct xf_inforce_slot *slots;
    unsigned count, capacity;
};

void xf_inforce_init(struct xf_inforce *inforce);
void xf_inforce_release(struct xf_inforce *inforce);
/* Notes every worker of `boards`; false without memory.  Call after the words are stored. */
XF_NODISCARD bool xf_inforce_begin(struct xf_inforce *inforce, struct xf_board *const *boards,
                                   unsigned count);
/* Looks once; true when all have passed.  About 100 us between looks is right. */
XF_NODISCARD bool xf_inforce_settled(struct xf_inforce *inforce);
/* A worker was reaped or an edition ended: its slots no longer block. */
void xf_inforce_forget(struct xf_inforce *inforce, const struct xf_stats_header *stats);

#endif
