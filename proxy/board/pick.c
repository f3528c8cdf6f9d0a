/*
 * pick.c -- cluster and server choice; see pick.h.
 */
#include "proxy/board/pick.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define PROBES 16u /* random looks before every server is looked at */

void xf_random_seed(struct xf_random *random)
{
    if (getrandom(random->state, sizeof(random->state), 0) != (ssize_t) sizeof(random->state)) {
        /* A kernel without entropy: choices must differ between workers, they are no secret. */
        struct timespec now = {0};
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        for (unsigned i = 0; i < XF_COUNT(random->state); i++) {
            random->state[i] =
                (uint64_t) now.tv_nsec * 0x9e3779b97f4a7c15ull + i + (uint64_t) getpid();
        }
    }
    random->state[0] |= 1; /* all zero is the one state that never leaves itself */
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t xf_random_next(struct xf_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void xf_pick_init(struct xf_pick_block *block, struct xf_random *random)
{
    *block = (struct xf_pick_block){.carry = xf_random_below(random, XF_WEIGHT_FULL)};
}

enum xf_role xf_pick_next(struct xf_pick_block *block, uint64_t word, struct xf_random *random)
{
    unsigned weight = xf_route_weight(word);
    if (block->left == 0 || block->word != word) {
        uint32_t sum = block->carry + XF_PICK_BLOCK * weight;
        block->word = word;
        block->left = XF_PICK_BLOCK;
        block->green = (uint16_t) (sum / XF_WEIGHT_FULL);
        block->carry = sum % XF_WEIGHT_FULL;
        if (weight == XF_WEIGHT_FULL) { /* the carry may ask for one more than there are */
            block->green = XF_PICK_BLOCK;
        }
    }
    bool green = xf_random_below(random, block->left) < block->green;
    block->left--;
    block->green -= green;
    return green ? XF_GREEN : XF_BLUE;
}

uint64_t xf_pick_hash(const void *key, size_t length, uint64_t seed)
{
    return XXH3_64bits_withSeed(key, length, seed);
}

/* Strictly less loaded; a tie stays with the one that was drawn first, by weight. */
static bool better(const struct xf_pick_server *a, const struct xf_pick_server *b)
{
    return (uint64_t) a->in_flight * b->weight < (uint64_t) b->in_flight * a->weight;
}

/* The slow way: one pass over every server, one of them drawn by weight, `not_this` left out. */
static int draw_among_all(const struct xf_pick_servers *servers, int not_this, bool backup,
                          struct xf_random *random, struct xf_pick_server *ret)
{
    int drawn = -1;
    uint32_t sum = 0;
    for (unsigned i = 0; i < servers->count; i++) {
        struct xf_pick_server server = servers->look(servers->context, i);
        if (!server.usable || server.weight == 0 || server.backup != backup ||
            (int) i == not_this) {
            continue;
        }
        sum += server.weight;
        if (xf_random_below(random, sum) < server.weight) {
            drawn = (int) i;
            *ret = server;
        }
    }
    return drawn;
}

static int pick_among_all(const struct xf_pick_servers *servers, bool backup,
                          struct xf_random *random)
{
    struct xf_pick_server one, other;
    int first = draw_among_all(servers, -1, backup, random, &one);
    if (first < 0) {
        return -1;
    }
    int second = draw_among_all(servers, first, backup, random, &other);
    return second >= 0 && better(&other, &one) ? second : first;
}

int xf_pick_server(const struct xf_pick_servers *servers, struct xf_random *random)
{
    XF_ASSERT(servers->weight_max > 0);
    if (servers->count == 1) { /* nothing is drawn */
        struct xf_pick_server only = servers->look(servers->context, 0);
        return only.usable && only.weight > 0 ? 0 : -1;
    }
    int first = -1;
    struct xf_pick_server held = {0};
    for (unsigned probe = 0; probe < PROBES; probe++) {
        unsigned index = xf_random_below(random, servers->count);
        struct xf_pick_server server = servers->look(servers->context, index);
        if (!server.usable || server.backup ||
            xf_random_below(random, servers->weight_max) >= server.weight) {
            continue;
        }
        if (first < 0) {
            first = (int) index;
            held = server;
        } else if ((int) index != first) {
            return better(&server, &held) ? (int) index : first;
        }
    }
    if (first >= 0) {
        struct xf_pick_server other;
        int second = draw_among_all(servers, first, false, random, &other);
        return second >= 0 && better(&other, &held) ? second : first;
    }
    int found = pick_among_all(servers, false, random);
    return found >= 0 ? found : pick_among_all(servers, true, random);
}
