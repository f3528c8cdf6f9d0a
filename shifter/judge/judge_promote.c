/*
 * judge_promote.c -- positive evidence that green is good enough to advance.
 *
 * Two products of factors, each with mean at most 1 while green is too bad: E1 over the shares of
 * errors that are green's, E2 over green's failing share.  Their average needs XF_PROMOTE_ENOUGH.
 */
#include "shifter/judge/judge_promote.h"

#include "config/base/check.h"

#include <math.h>

/* Just enough: above the threshold by what rounding may take. */
#define RENEWED (XF_PROMOTE_ENOUGH * 1.000001)

static const double ratio_parts[] = {0.75, 0.5, 0.25};  /* of r1 */
static const double share_parts[] = {0, 0.1, 0.3, 0.6}; /* of p_ok */

static_assert(XF_COUNT(ratio_parts) == XF_PROMOTE_RATIOS, "alternatives fit");
static_assert(XF_COUNT(share_parts) == XF_PROMOTE_SHARES, "alternatives fit");

void xf_promote_init(struct xf_promote *promote, const struct xf_promote_options *options,
                     int64_t begun_us)
{
    XF_ASSERT(options->errors_below > 0);
    XF_ASSERT(options->errors_below < 1);
    XF_ASSERT(options->ratio_below > 0);

    *promote = (struct xf_promote){.options = *options, .begun_us = begun_us};
    for (unsigned k = 0; k < XF_PROMOTE_RATIOS; k++) {
        promote->ratio[k] = 1;
    }
    for (unsigned k = 0; k < XF_PROMOTE_SHARES; k++) {
        promote->share[k] = 1;
    }
}

void xf_promote_block(struct xf_promote *promote, const struct xf_block *block)
{
    double factor[XF_PROMOTE_RATIOS];
    double r1 = promote->options.ratio_below;
    for (unsigned k = 0; k < XF_PROMOTE_RATIOS; k++) {
        if (!xf_block_factor(block, r1 * ratio_parts[k], r1, &factor[k])) {
            return;
        }
    }
    for (unsigned k = 0; k < XF_PROMOTE_RATIOS; k++) {
        promote->ratio[k] = fmin(promote->ratio[k] * factor[k], XF_DETECTOR_VALUE_MAX);
    }
}

/* The factor of a block with failing share y for alternative k. */
static double share_factor(const struct xf_promote *promote, unsigned k, double y)
{
    double limit = promote->options.errors_below;
    return y * share_parts[k] + (1 - y) * (1 - limit * share_parts[k]) / (1 - limit);
}

void xf_promote_advance(struct xf_promote *promote, int64_t t_us)
{
    if (!promote->open || t_us - promote->opened_us < XF_PROMOTE_BLOCK_US) {
        return;
    }
    double y = (double) promote->block_bad / (double) promote->block_done;
    for (unsigned k = 0; k < XF_PROMOTE_SHARES; k++) {
        promote->share[k] =
            fmin(promote->share[k] * share_factor(promote, k, y), XF_DETECTOR_VALUE_MAX);
    }
    promote->open = false;
    promote->block_done = 0;
    promote->block_bad = 0;
    promote->blocks++;
}

void xf_promote_green(struct xf_promote *promote, int64_t t_us, uint64_t done, uint64_t bad)
{
    if (done == 0) {
        return;
    }
    bad = bad < done ? bad : done;
    if (!promote->open) {
        promote->open = true;
        promote->opened_us = t_us;
    }
    promote->block_done += done;
    promote->block_bad += bad;
    promote->green += done;
    promote->green_bad += bad;
}

void xf_promote_blue(struct xf_promote *promote, uint64_t done)
{
    promote->blue += done;
}

static double ratio_mean(const struct xf_promote *promote)
{
    double sum = 0;
    for (unsigned k = 0; k < XF_PROMOTE_RATIOS; k++) {
        sum += promote->ratio[k];
    }
    return sum / XF_PROMOTE_RATIOS;
}

/* The mean of E2 after `clean` further blocks without an error. */
static double share_mean(const struct xf_promote *promote, double clean)
{
    double sum = 0;
    for (unsigned k = 0; k < XF_PROMOTE_SHARES; k++) {
        sum += fmin(promote->share[k] * pow(share_factor(promote, k, 0), clean),
                    XF_DETECTOR_VALUE_MAX);
    }
    return sum / XF_PROMOTE_SHARES;
}

void xf_promote_renew(struct xf_promote *promote, int64_t begun_us, bool compared)
{
    double ratio = ratio_mean(promote);
    double share = share_mean(promote, 0);
    for (unsigned k = 0; k < XF_PROMOTE_RATIOS && compared && ratio > 2 * RENEWED; k++) {
        promote->ratio[k] *= 2 * RENEWED / ratio;
    }
    for (unsigned k = 0; k < XF_PROMOTE_SHARES && share > 2 * RENEWED; k++) {
        promote->share[k] *= 2 * RENEWED / share;
    }
    promote->begun_us = begun_us;
    promote->blocks = 0;
    promote->green = 0;
    promote->green_bad = 0;
    promote->blue = 0;
}

double xf_promote_value(const struct xf_promote *promote)
{
    return (ratio_mean(promote) + share_mean(promote, 0)) / 2;
}

#define MISSING_MAX ((uint64_t) 1 << 40)

uint64_t xf_promote_missing(const struct xf_promote *promote)
{
    double wanted = 2 * XF_PROMOTE_ENOUGH; /* nothing is expected of E1, which needs errors */
    if (xf_promote_value(promote) >= XF_PROMOTE_ENOUGH) {
        return 0;
    }
    uint64_t high = 1;
    while (share_mean(promote, (double) high) < wanted && high < MISSING_MAX) {
        high *= 2;
    }
    uint64_t low = high / 2; /* not enough, or 0 */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (share_mean(promote, (double) middle) < wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

uint64_t xf_promote_needed(const struct xf_promote_options *options)
{
    struct xf_promote fresh;
    xf_promote_init(&fresh, options, 0);
    return xf_promote_missing(&fresh);
}

double xf_promote_rules_out(const struct xf_promote *promote)
{
    double low = 0; /* not ruled out */
    double high = 1;
    double clean = (double) (promote->green - promote->green_bad);
    double bad = (double) promote->green_bad;
    while (high - low > 1e-6) {
        double p = (low + high) / 2;
        double sum = 0;
        for (unsigned k = 0; k < XF_PROMOTE_SHARES; k++) {
            double log_clean = clean * log((1 - p * share_parts[k]) / (1 - p));
            double log_bad = bad > 0 ? bad * log(share_parts[k]) : 0;
            sum += exp(fmin(log_clean + log_bad, 400));
        }
        if ((sum / XF_PROMOTE_SHARES + 1) / 2 >= XF_PROMOTE_ENOUGH) {
            high = p;
        } else {
            low = p;
        }
    }
    return high;
}
