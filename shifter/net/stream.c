/*
 * stream.c -- see stream.h.
 *
 *   looking --addresses--> connecting --(next address)--> connecting
 *                              | connected        +-- none left --> closed
 *                              v
 *                          shaking (TLS) --> open --> closed
 */
#include "shifter/net/stream.h"
#include "shifter/net/lookup.h"
#include "shifter/net/socket.h"
#include "shifter/net/stream_tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STREAM_MAGIC 0x7374726du

struct xf_stream {
    unsigned magic;
    struct event_base *loop;
    struct xf_stream_calls calls;
    size_t in_bytes_max;
    size_t out_bytes_max;
    struct xf_lookup *lookup;
    struct sockaddr_storage addresses[XF_LOOKUP_ADDRESSES_MAX];
    size_t addresses_count;
    size_t tried;
    int fd;
    bool open;
    struct event *readable;
    struct event *writable;
    struct event *deadline;   /* of getting open; then runs `closed` from the loop */
    struct evbuffer *wire_in; /* TLS alone */
    struct evbuffer *in;
    struct evbuffer *out;
    struct xf_stream_tls *tls;
    bool closing;
    char why[192];
    unsigned busy; /* callbacks of the owner under way */
    bool doomed;   /* destroyed by one of them */
};

static void stream_free(struct xf_stream *stream);

/* Runs the owner's callback; false when it destroyed the stream, which is then gone. */
static bool survived(struct xf_stream *stream)
{
    stream->busy--;
    if (stream->busy == 0 && stream->doomed) {
        stream_free(stream);
        return false;
    }
    return true;
}

static void drop_socket(struct xf_stream *stream)
{
    struct event **const events[] = {&stream->readable, &stream->writable};
    for (size_t i = 0; i < XF_COUNT(events); i++) {
        if (*events[i] != NULL) {
            event_free(*events[i]);
            *events[i] = NULL;
        }
    }
    if (stream->fd >= 0) {
        close(stream->fd);
        stream->fd = -1;
    }
}

void xf_stream_fail(struct xf_stream *stream, const char *why)
{
    XF_ASSERT(stream->magic == STREAM_MAGIC);
    if (stream->closing) {
        return;
    }
    stream->closing = true;
    stream->open = false;
    snprintf(stream->why, sizeof(stream->why), "%s", why);
    drop_socket(stream);
    event_active(stream->deadline, EV_WRITE, 0);
}

static void fail_errno(struct xf_stream *stream, const char *what, int why)
{
    char text[160];
    snprintf(text, sizeof(text), "%s: %s", what, strerror(why));
    xf_stream_fail(stream, text);
}

/* The deadline (EV_TIMEOUT), or the end of a stream that has failed. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_stream *stream = arg;
    XF_ASSERT(stream->magic == STREAM_MAGIC);
    if (!stream->closing) {
        xf_stream_fail(stream, stream->lookup != NULL ? "the name's lookup took too long"
                                                      : "connecting took too long");
        return;
    }
    event_del(stream->deadline);
    xf_lookup_destroy(stream->lookup);
    stream->lookup = NULL;
    stream->busy++;
    stream->calls.closed(stream->calls.context, stream->why);
    (void) survived(stream);
}

static void became_open(struct xf_stream *stream)
{
    stream->open = true;
    event_del(stream->deadline);
    stream->calls.connected(stream->calls.context);
}

/* Hands over what came, and bounds what was left. */
static void hand_over(struct xf_stream *stream)
{
    if (stream->open && evbuffer_get_length(stream->in) > 0) {
        stream->calls.received(stream->calls.context, stream->in);
    }
    if (!stream->doomed && evbuffer_get_length(stream->in) > stream->in_bytes_max) {
        xf_stream_fail(stream, "the answer is too large");
    }
}

/* Decrypts what came.  Called with `busy` raised. */
static void advance_tls(struct xf_stream *stream)
{
    enum xf_stream_tls_state state =
        xf_stream_tls_advance(stream->tls, stream->wire_in, stream->in, stream->out);
    if (evbuffer_get_length(stream->out) > 0) {
        event_add(stream->writable, NULL);
    }
    if (state == XF_TLS_FAILED) {
        xf_stream_fail(stream, xf_stream_tls_why(stream->tls));
        return;
    }
    if (state != XF_TLS_SHAKING && !stream->open) {
        became_open(stream);
    }
    if (!stream->doomed && !stream->closing) {
        hand_over(stream);
    }
    if (state == XF_TLS_ENDED && !stream->doomed) {
        xf_stream_fail(stream, "the other side closed");
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct xf_stream *stream = arg;
    XF_ASSERT(stream->magic == STREAM_MAGIC);
    int filled = xf_socket_fill(stream->tls != NULL ? stream->wire_in : stream->in, fd);
    if (filled < 0 && errno == 0) {
        xf_stream_fail(stream, "the other side closed");
        return;
    }
    if (filled < 0) {
        fail_errno(stream, "reading", errno);
        return;
    }
    stream->busy++;
    if (stream->tls != NULL) {
        advance_tls(stream);
    } else {
        hand_over(stream);
    }
    (void) survived(stream);
}

static void try_next_address(struct xf_stream *stream);

/* The socket is connected, or is not. */
static void finish_connecting(struct xf_stream *stream)
{
    int why = 0;
    socklen_t length = sizeof(why);
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &why, &length) != 0) {
        why = errno;
    }
    if (why != 0) {
        snprintf(stream->why, sizeof(stream->why), "connecting: %s", strerror(why));
        try_next_address(stream);
        return;
    }
    event_add(stream->readable, NULL);
    stream->busy++;
    if (stream->tls != NULL) {
        advance_tls(stream);
    } else {
        event_del(stream->writable);
        became_open(stream);
    }
    (void) survived(stream);
}

static bool is_connecting(const struct xf_stream *stream)
{
    return event_pending(stream->readable, EV_READ, NULL) == 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct xf_stream *stream = arg;
    XF_ASSERT(stream->magic == STREAM_MAGIC);
    if (is_connecting(stream)) {
        finish_connecting(stream);
        return;
    }
    if (xf_socket_flush(stream->out, fd) < 0) {
        fail_errno(stream, "writing", errno);
    } else if (evbuffer_get_length(stream->out) == 0) {
        event_del(stream->writable);
    }
}

/* A socket under way to `address`; false with errno. */
static bool begin_connect(struct xf_stream *stream, const struct sockaddr *address,
                          socklen_t length)
{
    int on = 1;
    stream->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd < 0) {
        return false;
    }
    if (address->sa_family != AF_UNIX) {
        setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    if (connect(stream->fd, address, length) != 0 && errno != EINPROGRESS) {
        return false;
    }
    stream->readable =
        event_new(stream->loop, stream->fd, EV_READ | EV_PERSIST, on_readable, stream);
    stream->writable =
        event_new(stream->loop, stream->fd, EV_WRITE | EV_PERSIST, on_writable, stream);
    errno = ENOMEM;
    return stream->readable != NULL && stream->writable != NULL &&
           event_add(stream->writable, NULL) == 0;
}

static void try_next_address(struct xf_stream *stream)
{
    drop_socket(stream);
    while (stream->tried < stream->addresses_count) {
        struct sockaddr_storage *address = &stream->addresses[stream->tried++];
        socklen_t length =
            address->ss_family == AF_UNIX ? sizeof(struct sockaddr_un) : xf_address_bytes(address);
        if (begin_connect(stream, (struct sockaddr *) address, length)) {
            return;
        }
        snprintf(stream->why, sizeof(stream->why), "connecting: %s", strerror(errno));
        drop_socket(stream);
    }
    char why[sizeof(stream->why)];
    memcpy(why, stream->why, sizeof(why));
    xf_stream_fail(stream, why);
}

static void got_addresses(void *context, const struct sockaddr_storage *addresses, size_t count,
                          unsigned ttl_s, const char *why)
{
    (void) ttl_s;
    struct xf_stream *stream = context;
    XF_ASSERT(stream->magic == STREAM_MAGIC);
    if (why != NULL) {
        char text[160];
        snprintf(text, sizeof(text), "the name's lookup: %s", why);
        xf_stream_fail(stream, text);
        return;
    }
    memcpy(stream->addresses, addresses, count * sizeof(*addresses));
    stream->addresses_count = count;
    xf_lookup_destroy(stream->lookup);
    stream->lookup = NULL;
    try_next_address(stream);
}

/* Finds where to connect: a unix socket's path needs no lookup. */
static int begin(struct xf_stream *stream, const struct xf_stream_options *options,
                 struct xf_error *err)
{
    if (options->host[0] != '/') {
        return xf_lookup_start(stream->loop, options->host, options->port, options->connect_ms,
                               got_addresses, stream, &stream->lookup, err);
    }
    struct sockaddr_un *address = (struct sockaddr_un *) &stream->addresses[0];
    address->sun_family = AF_UNIX;
    if (strlen(options->host) >= sizeof(address->sun_path)) {
        return XF_FAIL(err, XF_E_CONFIG, "%s: the path is too long for a socket", options->host);
    }
    memcpy(address->sun_path, options->host, strlen(options->host) + 1);
    stream->addresses_count = 1;
    try_next_address(stream);
    return 0;
}

int xf_stream_open(struct event_base *loop, const struct xf_stream_options *options,
                   const struct xf_stream_calls *calls, struct xf_stream **ret,
                   struct xf_error *err)
{
    struct timeval limit = {options->connect_ms / 1000,
                            (suseconds_t) (options->connect_ms % 1000) * 1000};
    struct xf_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "%s: out of memory", options->host);
    }
    stream->magic = STREAM_MAGIC;
    stream->loop = loop;
    stream->calls = *calls;
    stream->fd = -1;
    stream->in_bytes_max = options->in_bytes_max;
    stream->out_bytes_max = options->out_bytes_max;
    stream->in = evbuffer_new();
    stream->out = evbuffer_new();
    stream->wire_in = evbuffer_new();
    stream->deadline = evtimer_new(loop, on_deadline, stream);
    if (stream->in == NULL || stream->out == NULL || stream->wire_in == NULL ||
        stream->deadline == NULL || event_add(stream->deadline, &limit) != 0) {
        stream_free(stream);
        return XF_FAIL(err, XF_E_NO_MEMORY, "%s: out of memory", options->host);
    }
    if ((options->tls && xf_stream_tls_create(options, &stream->tls, err) != 0) ||
        begin(stream, options, err) != 0) {
        stream_free(stream);
        return -1;
    }
    *ret = stream;
    return 0;
}

bool xf_stream_send(struct xf_stream *stream, const void *bytes, size_t length)
{
    XF_ASSERT(stream->magic == STREAM_MAGIC);
    if (!stream->open) {
        return false;
    }
    if (evbuffer_get_length(stream->out) + length > stream->out_bytes_max) {
        xf_stream_fail(stream, "the other side does not read");
        return false;
    }
    bool queued = stream->tls != NULL ? xf_stream_tls_send(stream->tls, bytes, length, stream->out)
                                      : evbuffer_add(stream->out, bytes, length) == 0;
    if (!queued || event_add(stream->writable, NULL) != 0) {
        xf_stream_fail(stream, "sending failed");
        return false;
    }
    return true;
}

static void stream_free(struct xf_stream *stream)
{
    drop_socket(stream);
    xf_lookup_destroy(stream->lookup);
    xf_stream_tls_destroy(stream->tls);
    if (stream->deadline != NULL) {
        event_free(stream->deadline);
    }
    struct evbuffer *const buffers[] = {stream->in, stream->out, stream->wire_in};
    for (size_t i = 0; i < XF_COUNT(buffers); i++) {
        if (buffers[i] != NULL) {
            evbuffer_free(buffers[i]);
        }
    }
    free(stream);
}

void xf_stream_destroy(struct xf_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    XF_ASSERT(stream->magic == STREAM_MAGIC);
    if (stream->busy > 0) {
        stream->doomed = true;
        stream->closing = true; /* no more calls of `closed` */
        stream->open = false;
        drop_socket(stream);
        event_del(stream->deadline);
        return;
    }
    stream_free(stream);
}
