/*
 * upstream.c -- see upstream.h.
 */
#include "proxy/upstream.h"

#include "proxy/exchange.h"
#include "proxy/pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server's address as the agent last wrote it; false: none, or it is just being written. */
static bool read_address(const struct xf_server_health *health, struct sockaddr_storage *ret,
                         socklen_t *ret_length)
{
    for (unsigned look = 0; look < 8; look++) {
        uint32_t before = atomic_load_explicit(&health->sequence, memory_order_acquire);
        uint32_t length = health->address_bytes;
        if ((before & 1) != 0 || length == 0 || length > sizeof(*ret)) {
            continue;
        }
        memcpy(ret, &health->address, sizeof(*ret));
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&health->sequence, memory_order_relaxed) == before) {
            *ret_length = length;
            return true;
        }
    }
    return false;
}

static void established(struct xf_upstream *upstream)
{
    int error = 0;
    socklen_t size = sizeof(error);
    bool failed = getsockopt(xf_conn_fd(&upstream->conn), SOL_SOCKET, SO_ERROR, &error, &size) != 0;
    upstream->connecting = false;
    xf_exchange_connected(upstream->exchange, !failed && error == 0);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct xf_upstream *upstream = arg;
    (void) fd;
    xf_engine_enter(upstream->engine);
    xf_conn_note(&upstream->conn, what);
    if (upstream->exchange == NULL) {
        /* Nothing is due on an idle connection: its end, or bytes that would poison it. */
        if ((what & (EV_READ | EV_CLOSED)) != 0) {
            xf_pool_remove(upstream);
            xf_upstream_close(upstream);
        }
        return;
    }
    if (upstream->connecting) {
        if ((what & (EV_WRITE | EV_CLOSED)) != 0) {
            established(upstream);
        }
        return;
    }
    xf_exchange_pump(upstream->exchange);
}

static int open_socket(const struct sockaddr_storage *address, socklen_t length)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *) address, length) != 0 && errno != EINPROGRESS) {
        int error = errno;
        (void) close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

struct xf_upstream *xf_upstream_dial(struct xf_engine *engine, unsigned server,
                                     struct xf_exchange *exchange)
{
    struct sockaddr_storage address;
    socklen_t length;
    if (!read_address(engine->servers[server].health, &address, &length)) {
        errno = EHOSTUNREACH;
        return NULL;
    }
    int fd = open_socket(&address, length);
    if (fd < 0) {
        return NULL;
    }
    struct xf_upstream *upstream = xf_objects_get(&engine->upstreams_memory);
    if (upstream == NULL || !xf_conn_open(&upstream->conn, engine->loop, fd, on_event, upstream)) {
        (void) close(fd);
        if (upstream != NULL) {
            xf_objects_put(&engine->upstreams_memory, upstream);
        }
        errno = ENOMEM;
        return NULL;
    }
    upstream->engine = engine;
    upstream->exchange = exchange;
    upstream->server = server;
    upstream->connecting = true;
    xf_list_init(&upstream->link);
    xf_deadline_init(&upstream->deadline);
    return upstream;
}

void xf_upstream_close(struct xf_upstream *upstream)
{
    XF_ASSERT(xf_list_empty(&upstream->link));
    xf_conn_close(&upstream->conn);
    xf_slab_put(&upstream->engine->slab, upstream->in);
    upstream->in = NULL;
    upstream->exchange = NULL;
    xf_list_append(&upstream->engine->swept_upstreams, &upstream->link);
}
