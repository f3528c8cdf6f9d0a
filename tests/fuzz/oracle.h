/*
 * oracle.h -- a second, naive reading of a head that the parser accepted.
 *
 * It shares no code and no table with proxy/: it goes line by line with memchr and strchr, and
 * computes lengths with 128-bit numbers.  Whatever the parser accepts must read the same here.
 */
#ifndef XF_TESTS_FUZZ_ORACLE_H
#define XF_TESTS_FUZZ_ORACLE_H

#include "fuzz.h"

#include "proxy/http/http1.h"

#include <strings.h>

/* Where the line that begins at `at` ends: at its CR.  Checks the line for stray controls. */
static inline size_t oracle_line_end(const char *bytes, size_t at, size_t end)
{
    const char *feed = memchr(bytes + at, '\n', end - at);
    FUZZ_CHECK(feed != NULL && feed > bytes + at && feed[-1] == '\r');
    size_t stop = (size_t) (feed - bytes) - 1;
    for (size_t i = at; i < stop; i++) {
        unsigned char byte = (unsigned char) bytes[i];
        FUZZ_CHECK(byte == '\t' || (byte >= ' ' && byte != 127));
    }
    return stop;
}

static inline bool oracle_is(const char *bytes, struct xf_span name, const char *word)
{
    return name.length == strlen(word) && strncasecmp(bytes + name.at, word, name.length) == 0;
}

static inline void oracle_field(const char *bytes, size_t at, size_t stop,
                                const struct xf_field *field)
{
    const char *colon = memchr(bytes + at, ':', stop - at);
    FUZZ_CHECK(colon != NULL && colon > bytes + at);
    FUZZ_CHECK(field->name.at == at && field->name.length == (size_t) (colon - bytes) - at);
    for (size_t i = at; bytes + i < colon; i++) {
        FUZZ_CHECK(bytes[i] != '\0' && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                                              bytes[i]) != NULL);
    }
    size_t from = (size_t) (colon - bytes) + 1;
    while (from < stop && (bytes[from] == ' ' || bytes[from] == '\t')) {
        from++;
    }
    while (stop > from && (bytes[stop - 1] == ' ' || bytes[stop - 1] == '\t')) {
        stop--;
    }
    FUZZ_CHECK(field->value.at == from && field->value.length == stop - from);
}

/* Reads every line behind the start line, which begins at `begin`, up to `end`. */
static inline void oracle_fields(const char *bytes, size_t begin, size_t end,
                                 const struct xf_field *fields, uint32_t count)
{
    size_t at = oracle_line_end(bytes, begin, end) + 2;
    for (uint32_t i = 0; i < count; i++) {
        size_t stop = oracle_line_end(bytes, at, end);
        oracle_field(bytes, at, stop, &fields[i]);
        at = stop + 2;
    }
    FUZZ_CHECK(end - at == 2 && bytes[at] == '\r' && bytes[at + 1] == '\n');
}

/* How many lines a field has; *ret_first is the first one's value. */
static inline unsigned oracle_count(const char *bytes, const struct xf_field *fields,
                                    uint32_t count, const char *name, struct xf_span *ret_first)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (oracle_is(bytes, fields[i].name, name)) {
            if (found++ == 0) {
                *ret_first = fields[i].value;
            }
        }
    }
    return found;
}

/* Every digit run of every Content-Length line is the same number; it fits and is `length`. */
static inline void oracle_length(const char *bytes, const struct xf_field *fields, uint32_t count,
                                 uint64_t length)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!oracle_is(bytes, fields[i].name, "content-length")) {
            continue;
        }
        __extension__ unsigned __int128 number = 0;
        unsigned digits = 0;
        for (uint32_t k = 0; k <= fields[i].value.length; k++) {
            char byte = k < fields[i].value.length ? bytes[fields[i].value.at + k] : ',';
            if (byte >= '0' && byte <= '9') {
                number = number * 10 + (unsigned) (byte - '0');
                FUZZ_CHECK(number <= INT64_MAX);
                digits++;
            } else if (byte == ',') {
                FUZZ_CHECK(digits > 0 && number == length);
                number = 0;
                digits = 0;
            } else {
                FUZZ_CHECK(byte == ' ' || byte == '\t');
            }
        }
    }
}

/* The index that the parser keeps of known fields agrees with the names. */
static inline void oracle_index(const char *bytes, const struct xf_field *fields, uint32_t count,
                                const uint16_t *first)
{
    static const struct {
        enum xf_field_name known;
        const char *name;
    } names[] = {
        {XF_FIELD_HOST, "Host"},
        {XF_FIELD_CONTENT_LENGTH, "Content-Length"},
        {XF_FIELD_TRANSFER_ENCODING, "Transfer-Encoding"},
        {XF_FIELD_CONNECTION, "Connection"},
        {XF_FIELD_KEEP_ALIVE, "Keep-Alive"},
        {XF_FIELD_PROXY_CONNECTION, "Proxy-Connection"},
        {XF_FIELD_TE, "TE"},
        {XF_FIELD_TRAILER, "Trailer"},
        {XF_FIELD_UPGRADE, "Upgrade"},
        {XF_FIELD_EXPECT, "Expect"},
        {XF_FIELD_VIA, "Via"},
        {XF_FIELD_MAX_FORWARDS, "Max-Forwards"},
        {XF_FIELD_DATE, "Date"},
        {XF_FIELD_COOKIE, "Cookie"},
        {XF_FIELD_SET_COOKIE, "Set-Cookie"},
        {XF_FIELD_FORWARDED, "Forwarded"},
        {XF_FIELD_X_FORWARDED_FOR, "X-Forwarded-For"},
        {XF_FIELD_X_FORWARDED_PROTO, "X-Forwarded-Proto"},
        {XF_FIELD_X_FORWARDED_HOST, "X-Forwarded-Host"},
        {XF_FIELD_X_FORWARDED_PORT, "X-Forwarded-Port"},
        {XF_FIELD_X_REAL_IP, "X-Real-IP"},
        {XF_FIELD_X_REQUEST_ID, "X-Request-Id"},
        {XF_FIELD_HTTP2_SETTINGS, "HTTP2-Settings"},
        {XF_FIELD_SEC_WEBSOCKET_KEY, "Sec-WebSocket-Key"},
    };
    for (size_t n = 0; n < XF_COUNT(names); n++) {
        uint32_t expected = 0;
        for (uint32_t i = count; i > 0; i--) {
            bool is = oracle_is(bytes, fields[i - 1].name, names[n].name);
            FUZZ_CHECK(is == (fields[i - 1].known == names[n].known));
            expected = is ? i : expected;
        }
        FUZZ_CHECK(first[names[n].known] == expected);
    }
}

#endif
