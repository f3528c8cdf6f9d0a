/*
 * admin_limit.h -- failed attempts to log in, by address: who fails too often must wait.
 *
 * A table of fixed size; where it is full the address that failed longest ago is forgotten.  An
 * IPv6 address counts as its /64, which is what one customer has.  Pure: time is handed in.
 */
#ifndef XF_SHIFTER_ADMIN_LIMIT_H
#define XF_SHIFTER_ADMIN_LIMIT_H

#include <stdint.h>

#define XF_ADMIN_LIMIT_ADDRESSES 256u
#define XF_ADMIN_LIMIT_FAILURES  10u   /* allowed, with less than the pause between them */
#define XF_ADMIN_LIMIT_PAUSE_MS  60000 /* without an attempt; then all is forgotten */
#define XF_ADMIN_ADDRESS_BYTES   16u   /* IPv4 as ::ffff:a.b.c.d */

struct xf_admin_limit {
    struct xf_admin_limit_entry {
        unsigned char address[XF_ADMIN_ADDRESS_BYTES];
        unsigned failures; /* 0: free */
        int64_t last_ms;   /* monotonic */
    } entries[XF_ADMIN_LIMIT_ADDRESSES];
};

/* How long `address` must wait before it may try again; 0: it may. */
int64_t xf_admin_limit_wait_ms(const struct xf_admin_limit *limit,
                               const unsigned char address[XF_ADMIN_ADDRESS_BYTES], int64_t now_ms);
void xf_admin_limit_failed(struct xf_admin_limit *limit,
                           const unsigned char address[XF_ADMIN_ADDRESS_BYTES], int64_t now_ms);

#endif
