/*
 * stream_tls.h -- TLS over memory, for stream.c only: bytes of the wire in, bytes of the
 * application out, and the other way; it never touches a socket.
 */
#ifndef XF_SHIFTER_STREAM_TLS_H
#define XF_SHIFTER_STREAM_TLS_H

#include "config/base/error.h"

#include <stdbool.h>

struct evbuffer;
struct xf_stream_options;
struct xf_stream_tls;

/* Reads the files of `options`; the peer must present a certificate for options->host. */
XF_NODISCARD int xf_stream_tls_create(const struct xf_stream_options *options,
                                      struct xf_stream_tls **ret, struct xf_error *err);
void xf_stream_tls_destroy(struct xf_stream_tls *tls); /* accepts NULL */

enum xf_stream_tls_state { XF_TLS_SHAKING, XF_TLS_OPEN, XF_TLS_ENDED, XF_TLS_FAILED };
/* Takes all of `wire_in`, appends what it says to `in` and what must be sent to `wire_out`.
 * Call it once with an empty `wire_in` to begin. */
enum xf_stream_tls_state xf_stream_tls_advance(struct xf_stream_tls *tls, struct evbuffer *wire_in,
                                               struct evbuffer *in, struct evbuffer *wire_out);
/* Encrypts; false on failure.  Only when open. */
bool xf_stream_tls_send(struct xf_stream_tls *tls, const void *bytes, size_t length,
                        struct evbuffer *wire_out);
const char *xf_stream_tls_why(const struct xf_stream_tls *tls); /* after XF_TLS_FAILED */

#endif
