/*
 * source_address.h -- the address that a server sees when this host connects to it.
 *
 * Asked of the kernel's routes alone: nothing is sent, nothing blocks.
 */
#ifndef XF_SHIFTER_SOURCE_ADDRESS_H
#define XF_SHIFTER_SOURCE_ADDRESS_H

#include "config/base/check.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* False: there is no way to `server`. */
XF_NODISCARD bool xf_source_address(const struct sockaddr *server, socklen_t server_bytes,
                                    char ret[INET6_ADDRSTRLEN]);

#endif
