/*
 * fuzz_response.c -- response heads: all scanners and all ways of arriving agree, and what is
 * accepted reads the same to the naive oracle.  The first byte chooses the request's method.
 */
#include "oracle.h"

#include "proxy/http/http1_scan.h"

#define FIELDS_MAX 24

static const struct xf_http_limits limits = {.head_bytes_max = 2048, .fields_max = FIELDS_MAX};

struct outcome {
    enum xf_http_verdict verdict;
    struct xf_http_refusal refusal;
    struct xf_http_response response;
    struct xf_field fields[FIELDS_MAX];
};

static void parse(const struct xf_scanner *scanner, const char *bytes, size_t length, size_t seen,
                  enum xf_http_method method, struct outcome *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->verdict = xf_http_response_with(scanner, bytes, length, seen, method, &limits, ret->fields,
                                         &ret->response, &ret->refusal);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    FUZZ_CHECK(a->verdict == b->verdict);
    FUZZ_CHECK(a->refusal.status == b->refusal.status);
    FUZZ_CHECK(memcmp(&a->response, &b->response, sizeof(a->response)) == 0);
    for (uint32_t i = 0; i < a->response.fields; i++) {
        FUZZ_CHECK(memcmp(&a->fields[i], &b->fields[i], sizeof(a->fields[i])) == 0);
    }
}

/* Once the line is complete, the fault is reported as it would have been at once. */
static void check_line_end(const char *bytes, size_t size, size_t cut, enum xf_http_method method)
{
    struct outcome whole;
    struct outcome piece;
    char *ended = malloc(size + 2);
    FUZZ_CHECK(ended != NULL);
    memcpy(ended, bytes, size);
    memcpy(ended + size, "\r\n", 2);
    parse(xf_scanner_best(), ended, size + 2, 0, method, &whole);
    parse(xf_scanner_best(), ended, size + 2, cut, method, &piece);
    check_same(&whole, &piece);
    FUZZ_CHECK(whole.verdict == XF_HTTP_BAD);
    free(ended);
}

static void check_pieces(const char *bytes, size_t size, size_t cut, enum xf_http_method method,
                         const struct outcome *whole)
{
    struct outcome piece;
    char *exact = fuzz_exact(bytes, cut);
    parse(xf_scanner_best(), exact, cut, 0, method, &piece);
    free(exact);
    if (piece.verdict == XF_HTTP_MORE) {
        parse(xf_scanner_best(), bytes, size, cut, method, &piece);
    }
    if (piece.verdict == XF_HTTP_MORE && whole->verdict == XF_HTTP_BAD) {
        check_line_end(bytes, size, cut, method); /* the fault may wait for the end of its line */
        return;
    }
    check_same(whole, &piece);
}

static void check_status_line(const char *bytes, const struct xf_http_response *response)
{
    size_t end = oracle_line_end(bytes, 0, response->head_bytes);
    FUZZ_CHECK(end >= 12 && memcmp(bytes, "HTTP/1.", 7) == 0 && bytes[8] == ' ');
    FUZZ_CHECK(response->minor == (bytes[7] == '0' ? 0 : 1));
    char digits[4] = {bytes[9], bytes[10], bytes[11], '\0'};
    FUZZ_CHECK(strspn(digits, "0123456789") == 3 && atoi(digits) == response->status);
    FUZZ_CHECK(response->status >= 100 && response->status < 600);
    FUZZ_CHECK(end == 12 || bytes[12] == ' ');
    FUZZ_CHECK(response->reason.at + response->reason.length == end);
    FUZZ_CHECK(response->reason.at == (end == 12 ? 12 : 13));
}

static void check_framing(const char *bytes, enum xf_http_method method, const struct outcome *out)
{
    struct xf_span value = {0};
    const struct xf_http_response *response = &out->response;
    unsigned lengths = oracle_count(bytes, out->fields, response->fields, "content-length", &value);
    unsigned codings =
        oracle_count(bytes, out->fields, response->fields, "transfer-encoding", &value);
    bool bodiless = method == XF_METHOD_HEAD || response->status < 200 || response->status == 204 ||
                    response->status == 304;
    FUZZ_CHECK(codings == 0 || response->minor == 1);
    if (bodiless) {
        FUZZ_CHECK(response->framing == XF_FRAMING_NONE);
    } else {
        FUZZ_CHECK(codings == 0 ||
                   (codings == 1 && lengths == 0 && oracle_is(bytes, value, "chunked")));
        FUZZ_CHECK(response->framing == (codings > 0   ? XF_FRAMING_CHUNKED
                                         : lengths > 0 ? XF_FRAMING_LENGTH
                                                       : XF_FRAMING_CLOSE));
    }
    FUZZ_CHECK(response->framing != XF_FRAMING_CLOSE || !response->keep_alive);
    oracle_length(bytes, out->fields, response->fields, response->content_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum xf_http_method method = data[0] % 2 == 0 ? XF_METHOD_GET : XF_METHOD_HEAD;
    const char *bytes = (const char *) data + 1;
    size--;
    const struct xf_scanner *scanner;
    struct outcome whole;
    struct outcome other;
    parse(xf_scanner_at(0), bytes, size, 0, method, &whole);
    for (unsigned i = 1; (scanner = xf_scanner_at(i)) != NULL; i++) {
        parse(scanner, bytes, size, 0, method, &other);
        check_same(&whole, &other);
    }
    check_pieces(bytes, size, fuzz_hash(data, size) % (size + 1), method, &whole);
    if (whole.verdict == XF_HTTP_BAD) {
        FUZZ_CHECK(whole.refusal.status == 502 && whole.refusal.reason != NULL);
    }
    if (whole.verdict == XF_HTTP_DONE) {
        FUZZ_CHECK(whole.response.head_bytes <= size);
        check_status_line(bytes, &whole.response);
        oracle_fields(bytes, 0, whole.response.head_bytes, whole.fields, whole.response.fields);
        oracle_index(bytes, whole.fields, whole.response.fields, whole.response.first);
        check_framing(bytes, method, &whole);
    }
    return 0;
}
