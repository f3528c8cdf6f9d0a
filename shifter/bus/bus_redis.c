/*
 * bus_redis.c -- the bus of a fleet, the agent's side.
 *
 * The truth is each service's hash.  A blocking read on the services' logs and on the replies
 * wakes at once, or after a second; then the version is compared, and only a changed document is
 * fetched.  What `shown` adds counts only while it is of the document's epoch.
 *
 *     XREAD (<= 1 s) --> HMGET version, GET shown of each service --> HMGET document where changed
 *       ^                                                                      |
 *       +----------------------------------------------------------------------+
 */
#include "shifter/bus/bus_kinds.h"
#include "shifter/bus/bus_message.h"
#include "shifter/bus/bus_redis_offer.h"
#include "shifter/bus/bus_redis_reader.h"
#include "shifter/bus/bus_redis_roster.h"
#include "shifter/store/resp_slot.h"
#include "shifter/store/store_redis_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_MAGIC 0x62726167u

struct redis_agent;

/* A reader and the services whose states it wakes for: one for all, or in a Redis Cluster one for
 * the replies and one for each service. */
struct channel {
    struct redis_agent *agent;
    struct xf_bus_reader *reader;
    unsigned first, count; /* its services */
    unsigned open;         /* questions of this turn without an answer */
    bool unanswered;       /* and one that will have none: the turn counts for nothing */
    bool reading;
    bool looked; /* its states were seen since it connected */
};

struct followed { /* one service */
    struct redis_agent *agent;
    struct channel *channel;
    const char *name; /* the configuration's */
    char state_key[XF_REDIS_KEY_BYTES];
    char shown_key[XF_REDIS_KEY_BYTES];
    struct xf_store_state state; /* as told last; document: `document` */
    char *document;
    char *shown;  /* as told last; NULL: none */
    bool changed; /* something must be told */
    bool foreign; /* the state that stands there is another installation's */
    bool absent;  /* no state can be read: told each turn, for those who may have one to offer */
};

struct redis_agent {
    struct xf_bus_agent base; /* first: the interface hands it back */
    unsigned magic;
    const struct xf_config_store *config;
    struct event_base *loop;
    struct xf_bus_agent_calls calls;
    struct channel channels[1 + XF_SERVICES_MAX];
    unsigned channels_count;
    struct xf_resp *out;
    struct xf_bus_roster *roster; /* NULL: it only listens */
    struct followed *services;
    unsigned services_count;
    char self_id[XF_UUID_TEXT_BYTES];
    bool sending, told_up;
};

static struct redis_agent *agent_of(struct xf_bus_agent *base)
{
    struct redis_agent *agent = (struct redis_agent *) base;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    return agent;
}

/* Nothing joins, and nothing is said, before it is known whose states stand there. */
static bool is_ours(const struct redis_agent *agent)
{
    bool ours = true;
    for (unsigned i = 0; i < agent->channels_count; i++) {
        ours = ours && agent->channels[i].looked;
    }
    for (unsigned i = 0; i < agent->services_count; i++) {
        ours = ours && !agent->services[i].foreign;
    }
    return ours;
}

static void join(struct redis_agent *agent)
{
    if (agent->roster != NULL && agent->sending && is_ours(agent)) {
        xf_bus_roster_join(agent->roster);
    }
}

static void tell_connected(struct redis_agent *agent)
{
    bool reading = true;
    for (unsigned i = 0; i < agent->channels_count; i++) {
        reading = reading && agent->channels[i].reading;
    }
    bool up = reading && agent->sending && is_ours(agent) &&
              (agent->roster == NULL || xf_bus_roster_joined_all(agent->roster));
    if (agent->told_up != up) {
        agent->told_up = up;
        agent->calls.connected(agent->calls.context, up);
    }
}

/* ---- what a service's state is now ---- */

/* Progress, leader and clock from `shown`, where it belongs to the document's epoch. */
static void add_shown(const struct followed *service, struct xf_message_state *state)
{
    struct xf_message_state beside;
    json_t *message = service->shown != NULL ? json_loads(service->shown, 0, NULL) : NULL;
    if (message != NULL && xf_message_state_read(message, &beside, NULL) == 0 &&
        beside.version.epoch == state->version.epoch) {
        state->progress = beside.progress;
        state->store_time_ms = beside.store_time_ms;
        state->leader = beside.leader;
    }
    json_decref(message);
}

static void tell_state(struct followed *service)
{
    struct xf_message_state state = {.version = service->state.version,
                                     .document = service->document,
                                     .progress = {-1, -1, 0, 0, 0}};
    snprintf(state.service, sizeof(state.service), "%s", service->name);
    snprintf(state.write_id, sizeof(state.write_id), "%s", service->state.write_id);
    snprintf(state.leader.id, sizeof(state.leader.id), "00000000-0000-4000-8000-000000000000");
    add_shown(service, &state);
    json_t *message = xf_message_state_make(&state);
    if (message != NULL) {
        service->agent->calls.received(service->agent->calls.context, message);
        json_decref(message);
    }
}

static void tell_absent(struct followed *service)
{
    json_t *message = xf_message_absent_make(service->name);
    if (message != NULL) {
        service->agent->calls.received(service->agent->calls.context, message);
        json_decref(message);
    }
}

/* Who is not in the roster must not serve: nobody would wait for it. */
static bool may_hear(const struct redis_agent *agent, unsigned service)
{
    return agent->roster == NULL || xf_bus_roster_joined(agent->roster, service);
}

static void tell_changes(struct redis_agent *agent)
{
    for (unsigned i = 0; i < agent->services_count; i++) {
        struct followed *service = &agent->services[i];
        if (service->changed && service->document != NULL && !service->absent && is_ours(agent) &&
            may_hear(agent, i)) {
            service->changed = false;
            tell_state(service);
        }
    }
}

static void on_joined(void *context)
{
    struct redis_agent *agent = context;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    tell_connected(agent);
    tell_changes(agent);
}

static void on_refused(void *context, const char *why)
{
    struct redis_agent *agent = context;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    if (agent->calls.refused != NULL) {
        agent->calls.refused(agent->calls.context, why);
    }
}

/* The last answer of this turn: tells what changed, and waits for more. */
static void end_turn(struct channel *channel)
{
    struct redis_agent *agent = channel->agent;
    channel->looked = true;
    join(agent);
    tell_connected(agent);
    for (unsigned i = channel->first; i < channel->first + channel->count; i++) {
        if (agent->services[i].absent && is_ours(agent)) {
            tell_absent(&agent->services[i]);
        }
    }
    tell_changes(agent);
    xf_bus_reader_next(channel->reader);
}

static void settle(struct channel *channel)
{
    XF_ASSERT(channel->open > 0);
    channel->open--;
    if (channel->open > 0 || !xf_resp_is_ready(xf_bus_reader_resp(channel->reader))) {
        return;
    }
    if (channel->unanswered) {
        xf_bus_reader_begin_again(channel->reader);
    } else {
        end_turn(channel);
    }
}

static void answered(struct followed *service, const redisReply *reply)
{
    struct channel *channel = service->channel;
    channel->unanswered = channel->unanswered || reply == NULL || xf_resp_unavailable(reply);
    settle(channel);
}

static void ask(struct followed *service, size_t count, const char *const *arguments,
                xf_resp_done *done)
{
    struct channel *channel = service->channel;
    channel->open++;
    if (!xf_resp_call(xf_bus_reader_resp(channel->reader), count, arguments, NULL, 0, done,
                      service)) {
        channel->open--;
        channel->unanswered = true;
    }
}

static void got_document(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct followed *service = context;
    struct redis_agent *agent = service->agent;
    struct xf_store_state state;
    char *document = NULL;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    if (reply != NULL && xf_redis_read_state(reply, &state, &document) == XF_STORE_OK) {
        free(service->document);
        service->document = document;
        service->state = state;
        service->changed = true;
        service->foreign =
            agent->calls.ours != NULL &&
            !agent->calls.ours(agent->calls.context, service->name, &state.version, document);
    }
    answered(service, reply);
}

/* HMGET epoch generation revision write_id: the document is fetched where it is another. */
static void got_version(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct followed *service = context;
    struct redis_agent *agent = service->agent;
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    bool read = reply != NULL && !xf_resp_unavailable(reply);
    bool there = read && xf_redis_read_version(reply, &version, write_id);
    service->absent = read && !there;
    service->foreign = service->foreign && there;
    if (there) {
        const struct channel *channel = service->channel;
        unsigned number = (unsigned) (service - agent->services) - channel->first;
        bool alone = channel != &agent->channels[0]; /* else the replies stand before the logs */
        xf_bus_reader_place(channel->reader, alone ? number : 1 + number, version.generation,
                            version.revision);
    }
    if (there &&
        (service->document == NULL || xf_version_compare(&version, &service->state.version) != 0 ||
         strcmp(write_id, service->state.write_id) != 0)) {
        const char *const arguments[] = {"HMGET",    service->state_key, "epoch", "generation",
                                         "revision", "write_id",         "doc"};
        ask(service, XF_COUNT(arguments), arguments, got_document);
    }
    answered(service, reply);
}

static void got_shown(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct followed *service = context;
    struct redis_agent *agent = service->agent;
    char *text = NULL;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    if (reply != NULL && xf_redis_read_text(reply, &text) == XF_STORE_OK) {
        if (service->shown == NULL || strcmp(service->shown, text) != 0) {
            free(service->shown);
            service->shown = text;
            service->changed = true;
        } else {
            free(text);
        }
    }
    answered(service, reply);
}

static void got_member(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct followed *service = context;
    struct redis_agent *agent = service->agent;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    if (xf_bus_roster_seen(agent->roster, (unsigned) (service - agent->services), reply) &&
        agent->calls.forgotten != NULL) {
        agent->calls.forgotten(agent->calls.context);
    }
    answered(service, reply);
}

static void ask_roster(struct redis_agent *agent, struct followed *service)
{
    char key[XF_REDIS_KEY_BYTES];
    const char *const member[] = {"HMGET", key, agent->self_id, xf_bus_roster_claim(agent->roster),
                                  xf_bus_roster_gone(agent->roster)};
    xf_redis_key(agent->config, service->name, "roster", key);
    ask(service, XF_COUNT(member), member, got_member);
}

static void on_turn(void *context)
{
    struct channel *channel = context;
    struct redis_agent *agent = channel->agent;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    channel->open = 1; /* held until every question is put */
    channel->unanswered = false;
    for (unsigned i = channel->first; i < channel->first + channel->count; i++) {
        struct followed *service = &agent->services[i];
        const char *const version[] = {"HMGET",      service->state_key, "epoch",
                                       "generation", "revision",         "write_id"};
        const char *const shown[] = {"GET", service->shown_key};
        ask(service, XF_COUNT(version), version, got_version);
        ask(service, XF_COUNT(shown), shown, got_shown);
        if (agent->roster != NULL) {
            ask_roster(agent, service);
        }
    }
    settle(channel);
}

static void on_received(void *context, unsigned stream, json_t *message)
{
    (void) stream;
    struct redis_agent *agent = ((struct channel *) context)->agent;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    agent->calls.received(agent->calls.context, message);
}

static void on_reader_ready(void *context, bool up)
{
    struct channel *channel = context;
    XF_ASSERT(channel->agent->magic == AGENT_MAGIC);
    channel->reading = up;
    channel->looked = false;
    tell_connected(channel->agent);
}

/* A Redis Cluster: no command may concern two services. */
static void on_crossed(void *context)
{
    struct redis_agent *agent = ((struct channel *) context)->agent;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    agent->channels[0].count = 0;
    for (unsigned i = 0; i < agent->services_count; i++) {
        char key[XF_REDIS_KEY_BYTES];
        struct channel *channel = &agent->channels[agent->channels_count];
        struct xf_bus_stream log = {key, true, 0};
        struct xf_bus_reader_calls calls = {
            .received = on_received, .turn = on_turn, .ready = on_reader_ready, .context = channel};
        xf_redis_key(agent->config, agent->services[i].name, "log", key);
        *channel = (struct channel){.agent = agent, .first = i, .count = 1};
        channel->reader =
            xf_bus_reader_create(agent->loop, xf_clock_system(), agent->config, &log, 1, &calls);
        agent->services[i].channel = channel;
        agent->channels_count++;
        if (channel->reader == NULL) {
            return; /* no memory: what is not followed keeps its route, and is not called ready */
        }
    }
}

/* ---- upwards ---- */

static void on_out_ready(void *context, bool up, const char *why)
{
    (void) why;
    struct redis_agent *agent = context;
    XF_ASSERT(agent->magic == AGENT_MAGIC);
    agent->sending = up;
    join(agent);
    tell_connected(agent);
}

static bool redis_send(struct xf_bus_agent *base, json_t *message)
{
    struct redis_agent *agent = agent_of(base);
    const char *kind = json_string_value(json_object_get(message, "kind"));
    if (kind != NULL && strcmp(kind, "offer") == 0) {
        return agent->told_up && xf_bus_redis_offer(agent->out, agent->config, message);
    }
    if (agent->roster != NULL && agent->told_up && json_is_true(json_object_get(message, "left"))) {
        xf_bus_roster_leave(agent->roster); /* before the leader hears that it left */
    }
    bool command = kind != NULL && strcmp(kind, "command") == 0;
    char key[XF_REDIS_KEY_BYTES];
    xf_redis_key(agent->config, "fleet", command ? "commands" : "up", key);
    return agent->told_up &&
           xf_bus_redis_add(agent->out, key, command ? XF_BUS_FEW_ENTRIES : XF_BUS_UP_ENTRIES,
                            XF_BUS_UP_BYTES_MAX, message);
}

/* ---- life ---- */

static void redis_agent_destroy(struct xf_bus_agent *base)
{
    struct redis_agent *agent = agent_of(base);
    for (unsigned i = 0; i < agent->channels_count; i++) {
        xf_bus_reader_destroy(agent->channels[i].reader);
    }
    xf_resp_destroy(agent->out);
    xf_bus_roster_destroy(agent->roster);
    for (unsigned i = 0; i < agent->services_count; i++) {
        free(agent->services[i].document);
        free(agent->services[i].shown);
    }
    free(agent->services);
    free(agent);
}

/* The streams that wake: replies, which are handed over, and each service's log, which hints. */
static bool make_reader(struct redis_agent *agent)
{
    char keys[XF_BUS_STREAMS_MAX][XF_REDIS_KEY_BYTES];
    struct xf_bus_stream streams[XF_BUS_STREAMS_MAX];
    struct channel *channel = &agent->channels[agent->channels_count++];
    struct xf_bus_reader_calls calls = {.received = on_received,
                                        .turn = on_turn,
                                        .crossed = on_crossed,
                                        .ready = on_reader_ready,
                                        .context = channel};
    *channel = (struct channel){.agent = agent, .count = agent->services_count};
    xf_redis_key(agent->config, "fleet", "replies", keys[0]);
    streams[0] = (struct xf_bus_stream){keys[0], false, 0};
    for (unsigned i = 0; i < agent->services_count; i++) {
        agent->services[i].channel = channel;
        xf_redis_key(agent->config, agent->services[i].name, "log", keys[i + 1]);
        streams[i + 1] = (struct xf_bus_stream){keys[i + 1], true, 0};
    }
    channel->reader = xf_bus_reader_create(agent->loop, xf_clock_system(), agent->config, streams,
                                           1 + agent->services_count, &calls);
    return channel->reader != NULL;
}

int xf_bus_redis_follow(const struct xf_config *config, struct event_base *loop,
                        const struct xf_bus_agent_calls *calls, struct xf_bus_agent **ret,
                        struct xf_error *err)
{
    XF_ASSERT(config->services_count <= XF_SERVICES_MAX);
    struct redis_agent *agent = calloc(1, sizeof(*agent));
    if (agent == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    agent->base = (struct xf_bus_agent){redis_send, redis_agent_destroy};
    agent->magic = AGENT_MAGIC;
    agent->config = &config->store;
    agent->calls = *calls;
    agent->loop = loop;
    agent->services = calloc(config->services_count + 1, sizeof(*agent->services));
    for (unsigned i = 0; agent->services != NULL && i < config->services_count; i++) {
        struct followed *service = &agent->services[agent->services_count++];
        service->agent = agent;
        service->name = config->services[i].name;
        xf_redis_key(agent->config, service->name, "state", service->state_key);
        xf_redis_key(agent->config, service->name, "shown", service->shown_key);
    }
    struct xf_resp_calls out_calls = {on_out_ready, agent};
    bool reads = agent->services != NULL && make_reader(agent);
    if (reads) {
        agent->out = xf_resp_create(loop, xf_clock_system(), agent->config, &out_calls);
    }
    bool joins = calls->self != NULL;
    if (agent->out != NULL && joins) {
        memcpy(agent->self_id, calls->self->id, sizeof(agent->self_id));
        agent->roster =
            xf_bus_roster_create(config, agent->out, calls->self, on_joined, on_refused, agent);
    }
    if (!reads || agent->out == NULL || (joins && agent->roster == NULL)) {
        redis_agent_destroy(&agent->base);
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    *ret = &agent->base;
    return 0;
}
