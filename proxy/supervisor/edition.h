/*
 * edition.h -- the workers of one configuration: their life, from the first fork to the last reap.
 *
 *     starting --routed--> opening --all accept--> serving --superseded--> retiring --empty--> over
 *         |                   |                       |                       ^
 *         '---- superseded ---+------ stop -----------+------- stop ----------'
 *
 * starting: workers run, the board holds no route.  opening: it does, and they were told to
 * accept.  serving: all do; an older edition may retire.  retiring: workers finish what they
 * have.  over: all are reaped, their counts folded.
 *
 * Belongs to the supervisor.  Workers are told things by comparing what they were told with what
 * they should know (edition_workers.c), so a worker that is replaced, or whose channel was full,
 * catches up by itself.
 */
#ifndef XF_PROXY_EDITION_H
#define XF_PROXY_EDITION_H

#include "proxy/supervisor/backoff.h"
#include "proxy/board/board.h"
#include "proxy/board/channel.h"
#include "proxy/supervisor/handover.h"
#include "proxy/supervisor/listener.h"
#include "proxy/board/logring.h"

#include <stdbool.h>
#include <sys/types.h>

enum xf_edition_state {
    XF_EDITION_STARTING,
    XF_EDITION_OPENING,
    XF_EDITION_SERVING,
    XF_EDITION_RETIRING,
    XF_EDITION_OVER,
    XF_EDITION_STATES
};
enum xf_edition_event {
    XF_ON_ROUTED,     /* the agent: the board holds a route for every service */
    XF_ON_ALL_ACCEPT, /* the last worker said that it accepts */
    XF_ON_SUPERSEDED, /* a newer edition serves, or this one never came to serve */
    XF_ON_STOP,       /* SIGTERM */
    XF_ON_EMPTY,      /* the last worker is reaped */
    XF_EDITION_EVENTS
};
const char *xf_edition_state_name(enum xf_edition_state state);
/* Pure.  False: no such arrow, the event changes nothing. */
XF_NODISCARD bool xf_edition_next(enum xf_edition_state from, enum xf_edition_event on,
                                  enum xf_edition_state *ret);

/* What a worker was told last; each implies those before it. */
enum xf_told {
    XF_TOLD_NOTHING,
    XF_TOLD_ACCEPT,
    XF_TOLD_LAMEDUCK,
    XF_TOLD_SHUT,
    XF_TOLD_RETIRE,
    XF_TOLD_STOP
};

struct xf_worker_slot {
    pid_t pid;   /* 0: none runs */
    int channel; /* -1: none */
    enum xf_told told;
    bool accepting;   /* it said so */
    bool stopped;     /* by SIGSTOP or a debugger */
    bool gone_untold; /* the agent has not heard yet that it was reaped */
    struct xf_backoff backoff;
    int64_t start_at_ms; /* when to fork the next one */
    uint64_t cycle_seen; /* its counter, to notice that it is stuck in mid-turn */
    int64_t cycle_since_ms;
    uint64_t turned_cycle; /* the same for systemd's watchdog: when the loop was seen to turn */
    int64_t turned_ms;
    struct xf_log_ring *ring; /* NULL: access log off */
};

struct xf_edition {
    uint64_t number;
    enum xf_edition_state state;
    struct xf_config *config; /* owned */
    int text_fd;              /* sealed: the configuration's text, for agent and shifter */
    int log_fd;               /* the access log's file; -1: none, or no file */
    struct xf_board *board;
    unsigned workers;
    struct xf_worker_slot *slot; /* [workers] */
    unsigned sockets;            /* socket slots: at least as many as workers */
    int *listen_fds;             /* [sockets * config->listeners_count], the listeners' */
    int *keeper;                 /* [sockets]: worker that keeps a socket for another, or -1 */
    int64_t deadline_ms;         /* CLOCK_BOOTTIME by which a retiring one must have ended */
    bool agent_knows, logger_knows;
    bool foreign; /* its workers run the binary before this one */
};

struct xf_edition_options {
    uint64_t number;
    struct xf_config *config;             /* taken over on success */
    int text_fd;                          /* taken over on success */
    int wake_fd;                          /* the logger's eventfd */
    const struct xf_listeners *listeners; /* open for config->workers already */
};
/* Makes board, rings and slots; forks nothing. */
XF_NODISCARD int xf_edition_create(const struct xf_edition_options *options,
                                   struct xf_edition **ret, struct xf_error *err);
/* Every worker must be reaped.  Accepts NULL. */
void xf_edition_destroy(struct xf_edition *edition);

/* ---- edition_handover.c ---- */

/* Reads the configuration in a sealed memfd; problems are the caller's to release. */
XF_NODISCARD int xf_edition_parse_text(const char *path, int fd, struct xf_config **ret,
                                       struct xf_problems *ret_problems);
/* For the next image of the supervisor; `*ret` is released by the caller, also when it fails. */
XF_NODISCARD int xf_edition_describe(const struct xf_edition *edition,
                                     struct xf_handed_edition *ret, struct xf_error *err);
/* Takes over what the image before described, descriptors included, also when it fails.  Nothing
 * is written anywhere. */
XF_NODISCARD int xf_edition_adopt(const struct xf_handed_edition *handed, const char *config_path,
                                  int wake_fd, struct xf_edition **ret, struct xf_error *err);
/* Forgets the workers, which somebody else leads, so that the edition may be destroyed. */
void xf_edition_disown(struct xf_edition *edition);

/* Opens the access log's file where it is one; *ret is -1 where there is none to open. */
XF_NODISCARD int xf_edition_open_log(const struct xf_config *config, int *ret,
                                     struct xf_error *err);

/* Feeds the state machine; true when the state changed. */
bool xf_edition_feed(struct xf_edition *edition, enum xf_edition_event event);

/* ---- edition_workers.c ---- */

struct xf_worker_context { /* what all workers of a host need besides their edition */
    int wake_fd;           /* the logger's eventfd */
    int stderr_fd;
};
/* Forks every worker whose time has come. */
void xf_edition_fork_due(struct xf_edition *edition, const struct xf_worker_context *context,
                         int64_t now_ms);
/* Tells workers what they should know: `serving` is for those that serve; the others retire, or
 * stop. */
void xf_edition_tell(struct xf_edition *edition, enum xf_told serving, bool stopping);
/* Gives sockets whose worker is away or stuck to a sibling, and takes them back. */
void xf_edition_keep_sockets(struct xf_edition *edition, int64_t now_ms);
/* Reads a worker's channel; true when it said something that may change the state. */
bool xf_edition_hear(struct xf_edition *edition, unsigned worker);
/* A worker was reaped: folds its counts; `restart` asks for a successor. */
void xf_edition_reaped(struct xf_edition *edition, unsigned worker, int status, bool restart,
                       int64_t now_ms);
unsigned xf_edition_running(const struct xf_edition *edition);
bool xf_edition_all_accept(const struct xf_edition *edition);
/* Whether any worker still has listening sockets in its loop. */
bool xf_edition_any_accepts(const struct xf_edition *edition);
void xf_edition_kill(const struct xf_edition *edition);

#endif
