/*
 * control_drain.c -- `drain`: an order to empty a cluster, beside the policy.
 *
 * One order stands at a time; the next one takes its place.  It concerns what is on the cluster
 * when it comes in force, so it needs no end of its own.
 */
#include "shifter/control/control_parts.h"
#include "shifter/control/drain_wish.h"

#include "config/values.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_RATE 20.0 /* a second: where neither order, plan nor configuration has one */

static bool of_service(const struct xf_config *config, const char *service, const char *cluster)
{
    int place = xf_config_find_service(config, service);
    int number = xf_config_find_cluster(config, cluster);
    return place >= 0 && number >= 0 &&
           xf_config_pair(config, (unsigned) place, (unsigned) number) >= 0;
}

/* The cluster that is meant; NULL: refused. */
static const char *choose_cluster(struct xf_verb_call *call)
{
    const json_t *named = json_object_get(call->command->arguments, "cluster");
    if (named != NULL && !json_is_null(named)) {
        const char *name = json_string_value(named);
        if (name == NULL || !of_service(call->facts->config, call->document->service, name)) {
            xf_decision_refuse(call->ret, 2, "drain: service %s has no cluster \"%.60s\"",
                               call->document->service, name != NULL ? name : "");
            return NULL;
        }
        return name;
    }
    const struct xf_document *document = call->document;
    const char *emptied = xf_drain_by_policy(document, false, 0);
    if (emptied == NULL && document->drain.cluster[0] != '\0') {
        emptied = document->drain.cluster;
    }
    bool left = document->weight == XF_WEIGHT_FULL && document->from[0] != '\0';
    emptied = emptied == NULL && left ? document->from : emptied;
    if (emptied == NULL) {
        xf_decision_refuse(call->ret, 6,
                           "drain: traffic has left no cluster in state %s; name one: drain "
                           "--cluster NAME",
                           xf_cutover_state_name(document->state));
    }
    return emptied;
}

/* Pace and limit of the order; false: refused. */
static bool read_pace(struct xf_verb_call *call, struct xf_document_drain *ret)
{
    const json_t *rate = json_object_get(call->command->arguments, "rate");
    const struct xf_config_drain *drain = xf_control_drain(call->document, call->facts->config);
    bool now = json_is_true(json_object_get(call->command->arguments, "now"));
    bool rated = rate != NULL && !json_is_null(rate);
    double per_second = drain->rate > 0 ? drain->rate : DEFAULT_RATE;
    if (rated && (!json_is_string(rate) || !xf_value_rate(json_string_value(rate), &per_second))) {
        xf_decision_refuse(call->ret, 2, "drain: a rate is a number per s, m or h, such as 20/s");
        return false;
    }
    if (now && rated) {
        xf_decision_refuse(call->ret, 2, "drain: a rate or now, not both");
        return false;
    }
    bool by_deadline = !now && !rated && drain->policy == XF_DRAIN_DEADLINE;
    ret->rate_milli = now ? XF_DRAIN_UNBOUNDED : by_deadline ? 0 : xf_drain_milli(per_second);
    ret->after_ms = now ? 0 : by_deadline ? drain->deadline_ms : -1;
    return true;
}

static void say(struct xf_verb_call *call, const struct xf_document_drain *order)
{
    char pace[64] = "at once";
    char text[XF_DURATION_TEXT_BYTES];
    if (order->rate_milli != XF_DRAIN_UNBOUNDED && order->rate_milli > 0) {
        (void) snprintf(pace, sizeof(pace), "at %.4g/s", order->rate_milli / 1000.0);
    } else if (order->after_ms > 0) {
        (void) snprintf(pace, sizeof(pace), "within %s", xf_format_duration(order->after_ms, text));
    }
    xf_change_say(&call->change, "%s is drained %s by %s", order->cluster, pace,
                  call->command->actor);
}

void xf_verb_drain(struct xf_verb_call *call)
{
    struct xf_document_drain order = {.number = call->document->drain.number + 1};
    const char *cluster = read_pace(call, &order) ? choose_cluster(call) : NULL;
    if (cluster == NULL || !xf_verb_begin(call)) {
        return;
    }
    (void) snprintf(order.cluster, sizeof(order.cluster), "%s", cluster);
    call->change.after->drain = order;
    say(call, &order);
    xf_change_finish(&call->change, call->ret);
}

void xf_change_empty_green(struct xf_change *change)
{
    struct xf_document *after = change->after;
    if (after == NULL || strcmp(after->drain.cluster, after->to) == 0) {
        return; /* what an operator ordered for it stands */
    }
    const struct xf_config_drain *drain = xf_control_drain(after, change->facts->config);
    if (drain->policy == XF_DRAIN_NATURAL) {
        return;
    }
    bool paced = drain->policy == XF_DRAIN_PACED;
    after->drain.number++;
    memcpy(after->drain.cluster, after->to, sizeof(after->to));
    after->drain.rate_milli = paced ? xf_drain_milli(drain->rate) : 0;
    after->drain.after_ms = paced ? -1 : drain->deadline_ms;
}
