/*
 * exchange_ahead.c -- how far a server is read ahead of its client; see exchange.h.
 *
 * A client must prove that it reads.  Until it has taken a piece of a large answer, both of the
 * kernel's buffers that such an answer fills are limited (ahead.h); from then on they are not, for
 * as long as its connection lasts.  A small answer costs no call of this.
 *
 * That bytes go in behind the limit is the proof: the kernel takes them only as those before leave.
 */
#include "proxy/worker/exchange.h"

#include "proxy/transport/ahead.h"

#define PROOF_BYTES (1u << 20) /* behind the limit; twice what it lets in */

void xf_exchange_limit_ahead(struct xf_exchange *exchange)
{
    struct xf_client *client = exchange->client;
    struct xf_upstream *upstream = exchange->upstream;
    if (client->reader == XF_READER_UNKNOWN) {
        xf_ahead_limit_unsent(&client->conn);
        client->reader = XF_READER_LIMITED;
        exchange->limited_from = exchange->bytes_out;
    } else if (client->reader == XF_READER_LIMITED &&
               exchange->bytes_out >= exchange->limited_from + PROOF_BYTES) {
        xf_ahead_free_unsent(&client->conn);
        client->reader = XF_READER_PROVEN;
    }
    if (client->reader == XF_READER_LIMITED && !upstream->limited) {
        upstream->limited = xf_ahead_limit_received(&upstream->conn);
    } else if (client->reader == XF_READER_PROVEN && upstream->limited) {
        xf_ahead_free_received(&upstream->conn);
        upstream->limited = false;
    }
}
