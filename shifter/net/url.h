/*
 * url.h -- http:// and https:// addresses, taken apart strictly.
 */
#ifndef XF_SHIFTER_URL_H
#define XF_SHIFTER_URL_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xf_url {
    bool tls;
    char host[256];      /* without brackets */
    uint16_t port;       /* 80 or 443 where none is given */
    char authority[300]; /* as it goes into Host */
    char target[2048];   /* path and query, at least `/` */
};

/* Refuses other schemes, user names, fragments, white space and bytes outside ASCII. */
XF_NODISCARD int xf_url_parse(const char *text, struct xf_url *ret, struct xf_error *err);
/* `text` for one segment of a path or one value of a query (RFC 3986 section 2.1), in `out`; NULL
 * where it does not fit. */
const char *xf_url_escape(const char *text, char *out, size_t bytes);

#endif
