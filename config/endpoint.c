/*
 * endpoint.c -- host and port as people write them.
 */
#include "config/endpoint.h"

#include "config/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* Labels of letters, digits, dashes and underscores; a name of digits and dots alone would be a
 * mistyped address. */
static bool host_name_valid(const char *host)
{
    size_t label = 0;
    bool letters = false;
    for (const char *p = host; *p != '\0'; p++) {
        bool letter =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '_';
        bool digit = *p >= '0' && *p <= '9';
        if (*p == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
            continue;
        }
        if ((!letter && !digit) || (label == 0 && *p == '-') || ++label > 63) {
            return false;
        }
        letters = letters || letter;
    }
    return letters && host[0] != '\0';
}

/* Fills `address` when `host` is numeric; returns its size, 0 where it is not. */
static socklen_t numeric_address(const char *host, uint16_t port, bool v6,
                                 struct sockaddr_storage *address)
{
    *address = (struct sockaddr_storage){0};
    if (v6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) (void *) address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 ? sizeof(*in6) : 0;
    }
    struct sockaddr_in *in = (struct sockaddr_in *) (void *) address;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? sizeof(*in) : 0;
}

bool xf_endpoint_split(const char *text, char ret_host[XF_HOST_BYTES], uint16_t *ret_port)
{
    bool v6 = text[0] == '[';
    const char *host = v6 ? text + 1 : text;
    const char *end = v6 ? strchr(text, ']') : strchr(text, ':');
    if (end == NULL || end == host || end - host >= XF_HOST_BYTES) {
        return false;
    }
    const char *colon = v6 ? end + 1 : end;
    uint64_t port;
    if (*colon != ':' || !xf_parse_uint(colon + 1, 65535, &port) || port == 0 ||
        strlen(colon + 1) > 5) {
        return false;
    }
    char copy[XF_HOST_BYTES] = {0};
    memcpy(copy, host, (size_t) (end - host));
    struct sockaddr_storage address;
    if (numeric_address(copy, 0, v6, &address) == 0 && (v6 || !host_name_valid(copy))) {
        return false;
    }
    memcpy(ret_host, copy, sizeof(copy));
    *ret_port = (uint16_t) port;
    return true;
}

bool xf_endpoint_parse(const char *text, struct xf_arena *arena, struct xf_endpoint *ret)
{
    char host[XF_HOST_BYTES];
    struct xf_endpoint endpoint = {0};
    if (!xf_endpoint_split(text, host, &endpoint.port)) {
        return false;
    }
    endpoint.text = xf_arena_copy(arena, text, strlen(text));
    endpoint.host = xf_arena_copy(arena, host, strlen(host));
    if (endpoint.text == NULL || endpoint.host == NULL) {
        return false;
    }
    endpoint.address_bytes =
        numeric_address(host, endpoint.port, text[0] == '[', &endpoint.address);
    endpoint.numeric = endpoint.address_bytes > 0;
    *ret = endpoint;
    return true;
}

bool xf_endpoint_equal(const struct xf_endpoint *a, const struct xf_endpoint *b)
{
    if (a->numeric != b->numeric || a->port != b->port) {
        return false;
    }
    if (!a->numeric) {
        return strcasecmp(a->host, b->host) == 0;
    }
    return a->address_bytes == b->address_bytes &&
           memcmp(&a->address, &b->address, a->address_bytes) == 0;
}
