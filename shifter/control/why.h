/*
 * why.h -- why the weight does not rise, or why the old cluster may not go yet, in sentences.
 *
 * For a person at three in the morning: the state, each hold with what lifts it, the verdict with
 * its numbers, what is missing, who blocks the signal.
 */
#ifndef XF_SHIFTER_WHY_H
#define XF_SHIFTER_WHY_H

#include "shifter/control/status.h"

/* The object of `GET /v1/services/S/why` (API.md).  A new reference; NULL without memory. */
XF_NODISCARD json_t *xf_why_build(const struct xf_status_view *view);

#endif
