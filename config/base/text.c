/*
 * text.c -- strings that grow to a ceiling, and the units people write.
 */
#include "config/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define TEXT_BYTES_FIRST   256u
#define NEAREST_WORD_BYTES 64u

void xf_text_init(struct xf_text *text, size_t bytes_max)
{
    static char empty[1] = "";
    *text = (struct xf_text){.data = empty, .bytes_max = bytes_max};
}

void xf_text_release(struct xf_text *text)
{
    if (text->capacity > 0) {
        free(text->data);
    }
    xf_text_init(text, text->bytes_max);
}

void xf_text_clear(struct xf_text *text)
{
    text->length = 0;
    text->failed = false;
    if (text->capacity > 0) {
        text->data[0] = '\0';
    }
}

static bool text_reserve(struct xf_text *text, size_t more)
{
    if (text->failed || more > text->bytes_max - text->length) {
        text->failed = true;
        return false;
    }
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity) {
        return true;
    }
    size_t capacity = text->capacity == 0 ? TEXT_BYTES_FIRST : text->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = realloc(text->capacity == 0 ? NULL : text->data, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void xf_text_append(struct xf_text *text, const void *bytes, size_t count)
{
    if (count == 0 || !text_reserve(text, count)) {
        return;
    }
    memcpy(text->data + text->length, bytes, count);
    text->length += count;
    text->data[text->length] = '\0';
}

void xf_text_puts(struct xf_text *text, const char *string)
{
    xf_text_append(text, string, strlen(string));
}

void xf_text_printf(struct xf_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !text_reserve(text, (size_t) length)) {
        text->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text->data + text->length, (size_t) length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t) length;
}

/* The length of the UTF-8 sequence at `p` (RFC 3629), 0 where there is none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || beyond ? 0 : length;
}

void xf_text_json(struct xf_text *text, const char *string, size_t length)
{
    xf_text_append(text, "\"", 1);
    for (size_t i = 0; i < length;) {
        const unsigned char *p = (const unsigned char *) string + i;
        size_t step = utf8_length(p, length - i);
        if (step == 0) {
            xf_text_puts(text, "\\ufffd");
            step = 1;
        } else if (*p == '"' || *p == '\\') {
            char escaped[2] = {'\\', (char) *p};
            xf_text_append(text, escaped, 2);
        } else if (*p < 0x20 || *p == 0x7f) {
            xf_text_printf(text, "\\u%04x", *p);
        } else {
            xf_text_append(text, p, step);
        }
        i += step;
    }
    xf_text_append(text, "\"", 1);
}

char *xf_text_take(struct xf_text *text)
{
    char *data = NULL;
    if (!text->failed) {
        data = text->capacity > 0 ? text->data : calloc(1, 1);
        xf_text_init(text, text->bytes_max);
    } else {
        xf_text_release(text);
    }
    return data;
}

/* Reads digits with an optional fraction as a whole number of `unit / scale`.  Returns NULL on
 * overflow or where there is no digit. */
static const char *read_decimal(const char *p, double *ret)
{
    double value = 0;
    if (!isdigit((unsigned char) *p)) {
        return NULL;
    }
    while (isdigit((unsigned char) *p)) {
        value = value * 10 + (*p++ - '0');
    }
    if (*p == '.') {
        double place = 0.1;
        p++;
        if (!isdigit((unsigned char) *p)) {
            return NULL;
        }
        while (isdigit((unsigned char) *p)) {
            value += (*p++ - '0') * place;
            place /= 10;
        }
    }
    *ret = value;
    return value < 9e15 ? p : NULL;
}

bool xf_parse_duration_ms(const char *text, int64_t *ret)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"ms", 1}, {"m", 60000}, {"s", 1000}};
    double total = 0;
    double smallest = 1e18; /* units must get smaller: 1h30m, never 30m1h */
    if (strcmp(text, "0") == 0) {
        *ret = 0;
        return true;
    }
    const char *p = text;
    do {
        double value;
        p = read_decimal(p, &value);
        if (p == NULL) {
            return false;
        }
        size_t i = 0;
        while (i < XF_COUNT(units) && strncmp(p, units[i].name, strlen(units[i].name)) != 0) {
            i++;
        }
        if (i == XF_COUNT(units) || units[i].ms >= smallest) {
            return false;
        }
        smallest = units[i].ms;
        total += value * units[i].ms;
        p += strlen(units[i].name);
    } while (*p != '\0');
    if (total > 86400000.0 * 36500) { /* a hundred years */
        return false;
    }
    *ret = (int64_t) llround(total);
    return true;
}

bool xf_parse_size(const char *text, uint64_t *ret)
{
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"kB", 1e3},
                 {"MB", 1e6},
                 {"GB", 1e9},
                 {"KiB", 1024},
                 {"MiB", 1048576},
                 {"GiB", 1073741824},
                 {"TiB", 1099511627776.0}};
    double value;
    const char *p = read_decimal(text, &value);
    if (p == NULL) {
        return false;
    }
    for (size_t i = 0; i < XF_COUNT(units); i++) {
        if (strcmp(p, units[i].name) == 0 && value * units[i].bytes < 9e15) {
            *ret = (uint64_t) (value * units[i].bytes);
            return true;
        }
    }
    return false;
}

bool xf_parse_weight(const char *text, unsigned *ret)
{
    double value;
    const char *p = read_decimal(text, &value);
    if (p == NULL || strcmp(p, "%") != 0 || value > 100) {
        return false;
    }
    double hundredths = value * 100;
    if (fabs(hundredths - round(hundredths)) > 1e-6) { /* 0.001% would silently be another weight */
        return false;
    }
    *ret = (unsigned) llround(hundredths);
    return true;
}

bool xf_parse_number(const char *text, double *ret)
{
    double value;
    const char *p = read_decimal(text, &value);
    if (p == NULL || *p != '\0') {
        return false;
    }
    *ret = value;
    return true;
}

bool xf_parse_uint(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (!isdigit((unsigned char) *p)) {
            return false;
        }
        uint64_t digit = (uint64_t) (*p - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > max) {
        return false;
    }
    *ret = value;
    return true;
}

const char *xf_format_duration(int64_t ms, char out[XF_DURATION_TEXT_BYTES])
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t used = 0;
    if (ms <= 0) {
        return memcpy(out, "0s", 3);
    }
    for (size_t i = 0; i < XF_COUNT(units) && used < XF_DURATION_TEXT_BYTES; i++) {
        if (ms >= units[i].ms) {
            int length = snprintf(out + used, XF_DURATION_TEXT_BYTES - used, "%lld%s",
                                  (long long) (ms / units[i].ms), units[i].name);
            used += length > 0 ? (size_t) length : 0;
            ms %= units[i].ms;
        }
    }
    return out;
}

const char *xf_format_weight(unsigned weight, char out[XF_WEIGHT_TEXT_BYTES])
{
    unsigned rest = weight % 100;
    if (rest == 0) {
        snprintf(out, XF_WEIGHT_TEXT_BYTES, "%u%%", weight / 100);
    } else if (rest % 10 == 0) {
        snprintf(out, XF_WEIGHT_TEXT_BYTES, "%u.%u%%", weight / 100, rest / 10);
    } else {
        snprintf(out, XF_WEIGHT_TEXT_BYTES, "%u.%02u%%", weight / 100, rest);
    }
    return out;
}

const char *xf_format_time(int64_t wall_ms, char out[XF_TIME_TEXT_BYTES])
{
    time_t seconds = (time_t) (wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t used = strftime(out, XF_TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + used, XF_TIME_TEXT_BYTES - used, ".%03dZ", (int) (wall_ms % 1000));
    return out;
}

bool xf_parse_time(const char *text, int64_t *ret_wall_ms)
{
    struct tm when = {0};
    int used = 0;
    int fields = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &when.tm_year, &when.tm_mon,
                        &when.tm_mday, &when.tm_hour, &when.tm_min, &when.tm_sec, &used);
    if (fields != 6 || used != 19 || when.tm_mon < 1 || when.tm_mon > 12 || when.tm_mday < 1 ||
        when.tm_mday > 31 || when.tm_hour > 23 || when.tm_min > 59 || when.tm_sec > 60) {
        return false;
    }
    const char *p = text + used;
    double fraction = 0;
    if (*p == '.') {
        char *end;
        fraction = strtod(p, &end);
        if (end == p + 1) {
            return false;
        }
        p = end;
    }
    int64_t offset_s = 0;
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else if ((*p == '+' || *p == '-') && strlen(p) == 6 && p[3] == ':' &&
               isdigit((unsigned char) p[1]) && isdigit((unsigned char) p[2]) &&
               isdigit((unsigned char) p[4]) && isdigit((unsigned char) p[5])) {
        int hours = (p[1] - '0') * 10 + (p[2] - '0');
        int minutes = (p[4] - '0') * 10 + (p[5] - '0');
        offset_s = (*p == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
        p += 6;
    } else {
        return false;
    }
    if (*p != '\0') {
        return false;
    }
    when.tm_year -= 1900;
    when.tm_mon -= 1;
    int day = when.tm_mday;
    time_t seconds = timegm(&when);
    if (seconds == (time_t) -1 || when.tm_mday != day) { /* 31 February moves to March */
        return false;
    }
    *ret_wall_ms = ((int64_t) seconds - offset_s) * 1000 + (int64_t) (fraction * 1000);
    return true;
}

void xf_uuid_make(char out[XF_UUID_TEXT_BYTES])
{
    unsigned char raw[16];
    ssize_t got = getrandom(raw, sizeof(raw), 0);
    XF_ASSERT(got == (ssize_t) sizeof(raw)); /* 16 bytes never come short (getrandom(2)) */
    raw[6] = (unsigned char) ((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char) ((raw[8] & 0x3f) | 0x80);
    size_t used = 0;
    for (size_t i = 0; i < sizeof(raw); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out[used++] = '-';
        }
        static const char digits[] = "0123456789abcdef";
        out[used++] = digits[raw[i] >> 4];
        out[used++] = digits[raw[i] & 15];
    }
    out[used] = '\0';
}

bool xf_uuid_valid(const char *text)
{
    for (size_t i = 0; i < XF_UUID_TEXT_BYTES - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool fits = dash ? text[i] == '-'
                         : isdigit((unsigned char) text[i]) || (text[i] >= 'a' && text[i] <= 'f');
        if (!fits) {
            return false;
        }
    }
    return text[XF_UUID_TEXT_BYTES - 1] == '\0';
}

static bool name_valid(const char *text, bool dots)
{
    size_t length = strlen(text);
    if (length < 1 || length > 63 || text[0] == '-' || text[0] == '.') {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        bool fits = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
                    (dots && *p == '.');
        if (!fits) {
            return false;
        }
    }
    return true;
}

bool xf_name_valid(const char *text)
{
    return name_valid(text, false);
}

bool xf_plan_name_valid(const char *text)
{
    return name_valid(text, true);
}

/* Levenshtein distance; both words are at most NEAREST_WORD_BYTES long. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t length = strlen(b);
    size_t row[NEAREST_WORD_BYTES + 1];
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t insert = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = insert < change ? insert : change;
        }
    }
    return row[length];
}

const char *xf_text_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t length = strlen(word);
    size_t limit = length < 4 ? 1 : length / 3 + 1;
    if (length > NEAREST_WORD_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(candidates[i]) > NEAREST_WORD_BYTES) {
            continue;
        }
        size_t distance = edit_distance(word, candidates[i]);
        if (distance <= limit) {
            limit = distance > 0 ? distance - 1 : 0;
            best = candidates[i];
            if (distance == 0) {
                break;
            }
        }
    }
    return best;
}
