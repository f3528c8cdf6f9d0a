/*
 * agent_judge.c -- when a proxy judges alone, and what it does then.
 *
 * When it is alone: Redis is gone the moment its connection is; the local bus only after 5 s,
 * because a shifter of this host that was killed is back within one; a bus that is there but has
 * no leader after 10 s, because taking over the lease needs four.
 */
#include "shifter/agent/agent_judge.h"

#include "config/base/log.h"
#include "shifter/agent/agent_local.h"
#include "shifter/agent/lone_judge.h"
#include "shifter/control/override.h"

#include <string.h>

#define SHIFTER_BACK_MS 5000
#define LEADERLESS_MS   10000

static bool may_be_judged(const struct xf_agent_service *service)
{
    const struct xf_document *document = service->document;
    return document != NULL && document->plan != NULL && service->routed &&
           document->plan->guard.without_store_retreat && document->state >= XF_CUTOVER_PREFLIGHT &&
           document->state <= XF_CUTOVER_DRAINING;
}

static bool alone(const struct xf_agent *agent, const struct xf_agent_service *service)
{
    int64_t now_ms = xf_agent_now_ms(agent);
    if (!agent->bus_up) {
        bool local = agent->config->store.kind == XF_STORE_SQLITE;
        return now_ms - agent->bus_lost_ms >= (local ? SHIFTER_BACK_MS : 0);
    }
    int64_t heard_ms = service->leader_heard_ms > 0 ? service->leader_heard_ms : agent->started_ms;
    return now_ms - heard_ms >= LEADERLESS_MS;
}

static struct xf_lone_facts facts_of(const struct xf_agent *agent, unsigned place)
{
    const struct xf_agent_service *service = &agent->services[place];
    int64_t boottime_us = agent->clock->boottime_ns(agent->clock->context) / 1000;
    return (struct xf_lone_facts){.document = service->document,
                                  .weight = service->weight,
                                  .fleet = service->fleet,
                                  .sticky =
                                      agent->config->services[place].sticky.by != XF_STICKY_NONE,
                                  .learnt = xf_agent_samples_learnt(agent, service->name),
                                  .alone = alone(agent, service),
                                  .store_ms = (boottime_us + agent->clock_offset_us) / 1000,
                                  .clock_offset_us = agent->clock_offset_us,
                                  .monotonic_ms = xf_agent_now_ms(agent)};
}

void xf_agent_judge_take(struct xf_agent *agent, unsigned service, struct xf_message_cell *cells,
                         size_t count)
{
    struct xf_lone_judge *lone = agent->services[service].lone;
    if (lone != NULL && count > 0 && may_be_judged(&agent->services[service])) {
        struct xf_lone_facts facts = facts_of(agent, service);
        xf_lone_judge_take(lone, &facts, cells, count);
    }
}

void xf_agent_judge_tick(struct xf_agent *agent)
{
    for (unsigned i = 0; i < agent->services_count; i++) {
        struct xf_agent_service *service = &agent->services[i];
        if (!may_be_judged(service)) {
            continue;
        }
        if (service->lone == NULL) {
            service->lone = xf_lone_judge_create();
        }
        struct xf_lone_facts facts = facts_of(agent, i);
        if (service->lone != NULL && xf_lone_judge_tick(service->lone, &facts)) {
            const char *sentence = xf_lone_judge_sentence(service->lone);
            char quoted[XF_LOG_QUOTE_BYTES];
            xf_log(XF_LOG_ERROR, "agent.retreat", "service=%s sentence=%s", service->name,
                   xf_log_quote(sentence, quoted));
            xf_agent_local_retreat(agent, service, sentence);
        }
    }
}

const char *xf_agent_judge_verdict(const struct xf_agent_service *service)
{
    bool stands = service->override.on && strcmp(service->override.actor, XF_OVERRIDE_JUDGE) == 0;
    return stands && service->lone != NULL ? xf_lone_judge_verdict(service->lone) : NULL;
}
