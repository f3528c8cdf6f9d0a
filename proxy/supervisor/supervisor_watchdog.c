/*
 * supervisor_watchdog.c -- systemd's watchdog is fed only while the loops turn.
 *
 * A worker's loop shows in its cycle counter, which its slow tick moves each second; the agent
 * answers PING.  One that is being restarted is no reason to starve: the supervisor is at it.
 * Workers of retiring editions are left out, for they may end by their own limits.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"

#define STILL_MS_MIN 3000 /* a worker's slow tick comes each second */

static bool worker_turns(struct xf_edition *edition, unsigned index, int64_t now_ms, int64_t limit)
{
    struct xf_worker_slot *slot = &edition->slot[index];
    uint64_t cycle = xf_read(&edition->board->stats[index]->cycle);
    if (slot->pid == 0 || slot->turned_ms == 0 || cycle != slot->turned_cycle) {
        slot->turned_cycle = cycle;
        slot->turned_ms = now_ms;
    }
    return now_ms - slot->turned_ms < limit;
}

static bool workers_turn(struct xf_supervisor *supervisor, int64_t now_ms, int64_t limit)
{
    bool all = true;
    for (unsigned i = 0; supervisor->options->workers && i < supervisor->editions_count; i++) {
        struct xf_edition *edition = supervisor->editions[i];
        for (unsigned w = 0; edition->state < XF_EDITION_RETIRING && w < edition->workers; w++) {
            all = worker_turns(edition, w, now_ms, limit) && all;
        }
    }
    return all;
}

static bool agent_turns(struct xf_supervisor *supervisor, int64_t now_ms, int64_t limit)
{
    struct xf_watchdog *watchdog = &supervisor->watchdog;
    const struct xf_channel_message ping = {.kind = XF_CHANNEL_PING};
    if (supervisor->agent.pid == 0 || supervisor->agent.channel < 0) {
        watchdog->asked_ms = 0;
        return true;
    }
    if (watchdog->asked_ms == 0) {
        watchdog->asked_ms = now_ms;
        watchdog->sent = false;
    }
    if (!watchdog->sent) {
        watchdog->sent = xf_supervisor_tell_agent(supervisor, &ping);
    }
    return now_ms - watchdog->asked_ms < limit;
}

void xf_supervisor_hear_pong(struct xf_supervisor *supervisor)
{
    supervisor->watchdog.asked_ms = 0;
}

void xf_supervisor_turn_watchdog(struct xf_supervisor *supervisor)
{
    struct xf_watchdog *watchdog = &supervisor->watchdog;
    int64_t every_ms = supervisor->notify.watchdog_ms, now_ms = xf_supervisor_now(supervisor);
    if (every_ms == 0 || now_ms < watchdog->next_ms) {
        return;
    }
    int64_t limit = every_ms > STILL_MS_MIN ? every_ms : STILL_MS_MIN;
    bool workers = workers_turn(supervisor, now_ms, limit);
    bool agent = agent_turns(supervisor, now_ms, limit);
    if (supervisor->phase == XF_PHASE_RUNNING && !(workers && agent)) {
        if (!watchdog->starving) {
            xf_log(XF_LOG_ERROR, "watchdog.not_fed", "workers=%s agent=%s still_ms=%lld",
                   workers ? "turn" : "stuck", agent ? "turns" : "stuck", (long long) limit);
        }
        watchdog->starving = true;
        return; /* looked at in every turn from here on */
    }
    watchdog->starving = false;
    xf_notify_send(&supervisor->notify, "WATCHDOG=1");
    watchdog->next_ms = now_ms + every_ms;
}
