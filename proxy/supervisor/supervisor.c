/*
 * supervisor.c -- start, loop and end of the process that everything else hangs from.
 *
 * It owns sockets, segments and children, and waits in poll(2).  It parses nothing from the
 * network and makes no event_base: what it forks must not inherit one.
 *
 * Start: configuration -> instance lock -> sockets bound -> first edition's board -> logger,
 * agent, shifter -> workers -> the agent says ROUTED -> listen() -> ACCEPT -> READY.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"
#include "proxy/supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS          250 /* stuck workers, back-offs, time limits */
#define STOPPING_TICK_MS 20
#define POLLED_MAX       (8u + XF_INFORCE_EDITIONS_MAX * XF_WORKERS_MAX)

/* ---- start ---- */

static int block_signals(int *ret_fd, struct xf_error *err)
{
    static const int numbers[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < XF_COUNT(numbers); i++) {
        sigaddset(&set, numbers[i]);
    }
    (void) signal(SIGPIPE, SIG_IGN);
    (void) sigprocmask(SIG_BLOCK, &set, NULL);
    *ret_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return *ret_fd >= 0 ? 0 : XF_FAIL(err, XF_E_SYSTEM, "signalfd: %s", strerrordesc_np(errno));
}

static int open_plumbing(struct xf_supervisor *supervisor, struct xf_error *err)
{
    supervisor->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (supervisor->wake_fd < 0 || pipe2(supervisor->messages, O_NONBLOCK | O_CLOEXEC) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make a pipe: %s", strerrordesc_np(errno));
    }
    return 0;
}

static bool socket_is_ours(void *context, const struct xf_endpoint *endpoint)
{
    const struct xf_listeners *listeners = context;
    return xf_listeners_has(listeners, endpoint);
}

/* The file's problems go to standard error as they are: it is a person who starts us. */
static int read_config(struct xf_supervisor *supervisor, struct xf_config **ret, int *ret_fd,
                       struct xf_error *err)
{
    const char *path = supervisor->options->config_path;
    struct xf_problems problems;
    if (xf_supervisor_read_text(path, ret_fd, err) != 0) {
        return -1;
    }
    int failed = xf_supervisor_parse_text(path, *ret_fd, ret, &problems);
    xf_problems_print(&problems, stderr);
    xf_problems_release(&problems);
    if (failed != 0) {
        close(*ret_fd);
        return XF_FAIL(err, XF_E_CONFIG, "%s is not valid", path);
    }
    return 0;
}

static int take_host(struct xf_supervisor *supervisor, struct xf_config *config, int text_fd,
                     struct xf_error *err)
{
    if (!supervisor->options->workers) {
        config->listeners_count = 0; /* `crossfade shifter` serves nobody */
    }
    if (xf_instance_take(config, XF_INSTANCE_WAIT_MS, socket_is_ours, &supervisor->listeners,
                         &supervisor->instance, err) != 0) {
        return -1;
    }
    if (supervisor->options->agent_main != NULL &&
        xf_admin_sockets_open(config, &supervisor->admin, err) != 0) {
        return -1;
    }
    return xf_supervisor_begin_edition(supervisor, config, text_fd, err);
}

static void name_children(struct xf_supervisor *supervisor)
{
    supervisor->logger.name = "logger";
    supervisor->agent.name = supervisor->options->agent_main != NULL ? "agent" : NULL;
    supervisor->shifter.name = supervisor->options->shifter_main != NULL ? "shifter" : NULL;
}

/* The image before left everything open; where that cannot be taken over, nobody is there to undo
 * it: what runs sees our end and finishes by itself. */
static int take_over(struct xf_supervisor *supervisor, int handover_fd, struct xf_error *err)
{
    if (xf_supervisor_adopt(supervisor, handover_fd, err) != 0) {
        fprintf(stderr, "crossfade: %s\n", err->message);
        _exit(xf_error_exit_code(err->code));
    }
    xf_log(XF_LOG_NOTICE, "reexec.taken_over", "version=%s editions=%u", XF_VERSION,
           supervisor->editions_count);
    return 0;
}

static int start(struct xf_supervisor *supervisor, struct xf_error *err)
{
    struct xf_config *config = NULL;
    int text_fd = -1, handover_fd;
    if (block_signals(&supervisor->signal_fd, err) != 0 ||
        xf_listeners_init(&supervisor->listeners, err) != 0) {
        return -1;
    }
    name_children(supervisor);
    if (xf_handover_given(&handover_fd)) {
        return take_over(supervisor, handover_fd, err);
    }
    if (open_plumbing(supervisor, err) != 0 ||
        read_config(supervisor, &config, &text_fd, err) != 0) {
        return -1;
    }
    if (take_host(supervisor, config, text_fd, err) != 0) {
        xf_admin_sockets_close(&supervisor->admin, config);
        xf_config_destroy(config);
        close(text_fd);
        return -1;
    }
    xf_log(XF_LOG_NOTICE, "supervisor.started", "version=%s config=%s state_dir=%s", XF_VERSION,
           supervisor->options->config_path, config->state_dir);
    return 0;
}

/* ---- signals ---- */

static void reap(struct xf_supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
        if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
            xf_supervisor_worker_stopped(supervisor, pid, WIFSTOPPED(status));
        } else if (!xf_supervisor_reaped_worker(supervisor, pid, status) &&
                   !xf_supervisor_reaped_child(supervisor, pid, status)) {
            (void) xf_supervisor_reaped_checker(supervisor, pid, status);
        }
    }
}

static void take_signals(struct xf_supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(supervisor);
            break;
        case SIGHUP:
            xf_supervisor_ask_reload(supervisor);
            break;
        case SIGUSR2:
            xf_supervisor_ask_reexec(supervisor);
            break;
        case SIGUSR1:
            xf_supervisor_reopen_logs(supervisor);
            break;
        case SIGQUIT:
            xf_supervisor_stop_now(supervisor, supervisor->exit_code);
            break;
        default:
            xf_supervisor_stop(supervisor);
            break;
        }
    }
}

/* ---- the loop ---- */

static nfds_t list_polled(const struct xf_supervisor *supervisor, struct pollfd *polled)
{
    const int fixed[] = {supervisor->signal_fd, supervisor->reload.report_fd,
                         supervisor->agent.channel, supervisor->shifter.channel,
                         supervisor->logger.channel};
    nfds_t count = 0;
    for (size_t i = 0; i < XF_COUNT(fixed); i++) {
        polled[count++] = (struct pollfd){.fd = fixed[i], .events = POLLIN}; /* -1 is skipped */
    }
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        const struct xf_edition *edition = supervisor->editions[i];
        for (unsigned w = 0; w < edition->workers; w++) {
            if (edition->slot[w].channel >= 0) {
                polled[count++] = (struct pollfd){.fd = edition->slot[w].channel, .events = POLLIN};
            }
        }
    }
    return count;
}

/* Every channel is read until it is empty, so what poll() found need not be looked up. */
static void hear_all(struct xf_supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        for (unsigned w = 0; w < edition->workers; w++) {
            if (edition->slot[w].channel >= 0) {
                (void) xf_edition_hear(edition, w);
            }
        }
    }
    if (supervisor->agent.channel >= 0) {
        xf_supervisor_hear_agent(supervisor);
    }
    if (supervisor->shifter.channel >= 0) {
        xf_supervisor_hear_child(&supervisor->shifter);
    }
    if (supervisor->logger.channel >= 0) {
        xf_supervisor_hear_child(&supervisor->logger);
    }
}

static void run(struct xf_supervisor *supervisor, struct pollfd *polled)
{
    while (supervisor->phase != XF_PHASE_GONE) {
        /* Children before workers: the logger is there when the first of them speaks. */
        xf_supervisor_turn_children(supervisor);
        xf_supervisor_turn_editions(supervisor);
        xf_supervisor_turn_tickets(supervisor);
        xf_supervisor_turn_reload(supervisor);
        xf_supervisor_turn_stop(supervisor);
        xf_supervisor_turn_watchdog(supervisor);
        if (supervisor->phase == XF_PHASE_GONE) {
            break;
        }
        bool calm = supervisor->phase == XF_PHASE_RUNNING;
        (void) poll(polled, list_polled(supervisor, polled), calm ? TICK_MS : STOPPING_TICK_MS);
        take_signals(supervisor);
        hear_all(supervisor);
    }
}

/* ---- end ---- */

/* What the children said and the logger did not get to: why one refused to run, for instance. */
static void tell_last_words(const struct xf_supervisor *supervisor)
{
    char bytes[4096];
    ssize_t length;
    while (supervisor->messages[0] >= 0 &&
           (length = read(supervisor->messages[0], bytes, sizeof(bytes))) > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, (size_t) length);
        (void) written; /* there is nobody left to tell */
    }
}

/* Nothing may outlive us: what still runs here had its time. */
static void kill_children(struct xf_supervisor *supervisor)
{
    struct xf_child *children[] = {&supervisor->agent, &supervisor->shifter, &supervisor->logger};
    for (size_t i = 0; i < XF_COUNT(children); i++) {
        if (children[i]->pid != 0) {
            (void) kill(children[i]->pid, SIGKILL);
            xf_supervisor_let_go(children[i]);
        }
    }
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        xf_edition_kill(supervisor->editions[i]);
    }
    xf_supervisor_release_reload(supervisor);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    tell_last_words(supervisor);
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        for (unsigned w = 0; w < supervisor->editions[i]->workers; w++) {
            supervisor->editions[i]->slot[w].pid = 0;
        }
    }
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void release(struct xf_supervisor *supervisor, const char *admin_path)
{
    const struct xf_config names = {.admin.socket = (char *) (uintptr_t) admin_path};
    kill_children(supervisor);
    while (supervisor->editions_count > 0) {
        xf_edition_destroy(supervisor->editions[--supervisor->editions_count]);
    }
    xf_listeners_release(&supervisor->listeners);
    xf_admin_sockets_close(&supervisor->admin, &names);
    xf_instance_release(&supervisor->instance);
    xf_notify_release(&supervisor->notify);
    close_fd(supervisor->signal_fd);
    close_fd(supervisor->wake_fd);
    close_fd(supervisor->messages[0]);
    close_fd(supervisor->messages[1]);
}

static void init(struct xf_supervisor *supervisor, const struct xf_supervisor_options *options)
{
    *supervisor = (struct xf_supervisor){
        .options = options,
        .clock = xf_clock_system(),
        .instance.state_dir_fd = -1,
        .admin = {.unix_fd = -1, .tcp_fd = -1},
        .agent.channel = -1,
        .shifter.channel = -1,
        .logger.channel = -1,
        .reload = {.report_fd = -1, .text_fd = -1},
        .signal_fd = -1,
        .wake_fd = -1,
        .messages = {-1, -1},
    };
    xf_text_init(&supervisor->reload.report, 1);
    xf_supervisor_find_binary(supervisor);
    xf_notify_init(&supervisor->notify);
    xf_log_init("supervisor", XF_LOG_INFO);
    xf_spawn_harden();
}

int xf_supervisor_run(const struct xf_supervisor_options *options)
{
    struct xf_error err;
    struct xf_supervisor *supervisor = calloc(1, sizeof(*supervisor));
    struct pollfd *polled = calloc(POLLED_MAX, sizeof(polled[0]));
    char *admin_path = NULL;
    int exit_code = 1;
    if (supervisor != NULL && polled != NULL) {
        init(supervisor, options);
        if (start(supervisor, &err) == 0) {
            admin_path = strdup(xf_supervisor_newest(supervisor)->config->admin.socket);
            run(supervisor, polled);
            exit_code = supervisor->exit_code;
            xf_log(XF_LOG_NOTICE, "supervisor.ended", "exit=%d", exit_code);
        } else {
            fprintf(stderr, "crossfade: %s\n", err.message);
            exit_code = xf_error_exit_code(err.code);
        }
        release(supervisor, admin_path != NULL ? admin_path : "");
    }
    free(admin_path);
    free(polled);
    free(supervisor);
    return exit_code;
}
