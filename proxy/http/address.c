/*
 * address.c -- see address.h.
 */
#include "proxy/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

void xf_address_from(const struct sockaddr_storage *from, struct xf_address *ret)
{
    *ret = (struct xf_address){0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) (const void *) from;
        ret->length = 4;
        memcpy(ret->bytes, &in->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) (const void *) from;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
        ret->length = mapped ? 4 : 16;
        memcpy(ret->bytes, in6->sin6_addr.s6_addr + (mapped ? 12 : 0), ret->length);
    }
}

uint16_t xf_address_port(const struct sockaddr_storage *from)
{
    if (from->ss_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *) (const void *) from)->sin_port);
    }
    return from->ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *) (const void *) from)->sin6_port)
               : 0;
}

static size_t put_decimal(char *out, unsigned value)
{
    size_t at = 0;
    if (value >= 100) {
        out[at++] = (char) ('0' + value / 100);
    }
    if (value >= 10) {
        out[at++] = (char) ('0' + value / 10 % 10);
    }
    out[at++] = (char) ('0' + value % 10);
    return at;
}

size_t xf_address_text(const struct xf_address *address, char out[XF_ADDRESS_TEXT_BYTES])
{
    out[0] = '\0';
    if (address->length == 16) {
        return inet_ntop(AF_INET6, address->bytes, out, XF_ADDRESS_TEXT_BYTES) == NULL
                   ? 0
                   : strlen(out);
    }
    if (address->length != 4) {
        return 0;
    }
    size_t at = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0) {
            out[at++] = '.';
        }
        at += put_decimal(out + at, address->bytes[i]);
    }
    out[at] = '\0';
    return at;
}

static bool in_network(const struct xf_address *address, const struct xf_config_network *network)
{
    unsigned length = network->family == AF_INET ? 4 : 16;
    if (address->length != length || network->prefix > length * 8) {
        return false;
    }
    unsigned whole = network->prefix / 8;
    if (memcmp(address->bytes, network->bytes, whole) != 0) {
        return false;
    }
    unsigned bits = network->prefix % 8;
    return bits == 0 || (address->bytes[whole] ^ network->bytes[whole]) >> (8 - bits) == 0;
}

bool xf_address_in(const struct xf_address *address, const struct xf_config_network *networks,
                   unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (in_network(address, &networks[i])) {
            return true;
        }
    }
    return false;
}
