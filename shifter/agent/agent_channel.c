/*
 * agent_channel.c -- what the supervisor says to the agent.
 *
 * End of file means that the supervisor is gone: the workers end by themselves and so does the
 * agent, leaving the snapshot as it stands.
 */
#include "shifter/agent/agent_state.h"

#include "config/base/log.h"
#include "shifter/admin/admin.h"
#include "shifter/agent/admin_reexec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_all(const struct xf_channel_message *message)
{
    for (unsigned i = 0; i < message->fds_count; i++) {
        close(message->fds[i]);
    }
}

/* Every worker has ended: the fleet is told that this proxy is gone for good. */
static void leave(struct xf_agent *agent)
{
    xf_log(XF_LOG_NOTICE, "agent.leaving", "proxy=%s", agent->self.id);
    xf_agent_samples_tick(agent, true);
    xf_agent_heartbeat_send(agent, true);
    agent->left = true;
    xf_agent_start_save(agent);
    event_base_loopexit(agent->loop, &(struct timeval){.tv_usec = 200000});
}

static void take_admin(struct xf_agent *agent, const struct xf_channel_message *message)
{
    for (unsigned i = 0; i < message->fds_count; i++) {
        if (!xf_admin_listen(agent->admin, message->fds[i])) {
            xf_log(XF_LOG_ERROR, "agent.admin", "problem=\"cannot listen on the admin socket\"");
        }
    }
}

static void answer_check(struct xf_agent *agent, const struct xf_channel_message *message)
{
    struct xf_channel_message verdict = {.kind = XF_CHANNEL_VERDICT, .a = message->a};
    if (message->fds_count != 1) {
        close_all(message);
        return;
    }
    struct xf_config *config =
        xf_agent_editions_read(message->fds[0], verdict.text, sizeof(verdict.text));
    verdict.b = config != NULL &&
                xf_agent_editions_allow(agent, config, verdict.text, sizeof(verdict.text));
    xf_config_destroy(config);
    if (!xf_channel_send(agent->start->channel_fd, &verdict)) {
        xf_log(XF_LOG_ERROR, "agent.channel", "problem=\"the verdict was not sent\"");
    }
}

static void take_reload(struct xf_agent *agent, const struct xf_channel_message *message)
{
    agent->reload_ok = message->a == 1;
    xf_agent_copy(agent->reload_error, sizeof(agent->reload_error),
                  agent->reload_ok ? "" : message->text);
    xf_agent_heartbeat_send(agent, false); /* who reloads looks at the status next */
}

static void answer_ping(const struct xf_agent *agent)
{
    const struct xf_channel_message pong = {.kind = XF_CHANNEL_PONG};
    if (!xf_channel_send(agent->start->channel_fd, &pong)) {
        xf_log(XF_LOG_WARNING, "agent.channel", "problem=\"the supervisor does not listen\"");
    }
}

static void handle(struct xf_agent *agent, const struct xf_channel_message *message)
{
    switch (message->kind) {
    case XF_CHANNEL_CONFIG:
        if (message->fds_count == 1) {
            xf_agent_editions_offer(agent, message->a, message->fds[0]);
            return;
        }
        break;
    case XF_CHANNEL_EDITION:
        xf_agent_editions_add(agent, message);
        return;
    case XF_CHANNEL_EDITION_OVER:
        xf_agent_editions_remove(agent, message->a);
        if (agent->stopping && agent->editions_count == 0) {
            leave(agent);
        }
        break;
    case XF_CHANNEL_ADMIN:
        take_admin(agent, message);
        return;
    case XF_CHANNEL_CHECK:
        answer_check(agent, message);
        return;
    case XF_CHANNEL_RELOADED:
        take_reload(agent, message);
        break;
    case XF_CHANNEL_PING:
        answer_ping(agent);
        break;
    case XF_CHANNEL_REEXECED:
        xf_admin_reexec_take(agent, message);
        break;
    case XF_CHANNEL_STOPPING:
        agent->stopping = true;
        if (agent->editions_count == 0) {
            leave(agent);
        }
        break;
    default: /* WORKER_GONE needs nothing: the counter is even and stays where it is */
        break;
    }
    close_all(message);
}

static void channel_readable(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct xf_agent *agent = arg;
    struct xf_channel_message message;
    for (;;) {
        switch (xf_channel_receive(fd, &message)) {
        case XF_CHANNEL_EMPTY:
            return;
        case XF_CHANNEL_CLOSED:
            event_base_loopbreak(agent->loop);
            return;
        case XF_CHANNEL_GOT:
            handle(agent, &message);
            break;
        }
    }
}

int xf_agent_channel_open(struct xf_agent *agent, struct xf_error *err)
{
    agent->channel_event = event_new(agent->loop, agent->start->channel_fd, EV_READ | EV_PERSIST,
                                     channel_readable, agent);
    if (agent->channel_event == NULL || event_add(agent->channel_event, NULL) != 0) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "agent: no memory for the channel's event");
    }
    return 0;
}
