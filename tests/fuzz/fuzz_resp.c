/*
 * fuzz_resp.c -- what a Redis answers: whole and in pieces the same answers come out, and none is
 * larger than its ceiling.
 */
#include "fuzz.h"

#include "shifter/store/resp.h"
#include "shifter/store/resp_reader.h"

#define DEPTH_MAX 16

struct heard {
    size_t replies, hash;
    enum xf_resp_read last;
};

/* Every element, and something that depends on all of them. */
static size_t walk(const redisReply *reply, unsigned depth, size_t *hash)
{
    size_t elements = 1;
    FUZZ_CHECK(depth < DEPTH_MAX);
    *hash = *hash * 31 + (size_t) reply->type;
    switch (reply->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        FUZZ_CHECK(reply->str[reply->len] == '\0');
        *hash = *hash * 31 + fuzz_hash((const uint8_t *) reply->str, (size_t) reply->len);
        break;
    case REDIS_REPLY_INTEGER:
        *hash = *hash * 31 + (size_t) reply->integer;
        break;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < (size_t) reply->elements; i++) {
            elements += walk(reply->element[i], depth + 1, hash);
        }
        break;
    default:
        FUZZ_CHECK(reply->type == REDIS_REPLY_NIL);
    }
    return elements;
}

static void take(struct xf_resp_reader *reader, struct heard *heard)
{
    redisReply *reply;
    while ((heard->last = xf_resp_reader_next(reader, &reply)) == XF_RESP_REPLY) {
        FUZZ_CHECK(walk(reply, 0, &heard->hash) <= XF_RESP_ANSWER_ELEMENTS_MAX + 1);
        heard->replies++;
        freeReplyObject(reply);
    }
    FUZZ_CHECK(heard->last == XF_RESP_MORE || xf_resp_reader_why(reader)[0] != '\0');
}

static struct heard hear(const uint8_t *data, size_t size, size_t piece)
{
    struct heard heard = {.last = XF_RESP_MORE};
    struct xf_resp_reader *reader = xf_resp_reader_create();
    FUZZ_CHECK(reader != NULL);
    for (size_t at = 0; at < size && heard.last != XF_RESP_BROKEN; at += piece) {
        size_t length = size - at < piece ? size - at : piece;
        char *exact = fuzz_exact(data + at, length);
        FUZZ_CHECK(xf_resp_reader_feed(reader, exact, length));
        free(exact);
        take(reader, &heard);
    }
    xf_resp_reader_destroy(reader);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct heard whole = hear(data, size, size);
    struct heard cut = hear(data, size, 1 + fuzz_hash(data, size) % 7);
    FUZZ_CHECK(whole.replies == cut.replies && whole.hash == cut.hash);
    FUZZ_CHECK(whole.last == cut.last);
    return 0;
}
