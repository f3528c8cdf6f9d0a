/*
 * plan_check.c -- does everything that a plan names stand in the configuration?
 */
#include "shifter/plan/plan_parts.h"

#include "config/yaml.h"

#include <string.h>

static bool serves(const struct xf_config *config, const struct xf_config_service *service,
                   const char *cluster)
{
    for (unsigned i = 0; i < service->clusters_count; i++) {
        if (strcmp(config->clusters[service->clusters[i]].name, cluster) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_cluster(const struct xf_config *config, const struct xf_config_service *service,
                          const char *key, const char *cluster, struct xf_problems *problems)
{
    if (xf_config_find_cluster(config, cluster) < 0) {
        xf_problems_add(problems, 0, 0, false, "\"%s\": no cluster \"%s\" in the configuration",
                        key, cluster);
        return false;
    }
    if (!serves(config, service, cluster)) {
        xf_problems_add(problems, 0, 0, false,
                        "\"%s\": cluster \"%s\" is not one of service \"%s\"", key, cluster,
                        service->name);
        return false;
    }
    return true;
}

int xf_plan_check(const struct xf_plan *plan, const struct xf_config *config,
                  struct xf_problems *problems)
{
    bool good = true;
    int index = xf_config_find_service(config, plan->service);
    if (index < 0) {
        xf_problems_add(problems, 0, 0, false, "no service \"%s\" in the configuration",
                        plan->service);
        return -1;
    }
    const struct xf_config_service *service = &config->services[index];
    if (service->follows >= 0) {
        xf_problems_add(problems, 0, 0, false,
                        "service \"%s\" follows \"%s\" and has no cutovers of its own",
                        plan->service, config->services[service->follows].name);
        good = false;
    }
    good = check_cluster(config, service, "to", plan->to, problems) && good;
    if (plan->from[0] != '\0') {
        good = check_cluster(config, service, "from", plan->from, problems) && good;
    }
    bool webhook = plan->signal_webhook[0] == '\0';
    for (unsigned i = 0; i < config->webhooks_count; i++) {
        webhook = webhook || strcmp(config->webhooks[i].name, plan->signal_webhook) == 0;
    }
    bool hook = plan->signal_hook[0] == '\0';
    for (unsigned i = 0; i < config->hooks_count; i++) {
        hook = hook || strcmp(config->hooks[i].name, plan->signal_hook) == 0;
    }
    if (!webhook) {
        xf_problems_add(problems, 0, 0, false, "signal: no webhook \"%s\" in the configuration",
                        plan->signal_webhook);
    }
    if (!hook) {
        xf_problems_add(problems, 0, 0, false, "signal: no hook \"%s\" in the configuration",
                        plan->signal_hook);
    }
    good = xf_plan_notify_check(plan, config, problems) && good;
    good = xf_plan_finalize_check(plan, config, problems) && good;
    for (unsigned i = 0; i < plan->fence_services_count; i++) {
        if (xf_config_find_service(config, plan->fence_services[i]) < 0) {
            xf_problems_add(problems, 0, 0, false, "fence: no service \"%s\" in the configuration",
                            plan->fence_services[i]);
            good = false;
        }
    }
    return good && webhook && hook ? 0 : -1;
}
