/*
 * resp.c -- see resp.h.
 *
 *   away --back-off--> connecting --open--> greeting (AUTH, SELECT, CLIENT SETNAME) --> ready
 *     ^                    |                   |                                          |
 *     +--------------------+-------------------+---------- any failure -------------------+
 *
 * Through Sentinel each way begins with a question to one of them, the next after each failure,
 * and the server that it names must itself say that it is the master.
 */
#include "shifter/store/resp.h"
#include "shifter/net/backoff.h"
#include "shifter/store/resp_reader.h"
#include "shifter/net/stream.h"

#include "config/base/list.h"
#include "config/base/text.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESP_MAGIC         0x72657370u
#define BACKOFF_MS_MIN     50
#define BACKOFF_MS_MAX     1000
#define PASSWORD_BYTES_MAX 1024
#define SENTINEL_MS        500 /* to connect to one, and for its answer */

static const struct timeval watch_every = {0, 50000};

struct waiting { /* a command that was sent */
    struct xf_list node;
    int64_t until_ms; /* on the monotonic clock */
    xf_resp_done *done;
    void *context;
};

struct xf_resp {
    unsigned magic;
    struct event_base *loop;
    const struct xf_clock *clock;
    const struct xf_config_store *config;
    struct xf_resp_calls calls;
    struct xf_backoff backoff;
    struct event *retry;
    struct event *watch;      /* time limits of answers */
    struct xf_stream *stream; /* NULL: away */
    struct xf_resp_reader *reader;
    struct xf_list waiting;
    size_t waiting_count;
    unsigned endpoint;     /* the next to try */
    unsigned greetings;    /* answers of the greeting that are still to come */
    char master_host[256]; /* as a Sentinel named it; empty: not asked yet */
    uint16_t master_port;
    bool ready;
    bool reconnecting; /* the owner wants another connection */
    char why[192];
};

static void take_down(struct xf_resp *resp, const char *why);
static void drop_connection(struct xf_resp *resp, const char *why);

/* ---- commands ---- */

static bool push(struct xf_resp *resp, size_t count, const char *const *arguments,
                 const size_t *lengths, int64_t limit_ms, xf_resp_done *done, void *context)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    char *text = NULL;
    const char **borrowed = (const char **) (uintptr_t) arguments; /* hiredis does not write */
    int length =
        waiting != NULL ? redisFormatCommandArgv(&text, (int) count, borrowed, lengths) : -1;
    if (length < 0 || !xf_stream_send(resp->stream, text, (size_t) length)) {
        redisFreeCommand(text);
        free(waiting);
        return false;
    }
    redisFreeCommand(text);
    *waiting = (struct waiting){.until_ms = xf_clock_monotonic_ms(resp->clock) + limit_ms,
                                .done = done,
                                .context = context};
    xf_list_append(&resp->waiting, &waiting->node);
    resp->waiting_count++;
    if (!event_pending(resp->watch, EV_TIMEOUT, NULL)) {
        event_add(resp->watch, &watch_every);
    }
    return true;
}

/* Removes the oldest command; NULL when there is none.  The caller frees it. */
static struct waiting *pop(struct xf_resp *resp)
{
    if (xf_list_empty(&resp->waiting)) {
        return NULL;
    }
    struct waiting *waiting = XF_CONTAINER_OF(resp->waiting.next, struct waiting, node);
    xf_list_remove(&waiting->node);
    resp->waiting_count--;
    return waiting;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_resp *resp = arg;
    XF_ASSERT(resp->magic == RESP_MAGIC);
    if (xf_list_empty(&resp->waiting)) {
        return;
    }
    struct waiting *oldest = XF_CONTAINER_OF(resp->waiting.next, struct waiting, node);
    if (xf_clock_monotonic_ms(resp->clock) >= oldest->until_ms) {
        take_down(resp, "no answer in time");
    } else {
        event_add(resp->watch, &watch_every);
    }
}

/* ---- the greeting ---- */

static void become_ready(struct xf_resp *resp)
{
    resp->ready = true;
    resp->why[0] = '\0';
    xf_backoff_reset(&resp->backoff);
    resp->calls.ready(resp->calls.context, true, NULL);
}

/* An answer of AUTH or SELECT: an error ends the connection with the server's words. */
static void greeted(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_resp *resp = context;
    if (reply == NULL) {
        return;
    }
    resp->greetings--;
    if (reply->type == REDIS_REPLY_ERROR) {
        char text[160];
        snprintf(text, sizeof(text), "the server refuses us: %.120s", reply->str);
        take_down(resp, text);
    } else if (resp->greetings == 0) {
        become_ready(resp);
    }
}

/* CLIENT SETNAME is for people who look: a server that forbids it does no harm. */
static void named(void *context, const redisReply *reply, const char *why)
{
    struct xf_resp *resp = context;
    redisReply fine = {.type = REDIS_REPLY_STATUS};
    greeted(resp, reply != NULL ? &fine : NULL, why);
}

/* The password's first line into `out`; false, with `why` filled, when it cannot be read. */
static bool read_password(struct xf_resp *resp, char out[PASSWORD_BYTES_MAX])
{
    int fd = open(resp->config->password_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd >= 0 ? read(fd, out, PASSWORD_BYTES_MAX - 1) : -1;
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (got < 0) {
        snprintf(resp->why, sizeof(resp->why), "password file %.100s: %s",
                 resp->config->password_file, strerror(error));
        return false;
    }
    out[got] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static bool through_sentinel(const struct xf_resp *resp)
{
    return resp->config->sentinel_master != NULL;
}

/* ROLE: only a master is of use. */
static void told_role(void *context, const redisReply *reply, const char *why)
{
    struct xf_resp *resp = context;
    bool master = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                  reply->element[0]->type == REDIS_REPLY_STRING &&
                  strcmp(reply->element[0]->str, "master") == 0;
    redisReply fine = {.type = REDIS_REPLY_STATUS};
    if (reply != NULL && !master) {
        take_down(resp, "the server that Sentinel names is not a master");
        return;
    }
    greeted(resp, reply != NULL ? &fine : NULL, why);
}

static bool authenticate(struct xf_resp *resp)
{
    char password[PASSWORD_BYTES_MAX];
    if (resp->config->password_file == NULL) {
        return true;
    }
    if (!read_password(resp, password)) {
        return false;
    }
    const char *user = resp->config->user;
    const char *with_user[] = {"AUTH", user, password};
    const char *alone[] = {"AUTH", password};
    resp->greetings++;
    bool pushed = push(resp, user != NULL ? 3 : 2, user != NULL ? with_user : alone, NULL,
                       XF_RESP_ANSWER_MS, greeted, resp);
    OPENSSL_cleanse(password, sizeof(password));
    return pushed;
}

/* A Sentinel's answer: host and port of the master. */
static void told_master(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_resp *resp = context;
    uint64_t port = 0;
    if (reply == NULL) {
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING ||
        reply->element[0]->len >= (int) sizeof(resp->master_host) || reply->element[0]->len == 0 ||
        reply->element[0]->str[0] == '/' || !xf_parse_uint(reply->element[1]->str, 65535, &port)) {
        char text[160];
        snprintf(text, sizeof(text), "Sentinel names no master: %.100s",
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "it knows none of that name");
        take_down(resp, text);
        return;
    }
    snprintf(resp->master_host, sizeof(resp->master_host), "%s", reply->element[0]->str);
    resp->master_port = (uint16_t) port;
    drop_connection(resp, "");
    event_active(resp->retry, EV_TIMEOUT, 0);
}

static bool ask_sentinel(struct xf_resp *resp)
{
    const char *const question[] = {"SENTINEL", "get-master-addr-by-name",
                                    resp->config->sentinel_master};
    return push(resp, XF_COUNT(question), question, NULL, SENTINEL_MS, told_master, resp);
}

static bool greet(struct xf_resp *resp)
{
    char database[16];
    snprintf(database, sizeof(database), "%u", resp->config->database);
    const char *const select[] = {"SELECT", database};
    const char *const name[] = {"CLIENT", "SETNAME", "crossfade"};
    const char *const role[] = {"ROLE"};
    resp->greetings = 1;
    bool sent = authenticate(resp);
    if (sent && resp->config->database != 0) {
        resp->greetings++;
        sent = push(resp, 2, select, NULL, XF_RESP_ANSWER_MS, greeted, resp);
    }
    if (sent && through_sentinel(resp)) {
        resp->greetings++;
        sent = push(resp, 1, role, NULL, XF_RESP_ANSWER_MS, told_role, resp);
    }
    return sent && push(resp, 3, name, NULL, XF_RESP_ANSWER_MS, named, resp);
}

static void on_open(void *context)
{
    struct xf_resp *resp = context;
    XF_ASSERT(resp->magic == RESP_MAGIC);
    snprintf(resp->why, sizeof(resp->why), "the greeting could not be sent");
    bool asking = through_sentinel(resp) && resp->master_host[0] == '\0';
    if (!(asking ? ask_sentinel(resp) : greet(resp))) {
        take_down(resp, resp->why);
    }
}

/* ---- the stream ---- */

static void on_received(void *context, struct evbuffer *in)
{
    struct xf_resp *resp = context;
    XF_ASSERT(resp->magic == RESP_MAGIC);
    size_t length = evbuffer_get_length(in);
    const char *bytes = (const char *) evbuffer_pullup(in, -1);
    bool fed = bytes != NULL && xf_resp_reader_feed(resp->reader, bytes, length);
    evbuffer_drain(in, length);
    if (!fed) {
        take_down(resp, xf_resp_reader_why(resp->reader));
        return;
    }
    /* A callback may take the connection down: then the reader is gone. */
    for (struct xf_resp_reader *reader = resp->reader; resp->reader == reader;) {
        redisReply *reply = NULL;
        enum xf_resp_read read = xf_resp_reader_next(reader, &reply);
        if (read == XF_RESP_MORE) {
            return;
        }
        struct waiting *waiting = read == XF_RESP_REPLY ? pop(resp) : NULL;
        if (waiting == NULL) {
            freeReplyObject(reply);
            take_down(resp, read == XF_RESP_REPLY ? "an answer that nobody asked for"
                                                  : xf_resp_reader_why(reader));
            return;
        }
        waiting->done(waiting->context, reply, NULL);
        freeReplyObject(reply);
        free(waiting);
    }
}

static void on_closed(void *context, const char *why)
{
    struct xf_resp *resp = context;
    XF_ASSERT(resp->magic == RESP_MAGIC);
    take_down(resp, why);
}

static void drop_connection(struct xf_resp *resp, const char *why)
{
    struct xf_list lost;
    xf_list_init(&lost);
    xf_stream_destroy(resp->stream);
    resp->stream = NULL;
    xf_resp_reader_destroy(resp->reader);
    resp->reader = NULL;
    resp->ready = false;
    for (struct waiting *waiting; (waiting = pop(resp)) != NULL;) {
        xf_list_append(&lost, &waiting->node);
    }
    while (!xf_list_empty(&lost)) {
        struct waiting *waiting = XF_CONTAINER_OF(lost.next, struct waiting, node);
        xf_list_remove(&waiting->node);
        waiting->done(waiting->context, NULL, why);
        free(waiting);
    }
}

/* Ends the connection from the loop, answers what is open, and tries again later. */
static void take_down(struct xf_resp *resp, const char *reason)
{
    char why[sizeof(resp->why)];
    bool was_ready = resp->ready;
    snprintf(why, sizeof(why), "%s", reason);
    memcpy(resp->why, why, sizeof(why));
    resp->endpoint++;
    resp->reconnecting = false;
    resp->master_host[0] = '\0';
    struct timeval wait = xf_backoff_next(&resp->backoff);
    event_add(resp->retry, &wait);
    drop_connection(resp, why);
    if (was_ready) {
        resp->calls.ready(resp->calls.context, false, why);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_resp *resp = arg;
    XF_ASSERT(resp->magic == RESP_MAGIC);
    event_del(resp->retry);
    if (resp->stream != NULL) {
        if (resp->reconnecting) {
            take_down(resp, resp->why);
        }
        return;
    }
    const struct xf_config_store *config = resp->config;
    const struct xf_endpoint *endpoint =
        &config->endpoints[resp->endpoint % config->endpoints_count];
    bool named_one = resp->master_host[0] != '\0';
    bool asking = through_sentinel(resp) && !named_one;
    struct xf_stream_options options = {.host = named_one ? resp->master_host : endpoint->host,
                                        .port = named_one ? resp->master_port : endpoint->port,
                                        .connect_ms = asking ? SENTINEL_MS : XF_RESP_CONNECT_MS,
                                        .in_bytes_max = 0, /* the reader takes all */
                                        .out_bytes_max = XF_RESP_OUT_BYTES_MAX,
                                        .tls = config->tls,
                                        .ca = config->ca,
                                        .certificate = config->certificate,
                                        .key = config->key};
    struct xf_stream_calls calls = {on_open, on_received, on_closed, resp};
    struct xf_error err = {0};
    resp->reader = xf_resp_reader_create();
    if (resp->reader == NULL ||
        xf_stream_open(resp->loop, &options, &calls, &resp->stream, &err) != 0) {
        take_down(resp, resp->reader != NULL ? err.message : "out of memory");
    }
}

/* ---- life ---- */

struct xf_resp *xf_resp_create(struct event_base *loop, const struct xf_clock *clock,
                               const struct xf_config_store *config,
                               const struct xf_resp_calls *calls)
{
    XF_ASSERT(config->endpoints_count > 0);
    struct xf_resp *resp = calloc(1, sizeof(*resp));
    if (resp == NULL) {
        return NULL;
    }
    *resp = (struct xf_resp){.magic = RESP_MAGIC,
                             .loop = loop,
                             .clock = clock,
                             .config = config,
                             .calls = *calls,
                             .backoff = {.ms_min = BACKOFF_MS_MIN, .ms_max = BACKOFF_MS_MAX},
                             .why = "not yet connected"};
    xf_list_init(&resp->waiting);
    resp->retry = evtimer_new(loop, on_retry, resp);
    resp->watch = evtimer_new(loop, on_watch, resp);
    if (resp->retry == NULL || resp->watch == NULL) {
        xf_resp_destroy(resp);
        return NULL;
    }
    event_active(resp->retry, EV_TIMEOUT, 0);
    return resp;
}

bool xf_resp_is_ready(const struct xf_resp *resp)
{
    return resp->ready;
}

const char *xf_resp_why(const struct xf_resp *resp)
{
    return resp->why;
}

bool xf_resp_call(struct xf_resp *resp, size_t count, const char *const *arguments,
                  const size_t *lengths, int64_t block_ms, xf_resp_done *done, void *context)
{
    XF_ASSERT(resp->magic == RESP_MAGIC);
    return resp->ready && resp->waiting_count < XF_RESP_CALLS_MAX &&
           push(resp, count, arguments, lengths, XF_RESP_ANSWER_MS + block_ms, done, context);
}

void xf_resp_reconnect(struct xf_resp *resp, const char *why)
{
    if (resp->stream != NULL) {
        snprintf(resp->why, sizeof(resp->why), "%s", why);
        resp->reconnecting = true;
        event_active(resp->retry, EV_TIMEOUT, 0);
    }
}

void xf_resp_destroy(struct xf_resp *resp)
{
    if (resp == NULL) {
        return;
    }
    drop_connection(resp, "closed");
    if (resp->retry != NULL) {
        event_free(resp->retry);
    }
    if (resp->watch != NULL) {
        event_free(resp->watch);
    }
    free(resp);
}
