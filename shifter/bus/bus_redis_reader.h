/*
 * bus_redis_reader.h -- follows streams in Redis on a connection of its own; for bus_redis*.c.
 *
 * One blocking read of at most a second is under way at a time.  Between two reads the owner has
 * its turn, with the connection free, and says when to go on.
 */
#ifndef XF_SHIFTER_BUS_REDIS_READER_H
#define XF_SHIFTER_BUS_REDIS_READER_H

#include "shifter/store/resp.h"

#include <jansson.h>
#include <stdint.h>

#define XF_BUS_STREAMS_MAX     (2u + XF_SERVICES_MAX)
#define XF_BUS_BLOCK_MS        1000
#define XF_BUS_READ_COUNT      6              /* entries of one stream in one read */
#define XF_BUS_UP_BYTES_MAX    (512u * 1024u) /* a message upwards */
#define XF_BUS_COMMAND_BACK_MS 10000          /* commands this old are still read at the start */
#define XF_BUS_UP_ENTRIES      "2000"         /* what a stream keeps, about */
#define XF_BUS_FEW_ENTRIES     "256"

struct xf_bus_reader;

struct xf_bus_stream { /* in order of the messages' `stream` number */
    const char *key;
    bool hints;      /* its entries only wake: they are not handed over */
    int64_t back_ms; /* at the start: entries of so long ago come too */
};

struct xf_bus_reader_calls {
    void (*received)(void *context, unsigned stream, json_t *message /* borrowed */);
    /* A read has ended, the connection is free.  Answer with xf_bus_reader_next, now or later. */
    void (*turn)(void *context);
    /* The streams are in several slots of a Redis Cluster: from now on the reader follows the
     * first one alone.  NULL: that cannot be. */
    void (*crossed)(void *context);
    void (*ready)(void *context, bool up);
    void *context;
};

/* NULL: out of memory.  Keys are copied. */
XF_NODISCARD struct xf_bus_reader *
xf_bus_reader_create(struct event_base *loop, const struct xf_clock *clock,
                     const struct xf_config_store *config, const struct xf_bus_stream *streams,
                     unsigned count, const struct xf_bus_reader_calls *calls);
struct xf_resp *xf_bus_reader_resp(struct xf_bus_reader *reader);
/* What the owner knows of a stream of hints: the next read wakes for what is behind it. */
void xf_bus_reader_place(struct xf_bus_reader *reader, unsigned stream, uint64_t generation,
                         uint64_t revision);
void xf_bus_reader_next(struct xf_bus_reader *reader);
/* Instead of that, when something the owner asked was not answered: it begins anew in a while. */
void xf_bus_reader_begin_again(struct xf_bus_reader *reader);
void xf_bus_reader_destroy(struct xf_bus_reader *reader); /* accepts NULL; not from a callback */

/* XADD key MAXLEN ~ entries * m message.  False when it cannot be sent now, or is too large. */
XF_NODISCARD bool xf_bus_redis_add(struct xf_resp *resp, const char *key, const char *entries,
                                   size_t bytes_max, json_t *message);

#endif
