/*
 * tokens.h -- the byte classes of RFC 9110 5.6 and the few comparisons built on them.
 *
 * Everything here is a table look-up or a short loop over bytes that are already in the cache;
 * nothing depends on the locale.
 */
#ifndef XF_PROXY_TOKENS_H
#define XF_PROXY_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XF_BYTE_TOKEN  0x01u /* tchar (RFC 9110 5.6.2) */
#define XF_BYTE_TARGET 0x02u /* may stand in a request target: visible ASCII but `#` */
#define XF_BYTE_TEXT   0x04u /* may stand in a field value: HTAB, SP, VCHAR, obs-text */
#define XF_BYTE_HOST   0x08u /* unreserved or sub-delims of RFC 3986: a reg-name less `%` */
#define XF_BYTE_HEX    0x10u /* HEXDIG, either case */
#define XF_BYTE_COOKIE 0x20u /* may stand in a cookie's value: visible ASCII but `;` and `,` */

extern const uint8_t xf_byte_class[256];

static inline bool xf_byte_is(char byte, uint8_t class)
{
    return (xf_byte_class[(uint8_t) byte] & class) != 0;
}

static inline bool xf_byte_is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

static inline bool xf_byte_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline char xf_byte_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char) (byte | 0x20) : byte;
}

/* Whether the `length` bytes are `word` without regard to case; `word` is lower case. */
bool xf_bytes_are(const char *bytes, size_t length, const char *word);

/* Whether two texts are the same without regard to case. */
bool xf_bytes_same(const char *a, size_t a_length, const char *b, size_t b_length);

/* Whether all of the `length` > 0 bytes belong to `class`. */
bool xf_bytes_all(const char *bytes, size_t length, uint8_t class);

/* Reads a decimal number that fills the bytes; false if one is no digit or it exceeds `max`. */
bool xf_bytes_decimal(const char *bytes, size_t length, uint64_t max, uint64_t *ret);

/*
 * Steps through a comma-separated list (RFC 9110 5.6.1).  *at begins at 0.  Returns false at the
 * end, else sets the next member, white space around it removed; an empty member has length 0.
 * A list of one empty member is the empty value.  Commas inside a quoted string do not part.
 */
bool xf_list_next(const char *value, size_t length, size_t *at, const char **ret_member,
                  size_t *ret_length);

#endif
