/*
 * backoff.h -- when to restart a process that died (DESIGN.md section 2): at once the first time,
 * later and later from the third death in 10 s.
 */
#ifndef XF_PROXY_BACKOFF_H
#define XF_PROXY_BACKOFF_H

#include <stdint.h>

#define XF_BACKOFF_WINDOW_MS 10000
#define XF_BACKOFF_DEATHS    3u /* in the window: from this one on there is a delay */
#define XF_BACKOFF_FIRST_MS  500
#define XF_BACKOFF_MOST_MS   8000

struct xf_backoff {                       /* all zero: nothing died yet */
    int64_t deaths_ms[XF_BACKOFF_DEATHS]; /* the newest ones, as a ring */
    unsigned deaths;                      /* ever */
    int64_t delay_ms;                     /* the last one given */
};

/* Notes a death at `now_ms` and returns how long to wait before the restart. */
int64_t xf_backoff_died(struct xf_backoff *backoff, int64_t now_ms);

#endif
