/*
 * lookup.h -- one name turned into addresses without blocking the loop (c-ares).
 *
 * An address in figures asks nobody.  Each other lookup reads resolv.conf and hosts anew and has a
 * deadline of its own, so that neither a changed file nor an answer that never comes outlives it.
 */
#ifndef XF_SHIFTER_LOOKUP_H
#define XF_SHIFTER_LOOKUP_H

#include "config/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define XF_LOOKUP_ADDRESSES_MAX 64u

struct event_base;
struct xf_lookup;

/* Comes once, later, from the loop.  `why` is NULL on success; then count > 0, every port is the
 * one asked for, and `ttl_s` is the smallest of the answer.  The lookup may be destroyed here. */
typedef void xf_lookup_done(void *context, const struct sockaddr_storage *addresses, size_t count,
                            unsigned ttl_s, const char *why);

XF_NODISCARD int xf_lookup_start(struct event_base *loop, const char *host, uint16_t port,
                                 int64_t timeout_ms, xf_lookup_done *done, void *context,
                                 struct xf_lookup **ret, struct xf_error *err);
void xf_lookup_destroy(struct xf_lookup *lookup); /* accepts NULL; without a call of `done` */

static inline socklen_t xf_address_bytes(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? 16 /* sockaddr_in */ : 28 /* sockaddr_in6 */;
}

#endif
