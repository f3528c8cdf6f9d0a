/*
 * bus.h -- between the leader and the agents (DESIGN.md section 8).
 *
 * State goes down to the agents; commands, confirmations, heartbeats and samples go up to the
 * leader.  Messages are JSON objects (bus_message.h has one builder and one reader per kind).
 * On one host it is a unix socket in the state directory, in a fleet it is Redis; both
 * pass tests/unit/shifter/test_bus.c.  Nothing here is the truth: state is versioned, so a
 * message lost, repeated or late does no harm.
 */
#ifndef XF_SHIFTER_BUS_H
#define XF_SHIFTER_BUS_H

#include "config/base/clock.h"
#include "config/base/error.h"
#include "config/base/version.h"
#include "config/config.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct xf_message_proxy;

/* No callback runs inside the call that made its bus, and neither side may be destroyed from
 * inside one of its callbacks. */

/*
 * Kinds (the member `kind` of each message):
 *   up    heartbeat  {proxy:{id,name,boot}, digest, version?, services:{S:{version,write_id,
 *                     in_force:bool, override?}}, clusters:{C:{in_flight,tunnels,pooled,
 *                     quiet_ms, requests, errors, rescued, …}}, stats:{…}, left?:true}
 *   up    samples    {proxy, boot, seq, service, cells:[…]}
 *   up    command    {request, service, verb, arguments:{…}, actor, reason, if_generation?,
 *                     if_step?, sent_ms}
 *   down  state      {service, version, write_id, document, progress}
 *   down  reply      {request, exit, message, body?}
 */
struct xf_bus_leader;
struct xf_bus_leader_calls {
    void (*received)(void *context, json_t *message /* borrowed */);
    void (*agents_changed)(void *context, unsigned connected); /* local socket only */
    void *context;
};
XF_NODISCARD int xf_bus_lead(const struct xf_config *config, struct event_base *loop,
                             const struct xf_bus_leader_calls *calls, struct xf_bus_leader **ret,
                             struct xf_error *err);
/* To every agent, now and (for `state`: the last one of each service) to each that joins later.
 * An agent that is slow is sent the newest `state` of a service, not each one.  Borrows
 * `message`. */
void xf_bus_publish(struct xf_bus_leader *bus, json_t *message);
void xf_bus_leader_destroy(struct xf_bus_leader *bus); /* accepts NULL */

struct xf_bus_agent;
struct xf_bus_agent_calls {
    void (*received)(void *context, json_t *message /* borrowed */);
    void (*connected)(void *context, bool up);
    void *context;
    /* Who follows: joins the roster of a fleet before it hears any state.  NULL: it only listens.
     * Copied. */
    const struct xf_message_proxy *self;
    /* Another live boot has this proxy's identity: it does not join, and must not serve, for
     * `why`.  NULL: no longer.  The callback may be NULL. */
    void (*refused)(void *context, const char *why);
    /* Somebody told the leader to forget this proxy; called again until it has joined.  May be
     * NULL. */
    void (*forgotten)(void *context);
    /* Whether a state that stands in a fleet's store is of the installation that the proxy belongs
     * to; asked before it joins a roster, and while not, it is not connected.  NULL: it is. */
    bool (*ours)(void *context, const char *service, const struct xf_version *version,
                 const char *document);
};
XF_NODISCARD int xf_bus_follow(const struct xf_config *config, struct event_base *loop,
                               const struct xf_bus_agent_calls *calls, struct xf_bus_agent **ret,
                               struct xf_error *err);
/* Sends upwards; false when it cannot be sent now (no leader, queue full).  Borrows `message`. */
XF_NODISCARD bool xf_bus_send(struct xf_bus_agent *bus, json_t *message);
void xf_bus_agent_destroy(struct xf_bus_agent *bus); /* accepts NULL */

#endif
