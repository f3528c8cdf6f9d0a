/*
 * grid.c -- the fleet's cells; see grid.h.
 */
#include "shifter/control/grid.h"

#include <stdio.h>
#include <string.h>

void xf_grid_init(struct xf_grid *grid)
{
    memset(grid, 0, sizeof(*grid));
}

/* True when this sequence of this boot is new; it is then noted. */
static bool note_sequence(struct xf_grid *grid, const struct xf_message_samples *samples)
{
    for (unsigned i = 0; i < XF_GRID_BOOTS; i++) {
        if (strcmp(grid->boots[i].boot, samples->proxy.boot) == 0) {
            if (samples->seq <= grid->boots[i].seq) {
                return false;
            }
            grid->boots[i].seq = samples->seq;
            return true;
        }
    }
    unsigned slot = grid->boots_next;
    grid->boots_next = (slot + 1) % XF_GRID_BOOTS;
    memcpy(grid->boots[slot].boot, samples->proxy.boot, sizeof(samples->proxy.boot));
    grid->boots[slot].seq = samples->seq;
    return true;
}

/* The first cell that is not yet closed at that time; never below 0, whatever the clock says. */
static int64_t first_open(int64_t store_time_ms)
{
    return store_time_ms > XF_GRID_CLOSE_MS ? (store_time_ms - XF_GRID_CLOSE_MS) / XF_CELL_MS : 0;
}

static void begin(struct xf_grid *grid, int64_t store_time_ms)
{
    if (!grid->begun) {
        grid->begun = true;
        grid->next = first_open(store_time_ms);
    }
}

static void add_cell(struct xf_grid *grid, const struct xf_message_cell *cell, int64_t number)
{
    unsigned slot = (unsigned) (number % XF_GRID_CELLS);
    struct xf_judge_cell *to = &grid->cells[slot].cell;
    if (!grid->cells[slot].used) {
        grid->cells[slot].used = true;
        xf_judge_cell_init(to, number * XF_CELL_MS, XF_CELL_MS);
    }
    for (unsigned i = 0; i < cell->entries_count; i++) {
        const struct xf_message_counts *from = &cell->entries[i].counts;
        for (unsigned role = 0; role < 2; role++) {
            struct xf_judge_counts counts = {.sent = from->sent[role],
                                             .done = from->done[role],
                                             .bad = from->bad[role],
                                             .slow = from->slow[role],
                                             .bad_4xx = from->bad_4xx[role]};
            xf_judge_cell_add(to, cell->entries[i].weight, (enum xf_judge_role) role, &counts);
        }
    }
    for (unsigned role = 0; role < 2; role++) {
        to->asked[role] += cell->asked[role];
        to->answered[role] += cell->answered[role];
    }
}

bool xf_grid_add(struct xf_grid *grid, const struct xf_message_samples *samples,
                 int64_t store_time_ms)
{
    begin(grid, store_time_ms);
    if (!note_sequence(grid, samples)) {
        return false;
    }
    if (grid->from > store_time_ms / XF_CELL_MS) {
        grid->from = 0; /* the store's clock was set back */
    }
    for (size_t i = 0; i < samples->cells_count; i++) {
        int64_t number = (int64_t) samples->cells[i].number;
        if (samples->cells[i].number < (uint64_t) grid->from) {
            continue;
        }
        int64_t newest = grid->next + (int64_t) XF_GRID_CELLS - 1;
        number = number < grid->next ? grid->next : number > newest ? newest : number;
        add_cell(grid, &samples->cells[i], number);
    }
    return true;
}

void xf_grid_forget(struct xf_grid *grid, int64_t store_time_ms)
{
    grid->from = store_time_ms / XF_CELL_MS;
    for (unsigned i = 0; i < XF_GRID_CELLS; i++) {
        grid->cells[i].used &= grid->cells[i].cell.t_ms >= grid->from * XF_CELL_MS;
    }
}

bool xf_grid_take(struct xf_grid *grid, int64_t store_time_ms, struct xf_judge_cell *ret)
{
    begin(grid, store_time_ms);
    int64_t open = first_open(store_time_ms);
    for (unsigned looked = 0; grid->next < open && looked < XF_GRID_CELLS; looked++) {
        unsigned slot = (unsigned) (grid->next % XF_GRID_CELLS);
        grid->next++;
        if (grid->cells[slot].used) {
            *ret = grid->cells[slot].cell;
            grid->cells[slot].used = false;
            return true;
        }
    }
    if (grid->next < open) { /* every slot was looked at: nothing is left before the open ones */
        grid->next = open;
    }
    return false;
}
