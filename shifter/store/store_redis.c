/*
 * store_redis.c -- the store of a fleet: keys `cf:{NAMESPACE:service}:…`, changed by scripts.
 *
 * One connection, pipelined: each call is a request (store_redis_request.h).  What a replica must
 * have goes over a second one (store_redis_signal.c).
 */
#include "shifter/store/store_redis_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_PAGE 100u /* entries of one answer, so that the largest of them fit */

static_assert(LOG_PAGE * (XF_STORE_ENTRY_BYTES_MAX + 256u) < XF_RESP_ANSWER_BYTES_MAX,
              "a page of the log is an answer that we accept");

static void on_ready(void *context, bool up, const char *why)
{
    (void) why;
    struct xf_redis_store *store = context;
    XF_ASSERT(store->magic == XF_REDIS_MAGIC);
    if (up) {
        store->refused = false; /* perhaps another server: it may prove itself */
        xf_redis_probe(store);
    }
    xf_redis_note_ok(store);
}

static void on_sure_ready(void *context, bool up, const char *why)
{
    (void) context; /* who needs it is told when the call cannot be sent */
    (void) up;
    (void) why;
}

/* ---- reads ---- */

static enum xf_store_result read_state_reply(struct xf_redis_request *request,
                                             const redisReply *reply)
{
    return xf_redis_read_state(reply, &request->answer->state, &request->answer->text);
}

static void redis_read_state(struct xf_store *base, const char *service,
                             xf_store_got_state *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_STATE, {.state = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_state_reply;
    xf_redis_add(request, "HMGET");
    xf_redis_add_key(request, service, "state");
    xf_redis_add(request, "epoch");
    xf_redis_add(request, "generation");
    xf_redis_add(request, "revision");
    xf_redis_add(request, "write_id");
    xf_redis_add(request, "doc");
    xf_redis_request_send(request);
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
static void turn_page(struct xf_redis_request *request)
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
static enum xf_store_result read_log_reply(struct xf_redis_request *request,
                                           const redisReply *reply)
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

static void start_log(struct xf_redis_request *request, const char *command, const char *service,
                      const char *from, const char *to, size_t count_max)
{
    request->read = read_log_reply;
    request->entries_left = count_max < XF_STORE_LOG_COUNT_MAX ? count_max : XF_STORE_LOG_COUNT_MAX;
    xf_redis_add(request, command);
    xf_redis_add_key(request, service, "log");
    xf_redis_add(request, from);
    xf_redis_add(request, to);
    xf_redis_add(request, "COUNT");
    xf_redis_add_number(request,
                        request->entries_left < LOG_PAGE ? request->entries_left : LOG_PAGE);
    xf_redis_request_send(request);
}

static void redis_read_log(struct xf_store *base, const char *service, uint64_t generation,
                           uint64_t revision, size_t count_max, xf_store_got_log *callback,
                           void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_LOG, {.log = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
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
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request != NULL) {
        request->newest_first = true;
        start_log(request, "XREVRANGE", service, "+", "-", count_max);
    }
}

static enum xf_store_result read_text_reply(struct xf_redis_request *request,
                                            const redisReply *reply)
{
    return xf_redis_read_text(reply, &request->answer->text);
}

static void redis_read_checkpoint(struct xf_store *base, const char *service, const char *name,
                                  xf_store_got_text *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_text_reply;
    xf_redis_add(request, "GET");
    xf_redis_add_key(request, service, name);
    xf_redis_request_send(request);
}

static enum xf_store_result read_lease_reply(struct xf_redis_request *request,
                                             const redisReply *reply)
{
    return xf_redis_read_lease(reply, &request->answer->lease);
}

static void redis_read_lease(struct xf_store *base, const char *service,
                             xf_store_got_lease *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_LEASE, {.lease = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_lease_reply;
    xf_redis_add(request, "HMGET");
    xf_redis_add_key(request, service, "lease");
    xf_redis_add(request, "holder");
    xf_redis_add(request, "epoch");
    xf_redis_add(request, "beat");
    xf_redis_request_send(request);
}

static enum xf_store_result read_time_reply(struct xf_redis_request *request,
                                            const redisReply *reply)
{
    return xf_redis_read_time(reply, &request->answer->text);
}

static void redis_read_time(struct xf_store *base, xf_store_got_text *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_time_reply;
    xf_redis_add(request, "TIME");
    xf_redis_request_send(request);
}

static enum xf_store_result read_roster_reply(struct xf_redis_request *request,
                                              const redisReply *reply)
{
    return xf_redis_read_roster(reply, &request->answer->text);
}

static void redis_read_roster(struct xf_store *base, const char *service,
                              xf_store_got_text *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->read = read_roster_reply;
    xf_redis_add(request, "HGETALL");
    xf_redis_add_key(request, service, "roster");
    xf_redis_request_send(request);
}

/* ---- changes ---- */

static void redis_write(struct xf_store *base, const struct xf_store_write *write,
                        xf_store_done *callback, void *context)
{
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    const char *problem = xf_store_write_problem(write);
    if (problem != NULL) {
        xf_redis_request_end(request, XF_STORE_REFUSED, problem);
        return;
    }
    request->generation = write->next.generation;
    request->durable = write->durable;
    request->sure = write->durable;
    xf_redis_add_script(request, XF_SCRIPT_WRITE, 4, true);
    xf_redis_add_key(request, write->service, "state");
    xf_redis_add_key(request, write->service, "log");
    xf_redis_add_key(request, write->service, "lease");
    xf_redis_add_key(request, write->service, "roster");
    xf_redis_add(request, write->holder);
    xf_redis_add_number(request, write->next.epoch);
    xf_redis_add_number(request, write->expected.generation);
    xf_redis_add_number(request, write->expected.revision);
    xf_redis_add_number(request, write->next.generation);
    xf_redis_add_number(request, write->next.revision);
    xf_redis_add(request, write->write_id);
    xf_redis_add(request, write->document);
    xf_redis_add(request, write->entry);
    xf_redis_add_number(request, (uint64_t) xf_clock_wall_ms(request->store->clock));
    xf_redis_add(request, write->restored ? "1" : "0");
    xf_redis_add(request, write->roster != NULL ? write->roster : "");
    xf_redis_request_send(request);
}

static void send_fenced(struct xf_store *base, enum xf_script_name script, bool changes,
                        const char *service, const char *key, const char *holder, uint64_t epoch,
                        const char *text, xf_store_done *callback, void *context)
{
    struct xf_redis_request *request =
        xf_redis_start_fenced(base, script, service, key, holder, epoch, text, callback, context);
    if (request != NULL) {
        request->changes = changes;
        xf_redis_request_send(request);
    }
}

static void redis_write_checkpoint(struct xf_store *base, const char *service, const char *name,
                                   const char *holder, uint64_t epoch, const char *text,
                                   xf_store_done *callback, void *context)
{
    send_fenced(base, XF_SCRIPT_CHECKPOINT, true, service, name, holder, epoch, text, callback,
                context);
}

static void redis_forget_member(struct xf_store *base, const char *service, const char *holder,
                                uint64_t epoch, const char *id, xf_store_done *callback,
                                void *context)
{
    send_fenced(base, XF_SCRIPT_FORGET, true, service, "roster", holder, epoch, id, callback,
                context);
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
    struct xf_redis_request *request = xf_redis_request_new(xf_redis_store_of(base), &asker);
    if (request == NULL) {
        return;
    }
    request->looks = next->beat % XF_REDIS_ROLE_BEATS == 0;
    xf_redis_add_script(request, XF_SCRIPT_LEASE, 1, true);
    xf_redis_add_key(request, service, "lease");
    xf_redis_add(request, seen->holder);
    xf_redis_add_number(request, seen->beat);
    xf_redis_add(request, next->holder);
    xf_redis_add_number(request, next->epoch);
    xf_redis_add_number(request, next->beat);
    xf_redis_request_send(request);
}

/* ---- life ---- */

static void redis_destroy(struct xf_store *base)
{
    struct xf_redis_store *store = xf_redis_store_of(base);
    struct xf_resp *sure = store->sure;
    xf_resp_destroy(store->resp); /* what is open becomes LOST */
    store->resp = NULL;
    store->sure = NULL;
    xf_resp_destroy(sure);
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
    .read_roster = redis_read_roster,
    .forget_member = redis_forget_member,
    .read_time = redis_read_time,
    .write_signal = xf_redis_write_signal,
    .check_signal = redis_check_signal,
    .destroy = redis_destroy,
};

int xf_store_redis_open(const struct xf_config *config, struct event_base *loop,
                        const struct xf_clock *clock, struct xf_store **ret, struct xf_error *err)
{
    struct xf_redis_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", config->store.url);
    }
    store->base = (struct xf_store){.calls = &redis_calls, .kind = XF_STORE_REDIS};
    store->magic = XF_REDIS_MAGIC;
    store->config = &config->store;
    store->clock = clock;
    store->base.ok_since_ms = xf_clock_boottime_ms(clock);
    snprintf(store->base.scope, sizeof(store->base.scope), "fleet");
    for (int i = 0; i < XF_SCRIPTS; i++) {
        xf_script_sha((enum xf_script_name) i, store->shas[i]);
    }
    struct xf_resp_calls calls = {on_ready, store};
    struct xf_resp_calls sure_calls = {on_sure_ready, store};
    if (xf_store_answers_init(&store->answers, loop) != 0 ||
        (store->resp = xf_resp_create(loop, clock, &config->store, &calls)) == NULL ||
        (store->sure = xf_resp_create(loop, clock, &config->store, &sure_calls)) == NULL) {
        redis_destroy(&store->base);
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", config->store.url);
    }
    *ret = &store->base;
    return 0;
}
