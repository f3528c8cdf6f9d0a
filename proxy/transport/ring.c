/*
 * ring.c -- see ring.h.
 */
#include "proxy/transport/ring.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void xf_ring_close(struct xf_ring *ring)
{
    if (ring->memory != NULL) {
        (void) munmap(ring->memory, ring->memory_bytes);
    }
    if (ring->calls_memory != NULL) {
        (void) munmap(ring->calls_memory, ring->calls_bytes);
    }
    if (ring->fd >= 0) {
        (void) close(ring->fd);
    }
    *ring = (struct xf_ring){.fd = -1};
}

static void *map(int fd, size_t bytes, uint64_t offset)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t) offset);
    return memory == MAP_FAILED ? NULL : memory;
}

bool xf_ring_open(struct xf_ring *ring, unsigned calls)
{
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    *ring = (struct xf_ring){.fd = (int) syscall(SYS_io_uring_setup, calls, &params)};
    if (ring->fd < 0 || (params.features & IORING_FEAT_SINGLE_MMAP) == 0) {
        xf_ring_close(ring);
        return false;
    }
    size_t order_bytes = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
    size_t answers_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    ring->memory_bytes = order_bytes > answers_bytes ? order_bytes : answers_bytes;
    ring->calls_bytes = params.sq_entries * sizeof(struct io_uring_sqe);
    ring->memory = map(ring->fd, ring->memory_bytes, IORING_OFF_SQ_RING);
    ring->calls_memory = map(ring->fd, ring->calls_bytes, IORING_OFF_SQES);
    if (ring->memory == NULL || ring->calls_memory == NULL) {
        xf_ring_close(ring);
        return false;
    }
    char *base = ring->memory;
    ring->call_head = (void *) (base + params.sq_off.head);
    ring->call_tail = (void *) (base + params.sq_off.tail);
    ring->call_mask = params.sq_entries - 1;
    ring->answer_head = (void *) (base + params.cq_off.head);
    ring->answer_tail = (void *) (base + params.cq_off.tail);
    ring->answer_mask = params.cq_entries - 1;
    ring->answers = (void *) (base + params.cq_off.cqes);
    ring->calls = ring->calls_memory;
    uint32_t *order = (void *) (base + params.sq_off.array);
    for (uint32_t i = 0; i < params.sq_entries; i++) {
        order[i] = i; /* the calls are made in the order of their places */
    }
    return true;
}

void xf_ring_put(struct xf_ring *ring, const struct io_uring_sqe *call)
{
    uint32_t tail = atomic_load_explicit(ring->call_tail, memory_order_relaxed);
    ring->calls[tail & ring->call_mask] = *call;
    atomic_store_explicit(ring->call_tail, tail + 1, memory_order_release);
}

unsigned xf_ring_make(struct xf_ring *ring, unsigned count, bool linked)
{
    /* What follows a call in its link is made when answers are asked for. */
    unsigned answers = linked ? count : 0, flags = linked ? IORING_ENTER_GETEVENTS : 0;
    long made = syscall(SYS_io_uring_enter, ring->fd, count, answers, flags, NULL, 0ul);
    atomic_store_explicit(ring->call_tail,
                          atomic_load_explicit(ring->call_head, memory_order_acquire),
                          memory_order_release);
    return made > 0 ? (unsigned) made : 0;
}

bool xf_ring_answer(struct xf_ring *ring, uint64_t *ret_call, int32_t *ret_result)
{
    uint32_t head = atomic_load_explicit(ring->answer_head, memory_order_relaxed);
    if (head == atomic_load_explicit(ring->answer_tail, memory_order_acquire)) {
        return false;
    }
    const struct io_uring_cqe *answer = &ring->answers[head & ring->answer_mask];
    *ret_call = answer->user_data;
    *ret_result = answer->res;
    atomic_store_explicit(ring->answer_head, head + 1, memory_order_release);
    return true;
}
