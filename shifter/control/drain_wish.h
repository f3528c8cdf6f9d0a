/*
 * drain_wish.h -- whether and how a cluster of a service is to be emptied (pure).
 *
 * Traffic that has left a cluster leaves behind tunnels and answers in progress.  By policy blue is
 * emptied from draining on, green after a retreat or abort; by hand (`crossfade drain`) any
 * cluster, and then only of what was there when the order came.  An order by hand goes before the
 * policy.
 */
#ifndef XF_SHIFTER_DRAIN_WISH_H
#define XF_SHIFTER_DRAIN_WISH_H

#include "config/config.h"
#include "proxy/proxy.h"
#include "shifter/plan/document.h"

struct xf_drain_wish {
    uint64_t order;      /* 0: not at all; XF_DRAIN_ALL: by policy; else an order's number */
    uint32_t rate_milli; /* ends of the whole fleet per 1000 s, or XF_DRAIN_UNBOUNDED; 0: none
                            before the deadline */
    int64_t after_ms;    /* from then on what is left is cut; -1: never */
    bool answers;        /* at the rate answers in progress end, too */
};

/* `cluster` by the names of the service that has the document.  `overridden` and `weight`: what
 * break-glass has this proxy serve instead of the document. */
struct xf_drain_wish xf_drain_wish(const struct xf_document *document,
                                   const struct xf_config_drain *configured, bool overridden,
                                   unsigned weight, const char *cluster);

/* The cluster that the policy empties now; NULL: none. */
const char *xf_drain_by_policy(const struct xf_document *document, bool overridden,
                               unsigned weight);

/* The part of a rate for one who has `own` of `all` to end; at least 1 where there is one. */
uint32_t xf_drain_part(uint32_t rate_milli, uint64_t own, uint64_t all);

/* A rate as wishes and orders have it, bounded. */
uint32_t xf_drain_milli(double per_second);

#endif
