/*
 * acceptor.c -- see acceptor.h.
 */
#include "proxy/worker/acceptor.h"

#include "proxy/worker/client.h"
#include "proxy/worker/pool.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH        64u  /* connections accepted in one turn from one socket */
#define PATIENCE     8u   /* full batches before more is expected */
#define EMPTY_ROUNDS 16u  /* batches taken from a queue that is about to be left */
#define PAUSE_MS     100u /* after a descriptor could not be had, or at the limit */

struct entry {
    struct event event;
    struct xf_acceptor *acceptor;
    int fd;
    unsigned listener;
    unsigned expected; /* connections to take before the loop is asked again, at most BATCH */
    unsigned full;     /* times in a row that so many were there */
    bool wanted;       /* its slot was added */
    bool added;        /* it is in the loop */
};

struct xf_acceptor {
    struct xf_engine *engine;
    unsigned slots, listeners;
    struct entry *entries; /* [slot][listener] */
    struct event wake;     /* ends a pause, so that nobody has to happen by */
    uint64_t paused_until_ms;
    bool paused;
    bool full; /* by the limit of connections: it is over as soon as one ends */
};

static void take_out(struct entry *entry)
{
    if (entry->added) {
        (void) event_del(&entry->event);
        entry->added = false;
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct xf_acceptor *acceptor = arg;
    (void) fd;
    (void) what;
    xf_engine_enter(acceptor->engine); /* the turn's end reviews the pause */
}

static void pause_all(struct xf_acceptor *acceptor, bool full)
{
    (void) evtimer_add(&acceptor->wake, &(struct timeval){.tv_usec = (PAUSE_MS + 5) * 1000});
    acceptor->paused = true;
    acceptor->full = full;
    acceptor->paused_until_ms = acceptor->engine->now_ms + PAUSE_MS;
    for (unsigned i = 0; i < acceptor->slots * acceptor->listeners; i++) {
        take_out(&acceptor->entries[i]);
    }
}

static bool out_of_means(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* A call that finds nothing costs as much as one that does, and a socket that still has connections
 * is reported again by the next turn.  So no more are taken than were there of late. */
static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct entry *entry = arg;
    struct xf_acceptor *acceptor = entry->acceptor;
    struct xf_engine *engine = acceptor->engine;
    (void) what;
    xf_engine_enter(engine);
    for (unsigned i = 0; i < entry->expected; i++) {
        if (engine->clients_count >= engine->clients_max && !xf_client_shed(engine)) {
            pause_all(acceptor, true);
            return;
        }
        struct sockaddr_storage peer;
        socklen_t length = sizeof(peer);
        memset(&peer, 0, sizeof(peer.ss_family));
        int client = accept4(fd, (struct sockaddr *) &peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            xf_client_accept(engine, client, entry->listener, &peer);
            continue;
        }
        if ((errno == EMFILE || errno == ENFILE) &&
            (xf_pool_shed(engine) || xf_client_shed(engine))) {
            continue;
        }
        if (out_of_means(errno)) {
            xf_log_limited(&engine->log_limit, 1, XF_LOG_WARNING, "accept.paused",
                           "reason=\"%s\" clients=%llu", strerror(errno),
                           (unsigned long long) engine->clients_count);
            pause_all(acceptor, false);
        }
        if (errno != EINTR && errno != ECONNABORTED) {
            entry->expected = i > 0 ? i : 1;
            entry->full = 0;
            return;
        }
    }
    if (++entry->full == PATIENCE) {
        entry->expected = entry->expected < BATCH / 2 ? 2 * entry->expected : BATCH;
        entry->full = 0;
    }
}

int xf_acceptor_create(struct xf_engine *engine, const struct xf_worker_start *start,
                       struct xf_acceptor **ret, struct xf_error *err)
{
    struct xf_acceptor *acceptor = calloc(1, sizeof(*acceptor));
    size_t count = (size_t) start->slots * start->config->listeners_count;
    struct entry *entries = calloc(count, sizeof(*entries));
    if (acceptor == NULL || entries == NULL) {
        free(acceptor);
        free(entries);
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for the listeners");
    }
    *acceptor = (struct xf_acceptor){.engine = engine,
                                     .slots = start->slots,
                                     .listeners = start->config->listeners_count,
                                     .entries = entries};
    for (size_t i = 0; i < count; i++) {
        int on = 1;
        entries[i].acceptor = acceptor;
        entries[i].fd = start->listen_fds[i];
        entries[i].listener = (unsigned) (i % acceptor->listeners);
        entries[i].expected = 1;
        if (entries[i].fd >= 0) { /* inherited by what is accepted */
            (void) setsockopt(entries[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            /* Accepted with its first bytes, or after a second without any. */
            (void) setsockopt(entries[i].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof(on));
            unsigned service = start->config->listeners[entries[i].listener].service;
            xf_conn_keep_alive(entries[i].fd, start->config->services[service].timeouts.send);
        }
        (void) event_assign(&entries[i].event, engine->loop, entries[i].fd, EV_READ | EV_PERSIST,
                            on_connection, &entries[i]);
    }
    (void) evtimer_assign(&acceptor->wake, engine->loop, on_wake, acceptor);
    *ret = acceptor;
    return 0;
}

void xf_acceptor_destroy(struct xf_acceptor *acceptor)
{
    if (acceptor != NULL) {
        xf_acceptor_remove_all(acceptor);
        (void) event_del(&acceptor->wake);
        free(acceptor->entries);
        free(acceptor);
    }
}

static void put_in(struct xf_acceptor *acceptor, struct entry *entry)
{
    if (!entry->added && !acceptor->paused && entry->fd >= 0) {
        entry->added = event_add(&entry->event, NULL) == 0;
    }
}

/* A socket that stands in several slots (from systemd) is in the loop once. */
static bool is_added(const struct xf_acceptor *acceptor, int fd)
{
    for (unsigned i = 0; i < acceptor->slots * acceptor->listeners; i++) {
        if (acceptor->entries[i].fd == fd && acceptor->entries[i].added) {
            return true;
        }
    }
    return false;
}

static void apply(struct xf_acceptor *acceptor)
{
    for (unsigned i = 0; i < acceptor->slots * acceptor->listeners; i++) {
        struct entry *entry = &acceptor->entries[i];
        if (!entry->wanted) {
            take_out(entry);
        }
    }
    for (unsigned i = 0; i < acceptor->slots * acceptor->listeners; i++) {
        struct entry *entry = &acceptor->entries[i];
        if (entry->wanted && !is_added(acceptor, entry->fd)) {
            put_in(acceptor, entry);
        }
    }
}

static void want(struct xf_acceptor *acceptor, uint64_t slot, bool wanted)
{
    if (slot < acceptor->slots) {
        for (unsigned i = 0; i < acceptor->listeners; i++) {
            acceptor->entries[slot * acceptor->listeners + i].wanted = wanted;
        }
        apply(acceptor);
    }
}

void xf_acceptor_add(struct xf_acceptor *acceptor, uint64_t slot)
{
    want(acceptor, slot, true);
}

void xf_acceptor_remove(struct xf_acceptor *acceptor, uint64_t slot)
{
    want(acceptor, slot, false);
}

void xf_acceptor_remove_all(struct xf_acceptor *acceptor)
{
    for (unsigned slot = 0; slot < acceptor->slots; slot++) {
        want(acceptor, slot, false);
    }
}

void xf_acceptor_empty_queues(struct xf_acceptor *acceptor)
{
    for (unsigned i = 0; i < acceptor->slots * acceptor->listeners; i++) {
        struct entry *entry = &acceptor->entries[i];
        for (unsigned round = 0; round < EMPTY_ROUNDS && entry->added; round++) {
            entry->expected = BATCH;
            on_connection(entry->fd, EV_READ, entry);
        }
    }
}

void xf_acceptor_close_all(struct xf_acceptor *acceptor)
{
    xf_acceptor_remove_all(acceptor);
    for (unsigned i = 0; i < acceptor->slots * acceptor->listeners; i++) {
        int fd = acceptor->entries[i].fd;
        for (unsigned j = i; j < acceptor->slots * acceptor->listeners && fd >= 0; j++) {
            if (acceptor->entries[j].fd == fd) {
                acceptor->entries[j].fd = -1;
            }
        }
        if (fd >= 0) {
            (void) close(fd);
        }
    }
}

void xf_acceptor_review(struct xf_acceptor *acceptor)
{
    struct xf_engine *engine = acceptor->engine;
    bool room = acceptor->full && engine->clients_count < engine->clients_max;
    if (acceptor->paused && (room || engine->now_ms >= acceptor->paused_until_ms)) {
        acceptor->paused = false;
        apply(acceptor);
    }
}
