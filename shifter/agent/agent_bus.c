/*
 * agent_bus.c -- what the leader says: states, and answers to forwarded commands.
 *
 * Only a larger version is applied.  The same version with another write_id is a fork: two
 * primaries wrote apart; what is served stays and the heartbeat tells the leader.  A document that
 * does not read, or names a cluster this host does not have, changes nothing.
 */
#include "shifter/agent/agent_state.h"

#include "config/base/log.h"
#include "shifter/agent/agent_forward.h"
#include "shifter/control/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEADER_SILENT_MS 5000
#define OFFSET_CHANGE_US 5000 /* smaller differences are the way's delay, not a clock's */
#define FOLLOW_RETRY_S   1

bool xf_agent_bus_led(const struct xf_agent *agent, const struct xf_agent_service *service)
{
    return agent->bus_up && service->leader_heard_ms > 0 &&
           xf_agent_now_ms(agent) - service->leader_heard_ms < LEADER_SILENT_MS;
}

const char *xf_agent_bus_problem(const struct xf_agent *agent)
{
    const char *problem = agent->bus_error;
    for (unsigned i = 0; problem[0] == '\0' && i < agent->services_count; i++) {
        problem = agent->services[i].foreign;
    }
    return problem;
}

static void report_fork(struct xf_agent_service *service, const struct xf_message_state *state)
{
    char version[XF_VERSION_TEXT_BYTES];
    if (!service->fork) {
        xf_log(XF_LOG_ERROR, "agent.fork", "service=%s version=%s mine=%s other=%s", service->name,
               xf_version_format(&state->version, version), service->write_id, state->write_id);
    }
    service->fork = true;
}

/* The store's clock labels judge cells: its offset to this host's boot-time clock. */
static void learn_clock(struct xf_agent *agent, int64_t store_time_ms)
{
    int64_t boottime_us = agent->clock->boottime_ns(agent->clock->context) / 1000;
    int64_t offset_us = store_time_ms * 1000 - boottime_us;
    int64_t change_us = offset_us - agent->clock_offset_us;
    if (agent->clock_offset_known && change_us < OFFSET_CHANGE_US &&
        change_us > -OFFSET_CHANGE_US) {
        return;
    }
    agent->clock_offset_us = offset_us;
    agent->clock_offset_known = true;
    for (unsigned i = 0; i < agent->editions_count; i++) {
        atomic_store_explicit(&agent->editions[i]->board->control->clock_offset_us, offset_us,
                              memory_order_relaxed);
    }
}

static void note_leader(struct xf_agent *agent, struct xf_agent_service *service,
                        const struct xf_message_state *state)
{
    service->leader_heard_ms = xf_agent_now_ms(agent);
    memcpy(service->leader_id, state->leader.id, sizeof(service->leader_id));
    memcpy(service->leader_name, state->leader.name, sizeof(service->leader_name));
    service->progress = state->progress;
    if (state->progress.proxies > 0) {
        service->fleet = state->progress.proxies;
    }
}

static bool take_document(struct xf_agent_service *service, const struct xf_message_state *state)
{
    struct xf_error err = {0};
    struct xf_document *document = NULL;
    char quoted[XF_LOG_QUOTE_BYTES];
    if (xf_document_read(state->document, &document, &err) != 0 ||
        strcmp(document->service, service->name) != 0) {
        (void) snprintf(service->trouble, sizeof(service->trouble), "the document: %.480s",
                        err.message[0] != '\0' ? err.message : "it names another service");
        xf_log(XF_LOG_ERROR, "agent.document_refused", "service=%s problem=%s", service->name,
               xf_log_quote(service->trouble, quoted));
        xf_document_destroy(document);
        return false;
    }
    xf_document_destroy(service->document);
    service->document = document;
    service->version = state->version;
    memcpy(service->write_id, state->write_id, sizeof(service->write_id));
    service->trouble[0] = '\0';
    service->fork = false;
    return true;
}

/* The leader knows less than this proxy saw: what was seen is served, the leader will recover. */
static void keep_newer(struct xf_agent *agent, struct xf_agent_service *service)
{
    if (service->source == XF_AGENT_HELD && agent->snapshot_error[0] == '\0') {
        service->source = XF_AGENT_SNAPSHOT;
    }
}

static void take_state(struct xf_agent *agent, const json_t *message)
{
    struct xf_message_state state;
    struct xf_error err = {0};
    char quoted[XF_LOG_QUOTE_BYTES];
    if (xf_message_state_read(message, &state, &err) != 0) {
        xf_log(XF_LOG_WARNING, "agent.message_refused", "problem=%s",
               xf_log_quote(err.message, quoted));
        return;
    }
    struct xf_agent_service *service = xf_agent_find(agent, state.service);
    if (service == NULL) {
        return; /* of another host's configuration */
    }
    if (state.store_time_ms > 0) { /* 0: the leader of this epoch has not told it yet */
        learn_clock(agent, state.store_time_ms);
    }
    note_leader(agent, service, &state);
    int order = service->source == XF_AGENT_NOTHING || service->source == XF_AGENT_ASSUMED
                    ? 1
                    : xf_version_compare(&state.version, &service->version);
    service->store_behind = order < 0;
    if (order < 0) {
        keep_newer(agent, service);
    } else if (order == 0 && strcmp(state.write_id, service->write_id) != 0) {
        report_fork(service, &state);
        keep_newer(agent, service);
    } else if (order == 0 || take_document(service, &state)) {
        service->source = XF_AGENT_BUS;
        service->confirmed_ms = xf_clock_wall_ms(agent->clock);
        service->fork = false;
        agent->snapshot_due = agent->snapshot_due || order > 0 || agent->forgotten;
        agent->forgotten = false;
    }
    if (service->document != NULL) {
        xf_agent_local_reconcile(agent, service);
    }
    xf_agent_routes_update(agent);
}

static void take_reply(struct xf_agent *agent, const json_t *message)
{
    struct xf_message_reply reply;
    struct xf_error err = {0};
    if (xf_message_reply_read(message, &reply, &err) == 0) {
        xf_agent_forward_answer(agent->forward, &reply);
    }
}

static void bus_received(void *context, json_t *message)
{
    struct xf_agent *agent = context;
    enum xf_message_kind kind;
    if (!xf_message_kind_of(message, &kind)) {
        return;
    }
    if (kind == XF_MESSAGE_STATE) {
        take_state(agent, message);
    } else if (kind == XF_MESSAGE_REPLY) {
        take_reply(agent, message);
    } else if (kind == XF_MESSAGE_ABSENT) {
        xf_agent_offer_absent(agent, message);
    }
}

static void bus_connected(void *context, bool up)
{
    struct xf_agent *agent = context;
    if (agent->bus_up == up) {
        return;
    }
    agent->bus_up = up;
    agent->bus_changed_ms = xf_clock_wall_ms(agent->clock);
    agent->bus_lost_ms = xf_agent_now_ms(agent);
    xf_log(up ? XF_LOG_INFO : XF_LOG_WARNING, up ? "agent.bus_up" : "agent.bus_lost", "proxy=%s",
           agent->self.id);
    for (unsigned i = 0; up && i < agent->services_count; i++) {
        agent->services[i].foreign[0] = '\0'; /* what was foreign may be gone from the store */
    }
    if (up) {
        xf_agent_heartbeat_send(agent, false);
    }
}

static void bus_refused(void *context, const char *why)
{
    struct xf_agent *agent = context;
    char quoted[XF_LOG_QUOTE_BYTES];
    agent->refused = why != NULL;
    xf_agent_copy(agent->bus_error, sizeof(agent->bus_error), why != NULL ? why : "");
    xf_log(why != NULL ? XF_LOG_ERROR : XF_LOG_NOTICE, "agent.twice", "proxy=%s problem=%s",
           agent->self.id, xf_log_quote(why != NULL ? why : "no longer", quoted));
}

/* The fleet may have finished without it: what it knows itself does not serve until it has heard
 * the state. */
static void bus_forgotten(void *context)
{
    struct xf_agent *agent = context;
    if (!agent->forgotten) {
        agent->forgotten = true;
        xf_log(XF_LOG_ERROR, "agent.forgotten",
               "proxy=%s text=\"an operator had the fleet forget this proxy; it joins again\"",
               agent->self.id);
        xf_agent_start_forgotten(agent);
    }
}

/* A fresh store, made anew where the old one was lost, is told again; any other state whose first
 * document had another id is another installation's. */
static bool bus_ours(void *context, const char *name, const struct xf_version *version,
                     const char *text)
{
    struct xf_agent *agent = context;
    struct xf_agent_service *service = xf_agent_find(agent, name);
    struct xf_document *document = NULL;
    struct xf_error err = {0};
    char quoted[XF_LOG_QUOTE_BYTES];
    if (service != NULL) {
        service->foreign[0] = '\0';
    }
    if (service == NULL || service->document == NULL || service->version.generation == 0 ||
        (version->generation <= 1 && xf_version_compare(version, &service->version) < 0) ||
        xf_document_read(text, &document, &err) != 0) {
        return true;
    }
    bool ours = strcmp(document->install_id, service->document->install_id) == 0;
    if (!ours) {
        (void) snprintf(
            service->foreign, sizeof(service->foreign),
            "the store holds the state of another installation (%.36s; this proxy "
            "belongs to %.36s): see store.namespace, or remove the file " XF_SNAPSHOT_FILE
            " in proxy.state_dir to join",
            document->install_id, service->document->install_id);
        xf_log(XF_LOG_ERROR, "agent.foreign", "service=%s problem=%s", name,
               xf_log_quote(service->foreign, quoted));
    }
    xf_document_destroy(document);
    return ours;
}

static void try_follow(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_agent *agent = arg;
    struct xf_bus_agent_calls calls = {.received = bus_received,
                                       .connected = bus_connected,
                                       .context = agent,
                                       .refused = bus_refused,
                                       .forgotten = bus_forgotten,
                                       .ours = bus_ours,
                                       .self = &agent->self};
    struct xf_error err = {0};
    if (xf_bus_follow(agent->start->config, agent->loop, &calls, &agent->bus, &err) == 0) {
        agent->bus_error[0] = '\0';
        return;
    }
    agent->bus = NULL;
    if (strcmp(agent->bus_error, err.message) != 0) {
        char quoted[XF_LOG_QUOTE_BYTES];
        memcpy(agent->bus_error, err.message, sizeof(agent->bus_error));
        xf_log(XF_LOG_WARNING, "agent.bus", "problem=%s", xf_log_quote(err.message, quoted));
    }
    evtimer_add(agent->bus_retry, &(struct timeval){.tv_sec = FOLLOW_RETRY_S});
}

void xf_agent_bus_open(struct xf_agent *agent)
{
    agent->bus_retry = evtimer_new(agent->loop, try_follow, agent);
    if (agent->bus_retry != NULL) {
        try_follow(-1, 0, agent);
    }
}

void xf_agent_bus_close(struct xf_agent *agent)
{
    xf_bus_agent_destroy(agent->bus);
    agent->bus = NULL;
    if (agent->bus_retry != NULL) {
        event_free(agent->bus_retry);
        agent->bus_retry = NULL;
    }
}
