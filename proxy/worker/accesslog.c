/*
 * accesslog.c -- see accesslog.h.
 */
#include "proxy/worker/accesslog.h"

#include "proxy/http/tokens.h"

#include <string.h>
#include <time.h>

static void put_name(struct xf_text *out, const char *key, const char *value)
{
    xf_text_printf(out, ",\"%s\":", key);
    if (value == NULL) {
        xf_text_puts(out, "null");
    } else {
        xf_text_json(out, value, strlen(value));
    }
}

static void put_piece(struct xf_text *out, const char *key, const struct xf_piece *piece)
{
    xf_text_printf(out, ",\"%s\":", key);
    xf_text_json(out, piece->bytes == NULL ? "" : piece->bytes, piece->length);
}

static void put_ms(struct xf_text *out, const char *key, uint64_t us, bool known)
{
    if (known) {
        xf_text_printf(out, ",\"%s\":%llu.%03u", key, (unsigned long long) (us / 1000),
                       (unsigned) (us % 1000));
    } else {
        xf_text_printf(out, ",\"%s\":null", key);
    }
}

static void format_json(struct xf_text *out, const struct xf_access_entry *entry)
{
    char time[XF_TIME_TEXT_BYTES];
    xf_text_printf(out, "{\"time\":\"%s\"", xf_format_time(entry->wall_ms, time));
    put_name(out, "service", entry->service);
    put_name(out, "client", entry->client);
    put_piece(out, "method", &entry->method);
    put_piece(out, "path", &entry->target);
    xf_text_printf(out, ",\"status\":%u,\"bytes\":%llu", entry->status,
                   (unsigned long long) entry->bytes);
    put_name(out, "cluster", entry->cluster);
    put_name(out, "server", entry->server);
    put_name(out, "why", entry->why);
    if (entry->weight >= 0) {
        xf_text_printf(out, ",\"weight\":%d.%02d", entry->weight / 100, entry->weight % 100);
    } else {
        xf_text_puts(out, ",\"weight\":null");
    }
    xf_text_printf(out, ",\"generation\":%u", entry->generation);
    put_ms(out, "connect_ms", entry->connect_us, entry->connect_us > 0);
    put_ms(out, "first_byte_ms", entry->first_byte_us, entry->first_byte_us > 0);
    put_ms(out, "total_ms", entry->total_us, true);
    xf_text_printf(out, ",\"retries\":%u", entry->retries);
    put_name(out, "ended", entry->ended);
    if (entry->reason != NULL) {
        put_name(out, "reason", entry->reason);
    }
    xf_text_puts(out, "}\n");
}

/* Between quotes: what could end the quotes or the line is written as \xHH. */
static void put_quoted(struct xf_text *out, const struct xf_piece *piece)
{
    if (piece->length == 0) {
        xf_text_puts(out, "-");
    }
    for (size_t i = 0; i < piece->length; i++) {
        unsigned char c = (unsigned char) piece->bytes[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
            xf_text_printf(out, "\\x%02X", c);
        } else {
            xf_text_append(out, &piece->bytes[i], 1);
        }
    }
}

static void format_combined(struct xf_text *out, const struct xf_access_entry *entry)
{
    char time[64];
    struct tm parts;
    time_t second = (time_t) (entry->wall_ms / 1000);
    (void) gmtime_r(&second, &parts);
    (void) strftime(time, sizeof(time), "%d/%b/%Y:%H:%M:%S +0000", &parts);
    xf_text_printf(out, "%s - - [%s] \"", entry->client, time);
    put_quoted(out, &entry->method);
    if (entry->method.length > 0) {
        xf_text_puts(out, " ");
        put_quoted(out, &entry->target);
        xf_text_puts(out, " HTTP/1.1");
    }
    xf_text_printf(out, "\" %u %llu \"", entry->status, (unsigned long long) entry->bytes);
    put_quoted(out, &entry->referer);
    xf_text_puts(out, "\" \"");
    put_quoted(out, &entry->agent);
    xf_text_puts(out, "\"\n");
}

/* As many bytes as are visible ASCII. */
static size_t visible(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && bytes[at] > ' ' && bytes[at] < 0x7f) {
        at++;
    }
    return at;
}

void xf_access_find_request(const char *bytes, size_t length, struct xf_piece *ret_method,
                            struct xf_piece *ret_target)
{
    *ret_method = *ret_target = (struct xf_piece){NULL, 0};
    if (length >= 2 && memcmp(bytes, "\r\n", 2) == 0) { /* one is allowed before a request */
        bytes += 2;
        length -= 2;
    }
    size_t method = visible(bytes, length);
    if (method == 0 || method > XF_ACCESS_METHOD_BYTES_MAX || method == length ||
        bytes[method] != ' ' || !xf_bytes_all(bytes, method, XF_BYTE_TOKEN)) {
        return;
    }
    *ret_method = (struct xf_piece){bytes, method};
    const char *target = bytes + method + 1;
    size_t found = visible(target, length - method - 1);
    if (found > 0 && (*target == '/' || *target == '*')) {
        found = found < XF_ACCESS_TARGET_BYTES_MAX ? found : XF_ACCESS_TARGET_BYTES_MAX;
        *ret_target = (struct xf_piece){target, found};
    }
}

void xf_access_format(struct xf_text *out, enum xf_log_format format,
                      const struct xf_access_entry *entry)
{
    if (format == XF_LOG_FORMAT_COMBINED) {
        format_combined(out, entry);
    } else {
        format_json(out, entry);
    }
}
