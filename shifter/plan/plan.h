/*
 * plan.h -- a plan (DESIGN.md section 6): what a cutover is to do, as a value.
 *
 * Read from YAML or JSON, checked whole, immutable.  A plan holds no commands, no file paths and
 * no secrets.  The store keeps its canonical JSON; the same reader reads that back.
 */
#ifndef XF_SHIFTER_PLAN_H
#define XF_SHIFTER_PLAN_H

#include "config/base/error.h"
#include "config/base/limits.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct xf_plan_step {
    unsigned weight; /* the step's (a ramp's last) weight */
    int64_t ramp_ms; /* `over`: 0 for a plain step */
    int64_t hold_ms; /* least time in force at `weight` */
    bool approve;
    bool evidence_advisory;
};

enum xf_guard_then { XF_THEN_HOLD, XF_THEN_STEP_BACK, XF_THEN_RETREAT, XF_THEN_ABORT };

struct xf_plan_guard {
    double errors_worse_than, errors_ignore_below, errors_limit; /* ratio, share, share */
    enum xf_guard_then errors_then;
    bool latency_on;
    double latency_worse_than;
    enum xf_guard_then latency_then;
    double false_pause; /* share */
    int64_t blip_ms;    /* 0: auto */
    double prove_errors_below, prove_ratio_below;
    uint64_t statuses[10]; /* bit (status), 0..639 */
    unsigned resume_times;
    int64_t resume_after_ms;
    bool rescue;
    bool without_store_retreat;
};

struct xf_plan_window {              /* minutes are local to `zone` */
    unsigned days;                   /* bit 0 = Monday; the day on which the window begins */
    unsigned from_minute, to_minute; /* to <= from: over midnight */
    char zone[64];                   /* IANA name; empty: UTC */
};

enum xf_finalize_when { XF_FINALIZE_MANUAL, XF_FINALIZE_AUTO };

struct xf_plan_action {
    char hook[XF_NAME_BYTES];
    char *verify_json; /* a gate, as JSON; NULL: none */
};

#define XF_PLAN_NOTIFY_MAX 16u

struct xf_plan_notify {
    char webhook[XF_NAME_BYTES];
    unsigned severity; /* syslog's number: warning = 4 */
};

struct xf_plan {
    char name[XF_NAME_BYTES];
    char service[XF_NAME_BYTES];
    char from[XF_NAME_BYTES]; /* empty: the live cluster */
    char to[XF_NAME_BYTES];
    struct xf_plan_step *steps;
    unsigned steps_count;
    struct xf_plan_guard guard;
    int64_t start_at_ms; /* wall clock; 0: at once */
    struct xf_plan_window *windows;
    unsigned windows_count;
    char *before_start_json, *during_json, *before_finalize_json; /* arrays of gates; NULL: none */
    enum xf_finalize_when finalize_when;
    struct xf_plan_action *actions;
    unsigned actions_count;
    bool fence_on;
    char (*fence_services)[XF_NAME_BYTES];
    unsigned fence_services_count;
    uint32_t fence_methods; /* bit (enum xf_http_method) */
    char **fence_allow;
    unsigned fence_allow_count;
    bool drain_set; /* overrides the configuration's drain */
    struct xf_config_drain drain;
    char signal_webhook[XF_NAME_BYTES], signal_hook[XF_NAME_BYTES]; /* empty: none */
    struct xf_plan_notify *notify;
    unsigned notify_count;
    int64_t deadline_ms; /* from the start; 0: none */
    bool deadline_aborts;
    bool bare;  /* made by `start --to`: begins at 0 with hold `operator`, no signal */
    char *json; /* canonical form, what the store keeps */
};

/* Reads `text`; `name` stands for the file in messages.  On failure *ret_problems has every error
 * with its line and column.  Knows nothing of the configuration. */
XF_NODISCARD int xf_plan_parse(const char *name, const char *text, size_t length,
                               struct xf_plan **ret, struct xf_problems *ret_problems);
/* Whether every service, cluster, hook, webhook and database it names is in `config` and its
 * clusters are the service's; adds to *problems and returns -1 if not. */
XF_NODISCARD int xf_plan_check(const struct xf_plan *plan, const struct xf_config *config,
                               struct xf_problems *problems);
/* The plan of `start --to CLUSTER`: one step {weight: 100%, hold: 10m}, default guard. */
XF_NODISCARD struct xf_plan *xf_plan_bare(const char *service, const char *to);
void xf_plan_destroy(struct xf_plan *plan); /* accepts NULL */

#endif
