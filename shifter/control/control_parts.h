/*
 * control_parts.h -- what the files of control share; nothing else includes it.
 *
 * A change is made on a copy of the document: begin, then alter, then finish, which makes the log
 * entry from the difference.
 */
#ifndef XF_SHIFTER_CONTROL_PARTS_H
#define XF_SHIFTER_CONTROL_PARTS_H

#include "shifter/control/control.h"
#include "shifter/plan/cutover.h"

struct xf_change {
    const struct xf_document *before;
    struct xf_document *after; /* NULL without memory: every function below then does nothing */
    const struct xf_facts *facts;
    const char *verb, *actor, *reason;
    const struct xf_judge_verdict *verdict; /* NULL: none */
    char sentence[XF_SENTENCE_BYTES];
    bool revision;
    bool run_action;
};

void xf_change_begin(struct xf_change *change, const struct xf_document *document,
                     const struct xf_facts *facts, const char *verb, const char *actor,
                     const char *reason);
void xf_change_say(struct xf_change *change, const char *format, ...) XF_PRINTF(2, 3);
/* Follows an arrow of the state machine; the caller knows that there is one. */
void xf_change_state(struct xf_change *change, enum xf_cutover_event on);
void xf_change_hold(struct xf_change *change, enum xf_hold hold, const char *by,
                    const char *lifted_by, const char *sentence);
void xf_change_lift(struct xf_change *change, enum xf_hold hold);
void xf_change_pause(struct xf_change *change, const char *by, const char *sentence);
/* Enters step `step` (-1: before the first): clocks at zero, weight as the step begins; the weight
 * never falls by that. */
void xf_change_enter(struct xf_change *change, int step);
/* Sets a weight, leaving the step: the clocks of the step begin anew. */
void xf_change_weight(struct xf_change *change, unsigned weight);
/* Detectors begin anew. */
void xf_change_rejudge(struct xf_change *change);
/* Weight 0, step kept. */
void xf_change_retreat(struct xf_change *change);
void xf_change_abort(struct xf_change *change, int64_t over_ms);
/* The end of a cutover: `live` from now on, plan and colours gone. */
void xf_change_end(struct xf_change *change, const char *live, const char *outcome);
/* Fills *ret; a refusal where memory was short. */
void xf_change_finish(struct xf_change *change, struct xf_decision *ret);

void xf_decision_refuse(struct xf_decision *ret, int exit_code, const char *format, ...)
    XF_PRINTF(3, 4);

/* The holds that come and go by themselves, and `approval`, as they should be now; true when that
 * differs from the document: *change has then begun and holds the new set. */
bool xf_control_sync_holds(const struct xf_document *document, const struct xf_progress *progress,
                           const struct xf_facts *facts, struct xf_change *change);
bool xf_control_judged(const struct xf_document *document, const struct xf_facts *facts);
bool xf_control_proven(const struct xf_document *document, const struct xf_facts *facts);

/* What `finalizing` does next: true when that is a change; *change has then begun. */
bool xf_control_finalizing(const struct xf_document *document, const struct xf_facts *facts,
                           struct xf_change *change);

/* Verbs that begin or end a cutover (control_ends.c). */
struct xf_verb_call {
    const struct xf_document *document;
    const struct xf_version *version;
    const struct xf_progress *progress;
    const struct xf_message_command *command;
    struct xf_plan **plan;
    const struct xf_facts *facts;
    struct xf_change change; /* not yet begun */
    struct xf_decision *ret;
};
typedef void xf_verb(struct xf_verb_call *call);
/* In safe: takes the signal back; traffic moves to blue once every receiver knows.  Needs --force.
 */
xf_verb xf_verb_revoke;
xf_verb xf_verb_start, xf_verb_abort, xf_verb_finalize;
/* control_drain.c */
xf_verb xf_verb_drain;
/* Green, which an abort has left, goes on being emptied by the policy after the cutover's end. */
void xf_change_empty_green(struct xf_change *change);
/* Begins call->change; false (and refused) without memory. */
bool xf_verb_begin(struct xf_verb_call *call);

#endif
