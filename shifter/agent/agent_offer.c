/*
 * agent_offer.c -- a state that this proxy saw and the store does not have is offered to the
 * leader.
 *
 * Offered with each beat while the store is behind; the leader picks the newest and writes it
 * again.  A snapshot that may not serve is not offered: the fleet may have gone on without it.
 */
#include "shifter/agent/agent_state.h"

#include <stdlib.h>

void xf_agent_offer_absent(struct xf_agent *agent, const json_t *message)
{
    char name[XF_NAME_BYTES];
    struct xf_error err = {0};
    struct xf_agent_service *service =
        xf_message_absent_read(message, name, &err) == 0 ? xf_agent_find(agent, name) : NULL;
    if (service != NULL) {
        service->store_behind = true;
    }
}

static void offer(struct xf_agent *agent, const struct xf_agent_service *service)
{
    char *text = xf_document_write(service->document);
    if (text == NULL) {
        return;
    }
    struct xf_message_offer offer = {.version = service->version, .document = text};
    memcpy(offer.service, service->name, sizeof(offer.service));
    memcpy(offer.write_id, service->write_id, sizeof(offer.write_id));
    json_t *message = xf_message_offer_make(&offer);
    if (message != NULL) {
        (void) !xf_bus_send(agent->bus, message); /* lost: the next beat offers it again */
        json_decref(message);
    }
    free(text);
}

void xf_agent_offer_tick(struct xf_agent *agent)
{
    for (unsigned i = 0; agent->bus != NULL && i < agent->services_count; i++) {
        const struct xf_agent_service *service = &agent->services[i];
        bool may = service->source == XF_AGENT_BUS || service->source == XF_AGENT_SNAPSHOT ||
                   (service->source == XF_AGENT_HELD && agent->snapshot_error[0] == '\0');
        if (service->store_behind && may && service->document != NULL &&
            service->version.generation > 0) {
            offer(agent, service);
        }
    }
}
