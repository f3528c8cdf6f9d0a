/*
 * time_limits.c -- timeouts and limits, which the file and each service may set.
 */
#include "config/time_limits.h"

#include "config/keys.h"
#include "config/reader.h"

#include <stdio.h>

#define PATTERN_BYTES 96

/* The row of `word` below `pattern`; false where only the host has it. */
static bool row(const char *pattern, const char *word, char out[PATTERN_BYTES])
{
    snprintf(out, PATTERN_BYTES, "%.60s.%.30s", pattern, word);
    return xf_key_find(out) != NULL;
}

void xf_read_timeouts(const struct xf_yaml_node *section, const char *pattern,
                      struct xf_config_timeouts *ret)
{
    const struct {
        const char *word;
        int64_t *ms;
    } rows[] = {
        {"header", &ret->header},
        {"body", &ret->body},
        {"send", &ret->send},
        {"idle", &ret->idle},
        {"connect", &ret->connect},
        {"first_byte", &ret->first_byte},
        {"upstream_body", &ret->upstream_body},
        {"upstream_idle", &ret->upstream_idle},
        {"total", &ret->total},
        {"queue", &ret->queue},
        {"tunnel_idle", &ret->tunnel_idle},
        {"shutdown", &ret->shutdown},
        {"lameduck", &ret->lameduck},
    };
    char path[PATTERN_BYTES];
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        if (row(pattern, rows[i].word, path)) {
            xf_reader_duration(section, path, rows[i].ms);
        }
    }
}

void xf_read_limits(const struct xf_yaml_node *section, const char *pattern,
                    struct xf_config_limits *ret)
{
    const struct {
        const char *word;
        uint64_t *value;
    } rows[] = {
        {"head", &ret->head},       {"fields", &ret->fields},
        {"body", &ret->body},       {"connections", &ret->connections},
        {"buffers", &ret->buffers}, {"body_rate", &ret->body_rate},
    };
    char path[PATTERN_BYTES];
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        if (row(pattern, rows[i].word, path)) {
            xf_reader_size(section, path, rows[i].value); /* a plain number is a size as well */
        }
    }
}
