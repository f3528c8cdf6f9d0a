/*
 * eject.h -- servers whose answers fail, taken out for a while by the worker that saw it.
 *
 * Each worker judges by what it sees itself: `eject.after` failures in a row take a server out for
 * 10 s, twice that the next time, up to a minute.  Back again it is on trial: the next failure
 * takes it out once more, the first success clears it; with `slow_start` its share grows.
 *
 * An ejection is a guess.  At most `eject.at_most` of a cluster's servers are out at once, and
 * where no other server is left an ejected one is used all the same.
 */
#ifndef XF_PROXY_EJECT_H
#define XF_PROXY_EJECT_H

#include "proxy/worker/engine.h"

/* A request that `server` was given ended badly: no connection, no whole answer, none in time, or
 * one of the chosen statuses.  A pooled connection that had grown old says nothing. */
void xf_eject_failed(struct xf_engine *engine, unsigned server);

/* It answered well. */
static inline void xf_eject_passed(struct xf_engine *engine, unsigned server)
{
    struct xf_engine_server *seen = &engine->servers[server];
    seen->failures = 0;
    if (XF_UNLIKELY(seen->ejections > 0) && engine->now_ms >= seen->ejected_until_ms) {
        seen->ejections = 0;
    }
}

static inline bool xf_eject_is_out(const struct xf_engine *engine,
                                   const struct xf_engine_server *server)
{
    return XF_UNLIKELY(server->ejected_until_ms != 0) && engine->now_ms < server->ejected_until_ms;
}

/* `weight`, or the part of it that a server gets which came back a short while ago. */
uint32_t xf_eject_weight(const struct xf_engine *engine, const struct xf_engine_server *server,
                         uint32_t weight);

#endif
