/*
 * tls.h -- a TLS session between the socket and those who read and write through transport.h.
 *
 * OpenSSL never sees the socket: what one recv() brought is given to it from the worker's memory,
 * and what it makes is collected there and leaves in one send().  A session keeps only what did
 * not fit: ciphertext that was read and not yet wanted, and ciphertext that the peer has not yet
 * taken; both are buffers of the slab, under its ceiling.
 */
#ifndef XF_PROXY_TLS_H
#define XF_PROXY_TLS_H

#include "proxy/board/board.h"
#include "proxy/transport/slab.h"
#include "proxy/transport/tls_context.h"
#include "proxy/transport/transport.h"

struct xf_tls_worker; /* what the sessions of one worker share */
struct xf_tls;        /* one session */

/* All three must live longer than the result. */
XF_NODISCARD struct xf_tls_worker *xf_tls_worker_create(struct xf_tls_contexts *contexts,
                                                        struct xf_slab *slab,
                                                        struct xf_stats_header *stats);
void xf_tls_worker_destroy(struct xf_tls_worker *worker); /* accepts NULL */

/* Puts the server's side of a session on `conn`; the handshake runs with the first reads.  False
 * without memory. */
XF_NODISCARD bool xf_tls_open(struct xf_tls_worker *worker, unsigned listener,
                              struct xf_conn *conn);

/* Puts the client's side of a session with `server` (a number over all clusters) on `conn`.  False
 * without memory. */
XF_NODISCARD bool xf_tls_open_server(struct xf_tls_worker *worker,
                                     const struct xf_config_cluster *cluster, unsigned server,
                                     struct xf_conn *conn);
enum xf_tls_shake { XF_SHAKE_DONE, XF_SHAKE_GOES_ON, XF_SHAKE_BROKEN };
/* Goes on with the handshake with a server. */
enum xf_tls_shake xf_tls_shake(struct xf_conn *conn);
/* Why the last one was BROKEN. */
const char *xf_tls_why(const struct xf_tls_worker *worker);

/* The same contracts as the functions of transport.h, which call them where conn->tls is set. */
ssize_t xf_tls_receive(struct xf_conn *conn, void *bytes, size_t size);
ssize_t xf_tls_send(struct xf_conn *conn, const void *bytes, size_t size, int flags);
/* Sends what the session owes by itself; false: the connection is lost. */
XF_NODISCARD bool xf_tls_flush(struct xf_conn *conn);
/* Says close_notify, if all before it was sent. */
void xf_tls_finish(struct xf_conn *conn);
/* Ends the session without a word. */
void xf_tls_drop(struct xf_conn *conn);
/* What comes next is read from the socket: nothing read before waits to be decrypted. */
bool xf_tls_hungry(const struct xf_conn *conn);
/* The handshake is not over yet. */
bool xf_tls_young(const struct xf_conn *conn);

#endif
