/*
 * writer.h -- text into a buffer of fixed size, counting on when it is full.
 *
 * What does not fit is not written, so a builder needs no check in between: it compares `length`
 * with `size` once, at the end.
 */
#ifndef XF_PROXY_WRITER_H
#define XF_PROXY_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct xf_writer {
    char *out;
    size_t size;
    size_t length; /* of everything put so far, written or not */
};

static inline void xf_put(struct xf_writer *writer, const char *bytes, size_t count)
{
    if (writer->length <= writer->size && count <= writer->size - writer->length && count > 0) {
        memcpy(writer->out + writer->length, bytes, count);
    }
    writer->length += count;
}

/* For string literals: the length is known to the compiler. */
#define xf_put_text(writer, literal) xf_put((writer), "" literal "", sizeof(literal) - 1)

static inline void xf_put_number(struct xf_writer *writer, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char) ('0' + number % 10);
        number /= 10;
    } while (number > 0);
    xf_put(writer, digits + at, sizeof(digits) - at);
}

#endif
