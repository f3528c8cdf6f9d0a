/*
 * fuzz_memory.c -- memory that cannot be had: one allocation of the code under test fails, any of
 * those that the same input made before.
 *
 * The linker sends the calls of everything that is linked statically through here (--wrap), those
 * of the libraries not: jansson asserts that it gets its memory, and aborts.
 */
#include "fuzz.h"

#include <stdbool.h>

static size_t left;    /* allocations until the one that fails; 0: none does */
static size_t counted; /* so many were made */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

void fuzz_count_allocations(void)
{
    counted = 0;
}

void fuzz_fail_one(size_t any)
{
    left = 1 + any % (counted > 0 ? counted : 1);
}

void fuzz_fail_none(void)
{
    left = 0;
}

static bool fails(void)
{
    counted++;
    return left > 0 && --left == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails() ? NULL : __real_strndup(text, size);
}
