/*
 * store_redis_request.c -- see store_redis_request.h.
 */
#include "shifter/store/store_redis_request.h"
#include "shifter/store/store_redis_prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Places of a write's arguments behind EVALSHA, the script and the number of keys. */
#define LOG_ARGUMENT      4
#define DOCUMENT_ARGUMENT 14

struct xf_redis_store *xf_redis_store_of(struct xf_store *base)
{
    struct xf_redis_store *store = (struct xf_redis_store *) base;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    return store;
}

/* ---- building a request ---- */

/* NULL: out of memory, and the asker knows. */
struct xf_redis_request *xf_redis_request_new(struct xf_redis_store *store,
                                              const struct xf_store_asker *asker)
{
    struct xf_store_answer *answer = xf_store_answer_create(asker);
    if (answer == NULL) {
        return NULL;
    }
    struct xf_redis_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        xf_store_answer_give(&store->answers, answer, XF_STORE_LOST, "out of memory");
        return NULL;
    }
    request->store = store;
    request->answer = answer;
    request->script = XF_SCRIPTS;
    return request;
}

void xf_redis_drop_arguments(struct xf_redis_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        free(request->arguments[i]);
    }
    request->count = 0;
}

void xf_redis_add(struct xf_redis_request *request, const char *text)
{
    XF_ASSERT(request->count < XF_REDIS_ARGUMENTS_MAX);
    request->arguments[request->count] = strdup(text);
    request->failed = request->failed || request->arguments[request->count] == NULL;
    request->count++;
}

void xf_redis_add_number(struct xf_redis_request *request, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long) number);
    xf_redis_add(request, text);
}

void xf_redis_add_key(struct xf_redis_request *request, const char *service, const char *name)
{
    char key[XF_REDIS_KEY_BYTES];
    xf_redis_key(request->store->config, service, name, key);
    xf_redis_add(request, key);
}

/* Begins an EVALSHA of `script` with `keys` keys, which come next. */
void xf_redis_add_script(struct xf_redis_request *request, enum xf_script_name script,
                         unsigned keys, bool changes)
{
    request->script = script;
    request->changes = changes;
    xf_redis_add(request, "EVALSHA");
    xf_redis_add(request, request->store->shas[script]);
    xf_redis_add_number(request, keys);
}

/* ---- its way ---- */

void xf_redis_request_end(struct xf_redis_request *request, enum xf_store_result result,
                          const char *message)
{
    struct xf_redis_store *store = request->store;
    xf_store_answer_give(&store->answers, request->answer, result, "%s%s%s",
                         message[0] != '\0' ? store->config->url : "",
                         message[0] != '\0' ? ": " : "", message);
    xf_redis_drop_arguments(request);
    for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
        free(request->signal[i]);
    }
    free(request);
}

static void on_answer(void *context, const redisReply *reply, const char *why);

/* No answer: in a Redis Cluster others may still come. */
static void lose(struct xf_redis_request *request, const char *why)
{
    struct xf_store *base = &request->store->base;
    snprintf(base->away, sizeof(base->away), "%s", why);
    xf_store_set_ok(base, request->store->clock, false);
    xf_redis_request_end(request, XF_STORE_LOST, why);
}

void xf_redis_request_send(struct xf_redis_request *request)
{
    struct xf_redis_store *store = request->store;
    const char *const *arguments = (const char *const *) request->arguments;
    if (store->base.denied[0] != '\0' && store->resp != NULL) {
        char why[XF_STORE_MESSAGE_BYTES];
        snprintf(why, sizeof(why), "its user may not run %s", store->base.denied);
        xf_redis_probe_again(store); /* the rights may have been given meanwhile */
        xf_redis_request_end(request, XF_STORE_REFUSED, why);
        return;
    }
    if (request->failed) {
        xf_redis_request_end(request, XF_STORE_LOST, "out of memory");
        return;
    }
    struct xf_resp *resp = request->sure ? store->sure : store->resp;
    int64_t block_ms = request->sure ? XF_REDIS_ACKNOWLEDGE_MS : 0;
    bool sent = resp != NULL && request->connection != 0
                    ? xf_resp_call_on(resp, request->connection, request->count, arguments,
                                      block_ms, on_answer, request)
                    : resp != NULL && xf_resp_call(resp, request->count, arguments, NULL, block_ms,
                                                   on_answer, request);
    if (resp == NULL) {
        xf_redis_request_end(request, XF_STORE_LOST, "closed"); /* asked by a last answer */
    } else if (!sent) {
        lose(request, xf_resp_why(resp));
    }
}

void xf_redis_note_ok(struct xf_redis_store *store)
{
    bool ok = xf_resp_is_ready(store->resp) && !store->refused && store->base.denied[0] == '\0';
    if (ok) {
        store->base.away[0] = '\0';
    }
    xf_store_set_ok(&store->base, store->clock, ok);
}

/* The server does not know the script: it is sent whole, which also teaches it. */
static void send_whole_script(struct xf_redis_request *request)
{
    free(request->arguments[0]);
    free(request->arguments[1]);
    request->arguments[0] = strdup("EVAL");
    request->arguments[1] = strdup(xf_script_text(request->script));
    request->failed = request->arguments[0] == NULL || request->arguments[1] == NULL;
    request->script = XF_SCRIPTS;
    xf_redis_request_send(request);
}

static void got_error(struct xf_redis_request *request, const char *error)
{
    struct xf_redis_store *store = request->store;
    if (strncmp(error, "NOSCRIPT", 8) == 0 && request->script != XF_SCRIPTS) {
        send_whole_script(request);
        return;
    }
    if (strncmp(error, "WRONGTYPE", 9) == 0 && !request->changes) {
        xf_redis_request_end(request, XF_STORE_UNREADABLE, error);
        return;
    }
    if (strncmp(error, "READONLY", 8) == 0 || strncmp(error, "MASTERDOWN", 10) == 0 ||
        strncmp(error, "MOVED", 5) == 0) {
        /* this server is not, or no longer, the one */
        xf_resp_reconnect(request->sure ? store->sure : store->resp, error);
    }
    snprintf(store->base.away, sizeof(store->base.away), "%s", error);
    store->refused = store->refused || request->changes;
    xf_store_set_ok(&store->base, store->clock, false);
    xf_redis_request_end(request, XF_STORE_REFUSED, error);
}

/* After a write: its log may have entries that are too old. */
static void prune_log(struct xf_redis_request *request)
{
    struct xf_redis_store *store = request->store;
    const char *document = request->arguments[DOCUMENT_ARGUMENT];
    int64_t old_ms;
    if (xf_store_prune_due(&store->prune, store->clock, request->arguments[LOG_ARGUMENT],
                           &old_ms)) {
        uint64_t floor = xf_store_floor(&store->base, request->arguments[LOG_ARGUMENT]);
        xf_store_redis_prune(store->resp, request->arguments[LOG_ARGUMENT], old_ms,
                             floor < request->generation ? floor : request->generation, document);
    }
}

static void got_status(struct xf_redis_request *request, const redisReply *reply)
{
    enum xf_store_result result;
    if (reply->type != REDIS_REPLY_STATUS || !xf_redis_result(reply->str, &result)) {
        xf_redis_request_end(request, XF_STORE_REFUSED, "a script answered with something else");
        return;
    }
    if (request->changes && result == XF_STORE_OK) {
        request->store->refused = false;
        if (request->generation > 0) {
            prune_log(request);
        }
    }
    xf_redis_note_ok(request->store);
    if (request->looks) {
        xf_redis_look_for_replicas(request->store, request->arguments[3]);
    }
    if (request->durable && (result == XF_STORE_OK || result == XF_STORE_ALREADY)) {
        xf_redis_make_sure(request);
        return;
    }
    xf_redis_request_end(request, result, "");
}

/* What a result of a read says where no error of the server does. */
static void describe(const struct xf_redis_request *request, enum xf_store_result result,
                     char out[XF_STORE_MESSAGE_BYTES])
{
    const struct xf_redis_store *store = request->store;
    out[0] = '\0';
    if (result == XF_STORE_UNREADABLE) {
        snprintf(out, XF_STORE_MESSAGE_BYTES, "not ours, or damaged");
    } else if (result == XF_STORE_REFUSED || result == XF_STORE_LOST) {
        snprintf(out, XF_STORE_MESSAGE_BYTES, "no replica acknowledged %s (%u connected%s)",
                 request->durable ? "the change" : "the record", store->replicas,
                 store->replicas == 0 ? "; there was one lately" : "");
    }
}

static void on_answer(void *context, const redisReply *reply, const char *why)
{
    xf_redis_request_answered(context, reply, why);
}

void xf_redis_request_answered(struct xf_redis_request *request, const redisReply *reply,
                               const char *why)
{
    XF_ASSERT(request->store->magic == XF_REDIS_MAGIC);
    if (reply == NULL) {
        lose(request, why);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        got_error(request, reply->str);
    } else if (request->read == NULL) {
        got_status(request, reply);
    } else {
        enum xf_store_result result = request->read(request, reply);
        xf_redis_note_ok(request->store);
        if (request->again) {
            request->again = false;
            if (request->waits) {
                xf_redis_acknowledge(request);
            } else {
                xf_redis_request_send(request);
            }
            return;
        }
        char message[XF_STORE_MESSAGE_BYTES];
        describe(request, result, message);
        xf_redis_request_end(request, result, message);
    }
}

/* A script over the lease and one key, with holder, epoch and a text.  NULL: it has ended. */
struct xf_redis_request *xf_redis_start_fenced(struct xf_store *base, enum xf_script_name script,
                                               const char *service, const char *key,
                                               const char *holder, uint64_t epoch, const char *text,
                                               xf_store_done *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return NULL;
    }
    if (strlen(text) > XF_DOCUMENT_BYTES_MAX) {
        xf_redis_request_end(request, XF_STORE_REFUSED, "the text is larger than a store keeps");
        return NULL;
    }
    xf_redis_add_script(request, script, 2, false);
    xf_redis_add_key(request, service, "lease");
    xf_redis_add_key(request, service, key);
    xf_redis_add(request, holder);
    xf_redis_add_number(request, epoch);
    xf_redis_add(request, text);
    return request;
}
