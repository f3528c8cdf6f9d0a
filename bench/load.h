/*
 * load.h -- the parts of bench/load: client, backend, relay.
 */
#ifndef XF_BENCH_LOAD_H
#define XF_BENCH_LOAD_H

#include <stdint.h>

struct load_options {
    unsigned port;
    const char *path;
    const char *kind;
    unsigned connections;
    double seconds;
};

int load_client(const struct load_options *options);
int load_tls_client(const struct load_options *options);
int load_tls_idle(unsigned port, unsigned connections);
int load_backend(unsigned port);
int load_relay(unsigned port, unsigned to);

uint64_t load_now_us(void);
void load_die(const char *what) __attribute__((noreturn));
int load_listen(unsigned port);  /* on the loopback, non-blocking, TCP_NODELAY inherited */
int load_connect(unsigned port); /* likewise; may still be in progress */

#endif
