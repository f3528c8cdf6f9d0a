/*
 * supervisor_editions.c -- editions as the supervisor leads them: one serves, older ones end.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int xf_supervisor_begin_edition(struct xf_supervisor *supervisor, struct xf_config *config,
                                int text_fd, struct xf_error *err)
{
    if (!supervisor->options->workers) { /* `crossfade shifter` serves nobody */
        config->listeners_count = 0;
        config->workers = 1;
    }
    if (supervisor->editions_count == XF_INFORCE_EDITIONS_MAX) {
        return XF_FAIL(err, XF_E_REFUSED, "%u editions are still finishing what they began",
                       XF_INFORCE_EDITIONS_MAX);
    }
    if (xf_listeners_open(&supervisor->listeners, config, config->workers, err) != 0) {
        return -1;
    }
    xf_supervisor_fit_limits(config, supervisor->listeners.slots);
    const struct xf_edition_options options = {.number = supervisor->last_edition + 1,
                                               .config = config,
                                               .text_fd = text_fd,
                                               .wake_fd = supervisor->wake_fd,
                                               .listeners = &supervisor->listeners};
    struct xf_edition *edition;
    if (xf_edition_create(&options, &edition, err) != 0) {
        return -1;
    }
    xf_supervisor_begin_tickets(supervisor, edition);
    supervisor->last_edition++;
    supervisor->editions[supervisor->editions_count++] = edition;
    if (supervisor->editions_count == XF_INFORCE_EDITIONS_MAX) { /* room for the next */
        supervisor->editions[0]->deadline_ms = xf_supervisor_now(supervisor);
    }
    xf_log(XF_LOG_INFO, "edition.started", "edition=%llu workers=%u digest=%s",
           (unsigned long long) edition->number, edition->workers, config->digest);
    return 0;
}

/* ---- states ---- */

static void retire(struct xf_supervisor *supervisor, struct xf_edition *edition,
                   enum xf_edition_event event)
{
    int64_t shutdown_ms = edition->config->timeouts.shutdown;
    if (xf_edition_feed(edition, event)) {
        edition->deadline_ms = xf_supervisor_now(supervisor) + (shutdown_ms > 0 ? shutdown_ms : 0);
        xf_log(XF_LOG_INFO, "edition.retiring", "edition=%llu",
               (unsigned long long) edition->number);
    }
}

static void serve(struct xf_supervisor *supervisor, struct xf_edition *edition)
{
    xf_log(XF_LOG_NOTICE, "edition.serving", "edition=%llu workers=%u",
           (unsigned long long) edition->number, edition->workers);
    for (unsigned i = 0; supervisor->editions[i] != edition; i++) {
        retire(supervisor, supervisor->editions[i], XF_ON_SUPERSEDED);
    }
    if (!supervisor->ready) {
        supervisor->ready = true;
        xf_notify_send(&supervisor->notify, "READY=1\nSTATUS=serving");
    }
}

void xf_supervisor_routed(struct xf_supervisor *supervisor, uint64_t number)
{
    struct xf_error err;
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        if (edition->number != number || edition->state != XF_EDITION_STARTING) {
            continue;
        }
        if (xf_listeners_listen(&supervisor->listeners, &err) != 0) {
            xf_log(XF_LOG_ERROR, "listeners.failed", "why=\"%s\"", err.message);
            if (!supervisor->listening) { /* at the start there is nobody to go on serving */
                xf_supervisor_stop_now(supervisor, 1);
            }
            return; /* a reload ends by its time limit */
        }
        supervisor->listening = true;
        (void) xf_edition_feed(edition, XF_ON_ROUTED);
    }
}

/* Some old edition's listening sockets are closed only when no worker has them in its loop. */
static void drop_old_addresses(struct xf_supervisor *supervisor)
{
    struct xf_edition *newest = xf_supervisor_newest(supervisor);
    if (newest == NULL || newest->state != XF_EDITION_SERVING) {
        return;
    }
    for (unsigned i = 0; i + 1 < supervisor->editions_count; i++) {
        if (xf_edition_any_accepts(supervisor->editions[i])) {
            return;
        }
    }
    xf_listeners_drop(&supervisor->listeners, newest->config);
}

/* ---- the end of one ---- */

/* What it misses it catches up with when it is started anew. */
static void tell_logger(struct xf_supervisor *supervisor, const struct xf_channel_message *message)
{
    if (supervisor->logger.channel >= 0 && !xf_channel_send(supervisor->logger.channel, message)) {
        xf_log(XF_LOG_WARNING, "logger.not_told", "kind=%u", message->kind);
    }
}

/* Who goes on with its counts: the newest other edition. */
static struct xf_edition *find_heir(const struct xf_supervisor *supervisor,
                                    const struct xf_edition *edition)
{
    for (unsigned i = supervisor->editions_count; i-- > 0;) {
        if (supervisor->editions[i] != edition) {
            return supervisor->editions[i];
        }
    }
    return NULL;
}

static void end_edition(struct xf_supervisor *supervisor, unsigned index)
{
    struct xf_edition *edition = supervisor->editions[index];
    struct xf_edition *heir = find_heir(supervisor, edition);
    struct xf_channel_message message = {.kind = XF_CHANNEL_EDITION_OVER, .a = edition->number};
    if (heir != NULL) {
        xf_board_fold_edition(edition->board, edition->config, heir->board, heir->config);
    }
    if (edition->agent_knows && supervisor->agent.channel >= 0 &&
        !xf_supervisor_tell_agent(supervisor, &message)) {
        return; /* its queue is full: at the next turn again */
    }
    if (edition->logger_knows) {
        message.kind = XF_CHANNEL_RINGS_OVER;
        tell_logger(supervisor, &message);
    }
    xf_log(XF_LOG_INFO, "edition.over", "edition=%llu", (unsigned long long) edition->number);
    xf_edition_destroy(edition);
    supervisor->editions_count--;
    memmove(&supervisor->editions[index], &supervisor->editions[index + 1],
            (supervisor->editions_count - index) * sizeof(supervisor->editions[0]));
}

static enum xf_told told_while_serving(const struct xf_supervisor *supervisor)
{
    switch (supervisor->phase) {
    case XF_PHASE_LAMEDUCK:
        return XF_TOLD_LAMEDUCK;
    case XF_PHASE_SHUT:
        return XF_TOLD_SHUT;
    default:
        return XF_TOLD_ACCEPT;
    }
}

static void turn_edition(struct xf_supervisor *supervisor, struct xf_edition *edition)
{
    const struct xf_worker_context context = {.wake_fd = supervisor->wake_fd,
                                              .stderr_fd = supervisor->messages[1]};
    int64_t now_ms = xf_supervisor_now(supervisor);
    bool stopping = supervisor->phase >= XF_PHASE_DRAINING;
    if (stopping) {
        retire(supervisor, edition, XF_ON_STOP);
    }
    xf_edition_keep_sockets(edition, now_ms);
    if (supervisor->options->workers) {
        xf_edition_fork_due(edition, &context, now_ms);
    } else if (xf_edition_feed(edition, XF_ON_ROUTED) &&
               xf_edition_feed(edition, XF_ON_ALL_ACCEPT)) {
        serve(supervisor, edition);
    }
    xf_edition_tell(edition, told_while_serving(supervisor), stopping);
    if (edition->state == XF_EDITION_OPENING && xf_edition_all_accept(edition) &&
        xf_edition_feed(edition, XF_ON_ALL_ACCEPT)) {
        serve(supervisor, edition);
    }
    if (edition->state == XF_EDITION_RETIRING) {
        if (now_ms >= edition->deadline_ms + 500) {
            xf_edition_kill(edition); /* it had its time, and half a second to say so */
        }
        if (xf_edition_running(edition) == 0) {
            (void) xf_edition_feed(edition, XF_ON_EMPTY);
        }
    }
}

void xf_supervisor_turn_editions(struct xf_supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        turn_edition(supervisor, supervisor->editions[i]);
    }
    for (unsigned i = supervisor->editions_count; i-- > 0;) {
        if (supervisor->editions[i]->state == XF_EDITION_OVER) {
            end_edition(supervisor, i);
        }
    }
    drop_old_addresses(supervisor);
}

/* ---- workers, wherever they belong ---- */

static struct xf_worker_slot *find_worker(struct xf_supervisor *supervisor, pid_t pid,
                                          struct xf_edition **ret_edition, unsigned *ret_index)
{
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        for (unsigned w = 0; w < edition->workers; w++) {
            if (edition->slot[w].pid == pid) {
                *ret_edition = edition;
                *ret_index = w;
                return &edition->slot[w];
            }
        }
    }
    return NULL;
}

bool xf_supervisor_reaped_worker(struct xf_supervisor *supervisor, pid_t pid, int status)
{
    struct xf_edition *edition;
    unsigned index;
    if (find_worker(supervisor, pid, &edition, &index) == NULL) {
        return false;
    }
    xf_edition_reaped(edition, index, status, edition->state < XF_EDITION_RETIRING,
                      xf_supervisor_now(supervisor));
    return true;
}

void xf_supervisor_worker_stopped(struct xf_supervisor *supervisor, pid_t pid, bool stopped)
{
    struct xf_edition *edition;
    unsigned index;
    struct xf_worker_slot *slot = find_worker(supervisor, pid, &edition, &index);
    if (slot != NULL) {
        slot->stopped = stopped;
        slot->cycle_since_ms = xf_supervisor_now(supervisor);
        xf_log(XF_LOG_WARNING, stopped ? "worker.stopped" : "worker.continued",
               "edition=%llu worker=%u pid=%d", (unsigned long long) edition->number, index,
               (int) pid);
    }
}

void xf_supervisor_reopen_logs(struct xf_supervisor *supervisor)
{
    struct xf_error err;
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        int fd;
        if (xf_edition_open_log(edition->config, &fd, &err) != 0) {
            xf_log(XF_LOG_ERROR, "access_log.not_reopened", "why=\"%s\"", err.message);
            continue;
        }
        if (fd < 0) {
            continue;
        }
        close(edition->log_fd);
        edition->log_fd = fd;
        struct xf_channel_message message = {
            .kind = XF_CHANNEL_REOPEN, .a = edition->number, .fds_count = 1, .fds = {fd}};
        tell_logger(supervisor, &message);
    }
    xf_log(XF_LOG_INFO, "access_log.reopened", "editions=%u", supervisor->editions_count);
}
