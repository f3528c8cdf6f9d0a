/*
 * instance.h -- one supervisor per state directory and per address.
 *
 * An exclusive flock on the state directory, held through a descriptor that the agent and the
 * shifter inherit: so a successor of a killed supervisor waits for them too.  And a bind to each
 * address with SO_REUSEADDR and without SO_REUSEPORT, which fails while anybody serves there.
 */
#ifndef XF_PROXY_INSTANCE_H
#define XF_PROXY_INSTANCE_H

#include "config/base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_INSTANCE_WAIT_MS 6000 /* longer than children outlive a killed supervisor (5 s) */

struct xf_instance {
    int state_dir_fd; /* locked; -1: none */
};

/* Makes the state directory (0700) where its parent exists, locks it and probes the addresses of
 * the listeners; tries both for XF_INSTANCE_WAIT_MS.  XF_E_RUNNING: `already running, pid N`.
 * `skip(context, endpoint)` tells which addresses are ours already (systemd's); may be NULL. */
XF_NODISCARD int xf_instance_take(const struct xf_config *config, int64_t wait_ms,
                                  bool (*skip)(void *context, const struct xf_endpoint *endpoint),
                                  void *context, struct xf_instance *ret, struct xf_error *err);
void xf_instance_release(struct xf_instance *instance); /* removes the pid file */

#endif
