/*
 * judge_silence.h -- does green answer nothing at all?
 *
 * A green that hangs shows as slow first, and its errors come only when timeouts end its
 * requests.  Where it was asked, and asked again, and nothing came back for seconds while blue
 * goes on answering, nobody need wait for them.  This is not a test of its own: the judge acts on
 * it only once the latency verdict stands, so it takes no part of `false_pause`.  A green that
 * answers late is never silent for long.  Pure; a leader that takes over begins to count anew.
 */
#ifndef XF_SHIFTER_JUDGE_SILENCE_H
#define XF_SHIFTER_JUDGE_SILENCE_H

#include "shifter/judge/judge_cell.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_SILENCE_US        INT64_C(2000000) /* as long as this nothing was answered */
#define XF_SILENCE_FRESH_US  INT64_C(1000000) /* the other's last answer is no older */
#define XF_SILENCE_ASKED_MIN 10u              /* fewer requests may well end together by chance */

/* Of one role, since its last answer. */
struct xf_silence_side {
    int64_t since_us;       /* the first request that was not answered; of no meaning at 0 asked */
    int64_t answered_us;    /* when it answered last */
    uint64_t asked;         /* requests since then */
    uint64_t other_answers; /* what the other role answered meanwhile */
};

struct xf_silence {
    struct xf_silence_side side[2]; /* indexed by enum xf_judge_role */
};

enum xf_silence_finding {
    XF_SILENCE_NONE,
    XF_SILENCE_GREEN, /* and blue answers */
    XF_SILENCE_BOTH,
};

void xf_silence_init(struct xf_silence *silence);
/* One closed cell of the fleet, in the order of time. */
void xf_silence_cell(struct xf_silence *silence, const struct xf_judge_cell *cell);
/* What that means at `now_us`; none while it is not known whether blue answers. */
enum xf_silence_finding xf_silence_finding(const struct xf_silence *silence, int64_t now_us);

#endif
