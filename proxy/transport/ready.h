/*
 * ready.h -- the connections that a turn of the loop reported, until the turn goes on with them.
 *
 * Belongs to one worker.  The loop's callbacks only note what they were told and add the
 * connection here; run(), before the turn does anything else, reads for those that are about to
 * read in one system call (gather.h) and then lets each go on, in the order of their events.
 * Without a gather nothing is kept: add() lets the connection go on at once.
 */
#ifndef XF_PROXY_READY_H
#define XF_PROXY_READY_H

#include "proxy/transport/gather.h"
#include "proxy/transport/transport.h"

#define XF_READY_MAX 128u

typedef void xf_ready_go(void *owner, short what);

struct xf_ready {
    struct xf_gather *gather; /* NULL: none */
    unsigned count;
    struct {
        struct xf_conn *conn;
        void *owner;
        xf_ready_go *go;
        short what;
        bool reads; /* it is about to read the beginning of a message */
    } entries[XF_READY_MAX];
};

void xf_ready_add(struct xf_ready *ready, struct xf_conn *conn, short what, bool reads,
                  xf_ready_go *go, void *owner);
/* Those that were closed meanwhile are passed over.  Objects must not be freed before this. */
void xf_ready_run(struct xf_ready *ready);

#endif
