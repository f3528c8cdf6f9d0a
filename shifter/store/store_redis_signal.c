/*
 * store_redis_signal.c -- the signal's record: written, acknowledged by a replica, announced; and
 * the writes that lead to it.
 *
 * Replication is asynchronous.  A failover right after the write could forget the record, and the
 * document that was written before it, so nothing is announced before a replica has both.
 *
 *     write --> ROLE: are there replicas? --> the shared WAIT --> read again, or announce
 *
 * WAIT blocks its connection, so all this has one of its own: beats of leases never queue behind
 * it.  One WAIT is under way at a time and serves every request that was written before it, over
 * the same connection: in a Redis Cluster there may be several.
 */
#include "shifter/store/store_redis_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLICA_LOST_MS (600 * 1000) /* so long a replica that went is missed */

/* Places of a write's arguments behind EVALSHA, the script and the number of keys. */
#define STATE_ARGUMENT    3
#define WRITE_ID_ARGUMENT 13

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
    request->sure = false; /* nothing more to wait for: it goes out at once */
    xf_redis_add_script(request, XF_SCRIPT_ANNOUNCE, 2, true);
    for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
        xf_redis_add(request, request->signal[i]);
    }
    return XF_STORE_OK;
}

static enum xf_store_result read_again(struct xf_redis_request *request, const redisReply *reply)
{
    bool found = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
                 reply->element[0]->type == REDIS_REPLY_STRING &&
                 strcmp(reply->element[0]->str, request->signal[1]) == 0;
    return found ? XF_STORE_OK : XF_STORE_STALE;
}

/* What was written is safe from a failover: a signal is announced, a write is read again. */
static enum xf_store_result acknowledged(struct xf_redis_request *request)
{
    request->connection = 0;
    if (!request->durable) {
        return announce(request);
    }
    begin_again(request, read_again);
    xf_redis_add(request, "HMGET");
    xf_redis_add(request, request->signal[0]);
    xf_redis_add(request, "write_id");
    return XF_STORE_OK;
}

/* A failover now could forget it: a signal is refused, a write is tried again. */
static enum xf_store_result unacknowledged(const struct xf_redis_request *request)
{
    return request->durable ? XF_STORE_LOST : XF_STORE_REFUSED;
}

static enum xf_store_result read_acknowledged(struct xf_redis_request *request,
                                              const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 1) {
        return unacknowledged(request);
    }
    return acknowledged(request);
}

/* When the server of this connection last had a replica, to be read and written; NULL: never. */
static int64_t *find_seen(struct xf_redis_store *store, unsigned connection)
{
    for (size_t i = 0; i < XF_COUNT(store->replica_seen); i++) {
        if (store->replica_seen[i].connection == connection) {
            return &store->replica_seen[i].ms;
        }
    }
    return NULL;
}

static void note_seen(struct xf_redis_store *store, unsigned connection)
{
    int64_t *seen = find_seen(store, connection);
    if (seen == NULL) {
        unsigned next = store->replica_seen_next++ % XF_REDIS_SERVERS_MAX;
        store->replica_seen[next].connection = connection;
        seen = &store->replica_seen[next].ms;
    }
    *seen = xf_clock_boottime_ms(store->clock);
}

/* How many an answer of ROLE over `sure` names; -1: one that was there lately is missed, or it is
 * no such answer. */
static int count_replicas(struct xf_redis_store *store, const redisReply *reply)
{
    unsigned connection = xf_resp_answering(store->sure);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[2]->type != REDIS_REPLY_ARRAY) {
        return -1;
    }
    store->replicas = (unsigned) reply->element[2]->elements;
    if (store->replicas > 0) {
        note_seen(store, connection);
        return (int) store->replicas;
    }
    const int64_t *seen = find_seen(store, connection);
    return seen != NULL && xf_clock_boottime_ms(store->clock) - *seen < REPLICA_LOST_MS ? -1 : 0;
}

/* ROLE: [master, offset, [replica …]].  Where there are replicas, one must have the record, and
 * with it the document that was written before.  Where one was a while ago and is none, it may
 * have been made the master of a part of the fleet. */
static enum xf_store_result read_replicas(struct xf_redis_request *request, const redisReply *reply)
{
    int replicas = count_replicas(request->store, reply);
    if (replicas < 0) {
        return unacknowledged(request);
    }
    if (replicas == 0) {
        return acknowledged(request);
    }
    begin_again(request, read_acknowledged);
    request->waits = true;
    return XF_STORE_OK;
}

/* ---- one WAIT for all ---- */

static void got_acknowledgement(void *context, const redisReply *reply, const char *why);

static void answer_all(struct xf_redis_request *request, const redisReply *reply, const char *why)
{
    while (request != NULL) {
        struct xf_redis_request *next = request->next;
        request->next = NULL;
        xf_redis_request_answered(request, reply, why);
        request = next;
    }
}

/* Takes out those that were written over the same connection as the first of them. */
static struct xf_redis_request *take_together(struct xf_redis_store *store)
{
    struct xf_redis_request *taken = NULL, *left = NULL;
    unsigned connection = store->unacknowledged->connection;
    for (struct xf_redis_request *request = store->unacknowledged, *next; request != NULL;
         request = next) {
        struct xf_redis_request **list = request->connection == connection ? &taken : &left;
        next = request->next;
        request->next = *list;
        *list = request;
    }
    store->unacknowledged = left;
    return taken;
}

/* Those that came while a WAIT was under way have theirs now. */
static void wait_for_replica(struct xf_redis_store *store)
{
    char ms[16];
    snprintf(ms, sizeof(ms), "%d", XF_REDIS_ACKNOWLEDGE_MS);
    const char *const wait[] = {"WAIT", "1", ms};
    while (store->acknowledging == NULL && store->unacknowledged != NULL) {
        struct xf_redis_request *requests = take_together(store);
        if (store->sure != NULL &&
            xf_resp_call_on(store->sure, requests->connection, XF_COUNT(wait), wait,
                            XF_REDIS_ACKNOWLEDGE_MS, got_acknowledgement, store)) {
            store->acknowledging = requests;
        } else {
            answer_all(requests, NULL, store->sure != NULL ? xf_resp_why(store->sure) : "closed");
        }
    }
}

static void got_acknowledgement(void *context, const redisReply *reply, const char *why)
{
    struct xf_redis_store *store = context;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    struct xf_redis_request *requests = store->acknowledging;
    store->acknowledging = NULL;
    answer_all(requests, reply, why);
    wait_for_replica(store);
}

void xf_redis_acknowledge(struct xf_redis_request *request)
{
    struct xf_redis_store *store = request->store;
    request->waits = false;
    request->next = store->unacknowledged;
    store->unacknowledged = request;
    wait_for_replica(store);
}

/* ---- how it begins ---- */

static void take_argument(struct xf_redis_request *request, size_t to, size_t from)
{
    free(request->signal[to]);
    request->signal[to] = request->arguments[from];
    request->arguments[from] = NULL;
}

/* Of the very server that answered the write. */
static void ask_for_replicas(struct xf_redis_request *request)
{
    begin_again(request, read_replicas);
    request->connection = xf_resp_answering(request->store->sure);
    xf_redis_add(request, "ROLE");
}

void xf_redis_make_sure(struct xf_redis_request *request)
{
    take_argument(request, 0, STATE_ARGUMENT);
    take_argument(request, 1, WRITE_ID_ARGUMENT);
    ask_for_replicas(request);
    request->again = false;
    xf_redis_request_send(request);
}

static enum xf_store_result read_recorded(struct xf_redis_request *request, const redisReply *reply)
{
    enum xf_store_result result = read_status(reply);
    if (result == XF_STORE_OK) {
        /* Lease, key, holder, epoch and record stand behind EVALSHA, script and count. */
        for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
            take_argument(request, i, 3 + i);
        }
        ask_for_replicas(request);
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
        request->sure = true;
        request->read = read_recorded;
        xf_redis_request_send(request);
    }
}

/* ---- whether there are replicas, before that is needed ---- */

static void got_role(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_redis_store *store = context;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    if (reply != NULL) {
        (void) count_replicas(store, reply);
    }
}

/* The answer itself is of no interest, but who gave it is. */
static void got_server(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_redis_store *store = context;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    const char *const role[] = {"ROLE"};
    (void) !(reply != NULL && xf_resp_call_on(store->sure, xf_resp_answering(store->sure),
                                              XF_COUNT(role), role, 0, got_role, store));
}

void xf_redis_look_for_replicas(struct xf_redis_store *store, const char *key)
{
    const char *const arguments[] = {"HMGET", key, "epoch"};
    (void) !(store->sure != NULL &&
             xf_resp_call(store->sure, XF_COUNT(arguments), arguments, NULL, 0, got_server, store));
}
