/*
 * spawn.h -- forking a child that holds nothing but what it was given.
 *
 * The child has its channel, standard input from /dev/null, its standard error, and the
 * descriptors it keeps; every other one is closed.  Nothing is dumpable, nothing may gain
 * privileges by exec.  Signals that an operator sends to the whole group (SIGINT, SIGTERM,
 * SIGHUP, SIGUSR1, SIGUSR2) do nothing: what to do comes through the channel.
 */
#ifndef XF_PROXY_SPAWN_H
#define XF_PROXY_SPAWN_H

#include "config/base/error.h"

#include <stdbool.h>
#include <sys/types.h>

#define XF_SPAWN_KEEP_MAX 20480u

struct xf_spawn {
    char title[16];  /* shown by ps: `cf-worker-0` */
    const int *keep; /* descriptors that stay open besides the channel; -1 is skipped */
    unsigned keep_count;
    int stderr_fd;     /* becomes standard error; -1: the supervisor's own */
    bool unprivileged; /* as root: becomes the user `crossfade`, else `nobody` */
    /* Runs with privileges, before they are dropped; may be NULL.  -1 ends the child. */
    int (*prepare)(void *context, struct xf_error *err);
    int (*run)(void *context, int channel_fd); /* the child's life; returns its exit code */
    void *context;
};

/* Forks.  `*ret_channel` is the supervisor's end of the child's channel. */
XF_NODISCARD int xf_spawn(const struct xf_spawn *spawn, pid_t *ret_pid, int *ret_channel,
                          struct xf_error *err);

/* For this process: not dumpable, no new privileges. */
void xf_spawn_harden(void);

#endif
