/*
 * tenure_asked.c -- `preflight` and `kong drift` through the daemon: gates run, nothing changes.
 */
#include "shifter/gates/kong_drift.h"
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer(struct xf_tenure *tenure, int exit_code, const char *message, json_t *body)
{
    struct xf_message_reply reply = {.exit = exit_code, .body = body};
    memcpy(reply.request, tenure->asked.request, sizeof(reply.request));
    (void) snprintf(reply.message, sizeof(reply.message), "%s", message);
    tenure->calls.reply(tenure->calls.context, &reply);
    json_decref(body);
    free(tenure->asked.only);
    tenure->asked.only = NULL;
    tenure->asked.request[0] = '\0';
}

/* Whether `--only` (names with commas; NULL: all) names this check or its gate. */
static bool is_wanted(const json_t *check, const char *only)
{
    const char *names[] = {json_string_value(json_object_get(check, "check")),
                           json_string_value(json_object_get(check, "gate"))};
    for (const char *p = only; p != NULL && *p != '\0';) {
        size_t length = strcspn(p, ",");
        for (size_t i = 0; i < XF_COUNT(names); i++) {
            if (names[i] != NULL && strlen(names[i]) == length &&
                strncmp(names[i], p, length) == 0) {
                return true;
            }
        }
        p += length + (p[length] == ',' ? 1 : 0);
    }
    return only == NULL;
}

static json_t *chosen(const json_t *result, const char *only)
{
    json_t *checks = json_array();
    bool passed = json_is_array(json_object_get(result, "checks"));
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        if (is_wanted(check, only)) {
            const char *severity = json_string_value(json_object_get(check, "severity"));
            passed = passed && (json_is_true(json_object_get(check, "passed")) ||
                                (severity != NULL && strcmp(severity, "warning") == 0));
            (void) json_array_append(checks, check);
        }
    }
    return json_pack("{s:b, s:o}", "passed", passed, "checks", checks);
}

/* Whether every database was looked at. */
static bool all_seen(const json_t *body)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(body, "databases"), i, entry)
    {
        if (json_is_string(json_object_get(entry, "problem"))) {
            return false;
        }
    }
    return true;
}

static json_t *drift_body(const json_t *result, bool baseline)
{
    const json_t *databases = json_object_get(result, "fingerprints");
    bool drifted = false;
    size_t i;
    json_t *entry;
    json_array_foreach(databases, i, entry)
    {
        drifted = drifted || json_array_size(json_object_get(entry, "changed")) > 0;
    }
    return json_pack("{s:b, s:b, s:O}", "drifted", drifted, "baseline", baseline, "databases",
                     databases);
}

void xf_tenure_asked_done(struct xf_tenure *tenure, const json_t *result)
{
    if (tenure->asked.request[0] == '\0') {
        return;
    }
    json_t *body = tenure->asked.preflight ? chosen(result, tenure->asked.only)
                                           : drift_body(result, tenure->asked.baseline);
    if (body == NULL) {
        answer(tenure, 1, "the gates gave no answer", NULL);
        return;
    }
    bool good = tenure->asked.preflight
                    ? json_is_true(json_object_get(body, "passed"))
                    : !json_is_true(json_object_get(body, "drifted")) && all_seen(body);
    answer(tenure, good ? 0 : 1, good ? "passed" : "not passed", body);
}

/* The gates to run; NULL: `ret_passed` says so without them. */
static char *gates_for(struct xf_tenure *tenure, const struct xf_plan *plan)
{
    const struct xf_document *document = tenure->document;
    if (tenure->asked.preflight) {
        return strdup(plan->before_start_json != NULL ? plan->before_start_json : "[]");
    }
    /* The baseline is that of the cutover at hand; without one the databases are only shown. */
    tenure->asked.baseline = document->baseline_json != NULL && document->plan != NULL &&
                             strcmp(document->plan->name, plan->name) == 0;
    char *begun = tenure->asked.baseline ? strdup(document->baseline_json)
                                         : xf_kong_drift_begin(plan->before_start_json);
    char *gates = begun != NULL ? xf_kong_drift_gate(NULL, begun, false) : NULL;
    free(begun);
    return gates;
}

bool xf_tenure_asked(struct xf_tenure *tenure, const struct xf_message_command *command)
{
    bool preflight = strcmp(command->verb, "preflight") == 0;
    if (!preflight && strcmp(command->verb, "drift") != 0) {
        return false;
    }
    if (strcmp(tenure->asked.request, command->request) == 0) {
        return true; /* sent again while it is under way */
    }
    if (tenure->asked.request[0] != '\0') {
        xf_tenure_answer(tenure, command->request, 4, "another preflight runs; try again");
        return true;
    }
    struct xf_plan *plan = NULL;
    if (!xf_tenure_bring_plan(tenure, command, &plan)) {
        return true;
    }
    const char *only = json_string_value(json_object_get(command->arguments, "only"));
    memcpy(tenure->asked.request, command->request, sizeof(tenure->asked.request));
    tenure->asked.preflight = preflight;
    tenure->asked.only = only != NULL ? strdup(only) : NULL;
    char *gates = gates_for(tenure, plan);
    if (gates == NULL) {
        answer(tenure, 2, "the plan has no `kong` gate that names a database", NULL);
    } else {
        const char *from = plan->from[0] != '\0' ? plan->from : tenure->document->live;
        tenure->calls.look(tenure->calls.context, tenure->service->name, XF_LOOK_ASKED, gates, from,
                           plan->to);
    }
    free(gates);
    xf_plan_destroy(plan);
    return true;
}
