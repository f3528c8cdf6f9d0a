/*
 * fuzz_fields.c -- whatever the head builders write is read by the strict parsers, once, and says
 * what it was told to say.  The first byte chooses the options, the rest is a head.
 */
#include "oracle.h"

#include "proxy/http/fields.h"

#define FIELDS_MAX 48

static const struct xf_http_limits limits = {.head_bytes_max = 65536, .fields_max = FIELDS_MAX};
static struct xf_field fields[FIELDS_MAX];
static struct xf_field built_fields[FIELDS_MAX];

static struct xf_piece piece(const char *text)
{
    return (struct xf_piece){text, strlen(text)};
}

static bool span_is(const char *bytes, struct xf_span span, struct xf_piece text)
{
    return span.length == text.length && memcmp(bytes + span.at, text.bytes, span.length) == 0;
}

static void choose_request_options(uint8_t choice, const struct xf_http_request *request,
                                   struct xf_request_options *ret)
{
    *ret = (struct xf_request_options){
        .client = piece((choice & 1) != 0 ? "2001:db8::1" : "192.0.2.7"),
        .trusted = (choice & 2) != 0,
        .scheme = piece("https"),
        .port = piece("8443"),
        .via = piece("crossfade"),
        .request_id = piece((choice & 4) != 0 ? "id-1" : ""),
        .host = piece("fallback:80"),
        .strip_cookie = piece((choice & 8) != 0 ? "cf" : ""),
        .upgrade = piece(request->upgrade && (choice & 16) != 0 ? "websocket" : ""),
        .pass_expect = request->expect_continue,
        .close = (choice & 32) != 0,
        .extra = piece((choice & 64) != 0 ? "X-Extra: 1\r\n" : ""),
        .framing = request->framing,
        .content_length = request->content_length,
    };
}

/* What must be true of the request that was built, beyond its being valid. */
static void check_request(const char *bytes, const struct xf_http_request *request,
                          const char *built, const struct xf_http_request *again,
                          const struct xf_request_options *options)
{
    struct xf_span value;
    struct xf_span host = request->authority;
    FUZZ_CHECK(again->minor == 1 && again->method == request->method);
    FUZZ_CHECK(again->framing == options->framing);
    FUZZ_CHECK(again->content_length == options->content_length);
    FUZZ_CHECK(again->keep_alive == !options->close || options->upgrade.length > 0);
    FUZZ_CHECK(again->upgrade == (options->upgrade.length > 0));
    FUZZ_CHECK(again->te_trailers == (request->te_trailers && options->upgrade.length == 0));
    FUZZ_CHECK(again->expect_continue == options->pass_expect);
    FUZZ_CHECK(
        span_is(built, again->authority,
                host.length > 0 ? (struct xf_piece){bytes + host.at, host.length} : options->host));
    FUZZ_CHECK(oracle_count(built, built_fields, again->fields, "x-forwarded-for", &value) == 1);
    FUZZ_CHECK(value.length >= options->client.length);
    FUZZ_CHECK(options->trusted || value.length == options->client.length);
    FUZZ_CHECK(memcmp(built + value.at + value.length - options->client.length,
                      options->client.bytes, options->client.length) == 0);
    FUZZ_CHECK(oracle_count(built, built_fields, again->fields, "x-real-ip", &value) == 1);
    FUZZ_CHECK(options->trusted || span_is(built, value, options->client));
    FUZZ_CHECK(options->trusted ||
               oracle_count(built, built_fields, again->fields, "forwarded", &value) == 0);
    FUZZ_CHECK(oracle_count(built, built_fields, again->fields, "keep-alive", &value) == 0);
    FUZZ_CHECK(oracle_count(built, built_fields, again->fields, "trailer", &value) == 0);
    FUZZ_CHECK(oracle_count(built, built_fields, again->fields, "http2-settings", &value) == 0);
    FUZZ_CHECK(oracle_count(built, built_fields, again->fields, "via", &value) >= 1);
    bool found = xf_find_cookie(built, again, built_fields, "cf", &value);
    FUZZ_CHECK(!found || (options->strip_cookie.length == 0 &&
                          xf_find_cookie(bytes, request, fields, "cf", &value)));
    if (request->max_forwards != UINT32_MAX) {
        uint32_t hops = request->max_forwards;
        FUZZ_CHECK(again->max_forwards == (hops > 0 ? hops - 1 : 0));
    }
}

static void try_request(uint8_t choice, const char *bytes, size_t size)
{
    struct xf_http_request request;
    struct xf_http_request again;
    struct xf_http_refusal refusal;
    struct xf_request_options options;
    /* Room for the lines that are added: the built head must fit the table too. */
    const struct xf_http_limits narrow = {.head_bytes_max = 4096, .fields_max = FIELDS_MAX - 16};
    if (xf_http_parse_request(bytes, size, 0, &narrow, fields, &request, &refusal) !=
        XF_HTTP_DONE) {
        return;
    }
    choose_request_options(choice, &request, &options);
    size_t length = xf_build_request(NULL, 0, bytes, &request, fields, &options);
    char *built = malloc(length);
    FUZZ_CHECK(built != NULL);
    size_t less = fuzz_hash((const uint8_t *) bytes, size) % length;
    char *small = malloc(less > 0 ? less : 1);
    FUZZ_CHECK(small != NULL);
    FUZZ_CHECK(xf_build_request(small, less, bytes, &request, fields, &options) == length);
    free(small);
    FUZZ_CHECK(xf_build_request(built, length, bytes, &request, fields, &options) == length);
    FUZZ_CHECK(xf_http_parse_request(built, length, 0, &limits, built_fields, &again, &refusal) ==
               XF_HTTP_DONE);
    FUZZ_CHECK(again.head_bytes == length && again.skipped_bytes == 0);
    oracle_fields(built, 0, length, built_fields, again.fields);
    check_request(bytes, &request, built, &again, &options);
    free(built);
}

static void try_response(uint8_t choice, const char *bytes, size_t size)
{
    struct xf_http_response response;
    struct xf_http_response again;
    struct xf_http_refusal refusal;
    enum xf_http_method method = (choice & 1) != 0 ? XF_METHOD_HEAD : XF_METHOD_GET;
    const struct xf_http_limits narrow = {.head_bytes_max = 4096, .fields_max = FIELDS_MAX - 16};
    if (xf_http_parse_response(bytes, size, 0, method, &narrow, fields, &response, &refusal) !=
        XF_HTTP_DONE) {
        return;
    }
    struct xf_response_options options = {
        .via = piece((choice & 2) != 0 ? "crossfade" : ""),
        .date = piece((choice & 4) != 0 ? "Sun, 22 Nov 2026 10:00:00 GMT" : ""),
        .set_cookie = piece((choice & 8) != 0 ? "cf=1" : ""),
        .upgrade = piece("websocket"),
        .extra = piece((choice & 16) != 0 ? "X-Extra: 1\r\n" : ""),
        .connection = response.upgrade     ? XF_CONNECTION_UPGRADE
                      : (choice & 32) != 0 ? XF_CONNECTION_CLOSE
                      : (choice & 64) != 0 ? XF_CONNECTION_KEEP_ALIVE
                                           : XF_CONNECTION_NONE,
        .framing = response.framing,
        .content_length = response.content_length,
    };
    size_t length = xf_build_response(NULL, 0, bytes, &response, fields, &options);
    char *built = malloc(length);
    FUZZ_CHECK(built != NULL);
    FUZZ_CHECK(xf_build_response(built, length, bytes, &response, fields, &options) == length);
    FUZZ_CHECK(xf_http_parse_response(built, length, 0, method, &limits, built_fields, &again,
                                      &refusal) == XF_HTTP_DONE);
    FUZZ_CHECK(again.head_bytes == length && again.status == response.status);
    FUZZ_CHECK(again.framing == response.framing && again.upgrade == response.upgrade);
    FUZZ_CHECK(again.framing == XF_FRAMING_NONE || again.content_length == response.content_length);
    FUZZ_CHECK(again.first[XF_FIELD_KEEP_ALIVE] == 0 && again.first[XF_FIELD_TRAILER] == 0);
    oracle_fields(built, 0, length, built_fields, again.fields);
    free(built);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if ((data[0] & 128) != 0) {
        try_response(data[0], (const char *) data + 1, size - 1);
    } else {
        try_request(data[0], (const char *) data + 1, size - 1);
    }
    return 0;
}
