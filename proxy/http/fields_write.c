/*
 * fields_write.c -- lines and framing, for requests and responses alike.
 */
#include "proxy/http/fields_write.h"

/* Whether the line in the input reads exactly as we would write it. */
static bool is_canonical(const char *bytes, const struct xf_field *field)
{
    size_t name_end = (size_t) field->name.at + field->name.length;
    size_t value_end = (size_t) field->value.at + field->value.length;
    return field->value.at == name_end + 2 && bytes[name_end + 1] == ' ' &&
           bytes[value_end] == '\r';
}

void xf_lines_flush(struct xf_lines *lines)
{
    xf_put(lines->writer, lines->bytes + lines->begin, lines->end - lines->begin);
    lines->begin = lines->end;
}

void xf_lines_put(struct xf_lines *lines, const struct xf_field *field)
{
    if (is_canonical(lines->bytes, field)) {
        if (field->name.at != lines->end) {
            xf_lines_flush(lines);
            lines->begin = field->name.at;
        }
        lines->end = (size_t) field->value.at + field->value.length + 2;
        return;
    }
    xf_lines_flush(lines);
    xf_put_span(lines->writer, lines->bytes, field->name);
    xf_put_text(lines->writer, ": ");
    xf_put_span(lines->writer, lines->bytes, field->value);
    xf_put_text(lines->writer, "\r\n");
}

void xf_put_framing(struct xf_writer *writer, enum xf_http_framing framing, uint64_t length)
{
    if (framing == XF_FRAMING_LENGTH) {
        xf_put_text(writer, "Content-Length: ");
        xf_put_number(writer, length);
        xf_put_text(writer, "\r\n");
    } else if (framing == XF_FRAMING_CHUNKED) {
        xf_put_text(writer, "Transfer-Encoding: chunked\r\n");
    }
}

void xf_put_via(struct xf_writer *writer, unsigned minor, struct xf_piece name)
{
    if (name.length == 0) {
        return;
    }
    if (minor == 0) {
        xf_put_text(writer, "Via: 1.0 ");
    } else {
        xf_put_text(writer, "Via: 1.1 ");
    }
    xf_put_piece(writer, name);
    xf_put_text(writer, "\r\n");
}

void xf_put_upgrade(struct xf_writer *writer, struct xf_piece protocol)
{
    xf_put_text(writer, "Connection: upgrade\r\nUpgrade: ");
    xf_put_piece(writer, protocol);
    xf_put_text(writer, "\r\n");
}
