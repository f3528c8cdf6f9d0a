/*
 * judge_blip.h -- how long blue's own bursts of errors last.
 *
 * A block should be as long as one incident.  Errors are counted in windows of 50, 100, 200 …
 * ms: while windows grow towards the length of a burst, the ratio of variance to mean grows;
 * beyond it, it stays.  The first window from which it stays is the blip.  Pure.
 */
#ifndef XF_SHIFTER_JUDGE_BLIP_H
#define XF_SHIFTER_JUDGE_BLIP_H

#include "config/base/limits.h"

#include <stdint.h>

#define XF_BLIP_SCALES     8u /* 50 ms … 6.4 s */
#define XF_BLIP_MS_MAX     ((unsigned) XF_CELL_MS << (XF_BLIP_SCALES - 1))
#define XF_BLIP_ERRORS_MIN 50u /* fewer teach nothing */

struct xf_blip_scale {
    int64_t window; /* number of the open window */
    double open;    /* errors in it */
    double squares; /* of the closed ones */
};

struct xf_blip {
    int64_t first_ms; /* -1: nothing seen */
    int64_t last_ms;
    double errors;
    struct xf_blip_scale scales[XF_BLIP_SCALES];
};

void xf_blip_init(struct xf_blip *blip);
/* Blue's errors of one cell; cells come in the order of time, clean ones may be left out. */
void xf_blip_cell(struct xf_blip *blip, int64_t t_ms, uint64_t errors);
/* Time has been seen up to `t_ms`. */
void xf_blip_seen(struct xf_blip *blip, int64_t t_ms);
/* A multiple of 50 ms, or 0: too few errors to tell. */
unsigned xf_blip_ms(const struct xf_blip *blip);

#endif
