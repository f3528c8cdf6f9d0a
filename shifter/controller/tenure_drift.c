/*
 * tenure_drift.c -- looks into Kong's databases before each step, beside the loop.
 *
 * A look is about one baseline and one entry of a step; it counts for a short while.  Databases
 * that do not answer hold no step up, which says so: the next look will see what they have, and
 * finalize needs to see the new cluster's.
 */
#include "shifter/gates/kong_drift.h"
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_MS 15000 /* a look counts so long */
#define AGAIN_MS 5000  /* between looks that a baseline waits for, or that gave nothing */

static bool concerns_now(const struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    return document->baseline_json != NULL && tenure->drift.known &&
           tenure->drift.attempts == document->attempts &&
           strcmp(tenure->drift.against, document->baseline_json) == 0;
}

static bool is_fresh(const struct xf_tenure *tenure)
{
    return concerns_now(tenure) && tenure->drift.step_entry == tenure->document->step_entry &&
           xf_tenure_now(tenure) - tenure->drift.ended_ms < FRESH_MS;
}

void xf_tenure_drift_release(struct xf_tenure *tenure)
{
    free(tenure->drift.against);
    free(tenure->drift.complete);
    free(tenure->asked.only);
    tenure->drift.against = NULL;
    tenure->drift.complete = NULL;
    tenure->asked.only = NULL;
    tenure->drift.known = false;
}

/* Wanted: a step is due.  Unasked it looks only for what the baseline lacks. */
void xf_tenure_drift_tick(struct xf_tenure *tenure, bool wanted)
{
    const struct xf_document *document = tenure->document;
    if (document->baseline_json == NULL || tenure->drift.running ||
        !xf_cutover_runs(document->state) || document->state >= XF_CUTOVER_FINALIZING) {
        return;
    }
    int64_t now = xf_tenure_now(tenure);
    if (tenure->drift.failed_ms > 0 && now - tenure->drift.failed_ms < AGAIN_MS) {
        return;
    }
    bool lately = now - tenure->drift.ended_ms < AGAIN_MS;
    bool lacks =
        !(concerns_now(tenure) && lately) && xf_kong_drift_incomplete(document->baseline_json);
    if ((!wanted || is_fresh(tenure)) && !lacks) {
        return;
    }
    char *gates = xf_kong_drift_gate(NULL, document->baseline_json, false);
    if (gates != NULL) {
        tenure->drift.running = true;
        tenure->calls.look(tenure->calls.context, tenure->service->name, XF_LOOK_DRIFT, gates,
                           document->from, document->to);
    }
    free(gates);
}

/* What the check says. */
static void read_check(struct xf_tenure *tenure, const json_t *result)
{
    size_t i;
    json_t *check;
    tenure->drift.drifted = false;
    tenure->drift.unseen = false;
    tenure->drift.sentence[0] = '\0';
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        const char *name = json_string_value(json_object_get(check, "check"));
        const char *severity = json_string_value(json_object_get(check, "severity"));
        const char *message = json_string_value(json_object_get(check, "message"));
        if (name == NULL || strcmp(name, "drift") != 0 ||
            json_is_true(json_object_get(check, "passed"))) {
            continue;
        }
        tenure->drift.drifted = severity != NULL && strcmp(severity, "error") == 0;
        tenure->drift.unseen = !tenure->drift.drifted;
        (void) snprintf(tenure->drift.sentence, sizeof(tenure->drift.sentence), "%.500s",
                        message != NULL ? message : "");
    }
}

void xf_tenure_drift_found(struct xf_tenure *tenure, const json_t *result)
{
    const struct xf_document *document = tenure->document;
    const json_t *found = json_object_get(result, "fingerprints");
    if (document == NULL || document->baseline_json == NULL || !json_is_array(found)) {
        return;
    }
    char *against = strdup(document->baseline_json);
    char *complete = xf_kong_drift_fill(document->baseline_json, found);
    if (against == NULL || complete == NULL) {
        free(against);
        free(complete);
        return;
    }
    if (!xf_kong_drift_incomplete(against) || strcmp(against, complete) == 0) {
        free(complete);
        complete = NULL;
    }
    free(tenure->drift.against);
    free(tenure->drift.complete);
    tenure->drift.against = against;
    tenure->drift.complete = complete;
    tenure->drift.known = true;
    tenure->drift.attempts = document->attempts;
    tenure->drift.step_entry = document->step_entry;
    tenure->drift.ended_ms = xf_tenure_now(tenure);
    read_check(tenure, result);
    if (tenure->drift.drifted || tenure->drift.unseen) {
        xf_tenure_note(tenure, tenure->drift.drifted ? "drift.found" : "drift.unseen",
                       tenure->drift.sentence);
    }
}

void xf_tenure_looked(struct xf_tenure *tenure, enum xf_tenure_look purpose, const json_t *result)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    if (purpose == XF_LOOK_ASKED) {
        xf_tenure_asked_done(tenure, result);
        return;
    }
    bool gave = json_is_array(json_object_get(result, "fingerprints"));
    tenure->drift.running = false;
    tenure->drift.failed_ms = gave ? 0 : xf_tenure_now(tenure);
    xf_tenure_drift_found(tenure, result);
}

const char *xf_tenure_drift_unseen(const struct xf_tenure *tenure)
{
    return concerns_now(tenure) && tenure->drift.unseen ? tenure->drift.sentence : NULL;
}

void xf_tenure_drift_facts(const struct xf_tenure *tenure, struct xf_facts *ret)
{
    if (tenure->document->baseline_json == NULL) {
        return;
    }
    ret->drift_unchecked = !is_fresh(tenure);
    if (concerns_now(tenure)) {
        ret->drift = tenure->drift.drifted ? tenure->drift.sentence : NULL;
        ret->drift_unseen = xf_tenure_drift_unseen(tenure);
        ret->drift_baseline = tenure->drift.complete;
    }
}
