/*
 * judge_router.h -- was traffic split as ordered?  The sample ratio check.
 *
 * JUDGE.md 2d: the Bayes factor of Lindon and Malek on dispatched requests, looked at once a
 * second.  Until it passes, a verdict rests on a split that was not the one ordered.  Pure.
 */
#ifndef XF_SHIFTER_JUDGE_ROUTER_H
#define XF_SHIFTER_JUDGE_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#define XF_ROUTER_ALPHA 0.001

struct xf_router {
    unsigned steps;   /* of the plan: the share of alpha of one step */
    unsigned segment; /* weights seen in this step; each spends its own part */
    unsigned weight;  /* of the present segment */
    uint64_t blue;    /* sent under it */
    uint64_t green;
    int64_t looked_us;
    double log_bf;   /* when last looked */
    bool flagged;    /* in this step */
    uint64_t strays; /* sent against a weight of 0 or 10000 */
};

void xf_router_init(struct xf_router *router, unsigned steps, int64_t t_us);
void xf_router_step(struct xf_router *router, int64_t t_us);
/* Requests sent under `weight`; a weight that differs from the last begins a segment. */
void xf_router_sent(struct xf_router *router, unsigned weight, uint64_t blue, uint64_t green);
/* Looks, at most once a second; returns whether the split is off. */
bool xf_router_look(struct xf_router *router, int64_t t_us);
/* ln of the Bayes factor against a split of rho with `green` and `blue` sent; k = 100. */
double xf_router_log_bf(double rho, uint64_t green, uint64_t blue);

#endif
