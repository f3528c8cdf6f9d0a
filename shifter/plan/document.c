/*
 * document.c -- the control state of a service as a value: made, copied, freed; names of holds.
 *
 * Its JSON is in document_json.c.
 */
#include "shifter/plan/document.h"

#include "config/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const hold_names[XF_HOLDS] = {
    [XF_HOLD_STORE] = "store",       [XF_HOLD_WINDOW] = "window",
    [XF_HOLD_LAG] = "lag",           [XF_HOLD_EVIDENCE] = "evidence",
    [XF_HOLD_BOTH] = "both",         [XF_HOLD_ROUTER] = "router",
    [XF_HOLD_CONFIG] = "config",     [XF_HOLD_JOURNAL] = "journal",
    [XF_HOLD_GATE] = "gate",         [XF_HOLD_OPERATOR] = "operator",
    [XF_HOLD_ERRORS] = "errors",     [XF_HOLD_LATENCY] = "latency",
    [XF_HOLD_DRIFT] = "drift",       [XF_HOLD_APPROVAL] = "approval",
    [XF_HOLD_OVERRIDE] = "override", [XF_HOLD_FORK] = "fork",
    [XF_HOLD_DEADLINE] = "deadline",
};

const char *xf_hold_name(enum xf_hold hold)
{
    XF_ASSERT(hold < XF_HOLDS);
    return hold_names[hold];
}

bool xf_hold_parse(const char *name, enum xf_hold *ret)
{
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        if (strcmp(name, hold_names[i]) == 0) {
            *ret = (enum xf_hold) i;
            return true;
        }
    }
    return false;
}

bool xf_hold_needs_person(enum xf_hold hold)
{
    return hold >= XF_HOLD_OPERATOR;
}

struct xf_document *xf_document_create(const char *service, const char *live)
{
    struct xf_document *document = calloc(1, sizeof(*document));
    if (document == NULL) {
        return NULL;
    }
    document->schema = XF_DOCUMENT_SCHEMA;
    document->state = XF_CUTOVER_IDLE;
    document->step = -1;
    document->drain.after_ms = -1;
    (void) snprintf(document->service, sizeof(document->service), "%s", service);
    (void) snprintf(document->live, sizeof(document->live), "%s", live);
    xf_uuid_make(document->install_id);
    return document;
}

/* Another value of the same plan: through its canonical form, which always reads back. */
static bool copy_plan(const struct xf_plan *plan, struct xf_plan **ret)
{
    struct xf_problems problems = {0};
    bool good = xf_plan_parse("plan", plan->json, strlen(plan->json), ret, &problems) == 0;
    xf_problems_release(&problems);
    return good;
}

struct xf_document *xf_document_copy(const struct xf_document *document)
{
    struct xf_document *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        return NULL;
    }
    *copy = *document;
    copy->plan = NULL;
    copy->last_verdict_json = NULL;
    copy->baseline_json = NULL;
    copy->members_json = NULL;
    bool good = document->plan == NULL || copy_plan(document->plan, &copy->plan);
    if (document->last_verdict_json != NULL) {
        copy->last_verdict_json = strdup(document->last_verdict_json);
        good = good && copy->last_verdict_json != NULL;
    }
    if (document->baseline_json != NULL) {
        copy->baseline_json = strdup(document->baseline_json);
        good = good && copy->baseline_json != NULL;
    }
    if (document->members_json != NULL) {
        copy->members_json = strdup(document->members_json);
        good = good && copy->members_json != NULL;
    }
    if (!good) {
        xf_document_destroy(copy);
        return NULL;
    }
    return copy;
}

void xf_document_destroy(struct xf_document *document)
{
    if (document == NULL) {
        return;
    }
    xf_plan_destroy(document->plan);
    free(document->last_verdict_json);
    free(document->baseline_json);
    free(document->members_json);
    free(document);
}

bool xf_document_held(const struct xf_document *document)
{
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        if (document->holds[i].on) {
            return true;
        }
    }
    return false;
}
