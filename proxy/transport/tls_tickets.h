/*
 * tls_tickets.h -- the keys that seal session tickets, on the board: the supervisor writes, the
 * workers of all editions read.
 *
 * keys[0] seals, all open: so a key that is new, or was replaced, costs nobody a handshake.
 */
#ifndef XF_PROXY_TLS_TICKETS_H
#define XF_PROXY_TLS_TICKETS_H

#include "config/base/error.h"
#include "config/config.h"
#include "proxy/board/board.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* One new random key, or those of `from` where it is not NULL. */
XF_NODISCARD int xf_tls_set_tickets(struct xf_ticket_keys *keys, const struct xf_ticket_keys *from,
                                    struct xf_error *err);
/* A new random key seals; the last ones still open, the oldest no more. */
XF_NODISCARD int xf_tls_rotate_tickets(struct xf_ticket_keys *keys, struct xf_error *err);
/* The keys of a file; on failure `keys` is as before. */
XF_NODISCARD int xf_tls_load_tickets(struct xf_ticket_keys *keys, const char *path,
                                     struct xf_error *err);
/* The file that the configuration names, or NULL. */
const char *xf_tls_tickets_file(const struct xf_config *config);
/* Tickets are sealed with these keys from now on; `keys` must live as long as the context. */
void xf_tls_use_tickets(struct ssl_ctx_st *context, const struct xf_ticket_keys *keys);

#endif
