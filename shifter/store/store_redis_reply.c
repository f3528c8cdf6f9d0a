/*
 * store_redis_reply.c -- see store_redis_reply.h.
 */
#include "shifter/store/store_redis_reply.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_TEXT_BYTES 48u
#define ROSTER_TEXT_BYTES  1024u /* of a name or a version, every byte of it escaped */

void xf_redis_key(const struct xf_config_store *config, const char *service, const char *name,
                  char out[XF_REDIS_KEY_BYTES])
{
    const char *space = config->namespace_name != NULL ? config->namespace_name : "default";
    snprintf(out, XF_REDIS_KEY_BYTES, "cf:{%s:%s}:%s", space, service, name);
}

bool xf_redis_result(const char *status, enum xf_store_result *ret)
{
    for (int i = XF_STORE_OK; i <= XF_STORE_UNREADABLE; i++) {
        if (strcmp(status, xf_store_result_name((enum xf_store_result) i)) == 0) {
            *ret = (enum xf_store_result) i;
            return true;
        }
    }
    return false;
}

/* Text without a NUL inside, shorter than `bytes`. */
static bool is_text(const redisReply *reply, size_t bytes)
{
    return reply->type == REDIS_REPLY_STRING && (size_t) reply->len < bytes &&
           strlen(reply->str) == (size_t) reply->len;
}

static bool read_number(const redisReply *reply, uint64_t *ret)
{
    return is_text(reply, 24) && xf_parse_uint(reply->str, INT64_MAX, ret);
}

static bool is_array(const redisReply *reply, size_t count)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == count;
}

/* Whether an HMGET found none of its fields. */
static bool is_empty(const redisReply *reply)
{
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i]->type != REDIS_REPLY_NIL) {
            return false;
        }
    }
    return true;
}

/* The first four elements of an array that has them: a version and its write_id. */
static bool read_numbers(const redisReply *reply, struct xf_version *ret, char *ret_write_id)
{
    if (!read_number(reply->element[0], &ret->epoch) ||
        !read_number(reply->element[1], &ret->generation) ||
        !read_number(reply->element[2], &ret->revision) ||
        !is_text(reply->element[3], XF_UUID_TEXT_BYTES)) {
        return false;
    }
    snprintf(ret_write_id, XF_UUID_TEXT_BYTES, "%s", reply->element[3]->str);
    return true;
}

bool xf_redis_read_version(const redisReply *reply, struct xf_version *ret,
                           char ret_write_id[XF_UUID_TEXT_BYTES])
{
    return is_array(reply, 4) && read_numbers(reply, ret, ret_write_id);
}

enum xf_store_result xf_redis_read_state(const redisReply *reply, struct xf_store_state *ret,
                                         char **ret_document)
{
    struct xf_store_state state = {.document = NULL};
    if (!is_array(reply, 5)) {
        return XF_STORE_UNREADABLE;
    }
    if (is_empty(reply)) {
        return XF_STORE_ABSENT;
    }
    if (!read_numbers(reply, &state.version, state.write_id) ||
        !is_text(reply->element[4], XF_DOCUMENT_BYTES_MAX + 1)) {
        return XF_STORE_UNREADABLE;
    }
    char *document = strdup(reply->element[4]->str);
    if (document == NULL) {
        return XF_STORE_LOST;
    }
    *ret = state;
    *ret_document = document;
    return XF_STORE_OK;
}

enum xf_store_result xf_redis_read_lease(const redisReply *reply, struct xf_store_lease *ret)
{
    struct xf_store_lease lease = {.epoch = 0};
    if (!is_array(reply, 3) || is_empty(reply) ||
        !is_text(reply->element[0], sizeof(lease.holder)) ||
        !read_number(reply->element[1], &lease.epoch) ||
        !read_number(reply->element[2], &lease.beat)) {
        return XF_STORE_ABSENT; /* the lease script takes what cannot be read as absent, too */
    }
    snprintf(lease.holder, sizeof(lease.holder), "%s", reply->element[0]->str);
    *ret = lease;
    return XF_STORE_OK;
}

bool xf_redis_read_place(const redisReply *reply, uint64_t *ret_generation, uint64_t *ret_revision)
{
    if (!is_text(reply, 48)) {
        return false;
    }
    char text[48];
    snprintf(text, sizeof(text), "%s", reply->str);
    char *dash = strchr(text, '-');
    if (dash == NULL) {
        return false;
    }
    *dash = '\0';
    return xf_parse_uint(text, UINT64_MAX, ret_generation) &&
           xf_parse_uint(dash + 1, UINT64_MAX, ret_revision);
}

const redisReply *xf_redis_find_field(const redisReply *fields, const char *name)
{
    size_t count = fields->type == REDIS_REPLY_ARRAY ? fields->elements : 0;
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (is_text(fields->element[i], 64) && strcmp(fields->element[i]->str, name) == 0) {
            return fields->element[i + 1];
        }
    }
    return NULL;
}

static enum xf_store_result read_entry(const redisReply *item, struct xf_store_answer *answer)
{
    uint64_t generation, revision;
    if (!is_array(item, 2) || item->element[1]->type != REDIS_REPLY_ARRAY ||
        !xf_redis_read_place(item->element[0], &generation, &revision)) {
        return XF_STORE_UNREADABLE;
    }
    const redisReply *write_id = xf_redis_find_field(item->element[1], "write_id");
    const redisReply *entry = xf_redis_find_field(item->element[1], "entry");
    if (write_id == NULL || entry == NULL || !is_text(write_id, XF_UUID_TEXT_BYTES) ||
        !is_text(entry, XF_STORE_ENTRY_BYTES_MAX + 1)) {
        return XF_STORE_UNREADABLE;
    }
    return xf_store_answer_add_entry(answer, generation, revision, write_id->str, entry->str,
                                     (size_t) entry->len)
               ? XF_STORE_OK
               : XF_STORE_LOST;
}

enum xf_store_result xf_redis_read_log(const redisReply *reply, struct xf_store_answer *answer)
{
    if (reply->type != REDIS_REPLY_ARRAY) {
        return XF_STORE_UNREADABLE;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        enum xf_store_result result = read_entry(reply->element[i], answer);
        if (result != XF_STORE_OK) {
            return result;
        }
    }
    return XF_STORE_OK;
}

enum xf_store_result xf_redis_read_text(const redisReply *reply, char **ret)
{
    if (reply->type == REDIS_REPLY_NIL) {
        return XF_STORE_ABSENT;
    }
    if (!is_text(reply, XF_DOCUMENT_BYTES_MAX + 1)) {
        return XF_STORE_UNREADABLE;
    }
    char *text = strdup(reply->str);
    if (text == NULL) {
        return XF_STORE_LOST;
    }
    *ret = text;
    return XF_STORE_OK;
}

/* A JSON string; what is not UTF-8 becomes U+FFFD, so that NULL means out of memory. */
static json_t *make_text(const char *text)
{
    struct xf_text quoted;
    xf_text_init(&quoted, ROSTER_TEXT_BYTES);
    xf_text_json(&quoted, text, strlen(text));
    json_t *made = json_loads(quoted.data, JSON_DECODE_ANY, NULL);
    xf_text_release(&quoted);
    return made;
}

/* A member's field is its id, its value `BOOT NAME`. */
static bool add_member(json_t *members, const redisReply *id, const redisReply *value)
{
    const char *space =
        is_text(value, XF_UUID_TEXT_BYTES + XF_NAME_BYTES) ? strchr(value->str, ' ') : NULL;
    if (!is_text(id, XF_UUID_TEXT_BYTES) || !xf_uuid_valid(id->str) || space == NULL) {
        return true; /* not ours */
    }
    return json_array_append_new(members, json_pack("[s, o]", id->str, make_text(space + 1))) == 0;
}

enum xf_store_result xf_redis_read_roster(const redisReply *reply, char **ret)
{
    const redisReply *version =
        reply->type == REDIS_REPLY_ARRAY ? xf_redis_find_field(reply, "version") : NULL;
    json_t *members = json_array();
    bool ok = members != NULL;
    for (size_t i = 0; ok && version != NULL && i + 1 < reply->elements; i += 2) {
        ok = add_member(members, reply->element[i], reply->element[i + 1]);
    }
    bool ours = version != NULL && is_text(version, VERSION_TEXT_BYTES);
    json_t *root = json_pack("{s:o, s:o}", "version", make_text(ours ? version->str : "?"),
                             "members", members);
    char *text = ok && root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    *ret = text;
    return text != NULL ? XF_STORE_OK : XF_STORE_LOST;
}

enum xf_store_result xf_redis_read_time(const redisReply *reply, char **ret)
{
    uint64_t seconds, microseconds;
    if (!is_array(reply, 2) || !read_number(reply->element[0], &seconds) ||
        !read_number(reply->element[1], &microseconds) || seconds > INT64_MAX / 1000000) {
        return XF_STORE_UNREADABLE;
    }
    char text[32];
    snprintf(text, sizeof(text), "%llu",
             (unsigned long long) (seconds * 1000 + microseconds / 1000));
    char *copy = strdup(text);
    if (copy == NULL) {
        return XF_STORE_LOST;
    }
    *ret = copy;
    return XF_STORE_OK;
}
