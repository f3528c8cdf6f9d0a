/*
 * tenure_action.c -- the finalize action at hand: run by who wrote its start, else only looked at.
 *
 * A start that this leader did not write (another crashed after it) is verified first; one that
 * could not be proven is looked at again from time to time, for a hook may outlive its leader.
 */
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <string.h>

#define LOOK_AGAIN_MS 5000

/* Whether what is known is about the run that the document names. */
static bool is_of_this_run(const struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    return tenure->action.attempts == document->attempts &&
           tenure->action.index == document->action.index &&
           tenure->action.runs == document->action.runs;
}

static bool at_hand(const struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    return document != NULL && document->state == XF_CUTOVER_FINALIZING &&
           document->action.started && document->action.index < document->plan->actions_count;
}

static void begin(struct xf_tenure *tenure, bool run)
{
    const struct xf_document *document = tenure->document;
    tenure->action.running = true;
    tenure->action.attempts = document->attempts;
    tenure->action.index = document->action.index;
    tenure->action.runs = document->action.runs;
    tenure->action.found = XF_ACTION_UNKNOWN;
    tenure->action.own = run;
    tenure->calls.action(tenure->calls.context, tenure->service->name, document,
                         &document->plan->actions[document->action.index], run);
}

void xf_tenure_action_run(struct xf_tenure *tenure)
{
    if (at_hand(tenure) && !tenure->action.running) {
        begin(tenure, true);
    }
}

void xf_tenure_action_tick(struct xf_tenure *tenure)
{
    if (!at_hand(tenure) || tenure->action.running || tenure->write.on) {
        return;
    }
    bool known = is_of_this_run(tenure) && tenure->action.found != XF_ACTION_UNKNOWN;
    bool again = known && tenure->action.found == XF_ACTION_UNPROVEN &&
                 tenure->document->holds[XF_HOLD_APPROVAL].on &&
                 tenure->document->plan->actions[tenure->action.index].verify_json != NULL &&
                 xf_tenure_now(tenure) - tenure->action.ended_ms >= LOOK_AGAIN_MS;
    if (!known || again) {
        begin(tenure, false);
    }
}

void xf_tenure_action_done(struct xf_tenure *tenure, bool proven, const char *sentence)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->action.running = false;
    tenure->action.found = proven ? XF_ACTION_PROVEN : XF_ACTION_UNPROVEN;
    tenure->action.ended_ms = xf_tenure_now(tenure);
    (void) snprintf(tenure->action.sentence, sizeof(tenure->action.sentence), "%s", sentence);
}

void xf_tenure_action_facts(const struct xf_tenure *tenure, struct xf_facts *ret)
{
    if (at_hand(tenure) && is_of_this_run(tenure) && !tenure->action.running) {
        ret->action.found = tenure->action.found;
        ret->action.own = tenure->action.own;
        memcpy(ret->action.sentence, tenure->action.sentence, sizeof(ret->action.sentence));
    }
}
