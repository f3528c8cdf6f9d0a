/*
 * upstream.c -- see upstream.h.
 */
#include "proxy/worker/upstream.h"

#include "proxy/worker/exchange.h"
#include "proxy/worker/pool.h"
#include "proxy/http/proxy_header.h"
#include "proxy/transport/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server's address as the agent last wrote it; false: none, or it is just being written. */
static bool read_address(const struct xf_server_health *health, struct sockaddr_storage *ret,
                         socklen_t *ret_length, uint32_t *ret_sequence)
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
            *ret_sequence = before;
            return true;
        }
    }
    return false;
}

static void tell(struct xf_upstream *upstream, bool success)
{
    upstream->connecting = false;
    xf_exchange_connected(upstream->exchange, success);
}

/* The connection stands; the handshake goes on. */
static void shake(struct xf_upstream *upstream)
{
    struct xf_engine *engine = upstream->engine;
    enum xf_tls_shake shaken = xf_tls_shake(&upstream->conn);
    if (shaken == XF_SHAKE_GOES_ON) {
        return;
    }
    if (shaken == XF_SHAKE_BROKEN) {
        const struct xf_engine_server *server = &engine->servers[upstream->server];
        xf_log_limited(&engine->log_limit, 10, XF_LOG_WARNING, "upstream.tls_failed",
                       "cluster=%s server=%s why=\"%s\"",
                       engine->clusters[server->cluster].config->name,
                       server->config->endpoint.text, xf_tls_why(engine->tls));
    }
    tell(upstream, shaken == XF_SHAKE_DONE);
}

/* Tells the server who the client is.  A connection with such a header serves that client's
 * request alone: the pool does not take it. */
static bool introduce(struct xf_upstream *upstream)
{
    const struct xf_client *client = upstream->exchange->client;
    struct xf_proxy_header header = {.named = true, .client = client->address};
    struct sockaddr_storage end;
    struct xf_address peer;
    socklen_t length = sizeof(end);
    char bytes[XF_PROXY_HEADER_WRITTEN];
    if (getpeername(xf_conn_fd(&client->conn), (struct sockaddr *) &end, &length) == 0) {
        xf_address_from(&end, &peer);
        bool itself = peer.length == client->address.length &&
                      memcmp(peer.bytes, client->address.bytes, peer.length) == 0;
        header.client_port = itself ? xf_address_port(&end) : 0; /* else a balancer's */
    }
    length = sizeof(end);
    if (getsockname(xf_conn_fd(&client->conn), (struct sockaddr *) &end, &length) == 0) {
        xf_address_from(&end, &header.server);
        header.server_port = xf_address_port(&end);
    }
    if (header.server.length != header.client.length) { /* a balancer spoke for the other family */
        header.server = (struct xf_address){.length = header.client.length};
    }
    size_t written = xf_proxy_header_write(&header, bytes);
    return xf_conn_send_raw(&upstream->conn, bytes, written, MSG_MORE) == (ssize_t) written;
}

static void established(struct xf_upstream *upstream)
{
    struct xf_engine *engine = upstream->engine;
    const struct xf_config_cluster *cluster =
        engine->clusters[engine->servers[upstream->server].cluster].config;
    int error = 0;
    socklen_t size = sizeof(error);
    bool failed =
        getsockopt(xf_conn_fd(&upstream->conn), SOL_SOCKET, SO_ERROR, &error, &size) != 0 ||
        error != 0;
    failed = failed || (cluster->send_proxy && !introduce(upstream));
    if (failed || !cluster->tls.enabled) {
        tell(upstream, !failed);
    } else if (xf_tls_open_server(engine->tls, cluster, upstream->server, &upstream->conn)) {
        shake(upstream);
    } else {
        tell(upstream, false);
    }
}

/* Nothing is due on an idle connection but what TLS says for itself (a ticket, new keys): all
 * else is its end, or bytes that would poison it. */
static bool may_stay(struct xf_upstream *upstream)
{
    char byte;
    struct xf_conn *conn = &upstream->conn;
    return conn->tls != NULL && !conn->hung_up && xf_conn_receive(conn, &byte, 1) == XF_CONN_AGAIN;
}

/* Whether what comes next is read, as the beginning of an answer. */
static bool awaits_head(const struct xf_upstream *upstream)
{
    const struct xf_exchange *exchange = upstream->exchange;
    return exchange != NULL && exchange->state == XF_EXCHANGE_WAITING && !upstream->large &&
           exchange->answer == NULL && !upstream->connecting && upstream->conn.readable &&
           (upstream->conn.tls == NULL || xf_tls_hungry(&upstream->conn));
}

static void go_on(void *owner, short what)
{
    struct xf_upstream *upstream = owner;
    if (!xf_conn_flush(&upstream->conn)) {
        upstream->conn.readable = true; /* a read tells */
    }
    if (upstream->exchange == NULL) {
        if (xf_pool_has_news(upstream) && !may_stay(upstream)) {
            xf_pool_remove(upstream);
            xf_upstream_close(upstream);
        }
        return;
    }
    if (!upstream->connecting) {
        xf_exchange_server_event(upstream->exchange, what);
        if (upstream->engine->parting != NULL && xf_parting_full(upstream->engine->parting)) {
            xf_exchange_part_all(upstream->engine);
        }
    } else if (upstream->conn.tls != NULL) {
        shake(upstream);
    } else if ((what & (EV_WRITE | EV_CLOSED)) != 0) {
        established(upstream);
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct xf_upstream *upstream = arg;
    struct xf_engine *engine = upstream->engine;
    (void) fd;
    xf_engine_enter(engine);
    xf_conn_note(&upstream->conn, what);
    xf_ready_add(&engine->ready, &upstream->conn, what, awaits_head(upstream), go_on, upstream);
}

static int open_socket(const struct sockaddr_storage *address, socklen_t length, int64_t send_ms)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    xf_conn_keep_alive(fd, send_ms);
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
    uint32_t sequence;
    if (!read_address(engine->servers[server].health, &address, &length, &sequence)) {
        errno = EHOSTUNREACH;
        return NULL;
    }
    int64_t send_ms = engine->services[exchange->service].config->timeouts.send;
    int fd = open_socket(&address, length, send_ms);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && xf_pool_shed(engine)) {
        fd = open_socket(&address, length, send_ms);
    }
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
    upstream->address_sequence = sequence;
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
