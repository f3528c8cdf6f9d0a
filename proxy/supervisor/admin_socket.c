/*
 * admin_socket.c -- opening the admin socket and port.
 */
#include "proxy/supervisor/admin_socket.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static int make_directory(const char *path, struct xf_error *err)
{
    char copy[sizeof(((struct sockaddr_un *) 0)->sun_path)];
    snprintf(copy, sizeof(copy), "%s", path);
    const char *directory = dirname(copy);
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make %s for admin.socket: %s", directory,
                       strerrordesc_np(errno));
    }
    return 0;
}

/* Removes a socket file that a dead process left. */
static int remove_stale(const struct sockaddr_un *address, struct xf_error *err)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0) {
        return 0;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return XF_FAIL(err, XF_E_SYSTEM, "admin.socket %s exists and is no socket",
                       address->sun_path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool dead = fd >= 0 && connect(fd, (const struct sockaddr *) address, sizeof(*address)) != 0 &&
                errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    if (!dead) {
        return XF_FAIL(err, XF_E_RUNNING, "already running: somebody answers at %s",
                       address->sun_path);
    }
    if (unlink(address->sun_path) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot remove the stale %s: %s", address->sun_path,
                       strerrordesc_np(errno));
    }
    return 0;
}

static int open_unix(const char *path, int *ret, struct xf_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return XF_FAIL(err, XF_E_CONFIG, "admin.socket %s is longer than %zu bytes", path,
                       sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, strlen(path));
    if (make_directory(path, err) != 0 || remove_stale(&address, err) != 0) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make admin.socket: %s", strerrordesc_np(errno));
    }
    mode_t before = umask(0117); /* 0660 from the first moment */
    int failed = bind(fd, (const struct sockaddr *) &address, sizeof(address));
    int saved = errno;
    umask(before);
    if (failed != 0 || listen(fd, BACKLOG) != 0) {
        saved = failed != 0 ? saved : errno;
        close(fd);
        return XF_FAIL(err, XF_E_SYSTEM, "cannot open admin.socket %s: %s", path,
                       strerrordesc_np(saved));
    }
    *ret = fd;
    return 0;
}

static int open_tcp(const struct xf_endpoint *endpoint, int *ret, struct xf_error *err)
{
    int on = 1;
    int family = endpoint->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, (const struct sockaddr *) &endpoint->address, endpoint->address_bytes) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return XF_FAIL(err, XF_E_SYSTEM, "cannot open admin.listen %s: %s", endpoint->text,
                       strerrordesc_np(saved));
    }
    *ret = fd;
    return 0;
}

int xf_admin_sockets_open(const struct xf_config *config, struct xf_admin_sockets *ret,
                          struct xf_error *err)
{
    struct xf_admin_sockets sockets = {.unix_fd = -1, .tcp_fd = -1};
    if (open_unix(config->admin.socket, &sockets.unix_fd, err) != 0) {
        return -1;
    }
    if (config->admin.listen.text != NULL &&
        open_tcp(&config->admin.listen, &sockets.tcp_fd, err) != 0) {
        xf_admin_sockets_close(&sockets, config);
        return -1;
    }
    *ret = sockets;
    return 0;
}

void xf_admin_sockets_close(struct xf_admin_sockets *sockets, const struct xf_config *config)
{
    if (sockets->unix_fd >= 0) {
        (void) unlink(config->admin.socket);
        close(sockets->unix_fd);
        sockets->unix_fd = -1;
    }
    if (sockets->tcp_fd >= 0) {
        close(sockets->tcp_fd);
        sockets->tcp_fd = -1;
    }
}
