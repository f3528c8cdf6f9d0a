/*
 * http_call.c -- see http_call.h.
 */
#include "shifter/net/http_call.h"
#include "shifter/net/stream.h"
#include "shifter/net/url.h"

#include "config/base/text.h"
#include "proxy/http/chunked.h"
#include "proxy/http/http1.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MAGIC        0x63616c6cu
#define HEAD_BYTES_MAX    16384u
#define FIELDS_MAX        128u
#define REQUEST_BYTES_MAX (2u * 1024u * 1024u)

struct xf_http_call {
    unsigned magic;
    struct xf_stream *stream;
    struct event *deadline;
    struct xf_text request;
    enum xf_http_method method;
    bool head_read;
    struct xf_http_response head;
    struct xf_chunked chunked;
    struct xf_text body;
    uint64_t body_left; /* framing LENGTH */
    bool finished;
    bool (*may_send)(void *context);
    xf_http_call_done *done;
    void *context;
};

/* Tells the owner, who may destroy the call: the caller returns at once. */
static void finish_and_forget(struct xf_http_call *call, const char *why)
{
    if (call->finished) {
        return;
    }
    call->finished = true;
    event_del(call->deadline);
    struct xf_http_answer answer = {call->head.status, call->body.data, call->body.length};
    call->done(call->context, why == NULL ? &answer : NULL, why);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_http_call *call = arg;
    XF_ASSERT(call->magic == CALL_MAGIC);
    finish_and_forget(call, "no answer in time");
}

static void on_connected(void *context)
{
    struct xf_http_call *call = context;
    XF_ASSERT(call->magic == CALL_MAGIC);
    if (call->may_send != NULL && !call->may_send(call->context)) {
        finish_and_forget(call, "connecting took so long that it had to be asked again");
        return;
    }
    xf_stream_send(call->stream, call->request.data, call->request.length);
}

/* Reads a head out of `in`; false when the call has ended. */
static bool read_head(struct xf_http_call *call, struct evbuffer *in)
{
    struct xf_field fields[FIELDS_MAX];
    struct xf_http_limits limits = {HEAD_BYTES_MAX, FIELDS_MAX};
    struct xf_http_refusal refusal;
    do {
        size_t length = evbuffer_get_length(in);
        size_t look = length < HEAD_BYTES_MAX ? length : HEAD_BYTES_MAX;
        const char *bytes = (const char *) evbuffer_pullup(in, (ev_ssize_t) look);
        if (look == 0 || bytes == NULL) {
            return true;
        }
        enum xf_http_verdict verdict = xf_http_parse_response(bytes, look, 0, call->method, &limits,
                                                              fields, &call->head, &refusal);
        if (verdict == XF_HTTP_BAD) {
            finish_and_forget(call, refusal.reason);
            return false;
        }
        if (verdict == XF_HTTP_MORE) {
            return true;
        }
        evbuffer_drain(in, call->head.head_bytes);
    } while (call->head.status < 200);
    call->head_read = true;
    call->body_left = call->head.framing == XF_FRAMING_LENGTH ? call->head.content_length : 0;
    return true;
}

/* Takes what of the body is in `in`: DONE when it is complete. */
static enum xf_http_verdict read_body(struct xf_http_call *call, const char *bytes, size_t length,
                                      size_t *ret_used)
{
    size_t take = length;
    struct xf_span data;
    enum xf_http_verdict verdict;
    *ret_used = 0;
    switch (call->head.framing) {
    case XF_FRAMING_NONE:
        return XF_HTTP_DONE;
    case XF_FRAMING_LENGTH:
        take = call->body_left < length ? (size_t) call->body_left : length;
        xf_text_append(&call->body, bytes, take);
        call->body_left -= take;
        *ret_used = take;
        return call->body_left == 0 ? XF_HTTP_DONE : XF_HTTP_MORE;
    case XF_FRAMING_CLOSE:
        xf_text_append(&call->body, bytes, length);
        *ret_used = length;
        return XF_HTTP_MORE;
    case XF_FRAMING_CHUNKED:
        verdict = xf_chunked_read(&call->chunked, bytes, length, ret_used, &data);
        xf_text_append(&call->body, bytes + data.at, data.length);
        return verdict;
    }
    return XF_HTTP_BAD;
}

static void on_received(void *context, struct evbuffer *in)
{
    struct xf_http_call *call = context;
    XF_ASSERT(call->magic == CALL_MAGIC);
    if (call->finished || (!call->head_read && !read_head(call, in)) || !call->head_read) {
        return;
    }
    enum xf_http_verdict verdict = XF_HTTP_MORE;
    size_t used = 0;
    do {
        size_t length = evbuffer_get_length(in);
        const char *bytes = length > 0 ? (const char *) evbuffer_pullup(in, -1) : "";
        verdict = bytes != NULL ? read_body(call, bytes, length, &used) : XF_HTTP_BAD;
        evbuffer_drain(in, used);
    } while (verdict == XF_HTTP_MORE && used > 0 && evbuffer_get_length(in) > 0);
    if (call->body.failed) {
        finish_and_forget(call, "the answer is too large");
    } else if (verdict != XF_HTTP_MORE) {
        finish_and_forget(call, verdict == XF_HTTP_DONE ? NULL : "the answer's body is malformed");
    }
}

static void on_closed(void *context, const char *why)
{
    struct xf_http_call *call = context;
    XF_ASSERT(call->magic == CALL_MAGIC);
    bool whole = call->head_read && call->head.framing == XF_FRAMING_CLOSE &&
                 strcmp(why, "the other side closed") == 0;
    finish_and_forget(call, whole ? NULL : why);
}

static void write_request(struct xf_http_call *call, const struct xf_http_call_options *options,
                          const struct xf_url *url)
{
    xf_text_init(&call->request, REQUEST_BYTES_MAX);
    xf_text_printf(&call->request,
                   "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: crossfade/" XF_VERSION
                   "\r\nAccept: */*\r\nConnection: close\r\n%s",
                   options->method, url->target, url->authority,
                   options->headers != NULL ? options->headers : "");
    if (options->body != NULL) {
        xf_text_printf(&call->request, "Content-Length: %zu\r\n", options->body_bytes);
    }
    xf_text_puts(&call->request, "\r\n");
    if (options->body != NULL) {
        xf_text_append(&call->request, options->body, options->body_bytes);
    }
}

int xf_http_call_start(struct event_base *loop, const struct xf_http_call_options *options,
                       xf_http_call_done *done, void *context, struct xf_http_call **ret,
                       struct xf_error *err)
{
    struct xf_url url;
    if (xf_url_parse(options->url, &url, err) != 0) {
        return -1;
    }
    struct xf_http_call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "%s: out of memory", url.host);
    }
    call->magic = CALL_MAGIC;
    call->may_send = options->may_send;
    call->done = done;
    call->context = context;
    call->method = strcmp(options->method, "GET") == 0    ? XF_METHOD_GET
                   : strcmp(options->method, "HEAD") == 0 ? XF_METHOD_HEAD
                                                          : XF_METHOD_POST;
    xf_chunked_init(&call->chunked);
    xf_text_init(&call->body, options->answer_bytes_max);
    write_request(call, options, &url);
    call->deadline = evtimer_new(loop, on_deadline, call);
    struct timeval limit = {options->timeout_ms / 1000,
                            (suseconds_t) (options->timeout_ms % 1000) * 1000};
    if (call->request.failed || call->deadline == NULL || event_add(call->deadline, &limit) != 0) {
        xf_http_call_destroy(call);
        return XF_FAIL(err, XF_E_NO_MEMORY, "%s: the request is too large", url.host);
    }
    struct xf_stream_options to = {.host = url.host,
                                   .port = url.port,
                                   .connect_ms = options->timeout_ms,
                                   .in_bytes_max = HEAD_BYTES_MAX,
                                   .out_bytes_max = 2 * REQUEST_BYTES_MAX,
                                   .tls = url.tls,
                                   .ca = options->ca};
    struct xf_stream_calls calls = {on_connected, on_received, on_closed, call};
    if (xf_stream_open(loop, &to, &calls, &call->stream, err) != 0) {
        xf_http_call_destroy(call);
        return -1;
    }
    *ret = call;
    return 0;
}

void xf_http_call_destroy(struct xf_http_call *call)
{
    if (call == NULL) {
        return;
    }
    xf_stream_destroy(call->stream);
    if (call->deadline != NULL) {
        event_free(call->deadline);
    }
    xf_text_release(&call->request);
    xf_text_release(&call->body);
    free(call);
}
