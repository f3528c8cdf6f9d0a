/*
 * status.h -- the object of `status -o json` (DESIGN.md section 13), from a view of one service.
 *
 * The leader fills a view from what the whole fleet reported; an agent without a leader fills it
 * from its last state or snapshot and its own counters.  Both get the same keys: every key is
 * always there, null where there is nothing.  The view owns nothing: its pointers must live until
 * the call returns.  No clock: the view says what time it is.
 */
#ifndef XF_SHIFTER_STATUS_H
#define XF_SHIFTER_STATUS_H

#include "config/base/version.h"
#include "shifter/plan/document.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XF_STATUS_SCHEMA  1
#define XF_STATUS_UNKNOWN (-1) /* of a signed number: shown as null */

struct xf_status_server {
    const char *address; /* as in the configuration */
    bool up;             /* false: checks fail, or drained by an operator */
    const char *reason;  /* why it is down; NULL: none */
    uint64_t in_flight;
};

/* Numbers of one cluster over the proxies that reported. */
struct xf_status_cluster {
    const char *name; /* its role comes from the document */
    const struct xf_status_server *servers;
    size_t servers_count;
    uint64_t in_flight, tunnels, pooled;
    uint64_t requests, errors, rescued, no_route; /* totals since the proxies started */
    double rps;         /* over the last seconds; negative or not finite: null */
    double error_ratio; /* likewise: errors / requests, 0..1 */
    double p50_ms, p99_ms;
};

struct xf_status_proxy {
    const char *name;
    const char *id;
    bool version_known;
    struct xf_version version; /* the newest it has in force or is applying */
    bool in_force;             /* the document's version, confirmed */
    double last_seen_s;
    bool silent;
};

struct xf_status_view {
    const char *service;
    const struct xf_document *document; /* NULL: nothing is known yet */
    struct xf_version version;          /* of the document */
    int64_t wall_ms;                    /* now */

    int weight_actual; /* the lowest weight in force on any live proxy while it rises, the highest
                          while it falls; XF_STATUS_UNKNOWN */

    struct {                  /* of the present step; unknown: XF_STATUS_UNKNOWN */
        int64_t elapsed_ms;   /* hold time counted so far */
        int64_t remaining_ms; /* of the hold, extensions included */
        int64_t eta_ms;       /* wall clock of the end of the plan, when nothing more holds it */
    } step;

    struct { /* what the next step still lacks (judge.h); for `why` */
        bool known;
        bool enough;
        uint64_t green;     /* green responses of this step */
        uint64_t missing;   /* clean green responses still needed */
        int64_t missing_ms; /* how long these take; XF_STATUS_UNKNOWN: no rate */
        const char *sentence;
    } evidence;

    const char *gate_sentence; /* what gates.during say now; NULL: they pass */

    json_t *blame; /* xf_tally_explain; NULL: nothing; for `why` */
    const char
        *drift_unseen; /* Kong's databases that could not be compared; for `why`; NULL: none */

    const struct xf_status_cluster *clusters;
    size_t clusters_count;
    uint64_t fenced; /* requests that fences refused, since the proxies started */
    const struct xf_status_proxy *proxies;
    size_t proxies_count;

    struct {
        bool known; /* false: `leader` is null */
        const char *name, *id;
        uint64_t epoch;
    } leader;
    struct {
        const char *kind;  /* `sqlite` or `redis` */
        const char *scope; /* `this host` or `fleet` */
        bool ok;
        int64_t since_ms; /* wall clock of the last change of `ok`; 0: unknown */
        double stale_s;   /* age of what is shown when it may be old; negative: null */
    } store;
    struct {
        bool configured; /* false: both members are null */
        bool ok;
        uint64_t backlog;
    } journal;
    struct {
        const char *digest;
        bool reload_ok;
        const char *error; /* NULL: none */
    } config;
    const char *const *blockers; /* of the signal, each a phrase: `edge-2: kong-30 has 1 tunnel` */
    size_t blockers_count;
};

/* A new reference; NULL without memory. */
XF_NODISCARD json_t *xf_status_build(const struct xf_status_view *view);

/* Whether two clusters take part: from preflight until the cutover is over. */
bool xf_status_in_cutover(const struct xf_document *document);
/* What a hold that stands says now: the document keeps what it said when it came; `evidence`
 * counts on, and gates are asked again. */
const char *xf_status_hold_sentence(const struct xf_status_view *view, enum xf_hold hold);
/* `live`, `blue` or `green`: what `cluster` is to the service now; NULL: none of these. */
const char *xf_status_role(const struct xf_document *document, const char *cluster);

#endif
