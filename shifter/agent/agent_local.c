/*
 * agent_local.c -- when an order may be obeyed, and when it ends.
 *
 * An override ends when the document has taken it over (override.h); until then the document's
 * weight is not followed here, and every heartbeat names the override.
 */
#include "shifter/agent/agent_local.h"

#include "config/base/log.h"
#include "shifter/control/override.h"
#include "shifter/control/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_AWAY_MS 5000
#define LEADERLESS_MS 10000
#define SILENT_MS     4000 /* without a heartbeat the leader counts a proxy silent after 3 s */
#define SAVE_MS       500  /* most that a slow disk may delay the answer */
#define REFUSED_EXIT  6

struct xf_agent_local_wait {
    struct xf_agent *agent;
    struct event *timer;
    char service[XF_NAME_BYTES];
    struct xf_local_override override;
    bool force;
    xf_agent_local_done *done; /* NULL: nobody waits any more */
    void *context;
};

/* Whether nobody who decides for the fleet can be asked. */
static bool alone(const struct xf_agent *agent, const struct xf_agent_service *service)
{
    int64_t now_ms = xf_agent_now_ms(agent);
    if (!agent->bus_up) {
        return now_ms - agent->bus_lost_ms >= STORE_AWAY_MS;
    }
    int64_t heard_ms = service->leader_heard_ms > 0 ? service->leader_heard_ms : agent->started_ms;
    return now_ms - heard_ms >= LEADERLESS_MS;
}

/* What the state of the cutover forbids; NULL: nothing. */
static const char *state_refusal(const struct xf_document *document, bool force)
{
    if (document->state == XF_CUTOVER_FINALIZING || document->state == XF_CUTOVER_FINALIZED) {
        return "the cutover is past its point of no return";
    }
    if (!xf_status_in_cutover(document)) {
        return "no cutover runs: there is one live cluster only";
    }
    if (document->state == XF_CUTOVER_SAFE && !force) {
        return "the old cluster was signalled and may be gone; --force moves traffic to it anyway";
    }
    return NULL;
}

/* Why an order is refused; NULL: it is not. */
static const char *refusal(const struct xf_agent *agent, const struct xf_agent_service *service,
                           const struct xf_agent_local_order *order)
{
    if (service == NULL || service->document == NULL || !service->routed) {
        return "this proxy has no route for that service";
    }
    const char *forbidden = state_refusal(service->document, true); /* what no force changes */
    if (forbidden == NULL && !alone(agent, service)) {
        forbidden = "the store answers: use the verb without --local";
    }
    forbidden = forbidden != NULL ? forbidden : state_refusal(service->document, order->force);
    if (forbidden != NULL) {
        return forbidden;
    }
    if (order->weight > service->weight && !order->force) {
        return "--local moves traffic back, not forward, without --force";
    }
    return NULL;
}

/* An override that begins now. */
static struct xf_local_override make_override(const struct xf_agent *agent,
                                              const struct xf_agent_service *service,
                                              unsigned weight, const char *actor,
                                              const char *reason)
{
    struct xf_local_override override = {.on = true,
                                         .weight = weight,
                                         .base = service->version,
                                         .at_ms = xf_clock_wall_ms(agent->clock)};
    xf_uuid_make(override.id);
    xf_agent_copy(override.actor, sizeof(override.actor), actor);
    xf_agent_copy(override.reason, sizeof(override.reason), reason);
    return override;
}

/* How long blue may not be used again: the leader must count this proxy silent first. */
static int64_t silence_ms(const struct xf_agent *agent, const struct xf_agent_service *service,
                          unsigned weight)
{
    int64_t now_ms = xf_agent_now_ms(agent);
    if (service->document->state < XF_CUTOVER_DRAINING || weight == XF_WEIGHT_FULL ||
        agent->beat_sent_ms == 0 || now_ms - agent->beat_sent_ms >= SILENT_MS) {
        return 0;
    }
    return SILENT_MS - (now_ms - agent->beat_sent_ms);
}

static void obey(struct xf_agent *agent, struct xf_agent_service *service,
                 const struct xf_local_override *override)
{
    char weight[XF_WEIGHT_TEXT_BYTES], actor[XF_LOG_QUOTE_BYTES], reason[XF_LOG_QUOTE_BYTES];
    service->override = *override;
    xf_log(XF_LOG_WARNING, "agent.override", "service=%s weight=%s actor=%s reason=%s",
           service->name, xf_format_weight(override->weight, weight),
           xf_log_quote(override->actor, actor), xf_log_quote(override->reason, reason));
    xf_agent_routes_update(agent);
    xf_agent_start_save(agent);
    if (!xf_snapshot_writer_flush(agent->writer, SAVE_MS)) {
        xf_log(XF_LOG_ERROR, "agent.override_unsaved", "service=%s", service->name);
    }
}

static void tell(xf_agent_local_done *done, void *context, const struct xf_local_override *override)
{
    char message[XF_SENTENCE_BYTES], weight[XF_WEIGHT_TEXT_BYTES];
    (void) snprintf(message, sizeof(message),
                    "this proxy serves %s until the leader has taken it over; the others are "
                    "as they were",
                    xf_format_weight(override->weight, weight));
    if (done != NULL) {
        done(context, 0, message);
    }
}

static void wait_over(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_agent_local_wait *wait = arg;
    struct xf_agent_service *service = xf_agent_find(wait->agent, wait->service);
    const char *forbidden = service != NULL && service->document != NULL
                                ? state_refusal(service->document, wait->force)
                                : "this proxy has no route for that service";
    if (forbidden == NULL) { /* the leader may have come back meanwhile, and gone on */
        obey(wait->agent, service, &wait->override);
        tell(wait->done, wait->context, &wait->override);
    } else if (wait->done != NULL) {
        wait->done(wait->context, REFUSED_EXIT, forbidden);
    }
    event_free(wait->timer);
    free(wait);
}

static struct xf_agent_local_wait *begin_wait(struct xf_agent *agent, const char *service,
                                              const struct xf_local_override *override, int64_t ms,
                                              xf_agent_local_done *done, void *context)
{
    struct xf_agent_local_wait *wait = calloc(1, sizeof(*wait));
    if (wait == NULL) {
        return NULL;
    }
    *wait = (struct xf_agent_local_wait){
        .agent = agent, .override = *override, .done = done, .context = context};
    xf_agent_copy(wait->service, sizeof(wait->service), service);
    struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    wait->timer = evtimer_new(agent->loop, wait_over, wait);
    if (wait->timer == NULL || event_add(wait->timer, &delay) != 0) {
        if (wait->timer != NULL) {
            event_free(wait->timer);
        }
        free(wait);
        return NULL;
    }
    agent->muted_until_ms = xf_agent_now_ms(agent) + ms;
    return wait;
}

void xf_agent_local_detach(struct xf_agent_local_wait *wait)
{
    wait->done = NULL;
}

struct xf_agent_local_wait *xf_agent_local_order(struct xf_agent *agent,
                                                 const struct xf_agent_local_order *order,
                                                 xf_agent_local_done *done, void *context)
{
    struct xf_agent_service *service = xf_agent_find(agent, order->service);
    const char *why_not = refusal(agent, service, order);
    if (why_not != NULL) {
        done(context, REFUSED_EXIT, why_not);
        return NULL;
    }
    struct xf_local_override override =
        make_override(agent, service, order->weight, order->actor, order->reason);
    int64_t ms = silence_ms(agent, service, order->weight);
    if (ms > 0) {
        struct xf_agent_local_wait *wait =
            begin_wait(agent, service->name, &override, ms, done, context);
        if (wait != NULL) {
            wait->force = order->force;
        }
        if (wait == NULL) {
            done(context, 1, "no memory");
        }
        return wait;
    }
    obey(agent, service, &override);
    tell(done, context, &override);
    return NULL;
}

void xf_agent_local_retreat(struct xf_agent *agent, struct xf_agent_service *service,
                            const char *sentence)
{
    struct xf_local_override override =
        make_override(agent, service, 0, XF_OVERRIDE_JUDGE, sentence);
    int64_t ms = silence_ms(agent, service, 0);
    if (ms == 0) {
        obey(agent, service, &override);
    } else if (begin_wait(agent, service->name, &override, ms, NULL, NULL) == NULL) {
        xf_log(XF_LOG_ERROR, "agent.retreat_failed", "service=%s problem=\"no memory\"",
               service->name);
    }
}

void xf_agent_local_reconcile(struct xf_agent *agent, struct xf_agent_service *service)
{
    if (!service->override.on ||
        !xf_override_taken(service->document, &service->version, &service->override.base,
                           service->override.weight)) {
        return;
    }
    xf_log(XF_LOG_NOTICE, "agent.override_ended", "service=%s id=%s", service->name,
           service->override.id);
    memset(&service->override, 0, sizeof(service->override));
    agent->snapshot_due = true;
}
