/*
 * exchange_log.c -- what the access log says of an exchange; see accesslog.h.
 *
 * The head is gone by the time the line is written, so what it needs of it is copied at the
 * beginning, cut to a ceiling.  Without a log nothing is copied and nothing formatted.
 */
#include "proxy/worker/exchange.h"

#include "proxy/worker/accesslog.h"
#include "proxy/board/logring.h"

#include <string.h>
#include <time.h>

#define FIELD_BYTES_MAX 512u

static const char *const why_names[XF_WHYS] = {
    [XF_WHY_WEIGHT] = "weight", [XF_WHY_STICKY] = "sticky",        [XF_WHY_OVERRIDE] = "override",
    [XF_WHY_RESCUE] = "rescue", [XF_WHY_FALLBACK] = "only-one-up",
};

static const char *const ending_names[] = {
    [XF_ENDING_DONE] = "done", [XF_ENDING_CLIENT] = "client", [XF_ENDING_SERVER] = "server",
    [XF_ENDING_OWN] = "proxy", [XF_ENDING_CUT] = "cut",
};

/* In the buffer: four pieces, each after its length. */
static void add_piece(struct xf_buffer *buffer, const char *bytes, size_t length, size_t most)
{
    uint16_t kept = (uint16_t) (length < most ? length : most);
    memcpy(buffer->bytes + buffer->end, &kept, sizeof(kept));
    memcpy(buffer->bytes + buffer->end + sizeof(kept), bytes, kept);
    buffer->end += (uint32_t) sizeof(kept) + kept;
}

static struct xf_piece next_piece(const struct xf_buffer *buffer, uint32_t *at)
{
    uint16_t length;
    memcpy(&length, buffer->bytes + *at, sizeof(length));
    struct xf_piece piece = {buffer->bytes + *at + sizeof(length), length};
    *at += (uint32_t) sizeof(length) + length;
    return piece;
}

static struct xf_span find_field(const struct xf_engine *engine, const char *bytes,
                                 const struct xf_http_request *request, const char *name)
{
    for (unsigned i = 0; i < request->fields; i++) {
        if (xf_http_field_is(bytes, &engine->fields[i], name)) {
            return engine->fields[i].value;
        }
    }
    return (struct xf_span){0, 0};
}

void xf_exchange_log_begin(struct xf_exchange *exchange, const char *bytes,
                           const struct xf_http_request *request)
{
    struct xf_engine *engine = exchange->engine;
    if (engine->log_ring == NULL) {
        return;
    }
    struct xf_span referer = {0, 0}, agent = {0, 0};
    if (engine->config->access_log.format == XF_LOG_FORMAT_COMBINED) {
        referer = find_field(engine, bytes, request, "referer");
        agent = find_field(engine, bytes, request, "user-agent");
    }
    size_t most = XF_ACCESS_METHOD_BYTES_MAX + XF_ACCESS_TARGET_BYTES_MAX + 2 * FIELD_BYTES_MAX;
    size_t wanted = (size_t) request->method_name.length + request->target.length + referer.length +
                    agent.length;
    exchange->line = xf_slab_get(&engine->slab, (wanted < most ? wanted : most) + 16);
    if (exchange->line != NULL) {
        add_piece(exchange->line, bytes + request->method_name.at, request->method_name.length,
                  XF_ACCESS_METHOD_BYTES_MAX);
        add_piece(exchange->line, bytes + request->target.at, request->target.length,
                  XF_ACCESS_TARGET_BYTES_MAX);
        add_piece(exchange->line, bytes + referer.at, referer.length, FIELD_BYTES_MAX);
        add_piece(exchange->line, bytes + agent.at, agent.length, FIELD_BYTES_MAX);
    }
}

static int64_t wall_ms(void)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t since(uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? to_us - from_us : 0;
}

static void write_line(struct xf_engine *engine, const struct xf_access_entry *entry)
{
    xf_text_clear(&engine->log_text);
    xf_access_format(&engine->log_text, engine->config->access_log.format, entry);
    if (engine->log_text.failed ||
        !xf_log_ring_write(engine->log_ring, engine->log_text.data, engine->log_text.length)) {
        xf_count(&engine->stats->log_dropped, 1);
    }
    if (engine->log_text.failed) {
        xf_text_release(&engine->log_text);
        xf_text_init(&engine->log_text, XF_LOG_LINE_BYTES_MAX);
    }
}

void xf_exchange_log_refused(const struct xf_client *client, const char *bytes, size_t length,
                             unsigned status, const char *reason)
{
    struct xf_engine *engine = client->engine;
    if (engine->log_ring == NULL) {
        return;
    }
    char address[XF_ADDRESS_TEXT_BYTES];
    (void) xf_address_text(&client->address, address);
    struct xf_access_entry entry = {
        .wall_ms = wall_ms(),
        .service = engine->services[xf_client_service(client)].config->name,
        .client = address,
        .ended = ending_names[XF_ENDING_OWN],
        .status = status,
        .weight = -1,
        .reason = reason,
    };
    xf_access_find_request(bytes, length, &entry.method, &entry.target);
    write_line(engine, &entry);
}

void xf_exchange_log_end(struct xf_exchange *exchange)
{
    struct xf_engine *engine = exchange->engine;
    if (exchange->line == NULL) {
        return;
    }
    const struct xf_choice *choice = &exchange->choice;
    char address[XF_ADDRESS_TEXT_BYTES];
    (void) xf_address_text(&exchange->source, address);
    bool cutover = (xf_route_flags(choice->word) & XF_ROUTE_CUTOVER) != 0;
    struct xf_access_entry entry = {
        .wall_ms = wall_ms(),
        .service = engine->services[exchange->service].config->name,
        .client = address,
        .ended = ending_names[exchange->ending],
        .status = exchange->ending == XF_ENDING_CLIENT ? 499 : exchange->status,
        .bytes = exchange->bytes_out,
        .weight = cutover ? (int) xf_route_weight(choice->word) : -1,
        .generation = xf_route_generation(choice->word),
        .connect_us = since(exchange->begun_us, exchange->connected_us),
        .first_byte_us = since(exchange->begun_us, exchange->first_byte_us),
        .total_us = since(exchange->begun_us, xf_engine_now_us()),
        .retries = exchange->retries,
    };
    if (choice->counted) {
        entry.cluster = engine->clusters[choice->cluster].config->name;
        entry.why = why_names[choice->why];
    }
    if (exchange->server >= 0) {
        entry.server = engine->servers[exchange->server].config->endpoint.text;
    }
    uint32_t at = 0;
    entry.method = next_piece(exchange->line, &at);
    entry.target = next_piece(exchange->line, &at);
    entry.referer = next_piece(exchange->line, &at);
    entry.agent = next_piece(exchange->line, &at);
    write_line(engine, &entry);
    xf_slab_put(&engine->slab, exchange->line);
    exchange->line = NULL;
}
