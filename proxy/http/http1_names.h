/*
 * http1_names.h -- which of the known fields a name is.
 */
#ifndef XF_PROXY_HTTP1_NAMES_H
#define XF_PROXY_HTTP1_NAMES_H

#include "proxy/http/http1.h"

/* `name` holds `length` token bytes. */
enum xf_field_name xf_field_lookup(const char *name, size_t length);

/*
 * Whether Connection may not take this field away: it carries framing, routing or authentication,
 * or says who the client is, and is meant for all recipients (RFC 9110 7.6.1).
 */
bool xf_field_protected(const char *name, size_t length, enum xf_field_name known);

#endif
