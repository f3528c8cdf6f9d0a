/*
 * plan_gates.c -- a plan's gates: their kinds are checked here, their options by the gate itself.
 *
 * Options are kept as JSON.  An unquoted decimal stays a text, so that a version 3.10 never
 * becomes 3.1; whole numbers and true/false get their types.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/text.h"
#include "shifter/gates/gate.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define GATES_MAX 64u
#define DEPTH_MAX 16u

#define EVERY_MS_MIN 1000
#define FAILURES_MAX 100u

static json_t *scalar_to_json(const struct xf_yaml_node *node)
{
    const char *text = node->scalar;
    uint64_t number;
    if (!node->quoted) {
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
            return json_boolean(text[0] == 't');
        }
        if (strcmp(text, "null") == 0 || strcmp(text, "~") == 0 || text[0] == '\0') {
            return json_null();
        }
        bool negative = text[0] == '-';
        bool octal = text[negative ? 1 : 0] == '0' && text[negative ? 2 : 1] != '\0';
        if (!octal && xf_parse_uint(text + (negative ? 1 : 0), INT64_MAX, &number)) {
            return json_integer(negative ? -(json_int_t) number : (json_int_t) number);
        }
    }
    return json_string(text);
}

/* NULL: out of memory, not UTF-8, or nested too deep. */
static json_t *node_to_json(const struct xf_yaml_node *node, unsigned depth)
{
    if (node->kind == XF_YAML_SCALAR) {
        return scalar_to_json(node);
    }
    json_t *value = node->kind == XF_YAML_SEQUENCE ? json_array() : json_object();
    for (const struct xf_yaml_node *child = node->children; child != NULL; child = child->next) {
        json_t *member = depth < DEPTH_MAX ? node_to_json(child, depth + 1) : NULL;
        int added = node->kind == XF_YAML_SEQUENCE ? json_array_append_new(value, member)
                                                   : json_object_set_new(value, child->key, member);
        if (added != 0) {
            json_decref(value);
            return NULL;
        }
    }
    return value;
}

/* `every` and `failures` of a gate that is asked during a cutover, beside its kind or in it. */
static void check_timing(struct xf_plan_reader *reader, const struct xf_yaml_node *mapping)
{
    if (mapping == NULL || mapping->kind != XF_YAML_MAPPING) {
        return;
    }
    const struct xf_yaml_node *failures = xf_yaml_get(mapping, "failures");
    int64_t every_ms = 0;
    uint64_t count = 0;
    xf_plan_duration(reader, xf_yaml_get(mapping, "every"), EVERY_MS_MIN, &every_ms);
    if (failures != NULL &&
        (failures->kind != XF_YAML_SCALAR ||
         !xf_parse_uint(failures->scalar, FAILURES_MAX, &count) || count == 0)) {
        xf_plan_complain(reader, failures, "\"failures\" must be a number from 1 to %u",
                         FAILURES_MAX);
    }
}

/* One gate: a mapping whose first key is its kind; `during` may add every and failures. */
static json_t *read_gate(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                         bool during)
{
    json_t *gate = node->kind == XF_YAML_MAPPING ? node_to_json(node, 0) : NULL;
    const char *kind = gate != NULL ? xf_gate_kind(gate) : NULL;
    if (kind == NULL) {
        xf_plan_complain(
            reader, node,
            "a gate is a mapping such as {http: {…}}: kong, postgres, http, prometheus "
            "and hook are known");
        json_decref(gate);
        return NULL;
    }
    for (const struct xf_yaml_node *child = node->children; child != NULL; child = child->next) {
        bool timed =
            during && (strcmp(child->key, "every") == 0 || strcmp(child->key, "failures") == 0);
        if (strcmp(child->key, kind) != 0 && !timed) {
            xf_plan_complain(reader, child, "unknown key \"%s\" beside gate \"%s\"", child->key,
                             kind);
        }
    }
    if (during) {
        check_timing(reader, node);
        check_timing(reader, xf_yaml_get(node, kind));
    }
    return gate;
}

json_t *xf_plan_gate_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    return read_gate(reader, node, false);
}

static char *read_list(struct xf_plan_reader *reader, const struct xf_yaml_node *list, bool during)
{
    if (list == NULL) {
        return NULL;
    }
    if (list->kind != XF_YAML_SEQUENCE) {
        xf_plan_complain(reader, list, "a list of gates is needed");
        return NULL;
    }
    json_t *gates = json_array();
    for (const struct xf_yaml_node *node = list->children; node != NULL; node = node->next) {
        json_t *gate = read_gate(reader, node, during);
        if (gate != NULL && json_array_append_new(gates, gate) != 0) {
            xf_plan_complain(reader, node, "out of memory");
        }
    }
    if (json_array_size(gates) > GATES_MAX) {
        xf_plan_complain(reader, list, "more than %u gates", GATES_MAX);
    }
    char *text = json_array_size(gates) > 0 ? json_dumps(gates, JSON_COMPACT) : NULL;
    if (gates == NULL || (text == NULL && json_array_size(gates) > 0)) {
        xf_plan_complain(reader, list, "out of memory"); /* never a plan without its gates */
    }
    json_decref(gates);
    return text;
}

void xf_plan_gates_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"before_start", "during", "before_finalize"};
    if (node == NULL || !xf_plan_keys(reader, node, "gates", keys, XF_COUNT(keys))) {
        return;
    }
    reader->plan->before_start_json = read_list(reader, xf_yaml_get(node, "before_start"), false);
    reader->plan->during_json = read_list(reader, xf_yaml_get(node, "during"), true);
    reader->plan->before_finalize_json =
        read_list(reader, xf_yaml_get(node, "before_finalize"), false);
}

void xf_plan_gates_write(json_t *root, const struct xf_plan *plan, bool *ok)
{
    static const char *const keys[] = {"before_start", "during", "before_finalize"};
    const char *const texts[] = {plan->before_start_json, plan->during_json,
                                 plan->before_finalize_json};
    json_t *gates = json_object();
    for (size_t i = 0; i < XF_COUNT(keys); i++) {
        if (texts[i] != NULL) {
            *ok = json_object_set_new(gates, keys[i], json_loads(texts[i], 0, NULL)) == 0 && *ok;
        }
    }
    if (json_object_size(gates) > 0) {
        *ok = json_object_set(root, "gates", gates) == 0 && *ok;
    }
    json_decref(gates);
}
