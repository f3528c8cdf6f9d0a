/*
 * ring.h -- io_uring as a list of system calls that are made together.
 *
 * Belongs to whoever made it, and to the process that did.  Calls are put in one by one and made
 * by one io_uring_enter(); whoever puts them in sees to it that none is left to the kernel to
 * finish later.  Where the kernel has no io_uring for us (kernel.io_uring_disabled, a container's
 * filter) there is no ring.
 */
#ifndef XF_PROXY_RING_H
#define XF_PROXY_RING_H

#include "config/base/check.h"

#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xf_ring {
    int fd;
    void *memory, *calls_memory;
    size_t memory_bytes, calls_bytes;
    _Atomic uint32_t *call_head, *call_tail, *answer_head, *answer_tail;
    uint32_t call_mask, answer_mask;
    struct io_uring_sqe *calls;
    struct io_uring_cqe *answers;
};

/* For at most `calls` calls at once, a power of two; false: not here. */
XF_NODISCARD bool xf_ring_open(struct xf_ring *ring, unsigned calls);
void xf_ring_close(struct xf_ring *ring);

/* Puts a call in; there must be room. */
void xf_ring_put(struct xf_ring *ring, const struct io_uring_sqe *call);
/* Makes the `count` calls that were put in, some of them `linked`; returns how many the kernel
 * began with.  The others are taken back. */
unsigned xf_ring_make(struct xf_ring *ring, unsigned count, bool linked);
/* The next answer to a call that was made; false: there is none. */
XF_NODISCARD bool xf_ring_answer(struct xf_ring *ring, uint64_t *ret_call, int32_t *ret_result);

#endif
