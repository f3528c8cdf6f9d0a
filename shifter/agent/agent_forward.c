/*
 * agent_forward.c -- the list of commands that wait, and its timer.
 */
#include "shifter/agent/agent_forward.h"

#include "config/base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAX      256u
#define RESEND_MS        2000
#define LEADERLESS_MS    10000
#define TICK_US          250000
#define UNREACHABLE_EXIT 7
#define TIMED_OUT_EXIT   124

struct xf_agent_pending {
    struct xf_list node;
    struct xf_agent_forward *forward;
    struct xf_message_command command;
    int64_t began_ms, sent_ms, led_ms, limit_ms; /* monotonic; led: a leader was last there */
    xf_agent_forwarded *done;
    void *context;
};

struct xf_agent_forward {
    struct xf_agent *agent;
    struct xf_list pending;
    unsigned count;
    struct event *tick;
};

static void tick(evutil_socket_t fd, short what, void *arg);

struct xf_agent_forward *xf_agent_forward_create(struct xf_agent *agent)
{
    struct xf_agent_forward *forward = calloc(1, sizeof(*forward));
    if (forward == NULL) {
        return NULL;
    }
    forward->agent = agent;
    xf_list_init(&forward->pending);
    forward->tick = evtimer_new(agent->loop, tick, forward);
    if (forward->tick == NULL) {
        free(forward);
        return NULL;
    }
    return forward;
}

void xf_agent_forward_cancel(struct xf_agent_pending *pending)
{
    xf_list_remove(&pending->node);
    pending->forward->count--;
    xf_message_command_release(&pending->command);
    free(pending);
}

void xf_agent_forward_destroy(struct xf_agent_forward *forward)
{
    if (forward == NULL) {
        return;
    }
    while (!xf_list_empty(&forward->pending)) {
        xf_agent_forward_cancel(
            XF_CONTAINER_OF(forward->pending.next, struct xf_agent_pending, node));
    }
    event_free(forward->tick);
    free(forward);
}

static void send_command(struct xf_agent_pending *pending)
{
    struct xf_agent *agent = pending->forward->agent;
    pending->command.sent_ms = xf_clock_wall_ms(agent->clock); /* somebody still waits for it */
    json_t *message = xf_message_command_make(&pending->command);
    if (message != NULL && agent->bus != NULL && xf_bus_send(agent->bus, message)) {
        pending->sent_ms = xf_agent_now_ms(agent);
    }
    json_decref(message);
}

struct xf_agent_pending *xf_agent_forward_send(struct xf_agent_forward *forward,
                                               const struct xf_message_command *command,
                                               int64_t limit_ms, xf_agent_forwarded *done,
                                               void *context)
{
    struct xf_agent_pending *pending =
        forward->count < PENDING_MAX ? calloc(1, sizeof(*pending)) : NULL;
    if (pending == NULL) {
        return NULL;
    }
    int64_t now_ms = xf_agent_now_ms(forward->agent);
    *pending = (struct xf_agent_pending){.forward = forward,
                                         .command = *command,
                                         .began_ms = now_ms,
                                         .sent_ms = now_ms - RESEND_MS,
                                         .led_ms = now_ms,
                                         .limit_ms = limit_ms,
                                         .done = done,
                                         .context = context};
    json_incref(pending->command.arguments);
    if (forward->count == 0) {
        evtimer_add(forward->tick, &(struct timeval){.tv_usec = TICK_US});
    }
    forward->count++;
    xf_list_append(&forward->pending, &pending->node);
    send_command(pending);
    return pending;
}

static void finish(struct xf_agent_pending *pending, const struct xf_message_reply *reply,
                   int exit_code, const char *why)
{
    xf_agent_forwarded *done = pending->done;
    void *context = pending->context;
    xf_agent_forward_cancel(pending);
    done(context, reply, exit_code, why);
}

void xf_agent_forward_answer(struct xf_agent_forward *forward, const struct xf_message_reply *reply)
{
    struct xf_list *node = forward->pending.next;
    while (node != &forward->pending) {
        struct xf_agent_pending *pending = XF_CONTAINER_OF(node, struct xf_agent_pending, node);
        node = node->next;
        if (strcmp(pending->command.request, reply->request) == 0) {
            finish(pending, reply, reply->exit, reply->message);
        }
    }
}

static void look_after(struct xf_agent_pending *pending)
{
    struct xf_agent *agent = pending->forward->agent;
    struct xf_agent_service *service = xf_agent_find(agent, pending->command.service);
    int64_t now_ms = xf_agent_now_ms(agent);
    char why[XF_SENTENCE_BYTES];
    if (service != NULL && xf_agent_bus_led(agent, service)) {
        pending->led_ms = now_ms;
    }
    if (now_ms - pending->began_ms > pending->limit_ms) {
        finish(pending, NULL, TIMED_OUT_EXIT,
               "no answer in time; the command may still take effect: look at status");
        return;
    }
    if (now_ms - pending->led_ms > LEADERLESS_MS) {
        const char *problem = xf_agent_bus_problem(agent);
        (void) snprintf(why, sizeof(why),
                        "no leader for service %s%s%.300s; traffic stays as it is, and the command "
                        "was not confirmed",
                        pending->command.service, problem[0] != '\0' ? ": " : "", problem);
        finish(pending, NULL, UNREACHABLE_EXIT, why);
        return;
    }
    if (now_ms - pending->sent_ms >= RESEND_MS) {
        send_command(pending);
    }
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_agent_forward *forward = arg;
    struct xf_list *node = forward->pending.next;
    while (node != &forward->pending) {
        struct xf_agent_pending *pending = XF_CONTAINER_OF(node, struct xf_agent_pending, node);
        node = node->next;
        look_after(pending);
    }
    if (forward->count > 0) {
        evtimer_add(forward->tick, &(struct timeval){.tv_usec = TICK_US});
    }
}
