/*
 * replay_log.c -- one line of crossfade's own access log (JSON), as the judge is told of it.
 *
 * A million lines are to take less than two seconds, and a JSON library takes six.  So a line is
 * read by a scanner that knows flat objects without escapes where it looks, which are the lines
 * that crossfade writes; everything else, and so everything that may be wrong, is left to jansson.
 */
#include "shifter/judge/replay_log.h"

#include "config/base/check.h"
#include "config/base/text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_BYTES_MAX   40u /* a longer one is no time */
#define NUMBER_BYTES_MAX 32u /* likewise */
#define TOTAL_MS_MAX     1e12

struct piece { /* not terminated; NULL: null, missing, or no string */
    const char *bytes;
    size_t length;
};

struct number {
    bool given; /* neither missing nor null */
    bool valid; /* a number */
    double value;
};

struct entry {
    struct piece time;
    struct piece cluster;
    struct piece why;
    struct piece ended;
    struct number status;
    struct number weight;
    struct number total_ms;
};

/* ---- the scanner ---- */

static bool piece_is(const struct piece *piece, const char *word)
{
    return piece->bytes != NULL && strlen(word) == piece->length &&
           memcmp(piece->bytes, word, piece->length) == 0;
}

/* The string that begins behind the quote at *at, which moves behind its end; `ret_plain`: it has
 * no escape. */
static bool scan_string(const char **at, struct piece *ret, bool *ret_plain)
{
    const char *begin = *at + 1;
    const char *end = begin;
    *ret_plain = true;
    for (; *end != '"'; end++) {
        if ((unsigned char) *end < 0x20) {
            return false;
        }
        if (*end == '\\') {
            *ret_plain = false;
            if (*++end == '\0') {
                return false;
            }
        }
    }
    *ret = (struct piece){begin, (size_t) (end - begin)};
    *at = end + 1;
    return true;
}

/* Digits, and maybe a point and digits: what the log is written with. */
static bool scan_number(const char **at, double *ret)
{
    const char *p = *at;
    double value = 0;
    double unit = 1;
    const char *begin = p;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (*p - '0');
    }
    if (p == begin || (*begin == '0' && p > begin + 1)) {
        return false;
    }
    if (*p == '.') {
        const char *digits = ++p;
        for (; *p >= '0' && *p <= '9'; p++) {
            value = value * 10 + (*p - '0');
            unit *= 10;
        }
        if (p == digits) {
            return false;
        }
    }
    if ((size_t) (p - begin) > NUMBER_BYTES_MAX) {
        return false;
    }
    *ret = value / unit;
    *at = p;
    return true;
}

enum { FIELD_STRINGS = 4, FIELDS = 7 };

/* The place of a key in an entry, or FIELDS. */
static unsigned field_of(const struct piece *key)
{
    static const char *const names[FIELDS] = {"time",   "cluster", "why",     "ended",
                                              "status", "weight",  "total_ms"};
    unsigned field = 0;
    while (field < FIELDS && !piece_is(key, names[field])) {
        field++;
    }
    return field;
}

static struct piece *string_field(struct entry *entry, unsigned field)
{
    struct piece *const fields[] = {&entry->time, &entry->cluster, &entry->why, &entry->ended};
    return fields[field];
}

static struct number *number_field(struct entry *entry, unsigned field)
{
    struct number *const fields[] = {&entry->status, &entry->weight, &entry->total_ms};
    return fields[field - FIELD_STRINGS];
}

static bool scan_word(const char **at, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0) {
        return false;
    }
    *at += length;
    return true;
}

/* The value of a key; false: not one that this scanner can vouch for. */
static bool scan_value(const char **at, struct entry *entry, unsigned field)
{
    struct piece string;
    double number;
    bool plain;
    if (**at == '"') {
        if (!scan_string(at, &string, &plain)) {
            return false;
        }
        if (field < FIELD_STRINGS) {
            *string_field(entry, field) = string;
        }
        return field == FIELDS || (field < FIELD_STRINGS && plain);
    }
    if (scan_number(at, &number)) {
        if (field >= FIELD_STRINGS && field < FIELDS) {
            *number_field(entry, field) = (struct number){true, true, number};
        }
        return field >= FIELD_STRINGS;
    }
    return scan_word(at, "null") ||
           (field == FIELDS && (scan_word(at, "true") || scan_word(at, "false")));
}

/* One flat object; false: let jansson read it. */
static bool scan_entry(const char *line, struct entry *ret)
{
    unsigned seen = 0;
    const char *at = line;
    *ret = (struct entry){.status = {.given = false}};
    if (*at++ != '{') {
        return false;
    }
    for (;;) {
        struct piece key;
        bool plain;
        if (*at != '"' || !scan_string(&at, &key, &plain) || !plain || *at++ != ':') {
            return false;
        }
        unsigned field = field_of(&key);
        if (field < FIELDS && (seen >> field & 1) != 0) {
            return false;
        }
        seen |= 1u << field;
        if (!scan_value(&at, ret, field)) {
            return false;
        }
        if (*at != ',') {
            return at[0] == '}' && at[1] == '\0';
        }
        at++;
    }
}

/* ---- the same by jansson ---- */

static struct piece string_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return (struct piece){json_string_value(value), json_string_length(value)};
}

static struct number number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return (struct number){.given = value != NULL && !json_is_null(value),
                           .valid = json_is_number(value),
                           .value = json_number_value(value)};
}

static struct entry entry_of(const json_t *object)
{
    return (struct entry){.time = string_of(object, "time"),
                          .cluster = string_of(object, "cluster"),
                          .why = string_of(object, "why"),
                          .ended = string_of(object, "ended"),
                          .status = number_of(object, "status"),
                          .weight = number_of(object, "weight"),
                          .total_ms = number_of(object, "total_ms")};
}

/* ---- what it means ---- */

/* What the judge is told of a request: what it counts, and by which cluster. */
static bool entry_counts(const struct entry *entry, const struct xf_replay_clusters *clusters,
                         struct xf_replay_response *ret)
{
    if (entry->cluster.bytes == NULL || piece_is(&entry->why, "override") ||
        piece_is(&entry->why, "only-one-up")) {
        return false; /* answered by the proxy itself, or not chosen by the weight */
    }
    ret->green = piece_is(&entry->cluster, clusters->green);
    if (!ret->green && !piece_is(&entry->cluster, clusters->blue)) {
        return false;
    }
    bool broken = piece_is(&entry->ended, "server");
    bool client = piece_is(&entry->ended, "client");
    double status = entry->status.valid ? entry->status.value : 0;
    ret->bad = !client && (broken || status == 0 || status >= 500);
    ret->bad_4xx = !client && !ret->bad && status >= 400;
    if (piece_is(&entry->why, "rescue")) { /* green's failure, blue's answer */
        ret->green = true;
        ret->bad = true;
        ret->bad_4xx = false;
    }
    return true;
}

static bool time_of(const struct piece *time, int64_t *ret_ms)
{
    char text[TIME_BYTES_MAX];
    if (time->bytes == NULL || time->length >= sizeof(text)) {
        return false;
    }
    memcpy(text, time->bytes, time->length);
    text[time->length] = '\0';
    return xf_parse_time(text, ret_ms);
}

static enum xf_replay_line take_entry(const struct entry *entry,
                                      const struct xf_replay_clusters *clusters,
                                      struct xf_replay_response *ret, const char **ret_problem)
{
    struct xf_replay_response response = {.rho = 0}; /* no weight: outside the cutover */
    int64_t wall_ms;
    double total_ms = entry->total_ms.value;
    double percent = entry->weight.given ? entry->weight.value : 0;
    if (!entry_counts(entry, clusters, &response)) {
        return XF_LINE_SKIPPED;
    }
    if (!time_of(&entry->time, &wall_ms)) {
        *ret_problem = "\"time\" must be a time of RFC 3339";
        return XF_LINE_BAD;
    }
    if (!entry->total_ms.valid || !(total_ms >= 0 && total_ms <= TOTAL_MS_MAX)) {
        *ret_problem = "\"total_ms\" must be a number of milliseconds";
        return XF_LINE_BAD;
    }
    if (entry->weight.given && !(entry->weight.valid && percent >= 0 && percent <= 100)) {
        *ret_problem = "\"weight\" must be a number from 0 to 100";
        return XF_LINE_BAD;
    }
    response.rho = percent / 100;
    response.done_us = wall_ms * 1000;
    response.sent_us = response.done_us - llround(total_ms * 1000);
    *ret = response;
    return XF_LINE_COUNTS;
}

enum xf_replay_line xf_replay_log_line(const char *line, size_t length,
                                       const struct xf_replay_clusters *clusters,
                                       struct xf_replay_response *ret, const char **ret_problem)
{
    struct entry entry;
    if (scan_entry(line, &entry)) {
        return take_entry(&entry, clusters, ret, ret_problem);
    }
    enum xf_replay_line kind = XF_LINE_BAD;
    *ret_problem = "this is no JSON object";
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object)) {
        entry = entry_of(object);
        kind = take_entry(&entry, clusters, ret, ret_problem);
    }
    json_decref(object);
    return kind;
}
