/*
 * judge_learnt.h -- what is normal for a cluster: how often it fails, and how long its bursts last.
 *
 * Each proxy learns while no cutover runs, from the last ten to twenty minutes of its own traffic,
 * and says so in its heartbeats; when a cutover begins, the leader puts the fleet's together.
 * Pure; times in milliseconds on the store's clock.
 */
#ifndef XF_SHIFTER_JUDGE_LEARNT_H
#define XF_SHIFTER_JUDGE_LEARNT_H

#include "shifter/judge/judge_blip.h"

#include <stdint.h>

#define XF_LEARNER_TURN_MS 600000

struct xf_learnt {
    uint64_t done;    /* responses */
    uint64_t bad;     /* of these: failed */
    unsigned blip_ms; /* how long bursts last; 0: too few errors to tell */
};

struct xf_learner_half {
    uint64_t done;
    uint64_t bad;
    struct xf_blip blip;
};

struct xf_learner {
    int64_t turned_ms;                     /* when the younger one began; -1: nothing seen */
    struct xf_learner_half older, younger; /* both are fed, the older one is asked */
};

void xf_learner_init(struct xf_learner *learner);
/* One cell of the grid, in the order of time; clean ones may be left out. */
void xf_learner_cell(struct xf_learner *learner, int64_t t_ms, uint64_t done, uint64_t bad);
/* Time has come to `t_ms`. */
void xf_learner_seen(struct xf_learner *learner, int64_t t_ms);
struct xf_learnt xf_learner_learnt(const struct xf_learner *learner);

/* Another proxy's: counts add up, and the longest burst is the fleet's. */
void xf_learnt_add(struct xf_learnt *to, const struct xf_learnt *from);

#endif
