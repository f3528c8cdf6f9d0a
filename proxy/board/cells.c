/*
 * cells.c -- see cells.h.
 */
#include "proxy/board/cells.h"

#include <stdlib.h>
#include <string.h>

void xf_judged_init(struct xf_judged *judged, struct xf_cell *cells, struct xf_blame_ring *blame)
{
    *judged = (struct xf_judged){.cells = cells, .blame = blame};
    xf_list_init(&judged->waiting);
}

void xf_judged_release(struct xf_judged *judged)
{
    free(judged->seen);
    judged->seen = NULL;
}

/* Empties a cell for new use.  Its number is 0 meanwhile: a reader throws away what it saw. */
static void reuse(struct xf_cell *cell, uint64_t number, uint32_t attempt)
{
    atomic_store_explicit(&cell->number, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < XF_CELL_WEIGHTS; i++) {
        struct xf_cell_entry *entry = &cell->entry[i];
        atomic_store_explicit(&entry->weight, 0, memory_order_relaxed);
        for (unsigned role = 0; role < XF_ROLES; role++) {
            atomic_store_explicit(&entry->sent[role], 0, memory_order_relaxed);
            atomic_store_explicit(&entry->done[role], 0, memory_order_relaxed);
            atomic_store_explicit(&entry->bad[role], 0, memory_order_relaxed);
            atomic_store_explicit(&entry->slow[role], 0, memory_order_relaxed);
            atomic_store_explicit(&entry->bad_4xx[role], 0, memory_order_relaxed);
        }
    }
    for (unsigned role = 0; role < XF_ROLES; role++) {
        atomic_store_explicit(&cell->asked[role], 0, memory_order_relaxed);
        atomic_store_explicit(&cell->answered[role], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&cell->lost, 0, memory_order_relaxed);
    atomic_store_explicit(&cell->attempt, attempt, memory_order_relaxed);
    atomic_store_explicit(&cell->number, number, memory_order_release);
}

/* The cell `number`, for the attempt of `terms`; NULL where that is an earlier one. */
static struct xf_cell *find_cell(struct xf_judged *judged, const struct xf_judged_terms *terms,
                                 uint64_t number)
{
    struct xf_cell *cell = &judged->cells[number % XF_CELLS];
    uint32_t attempt = atomic_load_explicit(&cell->attempt, memory_order_relaxed);
    if (xf_read(&cell->number) != number || attempt < terms->attempt) {
        reuse(cell, number, terms->attempt);
    } else if (attempt > terms->attempt) {
        return NULL; /* a request of an earlier attempt that ends only now */
    }
    return cell;
}

/* The entry for `terms` in the cell `number`; NULL where it cannot be counted. */
static struct xf_cell_entry *find_entry(struct xf_judged *judged,
                                        const struct xf_judged_terms *terms, uint64_t number)
{
    struct xf_cell *cell = find_cell(judged, terms, number);
    if (cell == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < XF_CELL_WEIGHTS; i++) {
        struct xf_cell_entry *entry = &cell->entry[i];
        uint32_t weight = atomic_load_explicit(&entry->weight, memory_order_relaxed);
        if (weight == 0) {
            atomic_store_explicit(&entry->weight, terms->weight + 1u, memory_order_release);
            return entry;
        }
        if (weight == terms->weight + 1u) {
            return entry;
        }
    }
    xf_count32(&cell->lost, 1);
    return NULL;
}

/* Whether this is the first time in the step that the key is seen so; always, without a key. */
static bool first_time(struct xf_judged *judged, const struct xf_judged_terms *terms, unsigned kind)
{
    if (!terms->sticky) {
        return true;
    }
    if (judged->seen == NULL) {
        judged->seen = calloc(XF_SEEN_KINDS, sizeof(*judged->seen));
        if (judged->seen == NULL) {
            return false;
        }
    }
    if (judged->attempt != terms->attempt || judged->step != terms->step) {
        memset(judged->seen, 0, XF_SEEN_KINDS * sizeof(*judged->seen));
        judged->attempt = terms->attempt;
        judged->step = terms->step;
    }
    uint64_t *word = &judged->seen[kind][terms->key / 64];
    uint64_t bit = 1ull << (terms->key % 64);
    bool first = (*word & bit) == 0;
    *word |= bit;
    return first;
}

/* A request of an earlier step says nothing about this step's keys. */
static bool is_of_this_step(const struct xf_judged *judged, const struct xf_judged_terms *terms)
{
    return !terms->sticky || (judged->attempt == terms->attempt && judged->step == terms->step);
}

/* Leaves word of who is to blame; a reader throws away what may be overwritten meanwhile. */
static void blame(struct xf_judged *judged, const struct xf_judging *judging, enum xf_blamed kind)
{
    if (judged->blame == NULL) {
        return;
    }
    uint64_t written = xf_read(&judged->blame->written);
    struct xf_blame_event *event = &judged->blame->events[written % XF_BLAME_EVENTS];
    event->attempt = judging->terms.attempt;
    event->server = judging->server;
    event->role = judging->terms.role;
    event->kind = (uint8_t) kind;
    event->length = judging->target_length;
    memcpy(event->target, judging->target, judging->target_length);
    atomic_store_explicit(&judged->blame->written, written + 1, memory_order_release);
}

static void count_slow(struct xf_judged *judged, struct xf_judging *judging, uint64_t cell)
{
    const struct xf_judged_terms *terms = &judging->terms;
    xf_list_remove(&judging->link);
    judging->slow = true;
    if (!is_of_this_step(judged, terms) || !first_time(judged, terms, XF_SEEN_SLOW)) {
        return;
    }
    struct xf_cell_entry *entry = find_entry(judged, terms, cell);
    if (entry != NULL) {
        xf_count32(&entry->slow[terms->role], 1);
        blame(judged, judging, XF_BLAMED_SLOW);
    }
}

void xf_judged_sent(struct xf_judged *judged, struct xf_judging *judging,
                    const struct xf_judged_terms *terms, uint64_t cell, uint64_t now_us)
{
    XF_ASSERT(terms->role < XF_ROLES);
    judging->terms = *terms;
    judging->active = true;
    judging->slow = false;
    judging->slow_at_us = 0;
    judging->server = -1;
    judging->target_length = 0;
    xf_list_init(&judging->link);
    if (terms->tau_us > 0) {
        judging->slow_at_us = now_us + terms->tau_us;
        xf_list_append(&judged->waiting, &judging->link);
    }
    struct xf_cell *asked = find_cell(judged, terms, cell);
    if (asked != NULL) {
        xf_count32(&asked->asked[terms->role], 1);
    }
    if (first_time(judged, terms, XF_SEEN_SENT)) {
        struct xf_cell_entry *entry = find_entry(judged, terms, cell);
        if (entry != NULL) {
            xf_count32(&entry->sent[terms->role], 1);
        }
    }
}

void xf_judged_ended(struct xf_judged *judged, struct xf_judging *judging,
                     enum xf_judged_outcome outcome, uint64_t cell, uint64_t now_us)
{
    const struct xf_judged_terms *terms = &judging->terms;
    if (!judging->active) {
        return;
    }
    judging->active = false;
    if (!judging->slow && terms->tau_us > 0 && now_us > judging->slow_at_us) {
        count_slow(judged, judging, cell);
    }
    xf_list_remove(&judging->link);
    struct xf_cell *answered = outcome != XF_JUDGED_ABORTED ? find_cell(judged, terms, cell) : NULL;
    if (answered != NULL) {
        xf_count32(&answered->answered[terms->role], 1);
    }
    if ((outcome == XF_JUDGED_ABORTED && !judging->slow) || !is_of_this_step(judged, terms)) {
        return;
    }
    bool bad = outcome == XF_JUDGED_BAD && first_time(judged, terms, XF_SEEN_BAD);
    bool done = first_time(judged, terms, XF_SEEN_DONE);
    if (!bad && !done) {
        return;
    }
    struct xf_cell_entry *entry = find_entry(judged, terms, cell);
    if (entry == NULL) {
        return;
    }
    xf_count32(&entry->done[terms->role], 1);
    if (bad) {
        xf_count32(&entry->bad[terms->role], 1);
        blame(judged, judging, XF_BLAMED_ERROR);
    }
    if (outcome == XF_JUDGED_4XX) {
        xf_count32(&entry->bad_4xx[terms->role], 1);
        blame(judged, judging, XF_BLAMED_4XX);
    }
}

void xf_judged_tick(struct xf_judged *judged, uint64_t cell, uint64_t now_us)
{
    while (!xf_list_empty(&judged->waiting)) {
        struct xf_judging *first = XF_CONTAINER_OF(judged->waiting.next, struct xf_judging, link);
        if (first->slow_at_us > now_us) {
            break;
        }
        count_slow(judged, first, cell);
    }
}
