/*
 * arena.c -- blocks in a list; small pieces share one, large ones get their own.
 */
#include "config/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t) 16 * 1024)

struct block {
    struct block *next;
    size_t used;
    size_t capacity;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct xf_arena {
    struct block *blocks; /* the newest first; only it is filled further */
};

struct xf_arena *xf_arena_create(void)
{
    return calloc(1, sizeof(struct xf_arena));
}

void xf_arena_destroy(struct xf_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    while (arena->blocks != NULL) {
        struct block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    free(arena);
}

static bool block_add(struct xf_arena *arena, size_t bytes)
{
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct block *block = calloc(1, sizeof(*block) + capacity);
    if (block == NULL) {
        return false;
    }
    block->capacity = capacity;
    block->next = arena->blocks;
    arena->blocks = block;
    return true;
}

void *xf_arena_take(struct xf_arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total) || total > PTRDIFF_MAX / 2) {
        return NULL;
    }
    size_t step = alignof(max_align_t);
    total = (total + step - 1) / step * step;
    struct block *block = arena->blocks;
    if (block == NULL || total > block->capacity - block->used) {
        if (!block_add(arena, total)) {
            return NULL;
        }
        block = arena->blocks;
    }
    void *piece = block->bytes + block->used;
    block->used += total;
    return piece;
}

char *xf_arena_copy(struct xf_arena *arena, const char *text, size_t length)
{
    char *copy = xf_arena_take(arena, length + 1, 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

char *xf_arena_format(struct xf_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *copy = length < 0 ? NULL : xf_arena_take(arena, (size_t) length + 1, 1);
    if (copy != NULL) {
        va_start(arguments, format);
        vsnprintf(copy, (size_t) length + 1, format, arguments);
        va_end(arguments);
    }
    return copy;
}
