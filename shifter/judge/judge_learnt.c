/*
 * judge_learnt.c -- what is normal for a cluster: how often it fails, and how long its bursts last.
 */
#include "shifter/judge/judge_learnt.h"

static void half_init(struct xf_learner_half *half)
{
    *half = (struct xf_learner_half){.done = 0};
    xf_blip_init(&half->blip);
}

static void half_add(struct xf_learner_half *half, int64_t t_ms, uint64_t done, uint64_t bad)
{
    half->done += done;
    half->bad += bad;
    xf_blip_cell(&half->blip, t_ms, bad);
}

void xf_learner_init(struct xf_learner *learner)
{
    learner->turned_ms = -1;
    half_init(&learner->older);
    half_init(&learner->younger);
}

void xf_learner_seen(struct xf_learner *learner, int64_t t_ms)
{
    if (learner->turned_ms < 0) {
        learner->turned_ms = t_ms;
    }
    if (t_ms - learner->turned_ms >= XF_LEARNER_TURN_MS) {
        learner->older = learner->younger;
        half_init(&learner->younger);
        learner->turned_ms = t_ms;
    }
    xf_blip_seen(&learner->older.blip, t_ms);
    xf_blip_seen(&learner->younger.blip, t_ms);
}

void xf_learner_cell(struct xf_learner *learner, int64_t t_ms, uint64_t done, uint64_t bad)
{
    xf_learner_seen(learner, t_ms);
    half_add(&learner->older, t_ms, done, bad);
    half_add(&learner->younger, t_ms, done, bad);
}

struct xf_learnt xf_learner_learnt(const struct xf_learner *learner)
{
    return (struct xf_learnt){.done = learner->older.done,
                              .bad = learner->older.bad,
                              .blip_ms = xf_blip_ms(&learner->older.blip)};
}

void xf_learnt_add(struct xf_learnt *to, const struct xf_learnt *from)
{
    to->done += from->done;
    to->bad += from->bad;
    if (from->blip_ms > to->blip_ms) {
        to->blip_ms = from->blip_ms;
    }
}
