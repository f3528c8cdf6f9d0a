/*
 * http1_scan_avx2.c -- the scanner for processors with AVX2: 32 bytes at a step.
 *
 * As http1_scan_sse42.c, with the two look-up tables repeated for both halves of the vector.
 */
#include "proxy/http/http1_scan_simd.h"

#if XF_SCAN_SIMD

#include "proxy/http/http1_scan_lines.h"

#include <immintrin.h>

#define VECTOR_BYTES 32
#define AVX2         __attribute__((target("avx2")))
#define AVX2_INLINE  __attribute__((target("avx2"), always_inline)) static inline

/* Bit h of entry l: the byte h*16+l is a token character. */
#define TOKEN_LOW                                                                                  \
    (char) 0xe8, (char) 0xfc, (char) 0xf8, (char) 0xfc, (char) 0xfc, (char) 0xfc, (char) 0xfc,     \
        (char) 0xfc, (char) 0xf8, (char) 0xf8, (char) 0xf4, 0x54, (char) 0xd0, 0x54, (char) 0xf4,  \
        0x70
#define TOKEN_HIGH 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, (char) 0x80, 0, 0, 0, 0, 0, 0, 0, 0

/* Each of these returns a mask with bit i set where byte i does not belong to the class. */
AVX2_INLINE unsigned not_token(__m256i v)
{
    const __m256i low = _mm256_setr_epi8(TOKEN_LOW, TOKEN_LOW);
    const __m256i high = _mm256_setr_epi8(TOKEN_HIGH, TOKEN_HIGH);
    const __m256i half = _mm256_set1_epi8(0x0f);
    __m256i sets = _mm256_shuffle_epi8(low, _mm256_and_si256(v, half));
    __m256i bits = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(v, 4), half));
    __m256i outside = _mm256_cmpeq_epi8(_mm256_and_si256(sets, bits), _mm256_setzero_si256());
    return (unsigned) _mm256_movemask_epi8(outside);
}

AVX2_INLINE unsigned not_target(__m256i v)
{
    /* Signed: bytes from 0x80 are below 0x21 too. */
    __m256i below = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x21), v);
    __m256i hash = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('#'));
    __m256i delete = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f));
    return (unsigned) _mm256_movemask_epi8(_mm256_or_si256(below, _mm256_or_si256(hash, delete)));
}

AVX2_INLINE unsigned not_text(__m256i v)
{
    const __m256i top = _mm256_set1_epi8(0x1f);
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, top), v);
    control = _mm256_andnot_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t')), control);
    __m256i delete = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f));
    return (unsigned) _mm256_movemask_epi8(_mm256_or_si256(control, delete));
}

/* The last vector overlaps what was looked at before, so that no byte behind `end` is read. */
#define SKIP(name, outside, class)                                                                 \
    AVX2_INLINE size_t name(const char *bytes, size_t at, size_t end)                              \
    {                                                                                              \
        while (end - at >= VECTOR_BYTES) {                                                         \
            unsigned mask = outside(_mm256_loadu_si256((const void *) (bytes + at)));              \
            if (mask != 0) {                                                                       \
                return at + (size_t) __builtin_ctz(mask);                                          \
            }                                                                                      \
            at += VECTOR_BYTES;                                                                    \
        }                                                                                          \
        if (at < end && end >= VECTOR_BYTES) {                                                     \
            size_t from = end - VECTOR_BYTES;                                                      \
            unsigned mask = outside(_mm256_loadu_si256((const void *) (bytes + from)));            \
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

AVX2 static size_t avx2_token(const char *bytes, size_t at, size_t end)
{
    return skip_token(bytes, at, end);
}

AVX2 static size_t avx2_target(const char *bytes, size_t at, size_t end)
{
    return skip_target(bytes, at, end);
}

AVX2 static size_t avx2_text(const char *bytes, size_t at, size_t end)
{
    return skip_text(bytes, at, end);
}

AVX2 static enum xf_scan_end avx2_fields(const char *bytes, size_t end, struct xf_field *table,
                                         uint32_t room, struct xf_scan_fields *scan)
{
    return xf_scan_lines(bytes, end, table, room, scan, skip_token, skip_text);
}

const struct xf_scanner xf_scanner_avx2 = {
    .name = "avx2",
    .token = avx2_token,
    .target = avx2_target,
    .text = avx2_text,
    .fields = avx2_fields,
};

#endif
