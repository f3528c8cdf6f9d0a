/*
 * logring.c -- a ring of bytes with one writer and one reader in two processes.
 *
 * Head and tail count bytes for ever; their difference is what the ring holds.  Each side keeps
 * its own counter privately and only publishes it: the reader treats the published head as a
 * stranger's input, since a worker parses what strangers send.
 */
#include "proxy/board/logring.h"
#include "proxy/board/segment.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_MAGIC     0x676e6972676f4c58ull /* "XLogring" */
#define RING_BYTES_MIN 4096u

struct shared {
    /* Written once by the supervisor. */
    uint64_t magic;
    uint64_t bytes; /* of the data behind this header: a power of two */
    /* The worker writes. */
    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t dropped;
    _Atomic uint64_t lost_taken; /* of `lost`, by this worker and those before it */
    /* The logger writes; the worker clears `sleeping`. */
    _Alignas(64) _Atomic uint64_t tail;
    _Atomic uint32_t sleeping;
    _Atomic uint64_t lost; /* lines it could not write */
};

struct xf_log_ring {
    struct shared *shared;
    char *data;
    uint64_t mask;
    uint64_t tail; /* the reader's own */
    uint64_t map_bytes;
    int fd;
    int wake_fd;
};

static int map_ring(struct xf_log_ring *ring, uint64_t bytes, struct xf_error *err)
{
    ring->shared = xf_segment_map(ring->fd, bytes, err);
    if (ring->shared == NULL) {
        return -1;
    }
    ring->map_bytes = bytes;
    ring->data = (char *) ring->shared + sizeof(struct shared);
    return 0;
}

static struct xf_log_ring *allocate_ring(int fd, int wake_fd)
{
    struct xf_log_ring *ring = calloc(1, sizeof(*ring));
    if (ring != NULL) {
        ring->fd = fd;
        ring->wake_fd = wake_fd;
    }
    return ring;
}

void xf_log_ring_destroy(struct xf_log_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    if (ring->shared != NULL) {
        munmap(ring->shared, ring->map_bytes);
    }
    if (ring->fd >= 0) {
        close(ring->fd);
    }
    free(ring);
}

int xf_log_ring_create(uint32_t bytes, int wake_fd, struct xf_log_ring **ret, struct xf_error *err)
{
    XF_ASSERT(bytes >= RING_BYTES_MIN);
    XF_ASSERT(bytes <= XF_LOG_RING_BYTES_MAX);
    XF_ASSERT((bytes & (bytes - 1)) == 0);

    uint64_t map_bytes = sizeof(struct shared) + bytes;
    struct xf_log_ring *ring = allocate_ring(-1, wake_fd);
    if (ring == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for a log ring");
    }
    if (xf_segment_create("crossfade-log", map_bytes, &ring->fd, err) != 0 ||
        map_ring(ring, map_bytes, err) != 0) {
        xf_log_ring_destroy(ring);
        return -1;
    }
    ring->shared->magic = RING_MAGIC;
    ring->shared->bytes = bytes;
    ring->mask = bytes - 1;
    *ret = ring;
    return 0;
}

static int check_ring(struct xf_log_ring *ring, struct xf_error *err)
{
    uint64_t bytes = ring->shared->bytes;
    if (ring->shared->magic != RING_MAGIC || bytes < RING_BYTES_MIN || (bytes & (bytes - 1)) != 0 ||
        ring->map_bytes != sizeof(struct shared) + bytes) {
        return XF_FAIL(err, XF_E_FAILED, "a log ring's header does not fit its size");
    }
    ring->mask = bytes - 1;
    ring->tail = atomic_load_explicit(&ring->shared->tail, memory_order_relaxed);
    return 0;
}

int xf_log_ring_attach(int fd, int wake_fd, struct xf_log_ring **ret, struct xf_error *err)
{
    uint64_t map_bytes;
    struct xf_log_ring *ring = allocate_ring(fd, wake_fd);
    if (ring == NULL) {
        close(fd);
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for a log ring");
    }
    int failed = xf_segment_size(fd, &map_bytes, err);
    if (failed == 0 && (map_bytes < sizeof(struct shared) + RING_BYTES_MIN ||
                        map_bytes > sizeof(struct shared) + XF_LOG_RING_BYTES_MAX)) {
        failed = XF_FAIL(err, XF_E_FAILED, "a log ring has an impossible size");
    }
    if (failed != 0 || map_ring(ring, map_bytes, err) != 0 || check_ring(ring, err) != 0) {
        xf_log_ring_destroy(ring);
        return -1;
    }
    *ret = ring;
    return 0;
}

int xf_log_ring_fd(const struct xf_log_ring *ring)
{
    return ring->fd;
}

void xf_log_ring_enter_worker(struct xf_log_ring *ring)
{
    if (ring->fd >= 0) {
        close(ring->fd);
        ring->fd = -1;
    }
}

/* ---- the worker's side ---- */

static void copy_in(struct xf_log_ring *ring, uint64_t head, const void *bytes, size_t length)
{
    size_t at = (size_t) (head & ring->mask);
    size_t first = (size_t) ring->mask + 1 - at;
    if (first > length) {
        first = length;
    }
    memcpy(ring->data + at, bytes, first);
    memcpy(ring->data, (const char *) bytes + first, length - first);
}

static void wake_reader(struct xf_log_ring *ring)
{
    /* Between the store of head and this load: else the reader could fall asleep unseen. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->shared->sleeping, memory_order_relaxed) == 0) {
        return;
    }
    atomic_store_explicit(&ring->shared->sleeping, 0, memory_order_relaxed);
    uint64_t one = 1;
    ssize_t written = write(ring->wake_fd, &one, sizeof(one));
    (void) written; /* a full eventfd is awake already */
}

bool xf_log_ring_write(struct xf_log_ring *ring, const void *bytes, size_t length)
{
    struct shared *shared = ring->shared;
    uint64_t head = atomic_load_explicit(&shared->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&shared->tail, memory_order_acquire);
    uint64_t room = ring->mask + 1 - (head - tail);
    if (length > XF_LOG_LINE_BYTES_MAX || length > room) {
        uint64_t dropped = atomic_load_explicit(&shared->dropped, memory_order_relaxed);
        atomic_store_explicit(&shared->dropped, dropped + 1, memory_order_relaxed);
        return false;
    }
    copy_in(ring, head, bytes, length);
    atomic_store_explicit(&shared->head, head + length, memory_order_release);
    wake_reader(ring);
    return true;
}

uint64_t xf_log_ring_take_lost(struct xf_log_ring *ring)
{
    uint64_t lost = atomic_load_explicit(&ring->shared->lost, memory_order_relaxed);
    uint64_t taken = atomic_load_explicit(&ring->shared->lost_taken, memory_order_relaxed);
    atomic_store_explicit(&ring->shared->lost_taken, lost, memory_order_relaxed);
    return lost - taken;
}

/* ---- the logger's side ---- */

void xf_log_ring_lose(struct xf_log_ring *ring, uint64_t lines)
{
    uint64_t lost = atomic_load_explicit(&ring->shared->lost, memory_order_relaxed);
    atomic_store_explicit(&ring->shared->lost, lost + lines, memory_order_relaxed);
}

/* What there is to read.  A head that cannot be true (a damaged worker) empties the ring. */
static uint64_t readable(struct xf_log_ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
    uint64_t held = head - ring->tail;
    if (held > ring->mask + 1) {
        ring->tail = head;
        held = 0;
        atomic_store_explicit(&ring->shared->tail, head, memory_order_release);
    }
    return held;
}

size_t xf_log_ring_read(struct xf_log_ring *ring, void *bytes, size_t capacity)
{
    uint64_t held = readable(ring);
    size_t at = (size_t) (ring->tail & ring->mask);
    size_t length = (size_t) ring->mask + 1 - at;
    if (length > held) {
        length = (size_t) held;
    }
    if (length > capacity) {
        length = capacity;
    }
    memcpy(bytes, ring->data + at, length);
    ring->tail += length;
    atomic_store_explicit(&ring->shared->tail, ring->tail, memory_order_release);
    return length;
}

bool xf_log_ring_sleep(struct xf_log_ring *ring)
{
    atomic_store_explicit(&ring->shared->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (readable(ring) == 0) {
        return true;
    }
    atomic_store_explicit(&ring->shared->sleeping, 0, memory_order_relaxed);
    return false;
}

uint64_t xf_log_ring_dropped(const struct xf_log_ring *ring)
{
    return atomic_load_explicit(&ring->shared->dropped, memory_order_relaxed);
}
