/*
 * sticky.h -- what makes a client recognisable: a field, a cookie, or its address.
 *
 * The key only enters a hash (DESIGN.md section 9); a cookie carries a random id, never a colour,
 * and is handed out only while a cutover is going on.
 */
#ifndef XF_PROXY_STICKY_H
#define XF_PROXY_STICKY_H

#include "proxy/http/address.h"
#include "proxy/http/http1.h"
#include "proxy/board/pick.h"

#define XF_STICKY_ID_BYTES     32u  /* of a cookie's id: hex */
#define XF_STICKY_COOKIE_BYTES 256u /* of the value of a Set-Cookie field */

struct xf_sticky_key {
    const void *bytes; /* in the head, in the address, or in an id of the caller's */
    size_t length;     /* 0: nothing to recognise the client by */
};

/* Finds the key of a request.  By cookie, where there is none: 0, and *ret_new is true: make an
 * id with xf_sticky_make() and use it as the key. */
struct xf_sticky_key xf_sticky_find(const struct xf_config_sticky *sticky, const char *bytes,
                                    const struct xf_http_request *request,
                                    const struct xf_field *fields, const struct xf_address *client,
                                    bool *ret_new);

void xf_sticky_make(struct xf_random *random, char out[XF_STICKY_ID_BYTES]);

/* Writes `NAME=ID; Path=/; HttpOnly; SameSite=Lax[; Secure]`; returns its length, 0 where the name
 * is too long. */
size_t xf_sticky_cookie(char out[XF_STICKY_COOKIE_BYTES], const char *name,
                        const char id[XF_STICKY_ID_BYTES], bool secure);

#endif
