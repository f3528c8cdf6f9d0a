/*
 * cookies.c -- reads Cookie lines; a malformed pair is only a pair of another name.
 */
#include "proxy/http/cookies.h"

#include "proxy/http/fields.h"
#include "proxy/http/tokens.h"

#include <string.h>

static struct xf_span trim(const char *bytes, struct xf_span span)
{
    while (span.length > 0 && xf_byte_is_space(bytes[span.at])) {
        span.at++;
        span.length--;
    }
    while (span.length > 0 && xf_byte_is_space(bytes[span.at + span.length - 1])) {
        span.length--;
    }
    return span;
}

bool xf_cookie_next(const char *bytes, struct xf_span line, uint32_t *at, struct xf_cookie *ret)
{
    if (*at > line.length) {
        return false;
    }
    struct xf_span pair = {line.at + *at, line.length - *at};
    const char *semicolon = memchr(bytes + pair.at, ';', pair.length);
    if (semicolon != NULL) {
        pair.length = (uint32_t) (semicolon - (bytes + pair.at));
    }
    *at += pair.length + 1;
    pair = trim(bytes, pair);
    const char *equals = memchr(bytes + pair.at, '=', pair.length);
    uint32_t name = equals == NULL ? pair.length : (uint32_t) (equals - (bytes + pair.at));
    uint32_t value = equals == NULL ? name : name + 1;
    ret->pair = pair;
    ret->name = trim(bytes, (struct xf_span){pair.at, name});
    ret->value = trim(bytes, (struct xf_span){pair.at + value, pair.length - value});
    return true;
}

bool xf_cookie_is(const char *bytes, const struct xf_cookie *cookie, const char *name,
                  size_t length)
{
    return cookie->name.length == length && memcmp(bytes + cookie->name.at, name, length) == 0;
}

bool xf_find_cookie(const char *bytes, const struct xf_http_request *request,
                    const struct xf_field *fields, const char *name, struct xf_span *ret_value)
{
    size_t length = strlen(name);
    uint32_t first = request->first[XF_FIELD_COOKIE];
    for (uint32_t i = first; i > 0 && i <= request->fields; i++) {
        if (fields[i - 1].known != XF_FIELD_COOKIE) {
            continue;
        }
        struct xf_cookie cookie;
        uint32_t at = 0;
        while (xf_cookie_next(bytes, fields[i - 1].value, &at, &cookie)) {
            if (xf_cookie_is(bytes, &cookie, name, length)) {
                *ret_value = cookie.value;
                return true;
            }
        }
    }
    return false;
}
