/*
 * values.c -- single values as people write them, and whether they fit their key.
 */
#include "config/values.h"

#include "config/base/text.h"
#include "config/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define CHOICES_MAX  8
#define CHOICE_BYTES 32
#define SHOWN_BYTES  80 /* of a foreign value in a message */

bool xf_value_bool(const char *text, bool *ret)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0) {
        return false;
    }
    *ret = yes;
    return true;
}

bool xf_value_network(const char *text, struct xf_config_network *ret)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash == NULL ? strlen(text) : (size_t) (slash - text);
    if (length >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    struct xf_config_network network = {.family = strchr(host, ':') == NULL ? AF_INET : AF_INET6};
    unsigned bits = network.family == AF_INET ? 32 : 128;
    uint64_t prefix = bits;
    if (inet_pton(network.family, host, network.bytes) != 1 ||
        (slash != NULL && !xf_parse_uint(slash + 1, bits, &prefix))) {
        return false;
    }
    network.prefix = (unsigned) prefix;
    for (unsigned i = network.prefix; i < bits; i++) {
        if ((network.bytes[i / 8] & (0x80u >> i % 8)) != 0) {
            return false;
        }
    }
    *ret = network;
    return true;
}

bool xf_value_statuses(const char *text, unsigned *ret_low, unsigned *ret_high)
{
    unsigned bounds[2];
    for (unsigned i = 0; i < 2; i++) {
        if (text[0] < '1' || text[0] > '5' || text[1] < '0' || text[1] > '9' || text[2] < '0' ||
            text[2] > '9') {
            return false;
        }
        bounds[i] = (unsigned) ((text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0'));
        if (i == 0 && text[3] == '-') {
            text += 4;
        }
    }
    if (text[3] != '\0' || bounds[0] > bounds[1]) {
        return false;
    }
    *ret_low = bounds[0];
    *ret_high = bounds[1];
    return true;
}

bool xf_value_rate(const char *text, double *ret_per_second)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}};
    char number[32];
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t) (slash - text) >= sizeof(number)) {
        return false;
    }
    memcpy(number, text, (size_t) (slash - text));
    number[slash - text] = '\0';
    double value;
    if (!xf_parse_number(number, &value) || value <= 0) {
        return false;
    }
    for (size_t i = 0; i < XF_COUNT(units); i++) {
        if (strcmp(slash + 1, units[i].name) == 0) {
            *ret_per_second = value / units[i].seconds;
            return true;
        }
    }
    return false;
}

bool xf_value_token(const char *text)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (const char *p = text; *p != '\0'; p++) {
        bool fits = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                    (*p >= '0' && *p <= '9') || strchr(marks, *p) != NULL;
        if (!fits) {
            return false;
        }
    }
    return text[0] != '\0' && strlen(text) <= 255;
}

/* Copies the next word of `range` (parted by |) and returns what follows it; NULL at the end. */
static const char *next_word(const char *range, char word[CHOICE_BYTES])
{
    if (range == NULL || *range == '\0') {
        return NULL;
    }
    size_t length = strcspn(range, "|");
    XF_ASSERT(length < CHOICE_BYTES); /* ranges are ours: keys.def */
    memcpy(word, range, length);
    word[length] = '\0';
    return range[length] == '|' ? range + length + 1 : range + length;
}

int xf_value_choice(const char *range, const char *text)
{
    char word[CHOICE_BYTES];
    int place = 0;
    while ((range = next_word(range, word)) != NULL) {
        if (strcmp(word, text) == 0) {
            return place;
        }
        place++;
    }
    return -1;
}

/* The value as a number, for comparing with the ends of a range. */
static bool measure(enum xf_key_type type, const char *text, double *ret)
{
    uint64_t number = 0;
    int64_t ms = 0;
    unsigned weight = 0;
    bool read;
    switch (type) {
    case XF_KEY_DURATION:
        read = xf_parse_duration_ms(text, &ms);
        *ret = (double) ms;
        return read;
    case XF_KEY_SIZE:
        read = xf_parse_size(text, &number);
        *ret = (double) number;
        return read;
    case XF_KEY_PERCENT:
        read = xf_parse_weight(text, &weight);
        *ret = (double) weight;
        return read;
    default:
        read = xf_parse_uint(text, UINT64_MAX, &number);
        *ret = (double) number;
        return read;
    }
}

static bool in_range(const struct xf_key *key, double value)
{
    char word[CHOICE_BYTES];
    const char *range = key->range;
    while ((range = next_word(range, word)) != NULL) {
        char *dots = strstr(word, "..");
        if (dots == NULL) {
            continue;
        }
        *dots = '\0';
        double low, high;
        bool read = measure(key->type, word, &low) && measure(key->type, dots + 2, &high);
        XF_ASSERT(read);
        return value >= low && value <= high;
    }
    return true;
}

static bool measured_fits(const struct xf_key *key, const char *text, bool quoted,
                          char why[XF_VALUE_WHY_BYTES])
{
    double value;
    if (xf_value_choice(key->range, text) >= 0 && strstr(text, "..") == NULL) {
        return true;
    }
    if ((quoted && key->type == XF_KEY_NUMBER) || !measure(key->type, text, &value)) {
        snprintf(why, XF_VALUE_WHY_BYTES, "\"%.*s\" is not %s", SHOWN_BYTES, text,
                 xf_key_type_text(key->type));
        return false;
    }
    if (!in_range(key, value)) {
        snprintf(why, XF_VALUE_WHY_BYTES, "%.*s is out of range (%s)", SHOWN_BYTES, text,
                 key->range);
        return false;
    }
    return true;
}

static bool choice_fits(const struct xf_key *key, const char *text, char why[XF_VALUE_WHY_BYTES])
{
    if (xf_value_choice(key->range, text) >= 0) {
        return true;
    }
    char words[CHOICES_MAX][CHOICE_BYTES];
    const char *names[CHOICES_MAX];
    size_t count = 0;
    const char *range = key->range;
    while (count < CHOICES_MAX && (range = next_word(range, words[count])) != NULL) {
        names[count] = words[count];
        count++;
    }
    const char *near = xf_text_nearest(text, names, count);
    snprintf(why, XF_VALUE_WHY_BYTES, "\"%.*s\" is none of %s%s%s%s", SHOWN_BYTES, text, key->range,
             near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
             near == NULL ? "" : "\"?)");
    return false;
}

static bool bind_valid(const char *text)
{
    char host[XF_HOST_BYTES];
    uint16_t port;
    unsigned char scratch[16];
    return xf_endpoint_split(text, host, &port) &&
           (text[0] == '[' || inet_pton(AF_INET, host, scratch) == 1);
}

static bool server_valid(const char *text)
{
    char host[XF_HOST_BYTES];
    uint16_t port;
    return xf_endpoint_split(text, host, &port);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool printable(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char) *p < 0x20 || *p == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A path of a request, as it will stand in a request line. */
static bool url_path_valid(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p == 0x7f || *p == '#') {
            return false;
        }
    }
    return text[0] == '/' && strlen(text) <= 1024;
}

static bool text_fits(enum xf_key_type type, const char *text, bool quoted)
{
    struct xf_config_network network;
    unsigned low, high;
    double rate;
    bool yes;
    switch (type) {
    case XF_KEY_BOOL:
        return !quoted && xf_value_bool(text, &yes);
    case XF_KEY_NAME:
        return xf_name_valid(text);
    case XF_KEY_TOKEN:
        return xf_value_token(text);
    case XF_KEY_RATE:
        return xf_value_rate(text, &rate);
    case XF_KEY_URL_PATH:
        return url_path_valid(text);
    case XF_KEY_BIND:
        return bind_valid(text);
    case XF_KEY_SERVER:
        return server_valid(text);
    case XF_KEY_NETWORK:
        return xf_value_network(text, &network);
    case XF_KEY_STATUSES:
        return xf_value_statuses(text, &low, &high);
    case XF_KEY_DATABASE:
        return printable(text) && (begins(text, "postgresql://") || begins(text, "postgres://") ||
                                   strchr(text, '=') != NULL);
    case XF_KEY_WEB_URL:
        return printable(text) && strchr(text, ' ') == NULL &&
               ((begins(text, "http://") && text[7] != '\0') ||
                (begins(text, "https://") && text[8] != '\0'));
    default:
        return printable(text);
    }
}

bool xf_value_fits(const struct xf_key *key, const char *text, bool quoted,
                   char why[XF_VALUE_WHY_BYTES])
{
    bool absent = !quoted && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
    if (text[0] == '\0' || absent) {
        snprintf(why, XF_VALUE_WHY_BYTES, "is empty: expected %s, or leave it out",
                 xf_key_type_text(key->type));
        return false;
    }
    switch (key->type) {
    case XF_KEY_NUMBER:
    case XF_KEY_DURATION:
    case XF_KEY_SIZE:
    case XF_KEY_PERCENT:
        return measured_fits(key, text, quoted, why);
    case XF_KEY_CHOICE:
        return choice_fits(key, text, why);
    default:
        if (!text_fits(key->type, text, quoted)) {
            snprintf(why, XF_VALUE_WHY_BYTES, "\"%.*s\" is not %s", SHOWN_BYTES, text,
                     xf_key_type_text(key->type));
            return false;
        }
        return true;
    }
}
