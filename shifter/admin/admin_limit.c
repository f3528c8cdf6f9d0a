/*
 * admin_limit.c -- see admin_limit.h.
 */
#include "shifter/admin/admin_limit.h"

#include "config/base/check.h"

#include <string.h>

#define PREFIX_BYTES 8u

static unsigned compared_bytes(const unsigned char address[XF_ADMIN_ADDRESS_BYTES])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, mapped, sizeof(mapped)) == 0 ? XF_ADMIN_ADDRESS_BYTES : PREFIX_BYTES;
}

static const struct xf_admin_limit_entry *find(const struct xf_admin_limit *limit,
                                               const unsigned char address[XF_ADMIN_ADDRESS_BYTES])
{
    unsigned bytes = compared_bytes(address);
    for (unsigned i = 0; i < XF_ADMIN_LIMIT_ADDRESSES; i++) {
        const struct xf_admin_limit_entry *entry = &limit->entries[i];
        if (entry->failures > 0 && memcmp(entry->address, address, bytes) == 0 &&
            compared_bytes(entry->address) == bytes) {
            return entry;
        }
    }
    return NULL;
}

int64_t xf_admin_limit_wait_ms(const struct xf_admin_limit *limit,
                               const unsigned char address[XF_ADMIN_ADDRESS_BYTES], int64_t now_ms)
{
    const struct xf_admin_limit_entry *entry = find(limit, address);
    if (entry == NULL || entry->failures < XF_ADMIN_LIMIT_FAILURES) {
        return 0;
    }
    int64_t left = entry->last_ms + XF_ADMIN_LIMIT_PAUSE_MS - now_ms;
    return left > 0 ? left : 0;
}

/* A free place, else that of who failed longest ago. */
static struct xf_admin_limit_entry *place_for(struct xf_admin_limit *limit)
{
    struct xf_admin_limit_entry *oldest = &limit->entries[0];
    for (unsigned i = 0; i < XF_ADMIN_LIMIT_ADDRESSES; i++) {
        struct xf_admin_limit_entry *entry = &limit->entries[i];
        if (entry->failures == 0) {
            return entry;
        }
        oldest = entry->last_ms < oldest->last_ms ? entry : oldest;
    }
    return oldest;
}

void xf_admin_limit_failed(struct xf_admin_limit *limit,
                           const unsigned char address[XF_ADMIN_ADDRESS_BYTES], int64_t now_ms)
{
    const struct xf_admin_limit_entry *known = find(limit, address);
    struct xf_admin_limit_entry *entry =
        known != NULL ? &limit->entries[known - limit->entries] : place_for(limit);
    if (known == NULL || now_ms - entry->last_ms >= XF_ADMIN_LIMIT_PAUSE_MS) {
        memcpy(entry->address, address, XF_ADMIN_ADDRESS_BYTES);
        entry->failures = 0;
    }
    entry->failures++;
    entry->last_ms = now_ms;
}
