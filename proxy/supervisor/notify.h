/*
 * notify.h -- telling systemd, without libsystemd.
 *
 * Does nothing where NOTIFY_SOCKET is not set.
 */
#ifndef XF_PROXY_NOTIFY_H
#define XF_PROXY_NOTIFY_H

#include "config/base/check.h"

#include <stdint.h>

struct xf_notify {
    int fd;              /* -1: nobody to tell */
    int64_t watchdog_ms; /* how often to tell that we live; 0: never */
};

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC and takes them out of the environment. */
void xf_notify_init(struct xf_notify *notify);
void xf_notify_release(struct xf_notify *notify);
/* Sends `NAME=value` lines; a failure is nobody's concern. */
void xf_notify_send(const struct xf_notify *notify, const char *format, ...) XF_PRINTF(2, 3);

#endif
