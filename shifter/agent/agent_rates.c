/*
 * agent_rates.c -- two marks of the totals, at most WINDOW_MS apart; a rate counts from the older.
 */
#include "shifter/agent/agent_rates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_MS 5000

struct sums { /* of one cluster over all services */
    uint64_t requests, errors;
    uint64_t latency[XF_HISTOGRAM_BUCKETS];
};

struct xf_agent_rates {
    unsigned clusters;
    int64_t older_ms, newer_ms; /* monotonic; 0: not taken */
    struct sums *older, *newer;
};

struct xf_agent_rates *xf_agent_rates_create(const struct xf_config *config)
{
    struct xf_agent_rates *rates = calloc(1, sizeof(*rates));
    if (rates == NULL) {
        return NULL;
    }
    rates->clusters = config->clusters_count;
    rates->older = calloc(config->clusters_count + 1, sizeof(rates->older[0]));
    rates->newer = calloc(config->clusters_count + 1, sizeof(rates->newer[0]));
    if (rates->older == NULL || rates->newer == NULL) {
        xf_agent_rates_destroy(rates);
        return NULL;
    }
    return rates;
}

void xf_agent_rates_destroy(struct xf_agent_rates *rates)
{
    if (rates != NULL) {
        free(rates->older);
        free(rates->newer);
        free(rates);
    }
}

static void sum_cluster(const struct xf_config *config, const struct xf_totals *totals,
                        unsigned cluster, struct sums *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < config->services_count; i++) {
        int place = xf_config_pair(config, i, cluster);
        if (place < 0) {
            continue;
        }
        const struct xf_totals_pair *pair = &totals->pairs[place];
        ret->requests += pair->requests;
        ret->errors += xf_totals_errors(pair);
        for (unsigned b = 0; b < XF_HISTOGRAM_BUCKETS; b++) {
            ret->latency[b] += pair->latency[b];
        }
    }
}

void xf_agent_rates_tick(struct xf_agent_rates *rates, const struct xf_config *config,
                         const struct xf_totals *totals, int64_t now_ms)
{
    if (rates->newer_ms != 0 && now_ms - rates->newer_ms < WINDOW_MS) {
        return;
    }
    struct sums *spare = rates->older;
    rates->older = rates->newer;
    rates->older_ms = rates->newer_ms;
    rates->newer = spare;
    rates->newer_ms = now_ms;
    for (unsigned i = 0; i < rates->clusters; i++) {
        sum_cluster(config, totals, i, &rates->newer[i]);
    }
}

static double since(uint64_t now, uint64_t before)
{
    return now > before ? (double) (now - before) : 0.0;
}

void xf_agent_rates_read(const struct xf_agent_rates *rates, const struct xf_config *config,
                         const struct xf_totals *totals, int64_t now_ms, unsigned cluster,
                         struct xf_agent_rate *ret)
{
    *ret = (struct xf_agent_rate){NAN, NAN, NAN, NAN};
    const struct sums *base = rates->older_ms != 0 ? rates->older : rates->newer;
    int64_t base_ms = rates->older_ms != 0 ? rates->older_ms : rates->newer_ms;
    if (base_ms == 0 || now_ms <= base_ms || cluster >= rates->clusters) {
        return;
    }
    struct sums now;
    sum_cluster(config, totals, cluster, &now);
    double requests = since(now.requests, base[cluster].requests);
    ret->rps = requests * 1000.0 / (double) (now_ms - base_ms);
    if (requests > 0) {
        ret->error_ratio = fmin(1.0, since(now.errors, base[cluster].errors) / requests);
    }
    bool any = false;
    for (unsigned i = 0; i < XF_HISTOGRAM_BUCKETS; i++) {
        uint64_t before = base[cluster].latency[i];
        now.latency[i] = now.latency[i] > before ? now.latency[i] - before : 0;
        any = any || now.latency[i] != 0;
    }
    if (any) {
        ret->p50_ms = (double) xf_histogram_quantile(now.latency, 0.5) / 1000.0;
        ret->p99_ms = (double) xf_histogram_quantile(now.latency, 0.99) / 1000.0;
    }
}
