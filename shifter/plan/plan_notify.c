/*
 * plan_notify.c -- a plan's `notify`: which webhooks hear of a cutover, and how severe news must
 * be for them.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/log.h"
#include "config/base/text.h"
#include "shifter/net/json.h"

#include <stdlib.h>
#include <string.h>

static const char *const severities[] = {"error", "warning", "notice", "info"};

static void read_target(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                        struct xf_plan_notify *target)
{
    static const char *const keys[] = {"webhook", "severity"};
    unsigned severity = XF_LOG_WARNING - XF_LOG_ERROR;
    if (!xf_plan_keys(reader, node, "notify", keys, XF_COUNT(keys))) {
        return;
    }
    if (xf_yaml_get(node, "webhook") == NULL) {
        xf_plan_complain(reader, node, "notify: \"webhook\" is missing");
    }
    xf_plan_text(reader, xf_yaml_get(node, "webhook"), xf_name_valid, target->webhook);
    xf_plan_choice(reader, xf_yaml_get(node, "severity"), severities, XF_COUNT(severities),
                   &severity);
    target->severity = XF_LOG_ERROR + severity;
}

void xf_plan_notify_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    struct xf_plan *plan = reader->plan;
    unsigned count = 0;
    if (node == NULL) {
        return;
    }
    const struct xf_yaml_node *first = node->kind == XF_YAML_SEQUENCE ? node->children : NULL;
    for (const struct xf_yaml_node *child = first; child != NULL; child = child->next) {
        count++;
    }
    if (count == 0 || count > XF_PLAN_NOTIFY_MAX) {
        xf_plan_complain(reader, node, "\"notify\" must be a list of 1 to %u webhooks",
                         XF_PLAN_NOTIFY_MAX);
        return;
    }
    plan->notify = calloc(count, sizeof(*plan->notify));
    if (plan->notify == NULL) {
        xf_plan_complain(reader, node, "out of memory");
        return;
    }
    for (const struct xf_yaml_node *child = first; child != NULL; child = child->next) {
        read_target(reader, child, &plan->notify[plan->notify_count++]);
    }
}

void xf_plan_notify_write(json_t *root, const struct xf_plan *plan, bool *ok)
{
    if (plan->notify_count == 0) {
        return;
    }
    json_t *list = json_array();
    for (unsigned i = 0; i < plan->notify_count; i++) {
        json_t *target = json_object();
        xf_json_put_string(target, "webhook", plan->notify[i].webhook, ok);
        xf_json_put_string(target, "severity", severities[plan->notify[i].severity - XF_LOG_ERROR],
                           ok);
        *ok = json_array_append_new(list, target) == 0 && *ok;
    }
    xf_json_put(root, "notify", list, ok);
}

bool xf_plan_notify_check(const struct xf_plan *plan, const struct xf_config *config,
                          struct xf_problems *problems)
{
    bool good = true;
    for (unsigned i = 0; i < plan->notify_count; i++) {
        bool known = false;
        for (unsigned k = 0; k < config->webhooks_count; k++) {
            known = known || strcmp(config->webhooks[k].name, plan->notify[i].webhook) == 0;
        }
        if (!known) {
            xf_problems_add(problems, 0, 0, false, "notify: no webhook \"%s\" in the configuration",
                            plan->notify[i].webhook);
            good = false;
        }
    }
    return good;
}
