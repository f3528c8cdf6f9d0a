/*
 * drain_wish.c -- see drain_wish.h.
 */
#include "shifter/control/drain_wish.h"

#include "shifter/control/status.h"

#include <string.h>

#define MILLI_PER_1 1000.0

uint32_t xf_drain_milli(double per_second)
{
    double milli = per_second * MILLI_PER_1;
    uint32_t most = XF_DRAIN_UNBOUNDED - 1;
    return milli < 1.0 ? 1u : milli > (double) most ? most : (uint32_t) milli;
}

uint32_t xf_drain_part(uint32_t rate_milli, uint64_t own, uint64_t all)
{
    if (rate_milli == 0 || own == 0) {
        return 0;
    }
    if (rate_milli == XF_DRAIN_UNBOUNDED || own >= all) {
        return rate_milli;
    }
    double part = (double) rate_milli * (double) own / (double) all;
    return part < 1.0 ? 1u : (uint32_t) part;
}

const char *xf_drain_by_policy(const struct xf_document *document, bool overridden, unsigned weight)
{
    if (!xf_status_in_cutover(document)) {
        return NULL;
    }
    if (overridden) { /* break-glass takes draining back on this proxy */
        return weight == 0 ? document->to : NULL;
    }
    if (document->state == XF_CUTOVER_DRAINING) {
        return document->from;
    }
    bool back = document->state == XF_CUTOVER_ABORTING ||
                (document->retreated && document->state == XF_CUTOVER_SHIFTING);
    return back && document->weight == 0 ? document->to : NULL;
}

/* Whether new requests may go there: then only tunnels are ended, no answer is cut. */
static bool serves(const struct xf_document *document, bool overridden, unsigned weight,
                   const char *cluster)
{
    if (!xf_status_in_cutover(document)) {
        return strcmp(document->live, cluster) == 0;
    }
    unsigned share = overridden ? weight : document->weight;
    return (strcmp(document->from, cluster) == 0 && share < XF_WEIGHT_FULL) ||
           (strcmp(document->to, cluster) == 0 && share > 0);
}

struct xf_drain_wish xf_drain_wish(const struct xf_document *document,
                                   const struct xf_config_drain *configured, bool overridden,
                                   unsigned weight, const char *cluster)
{
    const struct xf_document_drain *order = &document->drain;
    if (order->number > 0 && strcmp(order->cluster, cluster) == 0) {
        bool answers = !serves(document, overridden, weight, cluster);
        return (struct xf_drain_wish){.order = order->number,
                                      .rate_milli = order->rate_milli,
                                      .after_ms = answers ? order->after_ms : -1,
                                      .answers = answers};
    }
    struct xf_drain_wish wish = {.after_ms = -1};
    const char *emptied = xf_drain_by_policy(document, overridden, weight);
    const struct xf_config_drain *drain =
        document->plan != NULL && document->plan->drain_set ? &document->plan->drain : configured;
    if (emptied == NULL || strcmp(emptied, cluster) != 0 || drain->policy == XF_DRAIN_NATURAL) {
        return wish;
    }
    wish.order = XF_DRAIN_ALL;
    wish.answers = true;
    if (drain->policy == XF_DRAIN_PACED) {
        wish.rate_milli = xf_drain_milli(drain->rate);
    } else {
        wish.after_ms = drain->deadline_ms;
    }
    return wish;
}
