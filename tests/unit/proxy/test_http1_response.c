/*
 * test_http1_response.c -- response heads: what is passed on and what becomes 502.
 */
#include "head_rows.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define END     "\r\n"
#define BAD     502

static const struct xf_http_limits limits = {.head_bytes_max = 4096, .fields_max = 64};
static enum xf_http_method request_method;

static void parse(const struct xf_scanner *scanner, const char *bytes, size_t length, size_t seen,
                  struct head_outcome *ret)
{
    ret->verdict = xf_http_response_with(scanner, bytes, length, seen, request_method, &limits,
                                         ret->fields, &ret->response, &ret->refusal);
}

#define LINE(line) line "\r\n\r\n"

static void status_lines(void **state)
{
    (void) state;
    request_method = XF_METHOD_GET;
    static const struct head_row rows[] = {
        ROW("9112 4: a status line", LINE("HTTP/1.1 200 OK"), 0),
        ROW("9112 4: an empty reason", LINE("HTTP/1.1 200 "), 0),
        ROW("9112 4: no SP and no reason", LINE("HTTP/1.1 200"), 0),
        ROW("9112 4: HTAB in the reason", LINE("HTTP/1.1 200 a\tb"), 0),
        ROW("9112 4: obs-text in the reason", LINE("HTTP/1.1 200 \xc3\xa9"), 0),
        ROW("9112 4: a reason that begins with SP", LINE("HTTP/1.1 200  OK"), 0),
        ROW("9112 4: NUL in the reason", "HTTP/1.1 200 a\0b\r\n\r\n", BAD),
        ROW("9112 4: ESC in the reason", LINE("HTTP/1.1 200 \x1b[2J"), BAD),
        ROW("9112 4: DEL in the reason", LINE("HTTP/1.1 200 a\x7f"), BAD),
        ROW("9112 4: bare CR in the reason", LINE("HTTP/1.1 200 a\rb"), BAD),
        ROW("9112 4: bare LF behind the reason", "HTTP/1.1 200 OK\nA: b\r\n\r\n", BAD),
        ROW("9112 4: bare LF behind the status", "HTTP/1.1 200\n\r\n", BAD),
        ROW("9112 4: HTAB before the reason", LINE("HTTP/1.1 200\tOK"), BAD),
        ROW("9112 4: two SP", LINE("HTTP/1.1  200 OK"), BAD),
        ROW("9112 4: HTAB for SP", LINE("HTTP/1.1\t200 OK"), BAD),
        ROW("9112 4: 1.0", LINE("HTTP/1.0 200 OK"), 0),
        ROW("9110 2.5: 1.2", LINE("HTTP/1.2 200 OK"), 0),
        ROW("9110 2.5: 2.0", LINE("HTTP/2.0 200 OK"), BAD),
        ROW("9110 2.5: 0.9", LINE("HTTP/0.9 200 OK"), BAD),
        ROW("9110 2.5: no minor", LINE("HTTP/2 200 OK"), BAD),
        ROW("9112 2.3: lower case", LINE("http/1.1 200 OK"), BAD),
        ROW("9112 2.3: two digits", LINE("HTTP/1.10 200 OK"), BAD),
        ROW("9112 2.3: another protocol", LINE("ICY 200 OK"), BAD),
        ROW("9112 2.3: no version", LINE("200 OK"), BAD),
        ROW("9110 15: two digits", LINE("HTTP/1.1 20 OK"), BAD),
        ROW("9110 15: four digits", LINE("HTTP/1.1 2000 OK"), BAD),
        ROW("9110 15: four digits, no reason", LINE("HTTP/1.1 1000"), BAD),
        ROW("9110 15: a space inside", LINE("HTTP/1.1 2 00 OK"), BAD),
        ROW("9110 15: letters", LINE("HTTP/1.1 2xx OK"), BAD),
        ROW("9110 15: sign", LINE("HTTP/1.1 +20 OK"), BAD),
        ROW("9110 15: negative", LINE("HTTP/1.1 -20 OK"), BAD),
        ROW("9110 15: hexadecimal", LINE("HTTP/1.1 0xC OK"), BAD),
        ROW("9110 15: 099", LINE("HTTP/1.1 099 OK"), BAD),
        ROW("9110 15: 000", LINE("HTTP/1.1 000 OK"), BAD),
        ROW("9110 15: 100", LINE("HTTP/1.1 100 Continue"), 0),
        ROW("9110 15: 103", LINE("HTTP/1.1 103 Early Hints"), 0),
        ROW("9110 15: 299", LINE("HTTP/1.1 299 Odd"), 0),
        ROW("9110 15: 599", LINE("HTTP/1.1 599 Odd"), 0),
        ROW("9110 15: 600", LINE("HTTP/1.1 600 Odd"), BAD),
        ROW("9110 15: 999", LINE("HTTP/1.1 999 Odd"), BAD),
        ROW("9110 15: a fraction", LINE("HTTP/1.1 200.1 OK"), BAD),
        ROW("9112 4: an empty line before", "\r\nHTTP/1.1 200 OK\r\n\r\n", BAD),
        ROW("9112 4: SP before", LINE(" HTTP/1.1 200 OK"), BAD),
        ROW("9112 4: garbage before", LINE("xHTTP/1.1 200 OK"), BAD),
        ROW("9112 4: a document", "<html></html>", BAD),
        ROW("9112 4: NUL", "\0\0\0\0", BAD),
        ROW("9112 4: CR in it", LINE("HTTP/1.1\r200 OK"), BAD),
        ROW("9112 2.2: CR CR LF", "HTTP/1.1 200 OK\r\r\n\r\n", BAD),
        ROW("9112 2.2: white space before the first field", "HTTP/1.1 200 OK\r\n \r\n\r\n", BAD),
        ROW("not complete", "HTTP/1.1 200 OK\r\n", XF_ROW_MORE),
        ROW("not complete", "HTTP/1.1 2", XF_ROW_MORE),
        ROW("not complete", "HTTP/1.1 200 OK\r\nA: b\r\n\r", XF_ROW_MORE),
        ROW("not complete", "", XF_ROW_MORE),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

#define FIELD(line) OK_LINE line "\r\n\r\n"

static void field_lines(void **state)
{
    (void) state;
    request_method = XF_METHOD_GET;
    static const struct head_row rows[] = {
        ROW("9112 5: a field", FIELD("A: b"), 0),
        ROW("9112 5: an empty value", FIELD("A:"), 0),
        ROW("9110 5.5: obs-text", FIELD("A: \xe4"), 0),
        ROW("9110 5.5: HTAB inside", FIELD("A: b\tc"), 0),
        ROW("9112 5.1: SP before the colon", FIELD("A : b"), BAD),
        ROW("9112 5.1: an empty name", FIELD(": b"), BAD),
        ROW("9112 5.1: no colon", FIELD("A"), BAD),
        ROW("9112 5.2: folded", FIELD("A: b\r\n c"), BAD),
        ROW("9112 5.2: folded with HTAB", FIELD("A: b\r\n\tc"), BAD),
        ROW("9110 5.1: SP in a name", FIELD("A B: c"), BAD),
        ROW("9110 5.1: obs-text in a name", FIELD("\xc4: c"), BAD),
        ROW("9110 5.5: NUL", OK_LINE "A: b\0\r\n\r\n", BAD),
        ROW("9110 5.5: bare CR", FIELD("A: b\rc"), BAD),
        ROW("9110 5.5: bare LF", FIELD("A: b\nB: c"), BAD),
        ROW("9110 5.5: VT", FIELD("A: b\v"), BAD),
        ROW("9110 5.5: DEL", FIELD("A: \x7f"), BAD),
        ROW("9112 2.2: bare LF ends the head", OK_LINE "A: b\r\n\n", BAD),
        ROW("9112 2.2: bare LF everywhere", "HTTP/1.1 200 OK\nA: b\n\n", BAD),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

#define CL "Content-Length: "
#define TE "Transfer-Encoding: "

static void framing(void **state)
{
    (void) state;
    request_method = XF_METHOD_GET;
    static const struct head_row rows[] = {
        ROW("9112 6.3: a length", FIELD(CL "5"), 0),
        ROW("9112 6.3: identical lines", FIELD(CL "5\r\n" CL "5"), 0),
        ROW("9112 6.3: identical list", FIELD(CL "5, 5"), 0),
        ROW("9112 6.3: differing lines", FIELD(CL "5\r\n" CL "6"), BAD),
        ROW("9112 6.3: differing list", FIELD(CL "5, 6"), BAD),
        ROW("9112 6.3: negative", FIELD(CL "-5"), BAD),
        ROW("9112 6.3: plus", FIELD(CL "+5"), BAD),
        ROW("9112 6.3: hexadecimal", FIELD(CL "0x5"), BAD),
        ROW("9112 6.3: letters", FIELD(CL "abc"), BAD),
        ROW("9112 6.3: empty", FIELD(CL), BAD),
        ROW("9112 6.3: too large", FIELD(CL "18446744073709551616"), BAD),
        ROW("9112 6.3: with SP inside", FIELD(CL "5 5"), BAD),
        ROW("9112 6.1: chunked", FIELD(TE "chunked"), 0),
        ROW("9112 6.1: any case", FIELD(TE "CHUNKED"), 0),
        ROW("9112 6.3: gzip, chunked", FIELD(TE "gzip, chunked"), BAD),
        ROW("9112 6.3: gzip", FIELD(TE "gzip"), BAD),
        ROW("9112 6.3: identity", FIELD(TE "identity"), BAD),
        ROW("9112 6.3: chunked not last", FIELD(TE "chunked, gzip"), BAD),
        ROW("9112 6.3: chunked twice", FIELD(TE "chunked, chunked"), BAD),
        ROW("9112 6.3: on two lines", FIELD(TE "chunked\r\n" TE "chunked"), BAD),
        ROW("9112 6.3: unknown", FIELD(TE "xchunked"), BAD),
        ROW("9112 6.3: empty", FIELD(TE), BAD),
        ROW("9112 6.3: empty member", FIELD(TE "chunked,"), BAD),
        ROW("9112 6.3: quoted", FIELD(TE "\"chunked\""), BAD),
        ROW("9112 6.3: with a length", FIELD(TE "chunked\r\n" CL "5"), BAD),
        ROW("9112 6.3: behind a length", FIELD(CL "5\r\n" TE "chunked"), BAD),
        ROW("9112 6.1: in HTTP/1.0", "HTTP/1.0 200 OK\r\n" TE "chunked\r\n\r\n", BAD),
        ROW("9112 6.3: neither", OK_LINE END, 0),
        ROW("9110 8.6: a bad length on 204", "HTTP/1.1 204 No Content\r\n" CL "a\r\n\r\n", BAD),
        ROW("9110 15.3.5: 204 with both", "HTTP/1.1 204 a\r\n" CL "5\r\n" TE "chunked\r\n\r\n", 0),
        ROW("too many options",
            FIELD("Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"),
            BAD),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

static void read_response(enum xf_http_method method, const char *bytes, struct head_outcome *ret)
{
    struct head_row row = {"details", bytes, strlen(bytes), 0};
    request_method = method;
    run_row(parse, &row, ret);
    if (ret->verdict != XF_HTTP_DONE) {
        fail_msg("verdict %d, %s: %s", ret->verdict, ret->refusal.reason, bytes);
    }
}

static void a_body_is_delimited_by_request_status_and_fields(void **state)
{
    (void) state;
    static struct head_outcome out;
    static const struct {
        enum xf_http_method method;
        const char *head;
        enum xf_http_framing framing;
        uint64_t length;
        bool keep_alive;
    } rows[] = {
        {XF_METHOD_GET, "1.1 200 OK\r\n" CL "7\r\n", XF_FRAMING_LENGTH, 7, true},
        {XF_METHOD_GET, "1.1 200 OK\r\n" CL "0\r\n", XF_FRAMING_LENGTH, 0, true},
        {XF_METHOD_GET, "1.1 200 OK\r\n" TE "chunked\r\n", XF_FRAMING_CHUNKED, 0, true},
        {XF_METHOD_GET, "1.1 200 OK\r\n", XF_FRAMING_CLOSE, 0, false},
        {XF_METHOD_POST, "1.1 500 No\r\n", XF_FRAMING_CLOSE, 0, false},
        {XF_METHOD_GET, "1.0 200 OK\r\n", XF_FRAMING_CLOSE, 0, false},
        {XF_METHOD_GET, "1.0 200 OK\r\n" CL "7\r\n", XF_FRAMING_LENGTH, 7, false},
        {XF_METHOD_GET, "1.0 200 OK\r\nConnection: keep-alive\r\n" CL "7\r\n", XF_FRAMING_LENGTH, 7,
         true},
        {XF_METHOD_GET, "1.1 200 OK\r\nConnection: close\r\n" CL "7\r\n", XF_FRAMING_LENGTH, 7,
         false},
        {XF_METHOD_HEAD, "1.1 200 OK\r\n" CL "7\r\n", XF_FRAMING_NONE, 7, true},
        {XF_METHOD_HEAD, "1.1 200 OK\r\n" TE "chunked\r\n", XF_FRAMING_NONE, 0, true},
        {XF_METHOD_HEAD, "1.1 200 OK\r\n", XF_FRAMING_NONE, 0, true},
        {XF_METHOD_GET, "1.1 204 No\r\n" CL "7\r\n", XF_FRAMING_NONE, 7, true},
        {XF_METHOD_GET, "1.1 204 No\r\n" TE "chunked\r\n", XF_FRAMING_NONE, 0, true},
        {XF_METHOD_GET, "1.1 304 No\r\n" CL "7\r\n", XF_FRAMING_NONE, 7, true},
        {XF_METHOD_GET, "1.1 304 No\r\n" TE "gzip\r\n", XF_FRAMING_NONE, 0, true},
        {XF_METHOD_GET, "1.1 100 Go\r\n", XF_FRAMING_NONE, 0, true},
        {XF_METHOD_GET, "1.1 103 Go\r\n" CL "7\r\n", XF_FRAMING_NONE, 7, true},
        {XF_METHOD_GET, "1.1 205 No\r\n" CL "0\r\n", XF_FRAMING_LENGTH, 0, true},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        snprintf(bytes, sizeof(bytes), "HTTP/%s\r\n", rows[i].head);
        read_response(rows[i].method, bytes, &out);
        if (out.response.framing != rows[i].framing ||
            out.response.content_length != rows[i].length ||
            out.response.keep_alive != rows[i].keep_alive) {
            fail_msg("row %zu: framing %d, keep-alive %d: %s", i, out.response.framing,
                     out.response.keep_alive, bytes);
        }
    }
}

static void the_parts_of_a_response_are_found(void **state)
{
    (void) state;
    static struct head_outcome out;
    const char *bytes = "HTTP/1.1 404 Not  Here\r\nDate: x\r\nConnection: X-A\r\nX-A: b\r\n"
                        "Set-Cookie: a=b\r\n\r\nBODY";
    read_response(XF_METHOD_GET, bytes, &out);
    assert_int_equal(out.response.status, 404);
    assert_int_equal(out.response.reason.length, 9);
    assert_memory_equal(bytes + out.response.reason.at, "Not  Here", 9);
    assert_int_equal(out.response.head_bytes, strlen(bytes) - 4);
    assert_int_equal(out.response.minor, 1);
    assert_int_equal(out.response.fields, 4);
    assert_int_equal(out.response.first[XF_FIELD_DATE], 1);
    assert_int_equal(out.response.first[XF_FIELD_SET_COOKIE], 4);
    assert_true(out.fields[2].nominated);
    assert_false(out.fields[0].nominated);
}

static void only_a_101_upgrades(void **state)
{
    (void) state;
    static struct head_outcome out;
    const char *named = "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    read_response(XF_METHOD_GET, named, &out);
    assert_true(out.response.upgrade);
    assert_int_equal(out.response.framing, XF_FRAMING_NONE);
    assert_memory_equal(named + out.response.upgrade_protocols.at, "websocket", 9);
    read_response(XF_METHOD_GET, "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n", &out);
    assert_false(out.response.upgrade);
    read_response(XF_METHOD_GET,
                  "HTTP/1.1 200 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", &out);
    assert_false(out.response.upgrade);
}

static void an_endless_head_is_refused_at_the_limit(void **state)
{
    (void) state;
    static struct head_outcome out;
    static char head[8192] = OK_LINE;
    size_t at = strlen(head);
    memset(head + at, 'a', sizeof(head) - at);
    request_method = XF_METHOD_GET;
    read_whole(parse, xf_scanner_best(), head, limits.head_bytes_max - 1, 0, &out);
    assert_int_equal(out.verdict, XF_HTTP_MORE);
    read_whole(parse, xf_scanner_best(), head, limits.head_bytes_max, limits.head_bytes_max - 1,
               &out);
    assert_int_equal(out.verdict, XF_HTTP_BAD);
    assert_int_equal(out.refusal.status, BAD);
    for (size_t i = at; i + 5 <= sizeof(head); i += 5) {
        memcpy(head + i, "a:b\r\n", 5);
    }
    read_whole(parse, xf_scanner_best(), head, 1024, 0, &out);
    assert_int_equal(out.verdict, XF_HTTP_BAD);
    assert_string_equal(out.refusal.reason, "too many fields");
    memset(head + 13, ' ', sizeof(head) - 13);
    read_whole(parse, xf_scanner_best(), head, sizeof(head), 0, &out);
    assert_int_equal(out.verdict, XF_HTTP_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_lines),
        cmocka_unit_test(field_lines),
        cmocka_unit_test(framing),
        cmocka_unit_test(a_body_is_delimited_by_request_status_and_fields),
        cmocka_unit_test(the_parts_of_a_response_are_found),
        cmocka_unit_test(only_a_101_upgrades),
        cmocka_unit_test(an_endless_head_is_refused_at_the_limit),
    };
    return cmocka_run_group_tests_name("proxy/http1_response", tests, NULL, NULL);
}
