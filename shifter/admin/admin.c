/*
 * admin.c -- listeners of the admin server.
 */
#include "shifter/admin/admin.h"

#include "shifter/admin/admin_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 16
#define ACCEPT_PAUSE_US  100000 /* after EMFILE and its like: a full table must not spin */

struct listener {
    struct xf_list node;
    struct xf_admin *admin;
    int fd;
    bool local;
    struct event *readable, *resume;
};

struct xf_admin *xf_admin_create(struct event_base *loop, const struct xf_clock *clock,
                                 const struct xf_admin_calls *calls)
{
    struct xf_admin *admin = calloc(1, sizeof(*admin));
    if (admin != NULL) {
        admin->loop = loop;
        admin->clock = clock;
        admin->calls = *calls;
        xf_list_init(&admin->connections);
        xf_list_init(&admin->listeners);
    }
    return admin;
}

static uid_t user_of(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) {
        return (uid_t) -1;
    }
    return peer.uid;
}

/* IPv4 as ::ffff:a.b.c.d; zeros where it is neither. */
static void read_address(const struct sockaddr_storage *from,
                         unsigned char ret[XF_ADMIN_ADDRESS_BYTES])
{
    memset(ret, 0, XF_ADMIN_ADDRESS_BYTES);
    if (from->ss_family == AF_INET6) {
        memcpy(ret, &((const struct sockaddr_in6 *) from)->sin6_addr, XF_ADMIN_ADDRESS_BYTES);
    } else if (from->ss_family == AF_INET) {
        ret[10] = ret[11] = 0xff;
        memcpy(ret + 12, &((const struct sockaddr_in *) from)->sin_addr, 4);
    }
}

static void take_client(struct listener *listener, int fd, const struct sockaddr_storage *from)
{
    struct xf_admin_peer peer = {.local = listener->local, .uid = (uid_t) -1};
    if (listener->local) {
        peer.uid = user_of(fd);
    }
    read_address(from, peer.address);
    xf_admin_connection_open(listener->admin, fd, &peer);
}

static void listener_readable(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct listener *listener = arg;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from = {0};
        socklen_t bytes = sizeof(from);
        int client = accept4(fd, (struct sockaddr *) &from, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            take_client(listener, client, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            event_del(listener->readable);
            evtimer_add(listener->resume, &(struct timeval){.tv_usec = ACCEPT_PAUSE_US});
        }
        if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void listener_resume(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct listener *listener = arg;
    event_add(listener->readable, NULL);
}

static void close_listener(struct listener *listener)
{
    xf_list_remove(&listener->node);
    if (listener->readable != NULL) {
        event_free(listener->readable);
    }
    if (listener->resume != NULL) {
        event_free(listener->resume);
    }
    close(listener->fd);
    free(listener);
}

bool xf_admin_listen(struct xf_admin *admin, int fd)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        close(fd);
        return false;
    }
    *listener = (struct listener){.admin = admin, .fd = fd};
    xf_list_init(&listener->node);
    bool named = getsockname(fd, (struct sockaddr *) &address, &bytes) == 0;
    listener->local = named && address.ss_family == AF_UNIX;
    listener->readable =
        event_new(admin->loop, fd, EV_READ | EV_PERSIST, listener_readable, listener);
    listener->resume = evtimer_new(admin->loop, listener_resume, listener);
    if (!named || listener->readable == NULL || listener->resume == NULL ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
        event_add(listener->readable, NULL) != 0) {
        close_listener(listener);
        return false;
    }
    xf_list_append(&admin->listeners, &listener->node);
    return true;
}

void xf_admin_use_tls(struct xf_admin *admin, struct ssl_ctx_st *context)
{
    SSL_CTX_free(admin->tls);
    admin->tls = context;
}

void xf_admin_destroy(struct xf_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    while (!xf_list_empty(&admin->listeners)) {
        close_listener(XF_CONTAINER_OF(admin->listeners.next, struct listener, node));
    }
    while (!xf_list_empty(&admin->connections)) {
        xf_admin_connection_close(
            XF_CONTAINER_OF(admin->connections.next, struct xf_admin_connection, node));
    }
    SSL_CTX_free(admin->tls);
    free(admin);
}
