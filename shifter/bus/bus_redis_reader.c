/*
 * bus_redis_reader.c -- see bus_redis_reader.h.
 *
 * Cursors begin anew with each connection, from the server's clock: what came meanwhile is lost,
 * but for commands, which the leader recognises when they come twice.
 *
 * While a slot of a Redis Cluster moves, its streams are on two servers, and no read may name two
 * of them (TRYAGAIN): then each is read alone, in turn.
 */
#include "shifter/bus/bus_redis_reader.h"
#include "shifter/store/resp_slot.h"
#include "shifter/store/store_redis_reply.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READER_MAGIC  0x62726472u
#define CURSOR_BYTES  48u
#define ARGUMENTS_MAX (6u + 2u * XF_BUS_STREAMS_MAX)
#define ALONE_READS   20u   /* so many, before all are read together again */
#define ALONE_BLOCK   "100" /* ms: the next stream waits so long */

struct stream {
    char key[XF_REDIS_KEY_BYTES];
    bool hints;
    int64_t back_ms;
    char cursor[CURSOR_BYTES];
};

struct xf_bus_reader {
    unsigned magic;
    struct xf_resp *resp;
    struct xf_bus_reader_calls calls;
    struct stream streams[XF_BUS_STREAMS_MAX];
    unsigned count;
    unsigned alone;      /* reads of one stream only that are still to come */
    bool begun;          /* the cursors stand */
    struct event *again; /* after no answer, or one that makes no sense: later, not at once */
};

static const struct timeval again_after = {1, 0};

/* The messages of one stream: [key, [[id, [m, text]] ...]]. */
static void take_stream(struct xf_bus_reader *reader, const redisReply *item)
{
    if (item->type != REDIS_REPLY_ARRAY || item->elements != 2 ||
        item->element[0]->type != REDIS_REPLY_STRING ||
        item->element[1]->type != REDIS_REPLY_ARRAY) {
        return;
    }
    unsigned number = 0;
    while (number < reader->count &&
           strcmp(reader->streams[number].key, item->element[0]->str) != 0) {
        number++;
    }
    const redisReply *entries = item->element[1];
    for (size_t i = 0; number < reader->count && i < entries->elements; i++) {
        const redisReply *entry = entries->element[i];
        uint64_t first, second;
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
            !xf_redis_read_place(entry->element[0], &first, &second)) {
            continue;
        }
        struct stream *stream = &reader->streams[number];
        snprintf(stream->cursor, sizeof(stream->cursor), "%s", entry->element[0]->str);
        const redisReply *fields = entry->element[1];
        if (stream->hints || fields->type != REDIS_REPLY_ARRAY || fields->elements < 2 ||
            fields->element[1]->type != REDIS_REPLY_STRING) {
            continue;
        }
        json_t *message = json_loadb(fields->element[1]->str, (size_t) fields->element[1]->len,
                                     JSON_REJECT_DUPLICATES, NULL);
        if (json_is_object(message)) {
            reader->calls.received(reader->calls.context, number, message);
        }
        json_decref(message);
    }
}

static bool is_error(const redisReply *reply, const char *code)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

static void got_entries(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_bus_reader *reader = context;
    XF_ASSERT(reader->magic == READER_MAGIC);
    if (reply == NULL) {
        xf_bus_reader_begin_again(reader);
        return;
    }
    if (is_error(reply, "CROSSSLOT") && reader->count > 1 && reader->calls.crossed != NULL) {
        reader->count = 1;
        reader->calls.crossed(reader->calls.context);
        reader->calls.turn(reader->calls.context);
        return;
    }
    if (is_error(reply, "TRYAGAIN") && reader->count > 1 && reader->alone == 0) {
        reader->alone = ALONE_READS;
        xf_bus_reader_next(reader);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_NIL) {
        event_add(reader->again, &again_after); /* a key of another type, rights that lack */
        return;
    }
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        take_stream(reader, reply->element[i]);
    }
    reader->calls.turn(reader->calls.context);
}

static void got_time(void *context, const redisReply *reply, const char *why);

/* The clock of the server that has the streams; the key says which one that is. */
static void begin(struct xf_bus_reader *reader)
{
    const char *const time[] = {"EVAL", "return redis.call('TIME')", "1", reader->streams[0].key};
    if (!xf_resp_call(reader->resp, XF_COUNT(time), time, NULL, 0, got_time, reader)) {
        xf_resp_reconnect(reader->resp, "the first command could not be sent");
    }
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_bus_reader *reader = arg;
    XF_ASSERT(reader->magic == READER_MAGIC);
    if (!xf_resp_is_ready(reader->resp)) {
        return; /* it begins anew when the connection does */
    }
    if (reader->begun) {
        reader->calls.turn(reader->calls.context);
    } else {
        begin(reader);
    }
}

void xf_bus_reader_begin_again(struct xf_bus_reader *reader)
{
    reader->begun = false;
    reader->calls.ready(reader->calls.context, false);
    event_add(reader->again, &again_after);
}

void xf_bus_reader_place(struct xf_bus_reader *reader, unsigned stream, uint64_t generation,
                         uint64_t revision)
{
    XF_ASSERT(stream < reader->count);
    char *cursor = reader->streams[stream].cursor;
    if (strcmp(cursor, "$") == 0) {
        snprintf(cursor, CURSOR_BYTES, "%llu-%llu", (unsigned long long) generation,
                 (unsigned long long) revision);
    }
}

void xf_bus_reader_next(struct xf_bus_reader *reader)
{
    char count[8], block[16];
    unsigned first = 0, streams = reader->count;
    snprintf(count, sizeof(count), "%d", XF_BUS_READ_COUNT);
    snprintf(block, sizeof(block), "%d", XF_BUS_BLOCK_MS);
    if (reader->alone > 0) {
        first = --reader->alone % reader->count;
        streams = 1;
        snprintf(block, sizeof(block), ALONE_BLOCK);
    }
    const char *arguments[ARGUMENTS_MAX] = {"XREAD", "COUNT", count, "BLOCK", block, "STREAMS"};
    for (unsigned i = 0; i < streams; i++) {
        arguments[6 + i] = reader->streams[first + i].key;
        arguments[6 + streams + i] = reader->streams[first + i].cursor;
    }
    if (!xf_resp_call(reader->resp, 6 + 2 * streams, arguments, NULL, XF_BUS_BLOCK_MS, got_entries,
                      reader)) {
        xf_bus_reader_begin_again(reader);
    }
}

static void got_time(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct xf_bus_reader *reader = context;
    XF_ASSERT(reader->magic == READER_MAGIC);
    char *text = NULL;
    if (reply == NULL || xf_resp_unavailable(reply)) {
        event_add(reader->again, &again_after);
        return;
    }
    if (xf_redis_read_time(reply, &text) != XF_STORE_OK) {
        xf_resp_reconnect(reader->resp, "the server does not tell its time");
        return;
    }
    long long now = strtoll(text, NULL, 10);
    free(text);
    for (unsigned i = 0; i < reader->count; i++) {
        struct stream *stream = &reader->streams[i];
        if (!stream->hints) {
            long long from = now > stream->back_ms ? now - stream->back_ms : 0;
            snprintf(stream->cursor, sizeof(stream->cursor), "%lld-0", from);
        } else {
            snprintf(stream->cursor, sizeof(stream->cursor), "$");
        }
    }
    reader->begun = true;
    reader->alone = 0;
    reader->calls.ready(reader->calls.context, true);
    reader->calls.turn(reader->calls.context);
}

static void on_ready(void *context, bool up, const char *why)
{
    (void) why;
    struct xf_bus_reader *reader = context;
    XF_ASSERT(reader->magic == READER_MAGIC);
    event_del(reader->again);
    if (up) {
        begin(reader);
    } else {
        reader->begun = false;
        reader->calls.ready(reader->calls.context, false);
    }
}

struct xf_bus_reader *xf_bus_reader_create(struct event_base *loop, const struct xf_clock *clock,
                                           const struct xf_config_store *config,
                                           const struct xf_bus_stream *streams, unsigned count,
                                           const struct xf_bus_reader_calls *calls)
{
    XF_ASSERT(count <= XF_BUS_STREAMS_MAX);
    struct xf_bus_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return NULL;
    }
    reader->magic = READER_MAGIC;
    reader->calls = *calls;
    reader->count = count;
    for (unsigned i = 0; i < count; i++) {
        reader->streams[i].hints = streams[i].hints;
        reader->streams[i].back_ms = streams[i].back_ms;
        snprintf(reader->streams[i].key, sizeof(reader->streams[i].key), "%s", streams[i].key);
    }
    struct xf_resp_calls resp_calls = {on_ready, reader};
    reader->again = evtimer_new(loop, on_again, reader);
    if (reader->again == NULL ||
        (reader->resp = xf_resp_create(loop, clock, config, &resp_calls)) == NULL) {
        xf_bus_reader_destroy(reader);
        return NULL;
    }
    return reader;
}

struct xf_resp *xf_bus_reader_resp(struct xf_bus_reader *reader)
{
    return reader->resp;
}

void xf_bus_reader_destroy(struct xf_bus_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    xf_resp_destroy(reader->resp);
    if (reader->again != NULL) {
        event_free(reader->again);
    }
    free(reader);
}

static void added(void *context, const redisReply *reply, const char *why)
{
    (void) context; /* a message may be lost: whoever needs an answer waits for one */
    (void) reply;
    (void) why;
}

bool xf_bus_redis_add(struct xf_resp *resp, const char *key, const char *entries, size_t bytes_max,
                      json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    bool sent = false;
    if (text != NULL && strlen(text) <= bytes_max) {
        const char *arguments[] = {"XADD", key, "MAXLEN", "~", entries, "*", "m", text};
        sent = xf_resp_call(resp, XF_COUNT(arguments), arguments, NULL, 0, added, NULL);
    }
    free(text);
    return sent;
}
