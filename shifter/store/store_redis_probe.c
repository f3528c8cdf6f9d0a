/*
 * store_redis_probe.c -- what is asked of each server before it is trusted: whether this user may
 * run every command of the scripts, and what the server cannot promise.
 *
 *     EVAL of every command the scripts run, EVALSHA, WAIT, ROLE, INFO  -->  denied, warnings
 *
 * The probe writes one key of its own and removes it.  A replica or a full server refuses those
 * writes for other reasons: only a lack of rights counts here.
 */
#include "shifter/store/store_redis_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_AGAIN_MS 1000

/* KEYS: a key of the probe's own.  Answers with the first command that is not permitted. */
static const char probe_text[] =
    "local commands = {\n"
    "  {'TIME'}, {'DEL', KEYS[1]}, {'HSET', KEYS[1], 'a', 'b'}, {'HMGET', KEYS[1], 'a'},\n"
    "  {'HGETALL', KEYS[1]}, {'HDEL', KEYS[1], 'a'}, {'SET', KEYS[1], 'a'}, {'GET', KEYS[1]},\n"
    "  {'DEL', KEYS[1]}, {'XADD', KEYS[1], '*', 'a', 'b'}, {'XRANGE', KEYS[1], '-', '+'},\n"
    "  {'XREVRANGE', KEYS[1], '+', '-'}, {'XREAD', 'COUNT', '1', 'STREAMS', KEYS[1], '0'},\n"
    "  {'XTRIM', KEYS[1], 'MAXLEN', '0'}, {'DEL', KEYS[1]}, {'PUBLISH', KEYS[1], 'a'}}\n"
    "local function denied(text)\n"
    "  return string.find(text, 'ACL') or string.find(text, 'permission') or\n"
    "    string.find(text, 'executing the script')\n"
    "end\n"
    "for _, command in ipairs(commands) do\n"
    "  local answer = redis.pcall(unpack(command))\n"
    "  if type(answer) == 'table' and answer.err and denied(answer.err) then\n"
    "    return command[1]\n"
    "  end\n"
    "end\n"
    "return redis.status_reply('OK')\n";

static bool not_permitted(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->str, "NOPERM", 6) == 0;
}

static void deny(struct xf_redis_store *store, const char *command)
{
    if (store->probe_denied[0] == '\0') {
        snprintf(store->probe_denied, sizeof(store->probe_denied), "%.60s", command);
    }
}

static void got_evalsha(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    if (not_permitted(reply)) {
        deny(context, "EVALSHA");
    }
}

static void got_wait(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    if (not_permitted(reply)) {
        deny(context, "WAIT");
    }
}

static void got_role(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_redis_store *store = context;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    if (not_permitted(reply)) {
        deny(store, "ROLE");
    }
}

static void warn(struct xf_redis_store *store, const char *sentence)
{
    char *text = store->base.warnings;
    size_t length = strlen(text);
    snprintf(text + length, sizeof(store->base.warnings) - length, "%s%s", length > 0 ? "; " : "",
             sentence);
}

/* The last question of a probe: all others are answered before it. */
static void got_info(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_redis_store *store = context;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    if (reply == NULL) {
        return;
    }
    store->base.warnings[0] = '\0';
    if (not_permitted(reply)) {
        deny(store, "INFO");
    } else if (reply->type == REDIS_REPLY_STRING) {
        if (strstr(reply->str, "aof_enabled:0") != NULL) {
            warn(store, "appendonly is off: a restart forgets what the last save does not have");
        }
        if (strstr(reply->str, "maxmemory_policy:allkeys") != NULL) {
            warn(store, "maxmemory-policy is allkeys-*: Redis may evict the control state; set "
                        "noeviction");
        }
        if (strstr(reply->str, "role:master") != NULL &&
            strstr(reply->str, "connected_slaves:0") != NULL) {
            warn(store, "there is no replica: what this server loses is known by the proxies only");
        }
    }
    memcpy(store->base.denied, store->probe_denied, sizeof(store->base.denied));
    store->base.probes++;
    xf_redis_note_ok(store);
}

/* The first answer says which server of a cluster has the key; the rest is asked of that one. */
static void got_probe(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_redis_store *store = context;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    if (reply == NULL) {
        return; /* the connection is going down, and the next one is asked again */
    }
    if (not_permitted(reply)) {
        deny(store, "EVAL");
    } else if (reply->type == REDIS_REPLY_STRING) {
        deny(store, reply->str);
    }
    const char *const evalsha[] = {"EVALSHA", "0000000000000000000000000000000000000000", "0"};
    const char *const wait[] = {"WAIT", "0", "1"};
    const char *const role[] = {"ROLE"};
    const char *const info[] = {"INFO"};
    unsigned to = xf_resp_answering(store->resp);
    (void) !(xf_resp_call_on(store->resp, to, XF_COUNT(evalsha), evalsha, 0, got_evalsha, store) &&
             xf_resp_call_on(store->resp, to, XF_COUNT(wait), wait, 0, got_wait, store) &&
             xf_resp_call_on(store->resp, to, XF_COUNT(role), role, 0, got_role, store) &&
             xf_resp_call_on(store->resp, to, XF_COUNT(info), info, 0, got_info, store));
}

void xf_redis_probe(struct xf_redis_store *store)
{
    char key[XF_REDIS_KEY_BYTES];
    xf_redis_key(store->config, "fleet", "probe", key);
    const char *const probe[] = {"EVAL", probe_text, "1", key};
    store->probe_denied[0] = '\0';
    store->probed_ms = xf_clock_boottime_ms(store->clock);
    /* Not sent: the connection is going down, and the next one is asked again. */
    (void) !xf_resp_call(store->resp, XF_COUNT(probe), probe, NULL, 0, got_probe, store);
}

void xf_redis_probe_again(struct xf_redis_store *store)
{
    if (xf_clock_boottime_ms(store->clock) - store->probed_ms >= PROBE_AGAIN_MS) {
        xf_redis_probe(store);
    }
}
