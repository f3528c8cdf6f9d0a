/*
 * bus_redis_leader.c -- the bus of a fleet, the leader's side; every shifter runs it.
 *
 * Upwards: the streams `up` (heartbeats and samples) and `commands` of the namespace.  Downwards:
 * replies in a stream; of a state only what the document does not hold (progress, leader, the
 * store's clock) is put beside it as `shown`: the document itself is read from where it was
 * written under the fence.
 */
#include "shifter/bus/bus_kinds.h"
#include "shifter/bus/bus_redis_offer.h"
#include "shifter/bus/bus_redis_reader.h"
#include "shifter/store/store_redis_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEADER_MAGIC 0x62726c64u

struct redis_leader {
    struct xf_bus_leader base; /* first: the interface hands it back */
    unsigned magic;
    const struct xf_config_store *config;
    struct xf_bus_leader_calls calls;
    struct xf_bus_reader *reader;
    struct xf_resp *out;
    struct xf_bus_offers *offers;
};

static struct redis_leader *leader_of(struct xf_bus_leader *base)
{
    struct redis_leader *leader = (struct redis_leader *) base;
    XF_ASSERT(leader->magic == LEADER_MAGIC);
    return leader;
}

static void on_received(void *context, unsigned stream, json_t *message)
{
    (void) stream;
    struct redis_leader *leader = context;
    XF_ASSERT(leader->magic == LEADER_MAGIC);
    leader->calls.received(leader->calls.context, message);
}

static void on_offered(void *context, json_t *message)
{
    on_received(context, 0, message);
}

static void on_turn(void *context)
{
    struct redis_leader *leader = context;
    XF_ASSERT(leader->magic == LEADER_MAGIC);
    xf_bus_offers_look(leader->offers, xf_clock_monotonic_ms(xf_clock_system()));
    xf_bus_reader_next(leader->reader);
}

static void on_reader_ready(void *context, bool up)
{
    (void) context; /* the store says whether Redis is there */
    (void) up;
}

static void on_out_ready(void *context, bool up, const char *why)
{
    (void) context;
    (void) up;
    (void) why;
}

static void shown(void *context, const redisReply *reply, const char *why)
{
    (void) context; /* the next one comes within a second */
    (void) reply;
    (void) why;
}

static void publish_state(struct redis_leader *leader, const char *service, json_t *message)
{
    char key[XF_REDIS_KEY_BYTES];
    xf_redis_key(leader->config, service, "shown", key);
    json_t *without = json_copy(message);
    if (without == NULL || json_object_set_new(without, "document", json_string("")) != 0) {
        json_decref(without);
        return;
    }
    char *text = json_dumps(without, JSON_COMPACT);
    json_decref(without);
    if (text != NULL) {
        const char *arguments[] = {"SET", key, text};
        (void) !xf_resp_call(leader->out, 3, arguments, NULL, 0, shown, NULL);
        free(text);
    }
}

static void redis_publish(struct xf_bus_leader *base, json_t *message)
{
    struct redis_leader *leader = leader_of(base);
    const char *kind = json_string_value(json_object_get(message, "kind"));
    const char *service = json_string_value(json_object_get(message, "service"));
    if (kind != NULL && service != NULL && strcmp(kind, "state") == 0) {
        publish_state(leader, service, message);
        return;
    }
    char key[XF_REDIS_KEY_BYTES];
    xf_redis_key(leader->config, "fleet", "replies", key);
    if (!xf_bus_redis_add(leader->out, key, XF_BUS_FEW_ENTRIES, XF_BUS_UP_BYTES_MAX, message)) {
        json_t *instead = xf_bus_too_large(message);
        (void) !(instead != NULL && xf_bus_redis_add(leader->out, key, XF_BUS_FEW_ENTRIES,
                                                     XF_BUS_UP_BYTES_MAX, instead));
        json_decref(instead);
    }
}

static void redis_leader_destroy(struct xf_bus_leader *base)
{
    struct redis_leader *leader = leader_of(base);
    xf_bus_reader_destroy(leader->reader);
    xf_resp_destroy(leader->out);
    xf_bus_offers_destroy(leader->offers);
    free(leader);
}

int xf_bus_redis_lead(const struct xf_config *config, struct event_base *loop,
                      const struct xf_bus_leader_calls *calls, struct xf_bus_leader **ret,
                      struct xf_error *err)
{
    struct redis_leader *leader = calloc(1, sizeof(*leader));
    if (leader == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    leader->base = (struct xf_bus_leader){redis_publish, redis_leader_destroy};
    leader->magic = LEADER_MAGIC;
    leader->config = &config->store;
    leader->calls = *calls;
    char up[XF_REDIS_KEY_BYTES], commands[XF_REDIS_KEY_BYTES];
    xf_redis_key(leader->config, "fleet", "up", up);
    xf_redis_key(leader->config, "fleet", "commands", commands);
    const struct xf_bus_stream streams[] = {{up, false, 0},
                                            {commands, false, XF_BUS_COMMAND_BACK_MS}};
    struct xf_bus_reader_calls reader_calls = {
        .received = on_received, .turn = on_turn, .ready = on_reader_ready, .context = leader};
    struct xf_resp_calls out_calls = {on_out_ready, leader};
    leader->reader =
        xf_bus_reader_create(loop, xf_clock_system(), leader->config, streams, 2, &reader_calls);
    leader->out = xf_resp_create(loop, xf_clock_system(), leader->config, &out_calls);
    leader->offers =
        leader->out != NULL ? xf_bus_offers_create(config, leader->out, on_offered, leader) : NULL;
    if (leader->reader == NULL || leader->out == NULL || leader->offers == NULL) {
        redis_leader_destroy(&leader->base);
        return XF_FAIL(err, XF_E_NO_MEMORY, "bus: out of memory");
    }
    *ret = &leader->base;
    return 0;
}
