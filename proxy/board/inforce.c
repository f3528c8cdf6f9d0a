/*
 * inforce.c -- waiting until every worker has left the turn in which it may hold an older word.
 *
 * Both fences are needed: without the agent's, its loads of the counters may come before its store
 * of the word; without the worker's, its load of the word may come before its store of the odd
 * counter.  Either way a worker could act on an old word after it was called in force elsewhere.
 */
#include "proxy/board/inforce.h"

#include <stdlib.h>
#include <string.h>

void xf_inforce_init(struct xf_inforce *inforce)
{
    memset(inforce, 0, sizeof(*inforce));
}

void xf_inforce_release(struct xf_inforce *inforce)
{
    free(inforce->slots);
    xf_inforce_init(inforce);
}

static bool reserve(struct xf_inforce *inforce, unsigned count)
{
    if (count <= inforce->capacity) {
        return true;
    }
    struct xf_inforce_slot *slots = realloc(inforce->slots, count * sizeof(slots[0]));
    if (slots == NULL) {
        return false;
    }
    inforce->slots = slots;
    inforce->capacity = count;
    return true;
}

bool xf_inforce_begin(struct xf_inforce *inforce, struct xf_board *const *boards, unsigned count)
{
    unsigned workers = 0;
    for (unsigned i = 0; i < count; i++) {
        workers += boards[i]->workers;
    }
    if (!reserve(inforce, workers)) {
        return false;
    }
    inforce->count = 0;
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned w = 0; w < boards[i]->workers; w++) {
            const _Atomic uint64_t *cycle = &boards[i]->stats[w]->cycle;
            uint64_t seen = atomic_load_explicit(cycle, memory_order_acquire);
            inforce->slots[inforce->count++] =
                (struct xf_inforce_slot){.cycle = cycle, .seen = seen, .passed = (seen & 1) == 0};
        }
    }
    return true;
}

bool xf_inforce_settled(struct xf_inforce *inforce)
{
    bool all = true;
    for (unsigned i = 0; i < inforce->count; i++) {
        struct xf_inforce_slot *slot = &inforce->slots[i];
        if (slot->passed) {
            continue;
        }
        uint64_t now = atomic_load_explicit(slot->cycle, memory_order_acquire);
        slot->passed = (now & 1) == 0 || now != slot->seen;
        all = all && slot->passed;
    }
    return all;
}

void xf_inforce_forget(struct xf_inforce *inforce, const struct xf_stats_header *stats)
{
    for (unsigned i = 0; i < inforce->count; i++) {
        if (inforce->slots[i].cycle == &stats->cycle) {
            inforce->slots[i].passed = true;
        }
    }
}
