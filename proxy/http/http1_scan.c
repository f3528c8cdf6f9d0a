/*
 * http1_scan.c -- the portable scanner, and the choice among them.
 *
 * The choice is made at each call from the processor's feature word, which costs a load and a
 * test; so no global has to be set up before the first head.
 */
#include "proxy/http/http1_scan.h"

#include "proxy/http/http1_scan_lines.h"
#include "proxy/http/http1_scan_simd.h"

const char *xf_scan_name_fault(const char *bytes, size_t begin, size_t at)
{
    switch (bytes[at]) {
    case ':':
        return "empty field name";
    case ' ':
    case '\t':
        return at == begin ? "folded line" : "white space before the colon";
    case '\n':
        return "bare LF in the head";
    case '\r':
        return "field line without a colon";
    default:
        return "invalid byte in a field name";
    }
}

const char *xf_scan_text_fault(const char *bytes, size_t at)
{
    switch (bytes[at]) {
    case '\r':
        return "bare CR in a field value";
    case '\n':
        return "bare LF in the head";
    case '\0':
        return "NUL in a field value";
    default:
        return "control character in a field value";
    }
}

static inline size_t skip(const char *bytes, size_t at, size_t end, uint8_t class)
{
    while (at < end && xf_byte_is(bytes[at], class)) {
        at++;
    }
    return at;
}

static size_t portable_token(const char *bytes, size_t at, size_t end)
{
    return skip(bytes, at, end, XF_BYTE_TOKEN);
}

static size_t portable_target(const char *bytes, size_t at, size_t end)
{
    return skip(bytes, at, end, XF_BYTE_TARGET);
}

static size_t portable_text(const char *bytes, size_t at, size_t end)
{
    return skip(bytes, at, end, XF_BYTE_TEXT);
}

static enum xf_scan_end portable_fields(const char *bytes, size_t end, struct xf_field *table,
                                        uint32_t room, struct xf_scan_fields *scan)
{
    return xf_scan_lines(bytes, end, table, room, scan, portable_token, portable_text);
}

static const struct xf_scanner portable = {
    .name = "portable",
    .token = portable_token,
    .target = portable_target,
    .text = portable_text,
    .fields = portable_fields,
};

#if XF_SCAN_SIMD

const struct xf_scanner *xf_scanner_best(void)
{
    if (__builtin_cpu_supports("avx2")) {
        return &xf_scanner_avx2;
    }
    return __builtin_cpu_supports("sse4.2") ? &xf_scanner_sse42 : &portable;
}

const struct xf_scanner *xf_scanner_at(unsigned index)
{
    if (index == 1) {
        return __builtin_cpu_supports("sse4.2") ? &xf_scanner_sse42 : NULL;
    }
    if (index == 2) {
        return __builtin_cpu_supports("avx2") ? &xf_scanner_avx2 : NULL;
    }
    return index == 0 ? &portable : NULL;
}

#else

const struct xf_scanner *xf_scanner_best(void)
{
    return &portable;
}

const struct xf_scanner *xf_scanner_at(unsigned index)
{
    return index == 0 ? &portable : NULL;
}

#endif
