/*
 * roster_traffic.h -- rates and latencies of each (service, cluster) over the fleet, from the
 * differences between heartbeats.  Part of roster; nothing else includes it.
 */
#ifndef XF_SHIFTER_ROSTER_TRAFFIC_H
#define XF_SHIFTER_ROSTER_TRAFFIC_H

#include "shifter/control/roster.h"

#define XF_TRAFFIC_SECONDS 8u /* the rates are means over these, less the running one */

struct xf_traffic_pair {
    struct {
        int64_t second;
        uint64_t requests, errors;
    } seconds[XF_TRAFFIC_SECONDS];
    int64_t turned_ms; /* when `now` began */
    uint64_t count;    /* responses in `now` */
    uint64_t now[XF_HISTOGRAM_BUCKETS], before[XF_HISTOGRAM_BUCKETS];
};

struct xf_roster_traffic {
    const struct xf_config *config;
    struct xf_traffic_pair *pairs; /* by xf_config_pair */
};

XF_NODISCARD bool xf_roster_traffic_init(struct xf_roster_traffic *traffic,
                                         const struct xf_config *config);
void xf_roster_traffic_release(struct xf_roster_traffic *traffic);
/* `before`: the same boot's last heartbeat; NULL: there is none, and `now` only sets the base. */
void xf_roster_traffic_add(struct xf_roster_traffic *traffic,
                           const struct xf_message_heartbeat *before,
                           const struct xf_message_heartbeat *now, int64_t now_ms);
void xf_roster_traffic_rates(const struct xf_roster_traffic *traffic, const char *service,
                             const char *cluster, int64_t now_ms, struct xf_traffic *ret);

#endif
