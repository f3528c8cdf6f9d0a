/*
 * document.h -- the control state of one service: what the store keeps as one JSON document.
 *
 * A value.  The version is not inside: it stands beside the document in the store.  Every change
 * of a document takes a generation (a ramp's moves take revisions) and one log entry.
 */
#ifndef XF_SHIFTER_DOCUMENT_H
#define XF_SHIFTER_DOCUMENT_H

#include "config/base/error.h"
#include "config/base/limits.h"
#include "config/base/text.h"
#include "config/base/version.h"
#include "shifter/plan/plan.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_DOCUMENT_SCHEMA 1

enum xf_cutover_state {
    XF_CUTOVER_IDLE,
    XF_CUTOVER_PREFLIGHT,
    XF_CUTOVER_SHIFTING,
    XF_CUTOVER_SOAKING,
    XF_CUTOVER_DRAINING,
    XF_CUTOVER_SAFE,
    XF_CUTOVER_FINALIZING,
    XF_CUTOVER_FINALIZED,
    XF_CUTOVER_ABORTING,
    XF_CUTOVER_ABORTED,
    XF_CUTOVER_STATES
};
const char *xf_cutover_state_name(enum xf_cutover_state state); /* `shifting`, … */
bool xf_cutover_state_parse(const char *name, enum xf_cutover_state *ret);

/* Reasons of DESIGN.md section 7. */
enum xf_hold {
    XF_HOLD_STORE,
    XF_HOLD_WINDOW,
    XF_HOLD_LAG,
    XF_HOLD_EVIDENCE,
    XF_HOLD_BOTH,
    XF_HOLD_ROUTER,
    XF_HOLD_CONFIG,
    XF_HOLD_JOURNAL,
    XF_HOLD_GATE, /* end by themselves */
    XF_HOLD_OPERATOR,
    XF_HOLD_ERRORS,
    XF_HOLD_LATENCY,
    XF_HOLD_DRIFT,
    XF_HOLD_APPROVAL,
    XF_HOLD_OVERRIDE,
    XF_HOLD_FORK,
    XF_HOLD_DEADLINE, /* ended by a person */
    XF_HOLDS
};
const char *xf_hold_name(enum xf_hold hold);
bool xf_hold_parse(const char *name, enum xf_hold *ret);
bool xf_hold_needs_person(enum xf_hold hold);

struct xf_hold_entry {
    bool on;
    int64_t since_ms; /* wall clock */
    char sentence[XF_SENTENCE_BYTES];
    char by[XF_ACTOR_BYTES];
    char lifted_by[XF_SENTENCE_BYTES]; /* what would lift it, in words */
};

/* What is to be emptied beside the policy: by hand, or green after an abort has ended. */
struct xf_document_drain {
    uint64_t number;             /* of the order, counted up; 0: none yet */
    char cluster[XF_NAME_BYTES]; /* empty: none */
    uint32_t rate_milli;         /* see xf_drain_wish */
    int64_t after_ms;            /* likewise; -1: never */
};

#define XF_PAUSES_MAX 8u /* people who pause at once; further ones are told that it is paused */

/* A request that changed something, so that a repeated one gets the same answer. */
struct xf_request_seen {
    char id[64];
    int exit_code;
    char message[XF_SENTENCE_BYTES];
};

struct xf_document {
    unsigned schema;
    char service[XF_NAME_BYTES];
    char install_id[XF_UUID_TEXT_BYTES]; /* of the installation that made the first document */
    enum xf_cutover_state state;
    int64_t since_ms; /* wall clock of the last change of state */
    char live[XF_NAME_BYTES];
    char from[XF_NAME_BYTES], to[XF_NAME_BYTES]; /* empty outside a cutover */
    uint64_t attempts;                           /* of this service, never reused */
    char cutover[XF_CUTOVER_ID_BYTES];           /* `kong-3.1/7`; empty before the first */
    struct xf_plan *plan;                        /* owned; NULL outside a cutover */
    unsigned weight;                             /* what is wanted now, 0..10000 */
    uint64_t seed;                               /* of the sticky hash, new for each cutover */
    int step;                                    /* index into plan->steps; -1 before the first */
    uint64_t step_entry;      /* +1 at every entry of a step: resets clocks and detectors */
    bool approved;            /* this step's approval is there */
    int64_t extended_ms;      /* added to this step's hold */
    bool evidence_waived;     /* `step` ended this step's hold and evidence */
    uint64_t tau_us;          /* blue's p99 frozen at the step's start; 0: not yet */
    unsigned ramp_from;       /* the weight at which the present ramp began */
    bool retreated;           /* weight 0 by a verdict, step kept */
    unsigned verdict_attempt; /* numbers the judge's attempts */
    unsigned resumes_left;
    int64_t started_ms; /* of the cutover, wall clock */
    struct xf_hold_entry holds[XF_HOLDS];
    /* Who holds with `operator`: one's resume does not end another's pause. */
    struct {
        char by[XF_ACTOR_BYTES];
        int64_t since_ms;
    } pauses[XF_PAUSES_MAX];
    unsigned pauses_count;
    unsigned fall_from;              /* `abort --over`: the weight at which the fall began */
    int64_t fall_ms;                 /* its length; 0: at once */
    bool deadline_passed;            /* it has acted; it does so once */
    char revoked_by[XF_ACTOR_BYTES]; /* `abort --force` in safe: who; empty: nobody */
    struct {
        char cutover[XF_CUTOVER_ID_BYTES];
        char outcome[32];                            /* finalized | aborted; empty: none yet */
        char from[XF_NAME_BYTES], to[XF_NAME_BYTES]; /* its blue and green */
        int64_t at_ms;
    } last;
    struct {
        char key[XF_CUTOVER_ID_BYTES];
        unsigned sequence;      /* 0: none, 1 decommission, 2 revoked */
        int64_t at_ms;          /* when the record was made */
        int64_t accepted_at_ms; /* 0: not yet accepted by every receiver */
    } signal;
    char signalled[XF_NAME_BYTES]; /* the cluster last signalled: start to it is refused */
    uint64_t roster_version;
    struct xf_request_seen requests[XF_REQUEST_IDS_KEPT];
    unsigned requests_count, requests_next; /* a ring */
    struct {                                /* finalize's actions */
        unsigned index;                     /* the one at hand; their number when all are done */
        unsigned runs;                      /* how often hooks were started: tells one run from
                                               the next */
        bool started, done;
    } action;
    struct {
        bool up; /* raised by `fence up` before a cutover */
        char by[XF_ACTOR_BYTES];
    } fence;
    struct xf_document_drain drain;
    char *baseline_json; /* owned; kong_drift.h; NULL: none */
    char *members_json;  /* owned; [[id, name] ...]: the roster at this change; NULL: not kept */
    char *last_verdict_json; /* owned; the verdict as `why` shows it; NULL: none */
};

XF_NODISCARD struct xf_document *xf_document_create(const char *service, const char *live);
XF_NODISCARD struct xf_document *xf_document_copy(const struct xf_document *document);
void xf_document_destroy(struct xf_document *document); /* accepts NULL */
/* JSON; the caller frees it.  NULL without memory or past XF_DOCUMENT_BYTES_MAX. */
XF_NODISCARD char *xf_document_write(const struct xf_document *document);
/* Every field is checked: a value out of range or of another type is an error that names it. */
XF_NODISCARD int xf_document_read(const char *json, struct xf_document **ret, struct xf_error *err);
bool xf_document_held(const struct xf_document *document);

#endif
