/*
 * control_tick.c -- what happens by itself: verdicts, holds, steps, ramps, states.
 *
 * At most one change a tick; the order below is the order of importance: what takes weight away
 * comes before what keeps it, and that before what adds to it.
 */
#include "shifter/control/control.h"

#include "shifter/control/control_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM "crossfade"
#define JUDGE  "guard"

struct tick {
    const struct xf_document *document;
    const struct xf_progress *progress;
    const struct xf_facts *facts;
    struct xf_decision *ret;
    struct xf_change change;
};

static void begin(struct tick *tick, const char *verb, const char *reason)
{
    xf_change_begin(&tick->change, tick->document, tick->facts, verb, SYSTEM, reason);
}

static bool finish(struct tick *tick)
{
    xf_change_finish(&tick->change, tick->ret);
    return true;
}

/* ---- verdicts ---- */

static void step_back(struct xf_change *change)
{
    struct xf_document *after = change->after;
    if (after == NULL) {
        return;
    }
    after->step = after->step > 0 ? after->step - 1 : -1;
    unsigned weight = after->step >= 0 ? after->plan->steps[after->step].weight : 0;
    xf_change_weight(change, weight < after->weight ? weight : after->weight);
    xf_change_state(change, XF_ON_LOWERED);
}

static bool act_on(struct tick *tick, enum xf_judge_rule rule, enum xf_guard_then then,
                   enum xf_hold hold)
{
    static const char *const names[] = {"hold", "step-back", "retreat", "abort"};
    const struct xf_judge_verdict *verdict = &tick->facts->verdicts[rule];
    xf_change_begin(&tick->change, tick->document, tick->facts, names[then], JUDGE,
                    xf_judge_rule_name(rule));
    tick->change.verdict = verdict;
    xf_change_say(&tick->change, "%s", verdict->sentence);
    if (then == XF_THEN_ABORT) {
        xf_change_abort(&tick->change, 0);
        xf_change_state(&tick->change, XF_ON_ABORT);
        return finish(tick);
    }
    if (then == XF_THEN_RETREAT) {
        xf_change_retreat(&tick->change);
    } else if (then == XF_THEN_STEP_BACK) {
        step_back(&tick->change);
    }
    char lifted_by[64];
    (void) snprintf(lifted_by, sizeof(lifted_by), "`resume %s`", xf_hold_name(hold));
    xf_change_hold(&tick->change, hold, JUDGE, lifted_by, verdict->sentence);
    return finish(tick);
}

/* Its hold says that a verdict was acted on.  But a weight forced by hand beside that hold began
 * a new attempt, whose verdict takes it away as the first one did. */
static bool acted_on(const struct xf_document *document, enum xf_hold hold, enum xf_guard_then then)
{
    return document->holds[hold].on && then < XF_THEN_RETREAT;
}

/* A verdict acts in shifting, soaking and draining alike; once, for its hold, or weight 0, stands
 * then. */
static bool judge(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    const struct xf_plan_guard *guard = &document->plan->guard;
    if (!xf_control_judged(document, tick->facts) || document->weight == 0) {
        return false;
    }
    bool held = acted_on(document, XF_HOLD_ERRORS, guard->errors_then);
    for (enum xf_judge_rule rule = XF_JUDGE_ERRORS; rule <= XF_JUDGE_BUDGET && !held; rule++) {
        if ((tick->facts->standing >> rule & 1) != 0) {
            return act_on(tick, rule, guard->errors_then, XF_HOLD_ERRORS);
        }
    }
    if ((tick->facts->standing >> XF_JUDGE_LATENCY & 1) != 0 &&
        !acted_on(document, XF_HOLD_LATENCY, guard->latency_then)) {
        return act_on(tick, XF_JUDGE_LATENCY, guard->latency_then, XF_HOLD_LATENCY);
    }
    return false;
}

/* ---- deadline, holds, the retreat that ends by itself ---- */

static bool deadline(struct tick *tick)
{
    const struct xf_plan *plan = tick->document->plan;
    if (plan->deadline_ms == 0 || tick->document->deadline_passed ||
        tick->progress->attempt != tick->document->attempts ||
        tick->progress->elapsed_ms < plan->deadline_ms) {
        return false;
    }
    char length[XF_DURATION_TEXT_BYTES];
    begin(tick, plan->deadline_aborts ? "abort" : "hold", "deadline");
    xf_change_say(&tick->change, "the plan's deadline of %s is over",
                  xf_format_duration(plan->deadline_ms, length));
    if (tick->change.after != NULL) {
        tick->change.after->deadline_passed = true;
    }
    if (plan->deadline_aborts) {
        xf_change_abort(&tick->change, 0);
        xf_change_state(&tick->change, XF_ON_ABORT);
    } else {
        xf_change_hold(&tick->change, XF_HOLD_DEADLINE, SYSTEM, "`resume deadline`",
                       tick->change.sentence);
    }
    return finish(tick);
}

static bool holds(struct tick *tick)
{
    return xf_control_sync_holds(tick->document, tick->progress, tick->facts, &tick->change) &&
           finish(tick);
}

/* Somebody wrote into Kong's databases since the start, or the baseline is only now complete. */
static bool drift(struct tick *tick)
{
    const struct xf_facts *facts = tick->facts;
    if (facts->drift_baseline != NULL) {
        begin(tick, "baseline", "drift");
        xf_change_say(&tick->change,
                      "fingerprints of the configuration in Kong's databases are taken");
        char *baseline = strdup(facts->drift_baseline);
        if (tick->change.after != NULL && baseline != NULL) {
            free(tick->change.after->baseline_json);
            tick->change.after->baseline_json = baseline;
            baseline = NULL;
        }
        free(baseline);
        return finish(tick);
    }
    if (facts->drift == NULL || tick->document->holds[XF_HOLD_DRIFT].on) {
        return false;
    }
    begin(tick, "hold", "drift");
    xf_change_say(&tick->change, "held: %s", facts->drift);
    xf_change_hold(&tick->change, XF_HOLD_DRIFT, SYSTEM, "`resume drift`", facts->drift);
    return finish(tick);
}

/* guard.resume: a retreat for errors ends by itself, so often and after so long. */
static bool resume(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    if (!document->retreated || !document->holds[XF_HOLD_ERRORS].on ||
        document->resumes_left == 0 || tick->progress->step_entry != document->step_entry ||
        tick->progress->retreat_ms < document->plan->guard.resume_after_ms) {
        return false;
    }
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        if (i != XF_HOLD_ERRORS && document->holds[i].on) {
            return false;
        }
    }
    begin(tick, "resume", "guard.resume");
    xf_change_say(&tick->change, "the retreat ends by itself; %u such resumes left",
                  document->resumes_left - 1);
    xf_change_lift(&tick->change, XF_HOLD_ERRORS);
    xf_change_rejudge(&tick->change);
    xf_change_weight(&tick->change, 0);
    if (tick->change.after != NULL) {
        tick->change.after->resumes_left--;
        tick->change.after->retreated = false;
        tick->change.after->step = -1;
    }
    return finish(tick);
}

/* ---- going on: only with nothing held and the version in force everywhere ---- */

static bool enter(struct tick *tick, int step)
{
    if (step != tick->document->step && tick->facts->drift_unchecked) {
        tick->ret->wants_drift = true;
        return false;
    }
    char weight[XF_WEIGHT_TEXT_BYTES];
    const struct xf_plan_step *to = &tick->document->plan->steps[step];
    begin(tick, "step", "schedule");
    xf_change_say(&tick->change, "step %d of %u: %s%s", step + 1, tick->document->plan->steps_count,
                  to->ramp_ms > 0 ? "ramp to " : "", xf_format_weight(to->weight, weight));
    xf_change_enter(&tick->change, step);
    return finish(tick);
}

static bool ramp(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    const struct xf_plan_step *step = xf_schedule_step(document);
    unsigned weight = xf_schedule_weight(document, tick->progress);
    if (weight <= document->weight ||
        (weight < step->weight && tick->progress->moved_ms < XF_RAMP_MS)) {
        return false;
    }
    char text[XF_WEIGHT_TEXT_BYTES];
    begin(tick, "ramp", "schedule");
    xf_change_say(&tick->change, "ramp: %s", xf_format_weight(weight, text));
    tick->change.revision = true;
    if (tick->change.after != NULL) {
        tick->change.after->weight = weight;
    }
    return finish(tick);
}

static bool step_done(const struct tick *tick)
{
    const struct xf_plan_step *step = xf_schedule_step(tick->document);
    return xf_schedule_time_over(tick->document, tick->progress) &&
           (!step->approve || tick->document->approved) &&
           xf_control_proven(tick->document, tick->facts);
}

static bool shift(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    const struct xf_plan_step *step = xf_schedule_step(document);
    if (step == NULL) {
        return !document->plan->bare && enter(tick, 0);
    }
    if (document->weight < step->weight) {
        return step->ramp_ms > 0 ? ramp(tick) : enter(tick, document->step);
    }
    if (xf_schedule_last(document)) {
        begin(tick, "soak", "schedule");
        xf_change_say(&tick->change, "100%% is in force everywhere; %s soaks", document->to);
        xf_change_state(&tick->change, XF_ON_FULL);
        if (tick->change.after != NULL) { /* soaks from zero; an early `approve` or `step` stands */
            tick->change.after->step_entry++;
        }
        return finish(tick);
    }
    return step_done(tick) && enter(tick, document->step + 1);
}

static bool soak(struct tick *tick)
{
    if (!step_done(tick)) {
        return false;
    }
    begin(tick, "drain", "schedule");
    xf_change_say(&tick->change, "the soak is over; %s is drained", tick->document->from);
    xf_change_state(&tick->change, XF_ON_CONTENT);
    return finish(tick);
}

/* Invariant 4.  Holds and in_force were looked at by the caller, and are here again. */
static bool drain(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    const struct xf_facts *facts = tick->facts;
    const struct xf_fleet *fleet = &facts->fleet;
    int64_t quiet_ms = xf_control_drain(document, facts->config)->quiet_ms;
    if (document->weight != XF_WEIGHT_FULL || fleet->members == 0 || fleet->silent > 0 ||
        !fleet->in_force || fleet->blue_quiet_ms < quiet_ms || fleet->blue_quiet_ms < 0 ||
        facts->in_use_by != NULL || xf_document_held(document)) {
        return false;
    }
    begin(tick, "safe", "quiet");
    xf_change_say(&tick->change, "nothing is left on %s on any of %u prox%s: it may go",
                  document->from, fleet->members, fleet->members == 1 ? "y" : "ies");
    xf_change_state(&tick->change, XF_ON_QUIET);
    struct xf_document *after = tick->change.after;
    if (after != NULL && !document->plan->bare) {
        memcpy(after->signal.key, after->cutover, sizeof(after->cutover));
        after->signal.sequence = 1;
        after->signal.at_ms = facts->wall_ms;
        after->signal.accepted_at_ms = 0;
        memcpy(after->signalled, after->from, sizeof(after->from));
    }
    return finish(tick);
}

/* ---- what the proxies say that nobody decided here ---- */

/* Break-glass: the fleet follows the one that serves least, and stays there until a person says
 * otherwise.  In safe no weight moves: the hold is the alarm. */
static bool overridden(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    const struct xf_fleet *fleet = &tick->facts->fleet;
    bool safe = document->state == XF_CUTOVER_SAFE;
    if (fleet->overrides == 0 || (safe && document->holds[XF_HOLD_OVERRIDE].on)) {
        return false;
    }
    unsigned weight = fleet->override_weight;
    xf_change_begin(&tick->change, document, tick->facts, "override", fleet->override_by,
                    "local override");
    xf_change_say(&tick->change, "%s", fleet->override_sentence);
    if (!safe && weight < document->weight) {
        if (weight == 0) {
            xf_change_retreat(&tick->change);
        } else {
            xf_change_weight(&tick->change, weight);
            xf_change_state(&tick->change, XF_ON_LOWERED);
        }
        xf_change_rejudge(&tick->change);
    }
    xf_change_hold(&tick->change, XF_HOLD_OVERRIDE, fleet->override_by,
                   safe ? "`abort --force`" : "`resume override`, `weight` or `abort`",
                   fleet->override_sentence);
    return finish(tick);
}

/* Two primaries wrote apart: what is served stays, a person looks which of them was right. */
static bool forked(struct tick *tick)
{
    const struct xf_fleet *fleet = &tick->facts->fleet;
    if (fleet->forked[0] == '\0' || tick->document->holds[XF_HOLD_FORK].on) {
        return false;
    }
    begin(tick, "hold", "fork");
    xf_change_say(&tick->change, "another change has the same version on %.400s", fleet->forked);
    xf_change_hold(&tick->change, XF_HOLD_FORK, SYSTEM, "`resume fork`", tick->change.sentence);
    return finish(tick);
}

/* With traffic on green nothing goes on before its present state is known, whatever a checkpoint
 * says of the past: no data is not good data. */
static bool go_on(struct tick *tick)
{
    bool unknown = tick->document->weight > 0 && !tick->facts->judge_listened;
    if (unknown || !xf_control_counts(tick->document, tick->facts)) {
        return false;
    }
    switch (tick->document->state) {
    case XF_CUTOVER_SHIFTING:
        return shift(tick);
    case XF_CUTOVER_SOAKING:
        return soak(tick);
    case XF_CUTOVER_DRAINING:
        return drain(tick);
    default:
        return false;
    }
}

static bool climb(struct tick *tick)
{
    return overridden(tick) || judge(tick) || forked(tick) || deadline(tick) || drift(tick) ||
           holds(tick) || resume(tick) || go_on(tick);
}

/* ---- the other states ---- */

static bool preflight(struct tick *tick)
{
    if (overridden(tick)) {
        return true;
    }
    if (!tick->facts->fleet.in_force) {
        return false;
    }
    begin(tick, "preflight", "passed");
    xf_change_say(&tick->change, "%s begins: %s to %s", tick->document->cutover,
                  tick->document->from, tick->document->to);
    xf_change_state(&tick->change, XF_ON_PASSED);
    return finish(tick);
}

/* The receivers of the signal have taken it. */
static bool accepted(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    if (document->signal.sequence == 0 || document->signal.accepted_at_ms != 0 ||
        tick->facts->accepted < document->signal.sequence) {
        return false;
    }
    bool revoked = document->signal.sequence == 2;
    begin(tick, "signal", revoked ? "revoked" : "accepted");
    xf_change_say(&tick->change, "every receiver took the signal %s of %s",
                  revoked ? "revoked" : "decommission", document->signal.key);
    if (tick->change.after != NULL) {
        tick->change.after->signal.accepted_at_ms = tick->facts->wall_ms;
    }
    if (revoked) {
        xf_change_abort(&tick->change, 0);
        xf_change_state(&tick->change, XF_ON_REVOKED);
        if (tick->change.after != NULL) {
            tick->change.after->signalled[0] = '\0';
        }
    }
    return finish(tick);
}

static bool safe(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    if (accepted(tick)) {
        return true;
    }
    if (document->signal.sequence == 2) {
        return false;
    }
    if (overridden(tick) || forked(tick) || drift(tick) || holds(tick)) {
        return true;
    }
    /* Gates before it, or drift to be looked for: tenure_gates.c brings the verb instead. */
    if (!xf_control_finalize_due(document, tick->facts) || xf_document_held(document) ||
        document->plan->before_finalize_json != NULL || document->baseline_json != NULL) {
        return false;
    }
    begin(tick, "finalize", "finalize.when: auto");
    xf_change_say(&tick->change, "finalizing: there is no way back but a new cutover");
    xf_change_state(&tick->change, XF_ON_FINALIZE);
    return finish(tick);
}

static bool finalizing(struct tick *tick)
{
    return xf_control_finalizing(tick->document, tick->facts, &tick->change) && finish(tick);
}

static bool aborting(struct tick *tick)
{
    const struct xf_document *document = tick->document;
    unsigned weight = xf_schedule_fall(document, tick->progress);
    if (document->weight > weight && (weight == 0 || tick->progress->moved_ms >= 1000)) {
        char text[XF_WEIGHT_TEXT_BYTES];
        begin(tick, "fall", "abort --over");
        xf_change_say(&tick->change, "abort: %s", xf_format_weight(weight, text));
        tick->change.revision = true;
        if (tick->change.after != NULL) {
            tick->change.after->weight = weight;
        }
        return finish(tick);
    }
    if (document->weight > 0 || !tick->facts->fleet.in_force) {
        return false;
    }
    begin(tick, "aborted", "emptied");
    xf_change_say(&tick->change, "%s is aborted: %s is live everywhere", document->cutover,
                  document->from);
    xf_change_state(&tick->change, XF_ON_EMPTIED);
    xf_change_empty_green(&tick->change);
    xf_change_end(&tick->change, document->from, "aborted");
    return finish(tick);
}

void xf_control_tick(const struct xf_document *document, const struct xf_progress *progress,
                     const struct xf_facts *facts, struct xf_decision *ret)
{
    struct tick tick = {.document = document, .progress = progress, .facts = facts, .ret = ret};
    *ret = (struct xf_decision){0};
    if (!facts->store_ok) {
        return;
    }
    switch (document->state) {
    case XF_CUTOVER_PREFLIGHT:
        (void) preflight(&tick);
        break;
    case XF_CUTOVER_SHIFTING:
    case XF_CUTOVER_SOAKING:
    case XF_CUTOVER_DRAINING:
        (void) climb(&tick);
        break;
    case XF_CUTOVER_SAFE:
        (void) safe(&tick);
        break;
    case XF_CUTOVER_FINALIZING:
        (void) finalizing(&tick);
        break;
    case XF_CUTOVER_ABORTING:
        (void) aborting(&tick);
        break;
    case XF_CUTOVER_IDLE:
    case XF_CUTOVER_FINALIZED:
    case XF_CUTOVER_ABORTED:
    case XF_CUTOVER_STATES:
        break;
    }
}
