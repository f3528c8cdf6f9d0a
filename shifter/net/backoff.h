/*
 * backoff.h -- how long to wait before the next try: doubling, bounded, jittered.
 *
 * Jitter keeps a fleet that lost the same server from coming back in step.
 */
#ifndef XF_SHIFTER_BACKOFF_H
#define XF_SHIFTER_BACKOFF_H

#include <sys/time.h>

struct xf_backoff {
    unsigned ms_min; /* of the first wait */
    unsigned ms_max;
    unsigned ms_now; /* upper bound of the next wait; 0: the next is the first */
};

/* The next wait, between half and all of a bound that doubles from ms_min up to ms_max. */
struct timeval xf_backoff_next(struct xf_backoff *backoff);
static inline void xf_backoff_reset(struct xf_backoff *backoff)
{
    backoff->ms_now = 0;
}

#endif
