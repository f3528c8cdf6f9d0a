/*
 * leak.c -- how many requests fail before the guard acts, foretold with the live detectors.
 */
#include "shifter/cli/leak.h"

#include <math.h>

#define BLOCKS_MAX    20000u
#define ERROR_GAP_US  1000000 /* between errors of the ratio's fault: farther apart than a blip */
#define GREEN_BETWEEN 20u     /* green answers per error: its failing share is above every floor */

/* Errors alone, in blocks of a blip. */
static double leak_in_blocks(const struct xf_judge *judge, double rho, double green_rps)
{
    struct xf_detector detector = judge->streams[XF_STREAM_ERRORS].detector;
    struct xf_totals totals = {.t_us = judge->begun_us};
    double failed = 0;
    double per_block = fmax(1, green_rps * judge->blip_ms / 1000);
    xf_detector_step(&detector, judge->begun_us);
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        struct xf_block block = {.opened_us = totals.t_us};
        uint64_t before = (uint64_t) failed;
        failed += per_block;
        uint64_t now = (uint64_t) failed - before;
        xf_block_add(&block, rho, now, 0);
        totals.done_green += now;
        totals.bad_green += now;
        totals.t_us += (int64_t) (judge->blip_ms * 1000.0 + 1e6 / green_rps);
        if (xf_block_informative(&block)) {
            (void) xf_detector_block(&detector, &block, &totals);
        }
        if (xf_detector_alarm(&detector)) {
            return failed;
        }
    }
    return XF_LEAK_UNKNOWN;
}

static double leak_in_budget(const struct xf_judge *judge, double green_rps)
{
    struct xf_budget budget = judge->budget;
    struct xf_budget_block block;
    struct xf_totals totals = {.t_us = judge->begun_us};
    double span_s = fmax(XF_BUDGET_BLOCK_US / 1e6, XF_BUDGET_BLOCK_GREEN / green_rps);
    uint64_t per_block = (uint64_t) fmax(XF_BUDGET_BLOCK_GREEN, green_rps * span_s);
    xf_budget_step(&budget, judge->begun_us);
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        totals.done_green += per_block;
        totals.bad_green += per_block;
        xf_budget_add(&budget, totals.t_us, &totals, per_block, per_block);
        totals.t_us += (int64_t) (span_s * 1e6);
        if (xf_budget_close(&budget, &block) == XF_BUDGET_OVER) {
            return (double) totals.bad_green;
        }
    }
    return XF_LEAK_UNKNOWN;
}

double xf_leak_all(const struct xf_judge *judge, double rho, double green_rps)
{
    if (!(green_rps > 0)) {
        return XF_LEAK_UNKNOWN;
    }
    double blocks = leak_in_blocks(judge, rho, green_rps);
    double budget = leak_in_budget(judge, green_rps);
    if (blocks < 0 || budget < 0) {
        return fmax(blocks, budget);
    }
    return fmin(blocks, budget);
}

double xf_leak_ratio(const struct xf_judge *judge, double rho, double ratio)
{
    struct xf_detector detector = judge->streams[XF_STREAM_ERRORS].detector;
    struct xf_totals totals = {.t_us = judge->begun_us};
    double share = rho * ratio / (rho * ratio + 1 - rho); /* of the errors, green's */
    double due = 0;
    if (!(rho > 0 && rho < 1)) {
        return XF_LEAK_UNKNOWN;
    }
    xf_detector_step(&detector, judge->begun_us);
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        struct xf_block block = {.opened_us = totals.t_us};
        due += share;
        bool green = due >= 1;
        due -= green ? 1 : 0;
        xf_block_add(&block, rho, green, !green);
        totals.bad_green += green;
        totals.done_green += green ? GREEN_BETWEEN : 0;
        totals.bad_blue += !green;
        totals.done_blue += green ? 0 : GREEN_BETWEEN;
        totals.t_us += ERROR_GAP_US;
        (void) xf_detector_block(&detector, &block, &totals);
        if (xf_detector_alarm(&detector)) {
            return (double) totals.bad_green;
        }
    }
    return XF_LEAK_UNKNOWN;
}
