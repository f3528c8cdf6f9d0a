/*
 * stream.h -- one outgoing TCP connection, plain or with verified TLS, that never blocks the loop.
 *
 * For what the control plane calls: Redis, webhooks, gates.  Looks the name up, connects (each
 * address in turn), shakes hands, then hands over what arrives.  One time limit covers all of
 * that; after it the owner keeps its own.  What waits in either direction is bounded.
 */
#ifndef XF_SHIFTER_STREAM_H
#define XF_SHIFTER_STREAM_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct evbuffer;
struct xf_stream;

struct xf_stream_options {
    const char *host; /* a name or a number, without brackets; or the path of a unix socket */
    uint16_t port;
    int64_t connect_ms;
    size_t in_bytes_max;           /* that `received` may leave unread */
    size_t out_bytes_max;          /* that may wait to be sent */
    bool tls;                      /* the peer's certificate must be valid for `host` */
    const char *ca;                /* PEM file; NULL: the system's */
    const char *certificate, *key; /* of ours, PEM; NULL: none */
};

struct xf_stream_calls {
    void (*connected)(void *context);
    /* Take what you can from `in`; what stays comes again with more. */
    void (*received)(void *context, struct evbuffer *in);
    /* The stream is of no more use; once, from the loop.  `why` lives until it is destroyed. */
    void (*closed)(void *context, const char *why);
    void *context;
};

XF_NODISCARD int xf_stream_open(struct event_base *loop, const struct xf_stream_options *options,
                                const struct xf_stream_calls *calls, struct xf_stream **ret,
                                struct xf_error *err);
/* False when it is not connected, or more would wait than may: then it closes. */
bool xf_stream_send(struct xf_stream *stream, const void *bytes, size_t length);
/* Closes from the loop, with a call of `closed`. */
void xf_stream_fail(struct xf_stream *stream, const char *why);
/* Accepts NULL; without a call of `closed`; from anywhere. */
void xf_stream_destroy(struct xf_stream *stream);

#endif
