/*
 * test_chunked.c -- chunked bodies: what is data, what ends the body, what is refused.
 */
#include "proxy/http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA_BYTES_MAX 8192

struct body {
    enum xf_http_verdict verdict;
    size_t used;
    size_t length;
    char data[DATA_BYTES_MAX];
};

/* Reads `bytes` in pieces: up to `cut`, then by `step`. */
static void read_body(const char *bytes, size_t length, size_t cut, size_t step, struct body *ret)
{
    struct xf_chunked chunked;
    xf_chunked_init(&chunked);
    *ret = (struct body){.verdict = XF_HTTP_MORE};
    size_t end = cut < length ? cut : length;
    while (ret->verdict == XF_HTTP_MORE) {
        if (ret->used == end) {
            if (end == length) {
                return;
            }
            end = length - end > step ? end + step : length;
        }
        size_t there = end - ret->used;
        char *exact = malloc(there);
        assert_non_null(exact);
        memcpy(exact, bytes + ret->used, there);
        size_t used;
        struct xf_span data;
        ret->verdict = xf_chunked_read(&chunked, exact, there, &used, &data);
        assert_true(used > 0 && used <= there);
        assert_true(data.at + (size_t) data.length <= used);
        assert_true(ret->length + data.length <= sizeof(ret->data));
        memcpy(ret->data + ret->length, exact + data.at, data.length);
        ret->length += data.length;
        ret->used += used;
        free(exact);
    }
}

struct row {
    const char *clause;
    const char *bytes;
    size_t length;
    const char *data; /* NULL: refused */
};
#define ROW(clause, bytes, data)                                                                   \
    {                                                                                              \
        clause, bytes, sizeof(bytes) - 1, data                                                     \
    }
#define LAST "0\r\n\r\n"

static void run(const struct row *row, size_t cut, size_t step)
{
    static struct body body;
    read_body(row->bytes, row->length, cut, step, &body);
    if (row->data == NULL) {
        if (body.verdict != XF_HTTP_BAD) {
            fail_msg("%s: verdict %d, cut %zu: %s", row->clause, body.verdict, cut, row->bytes);
        }
        return;
    }
    if (body.verdict != XF_HTTP_DONE || body.length != strlen(row->data) ||
        memcmp(body.data, row->data, body.length) != 0) {
        fail_msg("%s: verdict %d, data \"%.*s\", cut %zu: %s", row->clause, body.verdict,
                 (int) body.length, body.data, cut, row->bytes);
    }
    assert_int_equal(body.used, row->length);
}

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        run(&rows[i], rows[i].length, 1);
        run(&rows[i], 1, 1);
        for (size_t cut = 1; cut < rows[i].length; cut++) {
            run(&rows[i], cut, SIZE_MAX / 2);
        }
    }
}

static void sizes_and_data(void **state)
{
    (void) state;
    static const struct row rows[] = {
        ROW("9112 7.1: one chunk", "3\r\nabc\r\n" LAST, "abc"),
        ROW("9112 7.1: no chunk", LAST, ""),
        ROW("9112 7.1: several chunks", "1\r\na\r\n2\r\nbc\r\n" LAST, "abc"),
        ROW("9112 7.1: hexadecimal, lower case", "a\r\n0123456789\r\n" LAST, "0123456789"),
        ROW("9112 7.1: hexadecimal, upper case", "A\r\n0123456789\r\n" LAST, "0123456789"),
        ROW("9112 7.1: two digits", "10\r\n0123456789abcdef\r\n" LAST, "0123456789abcdef"),
        ROW("9112 7.1: leading zeros", "003\r\nabc\r\n" LAST, "abc"),
        ROW("9112 7.1: sixteen digits", "0000000000000003\r\nabc\r\n" LAST, "abc"),
        ROW("9112 7.1: seventeen digits", "00000000000000003\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: several zeros at the end", "1\r\na\r\n000\r\n\r\n", "a"),
        ROW("9112 7.1: data that looks like framing", "7\r\n0\r\n\r\n0\r\r\n" LAST, "0\r\n\r\n0\r"),
        ROW("9112 7.1: no digits", "\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: 0x", "0x3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: plus", "+3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: minus", "-3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: a comma", "3,3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: a fraction", "3.0\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: a letter behind", "3g\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: h", "3h\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: underscore", "0_3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: NUL behind", "3\0\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: SP before", " 3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: HTAB before", "\t3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: SP behind", "3 \r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: HTAB behind", "3\t\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: obs-text digits", "\xd9\xa3\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: quoted", "\"3\"\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: 2^63", "8000000000000000\r\nabc", NULL),
        ROW("9112 7.1: 2^64-1", "ffffffffffffffff\r\nabc", NULL),
        ROW("9112 7.1: 2^64", "10000000000000000\r\nabc", NULL),
        ROW("9112 7.1: 2^64+3", "10000000000000003\r\nabc\r\n" LAST, NULL),
        ROW("9112 2.2: bare LF behind the size", "3\nabc\r\n" LAST, NULL),
        ROW("9112 2.2: bare CR behind the size", "3\rabc\r\n" LAST, NULL),
        ROW("9112 2.2: CR CR LF", "3\r\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: bare LF behind the data", "3\r\nabc\n" LAST, NULL),
        ROW("9112 7.1: bare CR behind the data", "3\r\nabc\r" LAST, NULL),
        ROW("9112 7.1: nothing behind the data", "3\r\nabc" LAST, NULL),
        ROW("9112 7.1: too much data", "3\r\nabcd\r\n" LAST, NULL),
        ROW("9112 7.1: too little data", "4\r\nabc\r\n" LAST, NULL),
        ROW("9112 7.1: two bytes for CRLF", "3\r\nabcXX" LAST, NULL),
        ROW("9112 7.1: SP behind the data", "3\r\nabc \r\n" LAST, NULL),
        ROW("9112 7.1: an empty line between", "3\r\nabc\r\n\r\n" LAST, NULL),
        ROW("9112 7.1: bare LF at the end", "0\r\n\n", NULL),
        ROW("9112 7.1: bare LF behind the last chunk", "0\n\r\n", NULL),
        ROW("9112 7.1: CR and another byte at the end", "0\r\n\rX", NULL),
    };
    run_rows(rows, XF_COUNT(rows));
}

static void a_size_beyond_32_bits_is_not_cut(void **state)
{
    (void) state;
    static struct body body;
    const char *bytes = "100000003\r\nabc\r\n" LAST;
    read_body(bytes, strlen(bytes), 1, 1, &body);
    assert_int_equal(body.verdict, XF_HTTP_MORE);
    assert_int_equal(body.length, strlen(bytes) - 11);
}

static void extensions(void **state)
{
    (void) state;
    static const struct row rows[] = {
        ROW("9112 7.1.1: a name", "1;a\r\nx\r\n" LAST, "x"),
        ROW("9112 7.1.1: a value", "1;a=b\r\nx\r\n" LAST, "x"),
        ROW("9112 7.1.1: two", "1;a=b;c\r\nx\r\n" LAST, "x"),
        ROW("9112 7.1.1: BWS", "1 ; a = b ;\tc\r\nx\r\n" LAST, "x"),
        ROW("9112 7.1.1: BWS before a semicolon", "1 ;a\r\nx\r\n" LAST, "x"),
        ROW("9112 7.1.1: quoted", "1;a=\"b c;\\\"\xe4\"\r\nx\r\n" LAST, "x"),
        ROW("9112 7.1.1: quoted, another behind", "1;a=\"b\" ;c\r\nx\r\n" LAST, "x"),
        ROW("9112 7.1.1: on the last chunk", "1\r\nx\r\n0;a=b\r\n\r\n", "x"),
        ROW("9112 7.1.1: no name", "1;\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: no value", "1;a=\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: no name but a value", "1;=b\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: BWS at the end of a name", "1;a \r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: BWS at the end of a value", "1;a=b \r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: a control in it", "1;a\x01\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: NUL in it", "1;a\0\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: bare LF", "1;a\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: bare LF, then CRLF", "1;a\nb\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: bare CR", "1;a\rb\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: CRLF in quotes", "1;a=\"\r\nx\r\n\"\r\n" LAST, NULL),
        ROW("9112 7.1.1: LF in quotes", "1;a=\"\n\"\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: LF escaped", "1;a=\"\\\n\"\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: text behind quotes", "1;a=\"b\"c\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: a quote in a token", "1;a=b\"c\"\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: obs-text in a token", "1;a=\xe4\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: a comma", "1,a\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: a word without semicolon", "1 a\r\nx\r\n" LAST, NULL),
        ROW("9112 7.1.1: two words", "1;a b\r\nx\r\n" LAST, NULL),
    };
    run_rows(rows, XF_COUNT(rows));
}

static void trailers(void **state)
{
    (void) state;
    static const struct row rows[] = {
        ROW("9112 7.1.2: a field", "0\r\nA: b\r\n\r\n", ""),
        ROW("9112 7.1.2: several fields", "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x"),
        ROW("9110 6.5.1: a length is not honoured", "0\r\nContent-Length: 50\r\n\r\n", ""),
        ROW("9110 6.5.1: a coding is not honoured", "0\r\nTransfer-Encoding: x\r\n\r\n", ""),
        ROW("9110 5.5: obs-text and HTAB", "0\r\nA: \xe4\tb\r\n\r\n", ""),
        ROW("9112 5.1: SP before the colon", "0\r\nA : b\r\n\r\n", NULL),
        ROW("9112 5.1: no name", "0\r\n: b\r\n\r\n", NULL),
        ROW("9112 5.1: no colon", "0\r\nA\r\n\r\n", NULL),
        ROW("9112 5.2: folded", "0\r\nA: b\r\n c\r\n\r\n", NULL),
        ROW("9112 5.2: folded at the beginning", "0\r\n A: b\r\n\r\n", NULL),
        ROW("9110 5.5: NUL", "0\r\nA: \0\r\n\r\n", NULL),
        ROW("9110 5.5: DEL", "0\r\nA: \x7f\r\n\r\n", NULL),
        ROW("9112 2.2: bare LF", "0\r\nA: b\n\r\n", NULL),
        ROW("9112 2.2: bare CR", "0\r\nA: b\rc\r\n\r\n", NULL),
        ROW("9112 2.2: bare LF ends it", "0\r\nA: b\r\n\n", NULL),
        ROW("9110 5.1: a name that is no token", "0\r\nA(b): c\r\n\r\n", NULL),
        ROW("9112 7.1: a request in place of the trailer", "0\r\nGET / HTTP/1.1\r\n\r\n", NULL),
    };
    run_rows(rows, XF_COUNT(rows));
}

static void bytes_behind_the_end_are_left_alone(void **state)
{
    (void) state;
    struct xf_chunked chunked;
    const char *bytes = "0\r\n\r\nGET / HTTP/1.1\r\n";
    size_t used;
    struct xf_span data;
    xf_chunked_init(&chunked);
    assert_int_equal(xf_chunked_read(&chunked, bytes, strlen(bytes), &used, &data), XF_HTTP_DONE);
    assert_int_equal(used, 5);
    assert_int_equal(xf_chunked_read(&chunked, bytes, 1, &used, &data), XF_HTTP_DONE);
    assert_int_equal(used, 0);
}

static void a_refusal_is_final(void **state)
{
    (void) state;
    struct xf_chunked chunked;
    size_t used;
    struct xf_span data;
    xf_chunked_init(&chunked);
    assert_int_equal(xf_chunked_read(&chunked, "x", 1, &used, &data), XF_HTTP_BAD);
    assert_int_equal(xf_chunked_read(&chunked, LAST, 5, &used, &data), XF_HTTP_BAD);
    assert_int_equal(used, 0);
}

/* `count` bytes between `before` and `after`. */
static enum xf_http_verdict read_filled(const char *before, size_t count, const char *after)
{
    size_t length = strlen(before) + count + strlen(after);
    char *bytes = malloc(length + 1);
    static struct body body;
    assert_non_null(bytes);
    snprintf(bytes, length + 1, "%s", before);
    memset(bytes + strlen(before), 'a', count);
    memcpy(bytes + strlen(before) + count, after, strlen(after));
    read_body(bytes, length, length, 1, &body);
    free(bytes);
    return body.verdict;
}

static void extensions_and_trailers_have_ceilings(void **state)
{
    (void) state;
    size_t extension = XF_CHUNK_EXTENSION_BYTES_MAX - 1; /* less the CR that ends it */
    assert_int_equal(read_filled("1;", extension, "\r\nx\r\n" LAST), XF_HTTP_DONE);
    assert_int_equal(read_filled("1;", extension + 1, "\r\nx\r\n" LAST), XF_HTTP_BAD);
    size_t trailer = XF_TRAILER_BYTES_MAX - strlen("a:\r\n\r");
    assert_int_equal(read_filled("0\r\na:", trailer, "\r\n\r\n"), XF_HTTP_DONE);
    assert_int_equal(read_filled("0\r\na:", trailer + 1, "\r\n\r\n"), XF_HTTP_BAD);
}

static void the_ceiling_of_extensions_is_for_each_chunk(void **state)
{
    (void) state;
    static char bytes[3 * (XF_CHUNK_EXTENSION_BYTES_MAX + 16)];
    static struct body body;
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        at += (size_t) sprintf(bytes + at, "1;");
        memset(bytes + at, 'a', 4000);
        at += 4000;
        at += (size_t) sprintf(bytes + at, "\r\nx\r\n");
    }
    at += (size_t) sprintf(bytes + at, LAST);
    read_body(bytes, at, at, 1, &body);
    assert_int_equal(body.verdict, XF_HTTP_DONE);
    assert_int_equal(body.length, 3);
}

/* As many chunks of `size` bytes, each with an extension of 1000, as are let through, at most
 * `most`. */
static unsigned extended_chunks(size_t size, unsigned most)
{
    struct xf_chunked chunked;
    char bytes[4096];
    size_t length = (size_t) snprintf(bytes, sizeof(bytes), "%zx;", size);
    memset(bytes + length, 'a', 1000 + 2 + size + 2);
    length += 1000;
    memcpy(bytes + length, "\r\n", 2);
    length += 2 + size;
    memcpy(bytes + length, "\r\n", 2);
    length += 2;
    xf_chunked_init(&chunked);
    for (unsigned i = 0; i < most; i++) {
        for (size_t at = 0, used = 0; at < length; at += used) {
            struct xf_span data;
            if (xf_chunked_read(&chunked, bytes + at, length - at, &used, &data) == XF_HTTP_BAD) {
                return i;
            }
        }
    }
    return most;
}

static void a_body_may_not_consist_of_extensions(void **state)
{
    (void) state;
    assert_int_equal(extended_chunks(1, 1000), XF_CHUNK_EXTENSIONS_FREE / 1000);
    assert_int_equal(extended_chunks(1001, 1000), 1000);
}

static void a_size_line_is_written_as_it_is_read(void **state)
{
    (void) state;
    static const uint64_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 65536, UINT32_MAX, INT64_MAX};
    for (size_t i = 0; i < XF_COUNT(sizes); i++) {
        char out[XF_CHUNK_HEAD_BYTES + 1];
        char expected[64];
        size_t length = xf_chunk_head(out, sizes[i]);
        out[length] = '\0';
        snprintf(expected, sizeof(expected), "%llx\r\n", (unsigned long long) sizes[i]);
        assert_string_equal(out, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_data),
        cmocka_unit_test(a_size_beyond_32_bits_is_not_cut),
        cmocka_unit_test(extensions),
        cmocka_unit_test(trailers),
        cmocka_unit_test(bytes_behind_the_end_are_left_alone),
        cmocka_unit_test(a_refusal_is_final),
        cmocka_unit_test(extensions_and_trailers_have_ceilings),
        cmocka_unit_test(the_ceiling_of_extensions_is_for_each_chunk),
        cmocka_unit_test(a_body_may_not_consist_of_extensions),
        cmocka_unit_test(a_size_line_is_written_as_it_is_read),
    };
    return cmocka_run_group_tests_name("proxy/chunked", tests, NULL, NULL);
}
