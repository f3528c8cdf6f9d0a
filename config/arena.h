/*
 * arena.h -- memory that is given back all at once.
 *
 * A configuration or a parsed file is made of many small pieces that live and die together.
 * Nothing taken from an arena is freed alone.
 */
#ifndef XF_CONFIG_ARENA_H
#define XF_CONFIG_ARENA_H

#include "config/base/check.h"

#include <stddef.h>

struct xf_arena;

XF_NODISCARD struct xf_arena *xf_arena_create(void); /* NULL means out of memory */
void xf_arena_destroy(struct xf_arena *arena);       /* accepts NULL */

/* `count` zeroed objects of `bytes` each, aligned for any type.  NULL means out of memory. */
XF_NODISCARD void *xf_arena_take(struct xf_arena *arena, size_t count, size_t bytes);
/* A terminated copy of `length` bytes of `text`. */
XF_NODISCARD char *xf_arena_copy(struct xf_arena *arena, const char *text, size_t length);
/* A formatted string. */
XF_NODISCARD char *xf_arena_format(struct xf_arena *arena, const char *format, ...) XF_PRINTF(2, 3);

#endif
