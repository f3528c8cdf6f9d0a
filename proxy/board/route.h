/*
 * route.h -- the route of a service: one atomic word, and the immutable record it names.
 *
 *     generation:32 | record:8 | flags:8 | weight:16
 *
 * A worker reads the word once per request (and again, in the same turn, for every later choice
 * of that request).  The record is written before the word is released and reused only when every
 * worker of every live edition has passed it, so roles, seed and weight never mix
 * (DESIGN.md section 9).  A request copies what it needs and keeps no pointer past the turn.
 *
 * Layout frozen: the next binary reads these.
 */
#ifndef XF_PROXY_ROUTE_H
#define XF_PROXY_ROUTE_H

#include "config/base/check.h"
#include "config/base/limits.h"
#include "config/base/version.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum xf_role { XF_BLUE = 0, XF_GREEN = 1, XF_ROLES = 2 };

/* Flags of the word: what must change in the same instant as the weight. */
enum {
    XF_ROUTE_VALID = 1u << 0,    /* the board holds a route: the worker may accept */
    XF_ROUTE_CUTOVER = 1u << 1,  /* two colours; without it both roles are the live cluster */
    XF_ROUTE_DRAINING = 1u << 2, /* from draining on: nothing new goes to blue, nothing is kept */
    XF_ROUTE_EMPTYING = 1u << 3, /* after a retreat or abort: green is emptied likewise */
};

/* Flags of the record. */
enum {
    XF_RECORD_RESCUE = 1u << 0,         /* failed on green: blue may answer */
    XF_RECORD_FALLBACK_BLUE = 1u << 1,  /* all of green down: blue may answer */
    XF_RECORD_FALLBACK_GREEN = 1u << 2, /* all of blue down: green may answer */
    XF_RECORD_OVERRIDE = 1u << 3,       /* the guarded override may choose */
    XF_RECORD_FENCE = 1u << 4,          /* the fence below applies */
    XF_RECORD_JUDGED = 1u << 5,         /* cells are kept for the judge */
};

#define XF_FENCE_PATHS_MAX  16u
#define XF_FENCE_PATH_BYTES 128u

struct xf_route_record {
    /* What a choice needs: the first cache line. */
    uint16_t cluster[XF_ROLES]; /* indices into the configuration's clusters */
    uint32_t flags;
    uint64_t seed;    /* of the sticky hash (DESIGN.md section 9) */
    uint64_t tau_us;  /* "slow" is beyond this from dispatch; 0: not watched */
    uint32_t attempt; /* the cutover's attempt, 0 outside one */
    uint32_t step;    /* changes at every step: sticky keys are counted once per step */
    uint64_t epoch;   /* the rest of the version, for logs */
    uint32_t revision;
    uint32_t unused; /* 0 */

    uint64_t bad_statuses[10]; /* bit (status): these are errors; statuses 0..639 */
    char cutover[XF_CUTOVER_ID_BYTES];
    uint32_t fence_methods; /* bit (enum xf_http_method) refused */
    uint32_t fence_paths_count;
    char fence_allow[XF_FENCE_PATHS_MAX][XF_FENCE_PATH_BYTES]; /* globs: * is one segment */
};

struct xf_route {
    _Alignas(XF_CACHE_LINE) _Atomic uint64_t word;
    char unused[XF_CACHE_LINE - sizeof(uint64_t)];
};

static inline uint64_t xf_route_word(uint32_t generation, unsigned record, unsigned flags,
                                     unsigned weight)
{
    XF_ASSERT(record < XF_ROUTE_RECORDS);
    XF_ASSERT(flags <= 0xff);
    XF_ASSERT(weight <= XF_WEIGHT_FULL);
    return (uint64_t) generation << 32 | (uint64_t) record << 24 | (uint64_t) flags << 16 | weight;
}
static inline uint32_t xf_route_generation(uint64_t word)
{
    return (uint32_t) (word >> 32);
}
static inline unsigned xf_route_record_number(uint64_t word)
{
    return (unsigned) (word >> 24) & 0xff;
}
static inline unsigned xf_route_flags(uint64_t word)
{
    return (unsigned) (word >> 16) & 0xff;
}
static inline unsigned xf_route_weight(uint64_t word)
{
    return (unsigned) word & 0xffff;
}

#endif
