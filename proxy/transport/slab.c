/*
 * slab.c -- size-classed buffers under a ceiling; see slab.h.
 */
#include "proxy/transport/slab.h"

#include "proxy/board/board.h"

#include <stdlib.h>

/* A read smaller than this is not worth its system call; with its header it fills a class. */
#define ROOM_BYTES_MIN (4096u - sizeof(struct xf_buffer))

void xf_slab_init(struct xf_slab *slab, uint64_t share, _Atomic uint64_t *gauge)
{
    *slab = (struct xf_slab){.share = share, .gauge = gauge};
}

void xf_slab_release(struct xf_slab *slab)
{
    for (unsigned i = 0; i < XF_SLAB_CLASSES; i++) {
        while (slab->kept[i] != NULL) {
            struct xf_buffer *buffer = slab->kept[i];
            slab->kept[i] = *(struct xf_buffer **) (void *) buffer->bytes;
            free(buffer);
        }
    }
    slab->kept_bytes = 0;
}

static void slab_count(struct xf_slab *slab)
{
    atomic_store_explicit(slab->gauge, slab->used, memory_order_relaxed);
}

struct xf_buffer *xf_slab_get(struct xf_slab *slab, size_t size)
{
    size_t whole = size + sizeof(struct xf_buffer);
    unsigned class = 0;
    while (class < XF_SLAB_CLASSES && ((size_t) XF_SLAB_BYTES_MIN << class) < whole) {
        class ++;
    }
    if (class == XF_SLAB_CLASSES) {
        return NULL;
    }
    size_t bytes = (size_t) XF_SLAB_BYTES_MIN << class;
    if (slab->used + bytes > slab->share) {
        return NULL;
    }
    struct xf_buffer *buffer = slab->kept[class];
    if (buffer != NULL) {
        slab->kept[class] = *(struct xf_buffer **) (void *) buffer->bytes;
        slab->kept_bytes -= bytes;
    } else {
        buffer = malloc(bytes);
        if (buffer == NULL) {
            return NULL;
        }
    }
    buffer->start = 0;
    buffer->end = 0;
    buffer->size = (uint32_t) (bytes - sizeof(*buffer));
    buffer->class = class;
    slab->used += bytes;
    slab_count(slab);
    return buffer;
}

void xf_slab_put(struct xf_slab *slab, struct xf_buffer *buffer)
{
    if (buffer == NULL) {
        return;
    }
    XF_ASSERT(buffer->class < XF_SLAB_CLASSES);
    size_t bytes = (size_t) XF_SLAB_BYTES_MIN << buffer->class;
    XF_ASSERT(slab->used >= bytes);
    slab->used -= bytes;
    slab_count(slab);
    if (slab->kept_bytes + bytes > XF_SLAB_KEPT_BYTES) {
        free(buffer);
        return;
    }
    *(struct xf_buffer **) (void *) buffer->bytes = slab->kept[buffer->class];
    slab->kept[buffer->class] = buffer;
    slab->kept_bytes += bytes;
}

size_t xf_slab_room(const struct xf_slab *slab, size_t most, bool slow)
{
    uint64_t ceiling = slab->share - slab->share / 8;
    /* What is read may have to be kept in a class up to twice its size, and many read at once. */
    uint64_t room = slab->used < ceiling ? (ceiling - slab->used) / 32 : 0;
    if (room >= most) {
        return most;
    }
    if (room >= ROOM_BYTES_MIN) {
        return (size_t) room;
    }
    uint64_t last = slow ? ceiling : slab->share - slab->share / 32;
    return slab->used + 4 * ROOM_BYTES_MIN <= last ? ROOM_BYTES_MIN : 0;
}
