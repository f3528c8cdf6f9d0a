/*
 * document_json.c -- the document as JSON, and back with every field checked.
 */
#include "shifter/plan/document.h"

#include "config/base/check.h"
#include "shifter/plan/cutover.h"
#include "shifter/net/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *make_holds(const struct xf_document *document, bool *ok)
{
    json_t *holds = json_object();
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        const struct xf_hold_entry *hold = &document->holds[i];
        if (hold->on) {
            xf_json_put(holds, xf_hold_name((enum xf_hold) i),
                        json_pack("{s:I, s:s, s:s, s:s}", "since_ms", (json_int_t) hold->since_ms,
                                  "sentence", hold->sentence, "by", hold->by, "lifted_by",
                                  hold->lifted_by),
                        ok);
        }
    }
    return holds;
}

static json_t *make_requests(const struct xf_document *document, bool *ok)
{
    json_t *requests = json_array();
    unsigned first = document->requests_count < XF_REQUEST_IDS_KEPT ? 0 : document->requests_next;
    for (unsigned i = 0; i < document->requests_count; i++) {
        const struct xf_request_seen *seen = &document->requests[(first + i) % XF_REQUEST_IDS_KEPT];
        *ok = json_array_append_new(requests, json_pack("[s, i, s]", seen->id, seen->exit_code,
                                                        seen->message)) == 0 &&
              *ok;
    }
    return requests;
}

static json_t *make_pauses(const struct xf_document *document, bool *ok)
{
    json_t *pauses = json_array();
    for (unsigned i = 0; i < document->pauses_count; i++) {
        *ok = json_array_append_new(
                  pauses, json_pack("{s:s, s:I}", "by", document->pauses[i].by, "since_ms",
                                    (json_int_t) document->pauses[i].since_ms)) == 0 &&
              *ok;
    }
    return pauses;
}

static void put_cutover(json_t *root, const struct xf_document *document, bool *ok)
{
    char seed[24];
    (void) snprintf(seed, sizeof(seed), "%016" PRIx64, document->seed);
    xf_json_put_string(root, "from", document->from, ok);
    xf_json_put_string(root, "to", document->to, ok);
    xf_json_put_int(root, "attempts", (int64_t) document->attempts, ok);
    xf_json_put_string(root, "cutover", document->cutover, ok);
    xf_json_put(root, "plan",
                document->plan != NULL ? json_loads(document->plan->json, 0, NULL) : json_null(),
                ok);
    xf_json_put_int(root, "weight", document->weight, ok);
    xf_json_put_string(root, "seed", seed, ok);
    xf_json_put_int(root, "step", document->step, ok);
    xf_json_put_int(root, "step_entry", (int64_t) document->step_entry, ok);
    xf_json_put_bool(root, "approved", document->approved, ok);
    xf_json_put_int(root, "extended_ms", document->extended_ms, ok);
    xf_json_put_bool(root, "evidence_waived", document->evidence_waived, ok);
    xf_json_put_int(root, "tau_us", (int64_t) document->tau_us, ok);
    xf_json_put_int(root, "ramp_from", document->ramp_from, ok);
    xf_json_put_int(root, "fall_from", document->fall_from, ok);
    xf_json_put_int(root, "fall_ms", document->fall_ms, ok);
    xf_json_put_bool(root, "retreated", document->retreated, ok);
    xf_json_put_bool(root, "deadline_passed", document->deadline_passed, ok);
    xf_json_put_int(root, "verdict_attempt", document->verdict_attempt, ok);
    xf_json_put_int(root, "resumes_left", document->resumes_left, ok);
    xf_json_put_int(root, "started_ms", document->started_ms, ok);
}

static void put_ends(json_t *root, const struct xf_document *document, bool *ok)
{
    xf_json_put(root, "last",
                json_pack("{s:s, s:s, s:s, s:s, s:I}", "cutover", document->last.cutover, "outcome",
                          document->last.outcome, "from", document->last.from, "to",
                          document->last.to, "at_ms", (json_int_t) document->last.at_ms),
                ok);
    xf_json_put(root, "signal",
                json_pack("{s:s, s:i, s:I, s:I}", "key", document->signal.key, "sequence",
                          (int) document->signal.sequence, "at_ms",
                          (json_int_t) document->signal.at_ms, "accepted_at_ms",
                          (json_int_t) document->signal.accepted_at_ms),
                ok);
    xf_json_put_string(root, "signalled", document->signalled, ok);
    xf_json_put_string(root, "revoked_by", document->revoked_by, ok);
    xf_json_put_int(root, "roster_version", (int64_t) document->roster_version, ok);
    xf_json_put(root, "action",
                json_pack("{s:i, s:i, s:b, s:b}", "index", (int) document->action.index, "runs",
                          (int) document->action.runs, "started", document->action.started, "done",
                          document->action.done),
                ok);
    xf_json_put(root, "fence",
                json_pack("{s:b, s:s}", "up", document->fence.up, "by", document->fence.by), ok);
    xf_json_put(root, "drain",
                json_pack("{s:I, s:s, s:I, s:I}", "number", (json_int_t) document->drain.number,
                          "cluster", document->drain.cluster, "rate_milli",
                          (json_int_t) document->drain.rate_milli, "after_ms",
                          (json_int_t) document->drain.after_ms),
                ok);
    if (document->baseline_json != NULL) {
        xf_json_put(root, "baseline", json_loads(document->baseline_json, 0, NULL), ok);
    }
    if (document->members_json != NULL) {
        xf_json_put(root, "members", json_loads(document->members_json, 0, NULL), ok);
    }
    xf_json_put(root, "last_verdict",
                document->last_verdict_json != NULL
                    ? json_loads(document->last_verdict_json, 0, NULL)
                    : json_null(),
                ok);
}

char *xf_document_write(const struct xf_document *document)
{
    bool ok = true;
    json_t *root = json_object();
    xf_json_put_int(root, "schema", document->schema, &ok);
    xf_json_put_string(root, "service", document->service, &ok);
    xf_json_put_string(root, "install_id", document->install_id, &ok);
    xf_json_put_string(root, "state", xf_cutover_state_name(document->state), &ok);
    xf_json_put_int(root, "since_ms", document->since_ms, &ok);
    xf_json_put_string(root, "live", document->live, &ok);
    put_cutover(root, document, &ok);
    xf_json_put(root, "holds", make_holds(document, &ok), &ok);
    xf_json_put(root, "pauses", make_pauses(document, &ok), &ok);
    put_ends(root, document, &ok);
    xf_json_put(root, "requests", make_requests(document, &ok), &ok);
    char *text = ok ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text != NULL && strlen(text) > XF_DOCUMENT_BYTES_MAX) {
        free(text);
        return NULL;
    }
    return text;
}

/* A cluster's name, or empty. */
static void read_a_name(struct xf_json *reader, const json_t *root, const char *key,
                        enum xf_json_need need, char out[XF_NAME_BYTES])
{
    xf_json_string(reader, root, key, need, out, XF_NAME_BYTES);
    if (!reader->failed && out[0] != '\0' && !xf_name_valid(out)) {
        xf_json_fail(reader, key, "is not a valid name");
    }
}

static void read_name(struct xf_json *reader, const json_t *root, const char *key,
                      char out[XF_NAME_BYTES])
{
    read_a_name(reader, root, key, XF_JSON_NEEDED, out);
}

static void read_seed(struct xf_json *reader, const json_t *root, uint64_t *ret)
{
    char text[17] = "";
    xf_json_string(reader, root, "seed", XF_JSON_NEEDED, text, sizeof(text));
    if (!reader->failed && (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)) {
        xf_json_fail(reader, "seed", "is not 16 hexadecimal digits");
    }
    *ret = strtoull(text, NULL, 16);
}

static void read_plan(struct xf_json *reader, const json_t *root, struct xf_plan **ret)
{
    const json_t *plan = xf_json_object(reader, root, "plan", XF_JSON_OPTIONAL);
    char *text = plan != NULL ? json_dumps(plan, JSON_COMPACT) : NULL;
    if (plan == NULL || text == NULL) {
        return;
    }
    struct xf_problems problems = {0};
    if (xf_plan_parse("plan", text, strlen(text), ret, &problems) != 0) {
        char problem[256];
        (void) snprintf(problem, sizeof(problem), "is not a valid plan: %.200s",
                        problems.count > 0 ? problems.items[0].message : "out of memory");
        xf_json_fail(reader, "plan", problem);
    }
    xf_problems_release(&problems);
    free(text);
}

static void read_cutover(struct xf_json *reader, const json_t *root, struct xf_document *document)
{
    int64_t step = -1;
    read_name(reader, root, "from", document->from);
    read_name(reader, root, "to", document->to);
    xf_json_uint(reader, root, "attempts", XF_JSON_NEEDED, INT64_MAX, &document->attempts);
    xf_json_string(reader, root, "cutover", XF_JSON_NEEDED, document->cutover,
                   sizeof(document->cutover));
    read_plan(reader, root, &document->plan);
    xf_json_unsigned(reader, root, "weight", XF_JSON_NEEDED, XF_WEIGHT_FULL, &document->weight);
    read_seed(reader, root, &document->seed);
    xf_json_int(reader, root, "step", XF_JSON_NEEDED, -1, XF_PLAN_STEPS_MAX - 1, &step);
    document->step = (int) step;
    xf_json_uint(reader, root, "step_entry", XF_JSON_NEEDED, INT64_MAX, &document->step_entry);
    xf_json_bool(reader, root, "approved", XF_JSON_NEEDED, &document->approved);
    xf_json_int(reader, root, "extended_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4,
                &document->extended_ms);
    xf_json_bool(reader, root, "evidence_waived", XF_JSON_NEEDED, &document->evidence_waived);
    xf_json_uint(reader, root, "tau_us", XF_JSON_NEEDED, INT64_MAX, &document->tau_us);
    xf_json_unsigned(reader, root, "ramp_from", XF_JSON_NEEDED, XF_WEIGHT_FULL,
                     &document->ramp_from);
    xf_json_unsigned(reader, root, "fall_from", XF_JSON_OPTIONAL, XF_WEIGHT_FULL,
                     &document->fall_from);
    xf_json_int(reader, root, "fall_ms", XF_JSON_OPTIONAL, 0, INT64_MAX / 4, &document->fall_ms);
    xf_json_bool(reader, root, "retreated", XF_JSON_NEEDED, &document->retreated);
    xf_json_bool(reader, root, "deadline_passed", XF_JSON_OPTIONAL, &document->deadline_passed);
    xf_json_unsigned(reader, root, "verdict_attempt", XF_JSON_NEEDED, INT32_MAX,
                     &document->verdict_attempt);
    xf_json_unsigned(reader, root, "resumes_left", XF_JSON_NEEDED, INT32_MAX,
                     &document->resumes_left);
    xf_json_int(reader, root, "started_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4,
                &document->started_ms);
}

static void read_holds(struct xf_json *reader, const json_t *root, struct xf_document *document)
{
    const json_t *holds = xf_json_object(reader, root, "holds", XF_JSON_NEEDED);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *) holds, name, value)
    {
        enum xf_hold hold;
        if (!xf_hold_parse(name, &hold) || !json_is_object(value)) {
            xf_json_fail(reader, "holds", "names an unknown hold");
            return;
        }
        struct xf_hold_entry *entry = &document->holds[hold];
        entry->on = true;
        xf_json_int(reader, value, "since_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4, &entry->since_ms);
        xf_json_string(reader, value, "sentence", XF_JSON_NEEDED, entry->sentence,
                       sizeof(entry->sentence));
        xf_json_string(reader, value, "by", XF_JSON_NEEDED, entry->by, sizeof(entry->by));
        xf_json_string(reader, value, "lifted_by", XF_JSON_NEEDED, entry->lifted_by,
                       sizeof(entry->lifted_by));
    }
    const json_t *pauses = xf_json_array(reader, root, "pauses", XF_JSON_OPTIONAL, XF_PAUSES_MAX);
    for (size_t i = 0; pauses != NULL && i < json_array_size(pauses); i++) {
        const json_t *pause = json_array_get(pauses, i);
        xf_json_string(reader, pause, "by", XF_JSON_NEEDED, document->pauses[i].by,
                       sizeof(document->pauses[i].by));
        xf_json_int(reader, pause, "since_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4,
                    &document->pauses[i].since_ms);
        document->pauses_count++;
    }
}

static void read_requests(struct xf_json *reader, const json_t *root, struct xf_document *document)
{
    const json_t *requests =
        xf_json_array(reader, root, "requests", XF_JSON_NEEDED, XF_REQUEST_IDS_KEPT);
    for (size_t i = 0; requests != NULL && i < json_array_size(requests); i++) {
        const json_t *item = json_array_get(requests, i);
        const char *id = json_string_value(json_array_get(item, 0));
        const json_t *code = json_array_get(item, 1);
        const char *message = json_string_value(json_array_get(item, 2));
        struct xf_request_seen *seen = &document->requests[i];
        if (id == NULL || message == NULL || !json_is_integer(code) ||
            strlen(id) >= sizeof(seen->id) || strlen(message) >= sizeof(seen->message) ||
            json_integer_value(code) < 0 || json_integer_value(code) > 255) {
            xf_json_fail(reader, "requests", "holds what is no [id, exit, message]");
            return;
        }
        (void) snprintf(seen->id, sizeof(seen->id), "%s", id);
        (void) snprintf(seen->message, sizeof(seen->message), "%s", message);
        seen->exit_code = (int) json_integer_value(code);
        document->requests_count++;
    }
    document->requests_next = document->requests_count % XF_REQUEST_IDS_KEPT;
}

/* Documents of before there was a drain by hand have none. */
static void read_drain(struct xf_json *reader, const json_t *root, struct xf_document_drain *ret)
{
    uint64_t rate_milli = 0;
    ret->after_ms = -1;
    const json_t *drain = xf_json_object(reader, root, "drain", XF_JSON_OPTIONAL);
    if (drain == NULL) {
        return;
    }
    xf_json_uint(reader, drain, "number", XF_JSON_NEEDED, INT64_MAX, &ret->number);
    read_name(reader, drain, "cluster", ret->cluster);
    xf_json_uint(reader, drain, "rate_milli", XF_JSON_NEEDED, UINT32_MAX, &rate_milli);
    xf_json_int(reader, drain, "after_ms", XF_JSON_NEEDED, -1, INT64_MAX / 4, &ret->after_ms);
    ret->rate_milli = (uint32_t) rate_milli;
}

static void read_ends(struct xf_json *reader, const json_t *root, struct xf_document *document)
{
    const json_t *last = xf_json_object(reader, root, "last", XF_JSON_NEEDED);
    xf_json_string(reader, last, "cutover", XF_JSON_NEEDED, document->last.cutover,
                   sizeof(document->last.cutover));
    xf_json_string(reader, last, "outcome", XF_JSON_NEEDED, document->last.outcome,
                   sizeof(document->last.outcome));
    read_a_name(reader, last, "from", XF_JSON_OPTIONAL, document->last.from);
    read_a_name(reader, last, "to", XF_JSON_OPTIONAL, document->last.to);
    xf_json_int(reader, last, "at_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4, &document->last.at_ms);
    const json_t *signal = xf_json_object(reader, root, "signal", XF_JSON_NEEDED);
    xf_json_string(reader, signal, "key", XF_JSON_NEEDED, document->signal.key,
                   sizeof(document->signal.key));
    xf_json_unsigned(reader, signal, "sequence", XF_JSON_NEEDED, 2, &document->signal.sequence);
    xf_json_int(reader, signal, "at_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4, &document->signal.at_ms);
    xf_json_int(reader, signal, "accepted_at_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4,
                &document->signal.accepted_at_ms);
    read_name(reader, root, "signalled", document->signalled);
    xf_json_string(reader, root, "revoked_by", XF_JSON_OPTIONAL, document->revoked_by,
                   sizeof(document->revoked_by));
    xf_json_uint(reader, root, "roster_version", XF_JSON_NEEDED, INT64_MAX,
                 &document->roster_version);
    const json_t *action = xf_json_object(reader, root, "action", XF_JSON_NEEDED);
    xf_json_unsigned(reader, action, "index", XF_JSON_NEEDED, 1000, &document->action.index);
    xf_json_unsigned(reader, action, "runs", XF_JSON_OPTIONAL, 1000000, &document->action.runs);
    xf_json_bool(reader, action, "started", XF_JSON_NEEDED, &document->action.started);
    xf_json_bool(reader, action, "done", XF_JSON_NEEDED, &document->action.done);
    const json_t *fence = xf_json_object(reader, root, "fence", XF_JSON_NEEDED);
    xf_json_bool(reader, fence, "up", XF_JSON_NEEDED, &document->fence.up);
    xf_json_string(reader, fence, "by", XF_JSON_NEEDED, document->fence.by,
                   sizeof(document->fence.by));
    read_drain(reader, root, &document->drain);
    const json_t *baseline = xf_json_array(reader, root, "baseline", XF_JSON_OPTIONAL, 128);
    if (baseline != NULL && !reader->failed) {
        document->baseline_json = json_dumps(baseline, JSON_COMPACT);
    }
    const json_t *members =
        xf_json_array(reader, root, "members", XF_JSON_OPTIONAL, XF_PROXIES_MAX);
    if (members != NULL && !reader->failed) {
        document->members_json = json_dumps(members, JSON_COMPACT);
    }
    const json_t *verdict = xf_json_object(reader, root, "last_verdict", XF_JSON_OPTIONAL);
    if (verdict != NULL && !reader->failed) {
        document->last_verdict_json = json_dumps(verdict, JSON_COMPACT);
    }
}

/* What must be so among fields that are good each for itself. */
static void check_whole(struct xf_json *reader, const struct xf_document *document)
{
    bool runs = xf_cutover_runs(document->state);
    if (document->live[0] == '\0') {
        xf_json_fail(reader, "live", "is empty");
    } else if (runs != (document->plan != NULL)) {
        xf_json_fail(reader, "plan", runs ? "is missing in a cutover" : "is there without one");
    } else if (runs != (document->from[0] != '\0' && document->to[0] != '\0')) {
        xf_json_fail(reader, "from", "and \"to\" do not go with the state");
    } else if (runs && strcmp(document->from, document->to) == 0) {
        xf_json_fail(reader, "to", "is \"from\"");
    } else if (runs && document->step >= (int) document->plan->steps_count) {
        xf_json_fail(reader, "step", "is beyond the plan");
    } else if (!runs && document->weight != 0) {
        xf_json_fail(reader, "weight", "is not 0 outside a cutover");
    }
    bool past_soak =
        document->state >= XF_CUTOVER_SOAKING && document->state <= XF_CUTOVER_FINALIZING;
    if (past_soak && document->weight != XF_WEIGHT_FULL) {
        xf_json_fail(reader, "weight", "is not 100 % in a state that needs it");
    }
    if (document->holds[XF_HOLD_OPERATOR].on != (document->pauses_count > 0)) {
        xf_json_fail(reader, "pauses", "do not go with the hold");
    }
}

static void read_head(struct xf_json *reader, const json_t *root, struct xf_document *document)
{
    char state[16] = "";
    xf_json_unsigned(reader, root, "schema", XF_JSON_NEEDED, INT32_MAX, &document->schema);
    if (!reader->failed && document->schema != XF_DOCUMENT_SCHEMA) {
        xf_json_fail(reader, "schema", "is not one this version knows");
    }
    read_name(reader, root, "service", document->service);
    xf_json_string(reader, root, "install_id", XF_JSON_NEEDED, document->install_id,
                   sizeof(document->install_id));
    xf_json_string(reader, root, "state", XF_JSON_NEEDED, state, sizeof(state));
    if (!reader->failed && !xf_cutover_state_parse(state, &document->state)) {
        xf_json_fail(reader, "state", "is not a known state");
    }
    xf_json_int(reader, root, "since_ms", XF_JSON_NEEDED, 0, INT64_MAX / 4, &document->since_ms);
    read_name(reader, root, "live", document->live);
}

int xf_document_read(const char *json, struct xf_document **ret, struct xf_error *err)
{
    if (strnlen(json, XF_DOCUMENT_BYTES_MAX + 1) > XF_DOCUMENT_BYTES_MAX) {
        return XF_FAIL(err, XF_E_CONFIG, "document: longer than %u bytes", XF_DOCUMENT_BYTES_MAX);
    }
    json_error_t problem;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL || !json_is_object(root)) {
        json_decref(root);
        return XF_FAIL(err, XF_E_CONFIG, "document: not a JSON object: %s",
                       root == NULL ? problem.text : "another type");
    }
    struct xf_json reader = {.what = "document", .err = err};
    struct xf_document *document = calloc(1, sizeof(*document));
    if (document == NULL) {
        json_decref(root);
        return XF_FAIL(err, XF_E_NO_MEMORY, "document: out of memory");
    }
    read_head(&reader, root, document);
    read_cutover(&reader, root, document);
    read_holds(&reader, root, document);
    read_ends(&reader, root, document);
    read_requests(&reader, root, document);
    if (!reader.failed) {
        check_whole(&reader, document);
    }
    json_decref(root);
    if (reader.failed) {
        xf_document_destroy(document);
        return -1;
    }
    *ret = document;
    return 0;
}
