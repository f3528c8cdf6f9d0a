/*
 * resp_slot.h -- which server of a Redis Cluster has a key, and what a redirect says; pure.
 *
 * A cluster parts its keys into 16,384 slots by what stands between the first braces, so all keys
 * of one service are in one slot, and those of the namespace (`{NAMESPACE:fleet}`) in another.
 */
#ifndef XF_SHIFTER_RESP_SLOT_H
#define XF_SHIFTER_RESP_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#define XF_RESP_NO_SLOT         (-1)
#define XF_RESP_SLOTS           16384
#define XF_RESP_NODE_HOST_BYTES 256u

struct xf_resp_redirect {
    bool ask; /* for one command only, behind ASKING; else MOVED: for all that come */
    int slot;
    char host[XF_RESP_NODE_HOST_BYTES]; /* empty: the host of who answered */
    uint16_t port;
};

/* The slot of a key. */
int xf_resp_slot(const char *key);
/* The slot of a command's first key of ours (`cf:{…}`); XF_RESP_NO_SLOT: it has none. */
int xf_resp_slot_of(size_t count, const char *const *arguments);
/* False: the answer is no redirect, or none that can be followed. */
bool xf_resp_redirect_read(const redisReply *reply, struct xf_resp_redirect *ret);
/* The answer says that nobody in the cluster answers for the key now: neither that it is there nor
 * that it is not. */
bool xf_resp_unavailable(const redisReply *reply);

#endif
