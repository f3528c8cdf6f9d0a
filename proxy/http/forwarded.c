/*
 * forwarded.c -- see forwarded.h.
 */
#include "proxy/http/forwarded.h"

#include <arpa/inet.h>
#include <string.h>

#define ELEMENT_BYTES_MAX (INET6_ADDRSTRLEN + sizeof("[]:65535"))

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* The digits behind an address, as some proxies write it. */
static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && text[digits] == '\0';
}

static bool read_v6(const char *text, struct xf_address *ret)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET6};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) (void *) &storage;
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1) {
        return false;
    }
    xf_address_from(&storage, ret); /* a mapped one becomes IPv4 */
    return true;
}

/* ADDRESS, IPV4:PORT, [IPV6] or [IPV6]:PORT. */
static bool read_address(const char *bytes, size_t length, struct xf_address *ret)
{
    char text[ELEMENT_BYTES_MAX];
    if (length == 0 || length >= sizeof(text)) {
        return false;
    }
    memcpy(text, bytes, length);
    text[length] = '\0';
    if (strlen(text) != length) {
        return false;
    }
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && (end[1] != ':' || !is_port(end + 2)))) {
            return false;
        }
        *end = '\0';
        return read_v6(text + 1, ret);
    }
    char *colon = strchr(text, ':');
    if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        return read_v6(text, ret);
    }
    if (colon != NULL) {
        if (!is_port(colon + 1)) {
            return false;
        }
        *colon = '\0';
    }
    struct in_addr in;
    if (inet_pton(AF_INET, text, &in) != 1) {
        return false;
    }
    *ret = (struct xf_address){.length = 4};
    memcpy(ret->bytes, &in, 4);
    return true;
}

/* Goes through one line from its end.  False: the search is over, `*source` is whom it found. */
static bool search_line(const char *bytes, struct xf_span line, const struct xf_networks *trusted,
                        struct xf_address *source)
{
    size_t end = line.length;
    const char *text = bytes + line.at;
    while (end > 0) {
        const char *comma = memrchr(text, ',', end);
        size_t begin = comma == NULL ? 0 : (size_t) (comma - text) + 1;
        size_t from = begin, to = end;
        while (from < to && is_blank(text[from])) {
            from++;
        }
        while (to > from && is_blank(text[to - 1])) {
            to--;
        }
        struct xf_address found;
        if (from < to) { /* an empty element is none */
            if (!read_address(text + from, to - from, &found)) {
                return false;
            }
            *source = found;
            if (!xf_address_in(&found, trusted->items, trusted->count)) {
                return false;
            }
        }
        end = begin > 0 ? begin - 1 : 0;
    }
    return true;
}

void xf_forwarded_source(const char *bytes, const struct xf_http_request *request,
                         const struct xf_field *fields, const struct xf_networks *trusted,
                         const struct xf_address *peer, struct xf_address *ret)
{
    *ret = *peer;
    uint32_t first = request->first[XF_FIELD_X_FORWARDED_FOR];
    for (uint32_t i = request->fields; first != 0 && i >= first; i--) {
        const struct xf_field *field = &fields[i - 1];
        if (field->known == XF_FIELD_X_FORWARDED_FOR &&
            !search_line(bytes, field->value, trusted, ret)) {
            return;
        }
    }
}
