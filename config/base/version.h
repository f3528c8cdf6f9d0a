/*
 * version.h -- the version of a service's control state (DESIGN.md section 1).
 *
 * epoch: the leader's fencing number; generation: one more for every command, verdict, hold,
 * step and state, never restarting; revision: a ramp's moves within one generation.
 */
#ifndef XF_BASE_VERSION_H
#define XF_BASE_VERSION_H

#include <stdint.h>

struct xf_version {
    uint64_t epoch;
    uint64_t generation;
    uint64_t revision;
};

/* <0, 0, >0 as a is older than, equal to, newer than b. */
static inline int xf_version_compare(const struct xf_version *a, const struct xf_version *b)
{
    if (a->epoch != b->epoch) {
        return a->epoch < b->epoch ? -1 : 1;
    }
    if (a->generation != b->generation) {
        return a->generation < b->generation ? -1 : 1;
    }
    if (a->revision != b->revision) {
        return a->revision < b->revision ? -1 : 1;
    }
    return 0;
}

#define XF_VERSION_TEXT_BYTES 64
/* `epoch.generation.revision` */
const char *xf_version_format(const struct xf_version *version, char out[XF_VERSION_TEXT_BYTES]);

#endif
