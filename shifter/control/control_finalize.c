/*
 * control_finalize.c -- the point of no return: the verb `finalize`, and the actions after it.
 *
 * `finalizing` is written before the first action, and that an action starts before its hook does:
 *
 *     not started --written--> started --proven--------------------------> the next action, or
 *                                |  ^                                      finalized
 *                                |  +-- `--redo N`; or by itself: the hook is repeatable, and
 *                                |      another leader had started it
 *                                +--unproven--> waits with hold `approval` (--redo N, --skip N,
 *                                               or a later look that proves it)
 */
#include "shifter/control/control_parts.h"

#include <stdio.h>
#include <string.h>

#define SYSTEM "crossfade"

static bool may_finalize(struct xf_verb_call *call)
{
    const struct xf_document *document = call->document;
    const struct xf_fleet *fleet = &call->facts->fleet;
    if (document->state != XF_CUTOVER_SAFE) {
        xf_decision_refuse(call->ret, 6, "finalize: not in state %s, only in safe",
                           xf_cutover_state_name(document->state));
    } else if (document->signal.sequence == 2) {
        xf_decision_refuse(call->ret, 6, "finalize: the signal was revoked by %s",
                           document->revoked_by);
    } else if (!fleet->in_force) {
        xf_decision_refuse(call->ret, 6, "finalize: not in force everywhere%s%.200s%s%.200s",
                           fleet->lagging[0] != '\0' ? "; lagging: " : "", fleet->lagging,
                           fleet->silent > 0 ? "; silent: " : "", fleet->silent_names);
    } else if (call->facts->journal_away != NULL) {
        xf_decision_refuse(call->ret, 3, "held by journal: %.400s", call->facts->journal_away);
    } else {
        return true;
    }
    return false;
}

static bool repeatable(const struct xf_config *config, const char *hook)
{
    for (unsigned i = 0; i < config->hooks_count; i++) {
        if (strcmp(config->hooks[i].name, hook) == 0) {
            return config->hooks[i].repeatable;
        }
    }
    return false;
}

static bool waits(const struct xf_document *document)
{
    return document->action.started && document->holds[XF_HOLD_APPROVAL].on;
}

static void begin_action(struct xf_change *change)
{
    if (change->after != NULL) {
        change->after->action.started = true;
        change->after->action.runs++;
        change->run_action = true;
        xf_change_lift(change, XF_HOLD_APPROVAL);
    }
}

static void end_action(struct xf_change *change)
{
    if (change->after != NULL) {
        change->after->action.index++;
        change->after->action.started = false;
        change->after->action.done =
            change->after->action.index == change->before->plan->actions_count;
        xf_change_lift(change, XF_HOLD_APPROVAL);
    }
}

/* `--redo N` and `--skip N`: what a person decides of an action that could not be proven. */
static void decide_action(struct xf_verb_call *call, const char *word, int64_t number)
{
    const struct xf_document *document = call->document;
    bool redo = strcmp(word, "redo") == 0;
    if (document->state != XF_CUTOVER_FINALIZING ||
        number != (int64_t) document->action.index + 1 || !waits(document)) {
        char which[64] = "no action waits";
        if (document->state == XF_CUTOVER_FINALIZING && waits(document)) {
            (void) snprintf(which, sizeof(which), "action %u waits", document->action.index + 1);
        }
        xf_decision_refuse(call->ret, 6, "finalize: %s", which);
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    xf_change_say(&call->change, "action %u (hook %s) is %s by %s", document->action.index + 1,
                  document->plan->actions[document->action.index].hook,
                  redo ? "run again, asked" : "skipped", call->command->actor);
    if (redo) {
        begin_action(&call->change);
    } else {
        end_action(&call->change);
    }
    xf_change_finish(&call->change, call->ret);
}

void xf_verb_finalize(struct xf_verb_call *call)
{
    const struct xf_document *document = call->document;
    const json_t *redo = json_object_get(call->command->arguments, "redo");
    const json_t *skip = json_object_get(call->command->arguments, "skip");
    if (redo != NULL && skip != NULL) {
        xf_decision_refuse(call->ret, 2, "finalize: redo or skip, not both");
    } else if (redo != NULL || skip != NULL) {
        decide_action(call, redo != NULL ? "redo" : "skip",
                      json_integer_value(redo != NULL ? redo : skip));
    } else if (document->state == XF_CUTOVER_FINALIZING ||
               document->state == XF_CUTOVER_FINALIZED) {
        if (xf_verb_begin(call)) {
            xf_change_say(&call->change, "%s is %s already", document->cutover,
                          xf_cutover_state_name(document->state));
            xf_change_finish(&call->change, call->ret);
        }
    } else if (may_finalize(call) && xf_verb_begin(call)) {
        xf_change_say(&call->change, "finalizing by %s: there is no way back but a new cutover",
                      call->command->actor);
        xf_change_state(&call->change, XF_ON_FINALIZE);
        xf_change_finish(&call->change, call->ret);
    }
}

bool xf_control_finalize_due(const struct xf_document *document, const struct xf_facts *facts)
{
    if (document->state != XF_CUTOVER_SAFE || document->plan->finalize_when != XF_FINALIZE_AUTO ||
        document->signal.sequence == 2 ||
        (document->signal.sequence == 1 && document->signal.accepted_at_ms == 0) ||
        !facts->store_ok || facts->journal_waits || !facts->fleet.in_force) {
        return false;
    }
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        if (i != XF_HOLD_GATE && document->holds[i].on) {
            return false;
        }
    }
    return true;
}

static void wait_for_a_person(struct xf_change *change, unsigned number, const char *hook,
                              const char *found)
{
    char lifted_by[96];
    (void) snprintf(lifted_by, sizeof(lifted_by), "`finalize --redo %u` or `finalize --skip %u`",
                    number, number);
    xf_change_say(change, "action %u (hook %s) is not proven: %.400s", number, hook, found);
    xf_change_hold(change, XF_HOLD_APPROVAL, SYSTEM, lifted_by, change->sentence);
}

/* The action at hand was started: what is known of it decides. */
static bool go_on_started(const struct xf_document *document, const struct xf_facts *facts,
                          struct xf_change *change)
{
    const struct xf_plan_action *action = &document->plan->actions[document->action.index];
    unsigned number = document->action.index + 1;
    if (facts->action.found == XF_ACTION_PROVEN) {
        xf_change_begin(change, document, facts, "action", SYSTEM, "done");
        xf_change_say(change, "action %u of %u (hook %s) is done: %.400s", number,
                      document->plan->actions_count, action->hook, facts->action.sentence);
        end_action(change);
        return true;
    }
    if (facts->action.found != XF_ACTION_UNPROVEN || waits(document)) {
        return false;
    }
    xf_change_begin(change, document, facts, "action", SYSTEM, "unproven");
    if (!facts->action.own && repeatable(facts->config, action->hook)) {
        xf_change_say(change, "action %u (hook %s) was cut off and is repeatable: it runs again",
                      number, action->hook);
        begin_action(change);
    } else {
        wait_for_a_person(change, number, action->hook, facts->action.sentence);
    }
    return true;
}

bool xf_control_finalizing(const struct xf_document *document, const struct xf_facts *facts,
                           struct xf_change *change)
{
    const struct xf_plan *plan = document->plan;
    if (document->action.index < plan->actions_count) {
        if (document->action.started) {
            return go_on_started(document, facts, change);
        }
        if (!facts->fleet.in_force) {
            return false;
        }
        xf_change_begin(change, document, facts, "action", SYSTEM, "started");
        xf_change_say(change, "action %u of %u starts: hook %s", document->action.index + 1,
                      plan->actions_count, plan->actions[document->action.index].hook);
        begin_action(change);
        return true;
    }
    if (!facts->fleet.in_force) {
        return false;
    }
    xf_change_begin(change, document, facts, "finalized", SYSTEM, "verified");
    xf_change_say(change, "%s is finalized: %s is live", document->cutover, document->to);
    xf_change_state(change, XF_ON_VERIFIED);
    xf_change_end(change, document->to, "finalized");
    return true;
}
