/*
 * websocket.h -- where WebSocket frames begin and end (RFC 6455 5.2).
 *
 * Pure.  Follows what a server sends to its client, from the 101 on, so that a close frame of
 * ours can go between two of its frames and not into one.
 */
#ifndef XF_PROXY_WEBSOCKET_H
#define XF_PROXY_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xf_websocket {
    uint64_t left;    /* bytes of the present frame's payload still to come */
    uint8_t head[14]; /* of a frame, as far as it came */
    uint8_t head_bytes;
};

/* Follows `bytes` and returns how many of them stand before the first place between two frames
 * (`length` where there is none); `all` goes on to the end instead. */
size_t xf_websocket_follow(struct xf_websocket *websocket, const void *bytes, size_t length,
                           bool all);

static inline bool xf_websocket_between(const struct xf_websocket *websocket)
{
    return websocket->left == 0 && websocket->head_bytes == 0;
}

/* A close frame with status 1001, going away. */
#define XF_WEBSOCKET_GOING_AWAY       "\x88\x02\x03\xe9"
#define XF_WEBSOCKET_GOING_AWAY_BYTES 4u

#endif
