/*
 * override.h -- break-glass: a weight of one proxy's own, and when the fleet has taken it over.
 *
 * Pure.  Both ends use the same rule: the leader writes until the document takes an override over,
 * and the proxy follows the document again from then on (DESIGN.md section 8).
 */
#ifndef XF_SHIFTER_OVERRIDE_H
#define XF_SHIFTER_OVERRIDE_H

#include "config/base/version.h"
#include "shifter/plan/document.h"

#define XF_OVERRIDE_JUDGE "judge" /* the actor where a proxy's own judge gave it */

/* Whether following `document` again moves nothing towards green behind somebody's back: it is
 * newer than the override and either no cutover runs any more, or its weight is no higher and
 * stays so until a person says otherwise. */
bool xf_override_taken(const struct xf_document *document, const struct xf_version *version,
                       const struct xf_version *base, unsigned weight);

#endif
