/*
 * backoff.c -- counting deaths in a sliding window.
 */
#include "proxy/supervisor/backoff.h"

int64_t xf_backoff_died(struct xf_backoff *backoff, int64_t now_ms)
{
    /* The slot about to be overwritten holds the death XF_BACKOFF_DEATHS - 1 deaths ago after
     * this one is entered: three deaths span the time from the oldest kept to now. */
    backoff->deaths_ms[backoff->deaths % XF_BACKOFF_DEATHS] = now_ms;
    backoff->deaths++;
    int64_t oldest_ms = backoff->deaths_ms[backoff->deaths % XF_BACKOFF_DEATHS];
    if (backoff->deaths < XF_BACKOFF_DEATHS ||
        now_ms - oldest_ms > XF_BACKOFF_WINDOW_MS + backoff->delay_ms) {
        backoff->delay_ms = 0;
    } else if (backoff->delay_ms == 0) {
        backoff->delay_ms = XF_BACKOFF_FIRST_MS;
    } else if (backoff->delay_ms < XF_BACKOFF_MOST_MS) {
        backoff->delay_ms *= 2;
    }
    return backoff->delay_ms;
}
