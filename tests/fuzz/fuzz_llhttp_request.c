/*
 * fuzz_llhttp_request.c -- request heads: ours against llhttp's.
 *
 * What both accept must be the same request.  Where one refuses and the other does not, the
 * difference must be one of those listed here and explained in README.md.
 */
#include "heard.h"

static const struct xf_http_limits limits = {.head_bytes_max = 65536,
                                             .fields_max = HEARD_FIELDS_MAX};

/* Reasons for which we refuse what llhttp may accept. */
static const char *const stricter[] = {
    /* framing and lines */
    "bare CR before the request line",
    "bare CR in a field value",
    "bare CR in the head",
    "bare LF in the head",
    "empty field name",
    "folded line",
    "white space before the colon",
    "malformed end of the request line",
    "malformed version",
    "no version: HTTP/0.9",
    "unsupported version",
    /* the request line */
    "CONNECT",
    "empty or invalid target",
    "invalid authority in the target",
    "invalid byte in the target",
    "invalid method",
    "invalid target",
    "target * without OPTIONS",
    /* what a proxy must decide */
    "no Host field",
    "two Host fields",
    "invalid Host",
    "invalid Transfer-Encoding",
    "unknown transfer coding",
    "Transfer-Encoding in HTTP/1.0",
    "invalid Content-Length",
    "Transfer-Encoding with Content-Length",
    "unknown expectation",
    "invalid Max-Forwards",
    /* ceilings */
    "too many Connection options",
    "too many fields",
};

/* What llhttp may say of a head that we accept. */
static const char *const laxer[] = {
    /* any token is a method; llhttp knows a list */
    "Invalid method encountered",
    "Expected space after method",
    "Expected HTTP/2 Connection Preface",
    /* HTTP/1.2 to 1.9 are read as 1.1 */
    "Invalid HTTP version",
    /* identical lengths are merged */
    "Invalid character in Content-Length",
    "Duplicate Content-Length",
};

static void compare(const char *bytes, const struct xf_http_request *request,
                    const struct xf_field *fields, llhttp_t *parser, const struct heard *heard)
{
    const char *method = llhttp_method_name(llhttp_get_method(parser));
    FUZZ_CHECK(request->method_name.length == strlen(method));
    FUZZ_CHECK(memcmp(bytes + request->method_name.at, method, strlen(method)) == 0);
    FUZZ_CHECK(llhttp_get_http_major(parser) == 1);
    FUZZ_CHECK(llhttp_get_http_minor(parser) == request->minor);
    /* An absolute-form target is reduced: both end at the same place. */
    FUZZ_CHECK(heard->url.at <= request->target.at);
    FUZZ_CHECK(heard->url.at + heard->url.length == request->target.at + request->target.length);
    heard_compare_fields(heard, fields, request->fields);
    bool chunked = (parser->flags & F_CHUNKED) != 0;
    FUZZ_CHECK(chunked == (request->framing == XF_FRAMING_CHUNKED));
    if (request->framing == XF_FRAMING_LENGTH) {
        FUZZ_CHECK((parser->flags & F_CONTENT_LENGTH) != 0);
        FUZZ_CHECK(parser->content_length == request->content_length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard heard;
    static struct xf_field fields[HEARD_FIELDS_MAX];
    const char *bytes = (const char *) data;
    struct xf_http_request request;
    struct xf_http_refusal refusal = {0};
    llhttp_t parser;
    if (size >= limits.head_bytes_max) {
        return 0;
    }
    memset(&heard, 0, sizeof(heard));
    heard_read(&parser, HTTP_REQUEST, bytes, size, &heard);
    enum xf_http_verdict verdict =
        xf_http_parse_request(bytes, size, 0, &limits, fields, &request, &refusal);
    if (verdict == XF_HTTP_DONE && heard.head_complete) {
        compare(bytes, &request, fields, &parser, &heard);
    } else if (verdict == XF_HTTP_DONE) {
        if (!heard_listed(heard.reason, laxer, XF_COUNT(laxer))) {
            fprintf(stderr, "llhttp refuses what we accept: %s\n", heard.reason);
            FUZZ_CHECK(false);
        }
    } else if (heard.head_complete) {
        if (verdict == XF_HTTP_MORE ||
            !heard_listed(refusal.reason, stricter, XF_COUNT(stricter))) {
            fprintf(stderr, "llhttp accepts what we refuse: %s\n",
                    verdict == XF_HTTP_MORE ? "not complete" : refusal.reason);
            FUZZ_CHECK(false);
        }
    }
    return 0;
}
