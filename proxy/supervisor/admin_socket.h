/*
 * admin_socket.h -- the sockets that operators and monitoring reach; opened by the supervisor,
 * answered by the agent.
 */
#ifndef XF_PROXY_ADMIN_SOCKET_H
#define XF_PROXY_ADMIN_SOCKET_H

#include "config/base/error.h"
#include "config/config.h"

struct xf_admin_sockets {
    int unix_fd;
    int tcp_fd; /* -1: admin.listen is not set */
};

/* Opens admin.socket (mode 0660; its directory is made where the parent exists; a socket file that
 * nobody answers is replaced) and admin.listen.  XF_E_RUNNING: somebody answers there. */
XF_NODISCARD int xf_admin_sockets_open(const struct xf_config *config, struct xf_admin_sockets *ret,
                                       struct xf_error *err);
/* Closes both and removes the socket file. */
void xf_admin_sockets_close(struct xf_admin_sockets *sockets, const struct xf_config *config);

#endif
