/*
 * body.c -- decoding and framing in place; see body.h.
 */
#include "proxy/http/body.h"

#include <string.h>

void xf_body_init(struct xf_body *body, enum xf_http_framing framing, uint64_t content_length)
{
    *body = (struct xf_body){.framing = (uint8_t) framing, .left = content_length};
    body->done =
        framing == XF_FRAMING_NONE || (framing == XF_FRAMING_LENGTH && content_length == 0);
    if (framing == XF_FRAMING_CHUNKED) {
        xf_chunked_init(&body->chunked);
    }
}

static bool decode_chunked(struct xf_body *body, char *bytes, size_t length,
                           struct xf_body_piece *ret)
{
    size_t at = 0;
    char *data = NULL;
    size_t gathered = 0;
    while (at < length && !body->done) {
        size_t used = 0;
        struct xf_span span = {0};
        enum xf_http_verdict verdict =
            xf_chunked_read(&body->chunked, bytes + at, length - at, &used, &span);
        if (verdict == XF_HTTP_BAD) {
            return false;
        }
        if (span.length > 0) {
            char *from = bytes + at + span.at;
            if (data == NULL) {
                data = from;
            } else {
                memmove(data + gathered, from, span.length);
            }
            gathered += span.length;
        }
        at += used;
        body->done = verdict == XF_HTTP_DONE;
    }
    *ret = (struct xf_body_piece){data == NULL ? bytes : data, gathered, at};
    return true;
}

bool xf_body_decode(struct xf_body *body, char *bytes, size_t length, struct xf_body_piece *ret)
{
    *ret = (struct xf_body_piece){bytes, 0, 0};
    if (body->done) {
        return true;
    }
    switch ((enum xf_http_framing) body->framing) {
    case XF_FRAMING_NONE:
        break;
    case XF_FRAMING_LENGTH:
        ret->length = length < body->left ? length : (size_t) body->left;
        ret->used = ret->length;
        body->left -= ret->length;
        body->done = body->left == 0;
        break;
    case XF_FRAMING_CHUNKED:
        if (!decode_chunked(body, bytes, length, ret)) {
            return false;
        }
        break;
    case XF_FRAMING_CLOSE:
        ret->length = length;
        ret->used = length;
        break;
    }
    body->bytes += ret->length;
    return true;
}

void xf_body_pass(struct xf_body *body, uint64_t length)
{
    XF_ASSERT(body->framing == XF_FRAMING_LENGTH);
    XF_ASSERT(length < body->left);
    body->left -= length;
    body->bytes += length;
}

bool xf_body_exceeds(const struct xf_body *body, uint64_t limit)
{
    bool chunked = body->framing == XF_FRAMING_CHUNKED;
    return body->bytes > limit || (chunked && body->chunked.left > limit - body->bytes);
}

void xf_body_frame(struct xf_body_piece *piece, bool last)
{
    char *end = piece->data + piece->length;
    if (piece->length > 0) {
        char head[XF_CHUNK_HEAD_BYTES];
        size_t head_length = xf_chunk_head(head, piece->length);
        piece->data -= head_length;
        memcpy(piece->data, head, head_length);
        memcpy(end, "\r\n", 2);
        end += 2;
    }
    if (last) {
        memcpy(end, "0\r\n\r\n", 5);
        end += 5;
    }
    piece->length = (size_t) (end - piece->data);
}
