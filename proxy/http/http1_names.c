/*
 * http1_names.c -- known field names by length, then by their bytes.
 *
 * A token byte or-ed with 0x20 equals a lower-case letter, a digit or `-` only if it is that
 * character in one of its cases, so names are compared eight bytes at a time without a table.
 */
#include "proxy/http/http1_names.h"

#include "proxy/http/tokens.h"

#include <string.h>

#define NAME_LENGTH_MAX  17
#define NAMES_PER_LENGTH 3

struct known_name {
    char name[NAME_LENGTH_MAX + 1];
    uint8_t known;
};

/* Indexed by length; unused places have an empty name. */
static const struct known_name names[NAME_LENGTH_MAX + 1][NAMES_PER_LENGTH] = {
    [2] = {{"te", XF_FIELD_TE}},
    [3] = {{"via", XF_FIELD_VIA}},
    [4] = {{"host", XF_FIELD_HOST}, {"date", XF_FIELD_DATE}},
    [6] = {{"cookie", XF_FIELD_COOKIE}, {"expect", XF_FIELD_EXPECT}},
    [7] = {{"upgrade", XF_FIELD_UPGRADE}, {"trailer", XF_FIELD_TRAILER}},
    [9] = {{"x-real-ip", XF_FIELD_X_REAL_IP}, {"forwarded", XF_FIELD_FORWARDED}},
    [10] = {{"connection", XF_FIELD_CONNECTION},
            {"set-cookie", XF_FIELD_SET_COOKIE},
            {"keep-alive", XF_FIELD_KEEP_ALIVE}},
    [12] = {{"x-request-id", XF_FIELD_X_REQUEST_ID}, {"max-forwards", XF_FIELD_MAX_FORWARDS}},
    [14] = {{"content-length", XF_FIELD_CONTENT_LENGTH},
            {"http2-settings", XF_FIELD_HTTP2_SETTINGS}},
    [15] = {{"x-forwarded-for", XF_FIELD_X_FORWARDED_FOR}},
    [16] = {{"x-forwarded-host", XF_FIELD_X_FORWARDED_HOST},
            {"x-forwarded-port", XF_FIELD_X_FORWARDED_PORT},
            {"proxy-connection", XF_FIELD_PROXY_CONNECTION}},
    [17] = {{"transfer-encoding", XF_FIELD_TRANSFER_ENCODING},
            {"x-forwarded-proto", XF_FIELD_X_FORWARDED_PROTO},
            {"sec-websocket-key", XF_FIELD_SEC_WEBSOCKET_KEY}},
};

#define LETTER(letter) (1u << ((letter) &31))

/* The first letters of the names of each length: most fields are none of ours, and end here. */
static const uint32_t first_letters[NAME_LENGTH_MAX + 1] = {
    [2] = LETTER('t'),
    [3] = LETTER('v'),
    [4] = LETTER('h') | LETTER('d'),
    [6] = LETTER('c') | LETTER('e'),
    [7] = LETTER('u') | LETTER('t'),
    [9] = LETTER('x') | LETTER('f'),
    [10] = LETTER('c') | LETTER('s') | LETTER('k'),
    [12] = LETTER('x') | LETTER('m'),
    [14] = LETTER('c') | LETTER('h'),
    [15] = LETTER('x'),
    [16] = LETTER('x') | LETTER('p'),
    [17] = LETTER('t') | LETTER('x') | LETTER('s'),
};

/* `length` > 0 and equal for both; `name` is lower case. */
static bool name_is(const char *bytes, const char *name, size_t length)
{
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t a;
        uint64_t b;
        memcpy(&a, bytes + i, 8);
        memcpy(&b, name + i, 8);
        if ((a | 0x2020202020202020u) != b) {
            return false;
        }
    }
    for (; i < length; i++) {
        if ((bytes[i] | 0x20) != name[i]) {
            return false;
        }
    }
    return true;
}

enum xf_field_name xf_field_lookup(const char *name, size_t length)
{
    if (length > NAME_LENGTH_MAX || length == 0 || (first_letters[length] & LETTER(name[0])) == 0) {
        return XF_FIELD_OTHER;
    }
    char first = (char) (name[0] | 0x20);
    for (size_t i = 0; i < NAMES_PER_LENGTH; i++) {
        const struct known_name *known = &names[length][i];
        if (known->name[0] == first && name_is(name, known->name, length)) {
            return (enum xf_field_name) known->known;
        }
    }
    return XF_FIELD_OTHER;
}

bool xf_field_protected(const char *name, size_t length, enum xf_field_name known)
{
    switch (known) {
    case XF_FIELD_HOST:
    case XF_FIELD_CONTENT_LENGTH:
    case XF_FIELD_TRANSFER_ENCODING:
    case XF_FIELD_COOKIE:
    case XF_FIELD_SET_COOKIE:
    case XF_FIELD_DATE:
    case XF_FIELD_VIA:
    case XF_FIELD_FORWARDED:
    case XF_FIELD_X_REAL_IP:
    case XF_FIELD_X_REQUEST_ID:
        return true;
    case XF_FIELD_X_FORWARDED_FOR:
    case XF_FIELD_X_FORWARDED_HOST:
    case XF_FIELD_X_FORWARDED_PORT:
    case XF_FIELD_X_FORWARDED_PROTO:
        return true;
    case XF_FIELD_OTHER:
        return xf_bytes_are(name, length, "authorization") ||
               (length > 12 && xf_bytes_are(name, 12, "x-forwarded-"));
    default:
        return false;
    }
}
