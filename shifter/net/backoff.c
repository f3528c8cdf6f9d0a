/*
 * backoff.c -- see backoff.h.
 */
#include "shifter/net/backoff.h"

#include "config/base/check.h"

#include <sys/random.h>

struct timeval xf_backoff_next(struct xf_backoff *backoff)
{
    XF_ASSERT(backoff->ms_min > 0);
    XF_ASSERT(backoff->ms_min <= backoff->ms_max);
    if (backoff->ms_now < backoff->ms_min) {
        backoff->ms_now = backoff->ms_min;
    }
    unsigned draw = 0; /* without randomness: no jitter, which harms nobody */
    (void) !getrandom(&draw, sizeof(draw), GRND_NONBLOCK);
    unsigned ms = backoff->ms_now - draw % (backoff->ms_now / 2 + 1);
    backoff->ms_now = backoff->ms_now > backoff->ms_max / 2 ? backoff->ms_max : backoff->ms_now * 2;
    return (struct timeval){ms / 1000, (suseconds_t) (ms % 1000) * 1000};
}
