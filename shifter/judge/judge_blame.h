/*
 * judge_blame.h -- which servers and which paths carry green's errors?
 *
 * A sketch keeps the keys (servers, or paths) with the most errors in bounded memory: space-saving
 * (Metwally and others): a new key that fails takes the place of the one with the fewest errors and
 * inherits its count as a possible overestimate.  Keys come from strangers: their text is made
 * printable and short.  Excess errors are those beyond what blue's own failing share explains.
 * Pure: the caller's memory, no clock, no input or output.
 */
#ifndef XF_SHIFTER_JUDGE_BLAME_H
#define XF_SHIFTER_JUDGE_BLAME_H

#include "config/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XF_BLAME_KEYS       64u
#define XF_BLAME_TEXT_BYTES 64u
#define XF_BLAME_TOP        5u

struct xf_blame_key {
    uint64_t hash;
    uint64_t done; /* responses since the key is kept */
    uint64_t bad;  /* of these failed, `over` included */
    uint64_t over; /* at most so many of them belonged to keys that were put out */
    char text[XF_BLAME_TEXT_BYTES];
};

struct xf_blame {
    unsigned count;
    uint64_t done; /* of all keys, kept or not */
    uint64_t bad;
    struct xf_blame_key keys[XF_BLAME_KEYS];
};

struct xf_blame_item {
    char text[XF_BLAME_TEXT_BYTES];
    uint64_t done;
    uint64_t bad;  /* at least */
    double excess; /* errors beyond the expected share */
    double of_all; /* part of the excess of all keys */
};

void xf_blame_init(struct xf_blame *blame);
/* Responses of one key: `done` of which `bad` failed.  A key that never failed is not kept. */
void xf_blame_add(struct xf_blame *blame, const char *text, size_t length, uint64_t done,
                  uint64_t bad);
/* Adds another's counts: the sum over proxies. */
void xf_blame_merge(struct xf_blame *blame, const struct xf_blame *from);

/* A request target as a key: without its query, segments that are numbers or long identifiers as
 * `*`.  Returns the length. */
size_t xf_blame_path(const char *target, size_t length, char out[XF_BLAME_TEXT_BYTES]);

/* The keys with the largest excess over the failing share `expected`, at most XF_BLAME_TOP, the
 * largest first; returns how many. */
unsigned xf_blame_top(const struct xf_blame *blame, double expected,
                      struct xf_blame_item ret[XF_BLAME_TOP]);

/* "mostly server 10.0.1.12:8000 (36 of 38 errors) and path /v1/orders (38 of 38 errors)", or the
 * largest few where none stands out; "" where there is no excess.  `expected` is blue's share. */
void xf_blame_phrase(const struct xf_blame *servers, const struct xf_blame *paths, double expected,
                     char out[XF_SENTENCE_BYTES]);

#endif
