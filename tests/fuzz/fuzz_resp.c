/*
 * fuzz_resp.c -- what a Redis answers: whole and in pieces the same answers come out, none is
 * larger than its ceiling, and whatever they are the store reads them or says that it cannot.
 */
#include "fuzz.h"

#include "shifter/store/resp.h"
#include "shifter/store/resp_reader.h"
#include "shifter/store/store_answer.h"
#include "shifter/store/store_redis_reply.h"

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

static bool is_short; /* of memory: one allocation fails */

/* Each reader of the store takes any answer: with OK its output is whole, and none says that the
 * store is lost but for want of memory. */
static void read_as_store(const redisReply *reply, struct xf_store_answer *answer)
{
    struct xf_store_state state = {0};
    struct xf_store_lease lease = {0};
    struct xf_version version;
    enum xf_store_result result;
    char *text = NULL, write_id[XF_UUID_TEXT_BYTES];
    uint64_t generation, revision;
    if (xf_redis_read_state(reply, &state, &text) == XF_STORE_OK) {
        FUZZ_CHECK(text != NULL && memchr(state.write_id, '\0', sizeof(state.write_id)) != NULL);
        free(text);
    }
    if (xf_redis_read_version(reply, &version, write_id)) {
        FUZZ_CHECK(memchr(write_id, '\0', sizeof(write_id)) != NULL);
    }
    if (xf_redis_read_lease(reply, &lease) == XF_STORE_OK) {
        FUZZ_CHECK(memchr(lease.holder, '\0', sizeof(lease.holder)) != NULL);
    }
    enum xf_store_result (*const texts[])(const redisReply *, char **) = {
        xf_redis_read_text, xf_redis_read_roster, xf_redis_read_time};
    for (size_t i = 0; i < XF_COUNT(texts); i++) {
        text = NULL;
        result = texts[i](reply, &text);
        FUZZ_CHECK((result == XF_STORE_OK) == (text != NULL));
        FUZZ_CHECK(result != XF_STORE_LOST || is_short);
        free(text);
    }
    FUZZ_CHECK(xf_redis_read_log(reply, answer) != XF_STORE_LOST || is_short);
    (void) xf_redis_read_place(reply, &generation, &revision);
    if (reply->type == REDIS_REPLY_STATUS) {
        (void) xf_redis_result(reply->str, &result);
    }
}

static void read_twice(const redisReply *reply, size_t hash)
{
    static const struct xf_store_asker nobody = {.kind = XF_ANSWER_LOG};
    fuzz_count_allocations();
    for (unsigned i = 0; i < 2; i++) {
        struct xf_store_answer *answer = xf_store_answer_create(&nobody);
        FUZZ_CHECK(answer != NULL);
        is_short = i > 0;
        if (is_short) {
            fuzz_fail_one(hash);
        }
        read_as_store(reply, answer);
        fuzz_fail_none();
        xf_store_answer_destroy(answer);
    }
    is_short = false;
}

static void take(struct xf_resp_reader *reader, struct heard *heard)
{
    redisReply *reply;
    while ((heard->last = xf_resp_reader_next(reader, &reply)) == XF_RESP_REPLY) {
        FUZZ_CHECK(walk(reply, 0, &heard->hash) <= XF_RESP_ANSWER_ELEMENTS_MAX + 1);
        heard->replies++;
        read_twice(reply, heard->hash);
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
    FUZZ_CHECK(heard.last != XF_RESP_BROKEN || !xf_resp_reader_feed(reader, "+OK\r\n", 5));
    xf_resp_reader_destroy(reader);
    return heard;
}

/* An answer that does not end is given up; nor does one begin without memory. */
static void bounds(void)
{
    static const char header[] = "$8388600\r\n", bytes[65536];
    struct xf_resp_reader *reader = xf_resp_reader_create();
    redisReply *reply;
    size_t fed = sizeof(header) - 1;
    FUZZ_CHECK(reader != NULL && xf_resp_reader_why(reader)[0] == '\0');
    FUZZ_CHECK(xf_resp_reader_feed(reader, header, sizeof(header) - 1));
    while (xf_resp_reader_feed(reader, bytes, sizeof(bytes))) {
        FUZZ_CHECK(xf_resp_reader_next(reader, &reply) == XF_RESP_MORE);
        fed += sizeof(bytes);
        FUZZ_CHECK(fed <= XF_RESP_ANSWER_BYTES_MAX);
    }
    FUZZ_CHECK(xf_resp_reader_why(reader)[0] != '\0');
    xf_resp_reader_destroy(reader);
    static const struct xf_config_store store = {.kind = XF_STORE_REDIS};
    char key[XF_REDIS_KEY_BYTES];
    xf_redis_key(&store, "web", "state", key);
    FUZZ_CHECK(strcmp(key, "cf:{default:web}:state") == 0);
    fuzz_fail_one(0);
    FUZZ_CHECK(xf_resp_reader_create() == NULL);
    fuzz_fail_none();
    xf_resp_reader_destroy(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool tried;
    if (!tried) {
        tried = true;
        bounds();
    }
    if (size == 0) {
        return 0;
    }
    struct heard whole = hear(data, size, size);
    struct heard cut = hear(data, size, 1 + fuzz_hash(data, size) % 7);
    FUZZ_CHECK(whole.replies == cut.replies && whole.hash == cut.hash);
    FUZZ_CHECK(whole.last == cut.last);
    return 0;
}
