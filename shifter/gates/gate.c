/*
 * gate.c -- the list of checks, and which gate makes them.
 */
#include "shifter/gates/gate.h"

#include "shifter/gates/gate_kinds.h"
#include "shifter/gates/kong_drift.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKS_MAX 1000u

void xf_checks_release(struct xf_checks *checks)
{
    free(checks->items);
    json_decref(checks->fingerprints);
    *checks = (struct xf_checks){0};
}

void xf_printable(char *text)
{
    unsigned char *p = (unsigned char *) text;
    while (*p != '\0') {
        size_t length = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
        bool good = *p < 0x80 ? *p >= 0x20 && *p != 0x7f : *p >= 0xc2 && *p <= 0xf4;
        for (size_t i = 1; i < length && good; i++) {
            good = (p[i] & 0xc0) == 0x80;
        }
        /* C1 controls (U+0080..U+009F) move a terminal's cursor too. */
        good = good && !(*p == 0xc2 && p[1] < 0xa0) && !(*p == 0xe0 && p[1] < 0xa0) &&
               !(*p == 0xed && p[1] > 0x9f) && !(*p == 0xf0 && p[1] < 0x90) &&
               !(*p == 0xf4 && p[1] > 0x8f);
        if (!good) {
            *p++ = '?';
        } else {
            p += length;
        }
    }
}

static struct xf_check *add_row(struct xf_checks *checks)
{
    if (checks->count == checks->capacity) {
        unsigned capacity = checks->capacity == 0 ? 32 : checks->capacity * 2;
        struct xf_check *items =
            capacity <= CHECKS_MAX ? realloc(checks->items, capacity * sizeof(*items)) : NULL;
        if (items == NULL) {
            checks->failed = true;
            return NULL;
        }
        checks->items = items;
        checks->capacity = capacity;
    }
    return &checks->items[checks->count++];
}

static void fill_row(struct xf_checks *checks, const char *gate, const char *check, bool passed,
                     enum xf_severity severity, const char *prefix, const char *format,
                     va_list arguments) XF_PRINTF(7, 0);

static void fill_row(struct xf_checks *checks, const char *gate, const char *check, bool passed,
                     enum xf_severity severity, const char *prefix, const char *format,
                     va_list arguments)
{
    struct xf_check *row = add_row(checks);
    if (row == NULL) {
        return;
    }
    snprintf(row->gate, sizeof(row->gate), "%s", gate);
    snprintf(row->check, sizeof(row->check), "%s", check);
    row->passed = passed;
    row->severity = severity;
    size_t used = (size_t) snprintf(row->message, sizeof(row->message), "%s", prefix);
    vsnprintf(row->message + used, sizeof(row->message) - used, format, arguments);
    xf_printable(row->message);
}

void xf_checks_add(struct xf_checks *checks, const char *gate, const char *check, bool passed,
                   enum xf_severity severity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill_row(checks, gate, check, passed, severity, "", format, arguments);
    va_end(arguments);
}

void xf_checks_skip(struct xf_checks *checks, const char *gate, const char *check,
                    const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill_row(checks, gate, check, false, XF_SEVERITY_WARNING, "not checked: ", format, arguments);
    va_end(arguments);
}

bool xf_checks_passed(const struct xf_checks *checks)
{
    for (unsigned i = 0; i < checks->count; i++) {
        if (!checks->items[i].passed && checks->items[i].severity == XF_SEVERITY_ERROR) {
            return false;
        }
    }
    return !checks->failed;
}

json_t *xf_checks_json(const struct xf_checks *checks)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < checks->count; i++) {
        const struct xf_check *row = &checks->items[i];
        json_array_append_new(rows,
                              json_pack("{s:s, s:s, s:b, s:s, s:s}", "gate", row->gate, "check",
                                        row->check, "passed", row->passed, "severity",
                                        row->severity == XF_SEVERITY_ERROR ? "error" : "warning",
                                        "message", row->message));
    }
    json_t *result = json_pack("{s:b, s:o}", "passed", xf_checks_passed(checks), "checks", rows);
    if (checks->fingerprints != NULL) {
        (void) json_object_set(result, "fingerprints", checks->fingerprints);
    }
    return result;
}

static const struct {
    const char *kind;
    void (*run)(const json_t *options, const struct xf_gate_context *context,
                struct xf_checks *checks);
} kinds[] = {
    {"kong", xf_gate_kong},
    {"postgres", xf_gate_postgres},
    {"http", xf_gate_http},
    {"prometheus", xf_gate_prometheus},
};

const char *xf_gate_kind(const json_t *gate)
{
    for (size_t i = 0; i < XF_COUNT(kinds); i++) {
        if (json_object_get(gate, kinds[i].kind) != NULL) {
            return kinds[i].kind;
        }
    }
    return json_object_get(gate, "hook") != NULL ? "hook" : NULL;
}

void xf_gate_run(const json_t *gate, const struct xf_gate_context *context,
                 struct xf_checks *checks)
{
    const char *kind = xf_gate_kind(gate);
    const json_t *drift = json_object_get(gate, "drift"); /* crossfade's own, not for plans */
    if (kind == NULL && drift != NULL) {
        xf_gate_drift(drift, context, checks);
        return;
    }
    if (kind == NULL) {
        xf_checks_add(checks, "gate", "known", false, XF_SEVERITY_ERROR,
                      "unknown gate: kong, postgres, http, prometheus and hook are known");
        return;
    }
    if (strcmp(kind, "hook") == 0) {
        xf_gate_hook(json_object_get(gate, kind), context, checks);
        return;
    }
    const json_t *options = json_object_get(gate, kind);
    for (size_t i = 0; i < XF_COUNT(kinds); i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            if (json_is_object(options)) {
                kinds[i].run(options, context, checks);
            } else {
                xf_checks_add(checks, kind, "options", false, XF_SEVERITY_ERROR,
                              "a mapping of options is needed");
            }
        }
    }
}

void xf_gates_run(const char *gates_json, const struct xf_gate_context *context,
                  struct xf_checks *checks)
{
    if (gates_json == NULL) {
        return;
    }
    json_t *gates = json_loads(gates_json, 0, NULL);
    if (!json_is_array(gates)) {
        checks->failed = true;
    }
    size_t i;
    json_t *gate;
    json_array_foreach(gates, i, gate)
    {
        xf_gate_run(gate, context, checks);
    }
    json_decref(gates);
}
