/*
 * listener_begun.c -- whether the kernel still keeps connections to itself that have begun.
 *
 * Such are handshakes that are not over, and with TCP_DEFER_ACCEPT those whose client has not sent
 * its first bytes.  No call on a listening socket tells of them, so the kernel's tables are read:
 * while the program stops, and at no other time.
 */
#include "proxy/supervisor/listener.h"

#include <netinet/in.h>
#include <stdio.h>

#define SYN_RECEIVED 3u  /* as /proc/net/tcp writes it */
#define LINE_BYTES   512 /* three times what a line has */

static bool is_ours(const struct xf_listeners *listeners, unsigned port)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        const struct xf_bind *bind = &listeners->binds[i];
        const struct sockaddr_in *v4 = (const void *) &bind->address;
        const struct sockaddr_in6 *v6 = (const void *) &bind->address;
        bool inet = bind->address.ss_family == AF_INET;
        if (!bind->inherited && port == ntohs(inet ? v4->sin_port : v6->sin6_port)) {
            return true;
        }
    }
    return false;
}

static bool any_in(const struct xf_listeners *listeners, const char *path)
{
    char line[LINE_BYTES];
    bool found = false;
    FILE *table = fopen(path, "re");
    while (table != NULL && !found && fgets(line, sizeof(line), table) != NULL) {
        unsigned port, state;
        found = sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) == 2 &&
                state == SYN_RECEIVED && is_ours(listeners, port);
    }
    if (table != NULL) {
        (void) fclose(table);
    }
    return found;
}

bool xf_listeners_begun(const struct xf_listeners *listeners)
{
    return any_in(listeners, "/proc/net/tcp") || any_in(listeners, "/proc/net/tcp6");
}
