/*
 * chunked.h -- the chunked transfer coding (RFC 9112 7.1), strictly.
 *
 * Pure.  The decoder is fed raw bytes and hands out spans of data; extensions are bounded and
 * dropped; the trailer is checked field by field, and handed out whole at the end so that the
 * caller may forward the fields that may be forwarded (RFC 9110 6.5.1).
 */
#ifndef XF_PROXY_CHUNKED_H
#define XF_PROXY_CHUNKED_H

#include "proxy/http/http1.h"

struct xf_chunked {
    uint64_t left;    /* bytes of the present chunk still to come */
    uint32_t counted; /* bytes of the present size line or trailer, against their ceilings */
    uint32_t owed;    /* bytes of extensions that no data has made up for */
    uint8_t state;
    uint8_t digits;
};

void xf_chunked_init(struct xf_chunked *chunked);

/*
 * Reads one step from `bytes`: at most one run of data, or framing.  Sets *ret_used to the bytes
 * consumed and *ret_data to the data among them (length 0 for framing).  MORE means: everything
 * given was consumed and the body goes on; call again while *ret_used < length.  DONE: the last
 * chunk and the trailer's end were consumed; bytes behind *ret_used belong to the next message.
 * The trailer's fields are checked for syntax and dropped.
 */
XF_NODISCARD enum xf_http_verdict xf_chunked_read(struct xf_chunked *chunked, const char *bytes,
                                                  size_t length, size_t *ret_used,
                                                  struct xf_span *ret_data);

#define XF_CHUNK_HEAD_BYTES 20
/* Writes the size line of a chunk of `size` > 0 bytes; returns its length.  The data and a CRLF
 * follow; the last chunk is "0\r\n\r\n". */
size_t xf_chunk_head(char out[XF_CHUNK_HEAD_BYTES], uint64_t size);

#endif
