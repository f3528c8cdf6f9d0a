/*
 * control.h -- what decides: a document and what is known now, to a new document and why.
 *
 * Pure: no clock, no store, no bus; chance (the seed) is handed in.  The controller gathers the
 * facts, calls one of the two functions, and writes what they decide; the simulation drives the
 * very same code.  One decision is one change: a generation (a ramp's or fall's move: a revision),
 * one log entry.
 *
 *     command --> xf_control_command --+
 *                                      +--> decision: new document, log entry | refusal
 *     tick ----> xf_control_tick ------+
 *
 * Rules that hold throughout (DESIGN.md section 16): nothing here raises the weight by itself
 * while the hold set is not empty; no verdict raises it; `safe` needs every condition of the
 * invariant 4 at that moment.
 */
#ifndef XF_SHIFTER_CONTROL_H
#define XF_SHIFTER_CONTROL_H

#include "config/base/version.h"
#include "config/config.h"
#include "shifter/bus/bus_message.h"
#include "shifter/plan/document.h"
#include "shifter/judge/judge.h"
#include "shifter/plan/schedule.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The proxies of the roster, as far as they matter to one service and one version of it. */
struct xf_fleet {
    unsigned members;
    unsigned silent; /* of them: not heard of for 3 s */
    bool in_force;   /* there are members, none is silent, each has exactly this version in force
                        and no override */
    char lagging[XF_SENTENCE_BYTES]; /* names, with commas; empty: none */
    char silent_names[XF_SENTENCE_BYTES];
    int64_t blue_quiet_ms; /* the least over all members; -1: blue is not quiet somewhere */
    char blue_busy[XF_SENTENCE_BYTES]; /* who still has what on blue, in words; empty: nobody */
    bool blue_up;                      /* there are live members, each sees a server of it up */
    bool green_up; /* likewise; of a `start`: of the cluster that is to be green */
    /* Break-glass that live members name and the document has not taken over. */
    unsigned overrides;
    unsigned override_weight; /* the least weight that a live member serves, or has been told to */
    char override_by[XF_ACTOR_BYTES];          /* who gave the first of them */
    char override_sentence[XF_SENTENCE_BYTES]; /* where, by whom, why */
    char forked[XF_SENTENCE_BYTES]; /* proxies with this version by another write; empty: none */
    char digests_differ[XF_SENTENCE_BYTES]; /* proxies whose clusters are configured otherwise */
    char unheard[XF_SENTENCE_BYTES]; /* silent since before the state was restored: they may know
                                        a newer one; empty: none */
};

/* What is known of the finalize action at hand. */
enum xf_action_found {
    XF_ACTION_UNKNOWN, /* it runs, or is being verified */
    XF_ACTION_PROVEN,
    XF_ACTION_UNPROVEN,
};

struct xf_facts {
    int64_t wall_ms;
    int64_t boot_ms;
    bool store_ok;
    uint64_t seed; /* random, for a new cutover's sticky hash */
    const struct xf_config *config;
    struct xf_fleet fleet;
    const char *in_use_by;    /* another service whose route names blue; NULL: none */
    const char *signalled_by; /* of a `start`: a service whose cutover has signalled that cluster
                                 and is not finalized; NULL: none */
    /* The judge's view, and which judgement it belongs to: of another one it is not looked at. */
    bool judged;
    uint64_t judge_attempt; /* the document's `attempts` */
    unsigned judge_verdict_attempt;
    uint64_t judge_step_entry;
    unsigned standing;                                       /* bits 1 << enum xf_judge_rule */
    struct xf_judge_verdict verdicts[XF_JUDGE_EVIDENCE + 1]; /* of those that stand */
    struct xf_judge_evidence evidence;
    bool judge_listened; /* the leader has heard the whole fleet for long enough to know a green
                            that fails: since it leads, since detectors began anew, since somebody
                            was silent */
    enum { XF_GATE_PASSED, XF_GATE_UNKNOWN, XF_GATE_FAILED } gate; /* those of gates.during */
    char gate_sentence[XF_SENTENCE_BYTES];
    const char *journal; /* why rises wait for the journal, in words: a hold; NULL: they do not */
    bool journal_waits;  /* `required`, and rows are missing: nothing rises by itself */
    const char *journal_away; /* `required`, and it takes no rows: no verb rises; NULL otherwise */
    uint64_t tau_us;          /* blue's p99 now; 0: too few responses */
    unsigned accepted;        /* the largest sequence of the signal that every receiver accepted */
    /* Drift, where the document has a baseline. */
    bool drift_unchecked;     /* nothing fresh is known: no step may begin before it is */
    const char *drift;        /* what changed, in words; NULL: nothing is known to have */
    const char *drift_unseen; /* which databases could not be compared; NULL: none */
    const char
        *drift_baseline;     /* the baseline as it should be, for what it lacks; NULL: as it is */
    const char *gate_failed; /* the gates before an automatic finalize, in words; NULL: none */
    struct {
        enum xf_action_found found;
        bool own; /* this leader ran the hook and saw its end; else it only looked */
        char sentence[XF_SENTENCE_BYTES];
    } action;
};

struct xf_decision {
    struct xf_document *document; /* NULL: nothing changes; the caller owns it */
    bool revision;                /* the change takes a revision, not a generation */
    bool wants_drift;             /* a step is due and waits for a look at the databases */
    bool run_action; /* whoever's write this is runs the action's hook once it stands */
    json_t *entry;   /* of the log; the caller owns it */
    bool known;      /* a request that was answered before: this is its answer */
    int exit_code;   /* of a command: DESIGN.md section 13 */
    char message[XF_SENTENCE_BYTES];
};
void xf_decision_release(struct xf_decision *decision);

/* Decides on one verb.  `plan` is what a `start` brings (taken over by a new document, else left
 * to the caller); NULL for other verbs.  *ret is filled whole. */
void xf_control_command(const struct xf_document *document, const struct xf_version *version,
                        const struct xf_progress *progress,
                        const struct xf_message_command *command, struct xf_plan **plan,
                        const struct xf_facts *facts, struct xf_decision *ret);

/* Looks whether anything is to happen by itself: at most one change.  `progress` must have been
 * ticked with these facts. */
void xf_control_tick(const struct xf_document *document, const struct xf_progress *progress,
                     const struct xf_facts *facts, struct xf_decision *ret);

/* Whether time counts now: see schedule.h. */
bool xf_control_counts(const struct xf_document *document, const struct xf_facts *facts);

/* Blue's drain as it applies: the plan's, else the configuration's. */
const struct xf_config_drain *xf_control_drain(const struct xf_document *document,
                                               const struct xf_config *config);

/* Whether `finalize.when: auto` may act, but for the gates before it and the hold `gate`. */
bool xf_control_finalize_due(const struct xf_document *document, const struct xf_facts *facts);

/* What keeps `draining` from becoming `safe`, in words; returns how many were written. */
#define XF_BLOCKERS_MAX 8u
size_t xf_control_blockers(const struct xf_document *document, const struct xf_facts *facts,
                           char ret[XF_BLOCKERS_MAX][XF_SENTENCE_BYTES]);

#endif
