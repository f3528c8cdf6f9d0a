/*
 * agent_routes.c -- puts what the documents say on the boards, and waits until it is in force.
 *
 * One record slot of a service is used on all boards alike.  A slot is written again only when the
 * words that named it were replaced and every worker has passed that change (DESIGN.md section 9);
 * with none free the update waits.  Writes are numbered: a wait that began after write N covers
 * all writes up to N, so a stream of changes cannot starve it.
 */
#include "shifter/agent/agent_state.h"

#include "config/base/log.h"

#include <string.h>
#include <sys/time.h>

#define LOOK_US_FIRST 100   /* between looks in the first 20 ms: most turns end by then */
#define LOOK_US_LATER 1000  /* in the first second */
#define LOOK_US_STUCK 20000 /* a worker is stopped in mid-turn */

struct change {       /* of one service on one edition */
    unsigned service; /* in the edition's own configuration */
    struct xf_agent_route route;
};

static uint64_t current_word(const struct xf_agent_edition *edition, unsigned service)
{
    return atomic_load_explicit(&xf_board_route(edition->board, service)->word,
                                memory_order_relaxed);
}

static bool usable(const struct xf_agent_service *service)
{
    return service->source == XF_AGENT_BUS || service->source == XF_AGENT_SNAPSHOT ||
           service->source == XF_AGENT_ASSUMED;
}

static void fill_facts(const struct xf_agent *agent, const struct xf_agent_edition *edition,
                       struct xf_agent_facts facts[XF_SERVICES_MAX])
{
    memset(facts, 0, XF_SERVICES_MAX * sizeof(facts[0]));
    for (unsigned i = 0; i < edition->config->services_count; i++) {
        int place = edition->services[i];
        if (place < 0 || !usable(&agent->services[place])) {
            continue;
        }
        const struct xf_agent_service *service = &agent->services[place];
        facts[i] = (struct xf_agent_facts){.document = service->document,
                                           .version = service->version,
                                           .overridden = service->override.on,
                                           .override_weight = service->override.weight};
    }
}

/* What the board of `edition` should hold; false: nothing is known, or it cannot be said. */
static bool wanted_route(struct xf_agent *agent, const struct xf_agent_edition *edition,
                         unsigned place, struct change *ret)
{
    struct xf_agent_facts facts[XF_SERVICES_MAX];
    int service = xf_config_find_service(edition->config, agent->services[place].name);
    if (service < 0 || edition->refused) {
        return false;
    }
    ret->service = (unsigned) service;
    struct xf_agent_service *deciding = xf_agent_deciding(agent, place);
    if (deciding->source == XF_AGENT_ASSUMED) {
        xf_agent_route_live(edition->config, ret->service, &ret->route);
        return true;
    }
    fill_facts(agent, edition, facts);
    unsigned source = xf_agent_route_source(edition->config, ret->service);
    if (facts[source].document == NULL) {
        return false;
    }
    struct xf_error err = {0};
    if (xf_agent_route_make(edition->config, ret->service, facts, &ret->route, &err) == 0) {
        deciding->trouble[0] = '\0';
        return true;
    }
    if (strcmp(deciding->trouble, err.message) != 0) {
        char quoted[XF_LOG_QUOTE_BYTES];
        xf_log(XF_LOG_ERROR, "agent.route_refused", "service=%s edition=%llu problem=%s",
               agent->services[place].name, (unsigned long long) edition->number,
               xf_log_quote(err.message, quoted));
        memcpy(deciding->trouble, err.message, sizeof(deciding->trouble));
    }
    return false;
}

static uint64_t make_word(const struct xf_agent_service *deciding, unsigned slot,
                          const struct xf_agent_route *route)
{
    return xf_route_word((uint32_t) deciding->version.generation, slot, route->flags,
                         route->weight);
}

static bool differs(const struct xf_agent_edition *edition, const struct change *change,
                    const struct xf_agent_service *deciding)
{
    uint64_t word = current_word(edition, change->service);
    unsigned slot = xf_route_record_number(word);
    if (slot >= XF_ROUTE_RECORDS || word != make_word(deciding, slot, &change->route)) {
        return true;
    }
    return memcmp(xf_board_record(edition->board, change->service, slot), &change->route.record,
                  sizeof(change->route.record)) != 0;
}

static bool named_by_a_word(const struct xf_agent *agent, const char *service, unsigned slot)
{
    for (unsigned i = 0; i < agent->editions_count; i++) {
        const struct xf_agent_edition *edition = agent->editions[i];
        int place = xf_config_find_service(edition->config, service);
        if (place < 0 || edition->refused) {
            continue;
        }
        uint64_t word = current_word(edition, (unsigned) place);
        if ((xf_route_flags(word) & XF_ROUTE_VALID) != 0 && xf_route_record_number(word) == slot) {
            return true;
        }
    }
    return false;
}

/* A record that no worker can still read, or -1. */
static int free_slot(const struct xf_agent *agent, const struct xf_agent_service *service)
{
    for (unsigned i = 1; i <= XF_AGENT_SLOTS; i++) {
        unsigned slot = (service->slot + i) % XF_AGENT_SLOTS;
        if (service->slot_until[slot] <= agent->sequence_settled &&
            !named_by_a_word(agent, service->name, slot)) {
            return (int) slot;
        }
    }
    return -1;
}

static void write_word(const struct xf_agent_edition *edition, const struct change *change,
                       const struct xf_agent_service *deciding, unsigned slot)
{
    memcpy(xf_board_record(edition->board, change->service, slot), &change->route.record,
           sizeof(change->route.record));
    atomic_store_explicit(&xf_board_route(edition->board, change->service)->word,
                          make_word(deciding, slot, &change->route), memory_order_release);
}

static void log_word(const struct xf_agent_service *service, const struct xf_agent_service *source,
                     const struct xf_agent_route *route)
{
    char version[XF_VERSION_TEXT_BYTES], weight[XF_WEIGHT_TEXT_BYTES];
    xf_log(XF_LOG_INFO, "agent.route", "service=%s version=%s weight=%s flags=%u record=%u",
           service->name, xf_version_format(&source->version, version),
           xf_format_weight(route->weight, weight), route->flags, service->slot);
}

/* True when the words of this service were changed. */
static bool update_service(struct xf_agent *agent, unsigned place)
{
    struct change changes[XF_INFORCE_EDITIONS_MAX];
    bool have[XF_INFORCE_EDITIONS_MAX] = {false};
    struct xf_agent_service *service = &agent->services[place];
    struct xf_agent_service *deciding = xf_agent_deciding(agent, place);
    bool any = false, all = agent->editions_count > 0;
    for (unsigned i = 0; i < agent->editions_count; i++) {
        have[i] = wanted_route(agent, agent->editions[i], place, &changes[i]);
        any = any || (have[i] && differs(agent->editions[i], &changes[i], deciding));
        all = all && (have[i] || agent->editions[i]->refused);
    }
    if (!any) {
        service->postponed = false;
        if (all && usable(deciding)) { /* the words say this already */
            service->written = deciding->version;
            memcpy(service->written_id, deciding->write_id, sizeof(service->written_id));
        }
        return false;
    }
    int slot = free_slot(agent, service);
    service->postponed = slot < 0;
    if (slot < 0) {
        return false;
    }
    service->slot_until[service->slot] = agent->sequence + 1;
    service->slot = (unsigned) slot;
    service->sequence = agent->sequence + 1;
    service->weight_before = service->weight;
    const struct xf_agent_route *shown = NULL;
    for (unsigned i = 0; i < agent->editions_count; i++) {
        if (have[i]) {
            write_word(agent->editions[i], &changes[i], deciding, service->slot);
            shown = &changes[i].route;
        }
    }
    service->weight = shown->weight;
    service->routed = true;
    service->written = all ? deciding->version : service->written;
    if (all) {
        memcpy(service->written_id, deciding->write_id, sizeof(service->written_id));
    }
    service->announced = false;
    log_word(service, deciding, shown);
    return true;
}

static void arm_look(struct xf_agent *agent)
{
    int64_t waited_ms = xf_agent_now_ms(agent) - agent->looking_since_ms;
    long us = waited_ms < 20 ? LOOK_US_FIRST : waited_ms < 1000 ? LOOK_US_LATER : LOOK_US_STUCK;
    struct timeval soon = {.tv_usec = us};
    evtimer_add(agent->look_event, &soon);
}

static void begin_wait(struct xf_agent *agent)
{
    struct xf_board *boards[XF_INFORCE_EDITIONS_MAX];
    for (unsigned i = 0; i < agent->editions_count; i++) {
        boards[i] = agent->editions[i]->board;
    }
    agent->sequence_awaited = agent->sequence;
    agent->looking = true;
    agent->looking_since_ms = xf_agent_now_ms(agent);
    if (!xf_inforce_begin(&agent->inforce, boards, agent->editions_count)) {
        agent->sequence_awaited = agent->sequence_settled; /* no memory: begin again at a look */
    }
    arm_look(agent);
}

void xf_agent_routes_update(struct xf_agent *agent)
{
    bool changed = false;
    for (unsigned i = 0; i < agent->services_count; i++) {
        changed = update_service(agent, i) || changed;
    }
    if (changed) {
        agent->sequence++;
        xf_agent_quiet_reset(agent);
    }
    if (agent->sequence_settled < agent->sequence && !agent->looking) {
        begin_wait(agent);
    }
    xf_agent_editions_announce(agent);
}

/* New versions came in force: the leader hears it at once. */
static void settle(struct xf_agent *agent)
{
    bool news = false, postponed = false;
    agent->sequence_settled = agent->sequence_awaited;
    for (unsigned i = 0; i < agent->services_count; i++) {
        struct xf_agent_service *service = &agent->services[i];
        postponed = postponed || service->postponed;
        if (!service->announced && service->sequence <= agent->sequence_settled) {
            service->announced = true;
            news = true;
        }
    }
    if (news) {
        xf_agent_quiet_reset(agent);
        xf_agent_heartbeat_send(agent, false);
    }
    if (postponed) {
        xf_agent_routes_update(agent);
    }
}

void xf_agent_routes_look(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_agent *agent = arg;
    if (!xf_inforce_settled(&agent->inforce)) {
        arm_look(agent);
        return;
    }
    agent->looking = false;
    settle(agent);
    if (!agent->looking && agent->sequence_settled < agent->sequence) {
        begin_wait(agent);
    }
}

/* A follower changes side with the service it follows: its words count too. */
static bool followers_settled(const struct xf_agent *agent, const struct xf_agent_service *service)
{
    for (unsigned i = 0; i < agent->services_count; i++) {
        const struct xf_agent_service *other = &agent->services[i];
        int follows = agent->config->services[i].follows;
        if (follows >= 0 && &agent->services[follows] == service &&
            (other->postponed || other->sequence > agent->sequence_settled)) {
            return false;
        }
    }
    return true;
}

bool xf_agent_routes_in_force(const struct xf_agent *agent, const struct xf_agent_service *service)
{
    return followers_settled(agent, service) && service->source != XF_AGENT_NOTHING &&
           service->routed && !service->postponed && service->trouble[0] == '\0' &&
           agent->editions_count > 0 && service->sequence <= agent->sequence_settled &&
           xf_version_compare(&service->written, &service->version) == 0 &&
           strcmp(service->written_id, service->write_id) == 0;
}
