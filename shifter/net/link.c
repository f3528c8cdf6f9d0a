/*
 * link.c -- see link.h.  Knows nothing of what the messages mean.
 */
#include "shifter/net/link.h"
#include "shifter/net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINK_MAGIC 0x6c696e6bu
#define HEAD_BYTES 4u

struct xf_link {
    unsigned magic;
    int fd;
    struct xf_link_calls calls;
    struct event *readable;
    struct event *writable;
    struct event *closing; /* runs `closed` from the loop */
    struct evbuffer *in;
    struct evbuffer *out;
    const char *why; /* set: closing */
};

static void link_close_later(struct xf_link *link, const char *why)
{
    if (link->why == NULL) {
        link->why = why;
        event_del(link->readable);
        event_del(link->writable);
        event_active(link->closing, EV_TIMEOUT, 0);
    }
}

static void on_closing(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_link *link = arg;
    XF_ASSERT(link->magic == LINK_MAGIC);
    link->calls.closed(link->calls.context, link->why);
}

/* One whole frame out of what was read: 1 handed over, 0 not yet whole, -1 closing. */
static int take_frame(struct xf_link *link)
{
    uint32_t head;
    if (evbuffer_copyout(link->in, &head, HEAD_BYTES) < (ev_ssize_t) HEAD_BYTES) {
        return 0;
    }
    size_t length = ntohl(head);
    if (length > XF_LINK_FRAME_BYTES_MAX) {
        link_close_later(link, "a frame is too long");
        return -1;
    }
    if (evbuffer_get_length(link->in) < HEAD_BYTES + length) {
        return 0;
    }
    evbuffer_drain(link->in, HEAD_BYTES);
    const unsigned char *text = evbuffer_pullup(link->in, (ev_ssize_t) length);
    json_error_t error;
    json_t *message = NULL;
    if (text != NULL) {
        message = json_loadb((const char *) text, length, JSON_REJECT_DUPLICATES, &error);
    }
    evbuffer_drain(link->in, length);
    if (!json_is_object(message)) {
        json_decref(message);
        link_close_later(link, "a frame is not a JSON object");
        return -1;
    }
    link->calls.received(link->calls.context, message);
    json_decref(message);
    return link->why == NULL ? 1 : -1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct xf_link *link = arg;
    XF_ASSERT(link->magic == LINK_MAGIC);
    int filled = xf_socket_fill(link->in, fd);
    if (filled < 0) {
        link_close_later(link, errno == 0 ? "the other side closed" : "reading failed");
        return;
    }
    while (take_frame(link) == 1) {
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct xf_link *link = arg;
    XF_ASSERT(link->magic == LINK_MAGIC);
    if (xf_socket_flush(link->out, fd) < 0) {
        link_close_later(link, "writing failed");
        return;
    }
    size_t queued = evbuffer_get_length(link->out);
    if (queued == 0) {
        event_del(link->writable);
    }
    if (queued < XF_LINK_QUEUE_BYTES_LOW && link->calls.roomy != NULL) {
        link->calls.roomy(link->calls.context);
    }
}

char *xf_link_encode(json_t *message, size_t *ret_length)
{
    size_t length = json_dumpb(message, NULL, 0, JSON_COMPACT);
    if (length == 0 || length > XF_LINK_FRAME_BYTES_MAX) {
        return NULL;
    }
    char *frame = malloc(HEAD_BYTES + length);
    if (frame == NULL) {
        return NULL;
    }
    uint32_t head = htonl((uint32_t) length);
    memcpy(frame, &head, HEAD_BYTES);
    if (json_dumpb(message, frame + HEAD_BYTES, length, JSON_COMPACT) != length) {
        free(frame);
        return NULL;
    }
    *ret_length = HEAD_BYTES + length;
    return frame;
}

struct xf_link *xf_link_create(struct event_base *loop, int fd, const struct xf_link_calls *calls)
{
    struct xf_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        close(fd);
        return NULL;
    }
    *link = (struct xf_link){.magic = LINK_MAGIC, .fd = fd, .calls = *calls};
    link->readable = event_new(loop, fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(loop, fd, EV_WRITE | EV_PERSIST, on_writable, link);
    link->closing = evtimer_new(loop, on_closing, link);
    link->in = evbuffer_new();
    link->out = evbuffer_new();
    if (link->readable == NULL || link->writable == NULL || link->closing == NULL ||
        link->in == NULL || link->out == NULL || event_add(link->readable, NULL) != 0) {
        xf_link_destroy(link);
        return NULL;
    }
    return link;
}

bool xf_link_send(struct xf_link *link, const char *frame, size_t length)
{
    XF_ASSERT(link->magic == LINK_MAGIC);
    if (link->why != NULL) {
        return false;
    }
    if (evbuffer_get_length(link->out) + length > XF_LINK_QUEUE_BYTES_MAX ||
        evbuffer_add(link->out, frame, length) != 0 || event_add(link->writable, NULL) != 0) {
        link_close_later(link, "the other side does not read");
        return false;
    }
    return true;
}

size_t xf_link_queued(const struct xf_link *link)
{
    return evbuffer_get_length(link->out);
}

void xf_link_destroy(struct xf_link *link)
{
    if (link == NULL) {
        return;
    }
    struct event *const events[] = {link->readable, link->writable, link->closing};
    for (size_t i = 0; i < XF_COUNT(events); i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    struct evbuffer *const buffers[] = {link->in, link->out};
    for (size_t i = 0; i < XF_COUNT(buffers); i++) {
        if (buffers[i] != NULL) {
            evbuffer_free(buffers[i]);
        }
    }
    close(link->fd);
    free(link);
}
