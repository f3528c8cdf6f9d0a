/*
 * zone.h -- local time of a named zone, from the system's zone database.
 *
 * The C library knows one zone at a time, TZ; here it is set for the length of a call and put
 * back.  So: one thread, and nothing else of the process may depend on TZ.
 */
#ifndef XF_SHIFTER_ZONE_H
#define XF_SHIFTER_ZONE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the zone database has `zone`, an IANA name. */
bool xf_zone_known(const char *zone);

struct xf_zone_time {
    unsigned weekday; /* 0 = Monday */
    unsigned minute;  /* of the day, as the clock on the wall there shows */
};
/* `zone` empty: UTC.  An unknown zone counts as UTC. */
struct xf_zone_time xf_zone_local(const char *zone, int64_t wall_ms);

#endif
