/*
 * judge_options.c -- the guard's numbers: defaults and ranges.
 *
 * The ranges are those in which the mathematics holds; a plan's own checks may be narrower.
 */
#include "shifter/judge/judge.h"

#include <math.h>

void xf_judge_options_default(struct xf_judge_options *ret)
{
    *ret = (struct xf_judge_options){
        .false_pause = 0.01,
        .worse_than = 1.2,
        .ignore_below = 0.0005,
        .limit = 0.05,
        .latency = true,
        .latency_worse_than = 1.5,
        .latency_ignore_below = 0.02,
        .prove_errors_below = 0.01,
        .prove_ratio_below = 2,
        .steps = 1,
        .planned_ms = 3600000,
        .judges = 1,
    };
}

int xf_judge_options_check(const struct xf_judge_options *options, struct xf_error *err)
{
    const struct {
        const char *name;
        double value;
        double min;
        double max;
    } rows[] = {
        {"false_pause", options->false_pause, 1e-9, 0.5},
        {"errors.worse_than", options->worse_than, 1, 1000},
        {"errors.ignore_below", options->ignore_below, 0, 0.999},
        {"errors.limit", options->limit, 1e-6, 0.999},
        {"latency.worse_than", options->latency_worse_than, 1, 1000},
        {"latency.ignore_below", options->latency_ignore_below, 0, 0.999},
        {"prove.errors_below", options->prove_errors_below, 1e-6, 0.999},
        {"prove.or_ratio_below", options->prove_ratio_below, 0.01, 1000},
        {"blip", options->blip_ms, 0, XF_JUDGE_BLIP_MS_MAX},
        {"steps", options->steps, 1, XF_PLAN_STEPS_MAX},
        {"planned_ms", (double) options->planned_ms, 1, 1e13},
        {"judges", options->judges, 1, XF_PROXIES_MAX},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        if (!(rows[i].value >= rows[i].min && rows[i].value <= rows[i].max)) {
            return XF_FAIL(err, XF_E_CONFIG, "%s is %g; it must be from %g to %g", rows[i].name,
                           rows[i].value, rows[i].min, rows[i].max);
        }
    }
    if (!options->exact && options->blip_ms % XF_CELL_MS != 0) {
        return XF_FAIL(err, XF_E_CONFIG, "blip is %u ms; it must be a multiple of %d ms",
                       options->blip_ms, XF_CELL_MS);
    }
    return 0;
}
