/*
 * chunked.c -- chunk sizes, extensions and trailers as a byte machine; data by the span.
 *
 *   SIZE -digits-> extensions -CRLF-> DATA -all of it-> CRLF -> SIZE ...
 *   SIZE of 0 ---> extensions -CRLF-> TRAILER -lines as in a head-> CRLF -> FINISHED
 *
 * Framing bytes are few, so they are read one at a time; only data is taken in bulk.
 */
#include "proxy/http/chunked.h"

#include "proxy/http/tokens.h"

#define DIGITS_MAX 16 /* hexadecimal digits of a 64-bit number; leading zeros count */

enum state {
    SIZE,
    SEMICOLON, /* white space before a `;`: nothing else may follow */
    EXTENSION, /* behind `;` */
    NAME,
    EQUALS, /* white space behind a name: `=` or `;` may follow */
    VALUE,  /* behind `=` */
    VALUE_TOKEN,
    VALUE_QUOTED,
    VALUE_ESCAPED,
    VALUE_END, /* behind a quoted string */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the beginning of a trailer line */
    TRAILER_NAME,
    TRAILER_TEXT,
    TRAILER_LF,
    END_LF,
    FINISHED,
    FAILED,
};

void xf_chunked_init(struct xf_chunked *chunked)
{
    *chunked = (struct xf_chunked){.state = SIZE};
}

/* What may stand behind a size or a whole extension value. */
static enum state after_value(char byte)
{
    if (byte == '\r') {
        return SIZE_LF;
    }
    if (byte == ';') {
        return EXTENSION;
    }
    return xf_byte_is_space(byte) ? SEMICOLON : FAILED;
}

static enum state read_size(struct xf_chunked *chunked, char byte)
{
    if (!xf_byte_is(byte, XF_BYTE_HEX)) {
        return chunked->digits == 0 ? FAILED : after_value(byte);
    }
    if (chunked->digits == DIGITS_MAX) {
        return FAILED;
    }
    unsigned digit = (unsigned) (xf_byte_is_digit(byte) ? byte - '0' : (byte | 0x20) - 'a' + 10);
    chunked->left = chunked->left << 4 | digit;
    chunked->digits++;
    return chunked->left > INT64_MAX ? FAILED : SIZE;
}

/* chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) */
static enum state read_extension(enum state state, char byte)
{
    bool space = xf_byte_is_space(byte);
    bool token = xf_byte_is(byte, XF_BYTE_TOKEN);
    bool text = xf_byte_is(byte, XF_BYTE_TEXT);
    switch (state) {
    case SEMICOLON:
        return space ? SEMICOLON : byte == ';' ? EXTENSION : FAILED;
    case EXTENSION:
        return space ? EXTENSION : token ? NAME : FAILED;
    case NAME:
        return token ? NAME : byte == '=' ? VALUE : space ? EQUALS : after_value(byte);
    case EQUALS:
        return space ? EQUALS : byte == '=' ? VALUE : byte == ';' ? EXTENSION : FAILED;
    case VALUE:
        return space ? VALUE : byte == '"' ? VALUE_QUOTED : token ? VALUE_TOKEN : FAILED;
    case VALUE_TOKEN:
        return token ? VALUE_TOKEN : after_value(byte);
    case VALUE_QUOTED:
        return byte == '"'    ? VALUE_END
               : byte == '\\' ? VALUE_ESCAPED
               : text         ? VALUE_QUOTED
                              : FAILED;
    case VALUE_ESCAPED:
        return text ? VALUE_QUOTED : FAILED;
    default: /* VALUE_END */
        return after_value(byte);
    }
}

static enum state read_trailer(enum state state, char byte)
{
    bool token = xf_byte_is(byte, XF_BYTE_TOKEN);
    switch (state) {
    case TRAILER:
        return byte == '\r' ? END_LF : token ? TRAILER_NAME : FAILED;
    case TRAILER_NAME:
        return token ? TRAILER_NAME : byte == ':' ? TRAILER_TEXT : FAILED;
    case TRAILER_TEXT:
        return byte == '\r' ? TRAILER_LF : xf_byte_is(byte, XF_BYTE_TEXT) ? TRAILER_TEXT : FAILED;
    default: /* TRAILER_LF */
        return byte == '\n' ? TRAILER : FAILED;
    }
}

/* The size line is over: data, or the trailer behind the last chunk. */
static enum state end_size_line(struct xf_chunked *chunked)
{
    chunked->counted = 0;
    chunked->digits = 0;
    return chunked->left == 0 ? TRAILER : DATA;
}

static bool count(struct xf_chunked *chunked, uint32_t most)
{
    chunked->counted++;
    return chunked->counted <= most;
}

/* Within one chunk and, so that a body may not consist of extensions, over all of them. */
static bool count_extension(struct xf_chunked *chunked)
{
    chunked->owed++;
    return chunked->owed <= XF_CHUNK_EXTENSIONS_FREE &&
           count(chunked, XF_CHUNK_EXTENSION_BYTES_MAX);
}

/* One byte of framing; never called in DATA, FINISHED or FAILED. */
static enum state read_framing(struct xf_chunked *chunked, char byte)
{
    enum state state = chunked->state;
    switch (state) {
    case SIZE:
        return read_size(chunked, byte);
    case SIZE_LF:
        return byte == '\n' ? end_size_line(chunked) : FAILED;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : FAILED;
    case DATA_LF:
        return byte == '\n' ? SIZE : FAILED;
    case END_LF:
        return byte == '\n' ? FINISHED : FAILED;
    case TRAILER:
    case TRAILER_NAME:
    case TRAILER_TEXT:
    case TRAILER_LF:
        return count(chunked, XF_TRAILER_BYTES_MAX) ? read_trailer(state, byte) : FAILED;
    default:
        return count_extension(chunked) ? read_extension(state, byte) : FAILED;
    }
}

/* Takes what there is of the present chunk's data, from `at` on. */
static struct xf_span take_data(struct xf_chunked *chunked, size_t at, size_t length)
{
    size_t there = length - at;
    if (there > chunked->left) {
        there = (size_t) chunked->left;
    }
    chunked->left -= there;
    chunked->owed -= there < chunked->owed ? (uint32_t) there : chunked->owed;
    if (chunked->left == 0) {
        chunked->state = DATA_CR;
    }
    return (struct xf_span){(uint32_t) at, (uint32_t) there};
}

enum xf_http_verdict xf_chunked_read(struct xf_chunked *chunked, const char *bytes, size_t length,
                                     size_t *ret_used, struct xf_span *ret_data)
{
    size_t at = 0;
    if (length > UINT32_MAX) {
        length = UINT32_MAX; /* what a span can say; the caller comes again */
    }
    *ret_data = (struct xf_span){0, 0};
    while (at < length && chunked->state < FINISHED) {
        if (chunked->state == DATA) {
            *ret_data = take_data(chunked, at, length);
            at += ret_data->length;
            break;
        }
        chunked->state = (uint8_t) read_framing(chunked, bytes[at]);
        at++;
    }
    *ret_used = at;
    if (chunked->state == FAILED) {
        return XF_HTTP_BAD;
    }
    return chunked->state == FINISHED ? XF_HTTP_DONE : XF_HTTP_MORE;
}

size_t xf_chunk_head(char out[XF_CHUNK_HEAD_BYTES], uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    XF_ASSERT(size > 0);
    size_t length = (size_t) (64 - __builtin_clzll(size) + 3) / 4;
    for (size_t i = length; i > 0; i--) {
        out[i - 1] = digits[size & 0xf];
        size >>= 4;
    }
    out[length] = '\r';
    out[length + 1] = '\n';
    return length + 2;
}
