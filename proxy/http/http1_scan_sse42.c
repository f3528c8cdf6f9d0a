/*
 * http1_scan_sse42.c -- the scanner for processors with SSE4.2: 16 bytes at a step.
 *
 * A byte's class is found by two 16-entry look-ups, one for each half of the byte: the low half
 * gives the set of high halves with which it forms a token character, the high half selects one.
 */
#include "proxy/http/http1_scan_simd.h"

#if XF_SCAN_SIMD

#include "proxy/http/http1_scan_lines.h"

#include <immintrin.h>

#define VECTOR_BYTES 16
#define SSE42        __attribute__((target("sse4.2")))
#define SSE42_INLINE __attribute__((target("sse4.2"), always_inline)) static inline

/* Bit h of entry l: the byte h*16+l is a token character. */
#define TOKEN_LOW                                                                                  \
    (char) 0xe8, (char) 0xfc, (char) 0xf8, (char) 0xfc, (char) 0xfc, (char) 0xfc, (char) 0xfc,     \
        (char) 0xfc, (char) 0xf8, (char) 0xf8, (char) 0xf4, 0x54, (char) 0xd0, 0x54, (char) 0xf4,  \
        0x70
#define TOKEN_HIGH 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, (char) 0x80, 0, 0, 0, 0, 0, 0, 0, 0

/* Each of these returns a mask with bit i set where byte i does not belong to the class. */
SSE42_INLINE unsigned not_token(__m128i v)
{
    const __m128i low = _mm_setr_epi8(TOKEN_LOW);
    const __m128i high = _mm_setr_epi8(TOKEN_HIGH);
    const __m128i half = _mm_set1_epi8(0x0f);
    __m128i sets = _mm_shuffle_epi8(low, _mm_and_si128(v, half));
    __m128i bits = _mm_shuffle_epi8(high, _mm_and_si128(_mm_srli_epi16(v, 4), half));
    __m128i outside = _mm_cmpeq_epi8(_mm_and_si128(sets, bits), _mm_setzero_si128());
    return (unsigned) _mm_movemask_epi8(outside);
}

SSE42_INLINE unsigned not_target(__m128i v)
{
    /* Signed: bytes from 0x80 are below 0x21 too. */
    __m128i below = _mm_cmplt_epi8(v, _mm_set1_epi8(0x21));
    __m128i hash = _mm_cmpeq_epi8(v, _mm_set1_epi8('#'));
    __m128i delete = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    return (unsigned) _mm_movemask_epi8(_mm_or_si128(below, _mm_or_si128(hash, delete)));
}

SSE42_INLINE unsigned not_text(__m128i v)
{
    const __m128i top = _mm_set1_epi8(0x1f);
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, top), v);
    control = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), control);
    __m128i delete = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    return (unsigned) _mm_movemask_epi8(_mm_or_si128(control, delete));
}

/* The last vector overlaps what was looked at before, so that no byte behind `end` is read. */
#define SKIP(name, outside, class)                                                                 \
    SSE42_INLINE size_t name(const char *bytes, size_t at, size_t end)                             \
    {                                                                                              \
        while (end - at >= VECTOR_BYTES) {                                                         \
            unsigned mask = outside(_mm_loadu_si128((const void *) (bytes + at)));                 \
            if (mask != 0) {                                                                       \
                return at + (size_t) __builtin_ctz(mask);                                          \
            }                                                                                      \
            at += VECTOR_BYTES;                                                                    \
        }                                                                                          \
        if (at < end && end >= VECTOR_BYTES) {                                                     \
            size_t from = end - VECTOR_BYTES;                                                      \
            unsigned mask = outside(_mm_loadu_si128((const void *) (bytes + from)));               \
            mask >>= at - from;                                                                    \
            return mask != 0 ? at + (size_t) __builtin_ctz(mask) : end;                            \
        }                                                                                          \
        while (at < end && xf_byte_is(bytes[at], class)) {                                         \
            at++;                                                                                  \
        }                                                                                          \
        return at;                                                                                 \
    }

SKIP(skip_token, not_token, XF_BYTE_TOKEN)
SKIP(skip_target, not_target, XF_BYTE_TARGET)
SKIP(skip_text, not_text, XF_BYTE_TEXT)

SSE42 static size_t sse42_token(const char *bytes, size_t at, size_t end)
{
    return skip_token(bytes, at, end);
}

SSE42 static size_t sse42_target(const char *bytes, size_t at, size_t end)
{
    return skip_target(bytes, at, end);
}

SSE42 static size_t sse42_text(const char *bytes, size_t at, size_t end)
{
    return skip_text(bytes, at, end);
}

SSE42 static enum xf_scan_end sse42_fields(const char *bytes, size_t end, struct xf_field *table,
                                           uint32_t room, struct xf_scan_fields *scan)
{
    return xf_scan_lines(bytes, end, table, room, scan, skip_token, skip_text);
}

const struct xf_scanner xf_scanner_sse42 = {
    .name = "sse4.2",
    .token = sse42_token,
    .target = sse42_target,
    .text = sse42_text,
    .fields = sse42_fields,
};

#endif
