/*
 * logger.c -- the logger's loop.
 *
 * It knows nothing of requests: bytes come out of rings in whole lines and go to a sink.
 */
#include "proxy/logger/logger.h"

#include "config/base/log.h"
#include "proxy/board/channel.h"
#include "proxy/board/inforce.h"
#include "proxy/logger/log_sink.h"
#include "proxy/board/logring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES     65536u
#define LINGER_MS      6000 /* longer than the other children outlive the supervisor (5 s) */
#define LINGER_TURN_MS 100
#define DROPS_EVERY_MS 10000
#define GATHER_MS      10 /* after lines came: the next ones are taken together */

struct source { /* one edition */
    uint64_t edition;
    struct xf_log_sink sink;
    struct xf_log_ring *rings[XF_WORKERS_MAX];
    unsigned rings_count;
    uint64_t dropped_told; /* lines that did not fit a ring, as told last */
};

struct logger {
    const struct xf_logger_start *start;
    struct source *sources[XF_INFORCE_EDITIONS_MAX + 1];
    unsigned count;
    struct xf_log_limit drops, failures;
    bool gathering; /* lines came in the last turn: no ring wakes us for a while */
    char copy[COPY_BYTES];
};

/* ---- moving bytes ---- */

static void drain_ring(struct logger *logger, struct source *source, struct xf_log_ring *ring)
{
    size_t length;
    while ((length = xf_log_ring_read(ring, logger->copy, COPY_BYTES)) > 0) {
        uint64_t dropped = source->sink.dropped;
        int why = xf_log_sink_write(&source->sink, logger->copy, length);
        xf_log_ring_lose(ring, source->sink.dropped - dropped);
        logger->gathering = true;
        if (why != 0) {
            /* a pipe that is nearly full takes a short line and refuses the next */
            xf_log_limited(&logger->failures, 1, XF_LOG_ERROR, "access_log.failed",
                           "edition=%llu why=\"%s\"", (unsigned long long) source->edition,
                           strerrordesc_np(why));
        }
    }
}

static void drain_source(struct logger *logger, struct source *source)
{
    uint64_t dropped = 0;
    for (unsigned i = 0; i < source->rings_count; i++) {
        drain_ring(logger, source, source->rings[i]);
        dropped += xf_log_ring_dropped(source->rings[i]);
    }
    if (dropped > source->dropped_told) {
        xf_log_limited(&logger->drops, 1, XF_LOG_WARNING, "access_log.dropped",
                       "edition=%llu lines=%llu", (unsigned long long) source->edition,
                       (unsigned long long) (dropped - source->dropped_told));
        source->dropped_told = dropped;
    }
}

static void drain_all(struct logger *logger)
{
    for (unsigned i = 0; i < logger->count; i++) {
        drain_source(logger, logger->sources[i]);
    }
}

/* Asks every ring to wake us; false when one has something already. */
static bool fall_asleep(struct logger *logger)
{
    bool asleep = true;
    for (unsigned i = 0; i < logger->count; i++) {
        for (unsigned k = 0; k < logger->sources[i]->rings_count; k++) {
            asleep = xf_log_ring_sleep(logger->sources[i]->rings[k]) && asleep;
        }
    }
    return asleep;
}

/* False at the end: nobody is left who could say anything. */
static bool forward_messages(struct logger *logger)
{
    ssize_t length;
    while ((length = read(logger->start->messages_fd, logger->copy, COPY_BYTES)) > 0) {
        size_t done = 0;
        while (done < (size_t) length) {
            ssize_t written = write(STDERR_FILENO, logger->copy + done, (size_t) length - done);
            if (written <= 0) {
                break; /* nobody reads our standard error */
            }
            done += (size_t) written;
        }
    }
    return length != 0;
}

/* ---- what the supervisor says ---- */

static struct source *find_source(struct logger *logger, uint64_t edition, unsigned *ret_index)
{
    for (unsigned i = 0; i < logger->count; i++) {
        if (logger->sources[i]->edition == edition) {
            *ret_index = i;
            return logger->sources[i];
        }
    }
    return NULL;
}

static void close_source(struct logger *logger, uint64_t edition)
{
    unsigned index;
    struct source *source = find_source(logger, edition, &index);
    if (source == NULL) {
        return;
    }
    drain_source(logger, source);
    for (unsigned i = 0; i < source->rings_count; i++) {
        xf_log_ring_destroy(source->rings[i]);
    }
    xf_log_sink_release(&source->sink);
    free(source);
    logger->sources[index] = logger->sources[--logger->count];
}

static void attach_rings(struct logger *logger, struct source *source,
                         const struct xf_channel_message *message, unsigned first)
{
    struct xf_error err;
    for (unsigned i = first; i < message->fds_count; i++) {
        if (source->rings_count == XF_WORKERS_MAX) {
            close(message->fds[i]);
        } else if (xf_log_ring_attach(message->fds[i], logger->start->wake_fd,
                                      &source->rings[source->rings_count], &err) == 0) {
            source->rings_count++;
        } else {
            char quoted[XF_LOG_QUOTE_BYTES];
            xf_log(XF_LOG_ERROR, "access_log.no_ring", "why=%s", xf_log_quote(err.message, quoted));
        }
    }
}

static void open_source(struct logger *logger, const struct xf_channel_message *message)
{
    struct source *source = calloc(1, sizeof(*source));
    bool file = message->c == 1 && message->fds_count > 0;
    if (source == NULL || logger->count == XF_COUNT(logger->sources)) {
        for (unsigned i = 0; i < message->fds_count; i++) {
            close(message->fds[i]);
        }
        free(source);
        return;
    }
    source->edition = message->a;
    xf_log_sink_init(&source->sink, file ? message->fds[0] : -1,
                     strcmp(message->text, "syslog:") == 0);
    attach_rings(logger, source, message, file ? 1 : 0);
    logger->sources[logger->count++] = source;
}

static void reopen_source(struct logger *logger, const struct xf_channel_message *message)
{
    unsigned index;
    struct source *source = find_source(logger, message->a, &index);
    for (unsigned i = 0; i < message->fds_count; i++) {
        if (i == 0 && source != NULL) {
            drain_source(logger, source);
            xf_log_sink_replace(&source->sink, message->fds[0]);
        } else {
            close(message->fds[i]);
        }
    }
}

/* False when the supervisor is gone or has let us go. */
static bool hear_supervisor(struct logger *logger)
{
    struct xf_channel_message message;
    enum xf_channel_result result;
    while ((result = xf_channel_receive(logger->start->channel_fd, &message)) == XF_CHANNEL_GOT) {
        switch (message.kind) {
        case XF_CHANNEL_RINGS:
            open_source(logger, &message);
            break;
        case XF_CHANNEL_RINGS_OVER:
            close_source(logger, message.a);
            break;
        case XF_CHANNEL_REOPEN:
            reopen_source(logger, &message);
            break;
        default:
            break;
        }
    }
    return result != XF_CHANNEL_CLOSED;
}

/* ---- the loop ---- */

static bool turn(struct logger *logger, struct pollfd *polled, nfds_t count, int timeout_ms)
{
    uint64_t wakes;
    (void) poll(polled, count, timeout_ms);
    if ((polled[0].revents & POLLIN) != 0) {
        ssize_t got = read(logger->start->wake_fd, &wakes, sizeof(wakes));
        (void) got; /* the rings tell what there is */
    }
    bool more = forward_messages(logger);
    drain_all(logger);
    return more;
}

int xf_logger_run(const struct xf_logger_start *start)
{
    struct logger *logger = calloc(1, sizeof(*logger));
    if (logger == NULL) {
        return 1;
    }
    logger->start = start;
    struct pollfd polled[3] = {{.fd = start->wake_fd, .events = POLLIN},
                               {.fd = start->messages_fd, .events = POLLIN},
                               {.fd = start->channel_fd, .events = POLLIN}};
    do {
        /* A wake-up for each line would cost the workers a call and the machine two switches. */
        bool gather = logger->gathering;
        logger->gathering = false;
        int wait_ms = gather ? GATHER_MS : fall_asleep(logger) ? DROPS_EVERY_MS : 0;
        polled[0].fd = gather ? -1 : start->wake_fd;
        (void) turn(logger, polled, 3, wait_ms);
    } while (hear_supervisor(logger));
    polled[0].fd = start->wake_fd;
    /* The other children go at the same time: their last words come before the pipe's end. */
    for (int left_ms = LINGER_MS; left_ms > 0; left_ms -= LINGER_TURN_MS) {
        if (!turn(logger, polled, 2, LINGER_TURN_MS)) {
            break;
        }
    }
    while (logger->count > 0) {
        close_source(logger, logger->sources[0]->edition);
    }
    free(logger);
    return 0;
}
