/*
 * bus_redis_roster.c -- see bus_redis_roster.h.
 *
 * The roster of a service is a hash: `version`, and for each member its id with `BOOT NAME`.  The
 * version is the server's clock at the change: a roster that was lost and made anew never has a
 * version that somebody remembers.
 */
#include "shifter/bus_redis_roster.h"

#include "shifter/store_redis_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES (XF_UUID_TEXT_BYTES + XF_NAME_BYTES + 1u)

/* KEYS: roster.  ARGV: id, `BOOT NAME`. */
static const char join_text[] =
    "local have = redis.pcall('HMGET', KEYS[1], ARGV[1], 'version')\n"
    "if have.err then\n"
    "  redis.call('DEL', KEYS[1])\n"
    "elseif have[1] == ARGV[2] and have[2] then\n"
    "  return redis.status_reply('OK')\n"
    "end\n"
    "local time = redis.call('TIME')\n"
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 'version', time[1] .. '.' .. time[2])\n"
    "return redis.status_reply('OK')\n";

/* The same.  Another boot of this identity is not taken out. */
static const char leave_text[] =
    "local have = redis.pcall('HMGET', KEYS[1], ARGV[1])\n"
    "if have.err or have[1] ~= ARGV[2] then return redis.status_reply('OK') end\n"
    "local time = redis.call('TIME')\n"
    "redis.call('HDEL', KEYS[1], ARGV[1])\n"
    "redis.call('HSET', KEYS[1], 'version', time[1] .. '.' .. time[2])\n"
    "return redis.status_reply('OK')\n";

struct place { /* of one service */
    struct xf_bus_roster *roster;
    char key[XF_REDIS_KEY_BYTES];
    bool in;     /* as far as is known */
    bool joined; /* it once was: what is served is known to the leader */
    bool asked;
};

struct xf_bus_roster {
    struct xf_resp *resp;
    xf_bus_joined *told;
    void *context;
    char id[XF_UUID_TEXT_BYTES];
    char value[VALUE_BYTES];
    bool left;
    struct place *places;
    unsigned count;
};

static void joined(void *context, const redisReply *reply, const char *why)
{
    (void) why; /* refused or lost: it is asked again with the next turn */
    struct place *place = context;
    place->asked = false;
    if (reply != NULL && reply->type == REDIS_REPLY_STATUS) {
        place->in = true;
        place->joined = true;
        place->roster->told(place->roster->context);
    }
}

static void left(void *context, const redisReply *reply, const char *why)
{
    (void) context; /* lost: the leader counts this proxy silent, and says so */
    (void) reply;
    (void) why;
}

static bool run(struct place *place, const char *script, xf_resp_done *done)
{
    const struct xf_bus_roster *roster = place->roster;
    const char *const arguments[] = {"EVAL", script, "1", place->key, roster->id, roster->value};
    return xf_resp_call(roster->resp, XF_COUNT(arguments), arguments, NULL, 0, done, place);
}

struct xf_bus_roster *xf_bus_roster_create(const struct xf_config *config, struct xf_resp *resp,
                                           const struct xf_message_proxy *self, xf_bus_joined *told,
                                           void *context)
{
    struct xf_bus_roster *roster = calloc(1, sizeof(*roster));
    if (roster == NULL) {
        return NULL;
    }
    roster->resp = resp;
    roster->told = told;
    roster->context = context;
    memcpy(roster->id, self->id, sizeof(roster->id));
    snprintf(roster->value, sizeof(roster->value), "%s %s", self->boot, self->name);
    roster->places = calloc(config->services_count + 1, sizeof(*roster->places));
    if (roster->places == NULL) {
        free(roster);
        return NULL;
    }
    for (unsigned i = 0; i < config->services_count; i++) {
        struct place *place = &roster->places[roster->count++];
        place->roster = roster;
        xf_redis_key(&config->store, config->services[i].name, "roster", place->key);
    }
    return roster;
}

void xf_bus_roster_join(struct xf_bus_roster *roster)
{
    for (unsigned i = 0; !roster->left && i < roster->count; i++) {
        struct place *place = &roster->places[i];
        if (!place->in && !place->asked) {
            place->asked = run(place, join_text, joined);
        }
    }
}

void xf_bus_roster_seen(struct xf_bus_roster *roster, unsigned service, const redisReply *reply)
{
    XF_ASSERT(service < roster->count);
    if (reply == NULL) {
        return; /* nothing was read */
    }
    bool ours = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
                reply->element[0]->type == REDIS_REPLY_STRING &&
                strcmp(reply->element[0]->str, roster->value) == 0;
    roster->places[service].in = ours;
}

bool xf_bus_roster_joined(const struct xf_bus_roster *roster, unsigned service)
{
    return roster->places[service].joined;
}

bool xf_bus_roster_joined_all(const struct xf_bus_roster *roster)
{
    unsigned i = 0;
    while (i < roster->count && roster->places[i].joined) {
        i++;
    }
    return i == roster->count;
}

void xf_bus_roster_leave(struct xf_bus_roster *roster)
{
    roster->left = true;
    for (unsigned i = 0; i < roster->count; i++) {
        (void) !run(&roster->places[i], leave_text, left);
    }
}

void xf_bus_roster_destroy(struct xf_bus_roster *roster)
{
    if (roster != NULL) {
        free(roster->places);
        free(roster);
    }
}
