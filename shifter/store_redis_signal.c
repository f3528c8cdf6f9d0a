/*
 * store_redis_signal.c -- the signal's record: written, acknowledged by a replica, announced.
 *
 * Replication is asynchronous.  A failover right after the write could forget the record, and the
 * document that was written before it, so nothing is announced before a replica has both.
 */
#include "shifter/store_redis_request.h"

#define ACKNOWLEDGE_MS "1000" /* for a replica to have the record */

static enum xf_store_result read_status(const redisReply *reply)
{
    enum xf_store_result result;
    return reply->type == REDIS_REPLY_STATUS && xf_redis_result(reply->str, &result)
               ? result
               : XF_STORE_UNREADABLE;
}

/* Begins the next command of the same request. */
static void begin_again(struct xf_redis_request *request,
                        enum xf_store_result (*read)(struct xf_redis_request *, const redisReply *))
{
    xf_redis_drop_arguments(request);
    request->script = XF_SCRIPTS;
    request->read = read;
    request->again = true;
}

static enum xf_store_result read_announced(struct xf_redis_request *request,
                                           const redisReply *reply)
{
    (void) request;
    return read_status(reply);
}

static enum xf_store_result announce(struct xf_redis_request *request)
{
    begin_again(request, read_announced);
    xf_redis_add_script(request, XF_SCRIPT_ANNOUNCE, 2, true);
    for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
        xf_redis_add(request, request->signal[i]);
    }
    return XF_STORE_OK;
}

static enum xf_store_result read_acknowledged(struct xf_redis_request *request,
                                              const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 1) {
        return XF_STORE_REFUSED; /* a failover now could forget it: nothing is signalled */
    }
    return announce(request);
}

/* ROLE: [master, offset, [replica …]].  Where there are replicas, one must have the record, and
 * with it the document that was written before. */
static enum xf_store_result read_replicas(struct xf_redis_request *request, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[2]->type != REDIS_REPLY_ARRAY) {
        return XF_STORE_REFUSED;
    }
    if (reply->element[2]->elements == 0) {
        return announce(request);
    }
    begin_again(request, read_acknowledged);
    xf_redis_add(request, "WAIT");
    xf_redis_add(request, "1");
    xf_redis_add(request, ACKNOWLEDGE_MS);
    return XF_STORE_OK;
}

static enum xf_store_result read_recorded(struct xf_redis_request *request, const redisReply *reply)
{
    enum xf_store_result result = read_status(reply);
    if (result == XF_STORE_OK) {
        /* Lease, key, holder, epoch and record stand behind EVALSHA, script and count. */
        for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
            request->signal[i] = request->arguments[3 + i];
            request->arguments[3 + i] = NULL;
        }
        begin_again(request, read_replicas);
        xf_redis_add(request, "ROLE");
    }
    return result;
}

void xf_redis_write_signal(struct xf_store *base, const char *service, const char *holder,
                           uint64_t epoch, const char *record, xf_store_done *callback,
                           void *context)
{
    struct xf_redis_request *request = xf_redis_start_fenced(
        base, XF_SCRIPT_SIGNAL, service, "decommission", holder, epoch, record, callback, context);
    if (request != NULL) {
        request->changes = true;
        request->read = read_recorded;
        xf_redis_request_send(request);
    }
}
