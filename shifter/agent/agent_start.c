/*
 * agent_start.c -- the snapshot: saved while all is well, used when the store is not there.
 *
 * What was loaded stands from the first moment as "the newest version seen", so a store that knows
 * less cannot turn this proxy back; whether it may also serve is another question, asked after 10 s
 * without the store.
 */
#include "shifter/agent/agent_state.h"

#include "config/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shifter/agent/agent_file.h"

static void keep_service(struct xf_agent *agent, struct xf_snapshot_service *saved,
                         int64_t saved_ms)
{
    struct xf_agent_service *service = xf_agent_find(agent, saved->document->service);
    if (service == NULL || service->document != NULL) {
        return;
    }
    service->document = saved->document;
    saved->document = NULL;
    service->version = saved->version;
    memcpy(service->write_id, saved->write_id, sizeof(service->write_id));
    service->override = saved->override;
    service->fleet = saved->fleet;
    service->confirmed_ms = saved_ms;
    service->source = XF_AGENT_HELD;
}

static void refuse_snapshot(struct xf_agent *agent, const struct xf_error *err)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    xf_agent_copy(agent->snapshot_error, sizeof(agent->snapshot_error), err->message);
    xf_log(XF_LOG_WARNING, "agent.snapshot_refused", "problem=%s",
           xf_log_quote(err->message, quoted));
}

void xf_agent_start_load(struct xf_agent *agent)
{
    char *text = NULL;
    size_t length = 0;
    struct xf_error err = {0};
    struct xf_snapshot snapshot;
    if (xf_agent_file_read(agent->start->state_dir_fd, XF_SNAPSHOT_FILE, XF_SNAPSHOT_BYTES_MAX,
                           &text, &length, &err) != 0) {
        if (errno != ENOENT) {
            refuse_snapshot(agent, &err);
        } else {
            (void) snprintf(agent->snapshot_error, sizeof(agent->snapshot_error),
                            "there is no snapshot of an earlier run");
        }
        return;
    }
    int parsed = xf_snapshot_parse(text, length, &snapshot, &err);
    free(text);
    if (parsed != 0) {
        refuse_snapshot(agent, &err);
        return;
    }
    agent->snapshot_saved_ms = snapshot.saved_ms;
    if (!agent->start->allow_stale &&
        !xf_snapshot_usable(&snapshot, xf_clock_wall_ms(agent->clock),
                            agent->start->config->snapshot_max_age_ms, &err)) {
        refuse_snapshot(agent, &err);
    }
    for (unsigned i = 0; i < snapshot.services_count; i++) {
        keep_service(agent, &snapshot.services[i], snapshot.saved_ms);
    }
    xf_snapshot_release(&snapshot);
}

void xf_agent_start_forgotten(struct xf_agent *agent)
{
    struct xf_snapshot mark = {.forgotten = true};
    struct xf_error err = {0};
    xf_agent_start_save(agent);
    if (!agent->start->allow_stale && !xf_snapshot_usable(&mark, 0, 0, &err)) {
        xf_agent_copy(agent->snapshot_error, sizeof(agent->snapshot_error), err.message);
    }
}

void xf_agent_start_fall_back(struct xf_agent *agent)
{
    bool changed = false;
    for (unsigned i = 0; !agent->refused && i < agent->services_count; i++) {
        struct xf_agent_service *service = &agent->services[i];
        if (agent->config->services[i].follows >= 0) {
            continue;
        }
        if (service->source == XF_AGENT_HELD && agent->snapshot_error[0] == '\0') {
            service->source = XF_AGENT_SNAPSHOT;
            changed = true;
            xf_log(XF_LOG_WARNING, "agent.snapshot_used", "service=%s age_s=%lld", service->name,
                   (long long) (xf_clock_wall_ms(agent->clock) - service->confirmed_ms) / 1000);
        } else if (agent->start->assume_live && service->source == XF_AGENT_NOTHING) {
            service->source = XF_AGENT_ASSUMED;
            changed = true;
            xf_log(XF_LOG_WARNING, "agent.live_assumed", "service=%s cluster=%s", service->name,
                   agent->config->clusters[agent->config->services[i].live].name);
        }
    }
    if (changed) {
        agent->clock_offset_known = true; /* of this host's clock, until a leader tells another */
        xf_agent_routes_update(agent);
    }
}

void xf_agent_start_save(struct xf_agent *agent)
{
    struct xf_snapshot_service services[XF_SERVICES_MAX];
    struct xf_snapshot snapshot = {
        .left = agent->left, .forgotten = agent->forgotten, .services = services};
    memcpy(snapshot.proxy, agent->self.id, sizeof(snapshot.proxy));
    snapshot.saved_ms = INT64_MAX;
    for (unsigned i = 0; i < agent->services_count; i++) {
        const struct xf_agent_service *service = &agent->services[i];
        if (service->document == NULL) {
            continue;
        }
        struct xf_snapshot_service *saved = &services[snapshot.services_count++];
        saved->version = service->version;
        saved->document = service->document;
        saved->override = service->override;
        saved->fleet = service->fleet;
        memcpy(saved->write_id, service->write_id, sizeof(saved->write_id));
        if (service->confirmed_ms < snapshot.saved_ms) { /* as old as its oldest part */
            snapshot.saved_ms = service->confirmed_ms;
        }
    }
    agent->snapshot_due = false;
    if (snapshot.services_count == 0) {
        return;
    }
    size_t length = 0;
    char *text = xf_snapshot_format(&snapshot, &length);
    if (text != NULL) {
        xf_snapshot_writer_put(agent->writer, text, length);
    }
}

/* The newest edition's, or an older one's while it begins.  Who has no workers needs none. */
static bool accepts(const struct xf_agent *agent)
{
    bool any = false;
    for (unsigned i = 0; i < agent->editions_count; i++) {
        const struct xf_board *board = agent->editions[i]->board;
        for (unsigned w = 0; w < board->workers; w++) {
            any = true;
            if (xf_read(&board->stats[w]->accepting) != 0) {
                return true;
            }
        }
    }
    return !any;
}

bool xf_agent_start_ready(struct xf_agent *agent, char *reason, size_t bytes)
{
    if (agent->stopping) {
        (void) snprintf(reason, bytes, "stopping");
        return false;
    }
    for (unsigned i = 0; i < agent->services_count; i++) {
        const struct xf_agent_service *deciding = xf_agent_deciding(agent, i);
        if (agent->services[i].routed) {
            continue;
        }
        if (deciding->trouble[0] != '\0') {
            (void) snprintf(reason, bytes, "service %s: %s", agent->services[i].name,
                            deciding->trouble);
        } else {
            const char *problem = xf_agent_bus_problem(agent);
            (void) snprintf(
                reason, bytes, "service %s has no route: the store has not answered%s%s, and %s",
                agent->services[i].name, problem[0] != '\0' ? ": " : "", problem,
                agent->snapshot_error[0] != '\0' ? agent->snapshot_error
                                                 : "the snapshot is used after 10 s without it");
        }
        return false;
    }
    if (agent->editions_count == 0) {
        (void) snprintf(reason, bytes, "no edition of workers is live");
        return false;
    }
    if (!accepts(agent)) {
        (void) snprintf(reason, bytes, "no worker accepts connections yet");
        return false;
    }
    return true;
}
