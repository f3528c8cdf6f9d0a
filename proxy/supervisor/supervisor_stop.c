/*
 * supervisor_stop.c -- ending: first the listeners, then the workers, then the rest.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"

#include <signal.h>
#include <unistd.h>

#define SHUT_MS           150  /* handshakes end, first requests come, answers say close */
#define BEGUN_MS          1300 /* longer, while connections are not let be accepted: 1 s */
#define BEGUN_LOOK_MS     50
#define STOP_ACCEPTING_MS 300 /* workers empty their accept queues within this */
#define AGENT_LEAVES_MS   400 /* then its channel ends */
#define SHIFTER_ENDS_MS   250
#define LOGGER_ENDS_MS    250

static bool has_health_path(const struct xf_supervisor *supervisor)
{
    const struct xf_edition *edition = xf_supervisor_newest(supervisor);
    for (unsigned i = 0; edition != NULL && i < edition->config->listeners_count; i++) {
        if (edition->config->listeners[i].health != NULL) {
            return true;
        }
    }
    return false;
}

static void enter(struct xf_supervisor *supervisor, enum xf_phase phase, int64_t ms)
{
    supervisor->phase = phase;
    supervisor->phase_deadline_ms = xf_supervisor_now(supervisor) + ms;
}

/* A socket that is closed resets who has connected and was not accepted yet. */
static void shut(struct xf_supervisor *supervisor)
{
    if (supervisor->listening) {
        xf_listeners_shut(&supervisor->listeners);
    }
    supervisor->shut_until_ms = xf_supervisor_now(supervisor) + BEGUN_MS;
    enter(supervisor, XF_PHASE_SHUT, supervisor->ready ? SHUT_MS : 0);
}

void xf_supervisor_stop(struct xf_supervisor *supervisor)
{
    if (supervisor->phase != XF_PHASE_RUNNING) {
        xf_log(XF_LOG_NOTICE, "supervisor.stop_now", "reason=\"asked twice\"");
        xf_supervisor_stop_now(supervisor, supervisor->exit_code);
        return;
    }
    xf_log(XF_LOG_NOTICE, "supervisor.stopping", "editions=%u", supervisor->editions_count);
    xf_notify_send(&supervisor->notify, "STOPPING=1\nSTATUS=finishing what is in flight");
    if (supervisor->ready && has_health_path(supervisor)) {
        const struct xf_edition *newest = xf_supervisor_newest(supervisor);
        xf_listeners_defer_no_more(&supervisor->listeners);
        enter(supervisor, XF_PHASE_LAMEDUCK, newest->config->timeouts.lameduck);
    } else {
        shut(supervisor);
    }
}

void xf_supervisor_stop_now(struct xf_supervisor *supervisor, int exit_code)
{
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        xf_edition_kill(supervisor->editions[i]);
    }
    supervisor->exit_code = exit_code;
    supervisor->phase = XF_PHASE_GONE;
}

/* The sockets go only when no worker has them in its loop: a closed one resets its queue. */
static void close_listeners(struct xf_supervisor *supervisor)
{
    if (!supervisor->listening) {
        return;
    }
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        if (xf_supervisor_now(supervisor) < supervisor->phase_deadline_ms &&
            xf_edition_any_accepts(supervisor->editions[i])) {
            return;
        }
    }
    xf_listeners_drop(&supervisor->listeners, NULL);
    supervisor->listening = false;
}

/* The agent leaves the roster first, which may need the shifter; the logger hears them all. */
static void turn_leaving(struct xf_supervisor *supervisor)
{
    int64_t left_ms = supervisor->phase_deadline_ms - xf_supervisor_now(supervisor);
    if (left_ms <= SHIFTER_ENDS_MS + LOGGER_ENDS_MS) {
        xf_supervisor_let_go(&supervisor->agent);
    }
    if (supervisor->agent.pid == 0 || left_ms <= LOGGER_ENDS_MS) {
        xf_supervisor_let_go(&supervisor->shifter);
    }
    if (supervisor->agent.pid == 0 && supervisor->shifter.pid == 0 &&
        supervisor->messages[1] >= 0) {
        close(supervisor->messages[1]); /* the logger sees the end when all have closed theirs */
        supervisor->messages[1] = -1;
        xf_supervisor_let_go(&supervisor->logger);
    }
    bool all_gone =
        supervisor->agent.pid == 0 && supervisor->shifter.pid == 0 && supervisor->logger.pid == 0;
    if (all_gone || left_ms <= 0) {
        supervisor->phase = XF_PHASE_GONE;
    }
}

/* Who connected before and has sent nothing yet would be reset with the listening socket. */
static void turn_shut(struct xf_supervisor *supervisor)
{
    bool waits = supervisor->ready && supervisor->listening &&
                 xf_supervisor_now(supervisor) < supervisor->shut_until_ms &&
                 xf_listeners_begun(&supervisor->listeners);
    if (waits) {
        enter(supervisor, XF_PHASE_SHUT, BEGUN_LOOK_MS);
    } else {
        enter(supervisor, XF_PHASE_DRAINING, STOP_ACCEPTING_MS);
    }
}

void xf_supervisor_turn_stop(struct xf_supervisor *supervisor)
{
    switch (supervisor->phase) {
    case XF_PHASE_RUNNING:
    case XF_PHASE_GONE:
        break;
    case XF_PHASE_LAMEDUCK:
        if (xf_supervisor_now(supervisor) >= supervisor->phase_deadline_ms) {
            shut(supervisor);
        }
        break;
    case XF_PHASE_SHUT:
        if (xf_supervisor_now(supervisor) >= supervisor->phase_deadline_ms) {
            turn_shut(supervisor);
        }
        break;
    case XF_PHASE_DRAINING:
        close_listeners(supervisor);
        if (supervisor->editions_count == 0) {
            enter(supervisor, XF_PHASE_LEAVING, AGENT_LEAVES_MS + SHIFTER_ENDS_MS + LOGGER_ENDS_MS);
        }
        break;
    case XF_PHASE_LEAVING:
        turn_leaving(supervisor);
        break;
    }
}
