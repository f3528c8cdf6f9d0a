/*
 * bus_redis_roster.c -- see bus_redis_roster.h.
 *
 * The roster of a service is a hash: `version`, and for each member its id with `BOOT NAME`.  The
 * version is the server's clock at the change: a roster that was lost and made anew never has a
 * version that somebody remembers.
 *
 * One identity has one place.  Who finds another boot there may be a host that was killed and came
 * back, or a second host with a copied state directory, so it claims the place first:
 *
 *     claim.ID = BOOT NAME --the other one lives, and writes `no BOOT NAME`--> refused
 *                          --3 s without an answer-----------------------> the place is taken over
 */
#include "shifter/bus/bus_redis_roster.h"

#include "shifter/store/store_redis_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES (XF_UUID_TEXT_BYTES + XF_NAME_BYTES + 1u)
#define FIELD_BYTES (XF_UUID_TEXT_BYTES + 8u)
#define CLAIM_MS    3000  /* so long one that lives may take to answer: then it counts as silent */
#define AGAIN_MS    10000 /* who was refused claims again: the other one may have died since */

/* KEYS: roster.  ARGV: id, `BOOT NAME`, the field of claims, who may be replaced (empty: nobody),
 * 1 to claim anew. */
static const char join_text[] =
    "local have = redis.pcall('HMGET', KEYS[1], ARGV[1], 'version', ARGV[3])\n"
    "if have.err then\n"
    "  redis.call('DEL', KEYS[1])\n"
    "elseif have[1] and string.sub(have[1], 1, 36) == string.sub(ARGV[2], 1, 36) then\n"
    "  if have[2] then return redis.status_reply('OK') end\n"
    "elseif have[1] and have[3] == 'no ' .. ARGV[2] and ARGV[5] == '0' then\n"
    "  return redis.status_reply('TWICE')\n"
    "elseif have[1] and have[1] ~= ARGV[4] then\n"
    "  redis.call('HSET', KEYS[1], ARGV[3], ARGV[2])\n"
    "  return have[1]\n"
    "end\n"
    "local time = redis.call('TIME')\n"
    "redis.call('HDEL', KEYS[1], ARGV[3], 'gone.' .. ARGV[1])\n"
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 'version', time[1] .. '.' .. time[2])\n"
    "return redis.status_reply('OK')\n";

/* KEYS: roster.  ARGV: id, `BOOT NAME`, the field of claims, the claim.  Only who has the place
 * refuses. */
static const char deny_text[] =
    "local have = redis.pcall('HMGET', KEYS[1], ARGV[1], ARGV[3])\n"
    "if not have.err and have[1] == ARGV[2] and have[2] == ARGV[4] then\n"
    "  redis.call('HSET', KEYS[1], ARGV[3], 'no ' .. ARGV[4])\n"
    "end\n"
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
    int64_t claimed_ms;      /* since when the place is claimed; 0: it is not */
    int64_t refused_ms;      /* when that was refused; 0: it was not */
    char other[VALUE_BYTES]; /* who has it */
};

struct xf_bus_roster {
    struct xf_resp *resp;
    xf_bus_joined *told;
    xf_bus_refused *refused;
    void *context;
    char claim[FIELD_BYTES]; /* the field of claims to this identity */
    char gone[FIELD_BYTES];  /* the field that says that it was forgotten */
    char id[XF_UUID_TEXT_BYTES];
    char value[VALUE_BYTES];
    bool left;
    struct place *places;
    unsigned count;
};

static int64_t now_ms(void)
{
    return xf_clock_monotonic_ms(xf_clock_system());
}

static void refuse(struct place *place)
{
    struct xf_bus_roster *roster = place->roster;
    char why[256];
    if (place->refused_ms == 0) {
        snprintf(why, sizeof(why),
                 "another host lives with this proxy's identity (%s, %.60s): a copied state "
                 "directory; remove the file id there or here",
                 roster->id,
                 strchr(place->other, ' ') != NULL ? strchr(place->other, ' ') + 1 : "");
        roster->refused(roster->context, why);
    }
    if (place->refused_ms == 0 || place->claimed_ms != 0) { /* else the answer still stands */
        place->refused_ms = now_ms();
    }
    place->claimed_ms = 0;
    place->other[0] = '\0';
}

static bool is_refused(const struct xf_bus_roster *roster)
{
    unsigned i = 0;
    while (i < roster->count && roster->places[i].refused_ms == 0) {
        i++;
    }
    return i < roster->count;
}

static void enter(struct place *place)
{
    bool was_refused = place->refused_ms != 0;
    place->refused_ms = 0;
    if (was_refused && !is_refused(place->roster)) {
        place->roster->refused(place->roster->context, NULL);
    }
    place->claimed_ms = 0;
    place->other[0] = '\0';
    place->in = true;
    place->joined = true;
    place->roster->told(place->roster->context);
}

static void joined(void *context, const redisReply *reply, const char *why)
{
    (void) why; /* refused or lost: it is asked again with the next turn */
    struct place *place = context;
    place->asked = false;
    if (reply == NULL) {
        return;
    }
    if (reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "TWICE") == 0) {
        refuse(place);
    } else if (reply->type == REDIS_REPLY_STATUS) {
        enter(place);
    } else if (reply->type == REDIS_REPLY_STRING && reply->len < (int) sizeof(place->other)) {
        if (place->claimed_ms == 0 || strcmp(place->other, reply->str) != 0) {
            place->claimed_ms = now_ms();
        }
        snprintf(place->other, sizeof(place->other), "%s", reply->str);
    }
}

static void denied(void *context, const redisReply *reply, const char *why)
{
    (void) context; /* lost: the claim is seen again */
    (void) reply;
    (void) why;
}

static void left(void *context, const redisReply *reply, const char *why)
{
    (void) context; /* lost: the leader counts this proxy silent, and says so */
    (void) reply;
    (void) why;
}

static bool run_join(struct place *place)
{
    const struct xf_bus_roster *roster = place->roster;
    bool silent = place->claimed_ms != 0 && now_ms() - place->claimed_ms >= CLAIM_MS;
    bool anew = place->refused_ms != 0 && place->claimed_ms == 0 &&
                now_ms() - place->refused_ms >= AGAIN_MS;
    const char *const arguments[] = {
        "EVAL",          join_text,     "1",           place->key,
        roster->id,      roster->value, roster->claim, silent ? place->other : "",
        anew ? "1" : "0"};
    return xf_resp_call(roster->resp, XF_COUNT(arguments), arguments, NULL, 0, joined, place);
}

static bool run_leave(struct place *place)
{
    const struct xf_bus_roster *roster = place->roster;
    const char *const arguments[] = {"EVAL",     leave_text, "1",
                                     place->key, roster->id, roster->value};
    return xf_resp_call(roster->resp, XF_COUNT(arguments), arguments, NULL, 0, left, place);
}

/* Somebody else claims this place, while this proxy lives. */
static void deny(struct place *place, const char *claim)
{
    struct xf_bus_roster *roster = place->roster;
    const char *const arguments[] = {"EVAL",     deny_text,     "1",           place->key,
                                     roster->id, roster->value, roster->claim, claim};
    (void) !xf_resp_call(roster->resp, XF_COUNT(arguments), arguments, NULL, 0, denied, place);
}

struct xf_bus_roster *xf_bus_roster_create(const struct xf_config *config, struct xf_resp *resp,
                                           const struct xf_message_proxy *self, xf_bus_joined *told,
                                           xf_bus_refused *refused, void *context)
{
    struct xf_bus_roster *roster = calloc(1, sizeof(*roster));
    if (roster == NULL) {
        return NULL;
    }
    roster->resp = resp;
    roster->told = told;
    roster->refused = refused;
    roster->context = context;
    memcpy(roster->id, self->id, sizeof(roster->id));
    snprintf(roster->claim, sizeof(roster->claim), "claim.%s", self->id);
    snprintf(roster->gone, sizeof(roster->gone), "gone.%s", self->id);
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
            place->asked = run_join(place);
        }
    }
}

bool xf_bus_roster_seen(struct xf_bus_roster *roster, unsigned service, const redisReply *reply)
{
    XF_ASSERT(service < roster->count);
    if (reply == NULL) {
        return false; /* nothing was read */
    }
    struct place *place = &roster->places[service];
    bool read = reply->type == REDIS_REPLY_ARRAY && reply->elements == 3;
    place->in = read && reply->element[0]->type == REDIS_REPLY_STRING &&
                strncmp(reply->element[0]->str, roster->value, XF_UUID_TEXT_BYTES - 1) == 0;
    if (place->in && !place->joined) {
        enter(place); /* the answer to the join was lost */
    }
    const redisReply *claim = read ? reply->element[1] : NULL;
    if (place->in && claim->type == REDIS_REPLY_STRING && claim->len < VALUE_BYTES &&
        strncmp(claim->str, "no ", 3) != 0 &&
        strncmp(claim->str, roster->value, XF_UUID_TEXT_BYTES - 1) != 0) {
        deny(place, claim->str);
    }
    return read && !place->in && reply->element[2]->type == REDIS_REPLY_STRING;
}

const char *xf_bus_roster_gone(const struct xf_bus_roster *roster)
{
    return roster->gone;
}

const char *xf_bus_roster_claim(const struct xf_bus_roster *roster)
{
    return roster->claim;
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
        (void) !run_leave(&roster->places[i]);
    }
}

void xf_bus_roster_destroy(struct xf_bus_roster *roster)
{
    if (roster != NULL) {
        free(roster->places);
        free(roster);
    }
}
