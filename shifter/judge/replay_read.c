/*
 * replay_read.c -- reads a recorded run: a trace (CSV) or crossfade's own access log (JSON lines).
 *
 * The file comes from a person: whatever is wrong with it is told with its line.
 */
#include "shifter/judge/replay.h"

#include "shifter/judge/replay_log.h"

#include "config/base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "t_ms,cluster,result,latency_us"

struct reader {
    const char *path;
    FILE *file;
    char *line; /* getline's */
    size_t line_bytes;
    size_t length;
    size_t number;
    struct xf_replay_trace trace;
};

static void release_reader(struct reader *reader)
{
    if (reader->file != NULL) {
        fclose(reader->file);
    }
    free(reader->line);
    xf_replay_trace_release(&reader->trace);
}

void xf_replay_trace_release(struct xf_replay_trace *trace)
{
    free(trace->responses);
    *trace = (struct xf_replay_trace){.count = 0};
}

static int bad_line(const struct reader *reader, struct xf_error *err, const char *problem)
{
    return XF_FAIL(err, XF_E_USAGE, "%s:%zu: %s", reader->path, reader->number, problem);
}

/* The next line without its end; 1: there is one, 0: end of file. */
static int next_line(struct reader *reader, struct xf_error *err)
{
    ssize_t length = getline(&reader->line, &reader->line_bytes, reader->file);
    if (length < 0) {
        if (ferror(reader->file) != 0) {
            return XF_FAIL(err, XF_E_USAGE, "%s: %s", reader->path, strerror(errno));
        }
        return 0;
    }
    reader->number++;
    while (length > 0 && (reader->line[length - 1] == '\n' || reader->line[length - 1] == '\r')) {
        reader->line[--length] = '\0';
    }
    reader->length = (size_t) length;
    if (reader->length > XF_REPLAY_LINE_BYTES) {
        return bad_line(reader, err, "the line is too long");
    }
    if (memchr(reader->line, '\0', reader->length) != NULL) {
        return bad_line(reader, err, "the line has a NUL byte");
    }
    return 1;
}

static int append(struct reader *reader, const struct xf_replay_response *response,
                  struct xf_error *err)
{
    struct xf_replay_trace *trace = &reader->trace;
    if (trace->count == trace->capacity) {
        size_t capacity = trace->capacity == 0 ? 4096 : 2 * trace->capacity;
        struct xf_replay_response *grown = NULL;
        if (capacity <= XF_REPLAY_RESPONSES_MAX) {
            grown = reallocarray(trace->responses, capacity, sizeof(*grown));
        }
        if (grown == NULL) {
            return XF_FAIL(err, XF_E_NO_MEMORY, "%s: too many rows for memory", reader->path);
        }
        trace->responses = grown;
        trace->capacity = capacity;
    }
    trace->responses[trace->count++] = *response;
    return 0;
}

/* ---- the trace ---- */

/* The field that begins at *at, cut off at its comma; *at moves behind it.  NULL: there is none. */
static char *take_field(char **at)
{
    char *field = *at;
    if (field == NULL) {
        return NULL;
    }
    char *comma = strchr(field, ',');
    if (comma != NULL) {
        *comma = '\0';
    }
    *at = comma != NULL ? comma + 1 : NULL;
    return field;
}

/* A decimal number of milliseconds or microseconds, from 0 to 1e15. */
static bool parse_time(const char *text, double *ret)
{
    const char *digits = text;
    double value = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        value = value * 10 + (*digits - '0');
    }
    if (*digits == '.') { /* rare: the library's own reading */
        char *end;
        value = strtod(text, &end);
        digits = end;
    }
    if (digits == text || *digits != '\0' || !(value <= 1e15)) {
        return false;
    }
    *ret = value;
    return true;
}

static int read_row(struct reader *reader, struct xf_error *err)
{
    char *at = reader->line;
    const char *time = take_field(&at);
    const char *cluster = take_field(&at);
    const char *result = take_field(&at);
    const char *latency = take_field(&at);
    if (latency == NULL || at != NULL) {
        return bad_line(reader, err, "a row has 4 fields: " HEADER);
    }
    double t_ms;
    double latency_us;
    if (!parse_time(time, &t_ms)) {
        return bad_line(reader, err, "t_ms must be a number of milliseconds");
    }
    bool green = strcmp(cluster, "green") == 0;
    if (!green && strcmp(cluster, "blue") != 0) {
        return bad_line(reader, err, "cluster must be blue or green");
    }
    bool bad = strcmp(result, "err") == 0;
    if (!bad && strcmp(result, "ok") != 0) {
        return bad_line(reader, err, "result must be ok or err");
    }
    if (!parse_time(latency, &latency_us)) {
        return bad_line(reader, err, "latency_us must be a number of microseconds");
    }
    int64_t done_us = llround(t_ms * 1000);
    struct xf_replay_response response = {.done_us = done_us,
                                          .sent_us = done_us - llround(latency_us),
                                          .rho = -1,
                                          .green = green,
                                          .bad = bad};
    return append(reader, &response, err);
}

static int read_trace(struct reader *reader, struct xf_error *err)
{
    if (strcmp(reader->line, HEADER) != 0) {
        return bad_line(reader, err,
                        "a trace begins with the line " HEADER ", an access log with {");
    }
    int more;
    while ((more = next_line(reader, err)) > 0) {
        if (reader->length > 0 && read_row(reader, err) != 0) {
            return -1;
        }
    }
    return more;
}

/* ---- the access log ---- */

static int read_log(struct reader *reader, const struct xf_replay_clusters *clusters,
                    struct xf_error *err)
{
    if (clusters == NULL || clusters->blue == NULL || clusters->green == NULL) {
        return bad_line(reader, err,
                        "this is an access log: name its clusters with --blue and "
                        "--green");
    }
    int more = 1;
    for (; more > 0; more = next_line(reader, err)) {
        if (reader->length == 0) {
            continue;
        }
        struct xf_replay_response response;
        const char *problem = NULL;
        enum xf_replay_line kind =
            xf_replay_log_line(reader->line, reader->length, clusters, &response, &problem);
        if (kind == XF_LINE_BAD) {
            return bad_line(reader, err, problem);
        }
        if (kind == XF_LINE_COUNTS && append(reader, &response, err) != 0) {
            return -1;
        }
    }
    return more;
}

/* A log's times are made to begin at 0: a schedule counts from its first request. */
static void shift_to_zero(struct xf_replay_trace *trace)
{
    int64_t first_us = INT64_MAX;
    for (size_t i = 0; i < trace->count; i++) {
        if (trace->responses[i].sent_us < first_us) {
            first_us = trace->responses[i].sent_us;
        }
    }
    for (size_t i = 0; i < trace->count; i++) {
        trace->responses[i].sent_us -= first_us;
        trace->responses[i].done_us -= first_us;
    }
}

int xf_replay_read(const char *path, const struct xf_replay_clusters *clusters,
                   struct xf_replay_trace *ret, struct xf_error *err)
{
    XF_CLEANUP(release_reader) struct reader reader = {.path = path, .file = fopen(path, "re")};
    if (reader.file == NULL) {
        return XF_FAIL(err, XF_E_USAGE, "%s: %s", path, strerror(errno));
    }
    int more = next_line(&reader, err);
    if (more <= 0) {
        return more < 0 ? -1 : XF_FAIL(err, XF_E_USAGE, "%s:1: the file is empty", path);
    }
    bool log = reader.line[0] == '{';
    int done = log ? read_log(&reader, clusters, err) : read_trace(&reader, err);
    if (done != 0) {
        return -1;
    }
    if (log) {
        shift_to_zero(&reader.trace);
    }
    reader.trace.log = log;
    *ret = reader.trace;
    reader.trace = (struct xf_replay_trace){.count = 0};
    return 0;
}
