/*
 * store_redis.c -- the store of a fleet: keys `cf:{NAMESPACE:service}:…`, changed by scripts.
 *
 * One connection, pipelined.  A call that cannot be sent, and one whose answer is lost, is
 * answered LOST; an error of the server REFUSED.  Both let `ok` fall, and a change that was made
 * lets it rise again: reading alone does not prove that the store takes writes.
 */
#include "shifter/resp.h"
#include "shifter/store_answer.h"
#include "shifter/store_kinds.h"
#include "shifter/store_redis_prune.h"
#include "shifter/store_redis_reply.h"
#include "shifter/store_redis_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_MAGIC    0x72656473u
#define ARGUMENTS_MAX  24u
#define ACKNOWLEDGE_MS "1000" /* for a replica to have the signal's record */
/* Places of a write's arguments behind EVALSHA, the script and the number of keys. */
#define LOG_ARGUMENT      4
#define DOCUMENT_ARGUMENT 13
#define LOG_PAGE          100u /* entries of one answer, so that the largest of them fit */

static_assert(LOG_PAGE * (XF_STORE_ENTRY_BYTES_MAX + 256u) < XF_RESP_ANSWER_BYTES_MAX,
              "a page of the log is an answer that we accept");

struct redis_store {
    struct xf_store base; /* first: the interface hands it back */
    unsigned magic;
    const struct xf_config_store *config;
    const struct xf_clock *clock;
    struct xf_resp *resp;
    struct xf_store_answers answers;
    char shas[XF_SCRIPTS][XF_SCRIPT_SHA_BYTES];
    struct xf_store_prune prune;
    bool refused; /* the last change was refused by a server that answers */
};

/* One call under way. */
struct request {
    struct redis_store *store;
    struct xf_store_answer *answer;
    enum xf_script_name script; /* XF_SCRIPTS: a read */
    bool changes;
    /* What a read's answer comes to; NULL for a script. */
    enum xf_store_result (*read)(struct request *request, const redisReply *reply);
    bool newest_first; /* a log is read backwards */
    size_t entries_left;
    bool again; /* the read wants its changed arguments sent */
    size_t count;
    char *arguments[ARGUMENTS_MAX]; /* owned */
    bool failed;                    /* out of memory */
    uint64_t generation;            /* of a write; 0: none */
    char *signal[5]; /* owned: keys and arguments of a signal that is still to be announced */
};

static struct redis_store *store_of(struct xf_store *base)
{
    struct redis_store *store = (struct redis_store *) base;
    XF_ASSERT(store->magic == STORE_MAGIC);
    return store;
}

/* ---- building a request ---- */

/* NULL: out of memory, and the asker knows. */
static struct request *request_new(struct redis_store *store, const struct xf_store_asker *asker)
{
    struct xf_store_answer *answer = xf_store_answer_create(asker);
    if (answer == NULL) {
        return NULL;
    }
    struct request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        xf_store_answer_give(&store->answers, answer, XF_STORE_LOST, "out of memory");
        return NULL;
    }
    request->store = store;
    request->answer = answer;
    request->script = XF_SCRIPTS;
    return request;
}

static void drop_arguments(struct request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        free(request->arguments[i]);
    }
    request->count = 0;
}

static void add(struct request *request, const char *text)
{
    XF_ASSERT(request->count < ARGUMENTS_MAX);
    request->arguments[request->count] = strdup(text);
    request->failed = request->failed || request->arguments[request->count] == NULL;
    request->count++;
}

static void add_number(struct request *request, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long) number);
    add(request, text);
}

static void add_key(struct request *request, const char *service, const char *name)
{
    char key[XF_REDIS_KEY_BYTES];
    xf_redis_key(request->store->config, service, name, key);
    add(request, key);
}

/* Begins an EVALSHA of `script` with `keys` keys, which come next. */
static void add_script(struct request *request, enum xf_script_name script, unsigned keys,
                       bool changes)
{
    request->script = script;
    request->changes = changes;
    add(request, "EVALSHA");
    add(request, request->store->shas[script]);
    add_number(request, keys);
}

/* ---- its way ---- */

static void request_end(struct request *request, enum xf_store_result result, const char *message)
{
    struct redis_store *store = request->store;
    xf_store_answer_give(&store->answers, request->answer, result, "%s%s%s",
                         message[0] != '\0' ? store->config->url : "",
                         message[0] != '\0' ? ": " : "", message);
    drop_arguments(request);
    for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
        free(request->signal[i]);
    }
    free(request);
}

static void on_answer(void *context, const redisReply *reply, const char *why);

static void request_send(struct request *request)
{
    struct redis_store *store = request->store;
    const char *const *arguments = (const char *const *) request->arguments;
    if (request->failed) {
        request_end(request, XF_STORE_LOST, "out of memory");
    } else if (!xf_resp_call(store->resp, request->count, arguments, NULL, 0, on_answer, request)) {
        request_end(request, XF_STORE_LOST, xf_resp_why(store->resp));
    }
}

static void note_ok(struct redis_store *store)
{
    xf_store_set_ok(&store->base, store->clock, xf_resp_is_ready(store->resp) && !store->refused);
}

/* The server does not know the script: it is sent whole, which also teaches it. */
static void send_whole_script(struct request *request)
{
    free(request->arguments[0]);
    free(request->arguments[1]);
    request->arguments[0] = strdup("EVAL");
    request->arguments[1] = strdup(xf_script_text(request->script));
    request->failed = request->arguments[0] == NULL || request->arguments[1] == NULL;
    request->script = XF_SCRIPTS;
    request_send(request);
}

static void got_error(struct request *request, const char *error)
{
    struct redis_store *store = request->store;
    if (strncmp(error, "NOSCRIPT", 8) == 0 && request->script != XF_SCRIPTS) {
        send_whole_script(request);
        return;
    }
    if (strncmp(error, "WRONGTYPE", 9) == 0 && !request->changes) {
        request_end(request, XF_STORE_UNREADABLE, error);
        return;
    }
    if (strncmp(error, "READONLY", 8) == 0 || strncmp(error, "MASTERDOWN", 10) == 0 ||
        strncmp(error, "MOVED", 5) == 0) {
        xf_resp_reconnect(store->resp, error); /* this server is not, or no longer, the one */
    }
    store->refused = store->refused || request->changes;
    xf_store_set_ok(&store->base, store->clock, false);
    request_end(request, XF_STORE_REFUSED, error);
}

/* After a write: its log may have entries that are too old. */
static void prune_log(struct request *request)
{
    struct redis_store *store = request->store;
    const char *document = request->arguments[DOCUMENT_ARGUMENT];
    int64_t old_ms;
    if (xf_store_prune_due(&store->prune, store->clock, request->arguments[LOG_ARGUMENT],
                           &old_ms)) {
        xf_store_redis_prune(store->resp, request->arguments[LOG_ARGUMENT], old_ms,
                             request->generation, document);
    }
}

static void got_status(struct request *request, const redisReply *reply)
{
    enum xf_store_result result;
    if (reply->type != REDIS_REPLY_STATUS || !xf_redis_result(reply->str, &result)) {
        request_end(request, XF_STORE_REFUSED, "a script answered with something else");
        return;
    }
    if (request->changes && result == XF_STORE_OK) {
        request->store->refused = false;
        if (request->generation > 0) {
            prune_log(request);
        }
    }
    note_ok(request->store);
    request_end(request, result, "");
}

static void on_answer(void *context, const redisReply *reply, const char *why)
{
    struct request *request = context;
    XF_ASSERT(request->store->magic == STORE_MAGIC);
    if (reply == NULL) {
        request_end(request, XF_STORE_LOST, why);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        got_error(request, reply->str);
    } else if (request->read == NULL) {
        got_status(request, reply);
    } else {
        enum xf_store_result result = request->read(request, reply);
        note_ok(request->store);
        if (request->again) {
            request->again = false;
            request_send(request);
            return;
        }
        request_end(request, result,
                    result == XF_STORE_UNREADABLE ? "not ours, or damaged"
                    : result == XF_STORE_REFUSED  ? "no replica acknowledged the record"
                                                  : "");
    }
}

static void on_ready(void *context, bool up, const char *why)
{
    (void) why;
    struct redis_store *store = context;
    XF_ASSERT(store->magic == STORE_MAGIC);
    if (up) {
        store->refused = false; /* perhaps another server: it may prove itself */
    }
    note_ok(store);
}

/* ---- reads ---- */

static enum xf_store_result read_state_reply(struct request *request, const redisReply *reply)
{
    return xf_redis_read_state(reply, &request->answer->state, &request->answer->text);
}

static void redis_read_state(struct xf_store *base, const char *service,
                             xf_store_got_state *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_STATE, {.state = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_state_reply;
    add(request, "HMGET");
    add_key(request, service, "state");
    add(request, "epoch");
    add(request, "generation");
    add(request, "revision");
    add(request, "write_id");
    add(request, "doc");
    request_send(request);
}

static void reverse(struct xf_store_entry *entries, size_t count)
{
    for (size_t i = 0; i + 1 < count - i; i++) {
        struct xf_store_entry entry = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = entry;
    }
}

/* Asks for the next page, behind the last entry of the answer. */
static void turn_page(struct request *request)
{
    const struct xf_store_answer *answer = request->answer;
    const struct xf_store_entry *last = &answer->entries[answer->entries_count - 1];
    char place[64];
    snprintf(place, sizeof(place), "(%llu-%llu", (unsigned long long) last->generation,
             (unsigned long long) last->revision);
    char count[24];
    size_t page = request->entries_left < LOG_PAGE ? request->entries_left : LOG_PAGE;
    snprintf(count, sizeof(count), "%zu", page);
    free(request->arguments[2]);
    free(request->arguments[5]);
    request->arguments[2] = strdup(place);
    request->arguments[5] = strdup(count);
    request->failed = request->arguments[2] == NULL || request->arguments[5] == NULL;
    request->again = true;
}

/* Takes a page; goes on while there may be more and more is wanted. */
static enum xf_store_result read_log_reply(struct request *request, const redisReply *reply)
{
    struct xf_store_answer *answer = request->answer;
    size_t before = answer->entries_count;
    enum xf_store_result result = xf_redis_read_log(reply, answer);
    size_t got = answer->entries_count - before;
    request->entries_left -= got < request->entries_left ? got : request->entries_left;
    if (result == XF_STORE_OK && got >= LOG_PAGE && request->entries_left > 0) {
        turn_page(request);
        return XF_STORE_OK;
    }
    if (result == XF_STORE_OK && request->newest_first && answer->entries_count > 1) {
        reverse(answer->entries, answer->entries_count);
    }
    return result;
}

static void start_log(struct request *request, const char *command, const char *service,
                      const char *from, const char *to, size_t count_max)
{
    request->read = read_log_reply;
    request->entries_left = count_max < XF_STORE_LOG_COUNT_MAX ? count_max : XF_STORE_LOG_COUNT_MAX;
    add(request, command);
    add_key(request, service, "log");
    add(request, from);
    add(request, to);
    add(request, "COUNT");
    add_number(request, request->entries_left < LOG_PAGE ? request->entries_left : LOG_PAGE);
    request_send(request);
}

static void redis_read_log(struct xf_store *base, const char *service, uint64_t generation,
                           uint64_t revision, size_t count_max, xf_store_got_log *callback,
                           void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_LOG, {.log = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    char from[64];
    snprintf(from, sizeof(from), "(%llu-%llu", (unsigned long long) generation,
             (unsigned long long) revision);
    if (request != NULL) {
        start_log(request, "XRANGE", service, from, "+", count_max);
    }
}

static void redis_read_log_tail(struct xf_store *base, const char *service, size_t count_max,
                                xf_store_got_log *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_LOG, {.log = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request != NULL) {
        request->newest_first = true;
        start_log(request, "XREVRANGE", service, "+", "-", count_max);
    }
}

static enum xf_store_result read_text_reply(struct request *request, const redisReply *reply)
{
    return xf_redis_read_text(reply, &request->answer->text);
}

static void redis_read_checkpoint(struct xf_store *base, const char *service, const char *name,
                                  xf_store_got_text *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_text_reply;
    add(request, "GET");
    add_key(request, service, name);
    request_send(request);
}

static enum xf_store_result read_lease_reply(struct request *request, const redisReply *reply)
{
    return xf_redis_read_lease(reply, &request->answer->lease);
}

static void redis_read_lease(struct xf_store *base, const char *service,
                             xf_store_got_lease *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_LEASE, {.lease = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_lease_reply;
    add(request, "HMGET");
    add_key(request, service, "lease");
    add(request, "holder");
    add(request, "epoch");
    add(request, "beat");
    request_send(request);
}

static enum xf_store_result read_time_reply(struct request *request, const redisReply *reply)
{
    return xf_redis_read_time(reply, &request->answer->text);
}

static void redis_read_time(struct xf_store *base, xf_store_got_text *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_time_reply;
    add(request, "TIME");
    request_send(request);
}

/* ---- changes ---- */

static void redis_write(struct xf_store *base, const struct xf_store_write *write,
                        xf_store_done *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    const char *problem = xf_store_write_problem(write);
    if (problem != NULL) {
        request_end(request, XF_STORE_REFUSED, problem);
        return;
    }
    request->generation = write->next.generation;
    add_script(request, XF_SCRIPT_WRITE, 3, true);
    add_key(request, write->service, "state");
    add_key(request, write->service, "log");
    add_key(request, write->service, "lease");
    add(request, write->holder);
    add_number(request, write->next.epoch);
    add_number(request, write->expected.generation);
    add_number(request, write->expected.revision);
    add_number(request, write->next.generation);
    add_number(request, write->next.revision);
    add(request, write->write_id);
    add(request, write->document);
    add(request, write->entry);
    add_number(request, (uint64_t) xf_clock_wall_ms(request->store->clock));
    add(request, write->restored ? "1" : "0");
    request_send(request);
}

/* A script over the lease and one key, with holder, epoch and a text.  NULL: it has ended. */
static struct request *start_fenced(struct xf_store *base, enum xf_script_name script,
                                    const char *service, const char *key, const char *holder,
                                    uint64_t epoch, const char *text, xf_store_done *callback,
                                    void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request == NULL) {
        return NULL;
    }
    if (strlen(text) > XF_DOCUMENT_BYTES_MAX) {
        request_end(request, XF_STORE_REFUSED, "the text is larger than a store keeps");
        return NULL;
    }
    add_script(request, script, 2, false);
    add_key(request, service, "lease");
    add_key(request, service, key);
    add(request, holder);
    add_number(request, epoch);
    add(request, text);
    return request;
}

static void send_fenced(struct xf_store *base, enum xf_script_name script, bool changes,
                        const char *service, const char *key, const char *holder, uint64_t epoch,
                        const char *text, xf_store_done *callback, void *context)
{
    struct request *request =
        start_fenced(base, script, service, key, holder, epoch, text, callback, context);
    if (request != NULL) {
        request->changes = changes;
        request_send(request);
    }
}

static void redis_write_checkpoint(struct xf_store *base, const char *service, const char *name,
                                   const char *holder, uint64_t epoch, const char *text,
                                   xf_store_done *callback, void *context)
{
    send_fenced(base, XF_SCRIPT_CHECKPOINT, true, service, name, holder, epoch, text, callback,
                context);
}

/* ---- the signal's record: written, acknowledged by a replica, then announced ---- */

static enum xf_store_result read_status(const redisReply *reply)
{
    enum xf_store_result result;
    return reply->type == REDIS_REPLY_STATUS && xf_redis_result(reply->str, &result)
               ? result
               : XF_STORE_UNREADABLE;
}

/* Begins the next command of the same request. */
static void begin_again(struct request *request,
                        enum xf_store_result (*read)(struct request *, const redisReply *))
{
    drop_arguments(request);
    request->script = XF_SCRIPTS;
    request->read = read;
    request->again = true;
}

static enum xf_store_result read_announced(struct request *request, const redisReply *reply)
{
    (void) request;
    return read_status(reply);
}

static enum xf_store_result announce(struct request *request)
{
    begin_again(request, read_announced);
    add_script(request, XF_SCRIPT_ANNOUNCE, 2, true);
    for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
        add(request, request->signal[i]);
    }
    return XF_STORE_OK;
}

static enum xf_store_result read_acknowledged(struct request *request, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 1) {
        return XF_STORE_REFUSED; /* a failover now could forget it: nothing is signalled */
    }
    return announce(request);
}

/* ROLE: [master, offset, [replica …]].  Where there are replicas, one must have the record, and
 * with it the document that was written before. */
static enum xf_store_result read_replicas(struct request *request, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[2]->type != REDIS_REPLY_ARRAY) {
        return XF_STORE_REFUSED;
    }
    if (reply->element[2]->elements == 0) {
        return announce(request);
    }
    begin_again(request, read_acknowledged);
    add(request, "WAIT");
    add(request, "1");
    add(request, ACKNOWLEDGE_MS);
    return XF_STORE_OK;
}

static enum xf_store_result read_recorded(struct request *request, const redisReply *reply)
{
    enum xf_store_result result = read_status(reply);
    if (result == XF_STORE_OK) {
        /* Lease, key, holder, epoch and record stand behind EVALSHA, script and count. */
        for (size_t i = 0; i < XF_COUNT(request->signal); i++) {
            request->signal[i] = request->arguments[3 + i];
            request->arguments[3 + i] = NULL;
        }
        begin_again(request, read_replicas);
        add(request, "ROLE");
    }
    return result;
}

static void redis_write_signal(struct xf_store *base, const char *service, const char *holder,
                               uint64_t epoch, const char *record, xf_store_done *callback,
                               void *context)
{
    struct request *request = start_fenced(base, XF_SCRIPT_SIGNAL, service, "decommission", holder,
                                           epoch, record, callback, context);
    if (request != NULL) {
        request->changes = true;
        request->read = read_recorded;
        request_send(request);
    }
}

static void redis_check_signal(struct xf_store *base, const char *service, const char *holder,
                               uint64_t epoch, const char *record, xf_store_done *callback,
                               void *context)
{
    send_fenced(base, XF_SCRIPT_CHECK_SIGNAL, false, service, "decommission", holder, epoch, record,
                callback, context);
}

static void redis_swap_lease(struct xf_store *base, const char *service,
                             const struct xf_store_lease *seen, const struct xf_store_lease *next,
                             xf_store_done *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct request *request = request_new(store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    add_script(request, XF_SCRIPT_LEASE, 1, true);
    add_key(request, service, "lease");
    add(request, seen->holder);
    add_number(request, seen->beat);
    add(request, next->holder);
    add_number(request, next->epoch);
    add_number(request, next->beat);
    request_send(request);
}

/* ---- life ---- */

static void redis_destroy(struct xf_store *base)
{
    struct redis_store *store = store_of(base);
    xf_resp_destroy(store->resp); /* what is open becomes LOST */
    xf_store_answers_release(&store->answers);
    free(store);
}

static const struct xf_store_vtable redis_calls = {
    .read_state = redis_read_state,
    .write = redis_write,
    .read_log = redis_read_log,
    .read_log_tail = redis_read_log_tail,
    .write_checkpoint = redis_write_checkpoint,
    .read_checkpoint = redis_read_checkpoint,
    .read_lease = redis_read_lease,
    .swap_lease = redis_swap_lease,
    .read_time = redis_read_time,
    .write_signal = redis_write_signal,
    .check_signal = redis_check_signal,
    .destroy = redis_destroy,
};

int xf_store_redis_open(const struct xf_config *config, struct event_base *loop,
                        const struct xf_clock *clock, struct xf_store **ret, struct xf_error *err)
{
    struct redis_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", config->store.url);
    }
    store->base = (struct xf_store){.calls = &redis_calls, .kind = XF_STORE_REDIS};
    store->magic = STORE_MAGIC;
    store->config = &config->store;
    store->clock = clock;
    store->base.ok_since_ms = xf_clock_boottime_ms(clock);
    snprintf(store->base.scope, sizeof(store->base.scope), "fleet");
    for (int i = 0; i < XF_SCRIPTS; i++) {
        xf_script_sha((enum xf_script_name) i, store->shas[i]);
    }
    struct xf_resp_calls calls = {on_ready, store};
    if (xf_store_answers_init(&store->answers, loop) != 0 ||
        (store->resp = xf_resp_create(loop, clock, &config->store, &calls)) == NULL) {
        redis_destroy(&store->base);
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", config->store.url);
    }
    *ret = &store->base;
    return 0;
}
