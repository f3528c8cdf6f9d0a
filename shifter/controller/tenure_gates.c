/*
 * tenure_gates.c -- `start` and `finalize` wait for their plan's gates (DESIGN.md section 13).
 *
 *     command --gates begin--> waiting --passed--> decided as any command
 *                                 '-----failed--> exit 1, state as before
 *
 * An automatic finalize is such a command, brought by nobody (its request is empty): its failure is
 * the hold `gate`, and it is tried again.
 *
 * One command waits at a time; the gates themselves run elsewhere (gate_runner.h) and never hold
 * the loop.  Every other verb goes on meanwhile.
 */
#include "shifter/gates/gate.h"
#include "shifter/gates/kong_drift.h"
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTOMATIC_MS          10000 /* between attempts of an automatic finalize */
#define SUMMARY_CHECKS_MAX    64u   /* with the bytes below: within one entry of the log */
#define SUMMARY_MESSAGE_BYTES 200u
static_assert(SUMMARY_CHECKS_MAX * (SUMMARY_MESSAGE_BYTES + 4 * XF_CHECK_NAME_BYTES) <
                  XF_STORE_ENTRY_BYTES_MAX * 3 / 4,
              "the entry has room for the rest");

static bool is_step(const struct xf_message_command *command)
{
    return strcmp(command->verb, "step") == 0 || strcmp(command->verb, "promote") == 0;
}

/* The gates that `command` must pass first, or NULL; the caller frees them.  A step and a finalize
 * are also held against the baseline of Kong's databases. */
static char *gates_of(const struct xf_tenure *tenure, const struct xf_message_command *command,
                      const struct xf_plan *plan)
{
    const struct xf_document *document = tenure->document;
    if (strcmp(command->verb, "start") == 0) {
        bool first = plan != NULL && !xf_cutover_runs(document->state);
        return first && plan->before_start_json != NULL ? strdup(plan->before_start_json) : NULL;
    }
    bool finalizes = strcmp(command->verb, "finalize") == 0 && document->plan != NULL &&
                     document->state == XF_CUTOVER_SAFE;
    bool steps = is_step(command) &&
                 (document->state == XF_CUTOVER_SHIFTING || document->state == XF_CUTOVER_SOAKING);
    const char *gates = finalizes ? document->plan->before_finalize_json : NULL;
    if (document->baseline_json != NULL && (finalizes || steps)) {
        return xf_kong_drift_gate(gates, document->baseline_json, finalizes);
    }
    return gates != NULL ? strdup(gates) : NULL;
}

static void free_text(char **text)
{
    free(*text);
}

bool xf_tenure_gates_wait(struct xf_tenure *tenure, const struct xf_message_command *command,
                          const struct xf_plan *plan)
{
    XF_CLEANUP(free_text) char *gates = gates_of(tenure, command, plan);
    if (gates == NULL || (tenure->gated == command && tenure->gates_passed)) {
        return false;
    }
    if (tenure->gated != NULL && strcmp(tenure->gated->request, command->request) == 0) {
        return true; /* sent again while it waits: the answer will come */
    }
    if (tenure->gated != NULL) {
        xf_tenure_answer(tenure, command->request, 4,
                         "the gates of another command are being checked; try again");
        return true;
    }
    struct xf_message_command *kept = malloc(sizeof(*kept));
    if (kept == NULL) {
        xf_tenure_answer(tenure, command->request, 1, "out of memory");
        return true;
    }
    *kept = *command;
    kept->arguments = json_incref(command->arguments);
    tenure->gated = kept;
    tenure->gates_passed = false;
    bool start = strcmp(command->verb, "start") == 0;
    const struct xf_document *document = tenure->document;
    tenure->calls.gates(tenure->calls.context, tenure->service->name, gates,
                        start ? document->live : document->from, start ? plan->to : document->to,
                        !start);
    return true;
}

void xf_tenure_gates_drop(struct xf_tenure *tenure)
{
    if (tenure->gated != NULL) {
        xf_message_command_release(tenure->gated);
        free(tenure->gated);
        tenure->gated = NULL;
    }
    tenure->gates_passed = false;
    json_decref(tenure->gates_found);
    tenure->gates_found = NULL;
}

/* What is kept of the checks: all names, and words where one did not pass. */
static json_t *summarize(const json_t *result)
{
    json_t *rows = json_array();
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        bool passed = json_is_true(json_object_get(check, "passed"));
        char message[SUMMARY_MESSAGE_BYTES] = "";
        const char *said = json_string_value(json_object_get(check, "message"));
        (void) snprintf(message, sizeof(message), "%s", passed || said == NULL ? "" : said);
        xf_printable(message); /* it may be cut within a character */
        if (i < SUMMARY_CHECKS_MAX) {
            (void) json_array_append_new(
                rows,
                json_pack("{s:O?, s:O?, s:b, s:O?, s:s}", "gate", json_object_get(check, "gate"),
                          "check", json_object_get(check, "check"), "passed", passed, "severity",
                          json_object_get(check, "severity"), "message", message));
        }
    }
    return rows;
}

void xf_tenure_gates_explain(const struct xf_tenure *tenure, json_t *entry)
{
    if (tenure->gates_found != NULL) {
        (void) json_object_set(entry, "gates", tenure->gates_found);
    }
}

/* The checks that failed, in words. */
static void describe_failures(const json_t *result, char out[XF_SENTENCE_BYTES])
{
    size_t i;
    json_t *check;
    size_t length = (size_t) snprintf(out, XF_SENTENCE_BYTES, "refused by its gates:");
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        const char *severity = json_string_value(json_object_get(check, "severity"));
        const char *name = json_string_value(json_object_get(check, "check"));
        const char *message = json_string_value(json_object_get(check, "message"));
        bool failed = !json_is_true(json_object_get(check, "passed")) && severity != NULL &&
                      strcmp(severity, "error") == 0;
        if (failed && length < XF_SENTENCE_BYTES - 1) {
            int more = snprintf(out + length, XF_SENTENCE_BYTES - length, "\n  %.48s: %.160s",
                                name != NULL ? name : "?", message != NULL ? message : "");
            length += more > 0 ? (size_t) more : 0;
        }
    }
}

void xf_tenure_gates_done(struct xf_tenure *tenure, const json_t *result)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    if (tenure->gated == NULL) {
        return;
    }
    xf_tenure_drift_found(tenure, result);
    if (json_is_true(json_object_get(result, "passed"))) {
        xf_tenure_note(tenure, "gates.passed", tenure->gated->verb);
        if (tenure->gated->request[0] == '\0') {
            tenure->automatic.failed[0] = '\0';
            tenure->automatic.ended_ms = xf_tenure_now(tenure);
        }
        json_decref(tenure->gates_found);
        tenure->gates_found = summarize(result);
        tenure->gates_passed = true; /* decided in the next tick, before other commands */
        return;
    }
    char message[XF_SENTENCE_BYTES];
    describe_failures(result, message);
    xf_tenure_note(tenure, "gates.failed", message);
    if (tenure->gated->request[0] != '\0') {
        xf_tenure_answer(tenure, tenure->gated->request, is_step(tenure->gated) ? 3 : 1, message);
    } else {
        memcpy(tenure->automatic.failed, message, sizeof(message));
        tenure->automatic.ended_ms = xf_tenure_now(tenure);
    }
    xf_tenure_gates_drop(tenure);
}

/* ---- finalize.when: auto ---- */

void xf_tenure_gates_tick(struct xf_tenure *tenure, const struct xf_facts *facts)
{
    struct xf_document *document = tenure->document;
    int64_t now = xf_tenure_now(tenure);
    bool waits = tenure->automatic.attempts == document->attempts &&
                 now - tenure->automatic.ended_ms < AUTOMATIC_MS;
    if (tenure->gated != NULL || waits || !xf_control_finalize_due(document, facts) ||
        (document->plan->before_finalize_json == NULL && document->baseline_json == NULL)) {
        return;
    }
    struct xf_message_command command = {.arguments = json_object()};
    memcpy(command.service, document->service, sizeof(document->service));
    (void) snprintf(command.verb, sizeof(command.verb), "finalize");
    (void) snprintf(command.actor, sizeof(command.actor), "crossfade");
    (void) snprintf(command.reason, sizeof(command.reason), "finalize.when: auto");
    if (tenure->automatic.attempts != document->attempts) {
        tenure->automatic.attempts = document->attempts;
        tenure->automatic.failed[0] = '\0';
    }
    (void) xf_tenure_gates_wait(tenure, &command, NULL);
    xf_message_command_release(&command);
}

void xf_tenure_gates_facts(const struct xf_tenure *tenure, struct xf_facts *ret)
{
    const struct xf_document *document = tenure->document;
    bool stands =
        document->state == XF_CUTOVER_SAFE && tenure->automatic.attempts == document->attempts;
    if (stands && tenure->automatic.failed[0] != '\0') {
        ret->gate_failed = tenure->automatic.failed;
    }
}
