/*
 * objects.c -- chunks and free lists; see objects.h.
 */
#include "proxy/transport/objects.h"

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 32768u

void xf_objects_init(struct xf_objects *objects, size_t size)
{
    *objects = (struct xf_objects){.size = (size + 15u) & ~(size_t) 15u};
    XF_ASSERT(objects->size <= CHUNK_BYTES / 4);
}

void xf_objects_release(struct xf_objects *objects)
{
    while (objects->chunks != NULL) {
        void *chunk = objects->chunks;
        ASAN_UNPOISON_MEMORY_REGION(chunk, CHUNK_BYTES);
        objects->chunks = *(void **) chunk;
        free(chunk);
    }
    objects->free = NULL;
}

static bool cut_chunk(struct xf_objects *objects)
{
    char *chunk = malloc(CHUNK_BYTES);
    if (chunk == NULL) {
        return false;
    }
    *(void **) (void *) chunk = objects->chunks;
    objects->chunks = chunk;
    for (size_t at = 16; at + objects->size <= CHUNK_BYTES; at += objects->size) {
        xf_objects_put(objects, chunk + at);
    }
    return true;
}

void *xf_objects_get(struct xf_objects *objects)
{
    if (objects->free == NULL && !cut_chunk(objects)) {
        return NULL;
    }
    void *object = objects->free;
    ASAN_UNPOISON_MEMORY_REGION(object, objects->size);
    objects->free = *(void **) object;
    memset(object, 0, objects->size);
    return object;
}

void xf_objects_put(struct xf_objects *objects, void *object)
{
    *(void **) object = objects->free;
    objects->free = object;
    /* Under AddressSanitizer a touch of what was given back is caught like a touch of freed memory.
     */
    ASAN_POISON_MEMORY_REGION(object, objects->size);
}
