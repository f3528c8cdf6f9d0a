/*
 * bus_local.c -- the local bus, the agent's side, and what both sides share.
 *
 * The socket is `bus.sock` in the state directory, mode 0600.  The agent comes back by itself
 * when the leader's process was away.
 */
#include "shifter/net/backoff.h"
#include "shifter/bus/bus_kinds.h"
#include "shifter/net/link.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define AGENT_MAGIC 0x62616774u

struct local_agent {
    struct xf_bus_agent base; /* first: the interface hands it back */
    unsigned magic;
    struct event_base *loop;
    char *state_dir;
    struct xf_bus_agent_calls calls;
    struct xf_backoff backoff;
    struct event *retry;
    struct xf_link *link; /* NULL: away */
};

int xf_bus_local_address(const char *state_dir, struct sockaddr_un *ret)
{
    int folder = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return -1;
    }
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/bus.sock", folder);
    return folder;
}

bool xf_bus_local_trusted(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static struct local_agent *agent_of(struct xf_bus_agent *base)
{
    struct local_agent *agent = (struct local_agent *) base;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    return agent;
}

static void try_later(struct local_agent *agent)
{
    struct timeval wait = xf_backoff_next(&agent->backoff);
    event_add(agent->retry, &wait);
}

static void agent_received(void *context, json_t *message)
{
    struct local_agent *agent = context;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    xf_backoff_reset(&agent->backoff); /* it is no leader that only accepts */
    agent->calls.received(agent->calls.context, message);
}

static void agent_closed(void *context, const char *why)
{
    (void) why;
    struct local_agent *agent = context;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    xf_link_destroy(agent->link);
    agent->link = NULL;
    try_later(agent);
    agent->calls.connected(agent->calls.context, false);
}

/* A connected socket, or -1.  A unix socket connects at once or not at all. */
static int connect_once(const char *state_dir)
{
    struct sockaddr_un address;
    int folder = xf_bus_local_address(state_dir, &address);
    if (folder < 0) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0 &&
                     xf_bus_local_trusted(fd);
    close(folder);
    if (!connected && fd >= 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void on_retry(evutil_socket_t ignored, short what, void *arg)
{
    (void) ignored;
    (void) what;
    struct local_agent *agent = arg;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    struct xf_link_calls calls = {agent_received, NULL, agent_closed, agent};
    int fd = connect_once(agent->state_dir);
    if (fd >= 0) {
        agent->link = xf_link_create(agent->loop, fd, &calls);
    }
    if (agent->link == NULL) {
        try_later(agent);
        return;
    }
    agent->calls.connected(agent->calls.context, true);
}

static bool local_send(struct xf_bus_agent *base, json_t *message)
{
    struct local_agent *agent = agent_of(base);
    if (agent->link == NULL) {
        return false;
    }
    size_t length;
    char *frame = xf_link_encode(message, &length);
    /* A leader that is slow must not cost the link: what does not fit is not sent. */
    bool sent = frame != NULL && xf_link_queued(agent->link) + length <= XF_LINK_QUEUE_BYTES_MAX &&
                xf_link_send(agent->link, frame, length);
    free(frame);
    return sent;
}

static void local_agent_destroy(struct xf_bus_agent *base)
{
    struct local_agent *agent = agent_of(base);
    xf_link_destroy(agent->link);
    if (agent->retry != NULL) {
        event_free(agent->retry);
    }
    free(agent->state_dir);
    free(agent);
}

int xf_bus_local_follow(const struct xf_config *config, struct event_base *loop,
                        const struct xf_bus_agent_calls *calls, struct xf_bus_agent **ret,
                        struct xf_error *err)
{
    struct local_agent *agent = calloc(1, sizeof(*agent));
    if (agent == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    *agent = (struct local_agent){.base = {local_send, local_agent_destroy},
                                  .magic = AGENT_MAGIC,
                                  .loop = loop,
                                  .calls = *calls,
                                  .backoff = {.ms_min = 20, .ms_max = 500}};
    agent->state_dir = strdup(config->state_dir);
    agent->retry = evtimer_new(loop, on_retry, agent);
    if (agent->state_dir == NULL || agent->retry == NULL) {
        local_agent_destroy(&agent->base);
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    event_active(agent->retry, EV_TIMEOUT, 0);
    *ret = &agent->base;
    return 0;
}
