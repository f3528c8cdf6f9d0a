/*
 * logring.h -- access log lines on their way from one worker to the logger.
 *
 * One ring per worker of an edition, in shared memory: one process writes, one reads, no locks.
 * A worker never waits: what does not fit is dropped and counted.  The eventfd is written only
 * when the reader said that it sleeps.  A successor of a dead worker goes on in the same ring;
 * a line becomes visible only when it is whole.
 *
 *     worker --write()--> [ lines ] --read()--> logger --> file, pipe, syslog
 *        '---- wake (eventfd) when asleep -------^
 */
#ifndef XF_PROXY_LOGRING_H
#define XF_PROXY_LOGRING_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xf_log_ring; /* one process's handle */

#define XF_LOG_RING_BYTES     (1024u * 1024u) /* a worker's lines while the logger is busy */
#define XF_LOG_RING_BYTES_MAX (64u * 1024u * 1024u)
#define XF_LOG_LINE_BYTES_MAX (16u * 1024u) /* a longer line is dropped */

/* Supervisor.  `bytes` is a power of two from 4096 to XF_LOG_RING_BYTES_MAX.  `wake_fd`, an
 * eventfd of the logger, stays the caller's; so in attach(). */
XF_NODISCARD int xf_log_ring_create(uint32_t bytes, int wake_fd, struct xf_log_ring **ret,
                                    struct xf_error *err);
/* Logger: maps a ring whose descriptor came from the supervisor, and owns that descriptor from
 * here on, also when it fails. */
XF_NODISCARD int xf_log_ring_attach(int fd, int wake_fd, struct xf_log_ring **ret,
                                    struct xf_error *err);
void xf_log_ring_destroy(struct xf_log_ring *ring); /* accepts NULL */
int xf_log_ring_fd(const struct xf_log_ring *ring); /* stays the ring's; -1 once closed */
/* In a freshly forked worker: closes the ring's descriptor, the map stays. */
void xf_log_ring_enter_worker(struct xf_log_ring *ring);

/* Worker: appends whole lines, line feeds included, and wakes a sleeping logger.  False: dropped
 * and counted.  Never blocks. */
bool xf_log_ring_write(struct xf_log_ring *ring, const void *bytes, size_t length);
/* Worker: lines that the logger could not write, since this was asked last. */
uint64_t xf_log_ring_take_lost(struct xf_log_ring *ring);

/* Logger: at most `capacity` bytes from the ring's start; 0 when it is empty.  Cuts lines only
 * where `capacity` or the ring's end makes it: what is read in turn is the text as written. */
size_t xf_log_ring_read(struct xf_log_ring *ring, void *bytes, size_t capacity);
/* Logger, before it waits on the eventfd: asks to be woken.  False: there is something to read. */
XF_NODISCARD bool xf_log_ring_sleep(struct xf_log_ring *ring);
/* Logger: so many lines that were read could not be written. */
void xf_log_ring_lose(struct xf_log_ring *ring, uint64_t lines);
/* Lines that did not fit, since the ring was made. */
uint64_t xf_log_ring_dropped(const struct xf_log_ring *ring);

#endif
