/*
 * cutover.h -- the state machine of a cutover (DESIGN.md section 7): pure, a table.
 *
 *  idle --start--> preflight --passed--> shifting --full--> soaking --content--> draining
 *   ^                 | failed, abort     ^  |  ^            | lowered | abort    | lowered, abort
 *   +<----------------+                   |  |  +<-----------+---------|----------+ |   | quiet
 *                                 lowered +--+ abort                   v            |   v
 *                                            +--------------------> aborting <------+  safe --+
 *                                                                      |  ^             |     |
 *                                               emptied: 0 in force    |  |   revoked   |     |
 *                                                   everywhere         |  +-------------+     |
 *                                                                      v           finalize   |
 *                                                                   aborted                   v
 *                              finalized <--verified------------------------------- finalizing
 *
 * `aborted` and `finalized` last until the next start.  HELD is no state: it is a set of holds
 * that is not empty, kept beside it.  What an event does besides changing the state is in
 * control*.c; when one happens is in schedule.c.
 */
#ifndef XF_SHIFTER_CUTOVER_H
#define XF_SHIFTER_CUTOVER_H

#include "shifter/plan/document.h"

#include <stdbool.h>

enum xf_cutover_event {
    XF_ON_START,
    XF_ON_PASSED,  /* preflight found nothing */
    XF_ON_FAILED,  /* preflight found something */
    XF_ON_FULL,    /* the last step is in force at 100 % */
    XF_ON_CONTENT, /* the soak is over */
    XF_ON_LOWERED, /* retreat, step back, a weight set by hand */
    XF_ON_QUIET,   /* blue has nothing left, everywhere, long enough */
    XF_ON_FINALIZE,
    XF_ON_VERIFIED, /* every finalize action is done */
    XF_ON_ABORT,
    XF_ON_REVOKED, /* the signal was taken back and its receivers know */
    XF_ON_EMPTIED, /* weight 0 is in force everywhere */
    XF_CUTOVER_EVENTS
};

/* The state after `on`; false where there is no such arrow (*ret is left alone). */
bool xf_cutover_next(enum xf_cutover_state from, enum xf_cutover_event on,
                     enum xf_cutover_state *ret);

/* Whether a cutover is under way: from the start until `finalized` or `aborted`. */
bool xf_cutover_runs(enum xf_cutover_state state);

#endif
