/*
 * histogram.h -- log-linear latency buckets: 16 per octave, 40 octaves, from 1 us (JUDGE.md 2c).
 *
 * Buckets 0..15 hold 0..15 us exactly; above, bucket 16*k + j holds the values whose leading bit
 * is 3+k and whose next four bits are j.  The relative error is below 1/16.
 */
#ifndef XF_PROXY_HISTOGRAM_H
#define XF_PROXY_HISTOGRAM_H

#include "config/base/limits.h"

#include <stdint.h>

static inline unsigned xf_histogram_bucket(uint64_t us)
{
    if (us < 16) {
        return (unsigned) us;
    }
    unsigned lead = 63u - (unsigned) __builtin_clzll(us);
    unsigned bucket = 16u * (lead - 3u) + (unsigned) ((us >> (lead - 4u)) & 15u);
    return bucket < XF_HISTOGRAM_BUCKETS ? bucket : XF_HISTOGRAM_BUCKETS - 1;
}

/* The smallest value above the bucket, in microseconds. */
static inline uint64_t xf_histogram_edge(unsigned bucket)
{
    if (bucket < 16) {
        return bucket + 1u;
    }
    unsigned lead = bucket / 16u + 3u;
    return (uint64_t) (16u + bucket % 16u + 1u) << (lead - 4u);
}

/* The upper edge of the bucket that holds the share `q` (0..1] of all counts; 0 where empty. */
static inline uint64_t xf_histogram_quantile(const uint64_t counts[XF_HISTOGRAM_BUCKETS], double q)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < XF_HISTOGRAM_BUCKETS; i++) {
        total += counts[i];
    }
    if (total == 0) {
        return 0;
    }
    double wanted = q * (double) total;
    uint64_t seen = 0;
    for (unsigned i = 0; i < XF_HISTOGRAM_BUCKETS; i++) {
        seen += counts[i];
        if ((double) seen >= wanted) {
            return xf_histogram_edge(i);
        }
    }
    return xf_histogram_edge(XF_HISTOGRAM_BUCKETS - 1);
}

#endif
