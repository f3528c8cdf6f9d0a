/*
 * test_fields.c -- the heads that are sent: what is dropped, kept and added.
 *
 * Every head built here is read again by the strict parser before it is compared.
 */
#include "proxy/http/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD_BYTES     4096
#define PIECE(literal) ((struct xf_piece){literal, sizeof(literal) - 1})
#define H              "Host: h\r\n"
#define GET            "GET / HTTP/1.1\r\n" H
#define END            "\r\n"

static const struct xf_http_limits limits = {.head_bytes_max = HEAD_BYTES, .fields_max = 64};

/* The options of a plain request from 10.0.0.9; nothing else is added. */
static const struct xf_request_options stranger = {
    .client = {"10.0.0.9", 8},
    .scheme = {"http", 4},
    .port = {"8000", 4},
    .via = {"crossfade", 9},
};
#define OURS                                                                                       \
    "X-Forwarded-For: 10.0.0.9\r\n"                                                                \
    "X-Forwarded-Proto: http\r\n"                                                                  \
    "X-Forwarded-Host: h\r\n"                                                                      \
    "X-Forwarded-Port: 8000\r\n"                                                                   \
    "X-Real-IP: 10.0.0.9\r\n"
#define VIA "Via: 1.1 crossfade\r\n"

static void parse_request(const char *bytes, struct xf_http_request *request,
                          struct xf_field *fields)
{
    struct xf_http_refusal refusal = {0};
    if (xf_http_parse_request(bytes, strlen(bytes), 0, &limits, fields, request, &refusal) !=
        XF_HTTP_DONE) {
        fail_msg("%s: %s", refusal.reason, bytes);
    }
}

/* Builds into a heap block of exactly the needed size, so that a sanitizer sees an overflow. */
static char *forward(const char *bytes, const struct xf_request_options *options)
{
    struct xf_http_request request;
    struct xf_field fields[64];
    parse_request(bytes, &request, fields);
    size_t length = xf_build_request(NULL, 0, bytes, &request, fields, options);
    char *out = malloc(length + 1);
    assert_non_null(out);
    for (size_t size = 0; size < length; size += 7) {
        char *small = malloc(size + 1);
        assert_non_null(small);
        assert_int_equal(xf_build_request(small, size, bytes, &request, fields, options), length);
        free(small);
    }
    assert_int_equal(xf_build_request(out, length, bytes, &request, fields, options), length);
    out[length] = '\0';
    assert_int_equal(strlen(out), length);
    parse_request(out, &request, fields);
    assert_int_equal(request.head_bytes, length);
    return out;
}

static void forwards_as(const char *bytes, const struct xf_request_options *options,
                        const char *expected)
{
    char *out = forward(bytes, options);
    assert_string_equal(out, expected);
    free(out);
}

/* What becomes of the client's lines: everything between Host and X-Forwarded-For. */
static void fields_become(const char *lines, const struct xf_request_options *options,
                          const char *expected)
{
    char bytes[HEAD_BYTES];
    snprintf(bytes, sizeof(bytes), GET "%s\r\n", lines);
    char *out = forward(bytes, options);
    const char *begin = out + strlen("GET / HTTP/1.1\r\nHost: h\r\n");
    const char *end = strstr(out, "X-Forwarded-For: ");
    assert_non_null(end);
    if ((size_t) (end - begin) != strlen(expected) ||
        memcmp(begin, expected, strlen(expected)) != 0) {
        fail_msg("%s became %.*s, expected %s", lines, (int) (end - begin), begin, expected);
    }
    free(out);
}

static void a_plain_request_is_built_anew(void **state)
{
    (void) state;
    forwards_as("\r\nGET /a?b HTTP/1.1\r\nA:b\r\nhost:\th \r\nC:  d\t\r\nE: f\r\n\r\n", &stranger,
                "GET /a?b HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\nE: f\r\n" OURS VIA END);
}

static void targets_are_written_in_origin_form(void **state)
{
    (void) state;
    static const struct {
        const char *line;
        const char *expected;
    } rows[] = {
        {"GET http://x:1/a?b HTTP/1.1", "GET /a?b HTTP/1.1\r\nHost: x:1\r\n"},
        {"GET http://x HTTP/1.1", "GET / HTTP/1.1\r\nHost: x\r\n"},
        {"GET http://x?a HTTP/1.1", "GET /?a HTTP/1.1\r\nHost: x\r\n"},
        {"OPTIONS http://x HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: x\r\n"},
        {"OPTIONS http://x/ HTTP/1.1", "OPTIONS / HTTP/1.1\r\nHost: x\r\n"},
        {"OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: h\r\n"},
        {"GET / HTTP/1.9", "GET / HTTP/1.1\r\nHost: h\r\n"},
        {"X-ODD /b HTTP/1.1", "X-ODD /b HTTP/1.1\r\nHost: h\r\n"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        snprintf(bytes, sizeof(bytes), "%s\r\nHost: h\r\n\r\n", rows[i].line);
        char *out = forward(bytes, &stranger);
        assert_memory_equal(out, rows[i].expected, strlen(rows[i].expected));
        free(out);
    }
}

static void a_request_without_host_gets_the_one_it_is_given(void **state)
{
    (void) state;
    struct xf_request_options options = stranger;
    options.host = PIECE("web:80");
    forwards_as("GET / HTTP/1.0\r\n\r\n", &options,
                "GET / HTTP/1.1\r\nHost: web:80\r\nX-Forwarded-For: 10.0.0.9\r\n"
                "X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8000\r\nX-Real-IP: 10.0.0.9\r\n"
                "Via: 1.0 crossfade\r\n\r\n");
}

static void hop_by_hop_fields_are_dropped(void **state)
{
    (void) state;
    static const struct {
        const char *lines;
        const char *expected;
    } rows[] = {
        {"Connection: close\r\n", ""},
        {"Connection: X-A, x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", "X-C: 3\r\n"},
        {"X-A: 1\r\nConnection: x-a\r\n", ""},
        {"Connection: X-A\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 2\r\n", ""},
        {"Connection: Host, Cookie, Authorization, Via\r\nCookie: a=b\r\nAuthorization: c\r\n"
         "Via: 1.0 d\r\n",
         "Cookie: a=b\r\nAuthorization: c\r\nVia: 1.0 d\r\n"},
        {"Keep-Alive: timeout=5\r\nA: b\r\n", "A: b\r\n"},
        {"Proxy-Connection: keep-alive\r\n", ""},
        {"TE: gzip\r\n", ""},
        {"Trailer: X-A\r\n", ""},
        {"Upgrade: websocket\r\nConnection: upgrade\r\n", ""},
        {"Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\nConnection: upgrade, HTTP2-Settings\r\n", ""},
        {"Expect: 100-continue\r\n", ""},
        {"Date: x\r\nSec-WebSocket-Key: k\r\n", "Date: x\r\nSec-WebSocket-Key: k\r\n"},
        {"A: 1\r\nContent-Length: 3\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"},
        {"Transfer-Encoding: chunked\r\n", ""},
        {"A: \r\nB:\r\n", "A: \r\nB: \r\n"},
        {"A: \xe4\tb\r\n", "A: \xe4\tb\r\n"},
        {"Cookie: a=b\r\nCookie: c=d\r\n", "Cookie: a=b\r\nCookie: c=d\r\n"},
        {"Max-Forwards: 3\r\n", "Max-Forwards: 3\r\n"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        fields_become(rows[i].lines, &stranger, rows[i].expected);
    }
}

static void a_stranger_is_not_believed(void **state)
{
    (void) state;
    forwards_as(GET
                "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
                "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 1.2.3.4\r\n"
                "X-Request-Id: mine\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-User: root\r\n\r\n",
                &stranger, "GET / HTTP/1.1\r\nHost: h\r\n" OURS VIA END);
    struct xf_request_options options = stranger;
    options.request_id = PIECE("r1");
    forwards_as(GET "X-Request-Id: mine\r\n\r\n", &options,
                "GET / HTTP/1.1\r\nHost: h\r\n" OURS "X-Request-Id: r1\r\n" VIA END);
}

static void a_trusted_peer_is_believed_and_added_to(void **state)
{
    (void) state;
    struct xf_request_options options = stranger;
    options.trusted = true;
    options.request_id = PIECE("r1");
    forwards_as(GET
                "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
                "X-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Host: site\r\nX-Forwarded-Port: 443\r\n"
                "X-Real-IP: 1.2.3.4\r\nX-Request-Id: theirs\r\nForwarded: for=1.2.3.4\r\n"
                "X-Forwarded-User: bob\r\n\r\n",
                &options,
                "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-User: bob\r\n"
                "X-Forwarded-For: 1.2.3.4, 5.6.7.8, 10.0.0.9\r\n"
                "X-Forwarded-Proto: https\r\nX-Forwarded-Host: site\r\nX-Forwarded-Port: 443\r\n"
                "X-Real-IP: 1.2.3.4\r\nX-Request-Id: theirs\r\n"
                "Forwarded: for=1.2.3.4, for=10.0.0.9;host=\"h\";proto=http\r\n" VIA END);
    forwards_as(GET END, &options,
                "GET / HTTP/1.1\r\nHost: h\r\n" OURS "X-Request-Id: r1\r\n" VIA END);
    options.client = PIECE("2001:db8::9");
    char *out = forward(GET "X-Forwarded-For:\r\nForwarded:\r\n\r\n", &options);
    assert_non_null(strstr(out, "X-Forwarded-For: 2001:db8::9\r\n"));
    assert_non_null(strstr(out, "Forwarded: for=\"[2001:db8::9]\";host=\"h\";proto=http\r\n"));
    free(out);
}

static void a_field_that_is_ours_is_not_sent_upstream(void **state)
{
    (void) state;
    struct xf_request_options options = stranger;
    options.strip_field = "x-crossfade";
    fields_become("A: 1\r\nX-CROSSFADE: green s\r\nB: 2\r\nx-crossfade:\r\nX-Crossfade2: c\r\n",
                  &options, "A: 1\r\nB: 2\r\nX-Crossfade2: c\r\n");
}

static void our_cookie_is_not_sent_upstream(void **state)
{
    (void) state;
    struct xf_request_options options = stranger;
    options.strip_cookie = PIECE("cf");
    static const struct {
        const char *lines;
        const char *expected;
    } rows[] = {
        {"Cookie: cf=1\r\n", ""},
        {"Cookie: a=b; cf=1\r\n", "Cookie: a=b\r\n"},
        {"Cookie: cf=1; a=b\r\n", "Cookie: a=b\r\n"},
        {"Cookie: a=b;cf=1;c=\"d e\"\r\n", "Cookie: a=b; c=\"d e\"\r\n"},
        {"Cookie: cf=1\r\nCookie: a=b\r\n", "Cookie: a=b\r\n"},
        {"Cookie: a=b;  c=d;\r\n", "Cookie: a=b;  c=d;\r\n"},
        {"Cookie: CF=1; cfx=2; xcf=3\r\n", "Cookie: CF=1; cfx=2; xcf=3\r\n"},
        {"Cookie: cf; a\r\n", "Cookie: a\r\n"},
        {"Cookie: cf =1; ; cf=2\r\n", ""},
        {"A: 1\r\nCookie: cf=1; z\r\nB: 2\r\n", "A: 1\r\nCookie: z\r\nB: 2\r\n"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        fields_become(rows[i].lines, &options, rows[i].expected);
    }
}

static void a_cookie_is_found_by_its_exact_name(void **state)
{
    (void) state;
    static const struct {
        const char *lines;
        const char *value; /* NULL: none */
    } rows[] = {
        {"Cookie: cf=abc\r\n", "abc"},
        {"Cookie: a=b; cf=abc ; c=d\r\n", "abc"},
        {"Cookie: a=b\r\nX: y\r\nCookie: cf=abc\r\n", "abc"},
        {"Cookie: cf=1; cf=2\r\n", "1"},
        {"Cookie: cf=\r\n", ""},
        {"Cookie: cf\r\n", ""},
        {"Cookie: CF=1; cfx=2; x=cf=3\r\n", NULL},
        {"X: cf=1\r\n", NULL},
        {"Cookie: cf=a=b\r\n", "a=b"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        struct xf_http_request request;
        struct xf_field fields[64];
        struct xf_span value;
        snprintf(bytes, sizeof(bytes), GET "%s\r\n", rows[i].lines);
        parse_request(bytes, &request, fields);
        bool found = xf_find_cookie(bytes, &request, fields, "cf", &value);
        assert_int_equal(found, rows[i].value != NULL);
        if (found) {
            assert_int_equal(value.length, strlen(rows[i].value));
            assert_memory_equal(bytes + value.at, rows[i].value, value.length);
        }
    }
}

static void the_hop_is_described_by_the_options(void **state)
{
    (void) state;
    struct xf_request_options options = stranger;
    options.framing = XF_FRAMING_LENGTH;
    options.content_length = 18446744073709551615u;
    options.close = true;
    options.extra = PIECE("X-E: 1\r\nX-F: 2\r\n");
    struct xf_http_request request;
    struct xf_field fields[64];
    char out[1024];
    const char *bytes = GET "TE: trailers\r\nConnection: TE\r\n\r\n";
    parse_request(bytes, &request, fields);
    size_t length = xf_build_request(out, sizeof(out), bytes, &request, fields, &options);
    const char *expected =
        "GET / HTTP/1.1\r\nHost: h\r\n" OURS VIA "Connection: close, TE\r\nTE: trailers\r\n"
        "Content-Length: 18446744073709551615\r\nX-E: 1\r\nX-F: 2\r\n\r\n";
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(out, expected, length);

    options = stranger;
    options.close = true;
    options.framing = XF_FRAMING_CHUNKED;
    options.pass_expect = true;
    forwards_as(GET "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", &options,
                "GET / HTTP/1.1\r\nHost: h\r\n" OURS VIA
                "Connection: close\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    options = stranger;
    forwards_as(GET "TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n\r\n", &options,
                "GET / HTTP/1.1\r\nHost: h\r\n" OURS VIA "Connection: TE\r\nTE: trailers\r\n\r\n");
    options.upgrade = PIECE("websocket");
    forwards_as(GET "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: k\r\n\r\n",
                &options,
                "GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\n" OURS VIA
                "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

static void max_forwards_is_counted_for_trace_and_options(void **state)
{
    (void) state;
    char *out = forward("TRACE / HTTP/1.1\r\n" H "Max-Forwards: 5\r\n\r\n", &stranger);
    assert_non_null(strstr(out, "\r\nMax-Forwards: 4\r\n"));
    assert_null(strstr(out, "Max-Forwards: 5"));
    free(out);
    out = forward("OPTIONS * HTTP/1.1\r\n" H "Max-Forwards: 0\r\n\r\n", &stranger);
    assert_non_null(strstr(out, "\r\nMax-Forwards: 0\r\n"));
    free(out);
}

/* ---- responses ---- */

static void answers_as(enum xf_http_method method, const char *bytes,
                       const struct xf_response_options *options, const char *expected)
{
    struct xf_http_response response;
    struct xf_http_refusal refusal = {0};
    struct xf_field fields[64];
    if (xf_http_parse_response(bytes, strlen(bytes), 0, method, &limits, fields, &response,
                               &refusal) != XF_HTTP_DONE) {
        fail_msg("%s: %s", refusal.reason, bytes);
    }
    size_t length = xf_build_response(NULL, 0, bytes, &response, fields, options);
    char *out = malloc(length + 1);
    assert_non_null(out);
    assert_int_equal(xf_build_response(out, length, bytes, &response, fields, options), length);
    out[length] = '\0';
    assert_string_equal(out, expected);
    assert_int_equal(
        xf_http_parse_response(out, length, 0, method, &limits, fields, &response, &refusal),
        XF_HTTP_DONE);
    free(out);
}

#define OK "HTTP/1.1 200 OK\r\n"

static void a_response_loses_its_hop_and_gains_ours(void **state)
{
    (void) state;
    struct xf_response_options options = {
        .via = PIECE("crossfade"),
        .date = PIECE("Sun, 22 Nov 2026 10:00:00 GMT"),
        .set_cookie = PIECE("cf=1; Path=/"),
        .connection = XF_CONNECTION_CLOSE,
        .framing = XF_FRAMING_CHUNKED,
        .extra = PIECE("X-E: 1\r\n"),
    };
    answers_as(XF_METHOD_GET,
               OK "Server:  s\r\nConnection: X-A\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\n"
                  "Transfer-Encoding: chunked\r\nTrailer: T\r\nUpgrade: h2\r\nSet-Cookie: a=b\r\n"
                  "Set-Cookie: c=d\r\nVia: 1.0 x\r\nX-Request-Id: r\r\n\r\n",
               &options,
               OK "Server: s\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nVia: 1.0 x\r\n"
                  "X-Request-Id: r\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
                  "Set-Cookie: cf=1; Path=/\r\nVia: 1.1 crossfade\r\nConnection: close\r\n"
                  "Transfer-Encoding: chunked\r\nX-E: 1\r\n\r\n");
}

static void a_date_that_came_is_kept(void **state)
{
    (void) state;
    struct xf_response_options options = {.date = PIECE("ours"), .framing = XF_FRAMING_LENGTH};
    answers_as(XF_METHOD_GET, OK "Date: theirs\r\nContent-Length: 0\r\n\r\n", &options,
               OK "Date: theirs\r\nContent-Length: 0\r\n\r\n");
    options.framing = XF_FRAMING_NONE;
    answers_as(XF_METHOD_GET, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", &options,
               "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
}

static void versions_and_reasons(void **state)
{
    (void) state;
    struct xf_response_options options = {
        .via = PIECE("cf"), .connection = XF_CONNECTION_KEEP_ALIVE, .framing = XF_FRAMING_CLOSE};
    answers_as(XF_METHOD_GET, "HTTP/1.0 404\r\n\r\n", &options,
               "HTTP/1.1 404 \r\nVia: 1.0 cf\r\nConnection: keep-alive\r\n\r\n");
    answers_as(XF_METHOD_GET, "HTTP/1.9 599 a  b\r\n\r\n", &options,
               "HTTP/1.1 599 a  b\r\nVia: 1.1 cf\r\nConnection: keep-alive\r\n\r\n");
}

static void a_length_without_a_body_stays_where_it_may(void **state)
{
    (void) state;
    struct xf_response_options options = {.framing = XF_FRAMING_NONE};
    static const struct {
        enum xf_http_method method;
        const char *head;
        const char *expected;
    } rows[] = {
        {XF_METHOD_HEAD, OK "Content-Length: 7\r\n", OK "Content-Length: 7\r\n"},
        {XF_METHOD_HEAD, OK "Content-Length: 7, 7\r\n", OK "Content-Length: 7\r\n"},
        {XF_METHOD_HEAD, OK "Transfer-Encoding: chunked\r\n", OK},
        {XF_METHOD_HEAD, OK "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", OK},
        {XF_METHOD_HEAD, OK, OK},
        {XF_METHOD_GET, "HTTP/1.1 304 No\r\nContent-Length: 7\r\n",
         "HTTP/1.1 304 No\r\nContent-Length: 7\r\n"},
        {XF_METHOD_GET, "HTTP/1.1 204 No\r\nContent-Length: 7\r\n", "HTTP/1.1 204 No\r\n"},
        {XF_METHOD_GET, "HTTP/1.1 103 No\r\nContent-Length: 7\r\n", "HTTP/1.1 103 No\r\n"},
        {XF_METHOD_GET, "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n", "HTTP/1.1 204 No\r\n"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        char expected[256];
        snprintf(bytes, sizeof(bytes), "%s\r\n", rows[i].head);
        snprintf(expected, sizeof(expected), "%s\r\n", rows[i].expected);
        answers_as(rows[i].method, bytes, &options, expected);
    }
}

static void a_101_names_its_protocol(void **state)
{
    (void) state;
    struct xf_response_options options = {.framing = XF_FRAMING_NONE,
                                          .connection = XF_CONNECTION_UPGRADE,
                                          .upgrade = PIECE("websocket")};
    answers_as(XF_METHOD_GET,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: x\r\n\r\n",
               &options,
               "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
               "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_request_is_built_anew),
        cmocka_unit_test(targets_are_written_in_origin_form),
        cmocka_unit_test(a_request_without_host_gets_the_one_it_is_given),
        cmocka_unit_test(hop_by_hop_fields_are_dropped),
        cmocka_unit_test(a_stranger_is_not_believed),
        cmocka_unit_test(a_trusted_peer_is_believed_and_added_to),
        cmocka_unit_test(a_field_that_is_ours_is_not_sent_upstream),
        cmocka_unit_test(our_cookie_is_not_sent_upstream),
        cmocka_unit_test(a_cookie_is_found_by_its_exact_name),
        cmocka_unit_test(the_hop_is_described_by_the_options),
        cmocka_unit_test(max_forwards_is_counted_for_trace_and_options),
        cmocka_unit_test(a_response_loses_its_hop_and_gains_ours),
        cmocka_unit_test(a_date_that_came_is_kept),
        cmocka_unit_test(versions_and_reasons),
        cmocka_unit_test(a_length_without_a_body_stays_where_it_may),
        cmocka_unit_test(a_101_names_its_protocol),
    };
    return cmocka_run_group_tests_name("proxy/fields", tests, NULL, NULL);
}
