/*
 * judge_cell.c -- counts of one stretch of time: adding them up.
 *
 * Sums saturate nowhere: 64 bits of responses do not fill in any attempt's life.
 */
#include "shifter/judge/judge_cell.h"

#include <stddef.h>
#include <stdlib.h>

void xf_judge_cell_init(struct xf_judge_cell *cell, int64_t t_ms, unsigned length_ms)
{
    cell->t_ms = t_ms;
    cell->length_ms = length_ms;
    cell->entry_count = 0;
    for (unsigned role = 0; role < 2; role++) {
        cell->asked[role] = 0;
        cell->answered[role] = 0;
    }
}

static unsigned distance(unsigned a, unsigned b)
{
    return a > b ? a - b : b - a;
}

static struct xf_judge_entry *entry_for(struct xf_judge_cell *cell, unsigned weight)
{
    struct xf_judge_entry *nearest = NULL;
    for (unsigned i = 0; i < cell->entry_count; i++) {
        struct xf_judge_entry *entry = &cell->entries[i];
        if (nearest == NULL ||
            distance(entry->weight, weight) < distance(nearest->weight, weight)) {
            nearest = entry;
        }
    }
    if (nearest != NULL &&
        (nearest->weight == weight || cell->entry_count == XF_JUDGE_ENTRIES_MAX)) {
        return nearest;
    }
    struct xf_judge_entry *entry = &cell->entries[cell->entry_count++];
    *entry = (struct xf_judge_entry){.weight = weight};
    return entry;
}

void xf_judge_cell_add(struct xf_judge_cell *cell, unsigned weight, enum xf_judge_role role,
                       const struct xf_judge_counts *counts)
{
    if (weight > XF_WEIGHT_FULL) {
        return;
    }
    struct xf_judge_counts *to = &entry_for(cell, weight)->role[role];
    to->sent += counts->sent;
    to->done += counts->done;
    to->bad += counts->bad;
    to->slow += counts->slow;
    to->bad_4xx += counts->bad_4xx;
}

void xf_judge_cell_merge(struct xf_judge_cell *cell, const struct xf_judge_cell *from)
{
    for (unsigned i = 0; i < from->entry_count && i < XF_JUDGE_ENTRIES_MAX; i++) {
        const struct xf_judge_entry *entry = &from->entries[i];
        xf_judge_cell_add(cell, entry->weight, XF_JUDGE_BLUE, &entry->role[XF_JUDGE_BLUE]);
        xf_judge_cell_add(cell, entry->weight, XF_JUDGE_GREEN, &entry->role[XF_JUDGE_GREEN]);
    }
    for (unsigned role = 0; role < 2; role++) {
        cell->asked[role] += from->asked[role];
        cell->answered[role] += from->answered[role];
    }
}
