/*
 * bus_redis_roster.h -- a proxy joins and leaves the rosters of its services; for bus_redis.c only.
 *
 * One script each, which gives the roster a new version where it changes it: the writes that say
 * that blue is no longer needed compare that version (DESIGN.md section 8).  Who is not in a
 * roster hears no state of that service, so its listeners do not accept.
 */
#ifndef XF_SHIFTER_BUS_REDIS_ROSTER_H
#define XF_SHIFTER_BUS_REDIS_ROSTER_H

#include "shifter/bus/bus_message.h"
#include "shifter/store/resp.h"

struct xf_bus_roster;

/* `resp` outlives it.  `told` is called after each service that was joined.  NULL: no memory. */
typedef void xf_bus_joined(void *context);
/* Another boot of this identity lives: this one is refused, for `why`.  NULL: in no roster any
 * longer. */
typedef void xf_bus_refused(void *context, const char *why);
struct xf_bus_roster *xf_bus_roster_create(const struct xf_config *config, struct xf_resp *resp,
                                           const struct xf_message_proxy *self, xf_bus_joined *told,
                                           xf_bus_refused *refused, void *context);
/* The field of a roster in which another boot claims this proxy's place. */
const char *xf_bus_roster_claim(const struct xf_bus_roster *roster);
/* The field that says that this proxy was forgotten. */
const char *xf_bus_roster_gone(const struct xf_bus_roster *roster);
/* Joins where this proxy is not known to be in; asked for often. */
void xf_bus_roster_join(struct xf_bus_roster *roster);
/* The service's roster was read: HMGET of this proxy's id, of xf_bus_roster_claim and of
 * xf_bus_roster_gone.  True: it was forgotten there, and has not joined again. */
bool xf_bus_roster_seen(struct xf_bus_roster *roster, unsigned service, const redisReply *reply);
/* Whether it is, or in this process once was, in the service's roster. */
bool xf_bus_roster_joined(const struct xf_bus_roster *roster, unsigned service);
bool xf_bus_roster_joined_all(const struct xf_bus_roster *roster);
/* Leaves all: nothing joins after that. */
void xf_bus_roster_leave(struct xf_bus_roster *roster);
void xf_bus_roster_destroy(struct xf_bus_roster *roster); /* accepts NULL; after its resp */

#endif
