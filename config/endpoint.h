/*
 * endpoint.h -- host and port as people write them.
 *
 * Nothing here asks a name server: a name stays a name until the agent looks it up.
 */
#ifndef XF_CONFIG_ENDPOINT_H
#define XF_CONFIG_ENDPOINT_H

#include "config/arena.h"
#include "config/config.h"

#include <stdbool.h>

#define XF_HOST_BYTES 254 /* a DNS name of 253 characters and its NUL */

/* `10.0.0.1:80`, `[::1]:80`, `web.example:80`.  False where it is none of these. */
bool xf_endpoint_split(const char *text, char ret_host[XF_HOST_BYTES], uint16_t *ret_port);
/* The same as an endpoint whose strings live in `arena`; false also without memory. */
bool xf_endpoint_parse(const char *text, struct xf_arena *arena, struct xf_endpoint *ret);
/* Whether both mean one address; names are compared without regard to case. */
bool xf_endpoint_equal(const struct xf_endpoint *a, const struct xf_endpoint *b);

#endif
