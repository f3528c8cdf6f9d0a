/*
 * judge_explain.h -- what a verdict's log entry holds, and recomputing the verdict from it.
 *
 *     {"schema": 1, "rule": "errors", "attempt": 1, "n": 356.2, "sentence": "…",
 *      "options": [the guard], "inputs": {…}}
 *
 * `inputs` are, for errors and latency, the detector's state some blocks before the verdict and
 * those blocks (splits, errors of blue and green, prior mass, counts); for budget and both the
 * same with blocks of green responses; for the router what was sent; for evidence its products; for
 * a green that answers nothing what was sent since when, and the latency verdict that stood.
 * Verifying runs the live detectors over them and compares figures and sentence.
 */
#ifndef XF_SHIFTER_JUDGE_EXPLAIN_H
#define XF_SHIFTER_JUDGE_EXPLAIN_H

#include "config/base/error.h"
#include "shifter/judge/judge.h"

#include <jansson.h>

#define XF_JUDGE_EXPLAIN_SCHEMA 1

/* The payload for a rule that stands (or for evidence), made when it is found.  A new reference;
 * NULL without memory or where the rule does not stand. */
XF_NODISCARD json_t *xf_judge_explain_json(const struct xf_judge *judge, enum xf_judge_rule rule);

/* Recomputes the verdict; 0 when it comes out as the payload says, else `err` tells what does
 * not.  The payload may be anything. */
XF_NODISCARD int xf_judge_verify_json(const json_t *payload, struct xf_error *err);

#endif
