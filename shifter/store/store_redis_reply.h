/*
 * store_redis_reply.h -- what Redis answered, checked and turned into values.
 *
 * Pure.  Whatever stands in Redis may have been written by anybody: a type, a number or a length
 * that is not ours makes the answer UNREADABLE and nothing else.
 */
#ifndef XF_SHIFTER_STORE_REDIS_REPLY_H
#define XF_SHIFTER_STORE_REDIS_REPLY_H

#include "shifter/store/store_answer.h"

#include <hiredis/hiredis.h>

#define XF_REDIS_KEY_BYTES 256u

/* `cf:{NAMESPACE:service}:name`. */
void xf_redis_key(const struct xf_config_store *config, const char *service, const char *name,
                  char out[XF_REDIS_KEY_BYTES]);
/* The status of a script; false for a word that no script says. */
bool xf_redis_result(const char *status, enum xf_store_result *ret);

/* Each returns OK, ABSENT or UNREADABLE (LOST without memory); outputs only with OK. */
/* HMGET epoch generation revision write_id doc.  *ret_document is owned by the caller. */
enum xf_store_result xf_redis_read_state(const redisReply *reply, struct xf_store_state *ret,
                                         char **ret_document);
/* HMGET epoch generation revision write_id; false: not there, or not ours. */
bool xf_redis_read_version(const redisReply *reply, struct xf_version *ret,
                           char ret_write_id[XF_UUID_TEXT_BYTES]);
/* HMGET holder epoch beat. */
enum xf_store_result xf_redis_read_lease(const redisReply *reply, struct xf_store_lease *ret);
/* XRANGE or XREVRANGE: appends to the answer's entries. */
enum xf_store_result xf_redis_read_log(const redisReply *reply, struct xf_store_answer *answer);
/* GET.  *ret is owned by the caller. */
enum xf_store_result xf_redis_read_text(const redisReply *reply, char **ret);
/* HGETALL of a roster: see read_roster of store.h. */
enum xf_store_result xf_redis_read_roster(const redisReply *reply, char **ret);
/* TIME, in milliseconds.  *ret is owned by the caller. */
enum xf_store_result xf_redis_read_time(const redisReply *reply, char **ret);
/* A stream's id, `<generation>-<revision>`. */
bool xf_redis_read_place(const redisReply *reply, uint64_t *ret_generation, uint64_t *ret_revision);

/* The value of `name` among the fields of an entry; NULL: not there. */
const redisReply *xf_redis_find_field(const redisReply *fields, const char *name);

#endif
