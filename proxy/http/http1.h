/*
 * http1.h -- HTTP/1.1 message heads: bytes in, verdict out.
 *
 * Pure: no I/O, no allocation, no policy beyond what RFC 9110 and RFC 9112 demand of a recipient
 * that forwards.  What is ambiguous is refused (WIRE.md).  The parser never writes to its input;
 * results are offsets into it, so a caller may move the bytes as long as it keeps them together.
 * The field table is the caller's (one per worker), so nothing here costs memory per connection.
 */
#ifndef XF_PROXY_HTTP1_H
#define XF_PROXY_HTTP1_H

#include "config/base/check.h"
#include "config/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum xf_http_verdict {
    XF_HTTP_MORE, /* not complete, nothing wrong so far */
    XF_HTTP_DONE, /* complete: the result is filled */
    XF_HTTP_BAD,  /* refused: `status` says how to answer (a response head: always 502) */
};

/* A piece of the input. */
struct xf_span {
    uint32_t at;
    uint32_t length;
};

/* Fields whose meaning a proxy must know.  Everything else is XF_FIELD_OTHER. */
enum xf_field_name {
    XF_FIELD_OTHER,
    XF_FIELD_HOST,
    XF_FIELD_CONTENT_LENGTH,
    XF_FIELD_TRANSFER_ENCODING,
    XF_FIELD_CONNECTION,
    XF_FIELD_KEEP_ALIVE,
    XF_FIELD_PROXY_CONNECTION,
    XF_FIELD_TE,
    XF_FIELD_TRAILER,
    XF_FIELD_UPGRADE,
    XF_FIELD_EXPECT,
    XF_FIELD_VIA,
    XF_FIELD_MAX_FORWARDS,
    XF_FIELD_DATE,
    XF_FIELD_COOKIE,
    XF_FIELD_SET_COOKIE,
    XF_FIELD_FORWARDED,
    XF_FIELD_X_FORWARDED_FOR,
    XF_FIELD_X_FORWARDED_PROTO,
    XF_FIELD_X_FORWARDED_HOST,
    XF_FIELD_X_FORWARDED_PORT,
    XF_FIELD_X_REAL_IP,
    XF_FIELD_X_REQUEST_ID,
    XF_FIELD_HTTP2_SETTINGS,
    XF_FIELD_SEC_WEBSOCKET_KEY,
    XF_FIELD_NAMES
};

struct xf_field {
    struct xf_span name;
    struct xf_span value; /* optional white space around it removed */
    uint8_t known;        /* enum xf_field_name */
    bool nominated;       /* named by Connection: hop-by-hop, not forwarded (RFC 9110 7.6.1) */
};

enum xf_http_method {
    XF_METHOD_OTHER,
    XF_METHOD_GET,
    XF_METHOD_HEAD,
    XF_METHOD_POST,
    XF_METHOD_PUT,
    XF_METHOD_DELETE,
    XF_METHOD_CONNECT,
    XF_METHOD_OPTIONS,
    XF_METHOD_TRACE,
    XF_METHOD_PATCH,
};
bool xf_http_method_safe(enum xf_http_method method);       /* RFC 9110 9.2.1 */
bool xf_http_method_idempotent(enum xf_http_method method); /* RFC 9110 9.2.2 */

/* How the body that follows is delimited (RFC 9112 6.3). */
enum xf_http_framing {
    XF_FRAMING_NONE,    /* no body */
    XF_FRAMING_LENGTH,  /* `content_length` bytes, may be 0 */
    XF_FRAMING_CHUNKED, /* see chunked.h */
    XF_FRAMING_CLOSE,   /* a response that ends with the connection */
};

struct xf_http_limits {
    uint32_t head_bytes_max; /* start line and fields with their CRLFs; beyond: 431 (414: line) */
    uint32_t fields_max;     /* at most XF_HEAD_FIELDS_MAX */
};

struct xf_http_request {
    uint32_t head_bytes;    /* bytes of the input that the head takes: skipped_bytes at its start
                               and the empty line at its end included */
    uint32_t skipped_bytes; /* an empty line before the request line (RFC 9112 2.2): 0 or 2 */
    enum xf_http_method method;
    struct xf_span method_name;
    struct xf_span target;    /* origin-form to forward: absolute-form is reduced to its path and
                                 query; length 0 with an absolute-form without path means `/` (or
                                 `*` for OPTIONS); asterisk-form is `*`; where it begins with
                                 `?` (absolute-form without path), `/` belongs before it */
    struct xf_span authority; /* what to send as Host: the target's authority if absolute-form,
                                 else the Host field's value; empty only for HTTP/1.0 without */
    struct xf_span path;      /* target up to `?` */
    uint8_t minor;            /* 0 or 1: HTTP/1.2 and later count as 1.1 */
    bool keep_alive;          /* the client may send another request on this connection */
    bool expect_continue;     /* 100-continue, HTTP/1.1 only */
    bool te_trailers;         /* TE lists trailers */
    bool upgrade;             /* HTTP/1.1, Upgrade is present and nominated by Connection */
    struct xf_span upgrade_protocols; /* its (first) value */
    enum xf_http_framing framing;     /* NONE where neither length nor coding came */
    uint64_t content_length;
    uint32_t max_forwards;          /* UINT32_MAX where absent; only read for TRACE and OPTIONS */
    uint32_t fields;                /* entries filled in the caller's table */
    uint16_t first[XF_FIELD_NAMES]; /* index of the first such field + 1, 0 where absent */
};

struct xf_http_response {
    uint32_t head_bytes;
    uint16_t status; /* 100..599 */
    struct xf_span reason;
    uint8_t minor;
    bool keep_alive; /* the upstream connection may be reused after this message */
    enum xf_http_framing framing;
    uint64_t content_length; /* also where framing is NONE, if first[] has Content-Length */
    bool upgrade;            /* a 101 with Upgrade nominated by Connection */
    struct xf_span upgrade_protocols;
    uint32_t fields;
    uint16_t first[XF_FIELD_NAMES];
};

/* Why a head was refused: for the log, a short constant phrase such as "two Host fields". */
struct xf_http_refusal {
    uint16_t status; /* 400, 414, 417, 431, 501, 505; for a response 502 */
    const char *reason;
};

/*
 * Parses a request head from `bytes`.  `fields` has room for limits->fields_max entries.
 * MORE is returned only while the head may still become acceptable within the limits.
 * `seen` is the length already looked at in an earlier call that answered MORE (0 at first): the
 * end of the head is then searched from there, so that one-byte arrivals cost linear time; what is
 * wrong in a line that came in pieces may be reported only when that line is complete.
 */
XF_NODISCARD enum xf_http_verdict
xf_http_parse_request(const char *bytes, size_t length, size_t seen,
                      const struct xf_http_limits *limits, struct xf_field *fields,
                      struct xf_http_request *ret, struct xf_http_refusal *ret_refusal);

/*
 * Parses a response head.  `request_method` decides about the body (HEAD has none, a CONNECT is
 * never sent).  A 1xx is returned like any response, with no body.
 */
XF_NODISCARD enum xf_http_verdict
xf_http_parse_response(const char *bytes, size_t length, size_t seen,
                       enum xf_http_method request_method, const struct xf_http_limits *limits,
                       struct xf_field *fields, struct xf_http_response *ret,
                       struct xf_http_refusal *ret_refusal);

/* `name` lower case; compares without regard to case. */
bool xf_http_field_is(const char *bytes, const struct xf_field *field, const char *name);

/* Whether the comma-separated list `value` has the token `token` (any case, parameters ignored). */
bool xf_http_list_has(const char *value, size_t length, const char *token);

/* The standard reason phrase of `status` (RFC 9110 15), or "Unknown". */
const char *xf_http_reason(unsigned status);

#endif
