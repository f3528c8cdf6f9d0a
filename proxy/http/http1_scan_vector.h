/*
 * http1_scan_vector.h -- the scanner that http1_scan_sse42.c and http1_scan_avx2.c each make of it.
 *
 * A byte's class is found by two 16-entry look-ups, one for each half of the byte: the low half
 * gives the set of high halves with which it forms a token character, the high half selects one.
 *
 * Who includes it says before what a vector is and what the processor's instructions are called:
 * VECTOR, VECTOR_BYTES, VECTOR_TARGET, ON_LANES(), ON_WHOLE(), TABLE() and SCANNER, SCANNER_NAME.
 */
#ifndef XF_PROXY_HTTP1_SCAN_VECTOR_H
#define XF_PROXY_HTTP1_SCAN_VECTOR_H

#include "proxy/http/http1_scan_lines.h"
#include "proxy/http/http1_scan_simd.h"

#define VECTOR_CODE   __attribute__((target(VECTOR_TARGET)))
#define VECTOR_INLINE __attribute__((target(VECTOR_TARGET), always_inline)) static inline

/* Bit h of entry l: the byte h*16+l is a token character. */
#define TOKEN_LOW                                                                                  \
    (char) 0xe8, (char) 0xfc, (char) 0xf8, (char) 0xfc, (char) 0xfc, (char) 0xfc, (char) 0xfc,     \
        (char) 0xfc, (char) 0xf8, (char) 0xf8, (char) 0xf4, 0x54, (char) 0xd0, 0x54, (char) 0xf4,  \
        0x70
#define TOKEN_HIGH 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, (char) 0x80, 0, 0, 0, 0, 0, 0, 0, 0

/* Each of these returns a mask with bit i set where byte i does not belong to the class. */
VECTOR_INLINE unsigned not_token(VECTOR v)
{
    const VECTOR low = TABLE(TOKEN_LOW);
    const VECTOR high = TABLE(TOKEN_HIGH);
    const VECTOR half = ON_LANES(set1_epi8)(0x0f);
    VECTOR sets = ON_LANES(shuffle_epi8)(low, ON_WHOLE(and)(v, half));
    VECTOR bits = ON_LANES(shuffle_epi8)(high, ON_WHOLE(and)(ON_LANES(srli_epi16)(v, 4), half));
    VECTOR outside = ON_LANES(cmpeq_epi8)(ON_WHOLE(and)(sets, bits), ON_WHOLE(setzero)());
    return (unsigned) ON_LANES(movemask_epi8)(outside);
}

VECTOR_INLINE unsigned not_target(VECTOR v)
{
    /* Signed: bytes from 0x80 are below 0x21 too. */
    VECTOR below = ON_LANES(cmpgt_epi8)(ON_LANES(set1_epi8)(0x21), v);
    VECTOR hash = ON_LANES(cmpeq_epi8)(v, ON_LANES(set1_epi8)('#'));
    VECTOR delete = ON_LANES(cmpeq_epi8)(v, ON_LANES(set1_epi8)(0x7f));
    return (unsigned) ON_LANES(movemask_epi8)(ON_WHOLE(or)(below, ON_WHOLE(or)(hash, delete)));
}

VECTOR_INLINE unsigned not_text(VECTOR v)
{
    const VECTOR top = ON_LANES(set1_epi8)(0x1f);
    VECTOR control = ON_LANES(cmpeq_epi8)(ON_LANES(min_epu8)(v, top), v);
    control = ON_WHOLE(andnot)(ON_LANES(cmpeq_epi8)(v, ON_LANES(set1_epi8)('\t')), control);
    VECTOR delete = ON_LANES(cmpeq_epi8)(v, ON_LANES(set1_epi8)(0x7f));
    return (unsigned) ON_LANES(movemask_epi8)(ON_WHOLE(or)(control, delete));
}

/* The last vector overlaps what was looked at before, so that no byte behind `end` is read. */
#define SKIP(name, outside, class)                                                                 \
    VECTOR_INLINE size_t name(const char *bytes, size_t at, size_t end)                            \
    {                                                                                              \
        while (end - at >= VECTOR_BYTES) {                                                         \
            unsigned mask = outside(ON_WHOLE(loadu)((const void *) (bytes + at)));                 \
            if (mask != 0) {                                                                       \
                return at + (size_t) __builtin_ctz(mask);                                          \
            }                                                                                      \
            at += VECTOR_BYTES;                                                                    \
        }                                                                                          \
        if (at < end && end >= VECTOR_BYTES) {                                                     \
            size_t from = end - VECTOR_BYTES;                                                      \
            unsigned mask = outside(ON_WHOLE(loadu)((const void *) (bytes + from)));               \
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

VECTOR_CODE static size_t vector_token(const char *bytes, size_t at, size_t end)
{
    return skip_token(bytes, at, end);
}

VECTOR_CODE static size_t vector_target(const char *bytes, size_t at, size_t end)
{
    return skip_target(bytes, at, end);
}

VECTOR_CODE static size_t vector_text(const char *bytes, size_t at, size_t end)
{
    return skip_text(bytes, at, end);
}

VECTOR_CODE static enum xf_scan_end vector_fields(const char *bytes, size_t end,
                                                  struct xf_field *table, uint32_t room,
                                                  struct xf_scan_fields *scan)
{
    return xf_scan_lines(bytes, end, table, room, scan, skip_token, skip_text);
}

const struct xf_scanner SCANNER = {
    .name = SCANNER_NAME,
    .token = vector_token,
    .target = vector_target,
    .text = vector_text,
    .fields = vector_fields,
};

#endif
