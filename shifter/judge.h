/*
 * judge.h -- is green worse than blue?  The judge of one attempt of one cutover.
 *
 * Pure: no clock, no input or output, no allocation.  It is handed counts in the order of time
 * and says what they mean; who acts on that is the controller.  The same counts give the same
 * answers on every machine, so a new leader that loads the state goes on where the old one was.
 * Times are milliseconds of the store's clock; weights are green's share in hundredths of a
 * per cent *when a request was sent*.  JUDGE.md has the mathematics; one file per subject:
 *
 *     cells --> blocks --+--> judge_detector   errors, 4xx, slow: e-detector over blocks
 *     (judge.c)          +--> judge_budget     green fails too much, whatever blue does
 *                        +--> judge_promote    positive evidence for the next step
 *                        +--> judge_router     was traffic split as ordered?
 *                        +--> judge_blip       how long blue's own bursts last (before the start)
 *
 * Errors, budget and latency verdicts stay until xf_judge_reset; both, router and evidence are
 * conditions that come and go.
 */
#ifndef XF_SHIFTER_JUDGE_H
#define XF_SHIFTER_JUDGE_H

#include "config/base/limits.h"
#include "config/base/error.h"
#include "shifter/judge_blip.h"
#include "shifter/judge_budget.h"
#include "shifter/judge_cell.h"
#include "shifter/judge_detector.h"
#include "shifter/judge_promote.h"
#include "shifter/judge_router.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_JUDGE_BLIP_MS       100  /* length of a block unless the plan or blue says otherwise */
#define XF_JUDGE_BLIP_MS_MAX   5000 /* longer bursts than this are not one incident */
#define XF_JUDGE_SOFT_HOLD     10.0 /* evidence against green from which no step is advanced */
#define XF_JUDGE_BOTH_QUIET_MS 5000 /* `both` ends this long after it was last seen */

/* A plan's guard, in fractions.  xf_judge_options_default fills in DESIGN.md section 6. */
struct xf_judge_options {
    double false_pause;  /* for all detectors together over one attempt */
    double worse_than;   /* errors: the ratio green may have */
    double ignore_below; /* errors: green's failing share that is never a regression */
    double limit;        /* errors: the absolute budget */
    bool latency;        /* watch slow requests */
    double latency_worse_than;
    double latency_ignore_below; /* green's slow share that is never a regression */
    double prove_errors_below;   /* advancing: green fails less than this ... */
    double prove_ratio_below;    /* ... or less than this times blue */
    unsigned blip_ms;            /* a multiple of XF_CELL_MS; 0: learnt from blue, else 100 */
    unsigned steps;              /* of the plan */
    int64_t planned_ms;          /* the plan's duration */
    unsigned judges; /* proxies that judge apart, each with its share of false_pause; 1 */
    bool watch_4xx;  /* a second stream: 4xx answers */
    bool wall_times; /* times are since 1970: sentences show hh:mm:ss (UTC) */
};

enum xf_judge_rule {
    XF_JUDGE_NONE,
    XF_JUDGE_ERRORS,   /* critical: guard.errors.then */
    XF_JUDGE_BUDGET,   /* critical: guard.errors.then */
    XF_JUDGE_LATENCY,  /* warning: guard.latency.then */
    XF_JUDGE_BOTH,     /* holds */
    XF_JUDGE_ROUTER,   /* holds */
    XF_JUDGE_EVIDENCE, /* holds */
};

/* A verdict in numbers and words.  `measured` and `limit` are what the rule compares: green's
 * share and the share it may have (errors, budget, latency, both), sent share and weight (router),
 * the share that can be ruled out and the one that should be (evidence). */
struct xf_judge_verdict {
    enum xf_judge_rule rule;
    char sentence[XF_SENTENCE_BYTES];
    double measured;
    double limit;
    double n;              /* fewer than 1 in n healthy rollouts look like this; 0 where none */
    uint64_t samples_blue; /* responses since the fault began */
    uint64_t samples_green;
    uint64_t bad_blue; /* of these: failed, or slow */
    uint64_t bad_green;
    int64_t since_ms; /* where the fault is estimated to have begun */
    int64_t at_ms;    /* when the rule was met */
    unsigned weight;  /* in force then */
};

/* May the step be advanced (JUDGE.md 2e)?  The controller adds the minimum time and the holds. */
struct xf_judge_evidence {
    bool enough;    /* evidence >= 20 and no soft hold */
    bool soft_hold; /* evidence against green has reached XF_JUDGE_SOFT_HOLD */
    double value;   /* the evidence; 20 is needed */
    uint64_t green; /* green responses of this step */
    uint64_t green_bad;
    double rules_out;   /* failing shares above this are ruled out; 1 where nothing is */
    uint64_t missing;   /* clean green responses still needed; 0 when there is enough */
    int64_t missing_ms; /* how long these take at the present rate; -1: no rate */
    char sentence[XF_SENTENCE_BYTES];
};

/* The state of one attempt: the caller's memory, a plain value that may be copied. */
struct xf_judge {
    struct xf_judge_options options;
    unsigned attempt; /* 1, one more with each reset */
    int64_t begun_ms; /* of this attempt */
    int64_t step_ms;  /* start of the present step */
    unsigned weight;  /* in force, for the sentences */
    unsigned blip_ms; /* in force */
    double tau_ms;    /* slow means longer than this; 0: not known yet */
    bool open;        /* a block is being filled */
    int64_t block_ms; /* its start on the grid */
    struct xf_judge_cell block;
    int64_t fed_ms;     /* end of the newest cell */
    uint64_t done_blue; /* responses judged in this attempt */
    uint64_t done_green;
    struct xf_detector errors;
    struct xf_detector client_errors;
    struct xf_detector slow;
    struct xf_budget budget;
    struct xf_promote promote;
    struct xf_router router;
    struct xf_blip blip;
    enum xf_judge_rule latched; /* errors, budget or latency; none */
    bool latched_4xx;           /* the errors verdict came from the 4xx stream */
    int64_t latched_ms;
    unsigned latched_weight;
    int64_t both_ms; /* when `both` was last seen; -1: not standing */
};

void xf_judge_options_default(struct xf_judge_options *ret);
/* Whether every number is in its range; `err` names the one that is not. */
int xf_judge_options_check(const struct xf_judge_options *options, struct xf_error *err);

/* `options` must have passed the check; they are copied.  Attempt 1 begins at `t_ms`. */
void xf_judge_init(struct xf_judge *judge, const struct xf_judge_options *options, int64_t t_ms);

/* Before the start: blue's cells, clean ones too, from which `blip: auto` learns. */
void xf_judge_learn(struct xf_judge *judge, const struct xf_judge_cell *cell);

/* A step of the plan begins with weight `weight`; `tau_ms` (xf_judge_tau_ms) is frozen for it; 0
 * leaves the former one.  The evidence for the next step begins anew. */
void xf_judge_step_started(struct xf_judge *judge, int64_t t_ms, unsigned weight, double tau_ms);
/* The weight in force has changed within a step (a ramp, an operator). */
void xf_judge_set_weight(struct xf_judge *judge, unsigned weight);

/* One closed cell of the grid, the sum of the fleet, in the order of time; at most one per cell.
 * Clean cells may be joined to a longer one (length_ms) or left out, but their `sent` and `done`
 * must come.  A cell older than the open block joins it. */
void xf_judge_feed(struct xf_judge *judge, const struct xf_judge_cell *cell);
/* Time has reached `t_ms` (end of a closed cell) without anything to feed. */
void xf_judge_advance(struct xf_judge *judge, int64_t t_ms);

/* The gravest rule that stands; its verdict in *ret. */
enum xf_judge_rule xf_judge_verdict(const struct xf_judge *judge, struct xf_judge_verdict *ret);
/* Every rule that stands but evidence: bits 1 << rule; and the verdict of one of them. */
unsigned xf_judge_standing(const struct xf_judge *judge);
void xf_judge_verdict_of(const struct xf_judge *judge, enum xf_judge_rule rule,
                         struct xf_judge_verdict *ret);
void xf_judge_evidence(const struct xf_judge *judge, struct xf_judge_evidence *ret);

/* Resume, back, manual weight: everything learnt is forgotten but blip and tau, and the next
 * attempt begins.  false_pause holds anew for it. */
void xf_judge_reset(struct xf_judge *judge, int64_t t_ms);

const char *xf_judge_rule_name(enum xf_judge_rule rule); /* "errors", …, "none" */

/* The upper edge, in ms, of the bucket that holds blue's p99; 0 below 1,000 responses.  Buckets
 * are those of a latency histogram in microseconds: 16 per octave. */
double xf_judge_tau_ms(const uint64_t buckets[XF_HISTOGRAM_BUCKETS]);

#endif
