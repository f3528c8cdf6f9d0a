/*
 * resp_reader.c -- see resp_reader.h.  Builds with hiredis 0.14 and with 1.x.
 */
#include "shifter/store/resp_reader.h"
#include "shifter/store/resp.h"

#include <stdlib.h>

#if HIREDIS_MAJOR >= 1
typedef size_t count_type;
#else
typedef int count_type;
#endif

struct xf_resp_reader {
    redisReader *reader;
    redisReplyObjectFunctions functions; /* the packaged ones, but for arrays */
    void *(*create_array)(const redisReadTask *task, count_type elements);
    size_t elements; /* of the answer that is being read */
    size_t buffered; /* fed since the last whole answer */
    const char *why;
};

static void *create_array_bounded(const redisReadTask *task, count_type elements)
{
    struct xf_resp_reader *reader = task->privdata;
    if ((size_t) elements > XF_RESP_ANSWER_ELEMENTS_MAX - reader->elements) {
        reader->why = "the answer has too many elements";
        return NULL;
    }
    reader->elements += (size_t) elements;
    return reader->create_array(task, elements);
}

struct xf_resp_reader *xf_resp_reader_create(void)
{
    struct xf_resp_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL || (reader->reader = redisReaderCreate()) == NULL) {
        free(reader);
        return NULL;
    }
    reader->functions = *reader->reader->fn;
    reader->create_array = reader->functions.createArray;
    reader->functions.createArray = create_array_bounded;
    reader->reader->fn = &reader->functions;
    reader->reader->privdata = reader;
    return reader;
}

void xf_resp_reader_destroy(struct xf_resp_reader *reader)
{
    if (reader != NULL) {
        redisReaderFree(reader->reader);
        free(reader);
    }
}

bool xf_resp_reader_feed(struct xf_resp_reader *reader, const char *bytes, size_t length)
{
    if (length > XF_RESP_ANSWER_BYTES_MAX - reader->buffered) {
        reader->why = "the answer is too large";
        return false;
    }
    reader->buffered += length;
    if (redisReaderFeed(reader->reader, bytes, length) != REDIS_OK) {
        reader->why = "out of memory";
        return false;
    }
    return true;
}

enum xf_resp_read xf_resp_reader_next(struct xf_resp_reader *reader, redisReply **ret)
{
    void *reply = NULL;
    if (redisReaderGetReply(reader->reader, &reply) != REDIS_OK) {
        if (reader->why == NULL) {
            reader->why = "the answer is no RESP";
        }
        return XF_RESP_BROKEN;
    }
    if (reply == NULL) {
        return XF_RESP_MORE;
    }
    reader->elements = 0;
    reader->buffered = reader->reader->len - reader->reader->pos;
    *ret = reply;
    return XF_RESP_REPLY;
}

const char *xf_resp_reader_why(const struct xf_resp_reader *reader)
{
    return reader->why != NULL ? reader->why : "";
}
