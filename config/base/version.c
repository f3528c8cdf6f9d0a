/*
 * version.c -- a version in words.
 */
#include "config/base/version.h"

#include <inttypes.h>
#include <stdio.h>

const char *xf_version_format(const struct xf_version *version, char out[XF_VERSION_TEXT_BYTES])
{
    snprintf(out, XF_VERSION_TEXT_BYTES, "%" PRIu64 ".%" PRIu64 ".%" PRIu64, version->epoch,
             version->generation, version->revision);
    return out;
}
