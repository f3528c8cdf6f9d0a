/*
 * log_sink.c -- writing to files, pipes and /dev/log.
 */
#include "proxy/logger/log_sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSLOG_PREFIX "<134>crossfade: " /* local0.info */

static int open_syslog(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *) &address, sizeof(address)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void xf_log_sink_init(struct xf_log_sink *sink, int fd, bool syslog)
{
    memset(sink, 0, sizeof(*sink));
    sink->syslog = syslog;
    sink->fd = syslog ? open_syslog() : fd;
}

void xf_log_sink_release(struct xf_log_sink *sink)
{
    if (sink->fd >= 0) {
        close(sink->fd);
        sink->fd = -1;
    }
}

void xf_log_sink_replace(struct xf_log_sink *sink, int fd)
{
    xf_log_sink_release(sink);
    sink->fd = fd;
    sink->failing = false;
    sink->torn = false;
}

static int note_failure(struct xf_log_sink *sink, uint64_t lines, int why)
{
    bool first = !sink->failing;
    sink->failing = true;
    sink->dropped += lines;
    return first ? why : 0;
}

/* What of a text was not written, from the middle of a line or from its beginning. */
static int lose(struct xf_log_sink *sink, const char *bytes, size_t length, int why)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < length; i++) {
        lines += bytes[i] == '\n';
    }
    sink->skipping = length > 0 && bytes[length - 1] != '\n';
    return note_failure(sink, lines, why);
}

/* The bytes at the beginning that belong to a line which is lost already. */
static size_t skip_lost(struct xf_log_sink *sink, const char *bytes, size_t length)
{
    if (!sink->skipping) {
        return 0;
    }
    const char *end = memchr(bytes, '\n', length);
    if (end == NULL) {
        return length;
    }
    sink->skipping = false;
    sink->dropped++;
    return (size_t) (end - bytes) + 1;
}

/* 0 or errno; `ret_done` is what went out either way. */
static int write_all(int fd, const char *bytes, size_t length, size_t *ret_done)
{
    size_t done = 0;
    int why = 0;
    while (done < length && why == 0) {
        ssize_t written = write(fd, bytes + done, length - done);
        if (written > 0) {
            done += (size_t) written;
        } else if (written == 0 || errno != EINTR) {
            why = written < 0 ? errno : EIO;
        }
    }
    *ret_done = done;
    return why;
}

static int write_stream(struct xf_log_sink *sink, const char *bytes, size_t length)
{
    size_t done = 0, skipped = skip_lost(sink, bytes, length);
    bytes += skipped;
    length -= skipped;
    if (length == 0) {
        return 0;
    }
    int why = 0;
    if (sink->torn) {
        why = write_all(sink->fd, "\n", 1, &done);
        sink->torn = why != 0;
        done = 0;
    }
    if (why == 0) {
        why = write_all(sink->fd, bytes, length, &done);
    }
    if (why != 0) {
        sink->torn |= done > 0 && bytes[done - 1] != '\n';
        return lose(sink, bytes + done, length - done, why);
    }
    sink->failing = false;
    return 0;
}

/* The daemon that reads /dev/log may have been restarted: one try with a new socket. */
static bool send_line(struct xf_log_sink *sink, const char *line, size_t length)
{
    if (sink->fd >= 0 && send(sink->fd, line, length, MSG_NOSIGNAL) >= 0) {
        return true;
    }
    if (sink->fd >= 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)) {
        return false;
    }
    xf_log_sink_release(sink);
    sink->fd = open_syslog();
    return sink->fd >= 0 && send(sink->fd, line, length, MSG_NOSIGNAL) >= 0;
}

static int end_line(struct xf_log_sink *sink)
{
    char line[sizeof(SYSLOG_PREFIX) + sizeof(sink->part)];
    size_t prefix = sizeof(SYSLOG_PREFIX) - 1;
    memcpy(line, SYSLOG_PREFIX, prefix);
    memcpy(line + prefix, sink->part, sink->part_bytes);
    size_t length = prefix + sink->part_bytes;
    sink->part_bytes = 0;
    if (!send_line(sink, line, length)) {
        return note_failure(sink, 1, errno != 0 ? errno : EIO);
    }
    sink->failing = false;
    return 0;
}

static int write_syslog(struct xf_log_sink *sink, const char *bytes, size_t length)
{
    int why = 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            int failed = end_line(sink);
            why = why != 0 ? why : failed;
        } else if (sink->part_bytes < sizeof(sink->part)) { /* beyond: the line is cut */
            sink->part[sink->part_bytes++] = bytes[i];
        }
    }
    return why;
}

int xf_log_sink_write(struct xf_log_sink *sink, const char *bytes, size_t length)
{
    if (sink->syslog) {
        return write_syslog(sink, bytes, length);
    }
    return write_stream(sink, bytes, length); /* without a file: EBADF, as for any failure */
}
