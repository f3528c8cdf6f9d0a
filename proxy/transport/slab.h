/*
 * slab.h -- the buffers of one worker: partial heads, kept requests and output that is blocked.
 *
 * Belongs to one worker.  Sizes are powers of two; freed buffers wait in short lists, so the hot
 * path allocates nothing.  What is in use is counted against the worker's share of
 * `limits.buffers`: relays ask xf_slab_room() how much they may read, which shrinks as the share
 * fills.  At seven eighths those whose peer was once too slow pause; the others go on in small
 * pieces, and heads may use the last bit, so that a crowd of slow readers keeps nobody out.
 *
 *     get() --> in use, counted --> put() --> kept (up to XF_SLAB_KEPT_BYTES) --> freed
 */
#ifndef XF_PROXY_SLAB_H
#define XF_PROXY_SLAB_H

#include "config/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define XF_SLAB_CLASSES    11u /* 1 KiB, 2 KiB … 1 MiB */
#define XF_SLAB_BYTES_MIN  1024u
#define XF_SLAB_KEPT_BYTES (2u * 1024u * 1024u) /* free buffers kept by a worker */

/* Content stands in bytes[start, end). */
struct xf_buffer {
    uint32_t start, end;
    uint32_t size; /* of bytes[] */
    uint32_t class;
    char bytes[];
};

struct xf_slab {
    struct xf_buffer *kept[XF_SLAB_CLASSES];
    _Atomic uint64_t *gauge; /* stats->buffers */
    uint64_t used, share;
    uint64_t kept_bytes;
};

void xf_slab_init(struct xf_slab *slab, uint64_t share, _Atomic uint64_t *gauge);
void xf_slab_release(struct xf_slab *slab); /* frees what is kept */

/* A buffer of at least `size` bytes, empty; NULL when the share is used up, the size is beyond
 * the largest class or memory is out. */
XF_NODISCARD struct xf_buffer *xf_slab_get(struct xf_slab *slab, size_t size);
void xf_slab_put(struct xf_slab *slab, struct xf_buffer *buffer); /* accepts NULL */

/* How much a relay may read in one go, at most `most`; 0 means pause.  `slow`: what it read was
 * once too much for its peer. */
size_t xf_slab_room(const struct xf_slab *slab, size_t most, bool slow);

static inline uint32_t xf_buffer_length(const struct xf_buffer *buffer)
{
    return buffer == NULL ? 0 : buffer->end - buffer->start;
}

#endif
