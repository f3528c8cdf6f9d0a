/*
 * fuzz_request.c -- request heads: all scanners and all ways of arriving agree, and what is
 * accepted reads the same to the naive oracle.
 */
#include "oracle.h"

#include "proxy/http/http1_scan.h"

#define FIELDS_MAX 24

static const struct xf_http_limits limits = {.head_bytes_max = 2048, .fields_max = FIELDS_MAX};

struct outcome {
    enum xf_http_verdict verdict;
    struct xf_http_refusal refusal;
    struct xf_http_request request;
    struct xf_field fields[FIELDS_MAX];
};

static void parse(const struct xf_scanner *scanner, const char *bytes, size_t length, size_t seen,
                  struct outcome *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->verdict = xf_http_request_with(scanner, bytes, length, seen, &limits, ret->fields,
                                        &ret->request, &ret->refusal);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    FUZZ_CHECK(a->verdict == b->verdict);
    FUZZ_CHECK(a->refusal.status == b->refusal.status);
    FUZZ_CHECK(memcmp(&a->request, &b->request, sizeof(a->request)) == 0);
    for (uint32_t i = 0; i < a->request.fields; i++) {
        FUZZ_CHECK(memcmp(&a->fields[i], &b->fields[i], sizeof(a->fields[i])) == 0);
    }
}

/* Once the line is complete, the fault is reported as it would have been at once. */
static void check_line_end(const char *bytes, size_t size, size_t cut)
{
    struct outcome whole;
    struct outcome piece;
    char *ended = malloc(size + 2);
    FUZZ_CHECK(ended != NULL);
    memcpy(ended, bytes, size);
    memcpy(ended + size, "\r\n", 2);
    parse(xf_scanner_best(), ended, size + 2, 0, &whole);
    parse(xf_scanner_best(), ended, size + 2, cut, &piece);
    check_same(&whole, &piece);
    FUZZ_CHECK(whole.verdict == XF_HTTP_BAD);
    free(ended);
}

/* The first `cut` bytes, then all of them. */
static void check_pieces(const char *bytes, size_t size, size_t cut, const struct outcome *whole)
{
    struct outcome piece;
    char *exact = fuzz_exact(bytes, cut);
    parse(xf_scanner_best(), exact, cut, 0, &piece);
    free(exact);
    if (piece.verdict == XF_HTTP_MORE) {
        parse(xf_scanner_best(), bytes, size, cut, &piece);
    }
    if (piece.verdict == XF_HTTP_MORE && whole->verdict == XF_HTTP_BAD) {
        check_line_end(bytes, size, cut); /* the fault may wait for the end of its line */
        return;
    }
    check_same(whole, &piece);
}

static void check_start_line(const char *bytes, const struct xf_http_request *request)
{
    size_t at = request->skipped_bytes;
    FUZZ_CHECK(at == 0 || (at == 2 && memcmp(bytes, "\r\n", 2) == 0));
    size_t end = oracle_line_end(bytes, at, request->head_bytes);
    const char *first = memchr(bytes + at, ' ', end - at);
    FUZZ_CHECK(first != NULL && first > bytes + at);
    const char *second = memchr(first + 1, ' ', (size_t) (bytes + end - first) - 1);
    FUZZ_CHECK(second != NULL && second > first + 1);
    FUZZ_CHECK((size_t) (bytes + end - second) == sizeof(" HTTP/1.1") - 1);
    FUZZ_CHECK(memcmp(second, " HTTP/1.", 8) == 0);
    FUZZ_CHECK(request->minor == (second[8] == '0' ? 0 : 1));
    FUZZ_CHECK(request->method_name.at == at);
    FUZZ_CHECK(request->method_name.length == (size_t) (first - bytes) - at);
    for (const char *byte = first + 1; byte < second; byte++) {
        FUZZ_CHECK(*byte > ' ' && *byte < 127 && *byte != '#');
    }
    size_t target = (size_t) (first + 1 - bytes);
    size_t target_end = (size_t) (second - bytes);
    FUZZ_CHECK(request->target.at >= target);
    FUZZ_CHECK(request->target.at + request->target.length == target_end);
    FUZZ_CHECK(request->path.at == request->target.at);
    FUZZ_CHECK(request->path.length <= request->target.length);
    FUZZ_CHECK(memchr(bytes + request->path.at, '?', request->path.length) == NULL);
    char begins = bytes[target];
    FUZZ_CHECK(begins == '/' || begins == '*' || strncasecmp(bytes + target, "http", 4) == 0);
}

static void check_framing(const char *bytes, const struct outcome *out)
{
    struct xf_span value = {0};
    const struct xf_http_request *request = &out->request;
    unsigned hosts = oracle_count(bytes, out->fields, request->fields, "host", &value);
    FUZZ_CHECK(hosts == 1 || (hosts == 0 && request->minor == 0));
    unsigned lengths = oracle_count(bytes, out->fields, request->fields, "content-length", &value);
    unsigned codings =
        oracle_count(bytes, out->fields, request->fields, "transfer-encoding", &value);
    FUZZ_CHECK(codings == 0 || (codings == 1 && lengths == 0 && request->minor == 1 &&
                                oracle_is(bytes, value, "chunked")));
    FUZZ_CHECK(request->framing == (codings > 0   ? XF_FRAMING_CHUNKED
                                    : lengths > 0 ? XF_FRAMING_LENGTH
                                                  : XF_FRAMING_NONE));
    oracle_length(bytes, out->fields, request->fields, request->content_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *) data;
    const struct xf_scanner *scanner;
    struct outcome whole;
    struct outcome other;
    parse(xf_scanner_at(0), bytes, size, 0, &whole);
    for (unsigned i = 1; (scanner = xf_scanner_at(i)) != NULL; i++) {
        parse(scanner, bytes, size, 0, &other);
        check_same(&whole, &other);
    }
    check_pieces(bytes, size, fuzz_hash(data, size) % (size + 1), &whole);
    if (whole.verdict == XF_HTTP_BAD) {
        FUZZ_CHECK(whole.refusal.status >= 400 && whole.refusal.status <= 505);
        FUZZ_CHECK(whole.refusal.reason != NULL);
        FUZZ_CHECK(strcmp(xf_http_reason(whole.refusal.status), "Unknown") != 0);
    }
    if (whole.verdict == XF_HTTP_DONE) {
        FUZZ_CHECK(whole.request.head_bytes <= size);
        FUZZ_CHECK(whole.request.head_bytes <= limits.head_bytes_max);
        check_start_line(bytes, &whole.request);
        oracle_fields(bytes, whole.request.skipped_bytes, whole.request.head_bytes, whole.fields,
                      whole.request.fields);
        oracle_index(bytes, whole.fields, whole.request.fields, whole.request.first);
        check_framing(bytes, &whole);
        FUZZ_CHECK(!xf_http_method_safe(whole.request.method) ||
                   xf_http_method_idempotent(whole.request.method));
    }
    return 0;
}
