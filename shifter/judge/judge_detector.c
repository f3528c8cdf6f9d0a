/*
 * judge_detector.c -- of the bad responses, how many came from green?  The e-detector.
 *
 * With D(r) = rho r + 1 - rho, an error is green's with probability q(r) = rho r / D(r), so the
 * factors of JUDGE.md 2a are q(r_j)/q(r_0) = (r_j/r_0) D(r_0)/D(r_j) for an error of green and
 * D(r_0)/D(r_j) for one of blue: finite and positive for every rho between 0 and 1.
 */
#include "shifter/judge/judge_detector.h"

#include "config/base/check.h"

#include <math.h>

static const double error_ratios[] = {1.5, 2, 3, 5, 10, 30, 100, 1000};
static const double latency_ratios[] = {1.5, 2, 3, 5, 10, 30, 60};

static_assert(XF_COUNT(error_ratios) <= XF_DETECTOR_ALTERNATIVES, "alternatives fit");
static_assert(XF_COUNT(latency_ratios) <= XF_DETECTOR_ALTERNATIVES, "alternatives fit");

void xf_detector_init(struct xf_detector *detector, const struct xf_detector_options *options,
                      int64_t begun_us)
{
    XF_ASSERT(options->alpha > 0);
    XF_ASSERT(options->steps > 0);
    XF_ASSERT(options->planned_us > 0);

    *detector = (struct xf_detector){.options = *options, .last_us = begun_us};
    const double *ratios = options->latency ? latency_ratios : error_ratios;
    detector->count = options->latency ? XF_COUNT(latency_ratios) : XF_COUNT(error_ratios);
    detector->totals.t_us = begun_us;
    for (unsigned j = 0; j < detector->count; j++) {
        detector->ratio[j] = options->worse_than * ratios[j];
        detector->cusum[j] = 1;
        detector->since[j].t_us = begun_us;
    }
}

void xf_detector_step(struct xf_detector *detector, int64_t t_us)
{
    if (!detector->stepped) {
        detector->stepped = true;
        detector->last_us = t_us;
        detector->totals.t_us = t_us;
        for (unsigned j = 0; j < detector->count; j++) {
            detector->since[j].t_us = t_us;
        }
    }
    detector->pending += 0.5 / detector->options.steps;
}

void xf_block_add(struct xf_block *block, double rho, uint64_t green, uint64_t blue)
{
    if (green == 0 && blue == 0) {
        return;
    }
    struct xf_block_share *nearest = NULL;
    for (unsigned i = 0; i < block->count; i++) {
        struct xf_block_share *share = &block->shares[i];
        if (nearest == NULL || fabs(share->rho - rho) < fabs(nearest->rho - rho)) {
            nearest = share;
        }
    }
    if (nearest == NULL || (nearest->rho != rho && block->count < XF_JUDGE_ENTRIES_MAX)) {
        nearest = &block->shares[block->count++];
        *nearest = (struct xf_block_share){.rho = rho};
    }
    nearest->green += green;
    nearest->blue += blue;
}

static bool informative(const struct xf_block_share *share)
{
    return share->rho > 0 && share->rho < 1 && share->green + share->blue > 0;
}

bool xf_block_factor(const struct xf_block *block, double r, double r0, double *ret)
{
    double sum = 0;
    double errors = 0;
    for (unsigned i = 0; i < block->count; i++) {
        const struct xf_block_share *share = &block->shares[i];
        if (!informative(share)) {
            continue;
        }
        double blue_factor = (share->rho * r0 + 1 - share->rho) / (share->rho * r + 1 - share->rho);
        double green_factor = r / r0 * blue_factor;
        sum += green_factor * (double) share->green + blue_factor * (double) share->blue;
        errors += (double) share->green + (double) share->blue;
    }
    if (errors == 0) {
        return false;
    }
    *ret = sum / errors;
    return true;
}

static bool block_has_green(const struct xf_block *block)
{
    for (unsigned i = 0; i < block->count; i++) {
        if (informative(&block->shares[i]) && block->shares[i].green > 0) {
            return true;
        }
    }
    return false;
}

bool xf_block_informative(const struct xf_block *block)
{
    for (unsigned i = 0; i < block->count; i++) {
        if (informative(&block->shares[i])) {
            return true;
        }
    }
    return false;
}

void xf_detector_block_mass(struct xf_detector *detector, const struct xf_block *block,
                            const struct xf_totals *totals, double mass)
{
    detector->mass = mass;
    detector->totals = *totals;
    detector->value = 0;
    for (unsigned j = 0; j < detector->count; j++) {
        double factor = 1;
        (void) xf_block_factor(block, detector->ratio[j], detector->options.worse_than, &factor);
        double sum = (detector->sum[j] + mass / detector->count) * factor;
        double cusum = fmax(detector->cusum[j], 1) * factor;
        detector->sum[j] = fmin(sum, XF_DETECTOR_VALUE_MAX);
        detector->cusum[j] = fmin(cusum, XF_DETECTOR_VALUE_MAX);
        if (detector->cusum[j] <= 1) {
            detector->since[j] = *totals;
        }
        detector->value += detector->sum[j];
    }
    detector->value = fmin(detector->value, XF_DETECTOR_VALUE_MAX);
    detector->value_max = fmax(detector->value_max, detector->value);
    detector->incidents += block_has_green(block);
}

double xf_detector_block(struct xf_detector *detector, const struct xf_block *block,
                         const struct xf_totals *totals)
{
    int64_t elapsed = block->opened_us - detector->last_us;
    double mass = detector->pending;
    if (elapsed > 0) {
        mass += 0.5 * (double) elapsed / (double) detector->options.planned_us;
        detector->last_us = block->opened_us;
    }
    detector->pending = 0;
    xf_detector_block_mass(detector, block, totals, mass);
    return mass;
}

struct xf_totals xf_totals_between(const struct xf_totals *since, const struct xf_totals *until)
{
    return (struct xf_totals){.t_us = since->t_us,
                              .done_blue = until->done_blue - since->done_blue,
                              .done_green = until->done_green - since->done_green,
                              .bad_blue = until->bad_blue - since->bad_blue,
                              .bad_green = until->bad_green - since->bad_green};
}

struct xf_totals xf_detector_window(const struct xf_detector *detector)
{
    unsigned best = 0;
    for (unsigned j = 1; j < detector->count; j++) {
        if (detector->sum[j] > detector->sum[best]) {
            best = j;
        }
    }
    return xf_totals_between(&detector->since[best], &detector->totals);
}

double xf_totals_green_share(const struct xf_totals *window)
{
    if (window->bad_green == 0) {
        return 0;
    }
    return fmin(1, (double) window->bad_green / (double) window->done_green);
}

double xf_totals_blue_share(const struct xf_totals *window)
{
    if (window->bad_blue == 0) {
        return 0;
    }
    return fmin(1, (double) window->bad_blue / (double) window->done_blue);
}

bool xf_detector_alarm(const struct xf_detector *detector)
{
    if (detector->value < 1 / detector->options.alpha ||
        detector->incidents < XF_DETECTOR_INCIDENTS) {
        return false;
    }
    struct xf_totals window = xf_detector_window(detector);
    return xf_totals_green_share(&window) >= detector->options.floor;
}
