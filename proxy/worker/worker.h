/*
 * worker.h -- one process, one loop, one CPU: it parses what strangers send.
 *
 * The supervisor forks it; before this function is called it has the board entered
 * (xf_board_enter_worker), no descriptors but those named here, no privileges, and is not
 * dumpable.  It makes its own event_base.  It returns the process's exit code.
 */
#ifndef XF_PROXY_WORKER_H
#define XF_PROXY_WORKER_H

#include "proxy/board/board.h"

struct xf_log_ring;     /* logring.h */
struct xf_overrides;    /* override.h */
struct xf_tls_contexts; /* tls_context.h */

struct xf_worker_start {
    const struct xf_config *config;
    const struct xf_board *board; /* control (read-only) and stats[index] (writable) */
    unsigned index;
    int channel_fd; /* to the supervisor: channel.h */
    /* listen_fds[slot * listeners_count + listener]: every worker slot's sockets are inherited by
     * all, so that a sibling can ADOPT a dead worker's; own slot is `index`.  Sockets that come
     * from systemd stand in every slot under the same number. */
    const int *listen_fds;
    unsigned slots;
    struct xf_log_ring *log_ring;         /* NULL: access log off */
    struct xf_tls_contexts *tls;          /* of the listeners; NULL: none has TLS */
    const struct xf_overrides *overrides; /* NULL: no service has one */
};

int xf_worker_run(const struct xf_worker_start *start);

#endif
