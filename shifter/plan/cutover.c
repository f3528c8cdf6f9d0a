/*
 * cutover.c -- the table of arrows; see cutover.h.
 */
#include "shifter/plan/cutover.h"

#include "config/base/check.h"

#include <string.h>

static const char *const state_names[XF_CUTOVER_STATES] = {
    [XF_CUTOVER_IDLE] = "idle",
    [XF_CUTOVER_PREFLIGHT] = "preflight",
    [XF_CUTOVER_SHIFTING] = "shifting",
    [XF_CUTOVER_SOAKING] = "soaking",
    [XF_CUTOVER_DRAINING] = "draining",
    [XF_CUTOVER_SAFE] = "safe",
    [XF_CUTOVER_FINALIZING] = "finalizing",
    [XF_CUTOVER_FINALIZED] = "finalized",
    [XF_CUTOVER_ABORTING] = "aborting",
    [XF_CUTOVER_ABORTED] = "aborted",
};

static const struct {
    enum xf_cutover_state from;
    enum xf_cutover_event on;
    enum xf_cutover_state to;
} edges[] = {
    {XF_CUTOVER_IDLE, XF_ON_START, XF_CUTOVER_PREFLIGHT},
    {XF_CUTOVER_FINALIZED, XF_ON_START, XF_CUTOVER_PREFLIGHT},
    {XF_CUTOVER_ABORTED, XF_ON_START, XF_CUTOVER_PREFLIGHT},
    {XF_CUTOVER_PREFLIGHT, XF_ON_PASSED, XF_CUTOVER_SHIFTING},
    {XF_CUTOVER_PREFLIGHT, XF_ON_FAILED, XF_CUTOVER_IDLE},
    {XF_CUTOVER_PREFLIGHT, XF_ON_ABORT, XF_CUTOVER_IDLE},
    {XF_CUTOVER_SHIFTING, XF_ON_FULL, XF_CUTOVER_SOAKING},
    {XF_CUTOVER_SHIFTING, XF_ON_LOWERED, XF_CUTOVER_SHIFTING},
    {XF_CUTOVER_SHIFTING, XF_ON_ABORT, XF_CUTOVER_ABORTING},
    {XF_CUTOVER_SOAKING, XF_ON_CONTENT, XF_CUTOVER_DRAINING},
    {XF_CUTOVER_SOAKING, XF_ON_LOWERED, XF_CUTOVER_SHIFTING},
    {XF_CUTOVER_SOAKING, XF_ON_ABORT, XF_CUTOVER_ABORTING},
    {XF_CUTOVER_DRAINING, XF_ON_QUIET, XF_CUTOVER_SAFE},
    {XF_CUTOVER_DRAINING, XF_ON_LOWERED, XF_CUTOVER_SHIFTING},
    {XF_CUTOVER_DRAINING, XF_ON_ABORT, XF_CUTOVER_ABORTING},
    {XF_CUTOVER_SAFE, XF_ON_FINALIZE, XF_CUTOVER_FINALIZING},
    {XF_CUTOVER_SAFE, XF_ON_REVOKED, XF_CUTOVER_ABORTING},
    {XF_CUTOVER_FINALIZING, XF_ON_VERIFIED, XF_CUTOVER_FINALIZED},
    {XF_CUTOVER_ABORTING, XF_ON_EMPTIED, XF_CUTOVER_ABORTED},
};

const char *xf_cutover_state_name(enum xf_cutover_state state)
{
    XF_ASSERT(state < XF_CUTOVER_STATES);
    return state_names[state];
}

bool xf_cutover_state_parse(const char *name, enum xf_cutover_state *ret)
{
    for (unsigned i = 0; i < XF_CUTOVER_STATES; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *ret = (enum xf_cutover_state) i;
            return true;
        }
    }
    return false;
}

bool xf_cutover_next(enum xf_cutover_state from, enum xf_cutover_event on,
                     enum xf_cutover_state *ret)
{
    for (size_t i = 0; i < XF_COUNT(edges); i++) {
        if (edges[i].from == from && edges[i].on == on) {
            *ret = edges[i].to;
            return true;
        }
    }
    return false;
}

bool xf_cutover_runs(enum xf_cutover_state state)
{
    return state != XF_CUTOVER_IDLE && state != XF_CUTOVER_FINALIZED && state != XF_CUTOVER_ABORTED;
}
