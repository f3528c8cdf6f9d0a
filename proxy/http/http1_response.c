/*
 * http1_response.c -- the response head (RFC 9112 4, 6.3; RFC 9110 15).
 *
 * A server is held to the same rules as a client: what two readers could take in two ways is
 * refused, and the caller answers 502.
 */
#include "proxy/http/http1.h"

#include "proxy/http/http1_message.h"
#include "proxy/http/tokens.h"

#define REFUSED           502
#define STATUS_LINE_BYTES 12 /* HTTP/1.1 200 */

static const char status_pattern[STATUS_LINE_BYTES + 1] = "HTTP/1.0 000"; /* 0: any digit */

/* HTTP/1.x SP 3DIGIT, then CRLF, or SP and a reason that may be empty, and CRLF. */
static enum xf_http_verdict read_status_line(struct xf_head *head, struct xf_http_response *ret)
{
    const char *line = head->bytes;
    for (size_t i = 0; i < STATUS_LINE_BYTES; i++) {
        if (i == head->end) {
            return xf_head_short(head, REFUSED);
        }
        bool same =
            status_pattern[i] == '0' ? xf_byte_is_digit(line[i]) : line[i] == status_pattern[i];
        if (!same) {
            return xf_head_refuse(head, REFUSED, "malformed status line");
        }
    }
    ret->minor = line[7] == '0' ? 0 : 1;
    ret->status = (uint16_t) ((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    if (ret->status < 100 || ret->status > 599) {
        return xf_head_refuse(head, REFUSED, "status outside 100 to 599");
    }
    size_t begin = STATUS_LINE_BYTES;
    if (begin < head->end && line[begin] == ' ') {
        begin++;
    } else if (begin < head->end && line[begin] != '\r') {
        return xf_head_refuse(head, REFUSED, "malformed status line");
    }
    size_t at = head->scanner->text(line, begin, head->end);
    if ((at < head->end && line[at] != '\r') || (at + 1 < head->end && line[at + 1] != '\n')) {
        return xf_head_refuse(head, REFUSED, "invalid byte in the reason phrase");
    }
    if (head->end - at < 2) {
        return xf_head_short(head, REFUSED);
    }
    ret->reason = (struct xf_span){(uint32_t) begin, (uint32_t) (at - begin)};
    head->at = at + 2;
    return XF_HTTP_DONE;
}

static bool has_no_body(unsigned status, enum xf_http_method request_method)
{
    return request_method == XF_METHOD_HEAD || status < 200 || status == 204 || status == 304;
}

/* How the body is delimited (RFC 9112 6.3); a message without a body has none whatever it says. */
static enum xf_http_verdict check_framing(struct xf_head *head, enum xf_http_method method,
                                          struct xf_http_response *ret)
{
    bool coded = xf_head_has(head, XF_FIELD_TRANSFER_ENCODING);
    bool measured = xf_head_has(head, XF_FIELD_CONTENT_LENGTH);
    if (coded && ret->minor == 0) {
        return xf_head_refuse(head, REFUSED, "Transfer-Encoding in HTTP/1.0");
    }
    const char *fault = xf_head_length(head, &ret->content_length);
    if (fault != NULL) {
        return xf_head_refuse(head, REFUSED, fault);
    }
    if (has_no_body(ret->status, method)) {
        ret->framing = XF_FRAMING_NONE;
    } else if (coded && measured) {
        return xf_head_refuse(head, REFUSED, "Transfer-Encoding with Content-Length");
    } else if (coded && xf_head_coding(head) != XF_CODING_CHUNKED) {
        return xf_head_refuse(head, REFUSED, "transfer coding that is not exactly chunked");
    } else if (coded) {
        ret->framing = XF_FRAMING_CHUNKED;
    } else {
        ret->framing = measured ? XF_FRAMING_LENGTH : XF_FRAMING_CLOSE;
    }
    return XF_HTTP_DONE;
}

static enum xf_http_verdict check_connection(struct xf_head *head, struct xf_http_response *ret)
{
    struct xf_connection connection;
    if (!xf_head_connection(head, &connection)) {
        return xf_head_refuse(head, REFUSED, "too many Connection options");
    }
    ret->keep_alive = !connection.close && (ret->minor == 1 || connection.keep_alive) &&
                      ret->framing != XF_FRAMING_CLOSE;
    if (ret->status == 101 && connection.upgrade && xf_head_has(head, XF_FIELD_UPGRADE)) {
        ret->upgrade = true;
        ret->upgrade_protocols = head->fields[head->first[XF_FIELD_UPGRADE] - 1].value;
    }
    return XF_HTTP_DONE;
}

static enum xf_http_verdict read_head(struct xf_head *head, uint32_t room,
                                      enum xf_http_method method, struct xf_http_response *ret)
{
    enum xf_http_verdict verdict = read_status_line(head, ret);
    if (verdict == XF_HTTP_DONE) {
        verdict = xf_head_fields(head, room);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = check_framing(head, method, ret);
    }
    if (verdict == XF_HTTP_DONE) {
        verdict = check_connection(head, ret);
    }
    return verdict;
}

enum xf_http_verdict xf_http_response_with(const struct xf_scanner *scanner, const char *bytes,
                                           size_t length, size_t seen,
                                           enum xf_http_method request_method,
                                           const struct xf_http_limits *limits,
                                           struct xf_field *fields, struct xf_http_response *ret,
                                           struct xf_http_refusal *ret_refusal)
{
    struct xf_http_response response = {0};
    struct xf_head head = {
        .scanner = scanner,
        .bytes = bytes,
        .end = length < limits->head_bytes_max ? length : limits->head_bytes_max,
        .full = length >= limits->head_bytes_max,
        .fields = fields,
        .first = response.first,
        .refusal = ret_refusal,
    };
    if (xf_head_unchanged(&head, seen)) {
        return XF_HTTP_MORE;
    }
    enum xf_http_verdict verdict = read_head(&head, limits->fields_max, request_method, &response);
    if (verdict == XF_HTTP_BAD) {
        ret_refusal->status = REFUSED; /* whatever a request would have been told */
    }
    if (verdict == XF_HTTP_DONE) {
        response.fields = head.count;
        response.head_bytes = (uint32_t) head.at;
        *ret = response;
    }
    return verdict;
}

enum xf_http_verdict xf_http_parse_response(const char *bytes, size_t length, size_t seen,
                                            enum xf_http_method request_method,
                                            const struct xf_http_limits *limits,
                                            struct xf_field *fields, struct xf_http_response *ret,
                                            struct xf_http_refusal *ret_refusal)
{
    return xf_http_response_with(xf_scanner_best(), bytes, length, seen, request_method, limits,
                                 fields, ret, ret_refusal);
}
