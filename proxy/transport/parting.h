/*
 * parting.h -- last answers and the ends of their connections, in one system call.
 *
 * Belongs to one worker.  A connection that carries one request costs a send() and a close() at
 * its end.  Here both are put aside, and made together for all that end in a turn:
 *
 *     add() ... add() --> run() --> what was sent of each is told
 *
 * The close is made only where every byte was taken: the two calls are linked, and a short send
 * breaks the link.  Nothing ever waits in the kernel, and without io_uring there is no parting.
 */
#ifndef XF_PROXY_PARTING_H
#define XF_PROXY_PARTING_H

#include "config/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define XF_PARTING_PLACES 16u /* so that the first does not wait for long */
#define XF_PARTING_BYTES  4000u

struct xf_conn;
struct xf_parting;

/* NULL: not here. */
XF_NODISCARD struct xf_parting *xf_parting_create(void);
void xf_parting_destroy(struct xf_parting *parting); /* accepts NULL */

/* Takes over the last bytes of a connection, which is to be closed behind them, is in no loop and
 * has no TLS.  False: there is no room for them, and nothing has happened. */
XF_NODISCARD bool xf_parting_add(struct xf_parting *parting, struct xf_conn *conn,
                                 const char *bytes, size_t length, void *owner);
/* The owner's connection ends in another way. */
void xf_parting_forget(struct xf_parting *parting, const void *owner);
bool xf_parting_full(const struct xf_parting *parting);

/* What became of it: `sent` of bytes[0, length), or XF_CONN_ERROR.  Where all was sent the
 * descriptor is closed already, and xf_conn_close() only tidies up. */
typedef void xf_parted(void *owner, ssize_t sent, const char *bytes, size_t length);
void xf_parting_run(struct xf_parting *parting, xf_parted *parted); /* accepts NULL */

#endif
