/*
 * gather.c -- see gather.h.
 *
 * The ring is used as a list of calls to make and nothing else: no operation may be left to the
 * kernel to finish later, because its place would be written to after it was given to another
 * connection.  MSG_DONTWAIT sees to that; should an answer be missing all the same, its connection
 * is lost and nothing is gathered any more.
 */
#include "proxy/transport/gather.h"

#include "proxy/transport/transport.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNANSWERED INT32_MIN

struct xf_gathered {
    struct xf_gather *gather;
    struct xf_conn *conn; /* NULL: free, or given up */
    struct xf_gathered *next;
    int32_t result; /* as of recv(), an error negative */
    uint32_t at;
    char bytes[XF_GATHER_BYTES];
};

struct ring {
    int fd;
    void *memory, *calls_memory;
    size_t memory_bytes, calls_bytes;
    _Atomic uint32_t *call_head, *call_tail, *answer_head, *answer_tail;
    uint32_t call_mask, answer_mask;
    struct io_uring_sqe *calls;
    struct io_uring_cqe *answers;
};

struct xf_gather {
    struct ring ring;
    bool spoiled; /* an answer is missing: its place may yet be written to */
    unsigned asked_count;
    struct xf_gathered *asked[XF_GATHER_PLACES];
    struct xf_gathered *free;
    struct xf_gathered places[XF_GATHER_PLACES];
};

static void ring_close(struct ring *ring)
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
    *ring = (struct ring){.fd = -1};
}

static void *map(int fd, size_t bytes, uint64_t offset)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t) offset);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool ring_open(struct ring *ring)
{
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    *ring = (struct ring){.fd = (int) syscall(SYS_io_uring_setup, XF_GATHER_PLACES, &params)};
    if (ring->fd < 0 || (params.features & IORING_FEAT_SINGLE_MMAP) == 0) {
        ring_close(ring);
        return false;
    }
    size_t calls = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
    size_t answers = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    ring->memory_bytes = calls > answers ? calls : answers;
    ring->calls_bytes = params.sq_entries * sizeof(struct io_uring_sqe);
    ring->memory = map(ring->fd, ring->memory_bytes, IORING_OFF_SQ_RING);
    ring->calls_memory = map(ring->fd, ring->calls_bytes, IORING_OFF_SQES);
    if (ring->memory == NULL || ring->calls_memory == NULL) {
        ring_close(ring);
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

struct xf_gather *xf_gather_create(void)
{
    struct xf_gather *gather = calloc(1, sizeof(*gather));
    if (gather == NULL || !ring_open(&gather->ring)) {
        free(gather);
        return NULL;
    }
    for (unsigned i = 0; i < XF_GATHER_PLACES; i++) {
        gather->places[i].gather = gather;
        gather->places[i].next = gather->free;
        gather->free = &gather->places[i];
    }
    return gather;
}

void xf_gather_destroy(struct xf_gather *gather)
{
    if (gather != NULL) {
        ring_close(&gather->ring);
        free(gather);
    }
}

void xf_gather_ask(struct xf_gather *gather, struct xf_conn *conn)
{
    struct ring *ring = &gather->ring;
    struct xf_gathered *place = gather->free;
    if (place == NULL || gather->spoiled || conn->gathered != NULL) {
        return;
    }
    gather->free = place->next;
    place->conn = conn;
    place->result = UNANSWERED;
    place->at = 0;
    conn->gathered = place;
    uint32_t tail = atomic_load_explicit(ring->call_tail, memory_order_relaxed);
    ring->calls[tail & ring->call_mask] = (struct io_uring_sqe){
        .opcode = IORING_OP_RECV,
        .fd = xf_conn_fd(conn),
        .addr = (uint64_t) (uintptr_t) place->bytes,
        .len = XF_GATHER_BYTES,
        .msg_flags = MSG_DONTWAIT,
        .user_data = gather->asked_count,
    };
    atomic_store_explicit(ring->call_tail, tail + 1, memory_order_release);
    gather->asked[gather->asked_count++] = place;
}

static void give_back(struct xf_gathered *place)
{
    struct xf_gather *gather = place->gather;
    if (place->conn != NULL) {
        place->conn->gathered = NULL;
        place->conn = NULL;
    }
    place->next = gather->free;
    gather->free = place;
}

/* Whether the connection's own read would say the same again, so that nothing need be kept. */
static bool says_nothing(int32_t result)
{
    return result == -EAGAIN || result == -EINTR || result == -EINVAL || result == -ENOMEM ||
           result == -ECANCELED || result == -EOPNOTSUPP;
}

static void take_answers(struct xf_gather *gather)
{
    struct ring *ring = &gather->ring;
    uint32_t head = atomic_load_explicit(ring->answer_head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(ring->answer_tail, memory_order_acquire);
    for (; head != tail; head++) {
        const struct io_uring_cqe *answer = &ring->answers[head & ring->answer_mask];
        if (answer->user_data < gather->asked_count) {
            gather->asked[answer->user_data]->result = answer->res;
        }
    }
    atomic_store_explicit(ring->answer_head, head, memory_order_release);
}

void xf_gather_read(struct xf_gather *gather)
{
    struct ring *ring = &gather->ring;
    if (gather->asked_count == 0) {
        return;
    }
    long made = syscall(SYS_io_uring_enter, ring->fd, gather->asked_count, 0u, 0u, NULL, 0ul);
    unsigned count = made > 0 ? (unsigned) made : 0;
    take_answers(gather);
    /* What the kernel did not begin is taken back. */
    atomic_store_explicit(ring->call_tail,
                          atomic_load_explicit(ring->call_head, memory_order_acquire),
                          memory_order_release);
    for (unsigned i = 0; i < gather->asked_count; i++) {
        struct xf_gathered *place = gather->asked[i];
        if (place->result == UNANSWERED && i < count) {
            gather->spoiled = true;   /* the place is never used again */
            place->conn->lost = true; /* what came may yet be read into it */
            place->conn->gathered = NULL;
            place->conn = NULL;
        } else if (place->result == UNANSWERED || says_nothing(place->result)) {
            place->conn->readable &= place->result != -EAGAIN;
            give_back(place);
        }
    }
    gather->asked_count = 0;
}

ssize_t xf_gathered_take(struct xf_conn *conn, void *bytes, size_t size, bool *ret_more)
{
    struct xf_gathered *place = conn->gathered;
    *ret_more = false;
    if (place->result <= 0) {
        ssize_t result = place->result == 0 ? 0 : XF_CONN_ERROR;
        give_back(place);
        return result;
    }
    size_t rest = (size_t) place->result - place->at;
    size_t taken = rest < size ? rest : size;
    memcpy(bytes, place->bytes + place->at, taken);
    place->at += (uint32_t) taken;
    if (taken == rest) {
        *ret_more = place->result == XF_GATHER_BYTES;
        give_back(place);
    }
    return (ssize_t) taken;
}

void xf_gathered_drop(struct xf_conn *conn)
{
    if (conn->gathered != NULL) {
        give_back(conn->gathered);
    }
}
