/*
 * control_ends.c -- the verbs that begin a cutover and give it up: start, abort.
 */
#include "shifter/control/control_parts.h"
#include "shifter/gates/kong_drift.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool may_start(struct xf_verb_call *call, const struct xf_plan *plan)
{
    const struct xf_document *document = call->document;
    const struct xf_facts *facts = call->facts;
    if (xf_cutover_runs(document->state)) {
        char weight[XF_WEIGHT_TEXT_BYTES];
        xf_decision_refuse(call->ret, 4, "%s runs: %s, %s to %s at %s", document->cutover,
                           xf_cutover_state_name(document->state), document->from, document->to,
                           xf_format_weight(document->weight, weight));
    } else if (strcmp(plan->service, document->service) != 0) {
        xf_decision_refuse(call->ret, 2, "the plan is for service %s, not %s", plan->service,
                           document->service);
    } else if (strcmp(plan->to, document->live) == 0) {
        xf_decision_refuse(call->ret, 6, "%s is already live", plan->to);
    } else if (plan->from[0] != '\0' && strcmp(plan->from, document->live) != 0) {
        xf_decision_refuse(call->ret, 6, "the plan goes from %s, but %s is live", plan->from,
                           document->live);
    } else if (facts->signalled_by != NULL) {
        xf_decision_refuse(call->ret, 6, "%s was signalled as safe to remove by service %s",
                           plan->to, facts->signalled_by);
    } else if (facts->fleet.digests_differ[0] != '\0') {
        xf_decision_refuse(call->ret, 6, "the clusters are configured otherwise on %.400s",
                           facts->fleet.digests_differ);
    } else if (!facts->fleet.green_up) {
        xf_decision_refuse(call->ret, 1, "no server of %s is up", plan->to);
    } else {
        return true;
    }
    return false;
}

/* A fresh cutover in `after`: nothing of the one before but its number is left. */
static void begin_cutover(struct xf_document *after, struct xf_plan *plan,
                          const struct xf_facts *facts)
{
    after->attempts++;
    (void) snprintf(after->cutover, sizeof(after->cutover), "%s/%llu", plan->name,
                    (unsigned long long) after->attempts);
    memcpy(after->from, after->live, sizeof(after->live));
    memcpy(after->to, plan->to, sizeof(plan->to));
    after->seed = facts->seed;
    after->weight = 0;
    after->step = -1;
    after->step_entry++;
    after->approved = false;
    after->extended_ms = 0;
    after->evidence_waived = false;
    after->tau_us = facts->tau_us;
    after->ramp_from = 0;
    after->fall_ms = 0;
    after->retreated = false;
    after->deadline_passed = false;
    after->verdict_attempt = 1;
    after->resumes_left = plan->guard.resume_times;
    after->started_ms = facts->wall_ms;
    after->revoked_by[0] = '\0';
    after->drain.cluster[0] = '\0';
    after->signalled[0] = '\0';
    memset(&after->signal, 0, sizeof(after->signal));
    memset(&after->action, 0, sizeof(after->action));
    free(after->last_verdict_json);
    after->last_verdict_json = NULL;
    free(after->baseline_json);
    after->baseline_json = xf_kong_drift_begin(plan->before_start_json);
}

void xf_verb_start(struct xf_verb_call *call)
{
    struct xf_plan *plan = *call->plan;
    if (plan == NULL) {
        xf_decision_refuse(call->ret, 2, "start: a plan or a cluster is needed");
        return;
    }
    if (!may_start(call, plan) || !xf_verb_begin(call)) {
        return;
    }
    *call->plan = NULL;
    struct xf_document *after = call->change.after;
    begin_cutover(after, plan, call->facts);
    after->plan = plan;
    if (plan->fence_on && !after->fence.up) { /* one that was raised by hand is taken over */
        after->fence.up = true;
        (void) snprintf(after->fence.by, sizeof(after->fence.by), "%s", call->command->actor);
    }
    xf_change_state(&call->change, XF_ON_START);
    xf_change_say(&call->change, "%s: %s to %s, started by %s", after->cutover, after->from,
                  after->to, call->command->actor);
    if (plan->bare) {
        xf_change_state(&call->change, XF_ON_PASSED);
        xf_change_pause(&call->change, call->command->actor,
                        "started without a plan: `weight`, `step` or `promote --full` move it");
    }
    xf_change_finish(&call->change, call->ret);
}

/* In safe, with --force: the signal is taken back first; traffic moves when its receivers know. */
void xf_verb_revoke(struct xf_verb_call *call)
{
    const struct xf_document *document = call->document;
    if (!json_is_true(json_object_get(call->command->arguments, "force"))) {
        xf_decision_refuse(call->ret, 6,
                           "%s: %s is signalled as safe to remove and may be gone; `abort --force` "
                           "checks it, revokes the signal and goes back",
                           call->command->verb, document->from);
        return;
    }
    if (!call->facts->fleet.blue_up) {
        xf_decision_refuse(call->ret, 6, "abort: %s is not up on every live proxy", document->from);
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    struct xf_document *after = call->change.after;
    if (document->signal.sequence == 0) {
        xf_change_say(&call->change, "aborted by %s; there was no signal to revoke",
                      call->command->actor);
        xf_change_abort(&call->change, 0);
        xf_change_state(&call->change, XF_ON_REVOKED);
    } else {
        xf_change_say(&call->change,
                      "the signal %s is revoked by %s; traffic goes back to %s "
                      "once every receiver knows",
                      document->signal.key, call->command->actor, document->from);
        if (document->signal.sequence == 1) {
            after->signal.sequence = 2;
            after->signal.at_ms = call->facts->wall_ms;
            after->signal.accepted_at_ms = 0;
            (void) snprintf(after->revoked_by, sizeof(after->revoked_by), "%s",
                            call->command->actor);
        }
    }
    xf_change_finish(&call->change, call->ret);
}

static void abort_preflight(struct xf_verb_call *call)
{
    if (xf_verb_begin(call)) {
        xf_change_say(&call->change, "%s is given up before it began", call->document->cutover);
        xf_change_state(&call->change, XF_ON_ABORT);
        xf_change_end(&call->change, call->document->live, "aborted");
        xf_change_finish(&call->change, call->ret);
    }
}

static void abort_running(struct xf_verb_call *call, int64_t over_ms)
{
    const struct xf_document *document = call->document;
    if (!xf_verb_begin(call)) {
        return;
    }
    xf_change_say(&call->change, "aborted by %s%s%s", call->command->actor,
                  call->command->reason[0] != '\0' ? ": " : "", call->command->reason);
    if (document->state == XF_CUTOVER_ABORTED) {
        xf_change_say(&call->change, "aborted already");
    } else if (document->state == XF_CUTOVER_ABORTING) {
        if (over_ms == 0) { /* at once, also where a slow fall was under way */
            xf_change_abort(&call->change, 0);
        }
    } else {
        xf_change_abort(&call->change, over_ms);
        xf_change_state(&call->change, XF_ON_ABORT);
    }
    xf_change_finish(&call->change, call->ret);
}

void xf_verb_abort(struct xf_verb_call *call)
{
    const struct xf_document *document = call->document;
    const json_t *over = json_object_get(call->command->arguments, "over_ms");
    int64_t over_ms = json_integer_value(over);
    if (over != NULL && !json_is_null(over) &&
        (!json_is_integer(over) || over_ms < 0 || over_ms > (int64_t) 86400 * 1000)) {
        xf_decision_refuse(call->ret, 2, "abort: --over must be from 0 to 1d");
        return;
    }
    switch (document->state) {
    case XF_CUTOVER_PREFLIGHT:
        abort_preflight(call);
        break;
    case XF_CUTOVER_SHIFTING:
    case XF_CUTOVER_SOAKING:
    case XF_CUTOVER_DRAINING:
    case XF_CUTOVER_ABORTING:
    case XF_CUTOVER_ABORTED:
        abort_running(call, over_ms);
        break;
    case XF_CUTOVER_SAFE:
        xf_verb_revoke(call);
        break;
    case XF_CUTOVER_FINALIZING:
        xf_decision_refuse(call->ret, 6,
                           "abort: the point of no return is passed; when finalized: `crossfade "
                           "start --service %s --to %s`",
                           document->service, document->from);
        break;
    case XF_CUTOVER_FINALIZED:
        xf_decision_refuse(call->ret, 6,
                           "abort: %s is finalized and %s is live; the way back is a new cutover: "
                           "`crossfade start --service %s --to %s`",
                           document->cutover, document->live, document->service,
                           document->last.from[0] != '\0' ? document->last.from : "CLUSTER");
        break;
    case XF_CUTOVER_IDLE:
    case XF_CUTOVER_STATES:
        xf_decision_refuse(call->ret, 6, "abort: no cutover runs");
        break;
    }
}
