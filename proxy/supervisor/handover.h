/*
 * handover.h -- what one image of the supervisor leaves to the next when it re-executes itself.
 *
 *     old image --describe--> text in a sealed memfd --exec, same pid--> new image --parse,
 * adopt-->
 *
 * The descriptors stay open over the exec, under the same numbers; the text says which is which.
 * It begins with its version: a reader that knows another one refuses.  The fields are in one
 * fixed order, and everything is bounded: a text that was not written by write() is an error.
 *
 * Frozen, because processes of two versions share them: this text, the segments of boards
 * (board.h: magic and version), the rings (logring.h) and the numbers in channel.h.
 */
#ifndef XF_PROXY_HANDOVER_H
#define XF_PROXY_HANDOVER_H

#include "config/base/error.h"
#include "config/base/text.h"
#include "proxy/board/inforce.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define XF_HANDOVER_VERSION     1u
#define XF_HANDOVER_BYTES_MAX   (4u * 1024u * 1024u)
#define XF_HANDOVER_ENVIRONMENT "CROSSFADE_HANDOVER" /* the number of the memfd */
/* What `check` prints when it could take over. */
#define XF_HANDOVER_ACCEPTED "crossfade-handover 1 accepted"

enum xf_handed_child_name {
    XF_HANDED_AGENT,
    XF_HANDED_SHIFTER,
    XF_HANDED_LOGGER,
    XF_HANDED_CHILDREN
};

struct xf_handed_child {
    pid_t pid; /* 0: none */
    int channel;
};

struct xf_handed_bind { /* one address; it is read from its socket */
    bool inherited;     /* from systemd */
    unsigned slots;
    int fds[XF_WORKERS_MAX];
};

struct xf_handed_worker {
    pid_t pid;
    int channel;
    unsigned told; /* enum xf_told */
    bool accepting, stopped;
    int ring_fd, stats_fd;
    int64_t start_at_ms;
};

struct xf_handed_edition {
    uint64_t number;
    unsigned state; /* enum xf_edition_state */
    int64_t deadline_ms;
    int text_fd, log_fd, control_fd, retired_fd;
    unsigned workers, sockets, listeners;
    struct xf_handed_worker *worker; /* [workers], owned */
    int *listen_fds;                 /* [sockets * listeners], owned */
    int *keeper;                     /* [sockets], owned */
};

struct xf_handed {
    uint64_t last_edition, attempts;
    int64_t tickets_at_ms, watchdog_ms;
    int state_dir_fd, unix_fd, tcp_fd, notify_fd, wake_fd, messages[2];
    int next_text_fd; /* the configuration that the next image is to serve */
    struct xf_handed_child child[XF_HANDED_CHILDREN];
    unsigned slots, binds;
    struct xf_handed_bind *bind; /* [binds], owned */
    unsigned editions;
    struct xf_handed_edition edition[XF_INFORCE_EDITIONS_MAX];
};

/* Memory for an edition's arrays, every descriptor -1.  False: none, or more than there can be. */
XF_NODISCARD bool xf_handed_size_edition(struct xf_handed_edition *edition);
void xf_handed_release(struct xf_handed *handed); /* memory only: descriptors stay open */

void xf_handed_write(const struct xf_handed *handed, struct xf_text *text);
/* `*ret` is released by the caller, also when it fails. */
XF_NODISCARD int xf_handed_parse(const char *text, size_t length, struct xf_handed *ret,
                                 struct xf_error *err);

/* ---- handover_check.c ---- */

/* Whether the image before left something; takes its number out of the environment. */
bool xf_handover_given(int *ret_fd);
/* Reads and parses a sealed memfd; `*ret` is released by the caller, also when it fails. */
XF_NODISCARD int xf_handover_read(int fd, struct xf_handed *ret, struct xf_error *err);

/* Calls `each` for every descriptor that is not -1. */
void xf_handed_each_fd(const struct xf_handed *handed, void (*each)(void *context, int fd),
                       void *context);
/* No process that is executed later inherits one of them. */
void xf_handed_close_on_exec(const struct xf_handed *handed);

#endif
