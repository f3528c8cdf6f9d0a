/*
 * tenure_during.c -- a plan's `gates.during`: asked again and again while the cutover climbs.
 *
 *     due --calls.during--> running --answer--> passed | failed (counted) | no evidence
 *
 * A gate that fails `failures` times in a row holds with `gate`; one that has nothing to say (no
 * sample, NaN, nobody there, no answer in time) holds at once: no data is not good data.  Until a
 * gate has answered for the first time no step's end is passed.  The gates themselves run in
 * children (gate_runner.h).
 */
#include "shifter/gates/gate.h"
#include "shifter/controller/tenure_parts.h"

#include "config/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MS   30000
#define FAILURES   1
#define GATES_MAX  64u
#define NO_WORDING "no evidence" /* how a gate begins to say that it knows nothing */

struct during_gate {
    char *json; /* owned: a list of this one gate */
    char kind[XF_CHECK_NAME_BYTES];
    int64_t every_ms, next_ms;
    unsigned failures_max, failures; /* in a row */
    bool running, answered, ignorant;
    char message[256];
};

struct xf_tenure_during {
    uint64_t attempt;
    unsigned count;
    struct during_gate gates[GATES_MAX];
};

void xf_tenure_during_drop(struct xf_tenure *tenure)
{
    for (unsigned i = 0; tenure->during != NULL && i < tenure->during->count; i++) {
        free(tenure->during->gates[i].json);
    }
    free(tenure->during);
    tenure->during = NULL;
}

/* `every` and `failures` stand beside the gate's kind or among its options. */
static const json_t *setting(const json_t *gate, const char *kind, const char *key)
{
    const json_t *value = json_object_get(gate, key);
    return value != NULL ? value : json_object_get(json_object_get(gate, kind), key);
}

static bool fill_gate(const json_t *gate, struct during_gate *ret)
{
    const char *kind = xf_gate_kind(gate);
    if (kind == NULL) {
        return false;
    }
    const json_t *failures = setting(gate, kind, "failures");
    const char *every = json_string_value(setting(gate, kind, "every"));
    json_int_t count = json_integer_value(failures);
    ret->failures_max = count > 0 && count < 1000 ? (unsigned) count : FAILURES;
    ret->every_ms = EVERY_MS;
    if (every != NULL && (!xf_parse_duration_ms(every, &ret->every_ms) || ret->every_ms < 100)) {
        ret->every_ms = EVERY_MS;
    }
    (void) snprintf(ret->kind, sizeof(ret->kind), "%s", kind);
    json_t *list = json_pack("[{s:O}]", kind, json_object_get(gate, kind));
    ret->json = list != NULL ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return ret->json != NULL;
}

/* Makes the set of the document's plan where it is not made yet. */
static void follow(struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    const char *text = document->plan != NULL ? document->plan->during_json : NULL;
    if (tenure->during != NULL && tenure->during->attempt == document->attempts && text != NULL) {
        return;
    }
    xf_tenure_during_drop(tenure);
    json_t *list = text != NULL ? json_loads(text, 0, NULL) : NULL;
    tenure->during = list != NULL ? calloc(1, sizeof(*tenure->during)) : NULL;
    size_t i;
    json_t *gate;
    json_array_foreach(tenure->during != NULL ? list : NULL, i, gate)
    {
        struct xf_tenure_during *during = tenure->during;
        during->attempt = document->attempts;
        if (during->count < GATES_MAX && fill_gate(gate, &during->gates[during->count])) {
            during->count++;
        }
    }
    json_decref(list);
}

static bool climbs(const struct xf_document *document)
{
    return document->state == XF_CUTOVER_SHIFTING || document->state == XF_CUTOVER_SOAKING ||
           document->state == XF_CUTOVER_DRAINING;
}

void xf_tenure_during_tick(struct xf_tenure *tenure)
{
    int64_t now = xf_tenure_now(tenure);
    if (!climbs(tenure->document) || tenure->calls.during == NULL) {
        return;
    }
    follow(tenure);
    for (unsigned i = 0; tenure->during != NULL && i < tenure->during->count; i++) {
        struct during_gate *gate = &tenure->during->gates[i];
        if (!gate->running && now >= gate->next_ms) {
            gate->running = true;
            gate->next_ms = now + gate->every_ms;
            tenure->calls.during(tenure->calls.context, tenure->service->name, i,
                                 tenure->during->attempt, gate->json, tenure->document->from,
                                 tenure->document->to);
        }
    }
}

/* The first check that failed, or NULL. */
static const json_t *failed_check(const json_t *result)
{
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        const char *severity = json_string_value(json_object_get(check, "severity"));
        if (!json_is_true(json_object_get(check, "passed")) && severity != NULL &&
            strcmp(severity, "error") == 0) {
            return check;
        }
    }
    return NULL;
}

void xf_tenure_during_done(struct xf_tenure *tenure, unsigned index, uint64_t attempt,
                           const json_t *result)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    if (tenure->during == NULL || tenure->during->attempt != attempt ||
        index >= tenure->during->count) {
        return;
    }
    struct during_gate *gate = &tenure->during->gates[index];
    const json_t *check = failed_check(result);
    const char *message = json_string_value(json_object_get(check, "message"));
    const char *runner = json_string_value(json_object_get(check, "gate"));
    bool passed = json_is_true(json_object_get(result, "passed"));
    bool unknown = message == NULL || strncmp(message, NO_WORDING, strlen(NO_WORDING)) == 0 ||
                   (runner != NULL && strcmp(runner, "gates") == 0); /* the child itself failed */
    gate->running = false;
    gate->answered = true;
    gate->ignorant = !passed && unknown;
    gate->failures = passed ? 0 : gate->failures + 1;
    (void) snprintf(gate->message, sizeof(gate->message), "%.200s",
                    passed            ? ""
                    : message != NULL ? message
                                      : "no answer");
}

void xf_tenure_during_facts(const struct xf_tenure *tenure, struct xf_facts *ret)
{
    const struct xf_tenure_during *during = tenure->during;
    const struct xf_document *document = tenure->document;
    ret->gate = XF_GATE_PASSED;
    if (document->plan == NULL || document->plan->during_json == NULL) {
        return;
    }
    bool known = during != NULL && during->attempt == document->attempts;
    for (unsigned i = 0; known && i < during->count; i++) {
        const struct during_gate *gate = &during->gates[i];
        known = gate->answered;
        if (gate->ignorant || gate->failures >= gate->failures_max) {
            char times[48] = "";
            if (!gate->ignorant && gate->failures > 1) {
                (void) snprintf(times, sizeof(times), " (%u times in a row)", gate->failures);
            }
            ret->gate = XF_GATE_FAILED;
            (void) snprintf(ret->gate_sentence, sizeof(ret->gate_sentence), "gate %s%s: %s",
                            gate->kind, times, gate->message);
            return;
        }
    }
    if (!known) {
        ret->gate = XF_GATE_UNKNOWN;
        (void) snprintf(ret->gate_sentence, sizeof(ret->gate_sentence),
                        "a gate has not answered yet");
    }
}
