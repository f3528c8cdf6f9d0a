/*
 * listener.c -- binding, listening, ending.
 *
 * SO_REUSEADDR is set only once a socket listens.  Before that, a probe by another instance
 * (instance.h) must fail, and it would not if both sockets had it.  Afterwards it is needed:
 * accepted connections inherit it, and a later bind to the same address must get past those that
 * workers with another user id hold.
 */
#include "proxy/supervisor/listener.h"

#include "config/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG          65535 /* the kernel lowers it to net.core.somaxconn */
#define SYSTEMD_FIRST_FD 3
#define BINDS_MAX        (4u * XF_LISTENERS_MAX) /* of all editions at once */

static bool same_address(const struct xf_bind *bind, const struct sockaddr_storage *address,
                         socklen_t bytes)
{
    if (bind->address_bytes != bytes || bind->address.ss_family != address->ss_family) {
        return false;
    }
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const void *) &bind->address, *b = (const void *) address;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const void *) &bind->address, *b = (const void *) address;
    return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
           memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

static struct xf_bind *find_bind(const struct xf_listeners *listeners,
                                 const struct xf_endpoint *endpoint)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        if (same_address(&listeners->binds[i], &endpoint->address, endpoint->address_bytes)) {
            return &listeners->binds[i];
        }
    }
    return NULL;
}

bool xf_listeners_has(const struct xf_listeners *listeners, const struct xf_endpoint *endpoint)
{
    return find_bind(listeners, endpoint) != NULL;
}

static struct xf_bind *add_bind(struct xf_listeners *listeners)
{
    if (listeners->count == BINDS_MAX) {
        return NULL;
    }
    struct xf_bind *bind = &listeners->binds[listeners->count++];
    memset(bind, 0, sizeof(*bind));
    memset(bind->fds, -1, sizeof(bind->fds));
    return bind;
}

static void close_bind(struct xf_bind *bind)
{
    for (unsigned i = 0; i < XF_WORKERS_MAX; i++) {
        if (bind->fds[i] >= 0) {
            if (!bind->inherited) {
                /* Workers that finish their last answers may hold copies; those end with it. */
                (void) shutdown(bind->fds[i], SHUT_RDWR);
            }
            close(bind->fds[i]);
            bind->fds[i] = -1;
        }
    }
}

/* ---- systemd ---- */

static unsigned passed_fds(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t number = 0, fds = 0;
    if (pid == NULL || count == NULL || !xf_parse_uint(pid, INT32_MAX, &number) ||
        number != (uint64_t) getpid() || !xf_parse_uint(count, XF_LISTENERS_MAX, &fds)) {
        return 0;
    }
    return (unsigned) fds;
}

static int take_over(struct xf_listeners *listeners, int fd, struct xf_error *err)
{
    struct xf_bind *bind = add_bind(listeners);
    int listening = 0, on = 1;
    socklen_t bytes = sizeof(listening);
    if (bind == NULL || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) != 0 ||
        listening == 0) {
        return XF_FAIL(err, XF_E_CONFIG, "descriptor %d from systemd is no listening socket", fd);
    }
    bind->address_bytes = sizeof(bind->address);
    if (getsockname(fd, (struct sockaddr *) &bind->address, &bind->address_bytes) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "descriptor %d from systemd: %s", fd,
                       strerrordesc_np(errno));
    }
    (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bind->fds[0] = fd;
    bind->inherited = true;
    return 0;
}

int xf_listeners_init(struct xf_listeners *listeners, struct xf_error *err)
{
    *listeners = (struct xf_listeners){.binds = calloc(BINDS_MAX, sizeof(struct xf_bind))};
    if (listeners->binds == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for the listeners");
    }
    unsigned fds = passed_fds();
    for (unsigned i = 0; i < fds; i++) {
        if (take_over(listeners, SYSTEMD_FIRST_FD + (int) i, err) != 0) {
            return -1;
        }
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return 0;
}

void xf_listeners_release(struct xf_listeners *listeners)
{
    if (listeners->binds != NULL) {
        xf_listeners_drop(listeners, NULL);
        free(listeners->binds);
        listeners->binds = NULL;
    }
}

/* ---- over a re-execution ---- */

int xf_listeners_describe(const struct xf_listeners *listeners, struct xf_handed *ret,
                          struct xf_error *err)
{
    ret->bind = calloc(listeners->count + 1, sizeof(ret->bind[0]));
    if (ret->bind == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory to describe the listeners");
    }
    ret->binds = listeners->count;
    ret->slots = listeners->slots;
    for (unsigned i = 0; i < listeners->count; i++) {
        const struct xf_bind *bind = &listeners->binds[i];
        ret->bind[i] = (struct xf_handed_bind){.inherited = bind->inherited, .slots = bind->slots};
        memcpy(ret->bind[i].fds, bind->fds, sizeof(bind->fds));
    }
    return 0;
}

int xf_listeners_adopt(struct xf_listeners *listeners, const struct xf_handed *handed,
                       struct xf_error *err)
{
    for (unsigned i = 0; i < handed->binds; i++) {
        const struct xf_handed_bind *from = &handed->bind[i];
        struct xf_bind *bind = add_bind(listeners);
        if (bind == NULL) {
            return XF_FAIL(err, XF_E_FAILED, "more than %u addresses at once", BINDS_MAX);
        }
        memcpy(bind->fds, from->fds, sizeof(bind->fds));
        bind->inherited = from->inherited;
        bind->slots = from->slots;
        bind->address_bytes = sizeof(bind->address);
        if (getsockname(bind->fds[0], (struct sockaddr *) &bind->address, &bind->address_bytes) !=
            0) {
            return XF_FAIL(err, XF_E_SYSTEM, "descriptor %d is no socket: %s", bind->fds[0],
                           strerrordesc_np(errno));
        }
    }
    listeners->slots = handed->slots;
    return 0;
}

/* ---- our own ---- */

static int open_socket(const struct xf_endpoint *endpoint, int *ret, struct xf_error *err)
{
    int on = 1;
    int family = endpoint->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make a socket for %s: %s", endpoint->text,
                       strerrordesc_np(errno));
    }
    /* TCP_NODELAY is inherited by accepted connections and saves a call for each. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, (const struct sockaddr *) &endpoint->address, endpoint->address_bytes) != 0) {
        int saved = errno;
        close(fd);
        return XF_FAIL(err, XF_E_SYSTEM, "cannot bind %s: %s", endpoint->text,
                       strerrordesc_np(saved));
    }
    *ret = fd;
    return 0;
}

static int open_bind(struct xf_listeners *listeners, const struct xf_endpoint *endpoint,
                     unsigned slots, struct xf_error *err)
{
    struct xf_bind *bind = find_bind(listeners, endpoint);
    if (bind == NULL) {
        bind = add_bind(listeners);
        if (bind == NULL) {
            return XF_FAIL(err, XF_E_FAILED, "more than %u addresses at once", BINDS_MAX);
        }
        bind->address = endpoint->address;
        bind->address_bytes = endpoint->address_bytes;
    }
    for (; !bind->inherited && bind->slots < slots; bind->slots++) {
        int *fd = &bind->fds[bind->slots];
        struct xf_endpoint there = *endpoint;
        there.address = bind->address;
        if (open_socket(&there, fd, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Takes back what an open that failed half-way had added; nothing of it listens yet. */
static void roll_back(struct xf_listeners *listeners, unsigned count)
{
    while (listeners->count > count) {
        close_bind(&listeners->binds[--listeners->count]);
    }
    for (unsigned i = 0; i < count; i++) {
        struct xf_bind *bind = &listeners->binds[i];
        while (bind->slots > listeners->slots) {
            bind->slots--;
            close(bind->fds[bind->slots]);
            bind->fds[bind->slots] = -1;
        }
    }
}

int xf_listeners_open(struct xf_listeners *listeners, const struct xf_config *config,
                      unsigned workers, struct xf_error *err)
{
    unsigned slots = workers > listeners->slots ? workers : listeners->slots;
    unsigned count = listeners->count;
    XF_ASSERT(slots <= XF_WORKERS_MAX);
    for (unsigned i = 0; i < config->listeners_count; i++) {
        if (open_bind(listeners, &config->listeners[i].bind, slots, err) != 0) {
            roll_back(listeners, count);
            return -1;
        }
    }
    listeners->slots = slots;
    return 0;
}

int xf_listeners_listen(struct xf_listeners *listeners, struct xf_error *err)
{
    int on = 1;
    for (unsigned i = 0; i < listeners->count; i++) {
        struct xf_bind *bind = &listeners->binds[i];
        for (unsigned slot = 0; slot < bind->slots; slot++) {
            if (listen(bind->fds[slot], BACKLOG) != 0) {
                return XF_FAIL(err, XF_E_SYSTEM, "cannot listen: %s", strerrordesc_np(errno));
            }
            (void) setsockopt(bind->fds[slot], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        }
    }
    return 0;
}

void xf_listeners_fill(const struct xf_listeners *listeners, const struct xf_config *config,
                       int *ret_fds)
{
    for (unsigned slot = 0; slot < listeners->slots; slot++) {
        for (unsigned i = 0; i < config->listeners_count; i++) {
            const struct xf_bind *bind = find_bind(listeners, &config->listeners[i].bind);
            XF_ASSERT(bind != NULL);
            ret_fds[slot * config->listeners_count + i] = bind->fds[bind->inherited ? 0 : slot];
        }
    }
}

static bool wanted(const struct xf_bind *bind, const struct xf_config *config)
{
    for (unsigned i = 0; config != NULL && i < config->listeners_count; i++) {
        const struct xf_endpoint *endpoint = &config->listeners[i].bind;
        if (same_address(bind, &endpoint->address, endpoint->address_bytes)) {
            return true;
        }
    }
    return false;
}

static void set_on_ours(const struct xf_listeners *listeners, int level, int option, int value)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        const struct xf_bind *bind = &listeners->binds[i];
        for (unsigned slot = 0; slot < bind->slots && !bind->inherited; slot++) {
            (void) setsockopt(bind->fds[slot], level, option, &value, sizeof(value));
        }
    }
}

void xf_listeners_defer_no_more(struct xf_listeners *listeners)
{
    set_on_ours(listeners, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
}

/* Who connects finds a socket by address and interface, and none has this one.  A connection that
 * was begun before belongs to its socket already. */
void xf_listeners_shut(struct xf_listeners *listeners)
{
    set_on_ours(listeners, SOL_SOCKET, SO_BINDTOIFINDEX, INT32_MAX);
    xf_listeners_defer_no_more(listeners);
}

void xf_listeners_drop(struct xf_listeners *listeners, const struct xf_config *config)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < listeners->count; i++) {
        struct xf_bind *bind = &listeners->binds[i];
        if (wanted(bind, config)) {
            listeners->binds[kept++] = *bind;
        } else {
            close_bind(bind);
        }
    }
    listeners->count = kept;
}
