/*
 * pick.h -- which cluster, which server: the choices of DESIGN.md section 9, as pure functions.
 *
 * No clock, no board, no connection: a word, a key and a generator in, a choice out.
 */
#ifndef XF_PROXY_PICK_H
#define XF_PROXY_PICK_H

#include "proxy/board/route.h"

#define XF_PICK_BLOCK 1000u /* requests in which the split is exact but for the carry */

/* xoshiro256**, one per worker; seeded from the kernel after the fork. */
struct xf_random {
    uint64_t state[4];
};
void xf_random_seed(struct xf_random *random);
uint64_t xf_random_next(struct xf_random *random);
/* Uniform in [0, below); below > 0.  The bias is below 2^-32 and of no consequence here. */
static inline uint32_t xf_random_below(struct xf_random *random, uint32_t below)
{
    return (uint32_t) (((xf_random_next(random) >> 32) * below) >> 32);
}

/*
 * The split of requests without a sticky key.  In each block of 1000, (carry + 1000 x weight) div
 * 10000 go to green and the remainder is carried on.  Drawing green with the share of greens that
 * are left is the same as a shuffled list, without the list.
 */
struct xf_pick_block {
    uint64_t word;
    uint32_t carry;
    uint16_t left;  /* requests of this block still to come */
    uint16_t green; /* greens among them */
};
void xf_pick_init(struct xf_pick_block *block, struct xf_random *random);
/* A changed word begins a new block. */
enum xf_role xf_pick_next(struct xf_pick_block *block, uint64_t word, struct xf_random *random);

/* The hash of a sticky key, and its slot in [0, XF_WEIGHT_FULL). */
uint64_t xf_pick_hash(const void *key, size_t length, uint64_t seed);
static inline unsigned xf_pick_slot(uint64_t hash)
{
    return (unsigned) (((hash >> 32) * XF_WEIGHT_FULL) >> 32);
}
static inline enum xf_role xf_pick_role(unsigned slot, unsigned weight)
{
    XF_ASSERT(slot < XF_WEIGHT_FULL);
    return slot < weight ? XF_GREEN : XF_BLUE;
}

/* What a choice among servers looks at. */
struct xf_pick_server {
    bool usable;        /* up, not drained, not ejected, not tried yet, has an address */
    bool backup;        /* only where no other is usable */
    uint32_t weight;    /* 0 is never */
    uint32_t in_flight; /* this worker's */
};
typedef struct xf_pick_server xf_pick_look(void *context, unsigned index);

struct xf_pick_servers {
    xf_pick_look *look;
    void *context;
    unsigned count;
    uint32_t weight_max; /* no server's weight is above it */
};

/* Two drawn by weight, the one with fewer requests per weight wins; -1 where none is usable. */
int xf_pick_server(const struct xf_pick_servers *servers, struct xf_random *random);

#endif
