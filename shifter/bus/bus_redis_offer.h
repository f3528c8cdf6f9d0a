/*
 * bus_redis_offer.h -- documents that proxies have and the store lost, on their way to the leader.
 *
 * Each service has one place for them, `cf:{NAMESPACE:service}:offer`, a hash like `state`; a
 * script lets only a newer one in.  The leader looks there twice a second.
 */
#ifndef XF_SHIFTER_BUS_REDIS_OFFER_H
#define XF_SHIFTER_BUS_REDIS_OFFER_H

#include "config/config.h"
#include "shifter/store/resp.h"

#include <jansson.h>

/* `message` is an offer (bus_message.h); false: it cannot be sent now. */
XF_NODISCARD bool xf_bus_redis_offer(struct xf_resp *resp, const struct xf_config_store *config,
                                     const json_t *message);

struct xf_bus_offers;
typedef void xf_bus_offered(void *context, json_t *message /* borrowed */);
/* Hands over each offer once.  NULL: out of memory.  Config and `resp` outlive it. */
XF_NODISCARD struct xf_bus_offers *xf_bus_offers_create(const struct xf_config *config,
                                                        struct xf_resp *resp, xf_bus_offered *told,
                                                        void *context);
/* Looks, at most twice a second. */
void xf_bus_offers_look(struct xf_bus_offers *offers, int64_t now_ms);
void xf_bus_offers_destroy(struct xf_bus_offers *offers); /* after its `resp`; accepts NULL */

#endif
