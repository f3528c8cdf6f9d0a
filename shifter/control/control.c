/*
 * control.c -- the making of one change: a copy, altered, and the log entry of the difference.
 */
#include "shifter/control/control.h"

#include "shifter/control/control_parts.h"
#include "shifter/net/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void xf_decision_release(struct xf_decision *decision)
{
    xf_document_destroy(decision->document);
    json_decref(decision->entry);
    *decision = (struct xf_decision){0};
}

void xf_decision_refuse(struct xf_decision *ret, int exit_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(ret->message, sizeof(ret->message), format, arguments);
    va_end(arguments);
    ret->exit_code = exit_code;
}

void xf_change_begin(struct xf_change *change, const struct xf_document *document,
                     const struct xf_facts *facts, const char *verb, const char *actor,
                     const char *reason)
{
    *change = (struct xf_change){.before = document,
                                 .after = xf_document_copy(document),
                                 .facts = facts,
                                 .verb = verb,
                                 .actor = actor,
                                 .reason = reason};
}

void xf_change_say(struct xf_change *change, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(change->sentence, sizeof(change->sentence), format, arguments);
    va_end(arguments);
}

void xf_change_state(struct xf_change *change, enum xf_cutover_event on)
{
    if (change->after == NULL) {
        return;
    }
    enum xf_cutover_state next;
    bool arrow = xf_cutover_next(change->after->state, on, &next);
    XF_ASSERT(arrow);
    if (next != change->after->state) {
        change->after->state = next;
        change->after->since_ms = change->facts->wall_ms;
    }
}

void xf_change_hold(struct xf_change *change, enum xf_hold hold, const char *by,
                    const char *lifted_by, const char *sentence)
{
    if (change->after == NULL) {
        return;
    }
    struct xf_hold_entry *entry = &change->after->holds[hold];
    if (!entry->on) {
        *entry = (struct xf_hold_entry){.on = true, .since_ms = change->facts->wall_ms};
    }
    (void) snprintf(entry->by, sizeof(entry->by), "%s", by);
    (void) snprintf(entry->lifted_by, sizeof(entry->lifted_by), "%s", lifted_by);
    (void) snprintf(entry->sentence, sizeof(entry->sentence), "%s", sentence);
}

void xf_change_lift(struct xf_change *change, enum xf_hold hold)
{
    if (change->after != NULL) {
        change->after->holds[hold] = (struct xf_hold_entry){0};
        if (hold == XF_HOLD_OPERATOR) {
            memset(change->after->pauses, 0, sizeof(change->after->pauses));
            change->after->pauses_count = 0;
        }
    }
}

void xf_change_pause(struct xf_change *change, const char *by, const char *sentence)
{
    struct xf_document *after = change->after;
    if (after == NULL) {
        return;
    }
    bool there = false;
    for (unsigned i = 0; i < after->pauses_count; i++) {
        there = there || strcmp(after->pauses[i].by, by) == 0;
    }
    if (!there && after->pauses_count < XF_PAUSES_MAX) {
        (void) snprintf(after->pauses[after->pauses_count].by,
                        sizeof(after->pauses[after->pauses_count].by), "%s", by);
        after->pauses[after->pauses_count].since_ms = change->facts->wall_ms;
        after->pauses_count++;
    }
    if (!after->holds[XF_HOLD_OPERATOR].on) {
        xf_change_hold(change, XF_HOLD_OPERATOR, by, "`resume`", sentence);
    }
}

void xf_change_rejudge(struct xf_change *change)
{
    if (change->after != NULL) {
        change->after->verdict_attempt++;
    }
}

/* Clocks, approval and evidence of a step begin anew. */
static void begin_clocks(struct xf_change *change)
{
    struct xf_document *after = change->after;
    after->step_entry++;
    after->approved = false;
    after->extended_ms = 0;
    after->evidence_waived = false;
    after->ramp_from = after->weight;
    if (change->facts->tau_us > 0) {
        after->tau_us = change->facts->tau_us;
    }
}

/* A step begins without knowing whether somebody wrote into Kong's databases: that is said. */
static void say_unseen(struct xf_change *change)
{
    const char *unseen = change->facts->drift_unseen;
    size_t used = strlen(change->sentence);
    if (unseen != NULL) {
        (void) snprintf(change->sentence + used, sizeof(change->sentence) - used, "; drift %.300s",
                        unseen);
    }
}

void xf_change_enter(struct xf_change *change, int step)
{
    say_unseen(change);
    struct xf_document *after = change->after;
    if (after == NULL) {
        return;
    }
    XF_ASSERT(step >= 0 && step < (int) after->plan->steps_count);
    const struct xf_plan_step *to = &after->plan->steps[step];
    unsigned from = after->weight;
    after->step = step;
    if (to->ramp_ms == 0 && to->weight > after->weight) {
        after->weight = to->weight;
    }
    begin_clocks(change);
    after->ramp_from = from;
}

void xf_change_weight(struct xf_change *change, unsigned weight)
{
    if (change->after != NULL) {
        change->after->weight = weight;
        begin_clocks(change);
    }
}

void xf_change_retreat(struct xf_change *change)
{
    if (change->after != NULL) {
        xf_change_weight(change, 0);
        xf_change_state(change, XF_ON_LOWERED);
        change->after->retreated = true;
    }
}

void xf_change_abort(struct xf_change *change, int64_t over_ms)
{
    struct xf_document *after = change->after;
    if (after == NULL) {
        return;
    }
    after->fall_from = after->weight;
    after->fall_ms = after->weight > 0 ? over_ms : 0;
    xf_change_weight(change, after->fall_ms > 0 ? after->weight : 0);
    memset(after->holds, 0, sizeof(after->holds));
    memset(after->pauses, 0, sizeof(after->pauses));
    after->pauses_count = 0;
    after->retreated = false;
}

void xf_change_end(struct xf_change *change, const char *live, const char *outcome)
{
    struct xf_document *after = change->after;
    if (after == NULL) {
        return;
    }
    char name[XF_NAME_BYTES];
    (void) snprintf(name, sizeof(name), "%s", live);
    memcpy(after->live, name, sizeof(name));
    memcpy(after->last.cutover, after->cutover, sizeof(after->cutover));
    (void) snprintf(after->last.outcome, sizeof(after->last.outcome), "%s", outcome);
    memcpy(after->last.from, after->from, sizeof(after->from));
    memcpy(after->last.to, after->to, sizeof(after->to));
    after->last.at_ms = change->facts->wall_ms;
    after->from[0] = '\0';
    after->to[0] = '\0';
    xf_plan_destroy(after->plan);
    after->plan = NULL;
    after->weight = 0;
    after->step = -1;
    after->step_entry++;
    after->retreated = false;
    after->fall_ms = 0;
    free(after->baseline_json);
    after->baseline_json = NULL;
    after->fence.up = false;
    after->fence.by[0] = '\0';
    memset(after->holds, 0, sizeof(after->holds));
    memset(after->pauses, 0, sizeof(after->pauses));
    after->pauses_count = 0;
}

static json_t *make_side(const struct xf_document *document)
{
    return json_pack("{s:s, s:f, s:i}", "state", xf_cutover_state_name(document->state), "weight",
                     document->weight / 100.0, "step", document->step + 1);
}

/* What `why`, `status` and the log show of a verdict. */
static json_t *make_verdict(const struct xf_judge_verdict *verdict)
{
    char since[XF_TIME_TEXT_BYTES];
    char at[XF_TIME_TEXT_BYTES];
    return json_pack("{s:s, s:f, s:f, s:f, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:f}", "rule",
                     xf_judge_rule_name(verdict->rule), "measured", verdict->measured, "limit",
                     verdict->limit, "n", verdict->n, "sentence", verdict->sentence, "samples_blue",
                     (json_int_t) verdict->samples_blue, "samples_green",
                     (json_int_t) verdict->samples_green, "bad_blue",
                     (json_int_t) verdict->bad_blue, "bad_green", (json_int_t) verdict->bad_green,
                     "since", xf_format_time(verdict->since_ms, since), "at",
                     xf_format_time(verdict->at_ms, at), "weight", verdict->weight / 100.0);
}

static json_t *make_entry(const struct xf_change *change)
{
    char at[XF_TIME_TEXT_BYTES];
    json_t *entry = json_object();
    bool ok = entry != NULL;
    const struct xf_document *named =
        change->after->cutover[0] != '\0' ? change->after : change->before;
    xf_json_put_string(entry, "at", xf_format_time(change->facts->wall_ms, at), &ok);
    xf_json_put_string(entry, "actor", change->actor, &ok);
    xf_json_put_string(entry, "verb", change->verb, &ok);
    xf_json_put_string(entry, "reason", change->reason, &ok);
    xf_json_put_string(entry, "cutover", named->cutover, &ok);
    xf_json_put(entry, "before", make_side(change->before), &ok);
    xf_json_put(entry, "after", make_side(change->after), &ok);
    xf_json_put_string(entry, "sentence", change->sentence, &ok);
    xf_json_put(entry, "verdict",
                change->verdict != NULL ? make_verdict(change->verdict) : json_null(), &ok);
    if (!ok) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

static bool keep_verdict(struct xf_change *change)
{
    json_t *verdict = change->verdict != NULL ? make_verdict(change->verdict) : NULL;
    if (verdict == NULL) {
        return change->verdict == NULL;
    }
    char *text = json_dumps(verdict, JSON_COMPACT);
    json_decref(verdict);
    if (text == NULL) {
        return false;
    }
    free(change->after->last_verdict_json);
    change->after->last_verdict_json = text;
    return true;
}

void xf_change_finish(struct xf_change *change, struct xf_decision *ret)
{
    if (change->after == NULL || !keep_verdict(change)) {
        xf_document_destroy(change->after);
        xf_decision_refuse(ret, 1, "out of memory");
        return;
    }
    ret->entry = make_entry(change);
    if (ret->entry == NULL) {
        xf_document_destroy(change->after);
        xf_decision_refuse(ret, 1, "out of memory");
        return;
    }
    ret->document = change->after;
    ret->revision = change->revision;
    ret->run_action = change->run_action;
    (void) snprintf(ret->message, sizeof(ret->message), "%s", change->sentence);
}

bool xf_control_counts(const struct xf_document *document, const struct xf_facts *facts)
{
    return facts->store_ok && !facts->journal_waits && facts->fleet.in_force &&
           !xf_document_held(document);
}

const struct xf_config_drain *xf_control_drain(const struct xf_document *document,
                                               const struct xf_config *config)
{
    return document->plan != NULL && document->plan->drain_set ? &document->plan->drain
                                                               : &config->drain;
}

size_t xf_control_blockers(const struct xf_document *document, const struct xf_facts *facts,
                           char ret[XF_BLOCKERS_MAX][XF_SENTENCE_BYTES])
{
    const struct xf_fleet *fleet = &facts->fleet;
    size_t count = 0;
    if (document->state != XF_CUTOVER_DRAINING) {
        return 0;
    }
    if (fleet->members == 0) {
        (void) snprintf(ret[count++], XF_SENTENCE_BYTES, "no proxy has reported");
    }
    if (fleet->silent_names[0] != '\0') {
        (void) snprintf(ret[count++], XF_SENTENCE_BYTES, "silent: %.480s", fleet->silent_names);
    }
    if (fleet->lagging[0] != '\0') {
        (void) snprintf(ret[count++], XF_SENTENCE_BYTES, "not yet in force on %.480s",
                        fleet->lagging);
    }
    if (fleet->blue_busy[0] != '\0') {
        (void) snprintf(ret[count++], XF_SENTENCE_BYTES, "%s", fleet->blue_busy);
    }
    if (facts->in_use_by != NULL) {
        (void) snprintf(ret[count++], XF_SENTENCE_BYTES, "%s is in use by %s", document->from,
                        facts->in_use_by);
    }
    for (unsigned i = 0; i < XF_HOLDS && count < XF_BLOCKERS_MAX; i++) {
        if (document->holds[i].on) {
            (void) snprintf(ret[count++], XF_SENTENCE_BYTES, "held: %s",
                            xf_hold_name((enum xf_hold) i));
        }
    }
    return count;
}
