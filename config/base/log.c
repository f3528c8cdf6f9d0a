/*
 * log.c -- formatting and writing log lines.
 *
 * The process name and level are the only globals of the base layer: a log line must be
 * possible from anywhere, and a process has exactly one name.
 */
#include "config/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define NOTE_BYTES 40

static const char *process_name = "crossfade";
static enum xf_log_level level_most = XF_LOG_INFO;
static bool to_journal;

void xf_log_init(const char *name, enum xf_log_level most)
{
    process_name = name;
    level_most = most;
    to_journal = getenv("JOURNAL_STREAM") != NULL;
}

static const char *level_name(enum xf_log_level level)
{
    switch (level) {
    case XF_LOG_ERROR:
        return "error";
    case XF_LOG_WARNING:
        return "warning";
    case XF_LOG_NOTICE:
        return "notice";
    case XF_LOG_INFO:
        return "info";
    case XF_LOG_DEBUG:
        return "debug";
    }
    return "unknown";
}

static size_t write_prefix(char *line, size_t bytes, enum xf_log_level level, const char *event)
{
    int length;
    if (to_journal) {
        length = snprintf(line, bytes, "<%d>%s[%d] event=%s ", (int) level, process_name,
                          (int) getpid(), event);
    } else {
        struct timespec now;
        struct tm utc;
        char stamp[32];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
        length =
            snprintf(line, bytes, "%s.%03ldZ %s %s[%d] event=%s ", stamp, now.tv_nsec / 1000000,
                     level_name(level), process_name, (int) getpid(), event);
    }
    return length < 0 ? 0 : ((size_t) length < bytes ? (size_t) length : bytes - 1);
}

static void write_line(enum xf_log_level level, const char *event, unsigned dropped,
                       const char *format, va_list arguments) XF_PRINTF(4, 0);

static void write_line(enum xf_log_level level, const char *event, unsigned dropped,
                       const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    char note[NOTE_BYTES] = "";
    if (dropped > 0) {
        snprintf(note, sizeof(note), " lines_left_out=%u", dropped);
    }
    size_t room = sizeof(line) - 1 - strlen(note); /* the line feed and the note always fit */
    size_t used = write_prefix(line, room, level, event);
    int length = vsnprintf(line + used, room - used, format, arguments);
    if (length > 0) {
        used += (size_t) length < room - used ? (size_t) length : room - used - 1;
    }
    memcpy(line + used, note, strlen(note));
    used += strlen(note);
    for (size_t i = 0; i < used; i++) { /* one event, one line, no terminal control */
        unsigned char byte = (unsigned char) line[i];
        if (byte < 0x20 || byte == 0x7f) {
            line[i] = '?';
        }
    }
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void) written; /* there is nobody left to tell */
}

void xf_log(enum xf_log_level level, const char *event, const char *format, ...)
{
    if (level > level_most) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    write_line(level, event, 0, format, arguments);
    va_end(arguments);
}

void xf_log_limited(struct xf_log_limit *limit, unsigned per_second, enum xf_log_level level,
                    const char *event, const char *format, ...)
{
    if (level > level_most) {
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec != limit->second) {
        limit->second = now.tv_sec;
        limit->passed = 0;
    }
    if (limit->passed >= per_second) {
        limit->dropped++;
        return;
    }
    limit->passed++;
    unsigned dropped = limit->dropped;
    limit->dropped = 0;
    va_list arguments;
    va_start(arguments, format);
    write_line(level, event, dropped, format, arguments);
    va_end(arguments);
}

const char *xf_log_quote(const char *text, char out[XF_LOG_QUOTE_BYTES])
{
    size_t used = 0;
    out[used++] = '"';
    for (const char *p = text; *p != '\0' && used < XF_LOG_QUOTE_BYTES - 6; p++) {
        unsigned char byte = (unsigned char) *p;
        if (byte == '"' || byte == '\\') {
            out[used++] = '\\';
            out[used++] = (char) byte;
        } else if (byte < 0x20 || byte >= 0x7f) {
            used += (size_t) snprintf(out + used, 5, "\\x%02x", byte);
        } else {
            out[used++] = (char) byte;
        }
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}
