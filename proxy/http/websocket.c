/*
 * websocket.c -- see websocket.h.
 */
#include "proxy/http/websocket.h"

/* The length of a frame's head, by the part that is there. */
static size_t head_length(const struct xf_websocket *websocket)
{
    if (websocket->head_bytes < 2) {
        return 2;
    }
    unsigned size = websocket->head[1] & 0x7f;
    size_t mask = (websocket->head[1] & 0x80) != 0 ? 4 : 0;
    return 2 + mask + (size == 126 ? 2 : size == 127 ? 8 : 0);
}

static uint64_t payload_length(const struct xf_websocket *websocket)
{
    unsigned size = websocket->head[1] & 0x7f;
    unsigned extra = size == 126 ? 2 : size == 127 ? 8 : 0;
    uint64_t length = extra == 0 ? size : 0;
    for (unsigned i = 0; i < extra; i++) {
        length = length << 8 | websocket->head[2 + i];
    }
    return length;
}

size_t xf_websocket_follow(struct xf_websocket *websocket, const void *bytes, size_t length,
                           bool all)
{
    const uint8_t *from = bytes;
    size_t at = 0;
    while (at < length && (all || at == 0 || !xf_websocket_between(websocket))) {
        if (websocket->left > 0) {
            size_t step = length - at < websocket->left ? length - at : (size_t) websocket->left;
            websocket->left -= step;
            at += step;
            continue;
        }
        websocket->head[websocket->head_bytes++] = from[at++];
        if (websocket->head_bytes == head_length(websocket)) {
            websocket->left = payload_length(websocket);
            websocket->head_bytes = 0;
        }
    }
    return at;
}
