/*
 * store_redis_prune.c -- see store_redis_prune.h.
 *
 * XRANGE the oldest page --> XTRIM to the first entry that stays --> again, while whole pages go
 */
#include "shifter/store/store_redis_prune.h"
#include "shifter/store/store_redis_reply.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prune {
    struct xf_resp *resp;
    char key[XF_REDIS_KEY_BYTES];
    int64_t old_ms;
    uint64_t generation;
    char cutover[XF_CUTOVER_ID_BYTES];
    bool whole_page;
};

static void got_page(void *context, const redisReply *reply, const char *why);

static void ask_page(struct prune *prune)
{
    const char *const arguments[] = {"XRANGE", prune->key, "-", "+", "COUNT", "100"};
    if (!xf_resp_call(prune->resp, XF_COUNT(arguments), arguments, NULL, 0, got_page, prune)) {
        free(prune);
    }
}

static void got_trim(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct prune *prune = context;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 &&
        prune->whole_page) {
        ask_page(prune);
    } else {
        free(prune);
    }
}

static void read_cutover(const char *json, char out[XF_CUTOVER_ID_BYTES])
{
    json_t *object = json_loads(json, 0, NULL);
    const char *cutover = json_string_value(json_object_get(object, "cutover"));
    snprintf(out, XF_CUTOVER_ID_BYTES, "%.95s", cutover != NULL ? cutover : "");
    json_decref(object);
}

/* Whether an entry may go; what cannot be read stays. */
static bool may_go(const struct prune *prune, const redisReply *item, uint64_t *ret_generation,
                   uint64_t *ret_revision)
{
    if (item->type != REDIS_REPLY_ARRAY || item->elements != 2 ||
        !xf_redis_read_place(item->element[0], ret_generation, ret_revision) ||
        *ret_generation >= prune->generation || *ret_revision == UINT64_MAX) {
        return false;
    }
    const redisReply *at = xf_redis_find_field(item->element[1], "at");
    const redisReply *entry = xf_redis_find_field(item->element[1], "entry");
    if (at == NULL || entry == NULL || at->type != REDIS_REPLY_STRING ||
        entry->type != REDIS_REPLY_STRING || strtoll(at->str, NULL, 10) <= 0 ||
        strtoll(at->str, NULL, 10) >= prune->old_ms) {
        return false;
    }
    char cutover[XF_CUTOVER_ID_BYTES];
    read_cutover(entry->str, cutover);
    return prune->cutover[0] == '\0' || strcmp(cutover, prune->cutover) != 0;
}

static void got_page(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct prune *prune = context;
    uint64_t generation = 0, revision = 0;
    char first[48] = "";
    size_t gone = 0;
    size_t count = reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    while (gone < count && may_go(prune, reply->element[gone], &generation, &revision)) {
        snprintf(first, sizeof(first), "%llu-%llu", (unsigned long long) generation,
                 (unsigned long long) revision + 1);
        gone++;
    }
    const char *const arguments[] = {"XTRIM", prune->key, "MINID", first};
    prune->whole_page = gone == count;
    if (gone == 0 ||
        !xf_resp_call(prune->resp, XF_COUNT(arguments), arguments, NULL, 0, got_trim, prune)) {
        free(prune);
    }
}

void xf_store_redis_prune(struct xf_resp *resp, const char *key, int64_t old_ms,
                          uint64_t generation, const char *document)
{
    struct prune *prune = calloc(1, sizeof(*prune));
    if (prune == NULL) {
        return;
    }
    *prune = (struct prune){.resp = resp, .old_ms = old_ms, .generation = generation};
    snprintf(prune->key, sizeof(prune->key), "%s", key);
    read_cutover(document, prune->cutover);
    ask_page(prune);
}
