/*
 * own_copy.h -- the control state as this shifter knew it last, in a file of its own.
 *
 * What recovery may take where the store lost what it knew (DESIGN.md section 8).  One file in the
 * state directory, written like the agent's snapshot: whole or not there, checked when it is read,
 * synced by a thread so that a slow disk delays no beat.
 */
#ifndef XF_SHIFTER_OWN_COPY_H
#define XF_SHIFTER_OWN_COPY_H

#include "shifter/agent/agent_snapshot.h"
#include "shifter/controller/tenure.h"

struct xf_own_copy;

/* Reads what an earlier run left; what is wrong with it, if anything, goes to `ret_why` (empty:
 * nothing).  NULL: out of memory or threads.  `dir_fd` must outlive it. */
XF_NODISCARD struct xf_own_copy *xf_own_copy_open(int dir_fd, const char *holder,
                                                  char ret_why[XF_ERROR_MESSAGE_BYTES]);
/* What was read of `service`; NULL: nothing.  Valid until xf_own_copy_save. */
const struct xf_snapshot_service *xf_own_copy_find(const struct xf_own_copy *copy,
                                                   const char *service);
/* Writes it where a tenure knows another version than was written, or the disk did not take it. */
void xf_own_copy_save(struct xf_own_copy *copy, struct xf_tenure *const *tenures, unsigned count,
                      int64_t wall_ms);
/* Whether the last write that ended went well; false fills `err` with why. */
bool xf_own_copy_ok(struct xf_own_copy *copy, struct xf_error *err);
void xf_own_copy_close(struct xf_own_copy *copy); /* accepts NULL */

#endif
