/*
 * paths.c -- where this process keeps its state and its socket by default.
 */
#include "config/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *environment(const char *name)
{
    return secure_getenv(name);
}

/* An absolute path from the environment; of a list (systemd's) the first. */
static bool folder(const char *(*variable)(const char *name), const char *name, const char *below,
                   char out[XF_PATH_BYTES])
{
    const char *value = variable(name);
    if (value == NULL || value[0] != '/') {
        return false;
    }
    size_t length = strcspn(value, ":");
    if (length + strlen(below) >= XF_PATH_BYTES) {
        return false;
    }
    snprintf(out, XF_PATH_BYTES, "%.*s%s", (int) length, value, below);
    return true;
}

void xf_paths_for(unsigned user, const char *(*variable)(const char *name), struct xf_paths *ret)
{
    if (!folder(variable, "STATE_DIRECTORY", "", ret->state_dir)) {
        if (user == 0) {
            snprintf(ret->state_dir, XF_PATH_BYTES, "/var/lib/crossfade");
        } else if (!folder(variable, "XDG_STATE_HOME", "/crossfade", ret->state_dir) &&
                   !folder(variable, "HOME", "/.local/state/crossfade", ret->state_dir)) {
            snprintf(ret->state_dir, XF_PATH_BYTES, "/tmp/crossfade-%u", user);
        }
    }
    if (!folder(variable, "RUNTIME_DIRECTORY", "/admin.sock", ret->socket)) {
        if (user == 0) {
            snprintf(ret->socket, XF_PATH_BYTES, "/run/crossfade/admin.sock");
        } else if (!folder(variable, "XDG_RUNTIME_DIR", "/crossfade/admin.sock", ret->socket)) {
            snprintf(ret->socket, XF_PATH_BYTES, "/tmp/crossfade-%u/admin.sock", user);
        }
    }
}

void xf_paths_default(struct xf_paths *ret)
{
    xf_paths_for((unsigned) geteuid(), environment, ret);
}
