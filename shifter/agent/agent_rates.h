/*
 * agent_rates.h -- requests a second, error share and latency of each cluster over the last
 * seconds, from totals that only grow.
 */
#ifndef XF_SHIFTER_AGENT_RATES_H
#define XF_SHIFTER_AGENT_RATES_H

#include "shifter/agent/agent_stats.h"

struct xf_agent_rate {
    double rps, error_ratio, p50_ms, p99_ms; /* NAN: not known */
};

struct xf_agent_rates;
XF_NODISCARD struct xf_agent_rates *xf_agent_rates_create(const struct xf_config *config);
void xf_agent_rates_destroy(struct xf_agent_rates *rates); /* accepts NULL */
/* Called about once a second; a window of 5 to 10 s is kept. */
void xf_agent_rates_tick(struct xf_agent_rates *rates, const struct xf_config *config,
                         const struct xf_totals *totals, int64_t now_ms);
void xf_agent_rates_read(const struct xf_agent_rates *rates, const struct xf_config *config,
                         const struct xf_totals *totals, int64_t now_ms, unsigned cluster,
                         struct xf_agent_rate *ret);

#endif
