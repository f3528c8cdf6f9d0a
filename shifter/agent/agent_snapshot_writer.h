/*
 * agent_snapshot_writer.h -- writes the newest snapshot without making the agent's loop wait.
 *
 * A disk may take seconds; heartbeats may not.  One thread writes, the newest text wins, older
 * ones that were not begun are dropped.  The thread touches nothing but its texts.
 */
#ifndef XF_SHIFTER_AGENT_SNAPSHOT_WRITER_H
#define XF_SHIFTER_AGENT_SNAPSHOT_WRITER_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct xf_snapshot_writer;

/* Writes `name` in `dir_fd`; both must outlive it.  NULL: out of memory or threads. */
XF_NODISCARD struct xf_snapshot_writer *xf_snapshot_writer_create(int dir_fd, const char *name);
/* Takes `text` over.  Never blocks. */
void xf_snapshot_writer_put(struct xf_snapshot_writer *writer, char *text, size_t length);
/* Whether the last write that ended went well; false fills `err` with why. */
bool xf_snapshot_writer_ok(struct xf_snapshot_writer *writer, struct xf_error *err);
/* Waits until what was put is on disk, at most `ms`; false: it is not. */
bool xf_snapshot_writer_flush(struct xf_snapshot_writer *writer, int ms);
/* Flushes for at most a second and ends the thread; accepts NULL. */
void xf_snapshot_writer_destroy(struct xf_snapshot_writer *writer);

#endif
