/*
 * plan.c -- reading a plan: top keys, steps and what surrounds them.
 *
 * The guard is in plan_guard.c, single values in plan_scalar.c, the way back to text in
 * plan_json.c.  A key whose feature does not stand yet is refused, never ignored.
 */
#include "shifter/plan/plan.h"

#include "config/base/text.h"
#include "shifter/plan/plan_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const xf_plan_drain_names[3] = {
    [XF_DRAIN_NATURAL] = "natural",
    [XF_DRAIN_PACED] = "paced",
    [XF_DRAIN_DEADLINE] = "deadline",
};

static unsigned count_children(const struct xf_yaml_node *node)
{
    unsigned count = 0;
    for (const struct xf_yaml_node *child = node->children; child != NULL; child = child->next) {
        count++;
    }
    return count;
}

static void read_evidence(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                          struct xf_plan_step *step)
{
    static const char *const words[] = {"needed", "advisory"};
    unsigned advisory = step->evidence_advisory;
    xf_plan_choice(reader, node, words, 2, &advisory);
    step->evidence_advisory = advisory == 1;
}

static void read_step(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                      struct xf_plan_step *step, unsigned number)
{
    static const char *const keys[] = {"weight", "ramp", "over", "hold", "approve", "evidence"};
    char where[32];
    (void) snprintf(where, sizeof(where), "step %u", number);
    if (!xf_plan_keys(reader, node, where, keys, XF_COUNT(keys))) {
        return;
    }
    const struct xf_yaml_node *weight = xf_yaml_get(node, "weight");
    const struct xf_yaml_node *ramp = xf_yaml_get(node, "ramp");
    const struct xf_yaml_node *over = xf_yaml_get(node, "over");
    if ((weight != NULL) == (ramp != NULL)) {
        xf_plan_complain(reader, node, "step %u needs either \"weight\" or \"ramp\"", number);
    }
    if (ramp != NULL && over == NULL) {
        xf_plan_complain(reader, node, "step %u: a ramp needs \"over\", such as 1h", number);
    }
    if (ramp == NULL && over != NULL) {
        xf_plan_complain(reader, over, "step %u: \"over\" goes with \"ramp\"", number);
    }
    xf_plan_weight(reader, weight != NULL ? weight : ramp, &step->weight);
    xf_plan_duration(reader, over, 1000, &step->ramp_ms);
    xf_plan_duration(reader, xf_yaml_get(node, "hold"), 0, &step->hold_ms);
    xf_plan_bool(reader, xf_yaml_get(node, "approve"), &step->approve);
    read_evidence(reader, xf_yaml_get(node, "evidence"), step);
}

static void check_order(struct xf_plan_reader *reader, const struct xf_yaml_node *steps)
{
    const struct xf_plan *plan = reader->plan;
    const struct xf_yaml_node *node = steps->children;
    for (unsigned i = 0; i < plan->steps_count && node != NULL; i++, node = node->next) {
        char from[XF_WEIGHT_TEXT_BYTES];
        char to[XF_WEIGHT_TEXT_BYTES];
        if (plan->steps[i].weight == 0) {
            xf_plan_complain(reader, node, "step %u: a step's weight must be above 0%%", i + 1);
        }
        if (i > 0 && plan->steps[i].weight < plan->steps[i - 1].weight) {
            xf_plan_complain(reader, node, "step %u: the weight falls from %s to %s", i + 1,
                             xf_format_weight(plan->steps[i - 1].weight, from),
                             xf_format_weight(plan->steps[i].weight, to));
        }
        if (i + 1 == plan->steps_count && plan->steps[i].weight != XF_WEIGHT_FULL) {
            xf_plan_complain(reader, node,
                             "the last step must be 100%%, not %s: there the new "
                             "cluster soaks before the old one may go",
                             xf_format_weight(plan->steps[i].weight, to));
        }
    }
}

static void read_steps(struct xf_plan_reader *reader, const struct xf_yaml_node *root)
{
    const struct xf_yaml_node *node = xf_yaml_get(root, "steps");
    if (node == NULL) {
        xf_plan_complain(reader, root, "\"steps\" is missing");
        return;
    }
    if (node->kind != XF_YAML_SEQUENCE || node->children == NULL) {
        xf_plan_complain(reader, node, "\"steps\" must be a list of at least one step");
        return;
    }
    unsigned count = count_children(node);
    if (count > XF_PLAN_STEPS_MAX) {
        xf_plan_complain(reader, node, "%u steps are too many: at most %u", count,
                         XF_PLAN_STEPS_MAX);
        return;
    }
    reader->plan->steps = calloc(count, sizeof(*reader->plan->steps));
    if (reader->plan->steps == NULL) {
        xf_plan_complain(reader, node, "out of memory");
        return;
    }
    reader->plan->steps_count = count;
    bool failed_before = reader->failed;
    reader->failed = false;
    unsigned number = 0;
    for (const struct xf_yaml_node *step = node->children; step != NULL; step = step->next) {
        read_step(reader, step, &reader->plan->steps[number], number + 1);
        number++;
    }
    if (!reader->failed) {
        check_order(reader, node);
    }
    reader->failed = reader->failed || failed_before;
}

static void read_windows(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    if (node == NULL) {
        return;
    }
    if (node->kind != XF_YAML_SEQUENCE || count_children(node) > 64) {
        xf_plan_complain(reader, node, "\"windows\" must be a list of at most 64 windows");
        return;
    }
    struct xf_plan *plan = reader->plan;
    plan->windows = calloc(count_children(node) + 1, sizeof(*plan->windows));
    if (plan->windows == NULL) {
        xf_plan_complain(reader, node, "out of memory");
        return;
    }
    for (const struct xf_yaml_node *entry = node->children; entry != NULL; entry = entry->next) {
        if (entry->kind != XF_YAML_SCALAR ||
            !xf_plan_window_parse(entry->scalar, &plan->windows[plan->windows_count])) {
            xf_plan_complain(reader, entry,
                             "a window must look like \"Mon-Thu 22:00-06:00 "
                             "Europe/Paris\", with a zone of the zone database");
            continue;
        }
        plan->windows_count++;
    }
}

static void read_drain(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"policy", "rate", "deadline", "quiet"};
    if (node == NULL || !xf_plan_keys(reader, node, "drain", keys, XF_COUNT(keys))) {
        return;
    }
    struct xf_config_drain *drain = &reader->plan->drain;
    const struct xf_yaml_node *rate = xf_yaml_get(node, "rate");
    const struct xf_yaml_node *deadline = xf_yaml_get(node, "deadline");
    unsigned policy = XF_DRAIN_NATURAL;
    *drain = (struct xf_config_drain){.quiet_ms = 1000};
    reader->plan->drain_set = true;
    xf_plan_choice(reader, xf_yaml_get(node, "policy"), xf_plan_drain_names, 3, &policy);
    drain->policy = (enum xf_drain_policy) policy;
    xf_plan_duration(reader, deadline, 1000, &drain->deadline_ms);
    xf_plan_duration(reader, xf_yaml_get(node, "quiet"), 100, &drain->quiet_ms);
    if (rate != NULL) {
        char digits[32];
        size_t length = rate->kind == XF_YAML_SCALAR ? strlen(rate->scalar) : 0;
        bool good =
            length > 2 && length < sizeof(digits) && strcmp(rate->scalar + length - 2, "/s") == 0;
        (void) snprintf(digits, sizeof(digits), "%.*s", good ? (int) length - 2 : 0,
                        good ? rate->scalar : "");
        if (!good || !xf_parse_number(digits, &drain->rate) || drain->rate <= 0 ||
            drain->rate > 1e6) {
            xf_plan_complain(reader, rate, "\"rate\" must be a number of tunnels such as 20/s");
        }
    }
    if ((policy == XF_DRAIN_PACED) != (rate != NULL)) {
        xf_plan_complain(reader, node, "drain: \"rate\" goes with the policy paced");
    }
    if ((policy == XF_DRAIN_DEADLINE) != (deadline != NULL)) {
        xf_plan_complain(reader, node, "drain: \"deadline\" goes with the policy deadline");
    }
}

static void read_signal(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"webhook", "hook"};
    if (node != NULL && xf_plan_keys(reader, node, "signal", keys, XF_COUNT(keys))) {
        xf_plan_text(reader, xf_yaml_get(node, "webhook"), xf_name_valid,
                     reader->plan->signal_webhook);
        xf_plan_text(reader, xf_yaml_get(node, "hook"), xf_name_valid, reader->plan->signal_hook);
    }
}

static void read_start_at(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    if (node != NULL && (node->kind != XF_YAML_SCALAR ||
                         !xf_parse_time(node->scalar, &reader->plan->start_at_ms))) {
        xf_plan_complain(reader, node,
                         "\"start_at\" must be a time with its offset, such as "
                         "2026-11-22T22:00:00+01:00");
    }
}

static void read_names(struct xf_plan_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_plan *plan = reader->plan;
    static const char *const needed[] = {"name", "service", "to"};
    for (size_t i = 0; i < XF_COUNT(needed); i++) {
        if (xf_yaml_get(root, needed[i]) == NULL) {
            xf_plan_complain(reader, root, "\"%s\" is missing", needed[i]);
        }
    }
    xf_plan_text(reader, xf_yaml_get(root, "name"), xf_plan_name_valid, plan->name);
    xf_plan_text(reader, xf_yaml_get(root, "service"), xf_name_valid, plan->service);
    xf_plan_text(reader, xf_yaml_get(root, "from"), xf_name_valid, plan->from);
    xf_plan_text(reader, xf_yaml_get(root, "to"), xf_name_valid, plan->to);
    if (plan->from[0] != '\0' && strcmp(plan->from, plan->to) == 0) {
        xf_plan_complain(reader, xf_yaml_get(root, "to"), "\"to\" is the cluster that \"from\" is");
    }
}

static void read_top(struct xf_plan_reader *reader, const struct xf_yaml_node *root)
{
    static const char *const keys[] = {"name",        "service",  "from",    "to",     "steps",
                                       "guard",       "start_at", "windows", "gates",  "finalize",
                                       "fence",       "drain",    "signal",  "notify", "deadline",
                                       "on_deadline", "bare"};
    static const char *const on_deadline[] = {"hold", "abort"};
    if (!xf_plan_keys(reader, root, "the plan", keys, XF_COUNT(keys))) {
        return;
    }
    unsigned aborts = 0;
    read_names(reader, root);
    read_steps(reader, root);
    xf_plan_guard_read(reader, xf_yaml_get(root, "guard"));
    read_start_at(reader, xf_yaml_get(root, "start_at"));
    read_windows(reader, xf_yaml_get(root, "windows"));
    xf_plan_finalize_read(reader, xf_yaml_get(root, "finalize"));
    read_drain(reader, xf_yaml_get(root, "drain"));
    read_signal(reader, xf_yaml_get(root, "signal"));
    xf_plan_fence_read(reader, xf_yaml_get(root, "fence"));
    xf_plan_gates_read(reader, xf_yaml_get(root, "gates"));
    xf_plan_duration(reader, xf_yaml_get(root, "deadline"), 1000, &reader->plan->deadline_ms);
    xf_plan_choice(reader, xf_yaml_get(root, "on_deadline"), on_deadline, 2, &aborts);
    reader->plan->deadline_aborts = aborts == 1;
    xf_plan_bool(reader, xf_yaml_get(root, "bare"), &reader->plan->bare);
    xf_plan_notify_read(reader, xf_yaml_get(root, "notify"));
}

int xf_plan_parse(const char *name, const char *text, size_t length, struct xf_plan **ret,
                  struct xf_problems *ret_problems)
{
    struct xf_yaml *yaml = NULL;
    *ret_problems = (struct xf_problems){.file = name};
    if (length > XF_PLAN_BYTES_MAX) {
        xf_problems_add(ret_problems, 1, 1, false, "a plan may have at most %u bytes",
                        XF_PLAN_BYTES_MAX);
        return -1;
    }
    if (xf_yaml_parse(name, text, length, &yaml, ret_problems) != 0) {
        return -1;
    }
    struct xf_plan_reader reader = {.plan = calloc(1, sizeof(struct xf_plan)),
                                    .problems = ret_problems};
    if (reader.plan == NULL) {
        xf_problems_add(ret_problems, 1, 1, false, "out of memory");
        xf_yaml_destroy(yaml);
        return -1;
    }
    xf_plan_guard_default(&reader.plan->guard);
    read_top(&reader, xf_yaml_root(yaml));
    xf_yaml_destroy(yaml);
    if (!reader.failed && !xf_plan_write(reader.plan)) {
        xf_plan_complain(&reader, NULL, "the plan is too long, or out of memory");
    }
    if (reader.failed) {
        xf_plan_destroy(reader.plan);
        return -1;
    }
    *ret = reader.plan;
    return 0;
}

struct xf_plan *xf_plan_bare(const char *service, const char *to)
{
    struct xf_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        return NULL;
    }
    (void) snprintf(plan->name, sizeof(plan->name), "to-%.60s", to);
    (void) snprintf(plan->service, sizeof(plan->service), "%s", service);
    (void) snprintf(plan->to, sizeof(plan->to), "%s", to);
    xf_plan_guard_default(&plan->guard);
    plan->bare = true;
    plan->steps = calloc(1, sizeof(*plan->steps));
    if (plan->steps == NULL) {
        xf_plan_destroy(plan);
        return NULL;
    }
    plan->steps_count = 1;
    plan->steps[0] = (struct xf_plan_step){.weight = XF_WEIGHT_FULL, .hold_ms = 600000};
    if (!xf_plan_write(plan)) {
        xf_plan_destroy(plan);
        return NULL;
    }
    return plan;
}

void xf_plan_destroy(struct xf_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    for (unsigned i = 0; i < plan->actions_count; i++) {
        free(plan->actions[i].verify_json);
    }
    for (unsigned i = 0; i < plan->fence_allow_count; i++) {
        free(plan->fence_allow[i]);
    }
    free(plan->steps);
    free(plan->windows);
    free(plan->before_start_json);
    free(plan->during_json);
    free(plan->before_finalize_json);
    free(plan->actions);
    free(plan->fence_services);
    free(plan->fence_allow);
    free(plan->notify);
    free(plan->json);
    free(plan);
}
