/*
 * bus.c -- picks the bus that belongs to the configured store; what both have in common.
 */
#include "shifter/bus/bus.h"
#include "shifter/bus/bus_kinds.h"
#include "shifter/net/link.h"

#include <stddef.h>

int xf_bus_lead(const struct xf_config *config, struct event_base *loop,
                const struct xf_bus_leader_calls *calls, struct xf_bus_leader **ret,
                struct xf_error *err)
{
    if (config->store.kind == XF_STORE_REDIS) {
        return xf_bus_redis_lead(config, loop, calls, ret, err);
    }
    return xf_bus_local_lead(config, loop, calls, ret, err);
}

void xf_bus_publish(struct xf_bus_leader *bus, json_t *message)
{
    bus->publish(bus, message);
}

void xf_bus_leader_destroy(struct xf_bus_leader *bus)
{
    if (bus != NULL) {
        bus->destroy(bus);
    }
}

int xf_bus_follow(const struct xf_config *config, struct event_base *loop,
                  const struct xf_bus_agent_calls *calls, struct xf_bus_agent **ret,
                  struct xf_error *err)
{
    if (config->store.kind == XF_STORE_REDIS) {
        return xf_bus_redis_follow(config, loop, calls, ret, err);
    }
    return xf_bus_local_follow(config, loop, calls, ret, err);
}

bool xf_bus_send(struct xf_bus_agent *bus, json_t *message)
{
    return bus->send(bus, message);
}

void xf_bus_agent_destroy(struct xf_bus_agent *bus)
{
    if (bus != NULL) {
        bus->destroy(bus);
    }
}

json_t *xf_bus_too_large(const json_t *message)
{
    const char *request = json_string_value(json_object_get(message, "request"));
    const char *kind = json_string_value(json_object_get(message, "kind"));
    if (request == NULL || kind == NULL) {
        return NULL;
    }
    return json_pack("{s:s, s:s, s:i, s:s}", "kind", kind, "request", request, "exit", 1, "message",
                     "the answer is larger than the bus carries");
}

char *xf_bus_encode(json_t *message, size_t *ret_length)
{
    char *frame = xf_link_encode(message, ret_length);
    if (frame == NULL) {
        json_t *instead = xf_bus_too_large(message);
        frame = instead != NULL ? xf_link_encode(instead, ret_length) : NULL;
        json_decref(instead);
    }
    return frame;
}
