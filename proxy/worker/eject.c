/*
 * eject.c -- see eject.h.
 */
#include "proxy/worker/eject.h"

#include <time.h>

#define EJECTED_MS        10000u /* the first time; then doubled */
#define DOUBLINGS_MAX     3u     /* 80 s would follow: bounded below */
#define EJECTED_MS_MAX    60000u
#define COME_BACK_PERCENT 10u /* of its weight, with which a server comes back */

static uint64_t boottime_ms(void)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t) now.tv_sec * 1000u + (uint64_t) now.tv_nsec / 1000000u;
}

/* Whether one more server of the cluster may go. */
static bool may_eject(const struct xf_engine *engine, const struct xf_config_cluster *cluster)
{
    unsigned out = 1;
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        out += xf_eject_is_out(engine, &engine->servers[cluster->first_server + i]);
    }
    return (uint64_t) out * 100 <= (uint64_t) cluster->servers_count * cluster->eject_percent;
}

void xf_eject_failed(struct xf_engine *engine, unsigned server)
{
    struct xf_engine_server *seen = &engine->servers[server];
    const struct xf_config_cluster *cluster = engine->clusters[seen->cluster].config;
    if (cluster->eject_after == 0 || xf_eject_is_out(engine, seen)) {
        return;
    }
    seen->failures++;
    bool on_trial = seen->ejections > 0;
    if ((!on_trial && seen->failures < cluster->eject_after) || !may_eject(engine, cluster)) {
        return;
    }
    unsigned doublings = seen->ejections < DOUBLINGS_MAX ? seen->ejections : DOUBLINGS_MAX;
    uint64_t length_ms = (uint64_t) EJECTED_MS << doublings;
    length_ms = length_ms < EJECTED_MS_MAX ? length_ms : EJECTED_MS_MAX;
    seen->ejections++;
    seen->ejected_until_ms = engine->now_ms + length_ms;
    atomic_store_explicit(&seen->stats->ejected_until_ms, boottime_ms() + length_ms,
                          memory_order_relaxed);
    xf_count(&seen->stats->ejections, 1);
    xf_log_limited(&engine->log_limit, 10, XF_LOG_WARNING, "server.ejected",
                   "cluster=%s server=%s failures=%u seconds=%llu", cluster->name,
                   seen->config->endpoint.text, seen->failures,
                   (unsigned long long) length_ms / 1000);
    seen->failures = 0;
}

uint32_t xf_eject_weight(const struct xf_engine *engine, const struct xf_engine_server *server,
                         uint32_t weight)
{
    int64_t whole_ms = engine->clusters[server->cluster].config->slow_start_ms;
    if (XF_LIKELY(server->ejected_until_ms == 0) || whole_ms <= 0 || weight == 0 ||
        engine->now_ms < server->ejected_until_ms) {
        return weight;
    }
    uint64_t age_ms = engine->now_ms - server->ejected_until_ms;
    if (age_ms >= (uint64_t) whole_ms) {
        return weight;
    }
    uint64_t percent = COME_BACK_PERCENT + age_ms * (100 - COME_BACK_PERCENT) / (uint64_t) whole_ms;
    uint32_t share = (uint32_t) (weight * percent / 100);
    return share > 0 ? share : 1;
}
