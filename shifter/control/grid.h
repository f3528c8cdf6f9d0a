/*
 * grid.h -- the fleet's cells: what the proxies counted, summed by cells of the store's clock.
 *
 * A cell is closed 100 ms after its end and then handed out, in the order of time; counts that
 * come for a closed cell join the next one to close (DESIGN.md section 11).  Pure.
 */
#ifndef XF_SHIFTER_GRID_H
#define XF_SHIFTER_GRID_H

#include "shifter/bus/bus_message.h"
#include "shifter/judge/judge_cell.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_GRID_CELLS    64u /* open at once: the present and what is not yet closed */
#define XF_GRID_CLOSE_MS 100
#define XF_GRID_BOOTS    128u /* proxies' sequences remembered */

struct xf_grid {
    bool begun;
    int64_t next; /* number of the next cell to close */
    int64_t from; /* cells before this one are not counted any more */
    struct {
        bool used;
        struct xf_judge_cell cell;
    } cells[XF_GRID_CELLS]; /* by number % XF_GRID_CELLS */
    struct {
        char boot[XF_UUID_TEXT_BYTES];
        uint64_t seq;
    } boots[XF_GRID_BOOTS]; /* the newest sequence taken of each proxy */
    unsigned boots_next;
};

void xf_grid_init(struct xf_grid *grid);
/* Adds a proxy's cells; false: the sequence was taken before, and nothing is added. */
bool xf_grid_add(struct xf_grid *grid, const struct xf_message_samples *samples,
                 int64_t store_time_ms);
/* What was counted before that time is left out, whether it is here already or comes later. */
void xf_grid_forget(struct xf_grid *grid, int64_t store_time_ms);
/* Takes the next closed cell that holds something; false: none is left. */
bool xf_grid_take(struct xf_grid *grid, int64_t store_time_ms, struct xf_judge_cell *ret);

#endif
