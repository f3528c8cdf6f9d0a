/*
 * exchange_parting.c -- an answer that ends with its connection leaves at the end of the turn,
 * together with those of others (parting.h); see exchange.h.
 *
 * Only the first answer of a connection that nobody watches: all of it fits into the empty socket,
 * and nothing can happen to the client before the turn is over.
 */
#include "proxy/worker/exchange.h"

#include <string.h>

bool xf_exchange_part(struct xf_exchange *exchange, const char *bytes, size_t length)
{
    struct xf_engine *engine = exchange->engine;
    struct xf_client *client = exchange->client;
    const struct xf_conn *conn = &client->conn;
    bool first = !client->served && exchange->bytes_out == length;
    bool quiet = client->in == NULL && !conn->readable && !conn->watched;
    exchange->parting = engine->parting != NULL && first && quiet && conn->tls == NULL &&
                        xf_parting_add(engine->parting, &client->conn, bytes, length, exchange);
    return exchange->parting;
}

static void parted(void *owner, ssize_t sent, const char *bytes, size_t length)
{
    struct xf_exchange *exchange = owner;
    exchange->parting = false;
    if (sent == (ssize_t) length) {
        xf_exchange_end(exchange, false);
        return;
    }
    if (sent < 0) {
        xf_exchange_client_lost(exchange);
        return;
    }
    size_t rest = length - (size_t) sent;
    exchange->answer = xf_slab_get(&exchange->engine->slab, rest);
    if (exchange->answer == NULL) {
        xf_exchange_cut(exchange);
        return;
    }
    memcpy(exchange->answer->bytes, bytes + sent, rest);
    exchange->answer->end = (uint32_t) rest;
    exchange->blocked = true;
    exchange->client->conn.writable = false;
    xf_exchange_pump(exchange);
}

void xf_exchange_part_all(struct xf_engine *engine)
{
    xf_parting_run(engine->parting, parted);
}
