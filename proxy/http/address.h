/*
 * address.h -- a peer's address in its shortest form, as text, and in a list of networks.
 *
 * Pure.  An IPv4 address mapped into IPv6 is IPv4 here and everywhere after.
 */
#ifndef XF_PROXY_ADDRESS_H
#define XF_PROXY_ADDRESS_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct xf_address {
    uint8_t bytes[16]; /* network order */
    uint8_t length;    /* 4 or 16; 0: neither (a unix socket) */
};

void xf_address_from(const struct sockaddr_storage *from, struct xf_address *ret);

uint16_t xf_address_port(const struct sockaddr_storage *from); /* 0 where there is none */

#define XF_ADDRESS_TEXT_BYTES 46
/* Writes the address without port or brackets; returns its length. */
size_t xf_address_text(const struct xf_address *address, char out[XF_ADDRESS_TEXT_BYTES]);

bool xf_address_in(const struct xf_address *address, const struct xf_config_network *networks,
                   unsigned count);

#endif
