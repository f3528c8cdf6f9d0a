/*
 * ready.c -- see ready.h.
 */
#include "proxy/transport/ready.h"

#define READS_MIN 2u /* fewer are cheaper one by one */

void xf_ready_add(struct xf_ready *ready, struct xf_conn *conn, short what, bool reads,
                  xf_ready_go *go, void *owner)
{
    if (ready->gather == NULL || ready->count == XF_READY_MAX) {
        go(owner, what);
        return;
    }
    unsigned i = ready->count++;
    ready->entries[i].conn = conn;
    ready->entries[i].owner = owner;
    ready->entries[i].go = go;
    ready->entries[i].what = what;
    ready->entries[i].reads = reads;
}

/* Reads for those of the entries from `first` on that want it; returns where to gather next. */
static unsigned gather(struct xf_ready *ready, unsigned first)
{
    unsigned end = first, reads = 0;
    while (end < ready->count && reads < XF_GATHER_PLACES) {
        reads += ready->entries[end].reads && ready->entries[end].conn->open;
        end++;
    }
    if (reads >= READS_MIN) {
        for (unsigned i = first; i < end; i++) {
            if (ready->entries[i].reads && ready->entries[i].conn->open) {
                xf_gather_ask(ready->gather, ready->entries[i].conn);
            }
        }
        xf_gather_read(ready->gather);
    }
    return end;
}

void xf_ready_run(struct xf_ready *ready)
{
    unsigned gathered = 0;
    for (unsigned i = 0; i < ready->count; i++) {
        if (i == gathered) {
            gathered = gather(ready, i);
        }
        if (ready->entries[i].conn->open) {
            ready->entries[i].go(ready->entries[i].owner, ready->entries[i].what);
        }
    }
    ready->count = 0;
}
