/*
 * sticky.c -- see sticky.h.
 */
#include "proxy/worker/sticky.h"

#include "proxy/http/fields.h"

#include <stdio.h>

static struct xf_sticky_key find_field(const struct xf_config_sticky *sticky, const char *bytes,
                                       const struct xf_http_request *request,
                                       const struct xf_field *fields)
{
    for (unsigned i = 0; i < request->fields; i++) {
        if (xf_http_field_is(bytes, &fields[i], sticky->name)) {
            return (struct xf_sticky_key){bytes + fields[i].value.at, fields[i].value.length};
        }
    }
    return (struct xf_sticky_key){NULL, 0};
}

struct xf_sticky_key xf_sticky_find(const struct xf_config_sticky *sticky, const char *bytes,
                                    const struct xf_http_request *request,
                                    const struct xf_field *fields, const struct xf_address *client,
                                    bool *ret_new)
{
    struct xf_sticky_key key = {NULL, 0};
    enum xf_sticky_by by = sticky->by;
    *ret_new = false;
    if (by == XF_STICKY_HEADER) {
        key = find_field(sticky, bytes, request, fields);
    } else if (by == XF_STICKY_COOKIE) {
        struct xf_span value;
        if (xf_find_cookie(bytes, request, fields, sticky->name, &value)) {
            key = (struct xf_sticky_key){bytes + value.at, value.length};
        }
        *ret_new = key.length == 0;
    }
    if (key.length == 0 && !*ret_new &&
        (by == XF_STICKY_CLIENT_IP || sticky->otherwise == XF_STICKY_CLIENT_IP)) {
        key = (struct xf_sticky_key){client->bytes, client->length};
    }
    return key;
}

void xf_sticky_make(struct xf_random *random, char out[XF_STICKY_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned word = 0; word < 2; word++) {
        uint64_t value = xf_random_next(random);
        for (unsigned i = 0; i < 16; i++) {
            out[word * 16 + i] = digits[value & 15];
            value >>= 4;
        }
    }
}

size_t xf_sticky_cookie(char out[XF_STICKY_COOKIE_BYTES], const char *name,
                        const char id[XF_STICKY_ID_BYTES], bool secure)
{
    int length = snprintf(out, XF_STICKY_COOKIE_BYTES, "%s=%.*s; Path=/; HttpOnly; SameSite=Lax%s",
                          name, (int) XF_STICKY_ID_BYTES, id, secure ? "; Secure" : "");
    return length > 0 && (size_t) length < XF_STICKY_COOKIE_BYTES ? (size_t) length : 0;
}
