/*
 * plan_guard.c -- the guard of a plan: its defaults and its keys.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/text.h"

#include <string.h>

const char *const xf_plan_then_names[4] = {
    [XF_THEN_HOLD] = "hold",
    [XF_THEN_STEP_BACK] = "step-back",
    [XF_THEN_RETREAT] = "retreat",
    [XF_THEN_ABORT] = "abort",
};

static void statuses_set(struct xf_plan_guard *guard, unsigned from, unsigned to)
{
    for (unsigned status = from; status <= to; status++) {
        guard->statuses[status / 64] |= 1ull << (status % 64);
    }
}

void xf_plan_guard_default(struct xf_plan_guard *guard)
{
    *guard = (struct xf_plan_guard){
        .errors_worse_than = 1.2,
        .errors_ignore_below = 0.0005,
        .errors_limit = 0.05,
        .errors_then = XF_THEN_RETREAT,
        .latency_on = true,
        .latency_worse_than = 1.5,
        .latency_then = XF_THEN_HOLD,
        .false_pause = 0.01,
        .prove_errors_below = 0.01,
        .prove_ratio_below = 2.0,
        .resume_after_ms = 600000,
        .rescue = true,
        .without_store_retreat = true,
    };
    statuses_set(guard, 500, 599);
}

static void read_errors(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"worse_than", "ignore_below", "limit", "then"};
    struct xf_plan_guard *guard = &reader->plan->guard;
    if (!xf_plan_keys(reader, node, "guard.errors", keys, XF_COUNT(keys))) {
        return;
    }
    unsigned then = guard->errors_then;
    xf_plan_ratio(reader, xf_yaml_get(node, "worse_than"), &guard->errors_worse_than);
    xf_plan_share(reader, xf_yaml_get(node, "ignore_below"), 1.0, &guard->errors_ignore_below);
    xf_plan_share(reader, xf_yaml_get(node, "limit"), 0.9, &guard->errors_limit);
    xf_plan_choice(reader, xf_yaml_get(node, "then"), xf_plan_then_names, 4, &then);
    guard->errors_then = (enum xf_guard_then) then;
}

static void read_latency(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"worse_than", "then"};
    struct xf_plan_guard *guard = &reader->plan->guard;
    if (xf_plan_is_word(node, "off") || xf_plan_is_word(node, "false")) {
        guard->latency_on = false;
        return;
    }
    if (!xf_plan_keys(reader, node, "guard.latency", keys, XF_COUNT(keys))) {
        return;
    }
    unsigned then = guard->latency_then;
    xf_plan_ratio(reader, xf_yaml_get(node, "worse_than"), &guard->latency_worse_than);
    xf_plan_choice(reader, xf_yaml_get(node, "then"), xf_plan_then_names, 4, &then);
    guard->latency_then = (enum xf_guard_then) then;
}

static void read_blip(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    if (xf_plan_is_word(node, "auto")) {
        return;
    }
    int64_t ms = 0;
    xf_plan_duration(reader, node, XF_CELL_MS, &ms);
    if (ms % XF_CELL_MS != 0 || ms > 5000) {
        xf_plan_complain(reader, node, "\"blip\" must be auto, or a multiple of %dms up to 5s",
                         XF_CELL_MS);
        return;
    }
    reader->plan->guard.blip_ms = ms;
}

static void read_prove(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"errors_below", "or_ratio_below"};
    struct xf_plan_guard *guard = &reader->plan->guard;
    if (xf_plan_keys(reader, node, "guard.prove", keys, XF_COUNT(keys))) {
        xf_plan_share(reader, xf_yaml_get(node, "errors_below"), 0.5, &guard->prove_errors_below);
        xf_plan_ratio(reader, xf_yaml_get(node, "or_ratio_below"), &guard->prove_ratio_below);
    }
}

/* `502` or `500-599`. */
static bool read_range(const char *text, unsigned *ret_from, unsigned *ret_to)
{
    char from[4] = "";
    uint64_t low;
    uint64_t high;
    size_t length = strlen(text);
    if (length != 3 && !(length == 7 && text[3] == '-')) {
        return false;
    }
    memcpy(from, text, 3);
    if (!xf_parse_uint(from, 599, &low) ||
        !xf_parse_uint(length == 7 ? text + 4 : from, 599, &high) || low < 100 || high < low) {
        return false;
    }
    *ret_from = (unsigned) low;
    *ret_to = (unsigned) high;
    return true;
}

static void read_statuses(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    if (node->kind != XF_YAML_SEQUENCE || node->children == NULL) {
        xf_plan_complain(reader, node, "\"statuses\" must be a list such as [500-599]");
        return;
    }
    memset(reader->plan->guard.statuses, 0, sizeof(reader->plan->guard.statuses));
    for (const struct xf_yaml_node *entry = node->children; entry != NULL; entry = entry->next) {
        unsigned from;
        unsigned to;
        if (entry->kind != XF_YAML_SCALAR || !read_range(entry->scalar, &from, &to)) {
            xf_plan_complain(reader, entry,
                             "a status must be from 100 to 599, such as 502 or 500-599");
        } else {
            statuses_set(&reader->plan->guard, from, to);
        }
    }
}

static void read_resume(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"times", "after"};
    struct xf_plan_guard *guard = &reader->plan->guard;
    if (!xf_plan_keys(reader, node, "guard.resume", keys, XF_COUNT(keys))) {
        return;
    }
    const struct xf_yaml_node *times = xf_yaml_get(node, "times");
    uint64_t count = 0;
    if (times != NULL &&
        (times->kind != XF_YAML_SCALAR || !xf_parse_uint(times->scalar, 100, &count))) {
        xf_plan_complain(reader, times, "\"times\" must be a number from 0 to 100");
    }
    guard->resume_times = (unsigned) count;
    xf_plan_duration(reader, xf_yaml_get(node, "after"), 1000, &guard->resume_after_ms);
}

void xf_plan_guard_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"errors", "latency",      "both",     "false_pause",
                                       "blip",   "prove",        "statuses", "resume",
                                       "rescue", "without_store"};
    static const char *const only_hold[] = {"hold"};
    static const char *const without[] = {"off", "retreat"};
    struct xf_plan_guard *guard = &reader->plan->guard;
    if (node == NULL || !xf_plan_keys(reader, node, "guard", keys, XF_COUNT(keys))) {
        return;
    }
    static const struct {
        const char *key;
        void (*read)(struct xf_plan_reader *, const struct xf_yaml_node *);
    } parts[] = {{"errors", read_errors}, {"latency", read_latency},   {"blip", read_blip},
                 {"prove", read_prove},   {"statuses", read_statuses}, {"resume", read_resume}};
    for (size_t i = 0; i < XF_COUNT(parts); i++) {
        const struct xf_yaml_node *part = xf_yaml_get(node, parts[i].key);
        if (part != NULL) {
            parts[i].read(reader, part);
        }
    }
    unsigned unused = 0;
    unsigned without_store = guard->without_store_retreat;
    xf_plan_choice(reader, xf_yaml_get(node, "both"), only_hold, 1, &unused);
    xf_plan_share(reader, xf_yaml_get(node, "false_pause"), 0.5, &guard->false_pause);
    xf_plan_bool(reader, xf_yaml_get(node, "rescue"), &guard->rescue);
    xf_plan_choice(reader, xf_yaml_get(node, "without_store"), without, 2, &without_store);
    guard->without_store_retreat = without_store == 1;
}
