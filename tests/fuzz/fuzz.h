/*
 * fuzz.h -- what every fuzz target has: one entry point, and a check that stops the run.
 *
 * A target is a file with LLVMFuzzerTestOneInput; under clang it is linked with libFuzzer, in an
 * ordinary build with replay.c, which feeds it the files of corpus/ and regression/.
 */
#ifndef XF_TESTS_FUZZ_H
#define XF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A number that depends on every byte, for choices that must be the same each time. */
static inline size_t fuzz_hash(const uint8_t *data, size_t size)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * 1099511628211u;
    }
    return (size_t) (hash ^ hash >> 32);
}

/* A heap block of exactly `size` bytes, so that a read behind it is seen. */
static inline char *fuzz_exact(const void *bytes, size_t size)
{
    char *copy = calloc(1, size > 0 ? size : 1);
    FUZZ_CHECK(copy != NULL);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

/* For targets with fuzz_memory.c: which run is counted, and which is short of memory. */
void fuzz_count_allocations(void); /* from here on */
void fuzz_fail_one(size_t any);    /* of as many as were counted; `any` says which */
void fuzz_fail_none(void);

#endif
