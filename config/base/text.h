/*
 * text.h -- strings that grow to a ceiling, and the units people write.
 */
#ifndef XF_BASE_TEXT_H
#define XF_BASE_TEXT_H

#include "config/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing string with a ceiling given at birth.  Past the ceiling, or without memory, `failed`
 * is set and further appends do nothing: check once, at the end.  `data` is always terminated. */
struct xf_text {
    char *data;
    size_t length;
    size_t capacity;
    size_t bytes_max;
    bool failed;
};

void xf_text_init(struct xf_text *text, size_t bytes_max); /* allocates nothing; data is "" */
void xf_text_release(struct xf_text *text);                /* accepts what was never filled */
void xf_text_clear(struct xf_text *text);                  /* empty again, memory kept */
void xf_text_append(struct xf_text *text, const void *bytes, size_t count);
void xf_text_puts(struct xf_text *text, const char *string);
void xf_text_printf(struct xf_text *text, const char *format, ...) XF_PRINTF(2, 3);
/* Appends `string` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void xf_text_json(struct xf_text *text, const char *string, size_t length);
/* Takes the string out; the caller frees it.  NULL when it had failed. */
char *xf_text_take(struct xf_text *text);

/* Units.  Each accepts exactly one whole value and no white space; false leaves *ret alone. */
bool xf_parse_duration_ms(const char *text, int64_t *ret); /* 250ms 10s 5m 1h30m 2d; 0 or 0s */
bool xf_parse_size(const char *text, uint64_t *ret);       /* 512 4KiB 64MiB 1GiB, also kB MB GB */
bool xf_parse_weight(const char *text, unsigned *ret);     /* 12.5% -> 1250; the % is required */
bool xf_parse_number(const char *text, double *ret);       /* finite decimal, no sign */
bool xf_parse_uint(const char *text, uint64_t max, uint64_t *ret); /* digits only */

#define XF_DURATION_TEXT_BYTES 32
/* The shortest form that reads back as the same value: 90000 -> 1m30s. */
const char *xf_format_duration(int64_t ms, char out[XF_DURATION_TEXT_BYTES]);
#define XF_WEIGHT_TEXT_BYTES 16
/* 1250 -> 12.5%. */
const char *xf_format_weight(unsigned weight, char out[XF_WEIGHT_TEXT_BYTES]);

#define XF_TIME_TEXT_BYTES 40
/* RFC 3339 in UTC with milliseconds: 2026-11-22T10:00:00.123Z. */
const char *xf_format_time(int64_t wall_ms, char out[XF_TIME_TEXT_BYTES]);
/* RFC 3339 with `Z` or a numeric offset. */
bool xf_parse_time(const char *text, int64_t *ret_wall_ms);

#define XF_UUID_TEXT_BYTES 37
/* A random version 4 UUID from getrandom(2), lower case. */
void xf_uuid_make(char out[XF_UUID_TEXT_BYTES]);
bool xf_uuid_valid(const char *text);

/* DESIGN.md section 1: [a-z0-9][a-z0-9-]{0,62} for services and clusters; plans may have dots. */
bool xf_name_valid(const char *text);
bool xf_plan_name_valid(const char *text);

/* The candidate nearest to `word` by edit distance, if near enough to suggest; else NULL. */
const char *xf_text_nearest(const char *word, const char *const *candidates, size_t count);

#endif
