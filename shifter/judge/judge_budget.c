/*
 * judge_budget.c -- does green fail more than the budget, whatever blue does?
 *
 * A block's failing share y gives the factor y p_k/pmax + (1-y)(1-p_k)/(1-pmax) for each
 * alternative p_k above the budget; sums and the start of the fault are kept as in the detector.
 */
#include "shifter/judge/judge_budget.h"

#include "config/base/check.h"

#include <math.h>

static const double budget_parts[] = {0.1, 0.25, 0.5, 0.95}; /* of the way from pmax to 1 */

static_assert(XF_COUNT(budget_parts) == XF_BUDGET_ALTERNATIVES, "alternatives fit");

/* While both fail, the recent past decides once it rests on this many responses of either over
 * this time: after a shared outage has ended for blue, its old failures must not shield green. */
#define RECENT_RESPONSES 50u
#define RECENT_US        1000000
#define RECENT_DENIED    9.2     /* ln(1/0.0001): it is looked at over and over */
#define RECENT_US_MAX    5000000 /* then the recent past begins anew */
#define RECENT_GREEN     0.75    /* of green's share since the trouble began: it goes on failing */

#define DENIED 4.6 /* ln(1/0.01) */

void xf_budget_init(struct xf_budget *budget, const struct xf_budget_options *options,
                    int64_t begun_us)
{
    XF_ASSERT(options->limit > 0);
    XF_ASSERT(options->limit < 1);
    XF_ASSERT(options->alpha > 0);
    XF_ASSERT(options->steps > 0);
    XF_ASSERT(options->planned_us > 0);

    *budget = (struct xf_budget){.options = *options, .last_us = begun_us};
    budget->totals.t_us = begun_us;
    budget->recent.t_us = begun_us;
    for (unsigned k = 0; k < XF_BUDGET_ALTERNATIVES; k++) {
        budget->share[k] = options->limit + (1 - options->limit) * budget_parts[k];
        budget->cusum[k] = 1;
        budget->since[k].t_us = begun_us;
    }
}

void xf_budget_step(struct xf_budget *budget, int64_t t_us)
{
    if (!budget->stepped) {
        budget->stepped = true;
        budget->last_us = t_us;
        budget->totals.t_us = t_us;
        budget->recent.t_us = t_us;
        for (unsigned k = 0; k < XF_BUDGET_ALTERNATIVES; k++) {
            budget->since[k].t_us = t_us;
        }
    }
    budget->pending += 0.5 / budget->options.steps;
}

void xf_budget_block_mass(struct xf_budget *budget, const struct xf_budget_block *block)
{
    double y = (double) block->bad / (double) block->done;
    double limit = budget->options.limit;
    budget->mass = block->mass;
    budget->totals = block->totals;
    budget->value = 0;
    for (unsigned k = 0; k < XF_BUDGET_ALTERNATIVES; k++) {
        double p = budget->share[k];
        double factor = y * p / limit + (1 - y) * (1 - p) / (1 - limit);
        double sum = (budget->sum[k] + block->mass / XF_BUDGET_ALTERNATIVES) * factor;
        double cusum = fmax(budget->cusum[k], 1) * factor;
        budget->sum[k] = fmin(sum, XF_DETECTOR_VALUE_MAX);
        budget->cusum[k] = fmin(cusum, XF_DETECTOR_VALUE_MAX);
        if (budget->cusum[k] <= 1) {
            budget->since[k] = block->totals;
        }
        budget->value += budget->sum[k];
    }
    budget->value = fmin(budget->value, XF_DETECTOR_VALUE_MAX);
    budget->value_max = fmax(budget->value_max, budget->value);
}

struct xf_totals xf_budget_window(const struct xf_budget *budget)
{
    unsigned best = 0;
    for (unsigned k = 1; k < XF_BUDGET_ALTERNATIVES; k++) {
        if (budget->sum[k] > budget->sum[best]) {
            best = k;
        }
    }
    return xf_totals_between(&budget->since[best], &budget->totals);
}

/* Blue fails at least half as much as green, or too few of its responses were seen to deny it: at
 * a large split blue's share is a guess, and a shared outage must not be blamed on green.  By
 * Chernoff's bound so few failures at half of green's share have a probability of at most
 * exp(-n KL); exp(-denied) denies. */
static bool blue_fails_too(const struct xf_totals *window, double denied)
{
    double blue = xf_totals_blue_share(window);
    double half = 0.5 * xf_totals_green_share(window);
    if (blue >= half) {
        return true;
    }
    double divergence = (1 - blue) * log((1 - blue) / (1 - half));
    divergence += blue > 0 ? blue * log(blue / half) : 0;
    return (double) window->done_blue * divergence < denied;
}

static bool long_enough(const struct xf_budget *budget, const struct xf_totals *recent)
{
    return recent->done_blue >= RECENT_RESPONSES && recent->done_green >= RECENT_RESPONSES &&
           budget->totals.t_us - recent->t_us >= RECENT_US;
}

/* Of a trouble that both shared, blue is over it and green is not. */
static bool blue_recovered(const struct xf_budget *budget, const struct xf_totals *window)
{
    struct xf_totals recent = xf_totals_between(&budget->recent, &budget->totals);
    return recent.t_us > window->t_us && long_enough(budget, &recent) &&
           !blue_fails_too(&recent, RECENT_DENIED) &&
           xf_totals_blue_share(&recent) <= budget->options.limit &&
           xf_totals_green_share(&recent) >= RECENT_GREEN * xf_totals_green_share(window);
}

enum xf_budget_finding xf_budget_finding(const struct xf_budget *budget)
{
    if (budget->value < 1 / budget->options.alpha) {
        return XF_BUDGET_QUIET;
    }
    struct xf_totals window = xf_budget_window(budget);
    bool both;
    if (budget->options.plain) {
        both = window.done_blue > 0 &&
               xf_totals_blue_share(&window) >= 0.5 * xf_totals_green_share(&window);
    } else {
        both = window.bad_blue > 0 && blue_fails_too(&window, DENIED) &&
               !blue_recovered(budget, &window);
    }
    return both ? XF_BUDGET_BOTH : XF_BUDGET_OVER;
}

void xf_budget_cut_back(struct xf_budget *budget)
{
    if (budget->options.plain) {
        return;
    }
    double factor = 1 / budget->options.alpha / budget->value;
    for (unsigned k = 0; k < XF_BUDGET_ALTERNATIVES; k++) {
        budget->sum[k] *= factor;
        budget->cusum[k] *= factor;
    }
    budget->value *= factor;
    struct xf_totals window = xf_budget_window(budget);
    struct xf_totals recent = xf_totals_between(&budget->recent, &budget->totals);
    bool old = budget->totals.t_us - recent.t_us >= RECENT_US_MAX;
    if (recent.t_us <= window.t_us || (old && long_enough(budget, &recent))) {
        budget->recent = budget->totals;
    }
}

enum xf_budget_finding xf_budget_close(struct xf_budget *budget, struct xf_budget_block *ret_block)
{
    XF_ASSERT(budget->open);
    XF_ASSERT(budget->block_done > 0);
    int64_t elapsed = budget->opened_us - budget->last_us;
    struct xf_budget_block block = {.opened_us = budget->opened_us,
                                    .done = budget->block_done,
                                    .bad = budget->block_bad,
                                    .mass = budget->pending,
                                    .totals = budget->totals};
    if (elapsed > 0) {
        block.mass += 0.5 * (double) elapsed / (double) budget->options.planned_us;
        budget->last_us = budget->opened_us;
    }
    budget->pending = 0;
    budget->block_done = 0;
    budget->block_bad = 0;
    budget->open = false;
    xf_budget_block_mass(budget, &block);
    *ret_block = block;
    return xf_budget_finding(budget);
}

bool xf_budget_due(const struct xf_budget *budget, int64_t t_us)
{
    return budget->open && budget->block_done >= XF_BUDGET_BLOCK_GREEN &&
           t_us - budget->opened_us >= XF_BUDGET_BLOCK_US;
}

void xf_budget_add(struct xf_budget *budget, int64_t t_us, const struct xf_totals *totals,
                   uint64_t done_green, uint64_t bad_green)
{
    budget->totals = *totals;
    if (done_green == 0) {
        return;
    }
    if (!budget->open) {
        budget->open = true;
        budget->opened_us = t_us;
    }
    budget->block_done += done_green;
    budget->block_bad += bad_green < done_green ? bad_green : done_green;
}
