/*
 * body.h -- the body of one message on its way through: out of one framing, into another.
 *
 * Pure.  Works in place: decoding moves the data together, framing writes around it.  The caller
 * has room for XF_BODY_FRONT bytes before the data and XF_BODY_BACK bytes behind it.
 */
#ifndef XF_PROXY_BODY_H
#define XF_PROXY_BODY_H

#include "proxy/http/chunked.h"

#define XF_BODY_FRONT XF_CHUNK_HEAD_BYTES
#define XF_BODY_BACK  8u /* CRLF, 0 CRLF CRLF */

struct xf_body {
    uint8_t framing; /* enum xf_http_framing */
    bool done;       /* its last byte was decoded */
    uint64_t left;   /* LENGTH: bytes still to come */
    uint64_t bytes;  /* data decoded so far */
    struct xf_chunked chunked;
};

struct xf_body_piece {
    char *data;
    size_t length;
    size_t used; /* bytes of the input that belong to the body */
};

void xf_body_init(struct xf_body *body, enum xf_http_framing framing, uint64_t content_length);

/* Decodes what is there; body->done tells the end (never for CLOSE).  False: malformed chunks. */
XF_NODISCARD bool xf_body_decode(struct xf_body *body, char *bytes, size_t length,
                                 struct xf_body_piece *ret);

/* `length` bytes of a body of known length went by unseen; more than that is still to come. */
void xf_body_pass(struct xf_body *body, uint64_t length);

/* Whether the body is larger than `limit`, or says that it is going to be. */
bool xf_body_exceeds(const struct xf_body *body, uint64_t limit);

/* Writes the chunked coding around `piece` (nothing for an empty piece that is not the last) and
 * widens it. */
void xf_body_frame(struct xf_body_piece *piece, bool last);

#endif
