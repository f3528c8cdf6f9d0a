/*
 * cookies.h -- the pairs of a Cookie line (RFC 6265 4.2.1, read as leniently as 5.4 allows).
 */
#ifndef XF_PROXY_COOKIES_H
#define XF_PROXY_COOKIES_H

#include "proxy/http/http1.h"

struct xf_cookie {
    struct xf_span pair; /* white space around it removed; may be empty */
    struct xf_span name; /* up to `=`; the whole pair where there is none */
    struct xf_span value;
};

/*
 * Steps through the pairs of `line`; *at begins at 0.  Spans are offsets into `bytes`, as the
 * line's are.
 */
bool xf_cookie_next(const char *bytes, struct xf_span line, uint32_t *at, struct xf_cookie *ret);

/* Cookie names are compared with their case. */
bool xf_cookie_is(const char *bytes, const struct xf_cookie *cookie, const char *name,
                  size_t length);

#endif
