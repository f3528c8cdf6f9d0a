/*
 * log_sink.h -- where access log lines end: a file, a named pipe, or the system's log.
 *
 * Belongs to the logger.  It may wait for a disk, never for a reader: what a full pipe or a full
 * disk does not take is dropped and counted, and told once until it works again.  What comes after
 * a loss begins on a line of its own.
 */
#ifndef XF_PROXY_LOG_SINK_H
#define XF_PROXY_LOG_SINK_H

#include "config/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xf_log_sink {
    int fd;           /* -1: not open, everything is dropped */
    bool syslog;      /* a datagram a line */
    bool failing;     /* the last write failed, and that was told */
    uint64_t dropped; /* lines that were not written whole */
    bool skipping;    /* a stream: the rest of the line at hand is dropped */
    bool torn;        /* a stream: what was written ends in the middle of a line */
    char part[2048];  /* syslog: the beginning of a line whose end is still to come */
    size_t part_bytes;
};

/* Takes `fd` (an open file or pipe), or opens the system's log where `syslog` is true. */
void xf_log_sink_init(struct xf_log_sink *sink, int fd, bool syslog);
void xf_log_sink_release(struct xf_log_sink *sink);
/* Puts a newly opened file in the place of the present one. */
void xf_log_sink_replace(struct xf_log_sink *sink, int fd);
/* Writes all of `bytes` or drops the rest.  Returns errno of the first failure, only when it is to
 * be told (the first since it last worked); else 0. */
XF_NODISCARD int xf_log_sink_write(struct xf_log_sink *sink, const char *bytes, size_t length);

#endif
