/*
 * source_address.c -- see source_address.h.
 */
#include "shifter/net/source_address.h"

#include <arpa/inet.h>
#include <unistd.h>

bool xf_source_address(const struct sockaddr *server, socklen_t server_bytes,
                       char ret[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage own;
    socklen_t own_bytes = sizeof(own);
    int fd = socket(server->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* connect() sends nothing */
    if (fd < 0) {
        return false;
    }
    bool known = connect(fd, server, server_bytes) == 0 &&
                 getsockname(fd, (struct sockaddr *) &own, &own_bytes) == 0;
    close(fd);
    if (!known) {
        return false;
    }
    const void *raw = own.ss_family == AF_INET6
                          ? (const void *) &((struct sockaddr_in6 *) &own)->sin6_addr
                          : (const void *) &((struct sockaddr_in *) &own)->sin_addr;
    return inet_ntop(own.ss_family, raw, ret, INET6_ADDRSTRLEN) != NULL;
}
