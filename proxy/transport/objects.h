/*
 * objects.h -- memory for the many small structs of one kind that come and go.
 *
 * Belongs to one worker.  Objects are cut from chunks and go back to a free list; chunks are
 * freed with the whole.  An object costs its own size, without malloc's header.
 */
#ifndef XF_PROXY_OBJECTS_H
#define XF_PROXY_OBJECTS_H

#include "config/base/check.h"

#include <stddef.h>

struct xf_objects {
    size_t size;  /* of one object, rounded up to a multiple of 16 */
    void *free;   /* the free list runs through the first word of the objects */
    void *chunks; /* and that of the chunks likewise */
};

void xf_objects_init(struct xf_objects *objects, size_t size);
void xf_objects_release(struct xf_objects *objects);
XF_NODISCARD void *xf_objects_get(struct xf_objects *objects); /* zeroed; NULL without memory */
void xf_objects_put(struct xf_objects *objects, void *object);

#endif
