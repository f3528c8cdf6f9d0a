/*
 * admin_tls.h -- TLS of the admin port, and what a client's certificate says.
 *
 * Sessions work on the socket itself, which must not block.  Files are read when the
 * configuration is taken over, so SIGHUP loads renewed ones.
 */
#ifndef XF_SHIFTER_ADMIN_TLS_H
#define XF_SHIFTER_ADMIN_TLS_H

#include "config/base/error.h"
#include "config/config.h"
#include "shifter/admin/token.h"

#include <stdbool.h>
#include <sys/types.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* SSL */

/* *ret: NULL where the port is plain; to be freed with SSL_CTX_free(). */
XF_NODISCARD int xf_admin_tls_load(const struct xf_config_tls *tls, struct ssl_ctx_st **ret,
                                   struct xf_error *err);

/* As recv() and send(): 0 at the end, -1 with errno; EAGAIN then: *ret_wants_write says for
 * what. */
ssize_t xf_admin_tls_receive(struct ssl_st *ssl, void *bytes, size_t size, bool *ret_wants_write);
ssize_t xf_admin_tls_send(struct ssl_st *ssl, const void *bytes, size_t size);

/* Who the verified certificate of the client is: its common name, and the role that its
 * organizational unit names, operator where it names none.  False: it showed none. */
bool xf_admin_tls_client(struct ssl_st *ssl, char name[XF_TOKEN_NAME_BYTES],
                         enum xf_admin_role *ret);

#endif
