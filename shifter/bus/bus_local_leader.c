/*
 * bus_local_leader.c -- the local bus, the leader's side.
 *
 * A `state` is never queued behind an older one of its service: each link notes what it was sent
 * last and takes the newest when it has room.  So a slow agent costs a bounded queue, and one
 * that joins gets every service's last state.  Replies are queued; an agent that does not read
 * them loses its link.
 */
#include "shifter/bus/bus_kinds.h"
#include "shifter/net/link.h"

#include "config/base/list.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LEADER_MAGIC 0x626c6472u
#define PEERS_MAX    64u /* agents of one host: one, and the old and the new in a re-execution */
#define BACKLOG      16

static const struct timeval resume_after = {0, 100000};

struct last_state { /* of one service */
    char service[XF_NAME_BYTES];
    char *frame;
    size_t length;
    uint64_t number; /* +1 with each state that was published */
};

struct local_leader {
    struct xf_bus_leader base; /* first: the interface hands it back */
    unsigned magic;
    struct event_base *loop;
    struct xf_bus_leader_calls calls;
    int fd;
    struct event *acceptable;
    struct event *resume; /* accepts again after descriptors had run out */
    struct xf_list peers;
    unsigned peers_count;
    struct last_state states[XF_SERVICES_MAX];
    size_t states_count;
};

struct peer {
    struct xf_list node;
    struct local_leader *leader;
    struct xf_link *link;
    uint64_t sent[XF_SERVICES_MAX]; /* number of the state that was sent last */
};

static struct local_leader *leader_of(struct xf_bus_leader *base)
{
    struct local_leader *leader = (struct local_leader *) base;
    XF_ASSERT(leader->magic == LEADER_MAGIC);
    return leader;
}

/* Hands over the newest states that this peer has not got, while it has room. */
static void send_states(struct peer *peer)
{
    struct local_leader *leader = peer->leader;
    for (size_t i = 0; i < leader->states_count; i++) {
        struct last_state *state = &leader->states[i];
        if (peer->sent[i] == state->number) {
            continue;
        }
        if (xf_link_queued(peer->link) >= XF_LINK_QUEUE_BYTES_LOW ||
            !xf_link_send(peer->link, state->frame, state->length)) {
            return;
        }
        peer->sent[i] = state->number;
    }
}

static void peer_received(void *context, json_t *message)
{
    struct peer *peer = context;
    XF_ASSERT(peer->leader->magic == LEADER_MAGIC);
    peer->leader->calls.received(peer->leader->calls.context, message);
}

static void peer_roomy(void *context)
{
    send_states(context);
}

static void peer_destroy(struct peer *peer)
{
    xf_list_remove(&peer->node);
    peer->leader->peers_count--;
    xf_link_destroy(peer->link);
    free(peer);
}

static void tell_agents(struct local_leader *leader)
{
    if (leader->calls.agents_changed != NULL) {
        leader->calls.agents_changed(leader->calls.context, leader->peers_count);
    }
}

static void peer_closed(void *context, const char *why)
{
    (void) why;
    struct peer *peer = context;
    struct local_leader *leader = peer->leader;
    XF_ASSERT(leader->magic == LEADER_MAGIC);
    peer_destroy(peer);
    tell_agents(leader);
}

static void add_peer(struct local_leader *leader, int fd)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        close(fd);
        return;
    }
    peer->leader = leader;
    struct xf_link_calls calls = {peer_received, peer_roomy, peer_closed, peer};
    peer->link = xf_link_create(leader->loop, fd, &calls);
    if (peer->link == NULL) {
        free(peer);
        return;
    }
    xf_list_append(&leader->peers, &peer->node);
    leader->peers_count++;
    send_states(peer);
    tell_agents(leader);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct local_leader *leader = arg;
    XF_ASSERT(leader->magic == LEADER_MAGIC);
    event_add(leader->acceptable, NULL);
}

static void on_acceptable(evutil_socket_t listening, short what, void *arg)
{
    (void) what;
    struct local_leader *leader = arg;
    XF_ASSERT(leader->magic == LEADER_MAGIC);
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            event_del(leader->acceptable); /* else this loop would spin */
            event_add(leader->resume, &resume_after);
        }
        return;
    }
    if (leader->peers_count >= PEERS_MAX || !xf_bus_local_trusted(fd)) {
        close(fd);
        return;
    }
    add_peer(leader, fd);
}

/* The place of a service among the last states, made on first sight; NULL when there is none. */
static struct last_state *find_state(struct local_leader *leader, const char *service)
{
    for (size_t i = 0; i < leader->states_count; i++) {
        if (strcmp(leader->states[i].service, service) == 0) {
            return &leader->states[i];
        }
    }
    if (leader->states_count == XF_SERVICES_MAX || strlen(service) >= XF_NAME_BYTES) {
        return NULL;
    }
    struct last_state *added = &leader->states[leader->states_count++];
    snprintf(added->service, sizeof(added->service), "%s", service);
    return added;
}

static void publish_state(struct local_leader *leader, const char *service, char *frame,
                          size_t length)
{
    struct last_state *state = find_state(leader, service);
    if (state == NULL) {
        free(frame);
        return;
    }
    free(state->frame);
    state->frame = frame;
    state->length = length;
    state->number++;
    for (struct xf_list *node = leader->peers.next; node != &leader->peers; node = node->next) {
        send_states(XF_CONTAINER_OF(node, struct peer, node));
    }
}

static void local_publish(struct xf_bus_leader *base, json_t *message)
{
    struct local_leader *leader = leader_of(base);
    const char *kind = json_string_value(json_object_get(message, "kind"));
    const char *service = json_string_value(json_object_get(message, "service"));
    size_t length;
    char *frame = xf_bus_encode(message, &length);
    if (frame == NULL) {
        return;
    }
    if (kind != NULL && service != NULL && strcmp(kind, "state") == 0) {
        publish_state(leader, service, frame, length);
        return;
    }
    for (struct xf_list *node = leader->peers.next; node != &leader->peers; node = node->next) {
        xf_link_send(XF_CONTAINER_OF(node, struct peer, node)->link, frame, length);
    }
    free(frame);
}

static void local_leader_destroy(struct xf_bus_leader *base)
{
    struct local_leader *leader = leader_of(base);
    while (!xf_list_empty(&leader->peers)) {
        peer_destroy(XF_CONTAINER_OF(leader->peers.next, struct peer, node));
    }
    if (leader->acceptable != NULL) {
        event_free(leader->acceptable);
    }
    if (leader->resume != NULL) {
        event_free(leader->resume);
    }
    if (leader->fd >= 0) {
        close(leader->fd); /* the file stays: the next leader replaces it */
    }
    for (size_t i = 0; i < leader->states_count; i++) {
        free(leader->states[i].frame);
    }
    free(leader);
}

/* A listening socket in `state_dir`.  The caller is the only leader (it holds the store's lock),
 * so a file that stands there belongs to nobody. */
static int listen_in(const char *state_dir)
{
    struct sockaddr_un address;
    int folder = xf_bus_local_address(state_dir, &address);
    if (folder < 0) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void) unlink(address.sun_path);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof(address)) == 0 &&
                 chmod(address.sun_path, 0600) == 0 && listen(fd, BACKLOG) == 0;
    int why = errno;
    close(folder);
    if (!bound && fd >= 0) {
        close(fd);
        fd = -1;
    }
    errno = why;
    return fd;
}

int xf_bus_local_lead(const struct xf_config *config, struct event_base *loop,
                      const struct xf_bus_leader_calls *calls, struct xf_bus_leader **ret,
                      struct xf_error *err)
{
    struct local_leader *leader = calloc(1, sizeof(*leader));
    if (leader == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    leader->base = (struct xf_bus_leader){local_publish, local_leader_destroy};
    leader->magic = LEADER_MAGIC;
    leader->loop = loop;
    leader->calls = *calls;
    xf_list_init(&leader->peers);
    leader->fd = listen_in(config->state_dir);
    if (leader->fd < 0) {
        int why = errno;
        local_leader_destroy(&leader->base);
        return XF_FAIL(err, XF_E_SYSTEM, "bus: %s/bus.sock: %s", config->state_dir, strerror(why));
    }
    leader->acceptable = event_new(loop, leader->fd, EV_READ | EV_PERSIST, on_acceptable, leader);
    leader->resume = evtimer_new(loop, on_resume, leader);
    if (leader->acceptable == NULL || leader->resume == NULL ||
        event_add(leader->acceptable, NULL) != 0) {
        local_leader_destroy(&leader->base);
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    *ret = &leader->base;
    return 0;
}
