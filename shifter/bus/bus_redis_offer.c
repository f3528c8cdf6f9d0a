/*
 * bus_redis_offer.c -- see bus_redis_offer.h.
 */
#include "shifter/bus/bus_redis_offer.h"

#include "shifter/bus/bus_message.h"
#include "shifter/store/store_redis_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS      500
#define NUMBER_BYTES 24u

/* KEYS: offer.  ARGV: epoch, generation, revision, write_id, document. */
static const char offer_text[] =
    "local function compare(a, b)\n"
    "  if #a ~= #b then return #a < #b and -1 or 1 end\n"
    "  if a == b then return 0 end\n"
    "  return a < b and -1 or 1\n"
    "end\n"
    "local have = redis.pcall('HMGET', KEYS[1], 'epoch', 'generation', 'revision')\n"
    "if have.err then\n"
    "  redis.call('DEL', KEYS[1])\n"
    "elseif have[1] and have[2] and have[3] then\n"
    "  local order = compare(have[1], ARGV[1])\n"
    "  if order == 0 then order = compare(have[2], ARGV[2]) end\n"
    "  if order == 0 then order = compare(have[3], ARGV[3]) end\n"
    "  if order >= 0 then return redis.status_reply('OK') end\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'generation', ARGV[2], 'revision', ARGV[3],\n"
    "           'write_id', ARGV[4], 'doc', ARGV[5])\n"
    "return redis.status_reply('OK')\n";

static void offered(void *context, const redisReply *reply, const char *why)
{
    (void) context; /* lost: it is offered again while the store is behind */
    (void) reply;
    (void) why;
}

bool xf_bus_redis_offer(struct xf_resp *resp, const struct xf_config_store *config,
                        const json_t *message)
{
    struct xf_message_offer offer;
    char key[XF_REDIS_KEY_BYTES];
    char numbers[3][NUMBER_BYTES];
    if (xf_message_offer_read(message, &offer, NULL) != 0) {
        return false;
    }
    const uint64_t values[] = {offer.version.epoch, offer.version.generation,
                               offer.version.revision};
    for (size_t i = 0; i < XF_COUNT(values); i++) {
        (void) snprintf(numbers[i], NUMBER_BYTES, "%llu", (unsigned long long) values[i]);
    }
    xf_redis_key(config, offer.service, "offer", key);
    const char *const arguments[] = {"EVAL",     offer_text,     "1",
                                     key,        numbers[0],     numbers[1],
                                     numbers[2], offer.write_id, offer.document};
    return xf_resp_call(resp, XF_COUNT(arguments), arguments, NULL, 0, offered, NULL);
}

/* ---- the leader's side ---- */

struct place { /* of one service */
    struct xf_bus_offers *offers;
    const char *service; /* the configuration's */
    char key[XF_REDIS_KEY_BYTES];
    struct xf_version told;
    bool asked;
};

struct xf_bus_offers {
    struct xf_resp *resp;
    xf_bus_offered *told;
    void *context;
    int64_t looked_ms;
    struct place *places;
    unsigned count;
};

static void got_document(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct place *place = context;
    struct xf_store_state state;
    char *document = NULL;
    place->asked = false;
    if (reply == NULL || xf_redis_read_state(reply, &state, &document) != XF_STORE_OK) {
        return;
    }
    struct xf_message_offer offer = {.version = state.version, .document = document};
    (void) snprintf(offer.service, sizeof(offer.service), "%s", place->service);
    memcpy(offer.write_id, state.write_id, sizeof(offer.write_id));
    json_t *message = xf_message_offer_make(&offer);
    if (message != NULL) {
        place->told = state.version;
        place->offers->told(place->offers->context, message);
        json_decref(message);
    }
    free(document);
}

static void got_version(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct place *place = context;
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    const char *const arguments[] = {"HMGET",    place->key, "epoch", "generation",
                                     "revision", "write_id", "doc"};
    place->asked = reply != NULL && xf_redis_read_version(reply, &version, write_id) &&
                   xf_version_compare(&version, &place->told) != 0 &&
                   xf_resp_call(place->offers->resp, XF_COUNT(arguments), arguments, NULL, 0,
                                got_document, place);
}

struct xf_bus_offers *xf_bus_offers_create(const struct xf_config *config, struct xf_resp *resp,
                                           xf_bus_offered *told, void *context)
{
    struct xf_bus_offers *offers = calloc(1, sizeof(*offers));
    if (offers == NULL) {
        return NULL;
    }
    *offers = (struct xf_bus_offers){.resp = resp, .told = told, .context = context};
    offers->places = calloc(config->services_count + 1, sizeof(*offers->places));
    for (unsigned i = 0; offers->places != NULL && i < config->services_count; i++) {
        struct place *place = &offers->places[offers->count++];
        *place = (struct place){.offers = offers, .service = config->services[i].name};
        xf_redis_key(&config->store, place->service, "offer", place->key);
    }
    if (offers->places == NULL) {
        free(offers);
        return NULL;
    }
    return offers;
}

void xf_bus_offers_look(struct xf_bus_offers *offers, int64_t now_ms)
{
    if (now_ms - offers->looked_ms < LOOK_MS) {
        return;
    }
    offers->looked_ms = now_ms;
    for (unsigned i = 0; i < offers->count; i++) {
        struct place *place = &offers->places[i];
        const char *const arguments[] = {"HMGET",      place->key, "epoch",
                                         "generation", "revision", "write_id"};
        place->asked = place->asked || xf_resp_call(offers->resp, XF_COUNT(arguments), arguments,
                                                    NULL, 0, got_version, place);
    }
}

void xf_bus_offers_destroy(struct xf_bus_offers *offers)
{
    if (offers != NULL) {
        free(offers->places);
        free(offers);
    }
}
