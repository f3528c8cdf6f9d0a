/*
 * control_holds.c -- the holds that come and go by themselves, and `approval`.
 *
 * The set is worked out anew from the facts each time; only a difference is a change.
 */
#include "shifter/control/control_parts.h"

#include <stdio.h>
#include <string.h>

#define SYSTEM "crossfade"

struct wanted {
    bool on;
    char sentence[XF_SENTENCE_BYTES];
    const char *lifted_by;
};

bool xf_control_judged(const struct xf_document *document, const struct xf_facts *facts)
{
    return facts->judged && facts->judge_attempt == document->attempts &&
           facts->judge_verdict_attempt == document->verdict_attempt;
}

bool xf_control_proven(const struct xf_document *document, const struct xf_facts *facts)
{
    const struct xf_plan_step *step = xf_schedule_step(document);
    if (step == NULL || step->evidence_advisory || document->evidence_waived) {
        return true;
    }
    return xf_control_judged(document, facts) && facts->judge_step_entry == document->step_entry &&
           facts->evidence.enough;
}

static void want_window(const struct xf_document *document, const struct xf_facts *facts,
                        struct wanted *ret)
{
    ret->on = !xf_schedule_open(document->plan, facts->wall_ms, ret->sentence);
    ret->lifted_by = "the next window, or `step`";
}

static void want_lag(const struct xf_progress *progress, const struct xf_facts *facts,
                     struct wanted *ret)
{
    const struct xf_fleet *fleet = &facts->fleet;
    ret->on = fleet->silent > 0 || progress->lag_ms >= XF_LAG_MS;
    ret->lifted_by = "every proxy having the version in force, or `forget`";
    if (fleet->silent_names[0] != '\0') {
        (void) snprintf(ret->sentence, sizeof(ret->sentence), "silent: %.480s",
                        fleet->silent_names);
    } else if (fleet->lagging[0] != '\0') {
        (void) snprintf(ret->sentence, sizeof(ret->sentence), "not in force on %.480s",
                        fleet->lagging);
    } else {
        (void) snprintf(ret->sentence, sizeof(ret->sentence), "no proxy reports");
    }
}

static void want_evidence(const struct xf_document *document, const struct xf_progress *progress,
                          const struct xf_facts *facts, struct wanted *ret)
{
    ret->on = xf_schedule_time_over(document, progress) && !xf_control_proven(document, facts);
    ret->lifted_by = "more clean responses of green, or `step`";
    bool fresh =
        xf_control_judged(document, facts) && facts->judge_step_entry == document->step_entry;
    (void) snprintf(ret->sentence, sizeof(ret->sentence), "%s",
                    fresh ? facts->evidence.sentence : "not advancing: no response judged yet");
}

static void want_rule(const struct xf_document *document, const struct xf_facts *facts,
                      enum xf_judge_rule rule, struct wanted *ret)
{
    ret->on = xf_control_judged(document, facts) && (facts->standing >> rule & 1) != 0;
    ret->lifted_by = rule == XF_JUDGE_BOTH ? "the end of the trouble that both share"
                                           : "traffic being split as ordered";
    if (ret->on) {
        (void) snprintf(ret->sentence, sizeof(ret->sentence), "%s", facts->verdicts[rule].sentence);
    }
}

static void want_store(const struct xf_facts *facts, struct wanted *ret)
{
    ret->on = facts->fleet.unheard[0] != '\0';
    ret->lifted_by = "hearing from it, or `forget`";
    (void) snprintf(ret->sentence, sizeof(ret->sentence),
                    "the state was restored without %.380s, which may know a newer one",
                    facts->fleet.unheard);
}

static void want_config(const struct xf_facts *facts, struct wanted *ret)
{
    ret->on = facts->fleet.digests_differ[0] != '\0';
    ret->lifted_by = "the same configuration of the clusters everywhere";
    (void) snprintf(ret->sentence, sizeof(ret->sentence),
                    "clusters are configured otherwise on "
                    "%.400s",
                    facts->fleet.digests_differ);
}

static void want_approval(const struct xf_document *document, const struct xf_progress *progress,
                          struct wanted *ret)
{
    const struct xf_plan_step *step = xf_schedule_step(document);
    ret->on = step != NULL && step->approve && !document->approved &&
              xf_schedule_time_over(document, progress);
    ret->lifted_by = "`approve`, or `step`";
    (void) snprintf(ret->sentence, sizeof(ret->sentence), "step %d waits for an approval",
                    document->step + 1);
}

/* Those before an automatic finalize; and, while it climbs, those of gates.during: before each has
 * answered a hold that stands stays, and no step's end is passed. */
static void want_gate(const struct xf_document *document, const struct xf_progress *progress,
                      const struct xf_facts *facts, struct wanted *ret)
{
    bool climbs = document->state != XF_CUTOVER_SAFE;
    bool unknown = facts->gate == XF_GATE_UNKNOWN &&
                   (document->holds[XF_HOLD_GATE].on || xf_schedule_time_over(document, progress));
    ret->lifted_by = "the gate's passing";
    ret->on = facts->gate_failed != NULL || (climbs && (facts->gate == XF_GATE_FAILED || unknown));
    (void) snprintf(ret->sentence, sizeof(ret->sentence), "%s",
                    facts->gate_failed != NULL ? facts->gate_failed : facts->gate_sentence);
}

static void want_journal(const struct xf_facts *facts, struct wanted *ret)
{
    ret->on = facts->journal != NULL;
    ret->lifted_by = "the journal having every change";
    (void) snprintf(ret->sentence, sizeof(ret->sentence), "%s", ret->on ? facts->journal : "");
}

/* A sentence with moving numbers is renewed only when the hold comes. */
static void apply(struct xf_change *change, enum xf_hold hold, const struct wanted *wanted,
                  char names[XF_SENTENCE_BYTES])
{
    size_t length = strlen(names);
    if (wanted->on == change->before->holds[hold].on) {
        return;
    }
    (void) snprintf(names + length, XF_SENTENCE_BYTES - length, "%s%s%s", length > 0 ? "; " : "",
                    wanted->on ? "held: " : "no longer held: ",
                    wanted->on ? wanted->sentence : xf_hold_name(hold));
    if (wanted->on) {
        xf_change_hold(change, hold, SYSTEM, wanted->lifted_by, wanted->sentence);
    } else {
        xf_change_lift(change, hold);
    }
}

bool xf_control_sync_holds(const struct xf_document *document, const struct xf_progress *progress,
                           const struct xf_facts *facts, struct xf_change *change)
{
    static const enum xf_hold synced[] = {
        XF_HOLD_STORE,  XF_HOLD_WINDOW, XF_HOLD_LAG,      XF_HOLD_EVIDENCE, XF_HOLD_BOTH,
        XF_HOLD_ROUTER, XF_HOLD_CONFIG, XF_HOLD_APPROVAL, XF_HOLD_GATE,     XF_HOLD_JOURNAL};
    struct wanted wanted[XF_HOLDS];
    memset(wanted, 0, sizeof(wanted));
    bool climbs = document->state != XF_CUTOVER_SAFE;
    want_window(document, facts, &wanted[XF_HOLD_WINDOW]);
    want_lag(progress, facts, &wanted[XF_HOLD_LAG]);
    want_store(facts, &wanted[XF_HOLD_STORE]);
    want_config(facts, &wanted[XF_HOLD_CONFIG]);
    want_journal(facts, &wanted[XF_HOLD_JOURNAL]);
    if (climbs) {
        want_evidence(document, progress, facts, &wanted[XF_HOLD_EVIDENCE]);
        want_rule(document, facts, XF_JUDGE_BOTH, &wanted[XF_HOLD_BOTH]);
        want_rule(document, facts, XF_JUDGE_ROUTER, &wanted[XF_HOLD_ROUTER]);
        want_approval(document, progress, &wanted[XF_HOLD_APPROVAL]);
    }
    want_gate(document, progress, facts, &wanted[XF_HOLD_GATE]);
    bool differs = false;
    for (size_t i = 0; i < XF_COUNT(synced); i++) {
        differs = differs || wanted[synced[i]].on != document->holds[synced[i]].on;
    }
    if (!differs) {
        return false;
    }
    char names[XF_SENTENCE_BYTES] = "";
    xf_change_begin(change, document, facts, "hold", SYSTEM, "");
    for (size_t i = 0; i < XF_COUNT(synced); i++) {
        apply(change, synced[i], &wanted[synced[i]], names);
    }
    xf_change_say(change, "%s", names);
    return true;
}
