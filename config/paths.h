/*
 * paths.h -- where this process keeps its state and its socket by default.
 *
 * root: /var/lib/crossfade and /run/crossfade.  systemd's STATE_DIRECTORY and RUNTIME_DIRECTORY
 * come first; everybody else gets the XDG folders.
 */
#ifndef XF_CONFIG_PATHS_H
#define XF_CONFIG_PATHS_H

#include <stdbool.h>

#define XF_PATH_BYTES 4096

struct xf_paths {
    char state_dir[XF_PATH_BYTES];
    char socket[XF_PATH_BYTES];
};

/* The defaults of this process, from its user and environment. */
void xf_paths_default(struct xf_paths *ret);
/* The same for a user and an environment (a getenv-like function); for tests. */
void xf_paths_for(unsigned user, const char *(*variable)(const char *name), struct xf_paths *ret);

#endif
