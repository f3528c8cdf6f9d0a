/*
 * fields_request.c -- the request head that goes upstream.
 *
 * Order: request line, Host, the client's fields, ours, framing.  Nothing that says who the client
 * is passes from a peer that is not trusted.
 */
#include "proxy/http/fields.h"

#include "proxy/http/cookies.h"
#include "proxy/http/fields_write.h"
#include "proxy/http/tokens.h"

#define PREFIX_BYTES   12 /* of `X-Forwarded-` */
#define PIECE(literal) ((struct xf_piece){literal, sizeof(literal) - 1})

struct build {
    struct xf_writer writer;
    const char *bytes;
    const struct xf_http_request *request;
    const struct xf_field *fields;
    const struct xf_request_options *options;
};

static void put_request_line(struct build *build)
{
    struct xf_writer *writer = &build->writer;
    struct xf_span target = build->request->target;
    xf_put_span(writer, build->bytes, build->request->method_name);
    if (target.length == 0 && build->request->method == XF_METHOD_OPTIONS) {
        xf_put_text(writer, " *"); /* RFC 9112 3.2.4 */
    } else if (target.length == 0 || build->bytes[target.at] == '?') {
        xf_put_text(writer, " /");
    } else {
        xf_put_text(writer, " ");
    }
    xf_put_span(writer, build->bytes, target);
    xf_put_text(writer, " HTTP/1.1\r\nHost: ");
    if (build->request->authority.length > 0) {
        xf_put_span(writer, build->bytes, build->request->authority);
    } else {
        xf_put_piece(writer, build->options->host);
    }
    xf_put_text(writer, "\r\n");
}

/* A field of the X-Forwarded- family that has no meaning of its own to us. */
static bool is_claim(const struct build *build, const struct xf_field *field)
{
    return field->name.length > PREFIX_BYTES &&
           xf_bytes_are(build->bytes + field->name.at, PREFIX_BYTES, "x-forwarded-");
}

/* Whether the client's line is passed on as it is. */
static bool passes(const struct build *build, const struct xf_field *field)
{
    if (field->nominated || (build->options->strip_field != NULL &&
                             xf_http_field_is(build->bytes, field, build->options->strip_field))) {
        return false;
    }
    switch (field->known) {
    case XF_FIELD_OTHER:
        return build->options->trusted || !is_claim(build, field);
    case XF_FIELD_VIA:
    case XF_FIELD_DATE:
    case XF_FIELD_COOKIE:
    case XF_FIELD_SET_COOKIE:
    case XF_FIELD_SEC_WEBSOCKET_KEY:
        return true;
    case XF_FIELD_MAX_FORWARDS:
        return build->request->max_forwards == UINT32_MAX;
    default:
        return false;
    }
}

/* Writes a Cookie line without the pairs of one name; nothing if none is left. */
static void put_cookies(struct build *build, const struct xf_field *field)
{
    struct xf_piece strip = build->options->strip_cookie;
    struct xf_cookie cookie;
    uint32_t at = 0;
    bool begun = false;
    while (xf_cookie_next(build->bytes, field->value, &at, &cookie)) {
        if (cookie.pair.length == 0 ||
            xf_cookie_is(build->bytes, &cookie, strip.bytes, strip.length)) {
            continue;
        }
        if (begun) {
            xf_put_text(&build->writer, "; ");
        } else {
            xf_put_text(&build->writer, "Cookie: ");
        }
        xf_put_span(&build->writer, build->bytes, cookie.pair);
        begun = true;
    }
    if (begun) {
        xf_put_text(&build->writer, "\r\n");
    }
}

static bool has_cookie(const struct build *build, const struct xf_field *field)
{
    struct xf_piece strip = build->options->strip_cookie;
    struct xf_cookie cookie;
    uint32_t at = 0;
    while (xf_cookie_next(build->bytes, field->value, &at, &cookie)) {
        if (xf_cookie_is(build->bytes, &cookie, strip.bytes, strip.length)) {
            return true;
        }
    }
    return false;
}

static void put_passed_fields(struct build *build)
{
    struct xf_lines lines = {.writer = &build->writer, .bytes = build->bytes};
    bool strip = build->options->strip_cookie.length > 0;
    for (uint32_t i = 0; i < build->request->fields; i++) {
        const struct xf_field *field = &build->fields[i];
        if (!passes(build, field)) {
            continue;
        }
        if (strip && field->known == XF_FIELD_COOKIE && has_cookie(build, field)) {
            xf_lines_flush(&lines);
            put_cookies(build, field);
            continue;
        }
        xf_lines_put(&lines, field);
    }
    xf_lines_flush(&lines);
}

/* All values of a known field, joined into one list; false if there is none. */
static bool put_list(struct build *build, enum xf_field_name known)
{
    bool begun = false;
    uint32_t first = build->request->first[known];
    for (uint32_t i = first; i > 0 && i <= build->request->fields; i++) {
        const struct xf_field *field = &build->fields[i - 1];
        if (field->known != known || field->value.length == 0) {
            continue;
        }
        if (begun) {
            xf_put_text(&build->writer, ", ");
        }
        xf_put_span(&build->writer, build->bytes, field->value);
        begun = true;
    }
    return begun;
}

static void put_forwarded_for(struct build *build)
{
    xf_put_text(&build->writer, "X-Forwarded-For: ");
    if (build->options->trusted && put_list(build, XF_FIELD_X_FORWARDED_FOR)) {
        xf_put_text(&build->writer, ", ");
    }
    xf_put_piece(&build->writer, build->options->client);
    xf_put_text(&build->writer, "\r\n");
}

/* The value that a trusted peer sent, else ours, else no line. */
static void put_believed(struct build *build, enum xf_field_name known, struct xf_piece name,
                         struct xf_piece ours)
{
    uint32_t first = build->request->first[known];
    if (build->options->trusted && first != 0 && build->fields[first - 1].value.length > 0) {
        struct xf_span value = build->fields[first - 1].value;
        ours = (struct xf_piece){build->bytes + value.at, value.length};
    }
    if (ours.length == 0) {
        return;
    }
    xf_put_piece(&build->writer, name);
    xf_put_piece(&build->writer, ours);
    xf_put_text(&build->writer, "\r\n");
}

/* RFC 7239 4: our element goes behind those that a trusted peer sent. */
static void put_forwarded(struct build *build)
{
    const struct xf_request_options *options = build->options;
    if (!options->trusted || build->request->first[XF_FIELD_FORWARDED] == 0) {
        return;
    }
    xf_put_text(&build->writer, "Forwarded: ");
    if (put_list(build, XF_FIELD_FORWARDED)) {
        xf_put_text(&build->writer, ", ");
    }
    bool bracket = options->client.length > 0 &&
                   memchr(options->client.bytes, ':', options->client.length) != NULL;
    if (bracket) {
        xf_put_text(&build->writer, "for=\"[");
        xf_put_piece(&build->writer, options->client);
        xf_put_text(&build->writer, "]\"");
    } else {
        xf_put_text(&build->writer, "for=");
        xf_put_piece(&build->writer, options->client);
    }
    if (build->request->authority.length > 0) {
        xf_put_text(&build->writer, ";host=\"");
        xf_put_span(&build->writer, build->bytes, build->request->authority);
        xf_put_text(&build->writer, "\"");
    }
    xf_put_text(&build->writer, ";proto=");
    xf_put_piece(&build->writer, options->scheme);
    xf_put_text(&build->writer, "\r\n");
}

static void put_origin(struct build *build)
{
    const struct xf_request_options *options = build->options;
    struct xf_span authority = build->request->authority;
    struct xf_piece host = {build->bytes + authority.at, authority.length};
    put_forwarded_for(build);
    put_believed(build, XF_FIELD_X_FORWARDED_PROTO, PIECE("X-Forwarded-Proto: "), options->scheme);
    put_believed(build, XF_FIELD_X_FORWARDED_HOST, PIECE("X-Forwarded-Host: "), host);
    put_believed(build, XF_FIELD_X_FORWARDED_PORT, PIECE("X-Forwarded-Port: "), options->port);
    put_believed(build, XF_FIELD_X_REAL_IP, PIECE("X-Real-IP: "),
                 options->source.length > 0 ? options->source : options->client);
    put_believed(build, XF_FIELD_X_REQUEST_ID, PIECE("X-Request-Id: "), options->request_id);
    put_forwarded(build);
    xf_put_via(&build->writer, build->request->minor, options->via);
}

static void put_hop(struct build *build)
{
    const struct xf_request_options *options = build->options;
    struct xf_writer *writer = &build->writer;
    if (options->upgrade.length > 0) {
        xf_put_upgrade(writer, options->upgrade);
    } else if (build->request->te_trailers) {
        if (options->close) {
            xf_put_text(writer, "Connection: close, TE\r\nTE: trailers\r\n");
        } else {
            xf_put_text(writer, "Connection: TE\r\nTE: trailers\r\n");
        }
    } else if (options->close) {
        xf_put_text(writer, "Connection: close\r\n");
    }
    if (build->request->max_forwards != UINT32_MAX) {
        uint32_t hops = build->request->max_forwards;
        xf_put_text(writer, "Max-Forwards: ");
        xf_put_number(writer, hops > 0 ? hops - 1 : 0);
        xf_put_text(writer, "\r\n");
    }
    if (options->pass_expect) {
        xf_put_text(writer, "Expect: 100-continue\r\n");
    }
    xf_put_framing(writer, options->framing, options->content_length);
}

size_t xf_build_request(char *out, size_t size, const char *bytes,
                        const struct xf_http_request *request, const struct xf_field *fields,
                        const struct xf_request_options *options)
{
    struct build build = {
        .writer = {.out = out, .size = size},
        .bytes = bytes,
        .request = request,
        .fields = fields,
        .options = options,
    };
    put_request_line(&build);
    put_passed_fields(&build);
    put_origin(&build);
    put_hop(&build);
    xf_put_piece(&build.writer, options->extra);
    xf_put_text(&build.writer, "\r\n");
    return build.writer.length;
}
