/*
 * cells.h -- what the judge is told: counts per 50 ms cell and weight at dispatch.
 *
 * Belongs to one worker.  Only first attempts count: what a retry or a rescue hides is charged
 * where it happened.  "Slow" fires at send + tau, not at the end, so that a hung cluster is seen:
 * requests in flight form a queue in send order, and the tick looks at its head.
 *
 * With a sticky key the client, not the request, is what was drawn at random.  So a key counts
 * once per step as sent, once as done, once as bad and once as slow; a key that turns bad counts
 * as done again then, so that the bad are never more than the done.  Keys are told apart by 16
 * bits of their hash.
 *
 * Apart from that a cell holds how many requests were sent and how many of them ended, whatever
 * their keys and however they ended: by these a cluster that answers nothing at all is known.
 *
 * What counts as bad, slow or 4xx also goes, with its server and target, into a ring of the last
 * ones: from it the agent learns which servers and which paths carry the trouble.
 */
#ifndef XF_PROXY_CELLS_H
#define XF_PROXY_CELLS_H

#include "config/base/list.h"
#include "proxy/board/board.h"

#include <stdbool.h>

enum xf_judged_outcome {
    XF_JUDGED_GOOD,
    XF_JUDGED_BAD,     /* an error of the cluster's */
    XF_JUDGED_4XX,     /* good, but a 4xx: a stream of its own */
    XF_JUDGED_ABORTED, /* the client hung up: after tau it was slow, before nothing is counted */
};

/* By what a request is judged; fixed when it is sent. */
struct xf_judged_terms {
    uint32_t attempt, step;
    uint64_t tau_us; /* 0: slowness is not watched */
    uint16_t weight;
    uint8_t role;
    bool sticky;
    uint16_t key; /* bits of the sticky key's hash */
};

/* Lives in the request. */
struct xf_judging {
    struct xf_list link; /* in the queue while "slow" may still fire */
    uint64_t slow_at_us;
    struct xf_judged_terms terms;
    bool active; /* sent and not ended */
    bool slow;   /* fired */

    /* Whom it is charged to when it goes badly.  Filled in by the request; nothing is done with
     * it otherwise. */
    uint8_t target_length;
    int32_t server; /* -1: none yet */
    char target[XF_BLAME_TARGET_BYTES];
};

enum { XF_SEEN_SENT, XF_SEEN_DONE, XF_SEEN_BAD, XF_SEEN_SLOW, XF_SEEN_KINDS };

/* One service. */
struct xf_judged {
    struct xf_cell *cells;       /* [XF_CELLS] */
    struct xf_blame_ring *blame; /* NULL: nobody asks */
    struct xf_list waiting;      /* of xf_judging, in send order */
    uint32_t attempt, step;      /* what `seen` is about */
    uint64_t (*seen)[1024];      /* [XF_SEEN_KINDS] bitmaps of 2^16 keys; NULL until a sticky key */
};

void xf_judged_init(struct xf_judged *judged, struct xf_cell *cells, struct xf_blame_ring *blame);
void xf_judged_release(struct xf_judged *judged);

/* `cell` is the number of the cell of this moment, now_us the monotonic clock. */
void xf_judged_sent(struct xf_judged *judged, struct xf_judging *judging,
                    const struct xf_judged_terms *terms, uint64_t cell, uint64_t now_us);
/* Does nothing for a request that is not judged, or not any more. */
void xf_judged_ended(struct xf_judged *judged, struct xf_judging *judging,
                     enum xf_judged_outcome outcome, uint64_t cell, uint64_t now_us);
void xf_judged_tick(struct xf_judged *judged, uint64_t cell, uint64_t now_us);

#endif
