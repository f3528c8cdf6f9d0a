/*
 * supervisor_limits.c -- open files, and the connections that they allow.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"

#include <sys/resource.h>

#define SPARE_FILES 64u /* board, channel, log, loop, standard streams, and some room */

void xf_supervisor_fit_limits(struct xf_config *config, unsigned sockets)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return;
    }
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &files);
        (void) getrlimit(RLIMIT_NOFILE, &files);
    }
    /* A client costs two: its own connection and one to a server. */
    uint64_t fixed = SPARE_FILES + (uint64_t) sockets * config->listeners_count;
    uint64_t share = files.rlim_cur > fixed + 2 ? (files.rlim_cur - fixed) / 2 : 1;
    uint64_t most = share * config->workers;
    if (files.rlim_cur != RLIM_INFINITY && config->limits.connections > most) {
        xf_log(XF_LOG_WARNING, "limits.lowered",
               "key=limits.connections from=%llu to=%llu open_files=%llu",
               (unsigned long long) config->limits.connections, (unsigned long long) most,
               (unsigned long long) files.rlim_cur);
        config->limits.connections = most;
    }
}
