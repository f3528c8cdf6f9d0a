/*
 * clock.h -- time as an injected thing, so that a test or the simulation can own it.
 *
 * Nothing but clock.c asks the kernel.  Wall time labels and compares with what people wrote;
 * every duration is measured on the monotonic or the boot-time clock.
 */
#ifndef XF_BASE_CLOCK_H
#define XF_BASE_CLOCK_H

#include <stdint.h>

struct xf_clock {
    int64_t (*monotonic_ns)(void *context); /* CLOCK_MONOTONIC: durations within one host */
    int64_t (*boottime_ns)(void *context);  /* CLOCK_BOOTTIME: leases, runs through suspend */
    int64_t (*wall_ms)(void *context);      /* CLOCK_REALTIME in milliseconds since 1970 */
    void *context;
};

/* The kernel's clocks; static storage, never freed. */
const struct xf_clock *xf_clock_system(void);

static inline int64_t xf_clock_monotonic_ms(const struct xf_clock *clock)
{
    return clock->monotonic_ns(clock->context) / 1000000;
}

static inline int64_t xf_clock_boottime_ms(const struct xf_clock *clock)
{
    return clock->boottime_ns(clock->context) / 1000000;
}

static inline int64_t xf_clock_wall_ms(const struct xf_clock *clock)
{
    return clock->wall_ms(clock->context);
}

#endif
