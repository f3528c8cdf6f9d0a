/*
 * gather.h -- the first reads of many connections, in one system call.
 *
 * Belongs to one worker.  A turn of the loop learns of many connections that have bytes; each of
 * them would begin with a recv() of its own, and where a system call is dear that is a tenth of
 * what a small request costs.  Here they are asked for together: one io_uring_enter() reads into a
 * place for each connection, and the connection's first receive takes the bytes from there.
 *
 *     ask() ... ask() --> read() --> xf_conn_receive_raw() of each takes its own
 *
 * Nothing ever waits in the kernel: every read is done, or refused, before read() returns.  Where
 * the kernel has no io_uring for us (kernel.io_uring_disabled, a container's filter) there is no
 * gather, and every connection reads for itself.
 */
#ifndef XF_PROXY_GATHER_H
#define XF_PROXY_GATHER_H

#include "config/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define XF_GATHER_PLACES 64u   /* connections read at once */
#define XF_GATHER_BYTES  4000u /* of each; who has more reads the rest himself */

struct xf_conn;
struct xf_gather;
struct xf_gathered; /* what was read for one connection and not yet taken */

/* NULL: not here. */
XF_NODISCARD struct xf_gather *xf_gather_create(void);
/* Accepts NULL.  No connection may have anything gathered any more. */
void xf_gather_destroy(struct xf_gather *gather);

/* Asks for a read of `conn`; without a free place nothing happens. */
void xf_gather_ask(struct xf_gather *gather, struct xf_conn *conn);
/* Carries out what was asked for.  A connection that had nothing is no longer `readable`. */
void xf_gather_read(struct xf_gather *gather);

/* For transport.c: what was read, with the results of xf_conn_receive_raw().  *ret_more: the
 * socket may hold more. */
ssize_t xf_gathered_take(struct xf_conn *conn, void *bytes, size_t size, bool *ret_more);
/* Throws it away. */
void xf_gathered_drop(struct xf_conn *conn);

#endif
