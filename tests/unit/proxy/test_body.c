/*
 * test_body.c -- bodies out of one framing and into another.
 */
#include "proxy/http/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Decodes and frames `text` cut in pieces of `step`; returns the joined output. */
static size_t through(const char *text, size_t length, size_t step, char *out, bool *ret_done)
{
    struct xf_body body;
    size_t written = 0;
    xf_body_init(&body, XF_FRAMING_CHUNKED, 0);
    for (size_t at = 0; at < length && !body.done; at += step) {
        char space[XF_BODY_FRONT + 4096 + XF_BODY_BACK];
        size_t count = length - at < step ? length - at : step;
        struct xf_body_piece piece;
        memcpy(space + XF_BODY_FRONT, text + at, count);
        assert_true(xf_body_decode(&body, space + XF_BODY_FRONT, count, &piece));
        xf_body_frame(&piece, body.done);
        memcpy(out + written, piece.data, piece.length);
        written += piece.length;
    }
    *ret_done = body.done;
    return written;
}

static void chunks_arrive_whole_however_they_are_cut(void **state)
{
    (void) state;
    static const char text[] = "5;x=1\r\nhello\r\n1\r\n \r\n6\r\nworld!\r\n0\r\nTrailer: x\r\n\r\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        char framed[4096], plain[4096];
        bool done;
        size_t length = through(text, sizeof(text) - 1, step, framed, &done);
        assert_true(done);
        struct xf_body body;
        struct xf_body_piece piece;
        xf_body_init(&body, XF_FRAMING_CHUNKED, 0);
        assert_true(xf_body_decode(&body, framed, length, &piece)); /* what we send is valid */
        assert_true(body.done);
        assert_int_equal(piece.used, length);
        memcpy(plain, piece.data, piece.length);
        assert_int_equal(piece.length, 12);
        assert_memory_equal(plain, "hello world!", 12);
    }
}

static void a_length_ends_where_it_says(void **state)
{
    (void) state;
    struct xf_body body;
    struct xf_body_piece piece;
    char bytes[] = "0123456789next";
    xf_body_init(&body, XF_FRAMING_LENGTH, 10);
    assert_true(xf_body_decode(&body, bytes, 4, &piece));
    assert_false(body.done);
    assert_true(xf_body_decode(&body, bytes + 4, 10, &piece));
    assert_true(body.done);
    assert_int_equal(piece.used, 6);
    assert_int_equal(body.bytes, 10);
    xf_body_init(&body, XF_FRAMING_LENGTH, 0);
    assert_true(body.done);
    xf_body_init(&body, XF_FRAMING_NONE, 0);
    assert_true(body.done);
}

static void a_chunk_is_too_large_as_soon_as_it_says_so(void **state)
{
    (void) state;
    struct xf_body body;
    struct xf_body_piece piece;
    char bytes[] = "3\r\nabc\r\n8\r\n";
    xf_body_init(&body, XF_FRAMING_CHUNKED, 0);
    assert_true(xf_body_decode(&body, bytes, sizeof(bytes) - 1, &piece));
    assert_false(xf_body_exceeds(&body, 11));
    assert_true(xf_body_exceeds(&body, 10));
    char data[] = "01234567\r\n0\r\n\r\n";
    assert_true(xf_body_decode(&body, data, sizeof(data) - 1, &piece));
    assert_false(xf_body_exceeds(&body, 11));
    assert_true(xf_body_exceeds(&body, 10));
}

static void malformed_chunks_are_told(void **state)
{
    (void) state;
    struct xf_body body;
    struct xf_body_piece piece;
    char bytes[] = "5\r\nhelloX";
    xf_body_init(&body, XF_FRAMING_CHUNKED, 0);
    assert_false(xf_body_decode(&body, bytes, sizeof(bytes) - 1, &piece));
}

static void framing_never_grows_a_chunked_body_in_place(void **state)
{
    (void) state;
    /* What stands behind the body in the same buffer must survive: it is the next request. */
    char bytes[XF_BODY_FRONT + 64] = {0};
    static const char text[] = "3\r\nabc\r\n0\r\n\r\nGET";
    struct xf_body body;
    struct xf_body_piece piece;
    memcpy(bytes + XF_BODY_FRONT, text, sizeof(text));
    xf_body_init(&body, XF_FRAMING_CHUNKED, 0);
    assert_true(xf_body_decode(&body, bytes + XF_BODY_FRONT, sizeof(text) - 1, &piece));
    size_t used = piece.used;
    xf_body_frame(&piece, true);
    assert_memory_equal(bytes + XF_BODY_FRONT + used, "GET", 3);
}

static void bytes_that_go_by_unseen_are_counted(void **state)
{
    (void) state;
    char rest[] = "0123456789and a next answer";
    struct xf_body body;
    struct xf_body_piece piece;
    xf_body_init(&body, XF_FRAMING_LENGTH, 1000010);
    xf_body_pass(&body, 400000);
    xf_body_pass(&body, 600000);
    assert_false(body.done);
    assert_true(xf_body_decode(&body, rest, sizeof(rest) - 1, &piece));
    assert_int_equal(piece.length, 10);
    assert_true(body.done);
    assert_int_equal(body.bytes, 1000010);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_arrive_whole_however_they_are_cut),
        cmocka_unit_test(a_length_ends_where_it_says),
        cmocka_unit_test(a_chunk_is_too_large_as_soon_as_it_says_so),
        cmocka_unit_test(malformed_chunks_are_told),
        cmocka_unit_test(framing_never_grows_a_chunked_body_in_place),
        cmocka_unit_test(bytes_that_go_by_unseen_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
