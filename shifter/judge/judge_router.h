/*
 * judge_router.h -- was traffic split as ordered?  The sample ratio check.
 *
 * JUDGE.md 2d: the Bayes factor of Lindon and Malek on dispatched requests, looked at once a
 * second.  Until it passes, a verdict rests on a split that was not the one ordered.  A flag
 * begins a new segment, and is lifted when that speaks for the split.  Pure.
 */
#ifndef XF_SHIFTER_JUDGE_ROUTER_H
#define XF_SHIFTER_JUDGE_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#define XF_ROUTER_ALPHA   0.001
#define XF_ROUTER_LOOK_US 1000000

struct xf_router_segment {
    double rho;    /* ordered */
    uint64_t blue; /* sent under it */
    uint64_t green;
    double log_bf; /* when last looked */
};

struct xf_router {
    unsigned steps;  /* of the plan: the share of alpha of one step */
    unsigned number; /* of the segment in this step; each spends its own part */
    struct xf_router_segment now;
    int64_t looked_us;
    bool flagged;
    struct xf_router_segment found; /* what raised the flag */
};

void xf_router_init(struct xf_router *router, unsigned steps, int64_t t_us);
/* A step with split `rho` begins; the flag falls. */
void xf_router_step(struct xf_router *router, int64_t t_us, double rho);
/* The split in force has changed within a step. */
void xf_router_set_rho(struct xf_router *router, double rho);
/* Requests sent under the split in force. */
void xf_router_sent(struct xf_router *router, uint64_t blue, uint64_t green);
/* Looks at each whole second since the step began (looked_us); returns whether the flag was raised
 * now. */
bool xf_router_look(struct xf_router *router, int64_t t_us);
/* ln of the Bayes factor against a split of rho with `green` and `blue` sent; k = 100. */
double xf_router_log_bf(double rho, uint64_t green, uint64_t blue);
/* What it must reach in the given segment of a step. */
double xf_router_threshold(unsigned steps, unsigned number);

#endif
