/*
 * override.c -- when an override has been taken over; see override.h.
 */
#include "shifter/control/override.h"

#include "shifter/plan/cutover.h"

bool xf_override_taken(const struct xf_document *document, const struct xf_version *version,
                       const struct xf_version *base, unsigned weight)
{
    if (xf_version_compare(version, base) <= 0) {
        return false;
    }
    if (!xf_cutover_runs(document->state)) {
        return true;
    }
    bool stays = document->holds[XF_HOLD_OVERRIDE].on || document->retreated ||
                 document->state == XF_CUTOVER_ABORTING;
    return document->weight <= weight && stays;
}
