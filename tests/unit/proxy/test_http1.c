/*
 * test_http1.c -- request heads: what is accepted, what is refused and with which status.
 */
#include "head_rows.h"

#define H          "Host: a\r\n"
#define END        "\r\n"
#define GET_LINE   "GET / HTTP/1.1\r\n"
#define GET        GET_LINE H
#define POST       "POST / HTTP/1.1\r\n" H
#define LINE(line) line "\r\n" H END

static const struct xf_http_limits limits = {.head_bytes_max = 4096, .fields_max = 64};

static void parse(const struct xf_scanner *scanner, const char *bytes, size_t length, size_t seen,
                  struct head_outcome *ret)
{
    ret->verdict = xf_http_request_with(scanner, bytes, length, seen, &limits, ret->fields,
                                        &ret->request, &ret->refusal);
}

static void request_lines(void **state)
{
    (void) state;
    static const struct head_row rows[] = {
        ROW("9112 3: one SP between the parts", LINE("GET / HTTP/1.1"), 0),
        ROW("9112 3: two SP", LINE("GET  / HTTP/1.1"), 400),
        ROW("9112 3: two SP before the version", LINE("GET /  HTTP/1.1"), 400),
        ROW("9112 3: HTAB for SP", LINE("GET\t/ HTTP/1.1"), 400),
        ROW("9112 3: HTAB before the version", LINE("GET /\tHTTP/1.1"), 400),
        ROW("9112 3: SP at the end", LINE("GET / HTTP/1.1 "), 400),
        ROW("9112 3: SP at the beginning", LINE(" GET / HTTP/1.1"), 400),
        ROW("9112 3: VT for SP", LINE("GET\v/ HTTP/1.1"), 400),
        ROW("9112 3: FF for SP", LINE("GET /\fHTTP/1.1"), 400),
        ROW("9112 3: no target", LINE("GET HTTP/1.1"), 505),
        ROW("9112 3: nothing but a method", LINE("GET"), 400),
        ROW("9112 2.2: one empty line before", "\r\n" GET END, 0),
        ROW("9112 2.2: two empty lines before", "\r\n\r\n" GET END, 400),
        ROW("9112 2.2: bare LF before", "\n" GET END, 400),
        ROW("9112 2.2: bare CR before", "\r" GET END, 400),
        ROW("9112 2.2: bare LF ends the line", "GET / HTTP/1.1\n" H END, 400),
        ROW("9112 2.2: bare CR ends the line", "GET / HTTP/1.1\r" H END, 400),
        ROW("9112 2.2: CR CR LF", "GET / HTTP/1.1\r\r\n" H END, 400),
        ROW("9112 2.2: LF CR", "GET / HTTP/1.1\n\r" H END, 400),
        ROW("9112 2.2: white space before the first field", GET_LINE " " H END, 400),
        ROW("9110 9.1: any token is a method", LINE("X-A!#$%&'*+-.^_`|~9 / HTTP/1.1"), 0),
        ROW("9110 9.1: a method is case-sensitive", LINE("get / HTTP/1.1"), 0),
        ROW("9110 9.1: colon in the method", LINE("GE:T / HTTP/1.1"), 400),
        ROW("9110 9.1: parenthesis in the method", LINE("GET( / HTTP/1.1"), 400),
        ROW("9110 9.1: slash in the method", LINE("G/T / HTTP/1.1"), 400),
        ROW("9110 9.1: obs-text in the method", LINE("G\x80T / HTTP/1.1"), 400),
        ROW("9110 9.1: NUL in the method", "G\0T / HTTP/1.1\r\n" H END, 400),
        ROW("9110 9.3.6: CONNECT", LINE("CONNECT a:80 HTTP/1.1"), 501),
        ROW("9110 9.3.6: CONNECT with a path", LINE("CONNECT / HTTP/1.1"), 501),
        ROW("9112 2.3: HTTP/1.0", LINE("GET / HTTP/1.0"), 0),
        ROW("9110 2.5: HTTP/1.2", LINE("GET / HTTP/1.2"), 0),
        ROW("9110 2.5: HTTP/1.9", LINE("GET / HTTP/1.9"), 0),
        ROW("9110 2.5: HTTP/2.0", LINE("GET / HTTP/2.0"), 505),
        ROW("9110 2.5: HTTP/3.0", LINE("GET / HTTP/3.0"), 505),
        ROW("9110 2.5: HTTP/9.9", LINE("GET / HTTP/9.9"), 505),
        ROW("9110 2.5: HTTP/0.9", LINE("GET / HTTP/0.9"), 505),
        ROW("9113 3.4: the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ROW("9112 2.3: HTTP/0.9 without version", "GET /\r\n", 505),
        ROW("9112 2.3: HTTP/0.9 with a bare LF", "GET /\n", 400),
        ROW("9112 2.3: lower case", LINE("GET / http/1.1"), 400),
        ROW("9112 2.3: mixed case", LINE("GET / HtTP/1.1"), 400),
        ROW("9112 2.3: two digits", LINE("GET / HTTP/1.10"), 400),
        ROW("9112 2.3: two digits before", LINE("GET / HTTP/01.1"), 400),
        ROW("9112 2.3: one digit", LINE("GET / HTTP/1"), 400),
        ROW("9112 2.3: no minor", LINE("GET / HTTP/1."), 400),
        ROW("9112 2.3: comma", LINE("GET / HTTP/1,1"), 400),
        ROW("9112 2.3: no slash", LINE("GET / HTTP 1.1"), 400),
        ROW("9112 2.3: SP in it", LINE("GET / HTTP/ 1.1"), 400),
        ROW("9112 2.3: other name", LINE("GET / HTTPS/1.1"), 400),
        ROW("9112 2.3: other protocol", LINE("GET / ICY/1.1"), 400),
        ROW("9112 2.3: sign", LINE("GET / HTTP/1.+1"), 400),
        ROW("9112 2.3: letter", LINE("GET / HTTP/1.x"), 400),
        ROW("9112 2.3: NUL", "GET / HTTP/1.1\0\r\n" H END, 400),
        ROW("9112 3: SP in the target", LINE("GET /a b HTTP/1.1"), 400),
        ROW("9110 4.1: fragment", LINE("GET /#a HTTP/1.1"), 400),
        ROW("9112 3.2: NUL in the target", "GET /\0 HTTP/1.1\r\n" H END, 400),
        ROW("9112 3.2: HTAB in the target", LINE("GET /\ta HTTP/1.1"), 400),
        ROW("9112 3.2: CR in the target", LINE("GET /\ra HTTP/1.1"), 505),
        ROW("9112 3.2: LF in the target", LINE("GET /\na HTTP/1.1"), 400),
        ROW("9112 3.2: DEL in the target", LINE("GET /\x7f HTTP/1.1"), 400),
        ROW("9112 3.2: ESC in the target", LINE("GET /\x1b HTTP/1.1"), 400),
        ROW("9112 3.2: obs-text in the target", LINE("GET /\xc3\xa9 HTTP/1.1"), 400),
        ROW("9112 3.2: 0xff in the target", LINE("GET /\xff HTTP/1.1"), 400),
        ROW("9112 3.2: escapes pass", LINE("GET /%C3%A9%00?a=%20&b HTTP/1.1"), 0),
        ROW("9112 3.2.1: query", LINE("GET /a?b=c?d/e HTTP/1.1"), 0),
        ROW("9112 3.2.1: dots are not resolved", LINE("GET /a/../b/./c HTTP/1.1"), 0),
        ROW("9112 3.2.1: two slashes", LINE("GET //a//b HTTP/1.1"), 0),
        ROW("9112 3.2.1: no slash", LINE("GET a HTTP/1.1"), 400),
        ROW("9112 3.2.1: only a query", LINE("GET ?a HTTP/1.1"), 400),
        ROW("9112 3.2.1: backslash", LINE("GET \\a HTTP/1.1"), 400),
        ROW("9112 3.2.1: encoded slash", LINE("GET %2fa HTTP/1.1"), 400),
        ROW("9112 3.2.2: absolute-form", LINE("GET http://a/b HTTP/1.1"), 0),
        ROW("9112 3.2.2: https", LINE("GET https://a:443/b?c HTTP/1.1"), 0),
        ROW("9110 4.2.3: scheme in capitals", LINE("GET HTTP://a/b HTTP/1.1"), 0),
        ROW("9112 3.2.2: no path", LINE("GET http://a HTTP/1.1"), 0),
        ROW("9112 3.2.2: no path but a query", LINE("GET http://a?b HTTP/1.1"), 0),
        ROW("9110 4.2.1: no host", LINE("GET http:///b HTTP/1.1"), 400),
        ROW("9110 4.2.1: no host but a port", LINE("GET http://:80/b HTTP/1.1"), 400),
        ROW("9110 4.2.4: user information", LINE("GET http://u:p@a/b HTTP/1.1"), 400),
        ROW("9110 4.2.4: user", LINE("GET http://u@a/b HTTP/1.1"), 400),
        ROW("9112 3.2.2: invalid port", LINE("GET http://a:b/ HTTP/1.1"), 400),
        ROW("9112 3.2.2: port too large", LINE("GET http://a:65536/ HTTP/1.1"), 400),
        ROW("9112 3.2.2: invalid host", LINE("GET http://a\"b/ HTTP/1.1"), 400),
        ROW("9112 3.2.2: one slash", LINE("GET http:/a HTTP/1.1"), 400),
        ROW("9112 3.2.2: another scheme", LINE("GET ftp://a/b HTTP/1.1"), 400),
        ROW("9112 3.2.2: a longer scheme", LINE("GET httpx://a/b HTTP/1.1"), 400),
        ROW("9112 3.2.2: IPv6", LINE("GET http://[::1]:80/ HTTP/1.1"), 0),
        ROW("9112 3.2.2: Host is still required", "GET http://a/ HTTP/1.1\r\n\r\n", 400),
        ROW("9112 3.2.3: authority-form without CONNECT", LINE("GET a:80 HTTP/1.1"), 400),
        ROW("9112 3.2.4: asterisk-form", LINE("OPTIONS * HTTP/1.1"), 0),
        ROW("9112 3.2.4: asterisk-form with GET", LINE("GET * HTTP/1.1"), 400),
        ROW("9112 3.2.4: more than an asterisk", LINE("OPTIONS *a HTTP/1.1"), 400),
        ROW("9112 3.2.4: OPTIONS of a path", LINE("OPTIONS /a HTTP/1.1"), 0),
        ROW("9112 3.2.4: OPTIONS, absolute", LINE("OPTIONS http://a HTTP/1.1"), 0),
        ROW("8446 5.1: a TLS record", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        ROW("not complete", "GET", XF_ROW_MORE),
        ROW("not complete", "GET / HTTP/1.", XF_ROW_MORE),
        ROW("not complete", "GET / HTTP/1.1\r", XF_ROW_MORE),
        ROW("not complete", GET, XF_ROW_MORE),
        ROW("not complete", GET "\r", XF_ROW_MORE),
        ROW("not complete", "", XF_ROW_MORE),
        ROW("not complete", "\r", XF_ROW_MORE),
        ROW("not complete", "\r\n", XF_ROW_MORE),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

#define HOST(value) GET_LINE "Host: " value "\r\n\r\n"

static void hosts(void **state)
{
    (void) state;
    static const struct head_row rows[] = {
        ROW("9112 3.2: a name", HOST("example.com"), 0),
        ROW("9110 7.2: a port", HOST("example.com:8080"), 0),
        ROW("3986 3.2.3: an empty port", HOST("example.com:"), 0),
        ROW("3986 3.2.3: port 65535", HOST("a:65535"), 0),
        ROW("9110 4.2: port 65536", HOST("a:65536"), 400),
        ROW("9110 4.2: a port of many digits", HOST("a:184467440737095516160"), 400),
        ROW("3986 3.2.3: a port with a sign", HOST("a:+80"), 400),
        ROW("3986 3.2.3: a negative port", HOST("a:-80"), 400),
        ROW("3986 3.2.3: a port with letters", HOST("a:80b"), 400),
        ROW("3986 3.2.3: two ports", HOST("a:80:80"), 400),
        ROW("9112 3.2: none in 1.1", GET_LINE "\r\n", 400),
        ROW("9112 3.2: none in 1.1, another field", GET_LINE "X: a\r\n\r\n", 400),
        ROW("9112 3.2: none in 1.0", "GET / HTTP/1.0\r\n\r\n", 0),
        ROW("9112 3.2: two", GET H END, 400),
        ROW("9112 3.2: two that differ", GET "Host: b\r\n\r\n", 400),
        ROW("9112 3.2: two in 1.0", "GET / HTTP/1.0\r\n" H H END, 400),
        ROW("9112 3.2: two in any case", GET "hOsT: b\r\n\r\n", 400),
        ROW("9110 4.2.1: empty", HOST(""), 400),
        ROW("9110 4.2.1: empty with a port", HOST(":80"), 400),
        ROW("9112 3.2.2: empty, but absolute-form", "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", 0),
        ROW("9112 3.2.2: invalid, absolute-form", "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n",
            400),
        ROW("9112 3.2: invalid in 1.0", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400),
        ROW("3986 3.2.2: SP inside", HOST("a b"), 400),
        ROW("3986 3.2.2: HTAB inside", HOST("a\tb"), 400),
        ROW("3986 3.2.2: path", HOST("a/b"), 400),
        ROW("3986 3.2.2: query", HOST("a?b"), 400),
        ROW("3986 3.2.2: fragment", HOST("a#b"), 400),
        ROW("3986 3.2.1: user", HOST("u@a"), 400),
        ROW("3986 3.2.2: a URI", HOST("http://a"), 400),
        ROW("3986 3.2.2: quote", HOST("a\"b"), 400),
        ROW("3986 3.2.2: backslash", HOST("a\\b"), 400),
        ROW("3986 3.2.2: angle", HOST("<a>"), 400),
        ROW("3986 3.2.2: brace", HOST("{a}"), 400),
        ROW("3986 3.2.2: bar", HOST("a|b"), 400),
        ROW("3986 3.2.2: caret", HOST("a^b"), 400),
        ROW("3986 3.2.2: backtick", HOST("a`b"), 400),
        ROW("3986 3.2.2: obs-text", HOST("\xc3\xa9.com"), 400),
        ROW("3986 3.2.2: an escape", HOST("a%20b"), 0),
        ROW("3986 3.2.2: a cut escape", HOST("a%2"), 400),
        ROW("3986 3.2.2: a false escape", HOST("a%zz"), 400),
        ROW("3986 3.2.2: sub-delims", HOST("a!$&'()*+,;=b"), 0),
        ROW("3986 3.2.2: a list", HOST("a, b"), 400),
        ROW("3986 3.2.2: unreserved", HOST("A-z.0_~"), 0),
        ROW("3986 3.2.2: IPv4", HOST("127.0.0.1:80"), 0),
        ROW("3986 3.2.2: IPv6", HOST("[::1]"), 0),
        ROW("3986 3.2.2: IPv6 with a port", HOST("[2001:db8::1]:8080"), 0),
        ROW("3986 3.2.2: IPv6 with IPv4", HOST("[::ffff:1.2.3.4]"), 0),
        ROW("3986 3.2.2: IPvFuture", HOST("[v1.a:b]"), 0),
        ROW("3986 3.2.2: IPvFuture without version", HOST("[v.a]"), 400),
        ROW("3986 3.2.2: IPvFuture without dot", HOST("[v1]"), 400),
        ROW("3986 3.2.2: IPvFuture without address", HOST("[v1.]"), 400),
        ROW("3986 3.2.2: IPvFuture, invalid", HOST("[v1.a/b]"), 400),
        ROW("3986 3.2.2: IPv6 without brackets", HOST("::1"), 400),
        ROW("3986 3.2.2: no closing bracket", HOST("[::1"), 400),
        ROW("3986 3.2.2: no opening bracket", HOST("::1]"), 400),
        ROW("3986 3.2.2: text behind the bracket", HOST("[::1]a"), 400),
        ROW("3986 3.2.2: empty brackets", HOST("[]"), 400),
        ROW("3986 3.2.2: IPv4 in brackets", HOST("[1.2.3.4]"), 400),
        ROW("3986 3.2.2: a zone", HOST("[fe80::1%25eth0]"), 400),
        ROW("3986 3.2.2: nine groups", HOST("[1:2:3:4:5:6:7:8:9]"), 400),
        ROW("3986 3.2.2: a long literal", HOST("[0000:0000:0000:0000:0000:0000:0000:0000:0000:00]"),
            400),
        ROW("9110 5.5: OWS around it", GET_LINE "Host: \t a \t\r\n\r\n", 0),
        ROW("9110 5.1: any case", GET_LINE "HOST:a\r\n\r\n", 0),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

#define FIELD(line) GET line "\r\n\r\n"

static void field_lines(void **state)
{
    (void) state;
    static const struct head_row rows[] = {
        ROW("9112 5: a field", FIELD("A: b"), 0),
        ROW("9112 5: no white space", FIELD("A:b"), 0),
        ROW("9112 5: HTAB around the value", FIELD("A:\tb\t"), 0),
        ROW("9112 5: an empty value", FIELD("A:"), 0),
        ROW("9112 5: a value of white space", FIELD("A: \t "), 0),
        ROW("9110 5.5: HTAB inside", FIELD("A: b\tc"), 0),
        ROW("9110 5.5: obs-text", FIELD("A: \x80\xff"), 0),
        ROW("9110 5.5: every visible byte", FIELD("A: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), 0),
        ROW("9110 5.1: every token byte", FIELD("!#$%&'*+-.^_`|~09azAZ: b"), 0),
        ROW("9112 5.1: SP before the colon", FIELD("A : b"), 400),
        ROW("9112 5.1: HTAB before the colon", FIELD("A\t: b"), 400),
        ROW("9112 5.1: an empty name", FIELD(": b"), 400),
        ROW("9112 5.1: no colon", FIELD("A"), 400),
        ROW("9112 5.1: no colon but text", FIELD("A b"), 400),
        ROW("9112 5.2: folded with SP", FIELD("A: b\r\n c"), 400),
        ROW("9112 5.2: folded with HTAB", FIELD("A: b\r\n\tc"), 400),
        ROW("9112 5.2: folded, nothing in it", FIELD("A: b\r\n "), 400),
        ROW("9110 5.1: SP in a name", FIELD("A B: c"), 400),
        ROW("9110 5.1: parenthesis in a name", FIELD("A(B: c"), 400),
        ROW("9110 5.1: quote in a name", FIELD("A\"B: c"), 400),
        ROW("9110 5.1: slash in a name", FIELD("A/B: c"), 400),
        ROW("9110 5.1: semicolon in a name", FIELD("A;B: c"), 400),
        ROW("9110 5.1: equals in a name", FIELD("A=B: c"), 400),
        ROW("9110 5.1: at in a name", FIELD("A@B: c"), 400),
        ROW("9110 5.1: comma in a name", FIELD("A,B: c"), 400),
        ROW("9110 5.1: bracket in a name", FIELD("A[B: c"), 400),
        ROW("9110 5.1: brace in a name", FIELD("A{B: c"), 400),
        ROW("9110 5.1: obs-text in a name", FIELD("A\x80: c"), 400),
        ROW("9110 5.1: NUL in a name", GET "A\0B: c\r\n\r\n", 400),
        ROW("9110 5.1: DEL in a name", FIELD("A\x7f: c"), 400),
        ROW("9110 5.1: a control in a name", FIELD("A\x01: c"), 400),
        ROW("9110 5.5: NUL", GET "A: b\0c\r\n\r\n", 400),
        ROW("9110 5.5: bare CR", FIELD("A: b\rc"), 400),
        ROW("9110 5.5: bare LF", FIELD("A: b\nC: d"), 400),
        ROW("9110 5.5: VT", FIELD("A: b\vc"), 400),
        ROW("9110 5.5: FF", FIELD("A: b\fc"), 400),
        ROW("9110 5.5: BS", FIELD("A: b\bc"), 400),
        ROW("9110 5.5: ESC", FIELD("A: b\x1b[c"), 400),
        ROW("9110 5.5: US", FIELD("A: b\x1f"), 400),
        ROW("9110 5.5: DEL", FIELD("A: b\x7f"), 400),
        ROW("9110 5.5: a control behind 40 bytes",
            FIELD("A: 0123456789012345678901234567890123456789\x01"), 400),
        ROW("9112 2.2: bare LF ends a line", GET "A: b\n\r\n", 400),
        ROW("9112 2.2: bare LF ends the head", GET "A: b\r\n\n", 400),
        ROW("9112 2.2: two bare LF", GET "A: b\n\n", 400),
        ROW("9112 2.2: CR CR LF", GET "A: b\r\r\n\r\n", 400),
        ROW("9112 2.2: bare CR ends the head", GET "A: b\r\n\rX", 400),
        ROW("9112 2.2: a long line without an end",
            GET "A: 01234567890123456789012345678901234567890123456789", XF_ROW_MORE),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

#define CL(value) POST "Content-Length: " value "\r\n\r\n"

static void lengths(void **state)
{
    (void) state;
    static const struct head_row rows[] = {
        ROW("9110 8.6: digits", CL("5"), 0),
        ROW("9110 8.6: zero", CL("0"), 0),
        ROW("9110 8.6: leading zeros", CL("005"), 0),
        ROW("9110 8.6: 2^63-1", CL("9223372036854775807"), 0),
        ROW("9110 8.6: 2^63", CL("9223372036854775808"), 400),
        ROW("9110 8.6: 2^64", CL("18446744073709551616"), 400),
        ROW("9110 8.6: 2^64+5", CL("18446744073709551621"), 400),
        ROW("9110 8.6: forty digits", CL("1000000000000000000000000000000000000000"), 400),
        ROW("9110 8.6: plus", CL("+5"), 400),
        ROW("9110 8.6: minus", CL("-5"), 400),
        ROW("9110 8.6: minus zero", CL("-0"), 400),
        ROW("9110 8.6: hexadecimal", CL("0x5"), 400),
        ROW("9110 8.6: letters behind", CL("5a"), 400),
        ROW("9110 8.6: a fraction", CL("5.0"), 400),
        ROW("9110 8.6: an exponent", CL("5e1"), 400),
        ROW("9110 8.6: SP inside", CL("5 5"), 400),
        ROW("9110 8.6: underscore", CL("5_0"), 400),
        ROW("9110 8.6: quoted", CL("\"5\""), 400),
        ROW("9110 8.6: empty", CL(""), 400),
        ROW("9110 8.6: NUL behind", POST "Content-Length: 5\0\r\n\r\n", 400),
        ROW("9110 8.6: VT before", CL("\v5"), 400),
        ROW("9110 8.6: obs-text digits", CL("\xd9\xa5"), 400),
        ROW("9112 5: HTAB around it", CL("\t5\t"), 0),
        ROW("9110 8.6: identical list", CL("5, 5"), 0),
        ROW("9110 8.6: identical list without SP", CL("5,5,5"), 0),
        ROW("9112 6.3: differing list", CL("5, 6"), 400),
        ROW("9112 6.3: differing in writing", CL("5, 05"), 400),
        ROW("9112 6.3: empty member behind", CL("5,"), 400),
        ROW("9112 6.3: empty member before", CL(",5"), 400),
        ROW("9112 6.3: empty member between", CL("5,,5"), 400),
        ROW("9112 6.3: semicolon list", CL("5;5"), 400),
        ROW("9112 6.3: two identical lines", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
            0),
        ROW("9112 6.3: two differing lines", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
            400),
        ROW("9112 6.3: the second invalid", POST "Content-Length: 5\r\nContent-Length: a\r\n\r\n",
            400),
        ROW("9112 6.3: the second in other case",
            POST "Content-Length: 5\r\nA: b\r\ncontent-LENGTH: 6\r\n\r\n", 400),
        ROW("9112 6.3: the second empty", POST "Content-Length: 5\r\nContent-Length:\r\n\r\n", 400),
        ROW("9110 8.6: with GET", GET "Content-Length: 5\r\n\r\n", 0),
        ROW("9110 8.6: in 1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", 0),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

#define TE(value) POST "Transfer-Encoding: " value "\r\n\r\n"

static void transfer_codings(void **state)
{
    (void) state;
    static const struct head_row rows[] = {
        ROW("9112 7.1: chunked", TE("chunked"), 0),
        ROW("9112 7: any case", TE("ChUnKeD"), 0),
        ROW("9112 5: OWS around it", TE("\tchunked \t"), 0),
        ROW("9112 6.1: unknown", TE("xchunked"), 501),
        ROW("9112 6.1: unknown, a prefix", TE("chunke"), 501),
        ROW("9112 6.1: unknown, a longer name", TE("chunkedx"), 501),
        ROW("9112 6.1: gzip", TE("gzip"), 501),
        ROW("9112 6.1: identity", TE("identity"), 501),
        ROW("9112 6.1: gzip, chunked", TE("gzip, chunked"), 501),
        ROW("9112 6.1: identity, chunked", TE("identity, chunked"), 501),
        ROW("9112 6.3: chunked not last", TE("chunked, gzip"), 400),
        ROW("9112 6.3: chunked, identity", TE("chunked, identity"), 400),
        ROW("9112 6.1: chunked twice", TE("chunked, chunked"), 400),
        ROW("9112 6.1: chunked on two lines",
            POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ROW("9112 6.1: another behind",
            POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ROW("9112 6.1: another before",
            POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        ROW("9112 6.1: a cow before",
            POST "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        ROW("9112 6.1: empty", TE(""), 400),
        ROW("9112 6.1: an empty line before",
            POST "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ROW("9112 6.1: empty member behind", TE("chunked,"), 400),
        ROW("9112 6.1: empty member before", TE(",chunked"), 400),
        ROW("9112 7.1: parameters", TE("chunked;a=b"), 400),
        ROW("9112 7: quoted", TE("\"chunked\""), 400),
        ROW("9112 7: single quotes are token bytes", TE("'chunked'"), 501),
        ROW("9112 7: VT before", TE("\vchunked"), 400),
        ROW("9112 7: FF behind", TE("chunked\f"), 400),
        ROW("9112 7: NUL behind", POST "Transfer-Encoding: chunked\0\r\n\r\n", 400),
        ROW("9112 7: SP inside", TE("chun ked"), 400),
        ROW("9112 7: obs-text", TE("chunked\xa0"), 400),
        ROW("9112 7: two words", TE("chunked chunked"), 400),
        ROW("9112 5.1: SP before the colon", POST "Transfer-Encoding : chunked\r\n\r\n", 400),
        ROW("9112 5.2: folded", POST "Transfer-Encoding:\r\n chunked\r\n\r\n", 400),
        ROW("9112 6.1: in 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400),
        ROW("9112 6.3: with a length",
            POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ROW("9112 6.3: before a length",
            POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
        ROW("9112 6.3: with length 0",
            POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ROW("9112 6.3: identity with a length",
            POST "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n", 400),
        ROW("9110 5.1: underscore is another field", POST "Transfer_Encoding: chunked\r\n\r\n", 0),
        ROW("9112 6.1: with GET", GET "Transfer-Encoding: chunked\r\n\r\n", 0),
        ROW("9110 7.6.1: named by Connection",
            POST "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

static void expectations_and_hops(void **state)
{
    (void) state;
    static const struct head_row rows[] = {
        ROW("9110 10.1.1: 100-continue", CL("5\r\nExpect: 100-continue"), 0),
        ROW("9110 10.1.1: any case", CL("5\r\nExpect: 100-Continue"), 0),
        ROW("9110 10.1.1: another", CL("5\r\nExpect: 200-ok"), 417),
        ROW("9110 10.1.1: another behind", CL("5\r\nExpect: 100-continue, x"), 417),
        ROW("9110 10.1.1: parameters", CL("5\r\nExpect: 100-continue;a=b"), 417),
        ROW("9110 10.1.1: empty", CL("5\r\nExpect:"), 417),
        ROW("9110 10.1.1: two lines", CL("5\r\nExpect: 100-continue\r\nExpect: 100-continue"), 0),
        ROW("9110 10.1.1: the second unknown", CL("5\r\nExpect: 100-continue\r\nExpect: a"), 417),
        ROW("9110 10.1.1: ignored in 1.0", "GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n", 0),
        ROW("9110 7.6.2: OPTIONS", LINE("OPTIONS / HTTP/1.1\r\nMax-Forwards: 5"), 0),
        ROW("9110 7.6.2: no number", LINE("OPTIONS / HTTP/1.1\r\nMax-Forwards: a"), 400),
        ROW("9110 7.6.2: negative", LINE("TRACE / HTTP/1.1\r\nMax-Forwards: -1"), 400),
        ROW("9110 7.6.2: two lines", LINE("TRACE / HTTP/1.1\r\nMax-Forwards: 1\r\nMax-Forwards: 1"),
            400),
        ROW("9110 7.6.2: ignored with GET", GET "Max-Forwards: a\r\n\r\n", 0),
        ROW("too many options",
            GET "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,"
                "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n\r\n",
            400),
    };
    run_rows(parse, rows, XF_COUNT(rows));
}

/* One request whose parts are then looked at. */
static void read_request(const char *bytes, struct head_outcome *ret)
{
    struct head_row row = {"details", bytes, strlen(bytes), 0};
    run_row(parse, &row, ret);
    if (ret->verdict != XF_HTTP_DONE) {
        fail_msg("verdict %d, %s: %s", ret->verdict, ret->refusal.reason, bytes);
    }
}

static void assert_span(const char *bytes, struct xf_span span, const char *text)
{
    if (span.length != strlen(text) || memcmp(bytes + span.at, text, span.length) != 0) {
        fail_msg("expected \"%s\", got \"%.*s\" in %s", text, (int) span.length, bytes + span.at,
                 bytes);
    }
}

static void the_target_is_reduced_to_origin_form(void **state)
{
    (void) state;
    static struct head_outcome out;
    static const struct {
        const char *line;
        const char *target;
        const char *path;
        const char *authority;
    } rows[] = {
        {"GET /a/b?c=d HTTP/1.1", "/a/b?c=d", "/a/b", "h:1"},
        {"GET / HTTP/1.1", "/", "/", "h:1"},
        {"GET http://a.b:80/c?d HTTP/1.1", "/c?d", "/c", "a.b:80"},
        {"GET hTTps://a HTTP/1.1", "", "", "a"},
        {"GET http://a?b/c HTTP/1.1", "?b/c", "", "a"},
        {"OPTIONS * HTTP/1.1", "*", "*", "h:1"},
        {"OPTIONS http://a HTTP/1.1", "", "", "a"},
        {"GET /http://x/y HTTP/1.1", "/http://x/y", "/http://x/y", "h:1"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        snprintf(bytes, sizeof(bytes), "%s\r\nHost: h:1\r\n\r\n", rows[i].line);
        read_request(bytes, &out);
        assert_span(bytes, out.request.target, rows[i].target);
        assert_span(bytes, out.request.path, rows[i].path);
        assert_span(bytes, out.request.authority, rows[i].authority);
    }
}

static void a_plain_request_has_its_parts(void **state)
{
    (void) state;
    static struct head_outcome out;
    const char *bytes =
        "\r\nPATCH /x HTTP/1.1\r\nhOST: a\r\nX-A:  b c \t\r\nCookie: d=e\r\n\r\nBODY";
    read_request(bytes, &out);
    assert_int_equal(out.request.head_bytes, strlen(bytes) - 4);
    assert_int_equal(out.request.skipped_bytes, 2);
    assert_int_equal(out.request.method, XF_METHOD_PATCH);
    assert_span(bytes, out.request.method_name, "PATCH");
    assert_int_equal(out.request.minor, 1);
    assert_true(out.request.keep_alive);
    assert_int_equal(out.request.framing, XF_FRAMING_NONE);
    assert_int_equal(out.request.max_forwards, UINT32_MAX);
    assert_int_equal(out.request.fields, 3);
    assert_int_equal(out.request.first[XF_FIELD_HOST], 1);
    assert_int_equal(out.request.first[XF_FIELD_COOKIE], 3);
    assert_int_equal(out.request.first[XF_FIELD_DATE], 0);
    assert_span(bytes, out.fields[1].name, "X-A");
    assert_span(bytes, out.fields[1].value, "b c");
    assert_true(xf_http_field_is(bytes, &out.fields[1], "x-a"));
    assert_false(xf_http_field_is(bytes, &out.fields[1], "x-ab"));
    assert_false(xf_http_field_is(bytes, &out.fields[1], "x-"));
}

static void bodies_are_delimited(void **state)
{
    (void) state;
    static struct head_outcome out;
    read_request(CL("18"), &out);
    assert_int_equal(out.request.framing, XF_FRAMING_LENGTH);
    assert_int_equal(out.request.content_length, 18);
    read_request(CL("7, 7"), &out);
    assert_int_equal(out.request.content_length, 7);
    read_request(CL("9223372036854775807"), &out);
    assert_true(out.request.content_length == INT64_MAX);
    read_request(TE("chunked"), &out);
    assert_int_equal(out.request.framing, XF_FRAMING_CHUNKED);
    read_request(POST END, &out);
    assert_int_equal(out.request.framing, XF_FRAMING_NONE);
}

static void persistence_follows_version_and_connection(void **state)
{
    (void) state;
    static struct head_outcome out;
    static const struct {
        const char *head;
        bool keep_alive;
    } rows[] = {
        {"HTTP/1.1\r\n" H, true},
        {"HTTP/1.1\r\n" H "Connection: close\r\n", false},
        {"HTTP/1.1\r\n" H "Connection: CLOSE\r\n", false},
        {"HTTP/1.1\r\n" H "Connection: x, close\r\n", false},
        {"HTTP/1.1\r\n" H "Connection: x\r\nConnection: close\r\n", false},
        {"HTTP/1.1\r\n" H "Connection: keep-alive, close\r\n", false},
        {"HTTP/1.1\r\n" H "Connection: closed\r\n", true},
        {"HTTP/1.1\r\n" H "Connection: keep-alive\r\n", true},
        {"HTTP/1.1\r\n" H "Proxy-Connection: close\r\n", true},
        {"HTTP/1.0\r\n", false},
        {"HTTP/1.0\r\nConnection: keep-alive\r\n", true},
        {"HTTP/1.0\r\nConnection: Keep-Alive , x\r\n", true},
        {"HTTP/1.0\r\nConnection: keep-alive, close\r\n", false},
        {"HTTP/1.0\r\nProxy-Connection: keep-alive\r\n", false},
        {"HTTP/1.2\r\n" H, true},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        snprintf(bytes, sizeof(bytes), "GET / %s\r\n", rows[i].head);
        read_request(bytes, &out);
        if (out.request.keep_alive != rows[i].keep_alive) {
            fail_msg("row %zu: %s", i, bytes);
        }
    }
}

static void connection_nominates_what_it_may(void **state)
{
    (void) state;
    static struct head_outcome out;
    static const struct {
        const char *field;
        bool nominated;
    } rows[] = {
        {"X-Foo", true},
        {"x-FOO", true},
        {"Content-Type", true},
        {"Upgrade", true},
        {"TE", true},
        {"Trailer", true},
        {"Host", false},
        {"Content-Length", false},
        {"Cookie", false},
        {"Authorization", false},
        {"AUTHORIZATION", false},
        {"X-Forwarded-For", false},
        {"X-Forwarded-Foo", false},
        {"Forwarded", false},
        {"Via", false},
        {"X-Real-IP", false},
        {"X-Request-Id", false},
        {"X-Forwarded-Proto", false},
        {"X-Forwarded-Port", false},
        {"X-Forwarded-Host", false},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[256];
        bool host = strcmp(rows[i].field, "Host") == 0;
        snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\n%s: 1\r\n%sConnection: a, %s\r\n\r\n",
                 rows[i].field, host ? "" : H, rows[i].field);
        read_request(bytes, &out);
        if (out.fields[0].nominated != rows[i].nominated) {
            fail_msg("%s", rows[i].field);
        }
    }
}

static void upgrade_counts_only_when_connection_names_it(void **state)
{
    (void) state;
    static struct head_outcome out;
    const char *named = GET "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    read_request(named, &out);
    assert_true(out.request.upgrade);
    assert_span(named, out.request.upgrade_protocols, "websocket");
    read_request(GET "Upgrade: websocket\r\n\r\n", &out);
    assert_false(out.request.upgrade);
    read_request(GET "Connection: upgrade\r\n\r\n", &out);
    assert_false(out.request.upgrade);
    read_request("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", &out);
    assert_false(out.request.upgrade);
}

static void smaller_facts_are_read(void **state)
{
    (void) state;
    static struct head_outcome out;
    read_request(CL("1\r\nExpect: 100-continue\r\nTE: gzip;q=0.5, Trailers"), &out);
    assert_true(out.request.expect_continue);
    assert_true(out.request.te_trailers);
    read_request("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", &out);
    assert_false(out.request.expect_continue);
    read_request(GET "TE: gzip\r\n\r\n", &out);
    assert_false(out.request.te_trailers);
    read_request(LINE("TRACE / HTTP/1.1\r\nMax-Forwards: 7"), &out);
    assert_int_equal(out.request.max_forwards, 7);
    read_request(GET "Max-Forwards: 7\r\n\r\n", &out);
    assert_int_equal(out.request.max_forwards, UINT32_MAX);
}

/* A head of exactly `bytes` bytes: a target or a value is filled up. */
static char *filled(const char *before, const char *after, size_t bytes)
{
    char *head = malloc(bytes + 1);
    assert_non_null(head);
    size_t fill = bytes - strlen(before) - strlen(after);
    memcpy(head, before, strlen(before));
    memset(head + strlen(before), 'a', fill);
    memcpy(head + strlen(before) + fill, after, strlen(after) + 1);
    return head;
}

static void the_ceilings_hold_to_the_byte(void **state)
{
    (void) state;
    static const struct {
        const char *before;
        const char *after;
        size_t over; /* bytes past the limit */
        unsigned status;
    } rows[] = {
        {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 0, 0},
        {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 1, 431},
        {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 22, 414},
        {"GET /", "", 0, 414},
        {"", "", 0, 414},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 0, 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 1, 431},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 500, 431},
        {"GET / HTTP/1.1\r\nHost: a\r\n", ": b\r\n\r\n", 500, 431},
    };
    static struct head_outcome out;
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        size_t bytes = limits.head_bytes_max + rows[i].over;
        char *head = filled(rows[i].before, rows[i].after, bytes);
        for (unsigned s = 0; xf_scanner_at(s) != NULL; s++) {
            read_whole(parse, xf_scanner_at(s), head, bytes, 0, &out);
            assert_int_equal(out.verdict, rows[i].status == 0 ? XF_HTTP_DONE : XF_HTTP_BAD);
            assert_int_equal(out.refusal.status, rows[i].status);
            read_whole(parse, xf_scanner_at(s), head, limits.head_bytes_max - 1, 0, &out);
            assert_int_equal(out.verdict, XF_HTTP_MORE);
            read_whole(parse, xf_scanner_at(s), head, bytes, limits.head_bytes_max - 1, &out);
            assert_int_equal(out.refusal.status, rows[i].status);
        }
        free(head);
    }
}

static void fields_are_counted(void **state)
{
    (void) state;
    static struct head_outcome out;
    char head[1024] = GET;
    for (size_t i = 1; i < limits.fields_max; i++) {
        strcat(head, "A:b\r\n");
    }
    size_t length = strlen(head);
    strcat(head, "\r\n");
    for (unsigned s = 0; xf_scanner_at(s) != NULL; s++) {
        read_whole(parse, xf_scanner_at(s), head, length + 2, 0, &out);
        assert_int_equal(out.verdict, XF_HTTP_DONE);
        assert_int_equal(out.request.fields, limits.fields_max);
    }
    strcpy(head + length, "A:b\r\n\r\n");
    for (unsigned s = 0; xf_scanner_at(s) != NULL; s++) {
        read_whole(parse, xf_scanner_at(s), head, length + 7, 0, &out);
        assert_int_equal(out.verdict, XF_HTTP_BAD);
        assert_int_equal(out.refusal.status, 431);
    }
}

static void every_byte_is_classed_alike_by_every_scanner(void **state)
{
    (void) state;
    char bytes[80];
    for (unsigned s = 0; xf_scanner_at(s) != NULL; s++) {
        const struct xf_scanner *scanner = xf_scanner_at(s);
        for (int byte = 0; byte < 256; byte++) {
            for (size_t at = 0; at < sizeof(bytes); at++) {
                memset(bytes, 'a', sizeof(bytes));
                bytes[at] = (char) byte;
                const struct xf_scanner *portable = xf_scanner_at(0);
                for (size_t end = at; end <= sizeof(bytes); end += 13) {
                    assert_int_equal(scanner->token(bytes, 0, end), portable->token(bytes, 0, end));
                    assert_int_equal(scanner->target(bytes, 1, end + (end == 0)),
                                     portable->target(bytes, 1, end + (end == 0)));
                    assert_int_equal(scanner->text(bytes, 0, end), portable->text(bytes, 0, end));
                }
            }
        }
    }
}

static void methods_know_what_is_safe_and_idempotent(void **state)
{
    (void) state;
    static const struct {
        enum xf_http_method method;
        const char *name;
        bool safe;
        bool idempotent;
    } rows[] = {
        {XF_METHOD_GET, "GET", true, true},         {XF_METHOD_HEAD, "HEAD", true, true},
        {XF_METHOD_OPTIONS, "OPTIONS", true, true}, {XF_METHOD_TRACE, "TRACE", true, true},
        {XF_METHOD_PUT, "PUT", false, true},        {XF_METHOD_DELETE, "DELETE", false, true},
        {XF_METHOD_POST, "POST", false, false},     {XF_METHOD_PATCH, "PATCH", false, false},
        {XF_METHOD_OTHER, "GETS", false, false},    {XF_METHOD_OTHER, "get", false, false},
    };
    static struct head_outcome out;
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char bytes[64];
        snprintf(bytes, sizeof(bytes), "%s / HTTP/1.1\r\n" H END, rows[i].name);
        read_request(bytes, &out);
        assert_int_equal(out.request.method, rows[i].method);
        assert_int_equal(xf_http_method_safe(rows[i].method), rows[i].safe);
        assert_int_equal(xf_http_method_idempotent(rows[i].method), rows[i].idempotent);
    }
}

static void lists_are_searched_member_by_member(void **state)
{
    (void) state;
    static const struct {
        const char *list;
        const char *token;
        bool has;
    } rows[] = {
        {"a, b", "b", true},
        {"a,b", "a", true},
        {"A", "a", true},
        {"ab", "a", false},
        {"a", "ab", false},
        {"", "a", false},
        {"x ;q=1 , a;q=0", "a", true},
        {"x;a", "a", false},
        {",,a,", "a", true},
        {"\"x, a\"", "a", false},
        {"\"x\\\", a", "a", false},
        {"a\t", "a", true},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        assert_int_equal(xf_http_list_has(rows[i].list, strlen(rows[i].list), rows[i].token),
                         rows[i].has);
    }
    assert_string_equal(xf_http_reason(404), "Not Found");
    assert_string_equal(xf_http_reason(499), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_lines),
        cmocka_unit_test(hosts),
        cmocka_unit_test(field_lines),
        cmocka_unit_test(lengths),
        cmocka_unit_test(transfer_codings),
        cmocka_unit_test(expectations_and_hops),
        cmocka_unit_test(the_target_is_reduced_to_origin_form),
        cmocka_unit_test(a_plain_request_has_its_parts),
        cmocka_unit_test(bodies_are_delimited),
        cmocka_unit_test(persistence_follows_version_and_connection),
        cmocka_unit_test(connection_nominates_what_it_may),
        cmocka_unit_test(upgrade_counts_only_when_connection_names_it),
        cmocka_unit_test(smaller_facts_are_read),
        cmocka_unit_test(the_ceilings_hold_to_the_byte),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(every_byte_is_classed_alike_by_every_scanner),
        cmocka_unit_test(methods_know_what_is_safe_and_idempotent),
        cmocka_unit_test(lists_are_searched_member_by_member),
    };
    return cmocka_run_group_tests_name("proxy/http1", tests, NULL, NULL);
}
