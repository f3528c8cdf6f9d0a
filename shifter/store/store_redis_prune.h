/*
 * store_redis_prune.h -- drops the old entries of one service's log; for store_redis.c only.
 */
#ifndef XF_SHIFTER_STORE_REDIS_PRUNE_H
#define XF_SHIFTER_STORE_REDIS_PRUNE_H

#include "shifter/store/resp.h"

#include <stdint.h>

/* Drops entries written before `old_ms`, up to the first that is younger, of generation
 * `generation` or later, or of the cutover that `document` names.  Works by itself, page by page,
 * and ends with its connection; what fails is left to the next look. */
void xf_store_redis_prune(struct xf_resp *resp, const char *key, int64_t old_ms,
                          uint64_t generation, const char *document);

#endif
