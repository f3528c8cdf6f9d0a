/*
 * http1_authority.h -- uri-host [ ":" port ] (RFC 9110 4.2, RFC 3986 3.2).
 */
#ifndef XF_PROXY_HTTP1_AUTHORITY_H
#define XF_PROXY_HTTP1_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether the bytes are a host, by name or address, and perhaps a port up to 65535.  The host may
 * not be empty: an http URI without one is invalid (RFC 9110 4.2.1).  User information is refused.
 */
bool xf_authority_valid(const char *bytes, size_t length);

#endif
