/*
 * listener.h -- the listening sockets, which belong to the supervisor and outlive editions.
 *
 * One socket per address and worker slot, all with SO_REUSEPORT, so that the kernel spreads new
 * connections.  The group of an address never becomes smaller while the supervisor runs: a member
 * that is closed resets what waits in its queue.  Bound at once, listening only when a board
 * holds a route.  Sockets from systemd are shared: they stand in every slot.
 */
#ifndef XF_PROXY_LISTENER_H
#define XF_PROXY_LISTENER_H

#include "config/base/error.h"
#include "config/config.h"
#include "proxy/supervisor/handover.h"

#include <stdbool.h>

struct xf_bind { /* one address */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    int fds[XF_WORKERS_MAX]; /* [slots], -1 where not open */
    unsigned slots;
    bool inherited; /* from systemd: fds[0] is for every slot */
};

struct xf_listeners {
    struct xf_bind *binds;
    unsigned count;
    unsigned slots; /* most slots any edition had */
};

/* Takes over the sockets that systemd passed (LISTEN_PID, LISTEN_FDS), which then are ours. */
XF_NODISCARD int xf_listeners_init(struct xf_listeners *listeners, struct xf_error *err);
/* For the next image of the supervisor: `ret->bind` is allocated, and released by the caller. */
XF_NODISCARD int xf_listeners_describe(const struct xf_listeners *listeners, struct xf_handed *ret,
                                       struct xf_error *err);
/* Takes over what the image before described; after init(). */
XF_NODISCARD int xf_listeners_adopt(struct xf_listeners *listeners, const struct xf_handed *handed,
                                    struct xf_error *err);
void xf_listeners_release(struct xf_listeners *listeners); /* closes all */
/* Whether the socket of `endpoint` is open already. */
bool xf_listeners_has(const struct xf_listeners *listeners, const struct xf_endpoint *endpoint);
/* Binds what `config` needs for `workers` slots and is not bound yet.  A failure leaves what was
 * open before as it was. */
XF_NODISCARD int xf_listeners_open(struct xf_listeners *listeners, const struct xf_config *config,
                                   unsigned workers, struct xf_error *err);
/* Makes every socket listen that does not yet. */
XF_NODISCARD int xf_listeners_listen(struct xf_listeners *listeners, struct xf_error *err);
/* ret_fds[slot * config->listeners_count + listener], for `listeners->slots` slots. */
void xf_listeners_fill(const struct xf_listeners *listeners, const struct xf_config *config,
                       int *ret_fds);
/* From here on who connects is accepted at once, not with his first bytes: a socket that is closed
 * resets those that wait for theirs. */
void xf_listeners_defer_no_more(struct xf_listeners *listeners);
/* The same, and from here on new connections are refused, while those that the kernel has begun can
 * still be accepted.  There is no way back.  Sockets from systemd stay open. */
void xf_listeners_shut(struct xf_listeners *listeners);
/* Whether the kernel has connections to our own sockets that it did not let be accepted yet: after
 * shut() for a second at most, by then their clients have sent something or been asked again. */
bool xf_listeners_begun(const struct xf_listeners *listeners);
/* Ends the addresses that `config` does not name; NULL: all of them.  They stop listening even
 * where another process still holds a copy. */
void xf_listeners_drop(struct xf_listeners *listeners, const struct xf_config *config);

#endif
