/*
 * supervisor_children.c -- agent, shifter and logger: one of each, restarted when they die.
 *
 * Each new one is told everything again; what was told is kept as flags, so that a full queue
 * only means a later turn.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"
#include "proxy/logger/logger.h"
#include "proxy/supervisor/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORK_RETRY_MS 1000

/* ---- forking ---- */

struct birth {
    struct xf_supervisor *supervisor;
    xf_child_main *main;
};

static int run_main(void *context, int channel_fd)
{
    struct birth *birth = context;
    struct xf_supervisor *supervisor = birth->supervisor;
    const struct xf_child_start start = {
        .config = xf_supervisor_newest(supervisor)->config,
        .config_path = supervisor->options->config_path,
        .channel_fd = channel_fd,
        .state_dir_fd = supervisor->instance.state_dir_fd,
        .assume_live = supervisor->options->assume_live,
        .allow_stale = supervisor->options->allow_stale,
    };
    return birth->main(&start);
}

static int run_logger(void *context, int channel_fd)
{
    struct birth *birth = context;
    const struct xf_logger_start start = {.channel_fd = channel_fd,
                                          .wake_fd = birth->supervisor->wake_fd,
                                          .messages_fd = birth->supervisor->messages[0]};
    return xf_logger_run(&start);
}

static int fork_child(struct xf_supervisor *supervisor, struct xf_child *child,
                      struct xf_error *err)
{
    bool logger = child == &supervisor->logger;
    struct birth birth = {.supervisor = supervisor,
                          .main = child == &supervisor->agent ? supervisor->options->agent_main
                                                              : supervisor->options->shifter_main};
    int keep[2] = {supervisor->instance.state_dir_fd, -1};
    struct xf_spawn spawn = {.keep = keep,
                             .keep_count = 1,
                             .stderr_fd = supervisor->messages[1],
                             .run = run_main,
                             .context = &birth};
    if (logger) {
        keep[0] = supervisor->wake_fd;
        keep[1] = supervisor->messages[0];
        spawn.keep_count = 2;
        spawn.stderr_fd = -1;
        spawn.unprivileged = true;
        spawn.run = run_logger;
    }
    snprintf(spawn.title, sizeof(spawn.title), "cf-%s", child->name);
    return xf_spawn(&spawn, &child->pid, &child->channel, err);
}

/* A new agent or logger knows nothing. */
static void forget_told(struct xf_supervisor *supervisor, const struct xf_child *child)
{
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        if (child == &supervisor->agent) {
            edition->agent_knows = false;
        } else if (child == &supervisor->logger) {
            edition->logger_knows = false;
        }
    }
    if (child == &supervisor->agent) {
        supervisor->admin_told = false;
        supervisor->stopping_told = false;
        supervisor->reload.question = 0;
        supervisor->reexec.told = false;
        supervisor->watchdog.asked_ms = 0;
    }
}

static void start_child(struct xf_supervisor *supervisor, struct xf_child *child)
{
    struct xf_error err;
    int64_t now_ms = xf_supervisor_now(supervisor);
    if (child->name == NULL || child->pid != 0 || child->ended_for_good ||
        child->start_at_ms > now_ms || supervisor->editions_count == 0) {
        return;
    }
    if (fork_child(supervisor, child, &err) != 0) {
        xf_log(XF_LOG_ERROR, "child.not_forked", "name=%s why=\"%s\"", child->name, err.message);
        child->start_at_ms = now_ms + FORK_RETRY_MS;
        return;
    }
    child->replaced = false;
    forget_told(supervisor, child);
    xf_log(XF_LOG_INFO, "child.started", "name=%s pid=%d", child->name, (int) child->pid);
}

/* ---- telling the agent ---- */

bool xf_supervisor_tell_agent(struct xf_supervisor *supervisor,
                              const struct xf_channel_message *message)
{
    return supervisor->agent.channel >= 0 && xf_channel_send(supervisor->agent.channel, message);
}

static bool tell_admin(struct xf_supervisor *supervisor)
{
    struct xf_channel_message message = {.kind = XF_CHANNEL_ADMIN, .fds_count = 1};
    message.fds[0] = supervisor->admin.unix_fd;
    if (supervisor->admin.tcp_fd >= 0) {
        message.fds[message.fds_count++] = supervisor->admin.tcp_fd;
    }
    return xf_supervisor_tell_agent(supervisor, &message);
}

static bool tell_reexec(struct xf_supervisor *supervisor)
{
    const struct xf_reexec *reexec = &supervisor->reexec;
    struct xf_channel_message message = {
        .kind = XF_CHANNEL_REEXECED, .a = reexec->attempts, .b = reexec->outcome};
    snprintf(message.text, sizeof(message.text), "%s", reexec->why);
    return xf_supervisor_tell_agent(supervisor, &message);
}

static bool tell_edition(struct xf_supervisor *supervisor, struct xf_edition *edition)
{
    struct xf_channel_message text = {
        .kind = XF_CHANNEL_CONFIG, .a = edition->number, .fds_count = 1, .fds = {edition->text_fd}};
    struct xf_channel_message message = {.kind = XF_CHANNEL_EDITION,
                                         .a = edition->number,
                                         .b = edition->workers,
                                         .c = edition->foreign};
    message.fds[message.fds_count++] = edition->board->control_fd;
    message.fds[message.fds_count++] = edition->board->retired_fd;
    for (unsigned i = 0; i < edition->workers; i++) {
        message.fds[message.fds_count++] = edition->board->stats_fd[i];
    }
    /* Should the second not fit, the first is said twice. */
    if (!xf_supervisor_tell_agent(supervisor, &text) ||
        !xf_supervisor_tell_agent(supervisor, &message)) {
        return false;
    }
    for (unsigned i = 0; i < edition->workers; i++) {
        edition->slot[i].gone_untold = false;
    }
    return true;
}

static bool tell_gone(struct xf_supervisor *supervisor, struct xf_edition *edition)
{
    for (unsigned i = 0; i < edition->workers; i++) {
        struct xf_channel_message message = {
            .kind = XF_CHANNEL_WORKER_GONE, .a = edition->number, .b = i};
        if (edition->slot[i].gone_untold && !xf_supervisor_tell_agent(supervisor, &message)) {
            return false;
        }
        edition->slot[i].gone_untold = false;
    }
    return true;
}

static void turn_agent(struct xf_supervisor *supervisor)
{
    if (supervisor->agent.channel < 0) {
        return;
    }
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        if (!edition->agent_knows) {
            edition->agent_knows = tell_edition(supervisor, edition);
        }
        if (!edition->agent_knows || !tell_gone(supervisor, edition)) {
            return; /* its queue is full; what comes later must stay behind this */
        }
    }
    /* Behind the editions, so that the first scrape of a new agent finds every total. */
    if (!supervisor->admin_told && supervisor->admin.unix_fd >= 0) {
        supervisor->admin_told = tell_admin(supervisor);
    }
    if (!supervisor->reexec.told) {
        supervisor->reexec.told = tell_reexec(supervisor);
    }
    if (supervisor->phase >= XF_PHASE_DRAINING && !supervisor->stopping_told) {
        struct xf_channel_message message = {.kind = XF_CHANNEL_STOPPING};
        supervisor->stopping_told = xf_supervisor_tell_agent(supervisor, &message);
    }
}

static bool tell_rings(struct xf_supervisor *supervisor, struct xf_edition *edition)
{
    struct xf_channel_message message = {
        .kind = XF_CHANNEL_RINGS, .a = edition->number, .b = edition->workers};
    if (edition->config->access_log.path == NULL) {
        return true;
    }
    snprintf(message.text, sizeof(message.text), "%s", edition->config->access_log.path);
    if (edition->log_fd >= 0) {
        message.c = 1;
        message.fds[message.fds_count++] = edition->log_fd;
    }
    for (unsigned i = 0; i < edition->workers; i++) {
        message.fds[message.fds_count++] = xf_log_ring_fd(edition->slot[i].ring);
    }
    return xf_channel_send(supervisor->logger.channel, &message);
}

static void turn_logger(struct xf_supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        if (supervisor->logger.channel >= 0 && !edition->logger_knows) {
            edition->logger_knows = tell_rings(supervisor, edition);
        }
    }
}

/* Who is to be replaced had its time to end. */
static void end_replaced(const struct xf_supervisor *supervisor, const struct xf_child *child)
{
    if (child->replaced && child->pid != 0 && child->start_at_ms <= xf_supervisor_now(supervisor)) {
        (void) kill(child->pid, SIGKILL);
    }
}

void xf_supervisor_turn_children(struct xf_supervisor *supervisor)
{
    if (supervisor->phase < XF_PHASE_LEAVING) {
        start_child(supervisor, &supervisor->logger);
        start_child(supervisor, &supervisor->agent);
        start_child(supervisor, &supervisor->shifter);
    }
    end_replaced(supervisor, &supervisor->agent);
    end_replaced(supervisor, &supervisor->shifter);
    end_replaced(supervisor, &supervisor->logger);
    turn_logger(supervisor);
    turn_agent(supervisor);
}

/* ---- hearing ---- */

void xf_supervisor_let_go(struct xf_child *child)
{
    if (child->channel >= 0) {
        close(child->channel);
        child->channel = -1;
    }
}

void xf_supervisor_hear_child(struct xf_child *child)
{
    struct xf_channel_message message;
    enum xf_channel_result result;
    while ((result = xf_channel_receive(child->channel, &message)) == XF_CHANNEL_GOT) {
        for (unsigned i = 0; i < message.fds_count; i++) {
            close(message.fds[i]);
        }
    }
    if (result == XF_CHANNEL_CLOSED) {
        xf_supervisor_let_go(child); /* the reaper follows */
    }
}

static void hear_message(struct xf_supervisor *supervisor, const struct xf_channel_message *message)
{
    switch (message->kind) {
    case XF_CHANNEL_ROUTED:
        xf_supervisor_routed(supervisor, message->a);
        break;
    case XF_CHANNEL_VERDICT:
        xf_supervisor_verdict(supervisor, message);
        break;
    case XF_CHANNEL_RELOAD:
        xf_supervisor_ask_reload(supervisor);
        break;
    case XF_CHANNEL_PONG:
        xf_supervisor_hear_pong(supervisor);
        break;
    case XF_CHANNEL_REEXEC:
        xf_supervisor_ask_reexec(supervisor);
        break;
    default:
        break;
    }
}

void xf_supervisor_hear_agent(struct xf_supervisor *supervisor)
{
    struct xf_child *agent = &supervisor->agent;
    struct xf_channel_message message;
    enum xf_channel_result result;
    while ((result = xf_channel_receive(agent->channel, &message)) == XF_CHANNEL_GOT) {
        for (unsigned i = 0; i < message.fds_count; i++) {
            close(message.fds[i]);
        }
        hear_message(supervisor, &message);
    }
    if (result == XF_CHANNEL_CLOSED) {
        xf_supervisor_let_go(agent);
    }
}

/* ---- reaping ---- */

static struct xf_child *find_child(struct xf_supervisor *supervisor, pid_t pid)
{
    struct xf_child *children[] = {&supervisor->agent, &supervisor->shifter, &supervisor->logger};
    for (size_t i = 0; i < XF_COUNT(children); i++) {
        if (children[i]->pid == pid) {
            return children[i];
        }
    }
    return NULL;
}

bool xf_supervisor_reaped_child(struct xf_supervisor *supervisor, pid_t pid, int status)
{
    struct xf_child *child = find_child(supervisor, pid);
    if (child == NULL) {
        return false;
    }
    int64_t now_ms = xf_supervisor_now(supervisor);
    bool expected = supervisor->phase >= XF_PHASE_DRAINING || child->replaced;
    int64_t delay_ms = expected ? 0 : xf_backoff_died(&child->backoff, now_ms);
    xf_log(expected ? XF_LOG_INFO : XF_LOG_WARNING, "child.ended",
           "name=%s pid=%d %s=%d restart_ms=%lld", child->name, (int) pid,
           WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (long long) delay_ms);
    xf_supervisor_let_go(child);
    child->pid = 0;
    child->start_at_ms = now_ms + delay_ms;
    child->ended_for_good = supervisor->phase >= XF_PHASE_DRAINING && child != &supervisor->logger;
    /* One that refuses to run, and says so before anything was served, ends all with its code. */
    if (!supervisor->ready && !expected && WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        xf_supervisor_stop_now(supervisor, WEXITSTATUS(status));
    }
    return true;
}
