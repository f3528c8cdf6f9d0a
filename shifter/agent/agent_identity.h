/*
 * agent_identity.h -- who this proxy is: a UUID kept in the state directory.
 *
 * The name in the configuration is a label and may change; the roster knows proxies by this.
 */
#ifndef XF_SHIFTER_AGENT_IDENTITY_H
#define XF_SHIFTER_AGENT_IDENTITY_H

#include "config/base/error.h"
#include "config/base/text.h"

/* Reads `id` in the directory, or makes it (written, synced, renamed).  A file that holds
 * anything else is an error: a copied or torn identity must not be replaced silently. */
XF_NODISCARD int xf_agent_identity_load(int state_dir_fd, char ret[XF_UUID_TEXT_BYTES],
                                        struct xf_error *err);

#endif
