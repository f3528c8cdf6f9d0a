/*
 * judge_checkpoint.h -- the judge's state as a small text, so that a new leader goes on.
 *
 * A checkpoint comes back from a store, so nothing in it is believed: a number that is missing,
 * not finite or impossible refuses the whole.  Trails are not in it (judge_trail.h).
 */
#ifndef XF_SHIFTER_JUDGE_CHECKPOINT_H
#define XF_SHIFTER_JUDGE_CHECKPOINT_H

#include "config/base/error.h"
#include "shifter/judge/judge.h"
#include "shifter/judge/judge_trail.h"

#include <jansson.h>

#define XF_JUDGE_CHECKPOINT_SCHEMA 1

/* A JSON object of a few KiB; the caller frees it.  NULL means out of memory. */
XF_NODISCARD char *xf_judge_save(const struct xf_judge *judge);

/* Loads a checkpoint into a judge that was made by xf_judge_init with the same options; with
 * others it is refused.  On failure *judge is as before. */
XF_NODISCARD int xf_judge_load(struct xf_judge *judge, const char *text, struct xf_error *err);

/* Parts of it as arrays of numbers, for the log: a new reference, NULL without memory; reading
 * returns false and leaves *ret alone where a number is not acceptable. */
XF_NODISCARD json_t *xf_judge_options_json(const struct xf_judge_options *options);
bool xf_judge_options_from_json(const json_t *array, struct xf_judge_options *ret);
XF_NODISCARD json_t *xf_detector_json(const struct xf_detector *detector);
bool xf_detector_from_json(const json_t *array, struct xf_detector *ret);
XF_NODISCARD json_t *xf_budget_json(const struct xf_budget *budget);
bool xf_budget_from_json(const json_t *array, struct xf_budget *ret);
XF_NODISCARD json_t *xf_promote_json(const struct xf_promote *promote);
bool xf_promote_from_json(const json_t *array, struct xf_promote *ret);
XF_NODISCARD json_t *xf_totals_json(const struct xf_totals *totals);
bool xf_totals_from_json(const json_t *array, struct xf_totals *ret);

#endif
