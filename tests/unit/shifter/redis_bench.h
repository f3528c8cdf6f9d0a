/*
 * redis_bench.h -- a real redis-server of the test's own, and a server that only pretends.
 */
#ifndef XF_TEST_REDIS_BENCH_H
#define XF_TEST_REDIS_BENCH_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct redis_bench {
    char folder[64];
    uint16_t port;
    pid_t pid;
    struct xf_endpoint endpoint;
    char host[32];
};

/* Starts redis-server on a free port in a folder of its own, and waits until it answers. */
void redis_bench_start(struct redis_bench *bench);
/* The same port and folder again, after redis_bench_kill. */
void redis_bench_restart(struct redis_bench *bench);
void redis_bench_kill(struct redis_bench *bench); /* SIGKILL, and reaped */
void redis_bench_stop(struct redis_bench *bench); /* and removes the folder */
/* A server that accepts and sends these bytes to each connection, and then keeps silent. */
void redis_bench_pretend(struct redis_bench *bench, const char *bytes, size_t length);
void redis_bench_config(struct redis_bench *bench, struct xf_config *config);
/* Runs one command by hand, words apart by spaces; returns the first line of the raw answer, in
 * static memory.  For a bulk string it is the string. */
const char *redis_by_hand(struct redis_bench *bench, const char *format, ...) XF_PRINTF(2, 3);

/* HSET cf:{test:service}:state doc document. */
void redis_set_by_hand(struct redis_bench *bench, const char *service, const char *document);

#endif
