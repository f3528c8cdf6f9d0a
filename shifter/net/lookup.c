/*
 * lookup.c -- see lookup.h.
 *
 * c-ares says which sockets it wants watched; each gets an event.  Its callback may run inside
 * ares_getaddrinfo, so the result is kept and told from the loop.
 */
#include "shifter/net/lookup.h"

#include <ares.h>
#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_MAGIC 0x6c6f6f6bu
#define SOCKETS_MAX  16u
#define TRY_MS       1000 /* of one server */
#define TRIES        2

static_assert(sizeof(struct sockaddr_in) == 16 && sizeof(struct sockaddr_in6) == 28,
              "xf_address_bytes knows both");

struct watched {
    int fd; /* -1: free */
    struct event *event;
};

struct xf_lookup {
    unsigned magic;
    struct event_base *loop;
    ares_channel channel;
    bool channel_made;
    struct event *tick; /* c-ares' own time limits */
    struct event *told; /* delivers the result, or the deadline */
    struct watched watched[SOCKETS_MAX];
    uint16_t port;
    bool finished;
    bool destroying;
    struct sockaddr_storage addresses[XF_LOOKUP_ADDRESSES_MAX];
    size_t count;
    unsigned ttl_s;
    char why[128];
    xf_lookup_done *done;
    void *context;
};

static void next_tick(struct xf_lookup *lookup)
{
    struct timeval most = {TRY_MS / 1000, 0};
    struct timeval room;
    struct timeval *wait = ares_timeout(lookup->channel, &most, &room);
    event_add(lookup->tick, wait);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_lookup *lookup = arg;
    XF_ASSERT(lookup->magic == LOOKUP_MAGIC);
    ares_process_fd(lookup->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (!lookup->finished) {
        next_tick(lookup);
    }
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct xf_lookup *lookup = arg;
    XF_ASSERT(lookup->magic == LOOKUP_MAGIC);
    ares_process_fd(lookup->channel, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

static void unwatch(struct watched *watched)
{
    if (watched->event != NULL) {
        event_free(watched->event);
    }
    *watched = (struct watched){.fd = -1};
}

/* c-ares wants `fd` watched for these, or no longer where both are 0. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct xf_lookup *lookup = arg;
    struct watched *place = NULL;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct watched *watched = &lookup->watched[i];
        if (watched->fd == fd) {
            unwatch(watched);
        }
        if (watched->fd < 0 && place == NULL) {
            place = watched;
        }
    }
    short what = (short) ((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    if (what == 0 || place == NULL || lookup->destroying) {
        return; /* without a place the deadline ends it */
    }
    place->event = event_new(lookup->loop, fd, (short) (what | EV_PERSIST), on_socket, lookup);
    if (place->event != NULL && event_add(place->event, NULL) == 0) {
        place->fd = fd;
    } else {
        unwatch(place);
    }
}

static void keep(struct xf_lookup *lookup, const struct ares_addrinfo_node *node)
{
    bool known = node->ai_family == AF_INET || node->ai_family == AF_INET6;
    if (!known || lookup->count == XF_LOOKUP_ADDRESSES_MAX ||
        node->ai_addrlen > sizeof(struct sockaddr_storage)) {
        return;
    }
    struct sockaddr_storage *address = &lookup->addresses[lookup->count++];
    memset(address, 0, sizeof(*address));
    memcpy(address, node->ai_addr, node->ai_addrlen);
    if (node->ai_family == AF_INET) {
        ((struct sockaddr_in *) address)->sin_port = htons(lookup->port);
    } else {
        ((struct sockaddr_in6 *) address)->sin6_port = htons(lookup->port);
    }
    unsigned ttl = node->ai_ttl > 0 ? (unsigned) node->ai_ttl : 0;
    if (lookup->count == 1 || ttl < lookup->ttl_s) {
        lookup->ttl_s = ttl;
    }
}

static void got_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    (void) timeouts;
    struct xf_lookup *lookup = arg;
    if (lookup->destroying) {
        ares_freeaddrinfo(found);
        return;
    }
    if (status != ARES_SUCCESS) {
        snprintf(lookup->why, sizeof(lookup->why), "%s", ares_strerror(status));
    }
    for (const struct ares_addrinfo_node *node = found != NULL ? found->nodes : NULL; node != NULL;
         node = node->ai_next) {
        keep(lookup, node);
    }
    ares_freeaddrinfo(found);
    if (lookup->count == 0 && lookup->why[0] == '\0') {
        snprintf(lookup->why, sizeof(lookup->why), "the name has no address");
    }
    lookup->finished = true;
    event_active(lookup->told, EV_WRITE, 0);
}

/* The result (EV_WRITE, by hand) or the deadline (EV_TIMEOUT). */
static void on_told(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_lookup *lookup = arg;
    XF_ASSERT(lookup->magic == LOOKUP_MAGIC);
    event_del(lookup->told);
    event_del(lookup->tick);
    if (!lookup->finished) {
        snprintf(lookup->why, sizeof(lookup->why), "no answer in time");
    }
    bool failed = lookup->count == 0;
    lookup->done(lookup->context, lookup->addresses, lookup->count, lookup->ttl_s,
                 failed ? lookup->why : NULL);
}

/* An address in figures is its own result.  c-ares would ask the name servers about it first, so a
 * connection would wait for them, and fail without them. */
static bool read_figures(struct xf_lookup *lookup, const char *host)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(lookup->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(lookup->port)};
    if (inet_pton(AF_INET, host, &four.sin_addr) == 1) {
        memcpy(&lookup->addresses[0], &four, sizeof(four));
    } else if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1) {
        memcpy(&lookup->addresses[0], &six, sizeof(six));
    } else {
        return false;
    }
    lookup->count = 1;
    lookup->finished = true;
    return true;
}

static int start(struct xf_lookup *lookup, const char *host, int64_t timeout_ms)
{
    struct ares_options options = {.timeout = TRY_MS,
                                   .tries = TRIES,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = lookup};
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct timeval deadline = {timeout_ms / 1000, (suseconds_t) (timeout_ms % 1000) * 1000};
    lookup->tick = evtimer_new(lookup->loop, on_tick, lookup);
    lookup->told = evtimer_new(lookup->loop, on_told, lookup);
    if (lookup->tick == NULL || lookup->told == NULL) {
        return -1;
    }
    if (read_figures(lookup, host)) {
        event_active(lookup->told, EV_WRITE, 0);
        return 0;
    }
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        return -1;
    }
    lookup->channel_made = ares_init_options(&lookup->channel, &options,
                                             ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                                 ARES_OPT_SOCK_STATE_CB) == ARES_SUCCESS;
    if (!lookup->channel_made || event_add(lookup->told, &deadline) != 0) {
        return -1;
    }
    ares_getaddrinfo(lookup->channel, host, NULL, &hints, got_addresses, lookup);
    if (!lookup->finished) {
        next_tick(lookup);
    }
    return 0;
}

int xf_lookup_start(struct event_base *loop, const char *host, uint16_t port, int64_t timeout_ms,
                    xf_lookup_done *done, void *context, struct xf_lookup **ret,
                    struct xf_error *err)
{
    struct xf_lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "lookup of %s: out of memory", host);
    }
    *lookup = (struct xf_lookup){
        .magic = LOOKUP_MAGIC, .loop = loop, .port = port, .done = done, .context = context};
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        lookup->watched[i].fd = -1;
    }
    if (start(lookup, host, timeout_ms) != 0) {
        xf_lookup_destroy(lookup);
        return XF_FAIL(err, XF_E_SYSTEM, "lookup of %s: the resolver cannot start", host);
    }
    *ret = lookup;
    return 0;
}

void xf_lookup_destroy(struct xf_lookup *lookup)
{
    if (lookup == NULL) {
        return;
    }
    lookup->destroying = true;
    if (lookup->channel_made) {
        ares_destroy(lookup->channel);
    }
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        unwatch(&lookup->watched[i]);
    }
    if (lookup->tick != NULL) {
        event_free(lookup->tick);
    }
    if (lookup->told != NULL) {
        event_free(lookup->told);
    }
    free(lookup);
}
