/*
 * fields_response.c -- the response head that goes to the client.
 */
#include "proxy/http/fields.h"

#include "proxy/http/fields_write.h"

static bool passes(const struct xf_field *field)
{
    if (field->nominated) {
        return false;
    }
    switch (field->known) {
    case XF_FIELD_CONTENT_LENGTH:
    case XF_FIELD_TRANSFER_ENCODING:
    case XF_FIELD_CONNECTION:
    case XF_FIELD_KEEP_ALIVE:
    case XF_FIELD_PROXY_CONNECTION:
    case XF_FIELD_TE:
    case XF_FIELD_TRAILER:
    case XF_FIELD_UPGRADE:
    case XF_FIELD_HTTP2_SETTINGS:
        return false;
    default:
        return true;
    }
}

static void put_status_line(struct xf_writer *writer, const char *bytes,
                            const struct xf_http_response *response)
{
    xf_put_text(writer, "HTTP/1.1 ");
    xf_put_number(writer, response->status);
    xf_put_text(writer, " ");
    xf_put_span(writer, bytes, response->reason);
    xf_put_text(writer, "\r\n");
}

/* Without a body the length that came still tells HEAD and 304 something (RFC 9110 8.6). */
static void put_body_framing(struct xf_writer *writer, const struct xf_http_response *response,
                             const struct xf_response_options *options)
{
    if (options->framing != XF_FRAMING_NONE) {
        xf_put_framing(writer, options->framing, options->content_length);
        return;
    }
    bool may_stand = response->status >= 200 && response->status != 204;
    if (may_stand && response->first[XF_FIELD_CONTENT_LENGTH] != 0 &&
        response->first[XF_FIELD_TRANSFER_ENCODING] == 0) {
        xf_put_framing(writer, XF_FRAMING_LENGTH, response->content_length);
    }
}

static void put_connection(struct xf_writer *writer, const struct xf_response_options *options)
{
    switch (options->connection) {
    case XF_CONNECTION_NONE:
        break;
    case XF_CONNECTION_KEEP_ALIVE:
        xf_put_text(writer, "Connection: keep-alive\r\n");
        break;
    case XF_CONNECTION_CLOSE:
        xf_put_text(writer, "Connection: close\r\n");
        break;
    case XF_CONNECTION_UPGRADE:
        xf_put_upgrade(writer, options->upgrade);
        break;
    }
}

size_t xf_build_response(char *out, size_t size, const char *bytes,
                         const struct xf_http_response *response, const struct xf_field *fields,
                         const struct xf_response_options *options)
{
    struct xf_writer writer = {.out = out, .size = size};
    struct xf_lines lines = {.writer = &writer, .bytes = bytes};
    put_status_line(&writer, bytes, response);
    for (uint32_t i = 0; i < response->fields; i++) {
        if (passes(&fields[i])) {
            xf_lines_put(&lines, &fields[i]);
        }
    }
    xf_lines_flush(&lines);
    if (options->date.length > 0 && response->first[XF_FIELD_DATE] == 0 &&
        response->status >= 200) {
        xf_put_text(&writer, "Date: ");
        xf_put_piece(&writer, options->date);
        xf_put_text(&writer, "\r\n");
    }
    if (options->set_cookie.length > 0) {
        xf_put_text(&writer, "Set-Cookie: ");
        xf_put_piece(&writer, options->set_cookie);
        xf_put_text(&writer, "\r\n");
    }
    xf_put_via(&writer, response->minor, options->via);
    put_connection(&writer, options);
    put_body_framing(&writer, response, options);
    xf_put_piece(&writer, options->extra);
    xf_put_text(&writer, "\r\n");
    return writer.length;
}
