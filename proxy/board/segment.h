/*
 * segment.h -- a piece of shared memory whose size nobody can change any more.
 *
 * A memfd of mode 0600, sized, allocated and sealed against shrinking, growing and further seals:
 * once mapped, no process can make another one fault by truncating it.  Knows nothing about what
 * is kept inside.
 */
#ifndef XF_PROXY_SEGMENT_H
#define XF_PROXY_SEGMENT_H

#include "config/base/error.h"

#include <stdint.h>

/* The header of a segment ends at a multiple of this, so that its page can be mapped apart; the
 * largest page size of the kernels we run on. */
#define XF_SEGMENT_PAGE_BYTES 65536u

/* Creates a zeroed segment; `name` shows in /proc.  The descriptor is close-on-exec. */
XF_NODISCARD int xf_segment_create(const char *name, uint64_t bytes, int *ret_fd,
                                   struct xf_error *err);
/* The size of a descriptor that came from elsewhere; refused unless it is sealed as above. */
XF_NODISCARD int xf_segment_size(int fd, uint64_t *ret_bytes, struct xf_error *err);
/* Maps all of it shared and populated, readable and writable.  NULL: `err` says why. */
XF_NODISCARD void *xf_segment_map(int fd, uint64_t bytes, struct xf_error *err);
/* Maps the first `fixed` bytes so that this process can never write them again, and the rest
 * writable.  `fixed` is a multiple of XF_SEGMENT_PAGE_BYTES, or `bytes` for all of it. */
XF_NODISCARD void *xf_segment_map_guarded(int fd, uint64_t bytes, uint64_t fixed,
                                          struct xf_error *err);

#endif
