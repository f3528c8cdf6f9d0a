/*
 * log.h -- one event per line on standard error.
 *
 *     2026-11-22T10:00:00.123Z info shifter[812] event=cutover.step cutover=kong-3.1/7 to=25%
 *
 * Key names are an interface.  Only programs (supervisor, worker, agent, controller, cli) log;
 * libraries return errors.  Under systemd's journal the time is left out and the line begins
 * with the priority as <N>.  Values with spaces or foreign bytes are quoted with xf_log_quote.
 */
#ifndef XF_BASE_LOG_H
#define XF_BASE_LOG_H

#include "config/base/check.h"

#include <stdint.h>

enum xf_log_level {
    XF_LOG_ERROR = 3, /* syslog's numbers, so that they can be printed as <N> */
    XF_LOG_WARNING = 4,
    XF_LOG_NOTICE = 5,
    XF_LOG_INFO = 6,
    XF_LOG_DEBUG = 7,
};

/* Names this process in its lines; `name` must be a literal.  `most` is the highest level shown. */
void xf_log_init(const char *name, enum xf_log_level most);

/* Writes one line in one write(2).  `event` is `area.what`; `format` makes `key=value …`. */
void xf_log(enum xf_log_level level, const char *event, const char *format, ...) XF_PRINTF(3, 4);

/* At most `per_second` lines a second pass; the count of those left out goes on the next line. */
struct xf_log_limit {
    int64_t second;
    unsigned passed;
    unsigned dropped;
};
void xf_log_limited(struct xf_log_limit *limit, unsigned per_second, enum xf_log_level level,
                    const char *event, const char *format, ...) XF_PRINTF(5, 6);

#define XF_LOG_QUOTE_BYTES 256
/* Returns `out`, holding `text` in quotes with `"`, `\` and control bytes escaped, cut to fit. */
const char *xf_log_quote(const char *text, char out[XF_LOG_QUOTE_BYTES]);

#endif
