/*
 * proxy.h -- the data plane as the control plane sees it.
 *
 * shifter/ includes this, and through it the board (routes, health, counters), the channel to
 * the supervisor the HTTP/1.1 parser that the admin port shares and the check of
 * certificates; nothing else of proxy/.
 */
#ifndef XF_PROXY_PROXY_H
#define XF_PROXY_PROXY_H

#include "config/config.h"
#include "proxy/board/board.h"
#include "proxy/board/channel.h"
#include "proxy/http/chunked.h"
#include "proxy/board/histogram.h"
#include "proxy/http/http1.h"
#include "proxy/board/inforce.h"
#include "proxy/transport/tls_context.h"

/* What a child of the supervisor is given.  It returns the process's exit code. */
struct xf_child_start {
    const struct xf_config *config;
    const char *config_path;
    int channel_fd; /* to the supervisor; its end of file means the supervisor is gone */
    int state_dir_fd;
    bool assume_live; /* --assume-live: serve the configured live cluster without a store */
    bool allow_stale; /* --allow-stale: an old snapshot may serve */
};
typedef int xf_child_main(const struct xf_child_start *start);

struct xf_supervisor_options {
    const char *config_path;
    xf_child_main *agent_main;   /* NULL: none */
    xf_child_main *shifter_main; /* NULL: this host's supervisor runs none (`crossfade proxy`) */
    bool workers;                /* false: `crossfade shifter` runs the shifter alone */
    bool assume_live;
    bool allow_stale;
    char *const *arguments; /* of the program, ended by NULL: a re-execution repeats them */
};

/* For `check`: where a supervisor that wants to re-execute itself asked for it, whether this binary
 * could take over from it.  0, or 1 with the reason on standard error. */
int xf_handover_check(const char *config_path);

/* Runs until it is told to stop; returns the process's exit code.  Blocks; makes no event_base. */
int xf_supervisor_run(const struct xf_supervisor_options *options);

#endif
