/*
 * proxy_header.c -- see proxy_header.h.
 */
#include "proxy/http/proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

#define SIGNATURE       "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_BYTES 12u
#define FIXED_BYTES     16u /* signature, version and command, family, length */
#define WORD_MAX        46u

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum {
    FAMILY_NONE = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_UDP4 = 0x12,
    FAMILY_TCP6 = 0x21,
    FAMILY_UDP6 = 0x22,
    FAMILY_UNIX_STREAM = 0x31,
    FAMILY_UNIX_DATAGRAM = 0x32
};

static uint16_t read_16(const char *bytes)
{
    return (uint16_t) ((unsigned char) bytes[0] << 8 | (unsigned char) bytes[1]);
}

/* An address in network order; an IPv4 one mapped into IPv6 is IPv4. */
static void read_address(const char *bytes, unsigned length, struct xf_address *ret)
{
    static const char mapped[12] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";
    *ret = (struct xf_address){0};
    if (length == 16 && memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        bytes += sizeof(mapped);
        length = 4;
    }
    ret->length = (uint8_t) length;
    memcpy(ret->bytes, bytes, length);
}

/* ---- version 2 ---- */

/* What stands behind the addresses: type, length, value, to the last byte. */
static bool extensions_fit(const char *bytes, size_t length)
{
    while (length >= 3) {
        size_t value = read_16(bytes + 1);
        if (value > length - 3) {
            return false;
        }
        bytes += 3 + value;
        length -= 3 + value;
    }
    return length == 0;
}

static enum xf_proxy_verdict read_named(const char *bytes, size_t length, unsigned family,
                                        struct xf_proxy_header *ret)
{
    unsigned width = family == FAMILY_TCP6 || family == FAMILY_UDP6 ? 16 : 4;
    size_t needed = 2 * width + 4;
    if (length < needed || !extensions_fit(bytes + needed, length - needed)) {
        return XF_PROXY_BAD;
    }
    if (family == FAMILY_TCP4 || family == FAMILY_TCP6) {
        ret->named = true;
        read_address(bytes, width, &ret->client);
        read_address(bytes + width, width, &ret->server);
        ret->client_port = read_16(bytes + 2 * width);
        ret->server_port = read_16(bytes + 2 * width + 2);
    }
    return XF_PROXY_DONE;
}

static enum xf_proxy_verdict read_binary(const char *bytes, size_t length,
                                         struct xf_proxy_header *ret)
{
    if (length > SIGNATURE_BYTES && bytes[12] != COMMAND_LOCAL && bytes[12] != COMMAND_PROXY) {
        return XF_PROXY_BAD;
    }
    if (length < FIXED_BYTES) {
        return XF_PROXY_MORE;
    }
    size_t rest = read_16(bytes + 14);
    if (FIXED_BYTES + rest > XF_PROXY_HEADER_MAX) {
        return XF_PROXY_BAD;
    }
    if (length < FIXED_BYTES + rest) {
        return XF_PROXY_MORE;
    }
    struct xf_proxy_header header = {.bytes = FIXED_BYTES + rest};
    unsigned family = (unsigned char) bytes[13];
    enum xf_proxy_verdict verdict = XF_PROXY_DONE;
    if (bytes[12] == COMMAND_PROXY) {
        switch (family) {
        case FAMILY_NONE:
        case FAMILY_UNIX_STREAM:
        case FAMILY_UNIX_DATAGRAM:
            break;
        case FAMILY_TCP4:
        case FAMILY_TCP6:
        case FAMILY_UDP4:
        case FAMILY_UDP6:
            verdict = read_named(bytes + FIXED_BYTES, rest, family, &header);
            break;
        default:
            verdict = XF_PROXY_BAD;
            break;
        }
    }
    if (verdict == XF_PROXY_DONE) {
        *ret = header;
    }
    return verdict;
}

/* ---- version 1 ---- */

/* The next word of the line, ended by one space or by the line's end. */
static bool next_word(const char **at, const char *end, char out[WORD_MAX])
{
    size_t length = 0;
    while (*at < end && **at != ' ') {
        if (length + 1 >= WORD_MAX) {
            return false;
        }
        out[length++] = *(*at)++;
    }
    out[length] = '\0';
    *at += *at < end ? 1 : 0;
    return length > 0;
}

static bool read_port(const char *text, uint16_t *ret)
{
    unsigned value = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 5 || (text[0] == '0' && length > 1)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned) (text[i] - '0');
    }
    *ret = (uint16_t) value;
    return value <= UINT16_MAX;
}

static bool read_line(const char *at, const char *end, struct xf_proxy_header *ret)
{
    char family[WORD_MAX], words[4][WORD_MAX];
    char address[16];
    if (!next_word(&at, end, family)) {
        return false;
    }
    if (strcmp(family, "UNKNOWN") == 0) {
        return true;
    }
    bool six = strcmp(family, "TCP6") == 0;
    if ((!six && strcmp(family, "TCP4") != 0) || end[-1] == ' ') {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (!next_word(&at, end, words[i])) {
            return false;
        }
    }
    ret->named = true;
    for (unsigned i = 0; i < 2; i++) {
        if (inet_pton(six ? AF_INET6 : AF_INET, words[i], address) != 1) {
            return false;
        }
        read_address(address, six ? 16 : 4, i == 0 ? &ret->client : &ret->server);
    }
    return at == end && read_port(words[2], &ret->client_port) &&
           read_port(words[3], &ret->server_port);
}

static enum xf_proxy_verdict read_text(const char *bytes, size_t length,
                                       struct xf_proxy_header *ret)
{
    size_t end = 6;
    while (end < length && end < XF_PROXY_HEADER_V1_MAX && bytes[end] >= ' ' && bytes[end] < 0x7f) {
        end++;
    }
    if (end == length && end < XF_PROXY_HEADER_V1_MAX - 1) {
        return XF_PROXY_MORE;
    }
    if (end > XF_PROXY_HEADER_V1_MAX - 2 || bytes[end] != '\r' ||
        (end + 1 < length && bytes[end + 1] != '\n')) {
        return XF_PROXY_BAD;
    }
    if (end + 1 == length) {
        return XF_PROXY_MORE;
    }
    struct xf_proxy_header header = {.bytes = end + 2};
    if (!read_line(bytes + 6, bytes + end, &header)) {
        return XF_PROXY_BAD;
    }
    *ret = header;
    return XF_PROXY_DONE;
}

enum xf_proxy_verdict xf_proxy_header_read(const char *bytes, size_t length,
                                           struct xf_proxy_header *ret)
{
    static const struct {
        const char *begin;
        size_t bytes;
        enum xf_proxy_verdict (*read)(const char *, size_t, struct xf_proxy_header *);
    } versions[] = {{"PROXY ", 6, read_text}, {SIGNATURE, SIGNATURE_BYTES, read_binary}};
    for (unsigned i = 0; i < XF_COUNT(versions); i++) {
        size_t known = length < versions[i].bytes ? length : versions[i].bytes;
        if (memcmp(bytes, versions[i].begin, known) == 0) {
            return known < versions[i].bytes ? XF_PROXY_MORE : versions[i].read(bytes, length, ret);
        }
    }
    return XF_PROXY_BAD;
}

/* ---- writing ---- */

static void put_16(char *out, uint16_t value)
{
    out[0] = (char) (value >> 8);
    out[1] = (char) (value & 0xff);
}

size_t xf_proxy_header_write(const struct xf_proxy_header *header,
                             char out[XF_PROXY_HEADER_WRITTEN])
{
    unsigned width = header->client.length;
    bool named = header->named && (width == 4 || width == 16) && header->server.length == width;
    memcpy(out, SIGNATURE, SIGNATURE_BYTES);
    out[12] = named ? COMMAND_PROXY : COMMAND_LOCAL;
    out[13] = (char) (!named ? FAMILY_NONE : width == 4 ? FAMILY_TCP4 : FAMILY_TCP6);
    put_16(out + 14, (uint16_t) (named ? 2 * width + 4 : 0));
    if (!named) {
        return FIXED_BYTES;
    }
    memcpy(out + FIXED_BYTES, header->client.bytes, width);
    memcpy(out + FIXED_BYTES + width, header->server.bytes, width);
    put_16(out + FIXED_BYTES + 2 * width, header->client_port);
    put_16(out + FIXED_BYTES + 2 * width + 2, header->server_port);
    return FIXED_BYTES + 2 * width + 4;
}
