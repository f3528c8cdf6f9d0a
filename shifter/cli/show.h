/*
 * show.h -- the status object in words and columns, for `status` and `watch`.
 *
 * Works on the JSON alone, so that both show a remote daemon as well as a local one.
 */
#ifndef XF_SHIFTER_SHOW_H
#define XF_SHIFTER_SHOW_H

#include "config/base/text.h"

#include <jansson.h>
#include <stdbool.h>

struct xf_show_options {
    bool colour;
    unsigned columns; /* width of the progress bar's line */
    bool servers;     /* also list servers and proxies */
};

/* Appends the page to `out`, lines ended by LF. */
void xf_show_status(const json_t *status, const struct xf_show_options *options,
                    struct xf_text *out);

/* One line that changes only when something an operator cares about changes: for logs. */
void xf_show_line(const json_t *status, struct xf_text *out);

/* Whether output to `fd` may use colour: a terminal, and NO_COLOR unset. */
bool xf_show_may_colour(int fd);

#endif
