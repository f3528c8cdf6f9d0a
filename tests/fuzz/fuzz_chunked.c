/*
 * fuzz_chunked.c -- chunked bodies: every way of arriving gives the same data, and a naive decoder
 * that goes line by line agrees with what was accepted.
 */
#include "fuzz.h"

#include "proxy/http/chunked.h"

struct body {
    enum xf_http_verdict verdict;
    size_t used;
    size_t length;
    char *data; /* room for the whole input */
};

/* Reads in pieces whose lengths follow from `seed`; 0 reads all at once. */
static void decode(const char *bytes, size_t size, size_t seed, struct body *ret)
{
    struct xf_chunked chunked;
    xf_chunked_init(&chunked);
    *ret = (struct body){.verdict = XF_HTTP_MORE, .data = malloc(size + 1)};
    FUZZ_CHECK(ret->data != NULL);
    while (ret->verdict == XF_HTTP_MORE && ret->used < size) {
        size_t there = size - ret->used;
        if (seed != 0) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t piece = 1 + (seed >> 33) % 9;
            there = piece < there ? piece : there;
        }
        char *exact = fuzz_exact(bytes + ret->used, there);
        size_t used = SIZE_MAX;
        struct xf_span data = {UINT32_MAX, UINT32_MAX};
        ret->verdict = xf_chunked_read(&chunked, exact, there, &used, &data);
        FUZZ_CHECK(used > 0 && used <= there);
        FUZZ_CHECK(data.at <= used && data.length <= used - data.at);
        memcpy(ret->data + ret->length, exact + data.at, data.length);
        ret->length += data.length;
        ret->used += used;
        free(exact);
    }
}

static int hex_value(char byte)
{
    const char *digits = "0123456789abcdef";
    const char *at =
        byte >= 'A' && byte <= 'F' ? strchr(digits, byte - 'A' + 'a') : strchr(digits, byte);
    return byte == '\0' || at == NULL ? -1 : (int) (at - digits);
}

/* The end of a line: its CR.  SIZE_MAX where the input ends before. */
static size_t line_end(const char *bytes, size_t at, size_t size)
{
    const char *feed = at < size ? memchr(bytes + at, '\n', size - at) : NULL;
    if (feed == NULL) {
        return SIZE_MAX;
    }
    size_t end = (size_t) (feed - bytes);
    FUZZ_CHECK(end > at && bytes[end - 1] == '\r');
    for (size_t i = at; i + 1 < end; i++) {
        unsigned char byte = (unsigned char) bytes[i];
        FUZZ_CHECK(byte == '\t' || (byte >= ' ' && byte != 127));
    }
    return end - 1;
}

/* Follows an accepted body (up to `used`) line by line and compares the data. */
static void check_accepted(const char *bytes, const struct body *body)
{
    size_t at = 0;
    size_t length = 0;
    for (;;) {
        size_t end = line_end(bytes, at, body->used);
        FUZZ_CHECK(end != SIZE_MAX);
        __extension__ unsigned __int128 size = 0;
        size_t i = at;
        for (; i < end && hex_value(bytes[i]) >= 0; i++) {
            size = size * 16 + (unsigned) hex_value(bytes[i]);
            FUZZ_CHECK(size <= INT64_MAX);
        }
        FUZZ_CHECK(i > at);
        FUZZ_CHECK(i == end || bytes[i] == ';' || bytes[i] == ' ' || bytes[i] == '\t');
        FUZZ_CHECK(i == end || memchr(bytes + i, ';', end - i) != NULL);
        at = end + 2;
        if (size == 0) {
            break;
        }
        FUZZ_CHECK(size <= body->used - at && body->used - at - size >= 2);
        FUZZ_CHECK(size <= body->length - length);
        FUZZ_CHECK(memcmp(body->data + length, bytes + at, (size_t) size) == 0);
        length += (size_t) size;
        at += (size_t) size;
        FUZZ_CHECK(bytes[at] == '\r' && bytes[at + 1] == '\n');
        at += 2;
    }
    FUZZ_CHECK(length == body->length);
    for (;;) {
        size_t end = line_end(bytes, at, body->used);
        FUZZ_CHECK(end != SIZE_MAX);
        if (end == at) {
            break;
        }
        FUZZ_CHECK(bytes[at] != ' ' && bytes[at] != '\t' && bytes[at] != ':');
        FUZZ_CHECK(memchr(bytes + at, ':', end - at) != NULL);
        at = end + 2;
    }
    FUZZ_CHECK(at + 2 == body->used);
}

/* Written out again as one chunk, the data is read back. */
static void check_round_trip(const struct body *body)
{
    if (body->length == 0) {
        return;
    }
    char head[XF_CHUNK_HEAD_BYTES];
    size_t head_length = xf_chunk_head(head, body->length);
    char *bytes = malloc(head_length + body->length + 7);
    FUZZ_CHECK(bytes != NULL);
    memcpy(bytes, head, head_length);
    memcpy(bytes + head_length, body->data, body->length);
    memcpy(bytes + head_length + body->length, "\r\n0\r\n\r\n", 7);
    struct body again;
    decode(bytes, head_length + body->length + 7, 0, &again);
    FUZZ_CHECK(again.verdict == XF_HTTP_DONE && again.length == body->length);
    FUZZ_CHECK(memcmp(again.data, body->data, body->length) == 0);
    free(again.data);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct body whole;
    struct body pieces;
    decode((const char *) data, size, 0, &whole);
    decode((const char *) data, size, fuzz_hash(data, size) | 1, &pieces);
    FUZZ_CHECK(whole.verdict == pieces.verdict && whole.used == pieces.used);
    FUZZ_CHECK(whole.length == pieces.length);
    FUZZ_CHECK(memcmp(whole.data, pieces.data, whole.length) == 0);
    if (whole.verdict == XF_HTTP_DONE) {
        check_accepted((const char *) data, &whole);
        check_round_trip(&whole);
    }
    free(whole.data);
    free(pieces.data);
    return 0;
}
