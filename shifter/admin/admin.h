/*
 * admin.h -- the HTTP/1.1 server of the admin socket and port.
 *
 * Lives in the agent's loop.  It speaks the protocol and nothing else: who may do what, and what
 * the answers are, is the handler's (admin_routes.h).  Everything is bounded: connections, head,
 * body, and the time a slow client may take.  The parser is the data path's strict one.
 *
 *     accept --> head, body --> handle() ... answer() --> head, body of the next request
 *                                  |
 *                                  +-- the client hangs up first: gone()
 */
#ifndef XF_SHIFTER_ADMIN_H
#define XF_SHIFTER_ADMIN_H

#include "config/base/check.h"
#include "proxy/proxy.h"
#include "shifter/admin/admin_limit.h"
#include "shifter/admin/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct xf_clock;
struct xf_admin;
struct xf_admin_exchange; /* one request that is to be answered */

#define XF_ADMIN_HEAD_BYTES_MAX   (16u * 1024u)
#define XF_ADMIN_FIELDS_MAX       64u
#define XF_ADMIN_BODY_BYTES_MAX   (1024u * 1024u) /* a plan with every byte escaped and more */
#define XF_ADMIN_CONNECTIONS_MAX  128u            /* on the socket */
#define XF_ADMIN_TCP_MAX          64u             /* on the port: it cannot lock the socket out */
#define XF_ADMIN_STREAM_BYTES_MAX (256u * 1024u)  /* of a stream, not yet taken by its reader */
#define XF_ADMIN_TEXT_BYTES       256u            /* of a field that is passed on */

/* A request; valid during the call of the handler. */
struct xf_admin_request {
    enum xf_http_method method;
    const char *path;  /* as sent, not decoded, without the query; ends with NUL */
    const char *query; /* behind `?`; empty: none */
    const char *body;  /* ends with NUL */
    size_t body_length;
    bool local;                                    /* came over the unix socket */
    uid_t uid;                                     /* of the peer, if local */
    unsigned char address[XF_ADMIN_ADDRESS_BYTES]; /* of the peer, if not */
    char host[XF_ADMIN_TEXT_BYTES];
    char origin[XF_ADMIN_TEXT_BYTES];          /* empty: none */
    char idempotency_key[XF_ADMIN_TEXT_BYTES]; /* likewise */
    char authorization[XF_ADMIN_TEXT_BYTES];
    char if_none_match[XF_ADMIN_TEXT_BYTES];
    /* Who asks and what they may: filled by admin_access. */
    enum xf_admin_role role;
    char who[XF_TOKEN_NAME_BYTES]; /* the token's name; empty: by the socket */
    bool certified;                /* a verified certificate says role and who */
};

struct xf_admin_calls {
    void (*handle)(void *context, struct xf_admin_exchange *exchange,
                   const struct xf_admin_request *request);
    void *context;
};

XF_NODISCARD struct xf_admin *xf_admin_create(struct event_base *loop, const struct xf_clock *clock,
                                              const struct xf_admin_calls *calls);
/* Takes a listening socket over, also when it fails. */
XF_NODISCARD bool xf_admin_listen(struct xf_admin *admin, int fd);
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
/* New connections to the port speak TLS with it; NULL: plain text.  Takes it over. */
void xf_admin_use_tls(struct xf_admin *admin, struct ssl_ctx_st *context);
void xf_admin_destroy(struct xf_admin *admin); /* accepts NULL; open exchanges are gone */

/* A line of the answer's head, without its end; before the answer.  What does not fit is left
 * out. */
void xf_admin_header(struct xf_admin_exchange *exchange, const char *line);
/* The answer may be kept by who asked, and is to be asked for again with `etag`; before the answer.
 * Without this call nothing may be kept. */
void xf_admin_etag(struct xf_admin_exchange *exchange, const char *etag);
/* Answers; the exchange is over with this call.  `body` is copied. */
void xf_admin_answer(struct xf_admin_exchange *exchange, unsigned status, const char *type,
                     const char *body, size_t length);
/* Answers with a stream that ends with the connection: `body` is its beginning.  `gone` of
 * xf_admin_on_gone() tells its end, which may come in either call: also when more waits to be read
 * than XF_ADMIN_STREAM_BYTES_MAX. */
void xf_admin_stream(struct xf_admin_exchange *exchange, const char *type, const char *body,
                     size_t length);
void xf_admin_stream_send(struct xf_admin_exchange *exchange, const char *bytes, size_t length);
/* What to do when the client hangs up before it is answered; the exchange is over then. */
void xf_admin_on_gone(struct xf_admin_exchange *exchange, void (*gone)(void *context),
                      void *context);

#endif
