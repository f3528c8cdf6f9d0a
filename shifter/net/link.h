/*
 * link.h -- JSON objects over one connected stream socket.
 *
 * A frame is four bytes of length, the highest first, and that many bytes of JSON.  The other
 * side is treated as a stranger: a frame that is too long, not JSON or no object closes the link,
 * and so does a peer that does not read what waits for it.
 *
 * Belongs to one loop.  `closed` comes once, later, from the loop, and never from inside send.
 */
#ifndef XF_SHIFTER_LINK_H
#define XF_SHIFTER_LINK_H

#include "config/base/check.h"
#include "config/base/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A document travels as a JSON string, in which a quote takes two bytes. */
#define XF_LINK_FRAME_BYTES_MAX (2u * XF_DOCUMENT_BYTES_MAX + 64u * 1024u)
#define XF_LINK_QUEUE_BYTES_MAX (2u * XF_LINK_FRAME_BYTES_MAX) /* beyond it the link closes */
#define XF_LINK_QUEUE_BYTES_LOW (256u * 1024u)                 /* below it `roomy` asks for more */

struct event_base;
struct xf_link;

struct xf_link_calls {
    void (*received)(void *context, json_t *message /* borrowed */);
    /* What waits fell below XF_LINK_QUEUE_BYTES_LOW; NULL: nobody asks. */
    void (*roomy)(void *context);
    /* The link is of no more use; destroy it here. */
    void (*closed)(void *context, const char *why /* a literal */);
    void *context;
};

/* The frame of `message`, head included; the caller frees it.  NULL when it is too long, or
 * without memory. */
char *xf_link_encode(json_t *message, size_t *ret_length);

/* Takes `fd`, which must be connected and non-blocking, even on failure (NULL). */
XF_NODISCARD struct xf_link *xf_link_create(struct event_base *loop, int fd,
                                            const struct xf_link_calls *calls);
/* Queues an encoded frame; false when the link is closing, or closes because of it. */
bool xf_link_send(struct xf_link *link, const char *frame, size_t length);
size_t xf_link_queued(const struct xf_link *link); /* bytes that wait */
/* Accepts NULL.  Not from inside `received`; without a call of `closed`. */
void xf_link_destroy(struct xf_link *link);

#endif
