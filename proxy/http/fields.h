/*
 * fields.h -- the heads that crossfade sends: parsed message in, bytes out.
 *
 * Pure: no I/O, no allocation, no clock.  No received head is ever passed on as it came; what is
 * sent is built here from the parsed parts, so hop-by-hop fields, fields nominated by Connection
 * and a second framing cannot slip through (RFC 9110 7.6.1, RFC 9112 6).
 *
 * Both builders write at most `size` bytes and return the length of the whole head.  A result
 * larger than `size` means that it did not fit: then `out` holds nothing of use, and a buffer of
 * that many bytes would do.  `fields` is the table that the parser filled for the same `bytes`.
 */
#ifndef XF_PROXY_FIELDS_H
#define XF_PROXY_FIELDS_H

#include "proxy/http/http1.h"

/* A piece of text that need not end in NUL.  bytes NULL or length 0: nothing is sent. */
struct xf_piece {
    const char *bytes;
    size_t length;
};

/*
 * What the caller decides about a request that goes upstream.
 *
 *   X-Forwarded-For       `client` appended to what came if `trusted`, else `client` alone
 *   X-Forwarded-Proto, -Host, -Port, X-Real-IP, X-Request-Id
 *                         the first line that came if `trusted`, else ours
 *   other X-Forwarded-*   passed if `trusted`, else removed
 *   Forwarded (RFC 7239)  kept and appended to if it came and `trusted`, else removed
 *   Via                   `1.1 NAME` added (`1.0` where the client spoke HTTP/1.0)
 *   TE                    `trailers` alone, with `Connection: TE`
 *   Max-Forwards          one less for TRACE and OPTIONS; at 0 the caller must answer itself
 *   Trailer, Expect, HTTP2-Settings, Keep-Alive, Proxy-Connection: removed
 *   Cookie                every line as it came, less the cookie named `strip_cookie`
 */
struct xf_request_options {
    struct xf_piece client;       /* the peer's address as text, no port, IPv6 without brackets */
    struct xf_piece source;       /* who stands behind trusted proxies; empty: the peer */
    bool trusted;                 /* the peer is in forwarded.trusted */
    struct xf_piece scheme;       /* http or https: how the client reached us */
    struct xf_piece port;         /* our listener's port, decimal */
    struct xf_piece via;          /* our name in Via */
    struct xf_piece request_id;   /* sent unless the client is trusted and sent one */
    struct xf_piece host;         /* Host where the client sent none (HTTP/1.0) */
    struct xf_piece extra;        /* whole field lines, each ended by CRLF */
    struct xf_piece strip_cookie; /* a cookie that is not sent upstream */
    const char *strip_field;      /* a field that is not, lower case; NULL: none */
    struct xf_piece upgrade;      /* the one protocol to ask for; empty: Upgrade is removed */
    bool pass_expect;             /* send `Expect: 100-continue` */
    bool close;                   /* send `Connection: close` */
    enum xf_http_framing framing; /* NONE, LENGTH or CHUNKED */
    uint64_t content_length;      /* for LENGTH */
};

size_t xf_build_request(char *out, size_t size, const char *bytes,
                        const struct xf_http_request *request, const struct xf_field *fields,
                        const struct xf_request_options *options);

/* What a response says about the client's connection. */
enum xf_connection_option {
    XF_CONNECTION_NONE,       /* nothing: HTTP/1.1 persists */
    XF_CONNECTION_KEEP_ALIVE, /* `keep-alive`, for an HTTP/1.0 client that asked for it */
    XF_CONNECTION_CLOSE,      /* `close` */
    XF_CONNECTION_UPGRADE,    /* `upgrade`, with `options.upgrade`, on a 101 */
};

/*
 * What the caller decides about a response that goes to the client.  With framing NONE a
 * Content-Length that came is kept where it may stand (HEAD and 304, not 1xx and 204).
 */
struct xf_response_options {
    struct xf_piece via;        /* our name in Via */
    struct xf_piece date;       /* sent where the response has no Date, but not on 1xx */
    struct xf_piece set_cookie; /* the value of one more Set-Cookie line */
    struct xf_piece upgrade;    /* the protocol of a 101 */
    struct xf_piece extra;      /* whole field lines, each ended by CRLF */
    enum xf_connection_option connection;
    enum xf_http_framing framing; /* CLOSE writes neither length nor coding */
    uint64_t content_length;      /* for LENGTH */
};

size_t xf_build_response(char *out, size_t size, const char *bytes,
                         const struct xf_http_response *response, const struct xf_field *fields,
                         const struct xf_response_options *options);

/* Finds the value of cookie `name` in the request's Cookie lines (the first one named so). */
bool xf_find_cookie(const char *bytes, const struct xf_http_request *request,
                    const struct xf_field *fields, const char *name, struct xf_span *ret_value);

#endif
