/*
 * url.h -- http:// and https:// addresses, taken apart strictly.
 */
#ifndef XF_SHIFTER_URL_H
#define XF_SHIFTER_URL_H

#include "config/base/error.h"

#include <stdbool.h>
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

#endif
