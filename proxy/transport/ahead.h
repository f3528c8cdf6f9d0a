/*
 * ahead.h -- how much of a large answer the kernel holds for us, on both of its sides.
 *
 * Left alone, the kernel lets the buffers of a fast server and of a client that reads nothing grow
 * to 8 to 30 MiB for each such client.  These limits keep that below 8 MiB.  They cost speed, so
 * they are for connections about which nothing is known yet (exchange_ahead.c).
 *
 * Everything here is a wish: where the kernel does not know an option, nothing is limited.
 */
#ifndef XF_PROXY_AHEAD_H
#define XF_PROXY_AHEAD_H

#include "proxy/transport/transport.h"

#define XF_AHEAD_UNSENT_BYTES   (512 * 1024)  /* the kernel takes no more of an answer */
#define XF_AHEAD_RECEIVED_BYTES (1536 * 1024) /* half of what it receives before it is read */

/* What lies unsent towards `conn`, beyond what is on its way, is limited, or no longer. */
void xf_ahead_limit_unsent(const struct xf_conn *conn);
void xf_ahead_free_unsent(const struct xf_conn *conn);

/* What is received from `conn` and not yet read is limited, also where it was more before; true:
 * it is.  Freed, it grows as the kernel sees fit. */
bool xf_ahead_limit_received(const struct xf_conn *conn);
void xf_ahead_free_received(const struct xf_conn *conn);

#endif
