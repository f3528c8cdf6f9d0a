/*
 * control_command.c -- what holds for every verb, and the verbs that steer a running cutover.
 *
 * In this order: a request that was answered before gets that answer; `if_generation`; `if_step`;
 * then the verb's own rules.  An accepted command takes a generation even where its result is
 * already there; a refused one changes nothing and is not remembered.
 */
#include "shifter/control/control.h"

#include "shifter/control/control_parts.h"
#include "shifter/net/json.h"
#include "shifter/gates/kong_drift.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTENSION_MS_MAX ((int64_t) 30 * 86400 * 1000)

static bool argument_flag(const struct xf_verb_call *call, const char *key)
{
    return json_is_true(json_object_get(call->command->arguments, key));
}

static const char *argument_text(const struct xf_verb_call *call, const char *key)
{
    return json_string_value(json_object_get(call->command->arguments, key));
}

/* Refuses (exit 2) what is no whole number within [least, most]. */
static bool argument_int(struct xf_verb_call *call, const char *key, int64_t least, int64_t most,
                         int64_t *ret)
{
    const json_t *value = json_object_get(call->command->arguments, key);
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most) {
        xf_decision_refuse(call->ret, 2, "\"%s\" must be a whole number from %lld to %lld", key,
                           (long long) least, (long long) most);
        return false;
    }
    *ret = json_integer_value(value);
    return true;
}

bool xf_verb_begin(struct xf_verb_call *call)
{
    xf_change_begin(&call->change, call->document, call->facts, call->command->verb,
                    call->command->actor, call->command->reason);
    if (call->change.after == NULL) {
        xf_decision_refuse(call->ret, 1, "out of memory");
        return false;
    }
    return true;
}

/* Whether the cutover climbs, soaks or drains; else refuses. */
static bool steers(struct xf_verb_call *call)
{
    enum xf_cutover_state state = call->document->state;
    if (state == XF_CUTOVER_SHIFTING || state == XF_CUTOVER_SOAKING ||
        state == XF_CUTOVER_DRAINING) {
        return true;
    }
    xf_decision_refuse(call->ret, 6, "%s: not in state %s (only in shifting, soaking, draining)",
                       call->command->verb, xf_cutover_state_name(state));
    return false;
}

/* Refuses (exit 3) where one of `holds` stands, or a rise could not be written down. */
static bool free_of(struct xf_verb_call *call, const enum xf_hold *holds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct xf_hold_entry *hold = &call->document->holds[holds[i]];
        if (hold->on) {
            xf_decision_refuse(call->ret, 3, "held by %s: %.400s", xf_hold_name(holds[i]),
                               hold->sentence);
            return false;
        }
    }
    if (!call->facts->store_ok) {
        xf_decision_refuse(call->ret, 3, "held by store: it does not answer");
        return false;
    }
    const struct xf_hold_entry *journal = &call->document->holds[XF_HOLD_JOURNAL];
    if (call->facts->journal_away != NULL || journal->on) {
        xf_decision_refuse(call->ret, 3, "held by journal: %.400s",
                           journal->on ? journal->sentence : call->facts->journal_away);
        return false;
    }
    return true;
}

static void verb_weight(struct xf_verb_call *call)
{
    static const enum xf_hold guards[] = {XF_HOLD_ERRORS, XF_HOLD_LATENCY, XF_HOLD_ROUTER};
    int64_t weight;
    char from[XF_WEIGHT_TEXT_BYTES];
    char to[XF_WEIGHT_TEXT_BYTES];
    if (!argument_int(call, "weight", 0, XF_WEIGHT_FULL, &weight)) {
        return;
    }
    if (call->document->state == XF_CUTOVER_SAFE) {
        bool part = weight > 0 && argument_flag(call, "force");
        if (part) {
            xf_decision_refuse(call->ret, 6,
                               "weight: %s was signalled as safe to remove; once that is revoked "
                               "all traffic goes back to it: `weight 0%% --force`, `abort --force`",
                               call->document->from);
        } else {
            xf_verb_revoke(call);
        }
        return;
    }
    bool rises = weight > (int64_t) call->document->weight;
    if (!steers(call) ||
        (rises && !argument_flag(call, "force") && !free_of(call, guards, XF_COUNT(guards)))) {
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    xf_change_say(&call->change, "weight %s to %s by %s",
                  xf_format_weight(call->document->weight, from),
                  xf_format_weight((unsigned) weight, to), call->command->actor);
    xf_change_state(&call->change, XF_ON_LOWERED);
    xf_change_weight(&call->change, (unsigned) weight);
    xf_change_rejudge(&call->change);
    xf_change_lift(&call->change, XF_HOLD_OVERRIDE);
    xf_change_pause(&call->change, call->command->actor, call->change.sentence);
    call->change.after->retreated = false;
    xf_change_finish(&call->change, call->ret);
}

static void advance_to(struct xf_verb_call *call, int step)
{
    static const enum xf_hold guards[] = {
        XF_HOLD_ERRORS, XF_HOLD_LATENCY, XF_HOLD_DRIFT, XF_HOLD_LAG,      XF_HOLD_BOTH,
        XF_HOLD_ROUTER, XF_HOLD_CONFIG,  XF_HOLD_GATE,  XF_HOLD_OVERRIDE, XF_HOLD_FORK};
    const struct xf_document *document = call->document;
    int last = (int) document->plan->steps_count - 1;
    if (!free_of(call, guards, XF_COUNT(guards)) || !xf_verb_begin(call)) {
        return;
    }
    if (step > last) { /* the last step's hold, approval and evidence end: what is left is drain */
        call->change.after->evidence_waived = true;
        call->change.after->approved = true;
        xf_change_say(&call->change, "the last step's hold is ended by %s", call->command->actor);
    } else {
        char weight[XF_WEIGHT_TEXT_BYTES];
        xf_change_say(&call->change, "step %d of %d (%s) by %s", step + 1, last + 1,
                      xf_format_weight(document->plan->steps[step].weight, weight),
                      call->command->actor);
        call->change.after->retreated = false;
        xf_change_enter(&call->change, step);
    }
    xf_change_lift(&call->change, XF_HOLD_APPROVAL);
    xf_change_lift(&call->change, XF_HOLD_EVIDENCE);
    if (document->plan->bare) {
        xf_change_lift(&call->change, XF_HOLD_OPERATOR);
    }
    xf_change_finish(&call->change, call->ret);
}

static void verb_step(struct xf_verb_call *call)
{
    const struct xf_document *document = call->document;
    if (!steers(call)) {
        return;
    }
    if (document->state == XF_CUTOVER_DRAINING) {
        xf_decision_refuse(call->ret, 6, "step: the last step is done; %s drains", document->from);
        return;
    }
    bool full = argument_flag(call, "full");
    int last = (int) document->plan->steps_count - 1;
    advance_to(call, full && document->step < last ? last : document->step + 1);
}

static void verb_back(struct xf_verb_call *call)
{
    const struct xf_document *document = call->document;
    if (!steers(call)) {
        return;
    }
    if (document->step < 0) {
        xf_decision_refuse(call->ret, 6, "back: no step has begun");
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    int step = document->step - 1;
    unsigned weight = step >= 0 ? document->plan->steps[step].weight : 0;
    weight = weight < document->weight ? weight : document->weight;
    char text[XF_WEIGHT_TEXT_BYTES];
    xf_change_say(&call->change, "back to step %d (%s) by %s", step + 1,
                  xf_format_weight(weight, text), call->command->actor);
    call->change.after->step = step;
    xf_change_state(&call->change, XF_ON_LOWERED);
    xf_change_weight(&call->change, weight);
    xf_change_rejudge(&call->change);
    xf_change_pause(&call->change, call->command->actor, call->change.sentence);
    xf_change_finish(&call->change, call->ret);
}

static void verb_extend(struct xf_verb_call *call)
{
    int64_t ms;
    char text[XF_DURATION_TEXT_BYTES];
    if (!argument_int(call, "ms", 1, EXTENSION_MS_MAX, &ms) || !steers(call)) {
        return;
    }
    if (call->document->state == XF_CUTOVER_DRAINING || call->document->step < 0) {
        xf_decision_refuse(call->ret, 6, "extend: no step holds");
        return;
    }
    if (call->document->extended_ms + ms > EXTENSION_MS_MAX) {
        xf_decision_refuse(call->ret, 2, "extend: a step can be extended by at most 30d");
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    call->change.after->extended_ms += ms;
    call->change.after->evidence_waived = false;
    xf_change_say(&call->change, "step %d holds %s longer", call->document->step + 1,
                  xf_format_duration(ms, text));
    xf_change_finish(&call->change, call->ret);
}

static void verb_approve(struct xf_verb_call *call)
{
    const struct xf_plan_step *step = xf_schedule_step(call->document);
    if (!steers(call)) {
        return;
    }
    if (step == NULL || !step->approve || call->document->state == XF_CUTOVER_DRAINING) {
        xf_decision_refuse(call->ret, 6, "approve: step %d waits for no approval",
                           call->document->step + 1);
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    call->change.after->approved = true;
    xf_change_lift(&call->change, XF_HOLD_APPROVAL);
    xf_change_say(&call->change, "step %d is approved by %s", call->document->step + 1,
                  call->command->actor);
    xf_change_finish(&call->change, call->ret);
}

static void verb_pause(struct xf_verb_call *call)
{
    enum xf_cutover_state state = call->document->state;
    if (state != XF_CUTOVER_SAFE && state != XF_CUTOVER_PREFLIGHT && !steers(call)) {
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    xf_change_say(&call->change, "paused by %s%s%s", call->command->actor,
                  call->command->reason[0] != '\0' ? ": " : "", call->command->reason);
    xf_change_pause(&call->change, call->command->actor, call->change.sentence);
    xf_change_finish(&call->change, call->ret);
}

/* ---- resume ---- */

/* Ends the pauses that `actor` may end: one's own, or with --of that person's. */
static bool resume_operator(struct xf_verb_call *call, const char *whose)
{
    struct xf_document *after = call->change.after;
    bool lifted = false;
    for (unsigned i = 0; i < after->pauses_count;) {
        if (strcmp(after->pauses[i].by, whose) != 0) {
            i++;
            continue;
        }
        after->pauses_count--;
        memmove(&after->pauses[i], &after->pauses[i + 1],
                (after->pauses_count - i) * sizeof(after->pauses[0]));
        lifted = true;
    }
    if (lifted && after->pauses_count == 0) {
        xf_change_lift(&call->change, XF_HOLD_OPERATOR);
    } else if (lifted) {
        (void) snprintf(after->holds[XF_HOLD_OPERATOR].by,
                        sizeof(after->holds[XF_HOLD_OPERATOR].by), "%s", after->pauses[0].by);
    }
    return lifted;
}

static void append_name(char names[XF_SENTENCE_BYTES], const char *name)
{
    size_t length = strlen(names);
    (void) snprintf(names + length, XF_SENTENCE_BYTES - length, "%s%s", length > 0 ? ", " : "",
                    name);
}

/* After a retreat: from the first step, or with --at-once to the step that was kept. */
static void climb_again(struct xf_verb_call *call, bool at_once)
{
    struct xf_document *after = call->change.after;
    if (!after->retreated) {
        return;
    }
    after->retreated = false;
    int kept = after->step;
    if (at_once && kept >= 0) {
        const struct xf_plan_step *steps = after->plan->steps;
        unsigned ramp_from = kept > 0 ? steps[kept - 1].weight : 0;
        xf_change_weight(&call->change, steps[kept].ramp_ms > 0 ? ramp_from : steps[kept].weight);
    } else {
        after->step = -1;
        xf_change_weight(&call->change, 0);
    }
}

/* Which holds this resume may lift; false: refused. */
static bool resume_wanted(struct xf_verb_call *call, bool wanted[XF_HOLDS])
{
    const char *name = argument_text(call, "hold");
    enum xf_hold hold;
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        wanted[i] = name == NULL && xf_hold_needs_person((enum xf_hold) i) && i != XF_HOLD_APPROVAL;
    }
    if (name == NULL) {
        return true;
    }
    if (!xf_hold_parse(name, &hold)) {
        xf_decision_refuse(call->ret, 2, "resume: there is no hold \"%.40s\"", name);
        return false;
    }
    if (hold == XF_HOLD_APPROVAL || !xf_hold_needs_person(hold)) {
        xf_decision_refuse(call->ret, 6, "resume: %s ends by %s", name,
                           call->document->holds[hold].on ? call->document->holds[hold].lifted_by
                                                          : "itself");
        return false;
    }
    wanted[hold] = true;
    return true;
}

/* What is there now becomes the baseline: it is taken anew. */
static void accept_drift(struct xf_document *after)
{
    char *baseline =
        after->baseline_json != NULL ? xf_kong_drift_forget(after->baseline_json) : NULL;
    if (baseline != NULL) {
        free(after->baseline_json);
        after->baseline_json = baseline;
    }
}

static void verb_resume(struct xf_verb_call *call)
{
    static const enum xf_hold no_rise[] = {XF_HOLD_LAG, XF_HOLD_BOTH, XF_HOLD_ROUTER,
                                           XF_HOLD_CONFIG};
    const struct xf_document *document = call->document;
    enum xf_cutover_state state = document->state;
    bool wanted[XF_HOLDS];
    bool at_once = argument_flag(call, "at_once") && document->retreated;
    const char *of = argument_text(call, "of");
    const char *whose = of != NULL ? of : call->command->actor;
    if (state != XF_CUTOVER_SAFE && state != XF_CUTOVER_PREFLIGHT && !steers(call)) {
        return;
    }
    if (!resume_wanted(call, wanted) || (at_once && !free_of(call, no_rise, XF_COUNT(no_rise))) ||
        !xf_verb_begin(call)) {
        return;
    }
    char lifted[XF_SENTENCE_BYTES] = "";
    bool others = false;
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        if (!wanted[i] || !document->holds[i].on) {
            continue;
        }
        if (i == XF_HOLD_OPERATOR && !resume_operator(call, whose)) {
            others = true;
            continue;
        }
        if (i != XF_HOLD_OPERATOR) {
            xf_change_lift(&call->change, (enum xf_hold) i);
        }
        if (i == XF_HOLD_DRIFT) {
            accept_drift(call->change.after);
        }
        append_name(lifted, xf_hold_name((enum xf_hold) i));
    }
    if (others && lifted[0] == '\0') {
        xf_decision_refuse(call->ret, 6, "resume: paused by %s; to end that pause: resume --of %s",
                           document->pauses[0].by, document->pauses[0].by);
        xf_document_destroy(call->change.after);
        return;
    }
    bool climbs = document->retreated && !call->change.after->holds[XF_HOLD_ERRORS].on &&
                  !call->change.after->holds[XF_HOLD_LATENCY].on &&
                  !call->change.after->holds[XF_HOLD_OVERRIDE].on;
    if (lifted[0] != '\0') {
        xf_change_rejudge(&call->change);
    }
    if (climbs) {
        climb_again(call, at_once);
    }
    xf_change_say(&call->change, "%s%.200s by %s%s",
                  lifted[0] != '\0' ? "resumed, lifting " : "resumed: nothing to lift", lifted,
                  call->command->actor, others ? "; another's pause remains" : "");
    xf_change_finish(&call->change, call->ret);
}

static void verb_forget(struct xf_verb_call *call)
{
    const char *proxy = argument_text(call, "proxy");
    if (proxy == NULL || proxy[0] == '\0' || strlen(proxy) >= XF_NAME_BYTES) {
        xf_decision_refuse(call->ret, 2, "forget: which proxy?");
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    xf_change_say(&call->change, "proxy %s is forgotten by %s", proxy, call->command->actor);
    call->change.after->roster_version++;
    xf_change_finish(&call->change, call->ret);
}

/* Raised before a cutover, as before a clone of the database; the start takes it over, and it ends
 * with the cutover. */
static void verb_fence(struct xf_verb_call *call)
{
    const json_t *up = json_object_get(call->command->arguments, "up");
    if (!json_is_boolean(up)) {
        xf_decision_refuse(call->ret, 2, "fence: up or down?");
        return;
    }
    if (!xf_verb_begin(call)) {
        return;
    }
    call->change.after->fence.up = json_is_true(up);
    (void) snprintf(call->change.after->fence.by, sizeof(call->change.after->fence.by), "%s",
                    json_is_true(up) ? call->command->actor : "");
    xf_change_say(&call->change, "the fence is %s by %s", json_is_true(up) ? "raised" : "lowered",
                  call->command->actor);
    xf_change_finish(&call->change, call->ret);
}

static const struct {
    const char *name;
    xf_verb *run;
} verbs[] = {
    {"start", xf_verb_start}, {"abort", xf_verb_abort}, {"finalize", xf_verb_finalize},
    {"weight", verb_weight},  {"step", verb_step},      {"promote", verb_step},
    {"back", verb_back},      {"extend", verb_extend},  {"approve", verb_approve},
    {"pause", verb_pause},    {"resume", verb_resume},  {"forget", verb_forget},
    {"fence", verb_fence},    {"drain", xf_verb_drain},
};

static bool answered_before(const struct xf_document *document,
                            const struct xf_message_command *command, struct xf_decision *ret)
{
    for (unsigned i = 0; i < document->requests_count; i++) {
        const struct xf_request_seen *seen = &document->requests[i];
        if (strcmp(seen->id, command->request) == 0) {
            ret->known = true;
            ret->exit_code = seen->exit_code;
            memcpy(ret->message, seen->message, sizeof(ret->message));
            return true;
        }
    }
    return false;
}

static bool conditions_hold(const struct xf_document *document, const struct xf_version *version,
                            const struct xf_message_command *command, struct xf_decision *ret)
{
    if (command->if_generation_set && command->if_generation != version->generation) {
        xf_decision_refuse(ret, 4, "the generation is %llu, not %llu; the state is %s",
                           (unsigned long long) version->generation,
                           (unsigned long long) command->if_generation,
                           xf_cutover_state_name(document->state));
        return false;
    }
    if (command->if_step_set && command->if_step != document->step + 1) {
        xf_decision_refuse(ret, 4, "the step is %d, not %lld; the state is %s", document->step + 1,
                           (long long) command->if_step, xf_cutover_state_name(document->state));
        return false;
    }
    return true;
}

static void remember(struct xf_document *after, const struct xf_message_command *command,
                     const struct xf_decision *decision)
{
    struct xf_request_seen *seen = &after->requests[after->requests_next];
    (void) snprintf(seen->id, sizeof(seen->id), "%s", command->request);
    (void) snprintf(seen->message, sizeof(seen->message), "%s", decision->message);
    seen->exit_code = decision->exit_code;
    after->requests_next = (after->requests_next + 1) % XF_REQUEST_IDS_KEPT;
    after->requests_count += after->requests_count < XF_REQUEST_IDS_KEPT;
}

void xf_control_command(const struct xf_document *document, const struct xf_version *version,
                        const struct xf_progress *progress,
                        const struct xf_message_command *command, struct xf_plan **plan,
                        const struct xf_facts *facts, struct xf_decision *ret)
{
    struct xf_verb_call call = {.document = document,
                                .version = version,
                                .progress = progress,
                                .command = command,
                                .plan = plan,
                                .facts = facts,
                                .ret = ret};
    *ret = (struct xf_decision){0};
    if (answered_before(document, command, ret) ||
        !conditions_hold(document, version, command, ret)) {
        return;
    }
    for (size_t i = 0; i < XF_COUNT(verbs); i++) {
        if (strcmp(verbs[i].name, command->verb) == 0) {
            verbs[i].run(&call);
            if (ret->document != NULL) {
                remember(ret->document, command, ret);
            }
            return;
        }
    }
    xf_decision_refuse(ret, 2, "\"%s\" is not yet supported", command->verb);
}
