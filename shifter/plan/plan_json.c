/*
 * plan_json.c -- the canonical form of a plan: JSON in the words of the plan file.
 *
 * What it writes, xf_plan_parse reads back to the same value; defaults are written out, so that a
 * later version with other defaults does not change a cutover that runs.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/text.h"
#include "shifter/net/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_duration(json_t *object, const char *key, int64_t ms, bool *ok)
{
    char text[XF_DURATION_TEXT_BYTES];
    xf_json_put_string(object, key, xf_format_duration(ms, text), ok);
}

/* `value` with `unit`; ten decimals, so that a share that went through a fraction stays itself. */
static void put_number(json_t *object, const char *key, double value, const char *unit, bool *ok)
{
    char text[48];
    int length = snprintf(text, sizeof(text), "%.10f", value);
    while (length > 1 && text[length - 1] == '0') {
        length--;
    }
    if (text[length - 1] == '.') {
        length--;
    }
    (void) snprintf(text + length, sizeof(text) - (size_t) length, "%s", unit);
    xf_json_put_string(object, key, text, ok);
}

static void put_weight(json_t *object, const char *key, unsigned weight, bool *ok)
{
    char text[XF_WEIGHT_TEXT_BYTES];
    xf_json_put_string(object, key, xf_format_weight(weight, text), ok);
}

static json_t *make_step(const struct xf_plan_step *step, bool *ok)
{
    json_t *object = json_object();
    put_weight(object, step->ramp_ms > 0 ? "ramp" : "weight", step->weight, ok);
    if (step->ramp_ms > 0) {
        put_duration(object, "over", step->ramp_ms, ok);
    }
    put_duration(object, "hold", step->hold_ms, ok);
    xf_json_put_bool(object, "approve", step->approve, ok);
    xf_json_put_string(object, "evidence", step->evidence_advisory ? "advisory" : "needed", ok);
    return object;
}

static json_t *make_statuses(const struct xf_plan_guard *guard, bool *ok)
{
    json_t *array = json_array();
    for (unsigned from = 100; from < 600;) {
        unsigned to = from;
        while (to < 600 && (guard->statuses[to / 64] >> (to % 64) & 1) != 0) {
            to++;
        }
        if (to > from) {
            char text[16];
            (void) snprintf(text, sizeof(text), "%u-%u", from, to - 1);
            *ok = json_array_append_new(array, json_string(text)) == 0 && *ok;
        }
        from = to + 1;
    }
    return array;
}

static json_t *make_guard(const struct xf_plan_guard *guard, bool *ok)
{
    json_t *object = json_object();
    json_t *errors = json_object();
    put_number(errors, "worse_than", guard->errors_worse_than, "x", ok);
    put_number(errors, "ignore_below", guard->errors_ignore_below * 100.0, "%", ok);
    put_number(errors, "limit", guard->errors_limit * 100.0, "%", ok);
    xf_json_put_string(errors, "then", xf_plan_then_names[guard->errors_then], ok);
    xf_json_put(object, "errors", errors, ok);
    if (guard->latency_on) {
        json_t *latency = json_object();
        put_number(latency, "worse_than", guard->latency_worse_than, "x", ok);
        xf_json_put_string(latency, "then", xf_plan_then_names[guard->latency_then], ok);
        xf_json_put(object, "latency", latency, ok);
    } else {
        xf_json_put_string(object, "latency", "off", ok);
    }
    xf_json_put_string(object, "both", "hold", ok);
    put_number(object, "false_pause", guard->false_pause * 100.0, "%", ok);
    if (guard->blip_ms > 0) {
        put_duration(object, "blip", guard->blip_ms, ok);
    } else {
        xf_json_put_string(object, "blip", "auto", ok);
    }
    json_t *prove = json_object();
    put_number(prove, "errors_below", guard->prove_errors_below * 100.0, "%", ok);
    put_number(prove, "or_ratio_below", guard->prove_ratio_below, "x", ok);
    xf_json_put(object, "prove", prove, ok);
    xf_json_put(object, "statuses", make_statuses(guard, ok), ok);
    json_t *resume = json_object();
    xf_json_put_int(resume, "times", guard->resume_times, ok);
    put_duration(resume, "after", guard->resume_after_ms, ok);
    xf_json_put(object, "resume", resume, ok);
    xf_json_put_bool(object, "rescue", guard->rescue, ok);
    xf_json_put_string(object, "without_store", guard->without_store_retreat ? "retreat" : "off",
                       ok);
    return object;
}

static json_t *make_drain(const struct xf_config_drain *drain, bool *ok)
{
    json_t *object = json_object();
    xf_json_put_string(object, "policy", xf_plan_drain_names[drain->policy], ok);
    if (drain->policy == XF_DRAIN_PACED) {
        put_number(object, "rate", drain->rate, "/s", ok);
    }
    if (drain->policy == XF_DRAIN_DEADLINE) {
        put_duration(object, "deadline", drain->deadline_ms, ok);
    }
    put_duration(object, "quiet", drain->quiet_ms, ok);
    return object;
}

static void put_surroundings(json_t *root, const struct xf_plan *plan, bool *ok)
{
    if (plan->start_at_ms != 0) {
        char text[XF_TIME_TEXT_BYTES];
        xf_json_put_string(root, "start_at", xf_format_time(plan->start_at_ms, text), ok);
    }
    if (plan->windows_count > 0) {
        json_t *windows = json_array();
        for (unsigned i = 0; i < plan->windows_count; i++) {
            char text[128];
            xf_plan_window_format(&plan->windows[i], text);
            *ok = json_array_append_new(windows, json_string(text)) == 0 && *ok;
        }
        xf_json_put(root, "windows", windows, ok);
    }
    xf_plan_finalize_write(root, plan, ok);
    if (plan->drain_set) {
        xf_json_put(root, "drain", make_drain(&plan->drain, ok), ok);
    }
    xf_plan_notify_write(root, plan, ok);
    if (plan->signal_webhook[0] != '\0' || plan->signal_hook[0] != '\0') {
        json_t *signal = json_object();
        if (plan->signal_webhook[0] != '\0') {
            xf_json_put_string(signal, "webhook", plan->signal_webhook, ok);
        }
        if (plan->signal_hook[0] != '\0') {
            xf_json_put_string(signal, "hook", plan->signal_hook, ok);
        }
        xf_json_put(root, "signal", signal, ok);
    }
    if (plan->deadline_ms > 0) {
        put_duration(root, "deadline", plan->deadline_ms, ok);
        xf_json_put_string(root, "on_deadline", plan->deadline_aborts ? "abort" : "hold", ok);
    }
    if (plan->bare) {
        xf_json_put_bool(root, "bare", true, ok);
    }
}

bool xf_plan_write(struct xf_plan *plan)
{
    bool ok = true;
    json_t *root = json_object();
    xf_json_put_string(root, "name", plan->name, &ok);
    xf_json_put_string(root, "service", plan->service, &ok);
    if (plan->from[0] != '\0') {
        xf_json_put_string(root, "from", plan->from, &ok);
    }
    xf_json_put_string(root, "to", plan->to, &ok);
    json_t *steps = json_array();
    for (unsigned i = 0; i < plan->steps_count; i++) {
        ok = json_array_append_new(steps, make_step(&plan->steps[i], &ok)) == 0 && ok;
    }
    xf_json_put(root, "steps", steps, &ok);
    xf_json_put(root, "guard", make_guard(&plan->guard, &ok), &ok);
    put_surroundings(root, plan, &ok);
    xf_plan_fence_write(root, plan, &ok);
    xf_plan_gates_write(root, plan, &ok);
    char *text = ok ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL || strlen(text) > XF_PLAN_BYTES_MAX) {
        free(text);
        return false;
    }
    free(plan->json);
    plan->json = text;
    return true;
}
