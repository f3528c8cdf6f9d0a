/*
 * judge_blip.c -- how long blue's own bursts of errors last.
 *
 * For independent errors the variance of the count in a window equals its mean, whatever the
 * window.  Bursts make the ratio of the two grow with the window until it covers a whole burst.
 */
#include "shifter/judge/judge_blip.h"

#define WINDOWS_MIN 20  /* closed windows that a scale needs */
#define GROWTH      1.3 /* less than this from one window to twice it is no growth */
#define SHORTEST    1   /* the scale of 100 ms: the default is not undercut */

void xf_blip_init(struct xf_blip *blip)
{
    *blip = (struct xf_blip){.first_ms = -1};
}

static int64_t window_ms(unsigned scale)
{
    return (int64_t) XF_CELL_MS << scale;
}

void xf_blip_seen(struct xf_blip *blip, int64_t t_ms)
{
    if (blip->first_ms < 0) {
        blip->first_ms = t_ms;
        blip->last_ms = t_ms;
    }
    if (t_ms > blip->last_ms) {
        blip->last_ms = t_ms;
    }
}

void xf_blip_cell(struct xf_blip *blip, int64_t t_ms, uint64_t errors)
{
    xf_blip_seen(blip, t_ms);
    if (errors == 0 || t_ms < blip->first_ms) {
        return;
    }
    blip->errors += (double) errors;
    for (unsigned k = 0; k < XF_BLIP_SCALES; k++) {
        struct xf_blip_scale *scale = &blip->scales[k];
        int64_t window = t_ms / window_ms(k);
        if (window != scale->window) {
            scale->squares += scale->open * scale->open;
            scale->open = 0;
            scale->window = window;
        }
        scale->open += (double) errors;
    }
}

/* Variance over mean of the counts in windows of one scale; 0: too few windows. */
static double dispersion(const struct xf_blip *blip, unsigned k)
{
    double windows = (double) (blip->last_ms - blip->first_ms) / (double) window_ms(k);
    if (windows < WINDOWS_MIN) {
        return 0;
    }
    const struct xf_blip_scale *scale = &blip->scales[k];
    double mean = blip->errors / windows;
    double squares = (scale->squares + scale->open * scale->open) / windows;
    double variance = squares - mean * mean;
    return variance / mean;
}

unsigned xf_blip_ms(const struct xf_blip *blip)
{
    if (blip->errors < XF_BLIP_ERRORS_MIN) {
        return 0;
    }
    for (unsigned k = SHORTEST; k + 1 < XF_BLIP_SCALES; k++) {
        double here = dispersion(blip, k);
        double next = dispersion(blip, k + 1);
        if (here <= 0 || next <= 0) {
            return 0;
        }
        if (next < GROWTH * here) {
            return (unsigned) window_ms(k);
        }
    }
    return (unsigned) window_ms(XF_BLIP_SCALES - 1);
}
