/*
 * edition_workers.c -- forking, telling, hearing and reaping the workers of an edition.
 */
#include "proxy/supervisor/edition.h"

#include "config/base/log.h"
#include "proxy/worker/override.h"
#include "proxy/supervisor/spawn.h"
#include "proxy/transport/tls_context.h"
#include "proxy/worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STUCK_MS      1000 /* a counter odd and unchanged for so long: a sibling takes the socket */
#define FORK_RETRY_MS 1000

/* ---- forking ---- */

struct birth {
    struct xf_edition *edition;
    unsigned index;
    struct xf_tls_contexts *tls;
    struct xf_overrides *overrides;
};

static int prepare_worker(void *context, struct xf_error *err)
{
    struct birth *birth = context;
    struct xf_log_ring *ring = birth->edition->slot[birth->index].ring;
    if (ring != NULL) {
        xf_log_ring_enter_worker(ring);
    }
    /* Here, because only now it may still read the keys. */
    if (xf_tls_wanted(birth->edition->config) &&
        xf_tls_contexts_load(birth->edition->config, &birth->tls, err) != 0) {
        return -1;
    }
    if (xf_overrides_load(birth->edition->config, &birth->overrides, err) != 0) {
        return -1;
    }
    return xf_board_enter_worker(birth->edition->board, birth->index, err);
}

static int run_worker(void *context, int channel_fd)
{
    struct birth *birth = context;
    struct xf_edition *edition = birth->edition;
    const struct xf_worker_start start = {.config = edition->config,
                                          .board = edition->board,
                                          .index = birth->index,
                                          .channel_fd = channel_fd,
                                          .listen_fds = edition->listen_fds,
                                          .slots = edition->sockets,
                                          .log_ring = edition->slot[birth->index].ring,
                                          .tls = birth->tls,
                                          .overrides = birth->overrides};
    int code = xf_worker_run(&start);
    xf_tls_contexts_free(birth->tls);
    xf_overrides_free(birth->overrides);
    return code;
}

/* What a worker keeps open: every slot's sockets, its part of the board, its ring. */
static unsigned list_kept(const struct xf_edition *edition, unsigned index, int wake_fd, int *keep)
{
    unsigned count = edition->sockets * edition->config->listeners_count;
    memcpy(keep, edition->listen_fds, count * sizeof(keep[0]));
    keep[count++] = edition->board->control_fd;
    keep[count++] = edition->board->stats_fd[index];
    if (edition->slot[index].ring != NULL) {
        keep[count++] = xf_log_ring_fd(edition->slot[index].ring);
        keep[count++] = wake_fd;
    }
    return count;
}

static int fork_worker(struct xf_edition *edition, unsigned index,
                       const struct xf_worker_context *context, struct xf_error *err)
{
    struct birth birth = {.edition = edition, .index = index};
    struct xf_worker_slot *slot = &edition->slot[index];
    size_t most = (size_t) edition->sockets * edition->config->listeners_count + 4;
    int *keep = calloc(most, sizeof(keep[0]));
    if (keep == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory to fork a worker");
    }
    struct xf_spawn spawn = {.keep = keep,
                             .stderr_fd = context->stderr_fd,
                             .unprivileged = true,
                             .prepare = prepare_worker,
                             .run = run_worker,
                             .context = &birth};
    spawn.keep_count = list_kept(edition, index, context->wake_fd, keep);
    snprintf(spawn.title, sizeof(spawn.title), "cf-worker-%u", index % 1000u);
    int failed = xf_spawn(&spawn, &slot->pid, &slot->channel, err);
    free(keep);
    return failed;
}

static void start_worker(struct xf_edition *edition, unsigned index,
                         const struct xf_worker_context *context, int64_t now_ms)
{
    struct xf_worker_slot *slot = &edition->slot[index];
    struct xf_error err;
    if (fork_worker(edition, index, context, &err) != 0) {
        char quoted[XF_LOG_QUOTE_BYTES];
        xf_log(XF_LOG_ERROR, "worker.not_forked", "edition=%llu worker=%u why=%s",
               (unsigned long long) edition->number, index, xf_log_quote(err.message, quoted));
        slot->start_at_ms = now_ms + FORK_RETRY_MS;
        return;
    }
    slot->told = XF_TOLD_NOTHING;
    slot->accepting = false;
    slot->stopped = false;
    slot->cycle_since_ms = now_ms;
    atomic_store_explicit(&edition->board->stats[index]->pid, (uint32_t) slot->pid,
                          memory_order_relaxed);
    xf_log(XF_LOG_INFO, "worker.started", "edition=%llu worker=%u pid=%d",
           (unsigned long long) edition->number, index, (int) slot->pid);
}

void xf_edition_fork_due(struct xf_edition *edition, const struct xf_worker_context *context,
                         int64_t now_ms)
{
    if (edition->state >= XF_EDITION_RETIRING) {
        return;
    }
    for (unsigned i = 0; i < edition->workers; i++) {
        if (edition->slot[i].pid == 0 && edition->slot[i].start_at_ms <= now_ms) {
            start_worker(edition, i, context, now_ms);
        }
    }
}

/* ---- telling ---- */

static enum xf_told should_know(const struct xf_edition *edition, enum xf_told serving,
                                bool stopping)
{
    switch (edition->state) {
    case XF_EDITION_STARTING:
        return XF_TOLD_NOTHING;
    case XF_EDITION_OPENING:
    case XF_EDITION_SERVING:
        return serving;
    default:
        return stopping ? XF_TOLD_STOP : XF_TOLD_RETIRE;
    }
}

static uint32_t kind_of(enum xf_told told)
{
    static const uint32_t kinds[] = {[XF_TOLD_ACCEPT] = XF_CHANNEL_ACCEPT,
                                     [XF_TOLD_LAMEDUCK] = XF_CHANNEL_LAMEDUCK,
                                     [XF_TOLD_SHUT] = XF_CHANNEL_SHUT,
                                     [XF_TOLD_RETIRE] = XF_CHANNEL_RETIRE,
                                     [XF_TOLD_STOP] = XF_CHANNEL_STOP};
    return kinds[told];
}

static bool send_kind(int channel, uint32_t kind, uint64_t a)
{
    struct xf_channel_message message = {.kind = kind, .a = a};
    return xf_channel_send(channel, &message);
}

/* Says each thing between what the worker was told and what it should know, but what later ones
 * make pointless: a worker that is to retire need not be told to accept. */
static void tell_worker(struct xf_worker_slot *slot, enum xf_told goal, uint64_t deadline_ms)
{
    while (slot->told < goal) {
        enum xf_told next = (enum xf_told)(slot->told + 1);
        bool pointless = next < goal && (goal >= XF_TOLD_RETIRE);
        if (!pointless && !send_kind(slot->channel, kind_of(next), deadline_ms)) {
            return; /* its queue is full: at the next tick again */
        }
        slot->told = next;
    }
}

void xf_edition_tell(struct xf_edition *edition, enum xf_told serving, bool stopping)
{
    enum xf_told goal = should_know(edition, serving, stopping);
    for (unsigned i = 0; i < edition->workers; i++) {
        if (edition->slot[i].pid != 0 && edition->slot[i].channel >= 0) {
            tell_worker(&edition->slot[i], goal, (uint64_t) edition->deadline_ms);
        }
    }
}

/* ---- sockets of workers that are away ---- */

static bool is_stuck(struct xf_edition *edition, unsigned index, int64_t now_ms)
{
    struct xf_worker_slot *slot = &edition->slot[index];
    uint64_t cycle =
        atomic_load_explicit(&edition->board->stats[index]->cycle, memory_order_relaxed);
    if (slot->stopped) {
        return now_ms - slot->cycle_since_ms >= STUCK_MS;
    }
    if (cycle != slot->cycle_seen || (cycle & 1) == 0) {
        slot->cycle_seen = cycle;
        slot->cycle_since_ms = now_ms;
        return false;
    }
    return now_ms - slot->cycle_since_ms >= STUCK_MS;
}

/* A sibling that accepts, beginning the search behind `index` so that the load spreads. */
static int find_keeper(const struct xf_edition *edition, unsigned index, const bool *able)
{
    for (unsigned i = 1; i < edition->workers + 1; i++) {
        unsigned sibling = (index + i) % edition->workers;
        if (able[sibling]) {
            return (int) sibling;
        }
    }
    return -1;
}

static void keep_socket(struct xf_edition *edition, unsigned socket, const bool *able)
{
    int *keeper = &edition->keeper[socket];
    bool own = socket < edition->workers && able[socket];
    if (*keeper >= 0 && (own || !able[*keeper])) {
        bool told = send_kind(edition->slot[*keeper].channel, XF_CHANNEL_RELEASE, socket);
        if (!told && able[*keeper]) {
            return; /* at the next tick again */
        }
        *keeper = -1; /* one that is gone knows nothing; one that is stuck does no harm */
    }
    if (!own && *keeper < 0) {
        int sibling = find_keeper(edition, socket % edition->workers, able);
        if (sibling >= 0 && send_kind(edition->slot[sibling].channel, XF_CHANNEL_ADOPT, socket)) {
            *keeper = sibling;
        }
    }
}

void xf_edition_keep_sockets(struct xf_edition *edition, int64_t now_ms)
{
    bool able[XF_WORKERS_MAX];
    if (edition->state != XF_EDITION_OPENING && edition->state != XF_EDITION_SERVING) {
        return;
    }
    for (unsigned i = 0; i < edition->workers; i++) {
        const struct xf_worker_slot *slot = &edition->slot[i];
        bool stuck = is_stuck(edition, i, now_ms);
        able[i] = slot->pid != 0 && slot->accepting && !stuck;
    }
    for (unsigned socket = 0; socket < edition->sockets; socket++) {
        keep_socket(edition, socket, able);
    }
}

/* ---- hearing and reaping ---- */

bool xf_edition_hear(struct xf_edition *edition, unsigned worker)
{
    struct xf_worker_slot *slot = &edition->slot[worker];
    struct xf_channel_message message;
    bool changed = false;
    enum xf_channel_result result;
    while ((result = xf_channel_receive(slot->channel, &message)) == XF_CHANNEL_GOT) {
        for (unsigned i = 0; i < message.fds_count; i++) {
            close(message.fds[i]); /* a worker has nothing to give */
        }
        if (message.kind == XF_CHANNEL_ACCEPTING && !slot->accepting) {
            slot->accepting = true;
            changed = true;
        }
    }
    if (result == XF_CHANNEL_CLOSED) { /* it is ending, or talks nonsense: the reaper follows */
        close(slot->channel);
        slot->channel = -1;
        slot->accepting = false;
        (void) kill(slot->pid, SIGKILL);
        changed = true;
    }
    return changed;
}

static void log_death(const struct xf_edition *edition, unsigned worker, pid_t pid, int status,
                      int64_t delay_ms)
{
    enum xf_log_level level = edition->state < XF_EDITION_RETIRING ? XF_LOG_WARNING : XF_LOG_INFO;
    xf_log(level, "worker.ended", "edition=%llu worker=%u pid=%d %s=%d restart_ms=%lld",
           (unsigned long long) edition->number, worker, (int) pid,
           WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (long long) delay_ms);
}

void xf_edition_reaped(struct xf_edition *edition, unsigned worker, int status, bool restart,
                       int64_t now_ms)
{
    struct xf_worker_slot *slot = &edition->slot[worker];
    int64_t delay_ms = restart ? xf_backoff_died(&slot->backoff, now_ms) : -1;
    log_death(edition, worker, slot->pid, status, delay_ms);
    xf_board_fold_worker(edition->board, worker);
    if (slot->channel >= 0) {
        close(slot->channel);
        slot->channel = -1;
    }
    slot->pid = 0;
    slot->accepting = false;
    slot->stopped = false;
    slot->gone_untold = true;
    slot->start_at_ms = now_ms + (delay_ms > 0 ? delay_ms : 0);
}

unsigned xf_edition_running(const struct xf_edition *edition)
{
    unsigned count = 0;
    for (unsigned i = 0; i < edition->workers; i++) {
        count += edition->slot[i].pid != 0;
    }
    return count;
}

bool xf_edition_all_accept(const struct xf_edition *edition)
{
    for (unsigned i = 0; i < edition->workers; i++) {
        if (edition->slot[i].pid == 0 || !edition->slot[i].accepting) {
            return false;
        }
    }
    return true;
}

bool xf_edition_any_accepts(const struct xf_edition *edition)
{
    for (unsigned i = 0; i < edition->workers; i++) {
        if (edition->slot[i].pid != 0 && xf_read(&edition->board->stats[i]->accepting) != 0) {
            return true;
        }
    }
    return false;
}

void xf_edition_kill(const struct xf_edition *edition)
{
    for (unsigned i = 0; i < edition->workers; i++) {
        if (edition->slot[i].pid != 0) {
            (void) kill(edition->slot[i].pid, SIGKILL);
        }
    }
}
