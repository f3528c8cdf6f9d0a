/*
 * supervisor_state.h -- what the files of the supervisor share; nobody else includes it.
 *
 *     running --SIGTERM--> lameduck (only with a health path) --> shut (nobody new gets in, who is
 *         at the door does) --> draining --all workers gone--> leaving (agent leaves the roster,
 *         then shifter, then logger end) --> gone
 *     anything --second SIGTERM--> gone
 */
#ifndef XF_PROXY_SUPERVISOR_STATE_H
#define XF_PROXY_SUPERVISOR_STATE_H

#include "config/base/clock.h"
#include "config/base/text.h"
#include "proxy/supervisor/admin_socket.h"
#include "proxy/supervisor/edition.h"
#include "proxy/board/inforce.h"
#include "proxy/supervisor/instance.h"
#include "proxy/supervisor/notify.h"
#include "proxy/proxy.h"

#include <limits.h>
#include <sys/stat.h>

enum xf_phase {
    XF_PHASE_RUNNING,
    XF_PHASE_LAMEDUCK,
    XF_PHASE_SHUT,
    XF_PHASE_DRAINING,
    XF_PHASE_LEAVING,
    XF_PHASE_GONE,
};

struct xf_child {     /* agent, shifter, logger */
    const char *name; /* literal; NULL: this supervisor has none of the kind */
    pid_t pid;
    int channel;
    struct xf_backoff backoff;
    int64_t start_at_ms;
    bool ended_for_good; /* while stopping: no successor */
    bool replaced;       /* asked to end, to be started anew with the new configuration */
};

enum xf_reload_state {
    XF_RELOAD_NONE,
    XF_RELOAD_CHECKING, /* a child reads the file */
    XF_RELOAD_ASKING,   /* the agent compares with the control state */
    XF_RELOAD_OPENING,  /* the new edition is on its way to serving */
};

struct xf_reload {
    enum xf_reload_state state;
    bool again;  /* asked for once more meanwhile: many requests become one */
    bool reexec; /* the new edition is to be the new binary's */
    int64_t not_before_ms;
    int64_t deadline_ms; /* of the present state */
    pid_t child;
    int report_fd; /* what the child complains about; -1: none */
    struct xf_text report;
    int text_fd;              /* sealed text of the file under way */
    struct xf_config *config; /* parsed from it; NULL until the child said it is good */
    uint64_t question;        /* the number of the CHECK; 0: not asked yet */
    uint64_t edition;         /* the one on its way */
};

enum xf_reexec_outcome { XF_REEXEC_NONE, XF_REEXEC_RUNNING, XF_REEXEC_DONE, XF_REEXEC_REFUSED };

struct xf_reexec {
    char binary[PATH_MAX];
    struct stat looked_at; /* the file that was checked */
    bool asked;
    uint64_t attempts; /* ever, over all images; what follows is about the last one */
    enum xf_reexec_outcome outcome;
    char why[XF_CHANNEL_TEXT_BYTES];
    bool told; /* the agent knows the outcome */
};

struct xf_watchdog {
    int64_t next_ms;  /* when it is to be fed */
    int64_t asked_ms; /* since when the agent owes an answer; 0: it does not */
    bool sent;        /* the question is in its channel */
    bool starving;    /* the log says so */
};

struct xf_supervisor {
    const struct xf_supervisor_options *options;
    const struct xf_clock *clock;
    enum xf_phase phase;
    int exit_code;
    int64_t phase_deadline_ms; /* CLOCK_BOOTTIME: when the present phase must be over */
    int64_t shut_until_ms;     /* likewise: SHUT waits no longer for connections that have begun */

    struct xf_instance instance;
    struct xf_listeners listeners;
    bool listening, ready;
    struct xf_admin_sockets admin;
    bool admin_told;
    struct xf_notify notify;
    struct xf_watchdog watchdog;

    struct xf_edition *editions[XF_INFORCE_EDITIONS_MAX]; /* the newest is the last */
    unsigned editions_count;
    uint64_t last_edition;
    int64_t tickets_at_ms; /* when the keys of tickets are replaced */

    struct xf_child agent, shifter, logger;
    bool stopping_told; /* the agent knows that we stop */
    struct xf_reload reload;
    struct xf_reexec reexec;

    int signal_fd;
    int wake_fd;     /* eventfd of the logger */
    int messages[2]; /* pipe: the children's standard error, to the logger */
};

static inline int64_t xf_supervisor_now(const struct xf_supervisor *supervisor)
{
    return xf_clock_boottime_ms(supervisor->clock);
}
static inline struct xf_edition *xf_supervisor_newest(const struct xf_supervisor *supervisor)
{
    return supervisor->editions_count == 0 ? NULL
                                           : supervisor->editions[supervisor->editions_count - 1];
}

/* ---- supervisor_editions.c ---- */

/* Makes the next edition of `config` and `text_fd` (both taken over on success). */
XF_NODISCARD int xf_supervisor_begin_edition(struct xf_supervisor *supervisor,
                                             struct xf_config *config, int text_fd,
                                             struct xf_error *err);
/* One turn for all editions: forks, tells, moves states, ends what is over. */
void xf_supervisor_turn_editions(struct xf_supervisor *supervisor);
/* The agent says that the board of edition `number` holds its routes. */
void xf_supervisor_routed(struct xf_supervisor *supervisor, uint64_t number);
/* True when `pid` was a worker. */
bool xf_supervisor_reaped_worker(struct xf_supervisor *supervisor, pid_t pid, int status);
void xf_supervisor_worker_stopped(struct xf_supervisor *supervisor, pid_t pid, bool stopped);
void xf_supervisor_reopen_logs(struct xf_supervisor *supervisor);

/* ---- supervisor_tickets.c ---- */

/* Gives the board of an edition that is about to begin its keys. */
void xf_supervisor_begin_tickets(struct xf_supervisor *supervisor, struct xf_edition *edition);
void xf_supervisor_turn_tickets(struct xf_supervisor *supervisor);

/* ---- supervisor_children.c ---- */

void xf_supervisor_turn_children(struct xf_supervisor *supervisor);
bool xf_supervisor_reaped_child(struct xf_supervisor *supervisor, pid_t pid, int status);
void xf_supervisor_hear_agent(struct xf_supervisor *supervisor);
void xf_supervisor_hear_child(struct xf_child *child);
/* Ends the channel: the child finishes by itself. */
void xf_supervisor_let_go(struct xf_child *child);
/* To the agent; false when it cannot be sent now. */
bool xf_supervisor_tell_agent(struct xf_supervisor *supervisor,
                              const struct xf_channel_message *message);

/* ---- supervisor_reload.c ---- */

/* Reads `path` into a sealed memfd. */
XF_NODISCARD int xf_supervisor_read_text(const char *path, int *ret_fd, struct xf_error *err);
/* Parses the text in `fd`; problems are the caller's to release. */
XF_NODISCARD int xf_supervisor_parse_text(const char *path, int fd, struct xf_config **ret,
                                          struct xf_problems *ret_problems);
void xf_supervisor_ask_reload(struct xf_supervisor *supervisor);
void xf_supervisor_turn_reload(struct xf_supervisor *supervisor);
void xf_supervisor_verdict(struct xf_supervisor *supervisor,
                           const struct xf_channel_message *message);
bool xf_supervisor_reaped_checker(struct xf_supervisor *supervisor, pid_t pid, int status);
void xf_supervisor_release_reload(struct xf_supervisor *supervisor);

/* After a take-over: begins the edition that the image before was asked for. */
void xf_supervisor_open_adopted(struct xf_supervisor *supervisor);

/* ---- supervisor_reexec.c ---- */

void xf_supervisor_find_binary(struct xf_supervisor *supervisor);
void xf_supervisor_ask_reexec(struct xf_supervisor *supervisor);
/* Starts the binary on disk as the reload's checker; what it says goes to `report_fd`. */
XF_NODISCARD int xf_supervisor_try_binary(struct xf_supervisor *supervisor, int report_fd,
                                          struct xf_error *err);
/* Whether its report says that it could take over. */
bool xf_supervisor_binary_accepted(const struct xf_supervisor *supervisor);
/* Returns only when it failed: everything is as before then. */
XF_NODISCARD int xf_supervisor_become_binary(struct xf_supervisor *supervisor,
                                             struct xf_error *err);
void xf_supervisor_note_reexec(struct xf_supervisor *supervisor, enum xf_reexec_outcome outcome,
                               const char *why);

/* ---- supervisor_watchdog.c ---- */

void xf_supervisor_turn_watchdog(struct xf_supervisor *supervisor);
void xf_supervisor_hear_pong(struct xf_supervisor *supervisor);

/* ---- supervisor_handover.c ---- */

/* `*ret` is released by the caller, also when it fails. */
XF_NODISCARD int xf_supervisor_describe(const struct xf_supervisor *supervisor,
                                        struct xf_handed *ret, struct xf_error *err);
XF_NODISCARD int xf_supervisor_write_handover(const struct xf_handed *handed, int *ret_fd,
                                              struct xf_error *err);
/* Takes over what the image before left in `fd`. */
XF_NODISCARD int xf_supervisor_adopt(struct xf_supervisor *supervisor, int fd,
                                     struct xf_error *err);

/* ---- supervisor_stop.c ---- */

void xf_supervisor_stop(struct xf_supervisor *supervisor);
void xf_supervisor_stop_now(struct xf_supervisor *supervisor, int exit_code);
void xf_supervisor_turn_stop(struct xf_supervisor *supervisor);

/* ---- supervisor_limits.c ---- */

/* Raises the limit of open files to the hard one, and lowers limits.connections of `config`, with
 * a warning, to what that allows. */
void xf_supervisor_fit_limits(struct xf_config *config, unsigned sockets);

#endif
