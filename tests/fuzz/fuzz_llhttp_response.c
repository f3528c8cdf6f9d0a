/*
 * fuzz_llhttp_response.c -- response heads to a GET: ours against llhttp's.
 *
 * What both accept must be the same response.  Where one refuses and the other does not, the
 * difference must be one of those listed here and explained in README.md.
 */
#include "heard.h"

static const struct xf_http_limits limits = {.head_bytes_max = 65536,
                                             .fields_max = HEARD_FIELDS_MAX};

/* Reasons for which we refuse what llhttp may accept. */
static const char *const stricter[] = {
    /* framing and lines */
    "bare CR in a field value",
    "bare CR in the head",
    "bare LF in the head",
    "empty field name",
    "folded line",
    "white space before the colon",
    "malformed status line",
    "invalid byte in the reason phrase",
    "status outside 100 to 599",
    /* what a proxy must decide */
    "transfer coding that is not exactly chunked",
    "Transfer-Encoding in HTTP/1.0",
    "invalid Content-Length",
    "Transfer-Encoding with Content-Length",
    /* ceilings */
    "too many Connection options",
    "too many fields",
};

/* What llhttp may say of a head that we accept. */
static const char *const laxer[] = {
    /* HTTP/1.2 to 1.9 are read as 1.1 */
    "Invalid HTTP version",
    /* identical lengths are merged */
    "Invalid character in Content-Length",
    "Duplicate Content-Length",
    /* 1xx, 204 and 304 have no body, whatever they say */
    "Content-Length can't be present with Transfer-Encoding",
    "Transfer-Encoding can't be present with Content-Length",
};

static void compare(const struct xf_http_response *response, const struct xf_field *fields,
                    llhttp_t *parser, const struct heard *heard)
{
    FUZZ_CHECK(llhttp_get_http_major(parser) == 1);
    FUZZ_CHECK(llhttp_get_http_minor(parser) == response->minor);
    FUZZ_CHECK(llhttp_get_status_code(parser) == response->status);
    heard_compare_fields(heard, fields, response->fields);
    if (response->framing == XF_FRAMING_NONE) {
        return;
    }
    bool chunked = (parser->flags & F_CHUNKED) != 0;
    FUZZ_CHECK(chunked == (response->framing == XF_FRAMING_CHUNKED));
    if (response->framing == XF_FRAMING_LENGTH) {
        FUZZ_CHECK((parser->flags & F_CONTENT_LENGTH) != 0);
        FUZZ_CHECK(parser->content_length == response->content_length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard heard;
    static struct xf_field fields[HEARD_FIELDS_MAX];
    const char *bytes = (const char *) data;
    struct xf_http_response response;
    struct xf_http_refusal refusal = {0};
    llhttp_t parser;
    if (size >= limits.head_bytes_max) {
        return 0;
    }
    memset(&heard, 0, sizeof(heard));
    heard_read(&parser, HTTP_RESPONSE, bytes, size, &heard);
    enum xf_http_verdict verdict =
        xf_http_parse_response(bytes, size, 0, XF_METHOD_GET, &limits, fields, &response, &refusal);
    if (verdict == XF_HTTP_DONE && heard.head_complete) {
        compare(&response, fields, &parser, &heard);
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
