/*
 * resp_node.c -- see resp_node.h.
 *
 *   away --back-off--> connecting --open--> greeting (AUTH, SELECT, CLIENT SETNAME) --> ready
 *     ^                    |                   |                                          |
 *     +--------------------+-------------------+---------- any failure -------------------+
 *
 * Through Sentinel each way begins with a question to one of them, the next after each failure,
 * and the server that it names must itself say that it is the master.  Where the configuration
 * names several servers without Sentinel, they are parts of a Redis Cluster, and must say so: of
 * two that know nothing of each other, each would have a state of its own.
 */
#include "shifter/store/resp_node.h"
#include "shifter/net/backoff.h"
#include "shifter/net/stream.h"
#include "shifter/store/resp_reader.h"
#include "shifter/store/resp_slot.h"

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

#define NODE_MAGIC         0x72657373u
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

struct xf_resp_node {
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
    unsigned endpoint;                  /* the next to try */
    unsigned greetings;                 /* answers of the greeting that are still to come */
    char host[XF_RESP_NODE_HOST_BYTES]; /* the one server that it is about; empty: as configured */
    uint16_t port;
    char master_host[256]; /* as a Sentinel named it; empty: not asked yet */
    uint16_t master_port;
    bool ready;
    bool reconnecting; /* the owner wants another connection */
    char why[192];
};

static void take_down(struct xf_resp_node *node, const char *why);
static void drop_connection(struct xf_resp_node *node, const char *why);

/* ---- commands ---- */

bool xf_resp_node_send(struct xf_resp_node *node, const char *text, size_t length, int64_t limit_ms,
                       xf_resp_done *done, void *context)
{
    struct waiting *waiting = node->stream != NULL ? calloc(1, sizeof(*waiting)) : NULL;
    if (waiting == NULL || !xf_stream_send(node->stream, text, length)) {
        free(waiting);
        return false;
    }
    *waiting = (struct waiting){.until_ms = xf_clock_monotonic_ms(node->clock) + limit_ms,
                                .done = done,
                                .context = context};
    xf_list_append(&node->waiting, &waiting->node);
    if (!event_pending(node->watch, EV_TIMEOUT, NULL)) {
        event_add(node->watch, &watch_every);
    }
    return true;
}

static bool push(struct xf_resp_node *node, size_t count, const char *const *arguments,
                 const size_t *lengths, int64_t limit_ms, xf_resp_done *done, void *context)
{
    char *text = NULL;
    const char **borrowed = (const char **) (uintptr_t) arguments; /* hiredis does not write */
    int length = redisFormatCommandArgv(&text, (int) count, borrowed, lengths);
    bool sent =
        length >= 0 && xf_resp_node_send(node, text, (size_t) length, limit_ms, done, context);
    redisFreeCommand(text);
    return sent;
}

/* Removes the oldest command; NULL when there is none.  The caller frees it. */
static struct waiting *pop(struct xf_resp_node *node)
{
    if (xf_list_empty(&node->waiting)) {
        return NULL;
    }
    struct waiting *waiting = XF_CONTAINER_OF(node->waiting.next, struct waiting, node);
    xf_list_remove(&waiting->node);
    return waiting;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_resp_node *node = arg;
    XF_ASSERT(node->magic == NODE_MAGIC);
    if (xf_list_empty(&node->waiting)) {
        return;
    }
    struct waiting *oldest = XF_CONTAINER_OF(node->waiting.next, struct waiting, node);
    if (xf_clock_monotonic_ms(node->clock) >= oldest->until_ms) {
        take_down(node, "no answer in time");
    } else {
        event_add(node->watch, &watch_every);
    }
}

/* ---- the greeting ---- */

static void become_ready(struct xf_resp_node *node)
{
    node->ready = true;
    node->why[0] = '\0';
    xf_backoff_reset(&node->backoff);
    node->calls.ready(node->calls.context, true, NULL);
}

/* An answer of AUTH or SELECT: an error ends the connection with the server's words. */
static void greeted(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_resp_node *node = context;
    if (reply == NULL) {
        return;
    }
    node->greetings--;
    if (reply->type == REDIS_REPLY_ERROR) {
        char text[160];
        snprintf(text, sizeof(text), "the server refuses us: %.120s", reply->str);
        take_down(node, text);
    } else if (node->greetings == 0) {
        become_ready(node);
    }
}

/* CLIENT SETNAME is for people who look: a server that forbids it does no harm. */
static void named(void *context, const redisReply *reply, const char *why)
{
    struct xf_resp_node *node = context;
    redisReply fine = {.type = REDIS_REPLY_STATUS};
    greeted(node, reply != NULL ? &fine : NULL, why);
}

/* The password's first line into `out`; false, with `why` filled, when it cannot be read. */
static bool read_password(struct xf_resp_node *node, char out[PASSWORD_BYTES_MAX])
{
    int fd = open(node->config->password_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd >= 0 ? read(fd, out, PASSWORD_BYTES_MAX - 1) : -1;
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (got < 0) {
        snprintf(node->why, sizeof(node->why), "password file %.100s: %s",
                 node->config->password_file, strerror(error));
        return false;
    }
    out[got] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static bool through_sentinel(const struct xf_resp_node *node)
{
    return node->host[0] == '\0' && node->config->sentinel_master != NULL;
}

/* ROLE: only a master is of use. */
static void told_role(void *context, const redisReply *reply, const char *why)
{
    struct xf_resp_node *node = context;
    bool master = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                  reply->element[0]->type == REDIS_REPLY_STRING &&
                  strcmp(reply->element[0]->str, "master") == 0;
    redisReply fine = {.type = REDIS_REPLY_STATUS};
    if (reply != NULL && !master) {
        take_down(node, "the server that Sentinel names is not a master");
        return;
    }
    greeted(node, reply != NULL ? &fine : NULL, why);
}

/* INFO cluster: one of several servers must be in a cluster. */
static void told_cluster(void *context, const redisReply *reply, const char *why)
{
    struct xf_resp_node *node = context;
    redisReply fine = {.type = REDIS_REPLY_STATUS};
    if (reply != NULL &&
        (reply->type != REDIS_REPLY_STRING || strstr(reply->str, "cluster_enabled:1") == NULL)) {
        take_down(node, reply->type == REDIS_REPLY_ERROR
                            ? reply->str
                            : "several servers are named, but this one is not in a Redis Cluster");
        return;
    }
    greeted(node, reply != NULL ? &fine : NULL, why);
}

static bool authenticate(struct xf_resp_node *node)
{
    char password[PASSWORD_BYTES_MAX];
    if (node->config->password_file == NULL) {
        return true;
    }
    if (!read_password(node, password)) {
        return false;
    }
    const char *user = node->config->user;
    const char *with_user[] = {"AUTH", user, password};
    const char *alone[] = {"AUTH", password};
    node->greetings++;
    bool pushed = push(node, user != NULL ? 3 : 2, user != NULL ? with_user : alone, NULL,
                       XF_RESP_ANSWER_MS, greeted, node);
    OPENSSL_cleanse(password, sizeof(password));
    return pushed;
}

/* A Sentinel's answer: host and port of the master. */
static void told_master(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_resp_node *node = context;
    uint64_t port = 0;
    if (reply == NULL) {
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING ||
        reply->element[0]->len >= (int) sizeof(node->master_host) || reply->element[0]->len == 0 ||
        reply->element[0]->str[0] == '/' || !xf_parse_uint(reply->element[1]->str, 65535, &port)) {
        char text[160];
        snprintf(text, sizeof(text), "Sentinel names no master: %.100s",
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "it knows none of that name");
        take_down(node, text);
        return;
    }
    snprintf(node->master_host, sizeof(node->master_host), "%s", reply->element[0]->str);
    node->master_port = (uint16_t) port;
    drop_connection(node, "");
    event_active(node->retry, EV_TIMEOUT, 0);
}

static bool ask_sentinel(struct xf_resp_node *node)
{
    const char *const question[] = {"SENTINEL", "get-master-addr-by-name",
                                    node->config->sentinel_master};
    return push(node, XF_COUNT(question), question, NULL, SENTINEL_MS, told_master, node);
}

static bool greet(struct xf_resp_node *node)
{
    char database[16];
    snprintf(database, sizeof(database), "%u", node->config->database);
    const char *const select[] = {"SELECT", database};
    const char *const name[] = {"CLIENT", "SETNAME", "crossfade"};
    const char *const role[] = {"ROLE"};
    const char *const cluster[] = {"INFO", "cluster"};
    bool one_of_several = node->host[0] == '\0' && node->config->sentinel_master == NULL &&
                          node->config->endpoints_count > 1;
    node->greetings = 1;
    bool sent = authenticate(node);
    if (sent && node->config->database != 0) {
        node->greetings++;
        sent = push(node, 2, select, NULL, XF_RESP_ANSWER_MS, greeted, node);
    }
    if (sent && through_sentinel(node)) {
        node->greetings++;
        sent = push(node, 1, role, NULL, XF_RESP_ANSWER_MS, told_role, node);
    }
    if (sent && one_of_several) {
        node->greetings++;
        sent = push(node, 2, cluster, NULL, XF_RESP_ANSWER_MS, told_cluster, node);
    }
    return sent && push(node, 3, name, NULL, XF_RESP_ANSWER_MS, named, node);
}

static void on_open(void *context)
{
    struct xf_resp_node *node = context;
    XF_ASSERT(node->magic == NODE_MAGIC);
    snprintf(node->why, sizeof(node->why), "the greeting could not be sent");
    bool asking = through_sentinel(node) && node->master_host[0] == '\0';
    if (!(asking ? ask_sentinel(node) : greet(node))) {
        take_down(node, node->why);
    }
}

/* ---- the stream ---- */

static void on_received(void *context, struct evbuffer *in)
{
    struct xf_resp_node *node = context;
    XF_ASSERT(node->magic == NODE_MAGIC);
    size_t length = evbuffer_get_length(in);
    const char *bytes = (const char *) evbuffer_pullup(in, -1);
    bool fed = bytes != NULL && xf_resp_reader_feed(node->reader, bytes, length);
    evbuffer_drain(in, length);
    if (!fed) {
        take_down(node, xf_resp_reader_why(node->reader));
        return;
    }
    /* A callback may take the connection down: then the reader is gone. */
    for (struct xf_resp_reader *reader = node->reader; node->reader == reader;) {
        redisReply *reply = NULL;
        enum xf_resp_read read = xf_resp_reader_next(reader, &reply);
        if (read == XF_RESP_MORE) {
            return;
        }
        struct waiting *waiting = read == XF_RESP_REPLY ? pop(node) : NULL;
        if (waiting == NULL) {
            freeReplyObject(reply);
            take_down(node, read == XF_RESP_REPLY ? "an answer that nobody asked for"
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
    struct xf_resp_node *node = context;
    XF_ASSERT(node->magic == NODE_MAGIC);
    take_down(node, why);
}

static void drop_connection(struct xf_resp_node *node, const char *why)
{
    struct xf_list lost;
    xf_list_init(&lost);
    xf_stream_destroy(node->stream);
    node->stream = NULL;
    xf_resp_reader_destroy(node->reader);
    node->reader = NULL;
    node->ready = false;
    for (struct waiting *waiting; (waiting = pop(node)) != NULL;) {
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
static void take_down(struct xf_resp_node *node, const char *reason)
{
    char why[sizeof(node->why)];
    snprintf(why, sizeof(why), "%s", reason);
    memcpy(node->why, why, sizeof(why));
    node->endpoint++;
    node->reconnecting = false;
    node->master_host[0] = '\0';
    struct timeval wait = xf_backoff_next(&node->backoff);
    event_add(node->retry, &wait);
    drop_connection(node, why);
    node->calls.ready(node->calls.context, false, why);
}

static const struct xf_endpoint *endpoint_of(const struct xf_resp_node *node)
{
    return &node->config->endpoints[node->endpoint % node->config->endpoints_count];
}

const char *xf_resp_node_host(const struct xf_resp_node *node)
{
    return node->host[0] != '\0'          ? node->host
           : node->master_host[0] != '\0' ? node->master_host
                                          : endpoint_of(node)->host;
}

static uint16_t port_of(const struct xf_resp_node *node)
{
    return node->host[0] != '\0'          ? node->port
           : node->master_host[0] != '\0' ? node->master_port
                                          : endpoint_of(node)->port;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_resp_node *node = arg;
    XF_ASSERT(node->magic == NODE_MAGIC);
    event_del(node->retry);
    if (node->stream != NULL) {
        if (node->reconnecting) {
            take_down(node, node->why);
        }
        return;
    }
    const struct xf_config_store *config = node->config;
    bool asking = through_sentinel(node) && node->master_host[0] == '\0';
    struct xf_stream_options options = {.host = xf_resp_node_host(node),
                                        .port = port_of(node),
                                        .connect_ms = asking ? SENTINEL_MS : XF_RESP_CONNECT_MS,
                                        .in_bytes_max = 0, /* the reader takes all */
                                        .out_bytes_max = XF_RESP_OUT_BYTES_MAX,
                                        .tls = config->tls,
                                        .ca = config->ca,
                                        .certificate = config->certificate,
                                        .key = config->key};
    struct xf_stream_calls calls = {on_open, on_received, on_closed, node};
    struct xf_error err = {0};
    node->reader = xf_resp_reader_create();
    if (node->reader == NULL ||
        xf_stream_open(node->loop, &options, &calls, &node->stream, &err) != 0) {
        take_down(node, node->reader != NULL ? err.message : "out of memory");
    }
}

/* ---- life ---- */

struct xf_resp_node *xf_resp_node_create(struct event_base *loop, const struct xf_clock *clock,
                                         const struct xf_config_store *config, const char *host,
                                         uint16_t port, const struct xf_resp_calls *calls)
{
    XF_ASSERT(config->endpoints_count > 0);
    struct xf_resp_node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    *node = (struct xf_resp_node){.magic = NODE_MAGIC,
                                  .loop = loop,
                                  .clock = clock,
                                  .config = config,
                                  .calls = *calls,
                                  .backoff = {.ms_min = BACKOFF_MS_MIN, .ms_max = BACKOFF_MS_MAX},
                                  .why = "not yet connected"};
    (void) snprintf(node->host, sizeof(node->host), "%s", host != NULL ? host : "");
    node->port = port;
    xf_list_init(&node->waiting);
    node->retry = evtimer_new(loop, on_retry, node);
    node->watch = evtimer_new(loop, on_watch, node);
    if (node->retry == NULL || node->watch == NULL) {
        xf_resp_node_destroy(node);
        return NULL;
    }
    event_active(node->retry, EV_TIMEOUT, 0);
    return node;
}

const char *xf_resp_node_why(const struct xf_resp_node *node)
{
    return node->why;
}

void xf_resp_node_reconnect(struct xf_resp_node *node, const char *why)
{
    if (node->stream != NULL) {
        snprintf(node->why, sizeof(node->why), "%s", why);
        node->reconnecting = true;
        event_active(node->retry, EV_TIMEOUT, 0);
    }
}

void xf_resp_node_destroy(struct xf_resp_node *node)
{
    if (node == NULL) {
        return;
    }
    drop_connection(node, "closed");
    if (node->retry != NULL) {
        event_free(node->retry);
    }
    if (node->watch != NULL) {
        event_free(node->watch);
    }
    free(node);
}
