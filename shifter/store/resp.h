/*
 * resp.h -- Redis in the event loop, and commands to it.
 *
 * Connects by itself and stays connected; commands are pipelined and answered in order, by the one
 * server that the configuration names.  In a Redis Cluster each command goes to who has its key:
 * MOVED and ASK are followed, at most five for one command, and answers of different servers come
 * in no order.  Then it is ready while any server is, and a command may be lost alone.
 */
#ifndef XF_SHIFTER_RESP_H
#define XF_SHIFTER_RESP_H

#include "config/base/clock.h"
#include "config/base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

#include <hiredis/hiredis.h>

#define XF_RESP_ANSWER_BYTES_MAX    (8u * 1024u * 1024u) /* of one answer */
#define XF_RESP_ANSWER_ELEMENTS_MAX 65536u               /* of one answer, over all its arrays */
#define XF_RESP_OUT_BYTES_MAX       (8u * 1024u * 1024u) /* commands that wait to be sent */
#define XF_RESP_CALLS_MAX           4096u                /* commands that wait for an answer */
#define XF_RESP_CONNECT_MS          3000
#define XF_RESP_ANSWER_MS           2000 /* unless a call says more */

struct event_base;
struct xf_resp;

struct xf_resp_calls {
    /* Ready for commands, or no longer; `why` is NULL or the reason. */
    void (*ready)(void *context, bool up, const char *why);
    void *context;
};

/* `reply` is NULL when the answer will not come: the command may or may not have run.  It is
 * freed after the callback; an error of the server is a reply of type REDIS_REPLY_ERROR. */
typedef void xf_resp_done(void *context, const redisReply *reply, const char *why);

/* Returns at once and connects from the loop; `config` outlives it.  NULL: out of memory. */
XF_NODISCARD struct xf_resp *xf_resp_create(struct event_base *loop, const struct xf_clock *clock,
                                            const struct xf_config_store *config,
                                            const struct xf_resp_calls *calls);
bool xf_resp_is_ready(const struct xf_resp *resp);
const char *xf_resp_why(const struct xf_resp *resp); /* why it is not ready */

/* Queues a command of `count` arguments (`lengths` NULL: strings).  False, and no call of `done`,
 * when it is not ready or too much waits.  `block_ms` is added to the time limit: what the
 * command itself may wait at the server. */
XF_NODISCARD bool xf_resp_call(struct xf_resp *resp, size_t count, const char *const *arguments,
                               const size_t *lengths, int64_t block_ms, xf_resp_done *done,
                               void *context);
/* In a `done`: the number of the connection that answers; never the same for two of them. */
unsigned xf_resp_answering(const struct xf_resp *resp);
/* A command without a key over that very connection: for what speaks of the server that answered,
 * or of what was written over it.  False where it has ended, too. */
XF_NODISCARD bool xf_resp_call_on(struct xf_resp *resp, unsigned connection, size_t count,
                                  const char *const *arguments, int64_t block_ms,
                                  xf_resp_done *done, void *context);
/* Closes, answers what is open with NULL, from the loop, and connects again, to the next address
 * where there are several: for a server that turned out to be a replica. */
void xf_resp_reconnect(struct xf_resp *resp, const char *why);
/* Accepts NULL.  What is open is answered with NULL from inside this call. */
void xf_resp_destroy(struct xf_resp *resp);

#endif
