/*
 * acceptor.h -- the listening sockets in one worker's loop.
 *
 * The sockets are the supervisor's: a worker adds them to its loop and takes them out again, and
 * closes them only when the supervisor is gone.  Each worker slot has a set; a sibling's set is
 * added while its worker is dead (ADOPT) and taken out again (RELEASE).
 *
 * At the connection limit, and where no descriptor can be had, the client that has been idle
 * longest makes room.  Is nobody idle, nothing is accepted for a moment: the events are taken out,
 * so that the loop does not spin.
 */
#ifndef XF_PROXY_ACCEPTOR_H
#define XF_PROXY_ACCEPTOR_H

#include "proxy/worker/engine.h"

struct xf_acceptor;

XF_NODISCARD int xf_acceptor_create(struct xf_engine *engine, const struct xf_worker_start *start,
                                    struct xf_acceptor **ret, struct xf_error *err);
void xf_acceptor_destroy(struct xf_acceptor *acceptor); /* accepts NULL */

/* A slot out of range is ignored. */
void xf_acceptor_add(struct xf_acceptor *acceptor, uint64_t slot);
void xf_acceptor_remove(struct xf_acceptor *acceptor, uint64_t slot);
void xf_acceptor_remove_all(struct xf_acceptor *acceptor);
/* Accepts what waits now on the sets in the loop, so that nobody let in by the kernel is lost. */
void xf_acceptor_empty_queues(struct xf_acceptor *acceptor);
/* Takes every set out and closes every listening socket. */
void xf_acceptor_close_all(struct xf_acceptor *acceptor);

/* Once a tick and whenever clients have gone: begins to accept again where it may. */
void xf_acceptor_review(struct xf_acceptor *acceptor);

#endif
