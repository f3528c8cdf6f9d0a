/*
 * preset.h -- the plans that `crossfade init` prints, and the configuration they need.
 *
 * Pure: text in memory.  Every plan stands as it is: the plan reader accepts it.  What the reader
 * still refuses stands as a comment that says so.
 */
#ifndef XF_SHIFTER_PRESET_H
#define XF_SHIFTER_PRESET_H

#include "config/base/check.h"
#include "config/base/text.h"
#include "shifter/gates/kong_version.h"

#include <stdbool.h>

#define XF_PRESET_BYTES_MAX  16384u
#define XF_PRESET_NAME_BYTES 32u

struct xf_preset_kong {
    enum xf_kong_topology topology;
    bool shared; /* traditional: both clusters on one database */
    struct xf_kong_version from, to;
};

/* The names of the two clusters, `kong-30` and `kong-31`; false where the versions are one. */
XF_NODISCARD bool xf_preset_kong_names(const struct xf_preset_kong *kong,
                                       char ret_old[XF_PRESET_NAME_BYTES],
                                       char ret_new[XF_PRESET_NAME_BYTES]);

/* Each appends to a text that has room for XF_PRESET_BYTES_MAX. */
void xf_preset_canary(struct xf_text *plan);
/* The names must differ (above). */
void xf_preset_kong_plan(const struct xf_preset_kong *kong, struct xf_text *plan);
void xf_preset_kong_config(const struct xf_preset_kong *kong, struct xf_text *config);

#endif
