/*
 * clock.c -- the kernel's clocks behind struct xf_clock.
 */
#include "config/base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_monotonic_ns(void *context)
{
    (void) context;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_boottime_ns(void *context)
{
    (void) context;
    return read_clock(CLOCK_BOOTTIME);
}

static int64_t system_wall_ms(void *context)
{
    (void) context;
    return read_clock(CLOCK_REALTIME) / 1000000;
}

const struct xf_clock *xf_clock_system(void)
{
    static const struct xf_clock clock = {
        .monotonic_ns = system_monotonic_ns,
        .boottime_ns = system_boottime_ns,
        .wall_ms = system_wall_ms,
        .context = NULL,
    };
    return &clock;
}
