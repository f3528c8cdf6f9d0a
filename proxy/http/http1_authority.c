/*
 * http1_authority.c -- is this a host, or something that two parsers may read differently?
 */
#include "proxy/http/http1_authority.h"

#include "proxy/http/tokens.h"

#include <arpa/inet.h>
#include <string.h>

#define PORT_MAX 65535u

/*
 * reg-name: unreserved, sub-delims and whole percent escapes; every IPv4 address is one.  Returns
 * its length, which ends at a colon or the end, or 0.
 */
static size_t name_length(const char *bytes, size_t length)
{
    size_t i = 0;
    for (; i < length && bytes[i] != ':'; i++) {
        if (xf_byte_is(bytes[i], XF_BYTE_HOST)) {
            continue;
        }
        if (bytes[i] != '%' || length - i < 3 || !xf_bytes_all(bytes + i + 1, 2, XF_BYTE_HEX)) {
            return 0;
        }
        i += 2;
    }
    return i;
}

/* IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool future_valid(const char *bytes, size_t length)
{
    const char *dot = memchr(bytes, '.', length);
    if (dot == NULL || !xf_bytes_all(bytes + 1, (size_t) (dot - bytes) - 1, XF_BYTE_HEX)) {
        return false;
    }
    size_t at = (size_t) (dot - bytes) + 1;
    for (size_t i = at; i < length; i++) {
        if (bytes[i] != ':' && !xf_byte_is(bytes[i], XF_BYTE_HOST)) {
            return false;
        }
    }
    return at < length;
}

/* What stands between the brackets of an IP literal. */
static bool literal_valid(const char *bytes, size_t length)
{
    if (length > 1 && (bytes[0] == 'v' || bytes[0] == 'V')) {
        return future_valid(bytes, length);
    }
    char text[INET6_ADDRSTRLEN];
    if (length >= sizeof(text) || memchr(bytes, '\0', length) != NULL) {
        return false;
    }
    memcpy(text, bytes, length);
    text[length] = '\0';
    struct in6_addr address;
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* The length of the host at the beginning, 0 where there is none. */
static size_t host_length(const char *bytes, size_t length)
{
    if (length == 0 || bytes[0] != '[') {
        return name_length(bytes, length);
    }
    const char *close = memchr(bytes, ']', length);
    if (close == NULL || !literal_valid(bytes + 1, (size_t) (close - bytes) - 1)) {
        return 0;
    }
    return (size_t) (close - bytes) + 1;
}

bool xf_authority_valid(const char *bytes, size_t length)
{
    size_t host = host_length(bytes, length);
    if (host == 0) {
        return false;
    }
    if (host == length) {
        return true;
    }
    if (bytes[host] != ':') {
        return false;
    }
    uint64_t port;
    size_t digits = length - host - 1; /* port = *DIGIT: `host:` is valid (RFC 3986 3.2.3) */
    return digits == 0 || xf_bytes_decimal(bytes + host + 1, digits, PORT_MAX, &port);
}
