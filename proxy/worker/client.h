/*
 * client.h -- one client connection: it waits for heads, hands requests to exchanges, and ends.
 *
 * Belongs to one worker.  Kept small, because most of its life it is idle: no buffer, no exchange,
 * one event, one deadline.
 *
 * A new client is read at once and is made known to the loop only when it has to wait for
 * something but its first answer, or for that longer than a moment.
 *
 *     accepted --> idle <--> partial head --> exchange --> idle ...
 *                   |             |              |
 *                   |             +-- refused ---+--> lingering --> closed
 *                   +-- idle limit, peer's end, stop -------------> closed
 */
#ifndef XF_PROXY_CLIENT_H
#define XF_PROXY_CLIENT_H

#include "proxy/http/address.h"
#include "proxy/worker/engine.h"
#include "proxy/transport/transport.h"

/* Whether it is known to read what it is sent (exchange_ahead.c). */
enum xf_reader { XF_READER_UNKNOWN, XF_READER_LIMITED, XF_READER_PROVEN };

struct xf_client {
    struct xf_conn conn;
    struct xf_engine *engine;
    struct xf_list link;  /* in engine->clients, at last in swept_clients */
    struct xf_list again; /* in engine->again or engine->starved */
    struct xf_deadline deadline;
    struct xf_exchange *exchange; /* the request that is being served */
    struct xf_buffer *in;         /* read, but not parsed: a partial head, pipelined requests */
    struct xf_address address;    /* of the peer, or as the PROXY header names it */
    uint8_t deadline_kind;
    uint8_t service; /* the listener's */
    uint16_t listener;
    uint32_t lingered; /* bytes thrown away after a refusal */
    uint32_t seen;     /* of a partial head, already looked at by the parser */
    bool trusted;      /* its X-Forwarded-* are believed */
    bool introduced;   /* no PROXY header is due any more */
    bool lingering;
    bool served;    /* at least one request was answered */
    uint8_t reader; /* enum xf_reader */
};

/* Takes over an accepted descriptor; closes it when there is no memory. */
void xf_client_accept(struct xf_engine *engine, int fd, unsigned listener,
                      const struct sockaddr_storage *peer);

/* What an answer of our own says. */
struct xf_own_answer {
    unsigned status;
    const char *text;  /* the body is this and a line feed; NULL: the status's reason */
    const char *type;  /* of the body; NULL: text/plain */
    const char *extra; /* whole field lines; NULL: none */
    bool head_only;    /* the request was a HEAD */
    bool close;        /* say so, linger, close */
};
/* Sends an answer of our own.  Afterwards the client goes on, lingers or is closed: the caller
 * may not touch the client's exchange again. */
void xf_client_answer(struct xf_client *client, const struct xf_own_answer *answer);

/* `used` of bytes[0, length), which were read from the client, are done with; the rest is kept for
 * the next request.  False: there is no room for it. */
XF_NODISCARD bool xf_client_consume(struct xf_client *client, const char *bytes, size_t length,
                                    size_t used);

/* The exchange is over.  `persist`: another request may follow on this connection. */
void xf_client_continue(struct xf_client *client, bool persist);
/* Puts the client on the list that the next turn begins with. */
void xf_client_again(struct xf_client *client);
/* Puts it on the list of those that wait for room in the slab. */
void xf_client_starve(struct xf_client *client);
/* Has the loop watch it from now on, if it does not yet; false: it could not be, and is closed. */
bool xf_client_watch(struct xf_client *client);
/* What the list does: goes on with the exchange, or parses what was read before. */
void xf_client_resume(struct xf_client *client);

void xf_client_close(struct xf_client *client); /* memory goes back when the turn is over */
void xf_client_reset(struct xf_client *client); /* likewise; the peer sees a reset */
void xf_client_expired(struct xf_client *client, enum xf_deadline_kind kind);
/* Closes the client that has waited longest for its next request, to make room for another; false:
 * nobody has waited for a second. */
bool xf_client_shed(struct xf_engine *engine);
/* Closes clients that have had an answer and wait for their next request (STOP); with `fresh` also
 * those whose first request has not come. */
void xf_client_close_idle(struct xf_engine *engine, bool fresh);

static inline unsigned xf_client_service(const struct xf_client *client)
{
    return client->service;
}

#endif
