/*
 * metrics.h -- Prometheus' text format, written from sums and a view of the services.
 *
 * Prefix `crossfade_`, base units, counters end in `_total`, each family's HELP and TYPE once and
 * its samples together.  Never a label by path or client.  `promtool check metrics` is the test.
 */
#ifndef XF_SHIFTER_METRICS_H
#define XF_SHIFTER_METRICS_H

#include "shifter/agent/agent_stats.h"
#include "shifter/plan/document.h"

#define XF_METRICS_BYTES_MAX (32u * 1024u * 1024u)

struct xf_metrics_service {
    const char *name;
    const struct xf_document *document; /* NULL: none */
    struct xf_version version;          /* of the document */
    bool routed;
    unsigned weight; /* served */
    bool in_force;   /* the document's version */
    bool led;        /* a leader speaks */
    bool fork;
    bool stale;       /* served from a snapshot, or assumed */
    unsigned journal; /* as in struct xf_message_progress */
    uint64_t journal_backlog;
    double lag_s; /* since the state was last known to be current; NAN: never */
};

struct xf_metrics_view {
    const struct xf_config *config; /* `totals` has its places */
    const struct xf_totals *totals;
    const struct xf_metrics_service *services;
    unsigned services_count;
    const int64_t *expiry; /* of config's certificates, by listener; NULL: not known */
    const bool *server_up; /* [servers_count of config] */
    unsigned editions;
    bool bus_up, reload_ok, snapshot_ok;
};

/* The caller frees it; NULL without memory. */
XF_NODISCARD char *xf_metrics_write(const struct xf_metrics_view *view, size_t *ret_length);

#endif
