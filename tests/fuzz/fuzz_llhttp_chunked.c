/*
 * fuzz_llhttp_chunked.c -- chunked bodies: ours against llhttp's.
 *
 * What both accept must be the same data, ending at the same byte.  What we accept llhttp must
 * accept, but for what is listed here; what llhttp accepts we may refuse (README.md).
 */
#include "heard.h"

#include "proxy/http/chunked.h"

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

/* What llhttp may say of a body that we accept. */
static const char *const laxer[] = {
    /* white space around an extension, which the grammar allows */
    "Invalid character in chunk size",
    "Invalid character in chunk extensions",
    "Invalid character in chunk extensions name",
    /* in a trailer, where they frame nothing and are dropped */
    "Invalid `Transfer-Encoding` header value",
    "Request has invalid `Transfer-Encoding`",
    "Invalid character in Content-Length",
    "Empty Content-Length",
    "Duplicate Content-Length",
    "Content-Length overflow",
    "Content-Length can't be present with Transfer-Encoding",
    /* a quoted value, with an escape in it or white space behind it */
    "Invalid character in chunk extensions quote value",
    "Invalid character in chunk extensions quoted value",
    "Invalid character in chunk extensions value",
};

static enum xf_http_verdict decode(const char *bytes, size_t size, char *out, size_t *ret_used,
                                   size_t *ret_length)
{
    struct xf_chunked chunked;
    enum xf_http_verdict verdict = XF_HTTP_MORE;
    xf_chunked_init(&chunked);
    *ret_used = 0;
    *ret_length = 0;
    while (verdict == XF_HTTP_MORE && *ret_used < size) {
        size_t used;
        struct xf_span data;
        verdict = xf_chunked_read(&chunked, bytes + *ret_used, size - *ret_used, &used, &data);
        memcpy(out + *ret_length, bytes + *ret_used + data.at, data.length);
        *ret_length += data.length;
        *ret_used += used;
    }
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard heard;
    const size_t head = sizeof(HEAD) - 1;
    llhttp_t parser;
    char *bytes = malloc(head + size);
    char *ours = malloc(size + 1);
    char *theirs = malloc(size + 1);
    FUZZ_CHECK(bytes != NULL && ours != NULL && theirs != NULL);
    memcpy(bytes, HEAD, head);
    if (size > 0) {
        memcpy(bytes + head, data, size);
    }
    memset(&heard, 0, sizeof(heard));
    heard.body = theirs;
    heard_read(&parser, HTTP_REQUEST, bytes, head + size, &heard);
    FUZZ_CHECK(heard.head_complete);

    size_t used;
    size_t length;
    enum xf_http_verdict verdict = decode(bytes + head, size, ours, &used, &length);
    if (verdict == XF_HTTP_DONE && heard.message_complete) {
        FUZZ_CHECK(length == heard.body_length);
        FUZZ_CHECK(memcmp(ours, theirs, length) == 0);
        FUZZ_CHECK(heard.used <= head + used && head + used - heard.used <= 1);
    } else if (verdict == XF_HTTP_DONE) {
        if (!heard_listed(heard.reason, laxer, XF_COUNT(laxer))) {
            fprintf(stderr, "llhttp refuses what we accept: %s\n", heard.reason);
            FUZZ_CHECK(false);
        }
    }
    FUZZ_CHECK(verdict != XF_HTTP_MORE || !heard.message_complete);
    free(theirs);
    free(ours);
    free(bytes);
    return 0;
}
