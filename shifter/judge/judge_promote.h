/*
 * judge_promote.h -- positive evidence that green is good enough to advance.
 *
 * JUDGE.md 2e: green fails less than r1 times blue (E1, over the blocks of errors), or less than
 * p_ok (E2, over blocks of 100 ms with green responses).  The absence of alarms is no evidence;
 * too little traffic is an answer with a number.  Pure; times in microseconds.
 */
#ifndef XF_SHIFTER_JUDGE_PROMOTE_H
#define XF_SHIFTER_JUDGE_PROMOTE_H

#include "shifter/judge/judge_detector.h"

#define XF_PROMOTE_RATIOS   3u
#define XF_PROMOTE_SHARES   4u
#define XF_PROMOTE_BLOCK_US 100000
#define XF_PROMOTE_ENOUGH   20.0 /* 1/beta: at 95 % */

struct xf_promote_options {
    double errors_below; /* p_ok */
    double ratio_below;  /* r1 */
};

struct xf_promote {
    struct xf_promote_options options;
    double ratio[XF_PROMOTE_RATIOS]; /* products over blocks, E1 */
    double share[XF_PROMOTE_SHARES]; /* E2 */
    bool open;
    int64_t opened_us;
    uint64_t block_done;
    uint64_t block_bad;
    int64_t begun_us;
    uint64_t blocks; /* of E2, closed */
    uint64_t green;  /* responses since begun_us */
    uint64_t green_bad;
    uint64_t blue; /* likewise */
};

void xf_promote_init(struct xf_promote *promote, const struct xf_promote_options *options,
                     int64_t begun_us);
/* A further step begins: what was proven stays proven, but no more than just, so that the first
 * failure of the new step counts in full.  Each product by itself, and E1 only where blue
 * still gets something to compare with (`compared`): at 100 % it can learn nothing more, so what
 * it has proven must not be lost by a straggler. */
void xf_promote_renew(struct xf_promote *promote, int64_t begun_us, bool compared);
void xf_promote_block(struct xf_promote *promote, const struct xf_block *block);
void xf_promote_green(struct xf_promote *promote, int64_t t_us, uint64_t done, uint64_t bad);
void xf_promote_blue(struct xf_promote *promote,
                     uint64_t done); /* they tell how much traffic comes */
/* Closes a block of E2 whose time is over. */
void xf_promote_advance(struct xf_promote *promote, int64_t t_us);
double xf_promote_value(const struct xf_promote *promote); /* (mean E1 + mean E2) / 2 */
/* Clean green responses, one in each block, still needed; 0 when there is enough. */
uint64_t xf_promote_missing(const struct xf_promote *promote);
/* The same from nothing. */
uint64_t xf_promote_needed(const struct xf_promote_options *options);
/* The smallest failing share that the responses so far would have ruled out; 1: none. */
double xf_promote_rules_out(const struct xf_promote *promote);

#endif
