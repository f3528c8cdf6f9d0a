/*
 * http_bench.h -- a small HTTP server in a process of its own, for tests of what goes out.
 *
 * It answers one request a connection with the texts it was given, in turn (the last one ever
 * after), and keeps what it read in a file.  With TLS it shows a certificate made for the test.
 */
#ifndef XF_TEST_HTTP_BENCH_H
#define XF_TEST_HTTP_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct http_bench {
    char folder[64];
    char ca[96];  /* the certificate, which is its own authority */
    char log[96]; /* every request, one after the other */
    uint16_t port;
    pid_t pid;
};

/* `answers` ends with NULL.  `names` are the certificate's, `IP:127.0.0.1,DNS:localhost`; NULL:
 * no TLS.  An answer of "" closes without a word. */
void http_bench_start(struct http_bench *bench, const char *const *answers, const char *names);
void http_bench_stop(struct http_bench *bench);
/* All that was read so far; the caller frees it. */
char *http_bench_requests(const struct http_bench *bench);
unsigned http_bench_count(const struct http_bench *bench); /* of requests */

#endif
