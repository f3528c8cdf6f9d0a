/*
 * digest.h -- what two hosts must have in common to serve one service (DESIGN.md section 8).
 */
#ifndef XF_CONFIG_DIGEST_H
#define XF_CONFIG_DIGEST_H

#include "config/config.h"

/* Fills the digest of each service and of the whole.  A digest covers the names of the clusters of
 * the service and of those that follow it, in their order, and the addresses, weights and roles of
 * their servers in any order; it does not cover what each host may set for itself.  False without
 * memory. */
XF_NODISCARD bool xf_digest_fill(struct xf_config *config);

#endif
