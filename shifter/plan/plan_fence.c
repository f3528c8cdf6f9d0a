/*
 * plan_fence.c -- a plan's fence: which requests are refused until the cutover is over.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/text.h"
#include "proxy/proxy.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum xf_http_method method;
} methods[] = {{"GET", XF_METHOD_GET},         {"HEAD", XF_METHOD_HEAD},
               {"POST", XF_METHOD_POST},       {"PUT", XF_METHOD_PUT},
               {"PATCH", XF_METHOD_PATCH},     {"DELETE", XF_METHOD_DELETE},
               {"OPTIONS", XF_METHOD_OPTIONS}, {"TRACE", XF_METHOD_TRACE}};

/* A list of texts, or NULL with a complaint. */
static const struct xf_yaml_node *text_list(struct xf_plan_reader *reader,
                                            const struct xf_yaml_node *node, const char *key,
                                            unsigned count_max, unsigned *ret_count)
{
    unsigned count = 0;
    bool good = node->kind == XF_YAML_SEQUENCE;
    for (const struct xf_yaml_node *child = good ? node->children : NULL; child != NULL;
         child = child->next) {
        good = good && child->kind == XF_YAML_SCALAR;
        count++;
    }
    if (!good || count == 0 || count > count_max) {
        xf_plan_complain(reader, node, "\"%s\" must be a list of 1 to %u texts", key, count_max);
        return NULL;
    }
    *ret_count = count;
    return node->children;
}

static void read_services(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    struct xf_plan *plan = reader->plan;
    unsigned count = 0;
    const struct xf_yaml_node *entry = text_list(reader, node, "services", XF_SERVICES_MAX, &count);
    if (entry == NULL) {
        return;
    }
    plan->fence_services = calloc(count, sizeof(*plan->fence_services));
    if (plan->fence_services == NULL) {
        xf_plan_complain(reader, node, "out of memory");
        return;
    }
    for (; entry != NULL; entry = entry->next) {
        xf_plan_text(reader, entry, xf_name_valid,
                     plan->fence_services[plan->fence_services_count++]);
    }
}

static void read_methods(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    unsigned count = 0;
    const struct xf_yaml_node *entry =
        text_list(reader, node, "methods", (unsigned) XF_COUNT(methods), &count);
    for (; entry != NULL; entry = entry->next) {
        bool known = false;
        for (size_t i = 0; i < XF_COUNT(methods); i++) {
            if (strcmp(methods[i].name, entry->scalar) == 0) {
                reader->plan->fence_methods |= 1u << methods[i].method;
                known = true;
            }
        }
        if (!known) {
            xf_plan_complain(reader, entry, "\"%s\" is no method that a fence knows",
                             entry->scalar);
        }
    }
}

static void read_allow(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    struct xf_plan *plan = reader->plan;
    unsigned count = 0;
    const struct xf_yaml_node *entry =
        text_list(reader, node, "allow_paths", XF_FENCE_PATHS_MAX, &count);
    if (entry == NULL) {
        return;
    }
    plan->fence_allow = calloc(count, sizeof(*plan->fence_allow));
    if (plan->fence_allow == NULL) {
        xf_plan_complain(reader, node, "out of memory");
        return;
    }
    for (; entry != NULL; entry = entry->next) {
        if (entry->scalar[0] != '/' || strlen(entry->scalar) >= XF_FENCE_PATH_BYTES) {
            xf_plan_complain(reader, entry,
                             "a path begins with / and has fewer than %u bytes; * is one segment",
                             XF_FENCE_PATH_BYTES);
            continue;
        }
        char *path = strdup(entry->scalar);
        if (path == NULL) {
            xf_plan_complain(reader, entry, "out of memory");
            return;
        }
        plan->fence_allow[plan->fence_allow_count++] = path;
    }
}

void xf_plan_fence_read(struct xf_plan_reader *reader, const struct xf_yaml_node *node)
{
    static const char *const keys[] = {"services", "methods", "allow_paths"};
    if (node == NULL || !xf_plan_keys(reader, node, "fence", keys, XF_COUNT(keys))) {
        return;
    }
    const struct xf_yaml_node *services = xf_yaml_get(node, "services");
    const struct xf_yaml_node *method_list = xf_yaml_get(node, "methods");
    const struct xf_yaml_node *allow = xf_yaml_get(node, "allow_paths");
    reader->plan->fence_on = true;
    if (services == NULL) {
        xf_plan_complain(reader, node, "\"services\" is missing: which services are fenced?");
    } else {
        read_services(reader, services);
    }
    if (method_list != NULL) {
        read_methods(reader, method_list);
    } else {
        reader->plan->fence_methods = 1u << XF_METHOD_POST | 1u << XF_METHOD_PUT |
                                      1u << XF_METHOD_PATCH | 1u << XF_METHOD_DELETE;
    }
    if (allow != NULL) {
        read_allow(reader, allow);
    }
}

void xf_plan_fence_write(json_t *root, const struct xf_plan *plan, bool *ok)
{
    if (!plan->fence_on) {
        return;
    }
    json_t *services = json_array();
    json_t *names = json_array();
    json_t *allow = json_array();
    for (unsigned i = 0; i < plan->fence_services_count; i++) {
        *ok = json_array_append_new(services, json_string(plan->fence_services[i])) == 0 && *ok;
    }
    for (size_t i = 0; i < XF_COUNT(methods); i++) {
        if ((plan->fence_methods >> methods[i].method & 1) != 0) {
            *ok = json_array_append_new(names, json_string(methods[i].name)) == 0 && *ok;
        }
    }
    for (unsigned i = 0; i < plan->fence_allow_count; i++) {
        *ok = json_array_append_new(allow, json_string(plan->fence_allow[i])) == 0 && *ok;
    }
    json_t *fence = json_pack("{s:o, s:o}", "services", services, "methods", names);
    if (plan->fence_allow_count > 0) {
        *ok = json_object_set(fence, "allow_paths", allow) == 0 && *ok;
    }
    json_decref(allow);
    *ok = json_object_set_new(root, "fence", fence) == 0 && *ok;
}
