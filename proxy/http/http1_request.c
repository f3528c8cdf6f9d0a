/*
 * http1_request.c -- the request head (RFC 9112 2, 3, 6; RFC 9110 7.2, 10.1).
 *
 * Faults are reported in the order in which their bytes come; what needs the whole head comes
 * last.  So a head that arrives in pieces gets the same answer as one that arrives at once.
 */
#include "proxy/http/http1.h"

#include "proxy/http/http1_authority.h"
#include "proxy/http/http1_message.h"
#include "proxy/http/tokens.h"

#include <string.h>

#define VERSION_BYTES 8 /* HTTP/1.1 */

static const char version_pattern[VERSION_BYTES] = "HTTP/0.0"; /* 0 stands for any digit */

/* Comparing with a constant length is one or two machine words. */
#define IS(name, length, method)                                                                   \
    ((length) == sizeof(method) - 1 && memcmp((name), (method), sizeof(method) - 1) == 0)

static enum xf_http_method find_method(const char *name, size_t length)
{
    switch (name[0]) {
    case 'G':
        return IS(name, length, "GET") ? XF_METHOD_GET : XF_METHOD_OTHER;
    case 'H':
        return IS(name, length, "HEAD") ? XF_METHOD_HEAD : XF_METHOD_OTHER;
    case 'P':
        return IS(name, length, "POST")    ? XF_METHOD_POST
               : IS(name, length, "PUT")   ? XF_METHOD_PUT
               : IS(name, length, "PATCH") ? XF_METHOD_PATCH
                                           : XF_METHOD_OTHER;
    case 'D':
        return IS(name, length, "DELETE") ? XF_METHOD_DELETE : XF_METHOD_OTHER;
    case 'C':
        return IS(name, length, "CONNECT") ? XF_METHOD_CONNECT : XF_METHOD_OTHER;
    case 'O':
        return IS(name, length, "OPTIONS") ? XF_METHOD_OPTIONS : XF_METHOD_OTHER;
    case 'T':
        return IS(name, length, "TRACE") ? XF_METHOD_TRACE : XF_METHOD_OTHER;
    default:
        return XF_METHOD_OTHER;
    }
}

/* One empty line may come before the request line (RFC 9112 2.2). */
static enum xf_http_verdict skip_empty_line(struct xf_head *head, struct xf_http_request *ret)
{
    if (head->end == 0) {
        return XF_HTTP_MORE;
    }
    if (head->bytes[0] != '\r') {
        return XF_HTTP_DONE;
    }
    if (head->end == 1) {
        return xf_head_short(head, 414);
    }
    if (head->bytes[1] != '\n') {
        return xf_head_refuse(head, 400, "bare CR before the request line");
    }
    ret->skipped_bytes = 2;
    head->at = 2;
    return XF_HTTP_DONE;
}

static enum xf_http_verdict read_method(struct xf_head *head, struct xf_http_request *ret)
{
    size_t begin = head->at;
    size_t at = head->scanner->token(head->bytes, begin, head->end);
    if (at == head->end) {
        return xf_head_short(head, 414);
    }
    if (at == begin || head->bytes[at] != ' ') {
        return xf_head_refuse(head, 400, "invalid method");
    }
    ret->method_name = (struct xf_span){(uint32_t) begin, (uint32_t) (at - begin)};
    ret->method = find_method(head->bytes + begin, at - begin);
    head->at = at + 1;
    return XF_HTTP_DONE;
}

static enum xf_http_verdict read_target(struct xf_head *head, struct xf_http_request *ret)
{
    size_t begin = head->at;
    size_t at = head->scanner->target(head->bytes, begin, head->end);
    if (at == head->end) {
        return xf_head_short(head, 414);
    }
    if (at == begin) {
        return xf_head_refuse(head, 400, "empty or invalid target");
    }
    if (head->bytes[at] == '\r') {
        return xf_head_refuse(head, 505, "no version: HTTP/0.9");
    }
    if (head->bytes[at] != ' ') {
        return xf_head_refuse(head, 400, "invalid byte in the target");
    }
    ret->target = (struct xf_span){(uint32_t) begin, (uint32_t) (at - begin)};
    head->at = at + 1;
    return XF_HTTP_DONE;
}

/* The version and the CRLF behind it; a fault shows as soon as its byte is there. */
static enum xf_http_verdict read_version(struct xf_head *head, struct xf_http_request *ret)
{
    const char *version = head->bytes + head->at;
    size_t there = head->end - head->at;
    if (XF_LIKELY(there >= VERSION_BYTES + 2 &&
                  memcmp(version, "HTTP/1.1\r\n", VERSION_BYTES + 2) == 0)) {
        ret->minor = 1;
        head->at += VERSION_BYTES + 2;
        return XF_HTTP_DONE;
    }
    for (size_t i = 0; i < VERSION_BYTES && i < there; i++) {
        bool same = version_pattern[i] == '0' ? xf_byte_is_digit(version[i])
                                              : version[i] == version_pattern[i];
        if (!same) {
            return xf_head_refuse(head, 400, "malformed version");
        }
    }
    if ((there > VERSION_BYTES && version[VERSION_BYTES] != '\r') ||
        (there > VERSION_BYTES + 1 && version[VERSION_BYTES + 1] != '\n')) {
        return xf_head_refuse(head, 400, "malformed end of the request line");
    }
    if (there < VERSION_BYTES + 2) {
        return xf_head_short(head, 414);
    }
    if (version[5] != '1') {
        return xf_head_refuse(head, 505, "unsupported version");
    }
    ret->minor = version[7] == '0' ? 0 : 1;
    head->at += VERSION_BYTES + 2;
    return XF_HTTP_DONE;
}

/* Reduces http://authority/path?query to its parts (RFC 9112 3.2.2). */
static enum xf_http_verdict reduce_absolute(struct xf_head *head, struct xf_http_request *ret)
{
    const char *target = head->bytes + ret->target.at;
    uint32_t length = ret->target.length;
    uint32_t scheme = 0;
    if (length > 7 && xf_bytes_are(target, 7, "http://")) {
        scheme = 7;
    } else if (length > 8 && xf_bytes_are(target, 8, "https://")) {
        scheme = 8;
    } else {
        return xf_head_refuse(head, 400, "invalid target");
    }
    uint32_t end = scheme;
    while (end < length && target[end] != '/' && target[end] != '?') {
        end++;
    }
    if (!xf_authority_valid(target + scheme, end - scheme)) {
        return xf_head_refuse(head, 400, "invalid authority in the target");
    }
    ret->authority = (struct xf_span){ret->target.at + scheme, end - scheme};
    ret->target = (struct xf_span){ret->target.at + end, length - end};
    return XF_HTTP_DONE;
}

static enum xf_http_verdict check_target(struct xf_head *head, struct xf_http_request *ret)
{
    const char *target = head->bytes + ret->target.at;
    if (ret->method == XF_METHOD_CONNECT) {
        return xf_head_refuse(head, 501, "CONNECT");
    }
    if (target[0] == '*' && ret->target.length == 1) {
        if (ret->method != XF_METHOD_OPTIONS) {
            return xf_head_refuse(head, 400, "target * without OPTIONS");
        }
    } else if (target[0] != '/') {
        enum xf_http_verdict verdict = reduce_absolute(head, ret);
        if (verdict != XF_HTTP_DONE) {
            return verdict;
        }
    }
    target = head->bytes + ret->target.at;
    const char *query = memchr(target, '?', ret->target.length);
    ret->path = ret->target;
    if (query != NULL) {
        ret->path.length = (uint32_t) (query - target);
    }
    return XF_HTTP_DONE;
}

static enum xf_http_verdict read_request_line(struct xf_head *head, struct xf_http_request *ret)
{
    enum xf_http_verdict verdict = skip_empty_line(head, ret);
    if (verdict == XF_HTTP_DONE) {
        verdict = read_method(head, ret);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = read_target(head, ret);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = read_version(head, ret);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = check_target(head, ret);
    }
    return verdict;
}

/* Host: one in HTTP/1.1, never two, always valid (RFC 9112 3.2); the target's authority wins. */
static enum xf_http_verdict check_host(struct xf_head *head, struct xf_http_request *ret)
{
    if (!xf_head_has(head, XF_FIELD_HOST)) {
        return ret->minor == 0 ? XF_HTTP_DONE : xf_head_refuse(head, 400, "no Host field");
    }
    if ((head->repeated & (1u << XF_FIELD_HOST)) != 0) {
        return xf_head_refuse(head, 400, "two Host fields");
    }
    struct xf_span host = head->fields[head->first[XF_FIELD_HOST] - 1].value;
    bool replaced = ret->authority.length > 0;
    if (host.length == 0 && replaced) {
        return XF_HTTP_DONE;
    }
    if (!xf_authority_valid(head->bytes + host.at, host.length)) {
        return xf_head_refuse(head, 400, "invalid Host");
    }
    if (!replaced) {
        ret->authority = host;
    }
    return XF_HTTP_DONE;
}

/* How the body is delimited (RFC 9112 6.3). */
static enum xf_http_verdict check_framing(struct xf_head *head, struct xf_http_request *ret)
{
    ret->framing = XF_FRAMING_NONE;
    if (xf_head_has(head, XF_FIELD_TRANSFER_ENCODING)) {
        if (ret->minor == 0) {
            return xf_head_refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
        }
        if (xf_head_has(head, XF_FIELD_CONTENT_LENGTH)) {
            return xf_head_refuse(head, 400, "Transfer-Encoding with Content-Length");
        }
        enum xf_coding coding = xf_head_coding(head);
        if (coding == XF_CODING_BAD) {
            return xf_head_refuse(head, 400, "invalid Transfer-Encoding");
        }
        if (coding == XF_CODING_UNKNOWN) {
            return xf_head_refuse(head, 501, "unknown transfer coding");
        }
        ret->framing = XF_FRAMING_CHUNKED;
    } else if (xf_head_has(head, XF_FIELD_CONTENT_LENGTH)) {
        const char *fault = xf_head_length(head, &ret->content_length);
        if (fault != NULL) {
            return xf_head_refuse(head, 400, fault);
        }
        ret->framing = XF_FRAMING_LENGTH;
    }
    return XF_HTTP_DONE;
}

static enum xf_http_verdict check_connection(struct xf_head *head, struct xf_http_request *ret)
{
    struct xf_connection connection;
    if (!xf_head_connection(head, &connection)) {
        return xf_head_refuse(head, 400, "too many Connection options");
    }
    ret->keep_alive = !connection.close && (ret->minor == 1 || connection.keep_alive);
    if (ret->minor == 1 && connection.upgrade && xf_head_has(head, XF_FIELD_UPGRADE)) {
        ret->upgrade = true;
        ret->upgrade_protocols = head->fields[head->first[XF_FIELD_UPGRADE] - 1].value;
    }
    return XF_HTTP_DONE;
}

/* 100-continue is the only expectation there is; HTTP/1.0 has none (RFC 9110 10.1.1). */
static enum xf_http_verdict check_expect(struct xf_head *head, struct xf_http_request *ret)
{
    if (ret->minor == 0) {
        return XF_HTTP_DONE;
    }
    uint32_t line = 0;
    const struct xf_field *field;
    while ((field = xf_head_next(head, XF_FIELD_EXPECT, &line)) != NULL) {
        const char *member;
        size_t length;
        size_t at = 0;
        while (xf_list_next(head->bytes + field->value.at, field->value.length, &at, &member,
                            &length)) {
            if (!xf_bytes_are(member, length, "100-continue")) {
                return xf_head_refuse(head, 417, "unknown expectation");
            }
        }
        ret->expect_continue = true;
    }
    return XF_HTTP_DONE;
}

static bool lists_trailers(const struct xf_head *head)
{
    uint32_t line = 0;
    const struct xf_field *field;
    while ((field = xf_head_next(head, XF_FIELD_TE, &line)) != NULL) {
        if (xf_http_list_has(head->bytes + field->value.at, field->value.length, "trailers")) {
            return true;
        }
    }
    return false;
}

/* Max-Forwards counts for TRACE and OPTIONS only (RFC 9110 7.6.2). */
static enum xf_http_verdict check_forwards(struct xf_head *head, struct xf_http_request *ret)
{
    ret->max_forwards = UINT32_MAX;
    if (!xf_head_has(head, XF_FIELD_MAX_FORWARDS) ||
        (ret->method != XF_METHOD_TRACE && ret->method != XF_METHOD_OPTIONS)) {
        return XF_HTTP_DONE;
    }
    struct xf_span value = head->fields[head->first[XF_FIELD_MAX_FORWARDS] - 1].value;
    uint64_t hops;
    if ((head->repeated & (1u << XF_FIELD_MAX_FORWARDS)) != 0 ||
        !xf_bytes_decimal(head->bytes + value.at, value.length, UINT32_MAX - 1, &hops)) {
        return xf_head_refuse(head, 400, "invalid Max-Forwards");
    }
    ret->max_forwards = (uint32_t) hops;
    return XF_HTTP_DONE;
}

static enum xf_http_verdict check_fields(struct xf_head *head, struct xf_http_request *ret)
{
    enum xf_http_verdict verdict = check_host(head, ret);
    if (verdict == XF_HTTP_DONE) {
        verdict = check_framing(head, ret);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = check_connection(head, ret);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = check_expect(head, ret);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = check_forwards(head, ret);
    }
    if (verdict != XF_HTTP_DONE) {
        return verdict;
    }
    ret->te_trailers = lists_trailers(head);
    ret->fields = head->count;
    ret->head_bytes = (uint32_t) head->at;
    return XF_HTTP_DONE;
}

enum xf_http_verdict xf_http_request_with(const struct xf_scanner *scanner, const char *bytes,
                                          size_t length, size_t seen,
                                          const struct xf_http_limits *limits,
                                          struct xf_field *fields, struct xf_http_request *ret,
                                          struct xf_http_refusal *ret_refusal)
{
    struct xf_http_request request = {0};
    struct xf_head head = {
        .scanner = scanner,
        .bytes = bytes,
        .end = length < limits->head_bytes_max ? length : limits->head_bytes_max,
        .full = length >= limits->head_bytes_max,
        .fields = fields,
        .first = request.first,
        .refusal = ret_refusal,
    };
    if (xf_head_unchanged(&head, seen)) {
        return XF_HTTP_MORE;
    }
    enum xf_http_verdict verdict = read_request_line(&head, &request);
    if (verdict == XF_HTTP_DONE) {
        verdict = xf_head_fields(&head, limits->fields_max);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = check_fields(&head, &request);
    }
    if (verdict == XF_HTTP_DONE) {
        *ret = request;
    }
    return verdict;
}

enum xf_http_verdict xf_http_parse_request(const char *bytes, size_t length, size_t seen,
                                           const struct xf_http_limits *limits,
                                           struct xf_field *fields, struct xf_http_request *ret,
                                           struct xf_http_refusal *ret_refusal)
{
    return xf_http_request_with(xf_scanner_best(), bytes, length, seen, limits, fields, ret,
                                ret_refusal);
}
