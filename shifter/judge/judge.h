/*
 * judge.h -- is green worse than blue?  The judge of one attempt of one cutover.
 *
 * Pure: no clock, no input or output, no allocation.  It is handed counts in the order of time
 * and says what they mean; who acts on that is the controller.  The same counts give the same
 * answers on every machine, so a new leader that loads the state goes on where the old one was.
 * Times are the store's clock; weights are green's share in hundredths of a per cent *when a
 * request was sent*.  JUDGE.md has the mathematics; one file per subject:
 *
 *     cells --> blocks --+--> judge_detector   errors, 4xx, slow: e-detector over blocks
 *     (judge.c)          +--> judge_budget     green fails too much, whatever blue does
 *                        +--> judge_promote    positive evidence for the next step
 *                        +--> judge_router     was traffic split as ordered?
 *                        +--> judge_blip       how long blue's own bursts last (before the start)
 *     cells ----------------> judge_silence    green, found slow, answers nothing at all: errors
 *
 * Errors, budget and latency verdicts stay until xf_judge_reset; both, router and evidence are
 * conditions that come and go.
 */
#ifndef XF_SHIFTER_JUDGE_H
#define XF_SHIFTER_JUDGE_H

#include "config/base/error.h"
#include "config/base/limits.h"
#include "shifter/judge/judge_blip.h"
#include "shifter/judge/judge_budget.h"
#include "shifter/judge/judge_cell.h"
#include "shifter/judge/judge_detector.h"
#include "shifter/judge/judge_learnt.h"
#include "shifter/judge/judge_promote.h"
#include "shifter/judge/judge_router.h"
#include "shifter/judge/judge_silence.h"
#include "shifter/judge/judge_trail.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_JUDGE_BLIP_MS       100 /* length of a burst unless the plan or blue says otherwise */
#define XF_JUDGE_BLIP_MS_MAX   XF_BLIP_MS_MAX /* longer bursts than this are not one incident */
#define XF_JUDGE_SOFT_HOLD     10.0 /* evidence against green from which no step is advanced */
#define XF_JUDGE_BOTH_QUIET_MS 5000 /* `both` ends this long after it was last seen */

/* A plan's guard; shares are fractions.  xf_judge_options_default fills in DESIGN.md section 6. */
struct xf_judge_options {
    double false_pause;          /* for all detectors together over one attempt */
    double worse_than;           /* errors: the ratio green may have */
    double ignore_below;         /* errors: green's failing share that is never a regression */
    double limit;                /* errors: the absolute budget; raised to 3x blue's own */
    bool latency;                /* watch slow requests */
    double latency_worse_than;   /* the ratio green may have */
    double latency_ignore_below; /* green's slow share that is never a regression */
    double prove_errors_below;   /* advancing: green fails less than this ... */
    double prove_ratio_below;    /* ... or less than this times blue */
    unsigned blip_ms;            /* a multiple of XF_CELL_MS; 0: learnt from blue, else 100 */
    unsigned steps;              /* of the plan, at least 1 */
    int64_t planned_ms;          /* the plan's duration */
    unsigned judges;             /* proxies that judge apart share false_pause; else 1 */
    bool watch_4xx;              /* a second stream: 4xx answers */
    bool sticky;                 /* `sent` counts each key once a step: shares are of `done` */
    bool exact; /* replay: exact times since its start instead of cells of a wall clock */
    bool plain; /* a trace: JUDGE.md section 2 as written, `both` by point estimates alone */
};

enum xf_judge_rule {
    XF_JUDGE_NONE,
    XF_JUDGE_ERRORS,   /* critical: guard.errors.then */
    XF_JUDGE_BUDGET,   /* critical: guard.errors.then */
    XF_JUDGE_LATENCY,  /* warning: guard.latency.then */
    XF_JUDGE_BOTH,     /* holds */
    XF_JUDGE_ROUTER,   /* holds */
    XF_JUDGE_EVIDENCE, /* holds */
    XF_JUDGE_RULES
};

/* A verdict in numbers and words.  `measured` and `limit` are what the rule compares: green's
 * share and the share it may have (errors, budget, latency), green's and blue's share (both),
 * sent share and split ordered (router), the share that can be ruled out and the one that should
 * be (evidence). */
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
    bool enough;    /* the value is reached and there is no soft hold */
    bool soft_hold; /* evidence against green has reached XF_JUDGE_SOFT_HOLD */
    double value;   /* XF_PROMOTE_ENOUGH is needed */
    uint64_t green; /* green responses since the evidence began */
    uint64_t green_bad;
    double rules_out;   /* failing shares above this are ruled out; 1 where nothing is */
    uint64_t missing;   /* clean green responses still needed; 0 when there is enough */
    int64_t missing_ms; /* how long these take at the present rate; -1: no rate */
    char sentence[XF_SENTENCE_BYTES]; /* why the step does not advance; "" when there is enough */
};

/* What a finding of errors, or of both, rests on. */
enum xf_finding_kind {
    XF_FINDING_FAILS,
    XF_FINDING_4XX,     /* errors: in the 4xx stream */
    XF_FINDING_SILENCE, /* nothing is answered */
    XF_FINDING_KINDS
};

/* What a rule found, kept for its sentence. */
struct xf_judge_finding {
    bool standing;
    enum xf_finding_kind kind;
    int64_t at_us;
    double rho; /* split in force then */
    double n;
    double limit;            /* the budget */
    struct xf_totals window; /* since the fault began; silence: what was sent as done and bad, and
                                what blue answered as its done */
};

/* One stream of bad responses on its way through blocks into a detector. */
struct xf_judge_stream_state {
    bool watched;
    bool open;
    struct xf_block block; /* being filled */
    struct xf_totals totals;
    struct xf_detector detector;
    struct xf_trail trail;
};

/* First times, in microseconds; -1: not yet. */
struct xf_judge_marks {
    int64_t soft_hold_us;
    int64_t both_us;
    int64_t router_us;
    int64_t enough_us;
};

/* The state of one attempt: the caller's memory, a plain value that may be copied. */
struct xf_judge {
    struct xf_judge_options options;
    unsigned attempt;   /* 1, one more with each reset */
    int64_t begun_us;   /* of this attempt */
    int64_t seen_us;    /* time has been seen up to here */
    bool stepped;       /* a step has begun in this attempt */
    double rho;         /* split in force */
    unsigned blip_ms;   /* in force */
    double limit;       /* budget in force */
    uint64_t blue_done; /* before the first step: blue's own errors */
    uint64_t blue_bad;
    struct xf_blip blip; /* likewise: its bursts */
    struct xf_judge_stream_state streams[XF_STREAMS];
    struct xf_budget budget;
    struct xf_budget_trail budget_trail;
    struct xf_promote promote;
    struct xf_router router;
    struct xf_silence silence;
    struct xf_judge_finding findings[XF_JUDGE_RULES];
    struct xf_judge_marks marks;
};

void xf_judge_options_default(struct xf_judge_options *ret);
/* Whether every number is in its range; `err` names the one that is not. */
XF_NODISCARD int xf_judge_options_check(const struct xf_judge_options *options,
                                        struct xf_error *err);

/* `options` must have passed the check; they are copied.  Attempt 1 begins at `t_ms`. */
void xf_judge_init(struct xf_judge *judge, const struct xf_judge_options *options, int64_t t_ms);

/* Before the first step: blue's cells, from which `blip: auto` and the budget learn.  Clean ones
 * may be joined to longer ones. */
void xf_judge_learn(struct xf_judge *judge, const struct xf_judge_cell *cell);
/* Before the first step, once: what the fleet learnt of blue before the cutover began. */
void xf_judge_learnt(struct xf_judge *judge, const struct xf_learnt *learnt);

/* A step of the plan begins with weight `weight`.  Evidence is kept, but no more than just enough:
 * a failure in the new step must first be outweighed (judge_promote.h). */
void xf_judge_step_started(struct xf_judge *judge, int64_t t_ms, unsigned weight);
/* The weight in force has changed within a step (a ramp).  The first one above 0 of an attempt that
 * no step has begun is judged like a step's: green has traffic. */
void xf_judge_set_weight(struct xf_judge *judge, unsigned weight);

/* One closed cell of the grid, the sum of the fleet, in the order of time; at most one per cell.
 * Clean cells may be joined to a longer one (length_ms), but their `sent` and `done` must come.
 * Counts of an older cell join the present block. */
void xf_judge_feed(struct xf_judge *judge, const struct xf_judge_cell *cell);
/* Time has reached `t_ms` (the end of a closed cell) without anything to feed. */
void xf_judge_advance(struct xf_judge *judge, int64_t t_ms);

/* Every rule that stands, evidence left out: bits 1 << rule. */
unsigned xf_judge_standing(const struct xf_judge *judge);
/* The gravest of them; its verdict in *ret. */
enum xf_judge_rule xf_judge_verdict(const struct xf_judge *judge, struct xf_judge_verdict *ret);
/* The verdict of one rule, whether or not others stand; of evidence too. */
void xf_judge_verdict_of(const struct xf_judge *judge, enum xf_judge_rule rule,
                         struct xf_judge_verdict *ret);
void xf_judge_evidence(const struct xf_judge *judge, struct xf_judge_evidence *ret);

/* Resume, back, manual weight: all evidence is forgotten, blip and budget are kept, the next
 * attempt begins; the present step counts as begun at `t_ms`.  false_pause holds anew for it. */
void xf_judge_reset(struct xf_judge *judge, int64_t t_ms);

const char *xf_judge_rule_name(enum xf_judge_rule rule); /* "errors", …, "none" */

/* Blue's p99 in microseconds (the upper edge of its bucket, proxy/board/histogram.h); 0 below 1,000
 * responses.  A request is slow when it is in flight longer. */
uint64_t xf_judge_tau_us(const uint64_t buckets[XF_HISTOGRAM_BUCKETS]);

/* ---- exact times, for replay ---- */

void xf_judge_step_at(struct xf_judge *judge, int64_t t_us, double rho);
void xf_judge_set_rho(struct xf_judge *judge, double rho);
/* Responses and dispatches at `t_us` of requests sent at split `rho`; `role` is indexed by enum
 * xf_judge_role.  Blocks that were due before are closed first. */
void xf_judge_count(struct xf_judge *judge, int64_t t_us, double rho,
                    const struct xf_judge_counts role[2]);
void xf_judge_advance_us(struct xf_judge *judge, int64_t t_us);

#endif
