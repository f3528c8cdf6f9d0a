/*
 * judge_detector.h -- of the bad responses, how many came from green?  The e-detector.
 *
 * JUDGE.md 2a and 2b: a mixture of Shiryaev-Roberts sums over blocks of errors, each judged by
 * the split in force when its request was sent.  Blue's rate cancels, however it moves; a block
 * is one piece of evidence, however many errors it holds.  The same machine serves errors, 4xx
 * and slow requests.  Pure; times in microseconds.
 *
 *     S_j = (S_j + w mu) f_j      M = sum S_j      P(ever M >= 1/alpha) <= alpha
 */
#ifndef XF_SHIFTER_JUDGE_DETECTOR_H
#define XF_SHIFTER_JUDGE_DETECTOR_H

#include "shifter/judge/judge_cell.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_DETECTOR_ALTERNATIVES 8u
#define XF_DETECTOR_VALUE_MAX    1e200 /* sums stop here, far from overflow */
#define XF_DETECTOR_INCIDENTS    3u    /* blocks with a green error that an alarm needs */

/* Errors of one weight within a block. */
struct xf_block_share {
    double rho; /* green's probability when these were sent */
    uint64_t green;
    uint64_t blue;
};

/* One block of errors: opened by its first error. */
struct xf_block {
    int64_t opened_us;
    unsigned count;
    struct xf_block_share shares[XF_JUDGE_ENTRIES_MAX];
};

/* Responses counted since the attempt began. */
struct xf_totals {
    int64_t t_us;
    uint64_t done_blue;
    uint64_t done_green;
    uint64_t bad_blue;
    uint64_t bad_green;
};

/* What was counted between two moments; t_us is that of the first. */
struct xf_totals xf_totals_between(const struct xf_totals *since, const struct xf_totals *until);
/* The failing share of a window, 0..1: 0 without failures, 1 where failures were counted before
 * their responses (a hung server's). */
double xf_totals_green_share(const struct xf_totals *window);
double xf_totals_blue_share(const struct xf_totals *window);

struct xf_detector_options {
    double worse_than; /* r0 */
    bool latency;      /* the alternatives of JUDGE.md 2c instead of 2a */
    double alpha;      /* false alarms over the plan */
    double floor;      /* green's share below which there is no alarm */
    unsigned steps;    /* of the plan */
    int64_t planned_us;
};

struct xf_detector {
    struct xf_detector_options options;
    unsigned count;                                   /* of alternatives */
    double ratio[XF_DETECTOR_ALTERNATIVES];           /* r_j */
    double sum[XF_DETECTOR_ALTERNATIVES];             /* S_j */
    double cusum[XF_DETECTOR_ALTERNATIVES];           /* C_j: where the fault began */
    struct xf_totals since[XF_DETECTOR_ALTERNATIVES]; /* when C_j was last <= 1 */
    bool stepped;                                     /* a step has begun */
    int64_t last_us;                                  /* opening of the newest block */
    double pending;                                   /* prior mass of steps begun since then */
    double mass;                                      /* injected by the newest block */
    double value;                                     /* M */
    double value_max;
    unsigned incidents;      /* blocks with a green error */
    struct xf_totals totals; /* after the newest block */
};

/* The mean factor of the block's errors for ratio `r` against `r0`; false where none of them was
 * sent at a split between 0 and 1. */
bool xf_block_factor(const struct xf_block *block, double r, double r0, double *ret);

void xf_detector_init(struct xf_detector *detector, const struct xf_detector_options *options,
                      int64_t begun_us);
/* Adds errors to a block under construction; 0 and 0 add nothing.  A block that has an entry for
 * XF_JUDGE_ENTRIES_MAX other splits takes them under the nearest. */
void xf_block_add(struct xf_block *block, double rho, uint64_t green, uint64_t blue);
/* A step begins: prior mass that a fault begins with it.  The mass of time runs from the first
 * step on: before it green has no traffic. */
void xf_detector_step(struct xf_detector *detector, int64_t t_us);
/* Errors sent at 0 or 100 % say nothing; a block of only such errors is no block. */
bool xf_block_informative(const struct xf_block *block);
/* An informative block has closed; `totals` are the counts after it.  Returns the prior mass that
 * it brought. */
double xf_detector_block(struct xf_detector *detector, const struct xf_block *block,
                         const struct xf_totals *totals);
/* The same with that mass given: for the vectors and for recomputing a verdict. */
void xf_detector_block_mass(struct xf_detector *detector, const struct xf_block *block,
                            const struct xf_totals *totals, double mass);
/* The alarm: M >= 1/alpha, enough incidents, and green's share since the fault at the floor. */
bool xf_detector_alarm(const struct xf_detector *detector);
/* Counts since the estimated start of the fault. */
struct xf_totals xf_detector_window(const struct xf_detector *detector);

#endif
