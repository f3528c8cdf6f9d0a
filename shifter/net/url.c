/*
 * url.c -- see url.h.
 */
#include "shifter/net/url.h"

#include "config/base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool bytes_are_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char) *text;
        if (byte <= ' ' || byte >= 0x7f || strchr("\"<>\\^`{|}#", byte) != NULL) {
            return false;
        }
    }
    return true;
}

/* host, host:port, [v6] or [v6]:port into `ret`; false when it is none of these. */
static bool read_authority(const char *text, size_t length, struct xf_url *ret)
{
    const char *host = text;
    size_t host_length = length;
    const char *port = NULL;
    if (length == 0 || length >= sizeof(ret->authority) || memchr(text, '@', length) != NULL) {
        return false;
    }
    if (text[0] == '[') {
        const char *end = memchr(text, ']', length);
        if (end == NULL || (end + 1 < text + length && end[1] != ':')) {
            return false;
        }
        host = text + 1;
        host_length = (size_t) (end - host);
        port = end + 1 < text + length ? end + 2 : NULL;
    } else {
        const char *colon = memchr(text, ':', length);
        if (colon != NULL) {
            host_length = (size_t) (colon - text);
            port = colon + 1;
        }
    }
    if (host_length == 0 || host_length >= sizeof(ret->host)) {
        return false;
    }
    snprintf(ret->host, sizeof(ret->host), "%.*s", (int) host_length, host);
    snprintf(ret->authority, sizeof(ret->authority), "%.*s", (int) length, text);
    if (port == NULL) {
        return true;
    }
    char digits[8];
    uint64_t number = 0;
    size_t digits_length = (size_t) (text + length - port);
    if (digits_length >= sizeof(digits)) {
        return false;
    }
    snprintf(digits, sizeof(digits), "%.*s", (int) digits_length, port);
    if (!xf_parse_uint(digits, 65535, &number) || number == 0) {
        return false;
    }
    ret->port = (uint16_t) number;
    return true;
}

int xf_url_parse(const char *text, struct xf_url *ret, struct xf_error *err)
{
    static const struct {
        const char *scheme;
        bool tls;
        uint16_t port;
    } schemes[] = {{"http://", false, 80}, {"https://", true, 443}};
    struct xf_url url = {.port = 0};
    const char *rest = NULL;
    for (size_t i = 0; i < XF_COUNT(schemes); i++) {
        size_t length = strlen(schemes[i].scheme);
        if (strncasecmp(text, schemes[i].scheme, length) == 0) {
            url.tls = schemes[i].tls;
            url.port = schemes[i].port;
            rest = text + length;
        }
    }
    if (rest == NULL || !bytes_are_plain(rest)) {
        return XF_FAIL(err, XF_E_CONFIG, "not an http:// or https:// URL");
    }
    size_t length = strcspn(rest, "/?");
    const char *target = rest + length;
    if (!read_authority(rest, length, &url)) {
        return XF_FAIL(err, XF_E_CONFIG, "the URL has no usable host and port");
    }
    if (strlen(target) + 2 > sizeof(url.target)) {
        return XF_FAIL(err, XF_E_CONFIG, "the URL is too long");
    }
    snprintf(url.target, sizeof(url.target), "%s%s", target[0] == '/' ? "" : "/", target);
    *ret = url;
    return 0;
}

const char *xf_url_escape(const char *text, char *out, size_t bytes)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t used = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (used + 4 > bytes) {
            return NULL;
        }
        if (strchr(plain, *p) != NULL) {
            out[used++] = *p;
        } else {
            used += (size_t) snprintf(out + used, 4, "%%%02X", (unsigned char) *p);
        }
    }
    out[used] = '\0';
    return out;
}
