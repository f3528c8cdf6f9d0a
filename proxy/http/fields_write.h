/*
 * fields_write.h -- what the two head builders share; nobody else includes this file.
 */
#ifndef XF_PROXY_FIELDS_WRITE_H
#define XF_PROXY_FIELDS_WRITE_H

#include "proxy/http/fields.h"
#include "proxy/http/writer.h"

/*
 * Field lines on their way out.  Lines that are written as they would be serialised anyway
 * (`Name: value` CRLF) and stand next to each other are copied in one piece.
 */
struct xf_lines {
    struct xf_writer *writer;
    const char *bytes;
    size_t begin; /* the run not yet written: [begin, end) of the input */
    size_t end;
};

void xf_lines_put(struct xf_lines *lines, const struct xf_field *field);
void xf_lines_flush(struct xf_lines *lines);

static inline void xf_put_piece(struct xf_writer *writer, struct xf_piece piece)
{
    xf_put(writer, piece.bytes, piece.length);
}

static inline void xf_put_span(struct xf_writer *writer, const char *bytes, struct xf_span span)
{
    xf_put(writer, bytes + span.at, span.length);
}

/* `Content-Length: N` or `Transfer-Encoding: chunked`, or nothing. */
void xf_put_framing(struct xf_writer *writer, enum xf_http_framing framing, uint64_t length);

/* `Via: 1.x NAME`; nothing where we have no name. */
void xf_put_via(struct xf_writer *writer, unsigned minor, struct xf_piece name);

/* `Connection: upgrade` and `Upgrade: PROTOCOL`. */
void xf_put_upgrade(struct xf_writer *writer, struct xf_piece protocol);

#endif
