/*
 * proxy_header.h -- the PROXY protocol: who the client behind a balancer is.
 *
 * Pure.  Versions 1 (text) and 2 (binary) are read strictly, version 2 is written.  A header that
 * names nobody (UNKNOWN, LOCAL, another family than TCP over IPv4 and IPv6) is taken and leaves the
 * peer's own address in place.
 */
#ifndef XF_PROXY_PROXY_HEADER_H
#define XF_PROXY_PROXY_HEADER_H

#include "config/base/check.h"
#include "proxy/http/address.h"

#include <stddef.h>

#define XF_PROXY_HEADER_V1_MAX  107u  /* with CRLF, by the protocol */
#define XF_PROXY_HEADER_MAX     4096u /* with everything that version 2 may append */
#define XF_PROXY_HEADER_WRITTEN 52u   /* most that is written: IPv6 */

struct xf_proxy_header {
    size_t bytes; /* of the header; what follows is the client's own */
    bool named;   /* it says who the client is */
    struct xf_address client, server;
    uint16_t client_port, server_port;
};

enum xf_proxy_verdict { XF_PROXY_MORE, XF_PROXY_DONE, XF_PROXY_BAD };

/* Reads what begins at `bytes`; *ret is written with DONE only. */
enum xf_proxy_verdict xf_proxy_header_read(const char *bytes, size_t length,
                                           struct xf_proxy_header *ret);

/* Writes version 2; without two addresses of one family it says LOCAL.  Returns the length. */
size_t xf_proxy_header_write(const struct xf_proxy_header *header,
                             char out[XF_PROXY_HEADER_WRITTEN]);

#endif
