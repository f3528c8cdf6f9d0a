/*
 * plan_finalize.c -- what a plan does at the point of no return: when, and which actions.
 *
 * An action names a hook of the configuration; `verify` is a gate that proves what the hook's exit
 * code cannot.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/text.h"
#include "shifter/net/json.h"

#include <stdlib.h>
#include <string.h>

#define ACTIONS_MAX 16u

static void read_action(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                        struct xf_plan_action *action)
{
    static const char *const keys[] = {"hook", "verify"};
    if (!xf_plan_keys(reader, node, "an action", keys, XF_COUNT(keys))) {
        return;
    }
    const struct xf_yaml_node *hook = xf_yaml_get(node, "hook");
    const struct xf_yaml_node *verify = xf_yaml_get(node, "verify");
    if (hook == NULL) {
        xf_plan_complain(reader, node, "an action needs \"hook\", a name of the configuration");
    }
    xf_plan_text(reader, hook, xf_name_valid, action->hook);
    json_t *gate = verify != NULL ? xf_plan_gate_read(reader, verify) : NULL;
    if (gate != NULL) {
        json_t *list = json_pack("[o]", gate);
        action->verify_json = json_dumps(list, JSON_COMPACT);
        json_decref(list);
        if (action->verify_json == NULL) {
            xf_plan_complain(reader, verify, "out of memory");
        }
    }
}

static void read_actions(struct xf_plan_reader *reader, const struct xf_yaml_node *list)
{
    struct xf_plan *plan = reader->plan;
    unsigned count = 0;
    for (const struct xf_yaml_node *node = list->children; node != NULL; node = node->next) {
        count++;
    }
    if (list->kind != XF_YAML_SEQUENCE || count > ACTIONS_MAX) {
        xf_plan_complain(reader, list, "\"actions\" must be a list of at most %u actions",
                         ACTIONS_MAX);
        return;
    }
    plan->actions = calloc(count + 1, sizeof(*plan->actions));
    if (plan->actions == NULL) {
        xf_plan_complain(reader, list, "out of memory");
        return;
    }
    for (const struct xf_yaml_node *node = list->children; node != NULL; node = node->next) {
        read_action(reader, node, &plan->actions[plan->actions_count++]);
    }
}

void xf_plan_finalize_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"when", "actions"};
    static const char *const words[] = {"manual", "auto"};
    if (node == NULL || !xf_plan_keys(reader, node, "finalize", keys, XF_COUNT(keys))) {
        return;
    }
    unsigned when = 0;
    xf_plan_choice(reader, xf_yaml_get(node, "when"), words, 2, &when);
    reader->plan->finalize_when = (enum xf_finalize_when) when;
    const struct xf_yaml_node *actions = xf_yaml_get(node, "actions");
    if (actions != NULL) {
        read_actions(reader, actions);
    }
}

static json_t *make_action(const struct xf_plan_action *action)
{
    json_t *object = json_pack("{s:s}", "hook", action->hook);
    if (action->verify_json != NULL) {
        json_t *list = json_loads(action->verify_json, 0, NULL);
        (void) json_object_set(object, "verify", json_array_get(list, 0));
        json_decref(list);
    }
    return object;
}

void xf_plan_finalize_write(json_t *root, const struct xf_plan *plan, bool *ok)
{
    json_t *finalize = json_object();
    xf_json_put_string(finalize, "when",
                       plan->finalize_when == XF_FINALIZE_AUTO ? "auto" : "manual", ok);
    if (plan->actions_count > 0) {
        json_t *actions = json_array();
        for (unsigned i = 0; i < plan->actions_count; i++) {
            *ok = json_array_append_new(actions, make_action(&plan->actions[i])) == 0 && *ok;
        }
        xf_json_put(finalize, "actions", actions, ok);
    }
    xf_json_put(root, "finalize", finalize, ok);
}

bool xf_plan_finalize_check(const struct xf_plan *plan, const struct xf_config *config,
                            struct xf_problems *problems)
{
    bool good = true;
    for (unsigned i = 0; i < plan->actions_count; i++) {
        bool found = false;
        for (unsigned h = 0; h < config->hooks_count; h++) {
            found = found || strcmp(config->hooks[h].name, plan->actions[i].hook) == 0;
        }
        if (!found) {
            xf_problems_add(problems, 0, 0, false, "finalize: no hook \"%s\" in the configuration",
                            plan->actions[i].hook);
            good = false;
        }
    }
    return good;
}
