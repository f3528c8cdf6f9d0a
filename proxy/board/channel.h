/*
 * channel.h -- what the supervisor and its children say to each other.
 *
 * Each child has one SOCK_SEQPACKET socket pair with the supervisor; a message is one packet of a
 * fixed header, a few numbers and at most XF_CHANNEL_FDS_MAX descriptors.  End of file means that
 * the supervisor is gone: the child closes every listening socket at once, finishes for at most
 * 5 s and exits (DESIGN.md section 2).
 */
#ifndef XF_PROXY_CHANNEL_H
#define XF_PROXY_CHANNEL_H

#include "config/base/check.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_CHANNEL_FDS_MAX 250u /* SCM_MAX_FD is 253; enough for XF_WORKERS_MAX workers */

enum xf_channel_kind {
    /* supervisor -> worker */
    XF_CHANNEL_ACCEPT = 1, /* begin to accept on your own sockets (the route is there) */
    XF_CHANNEL_ADOPT,      /* add the sockets of slot a to your loop as well */
    XF_CHANNEL_RELEASE,    /* event_del the sockets of slot a; never close */
    XF_CHANNEL_RETIRE,     /* a newer edition accepts: stop accepting, close your copies of the
                              listening sockets, serve what you have, end at timeouts.shutdown;
                              a: CLOCK_BOOTTIME ms of that moment */
    XF_CHANNEL_STOP,       /* SIGTERM: as RETIRE, and close idle clients; may come after it */
    XF_CHANNEL_LAMEDUCK,   /* SIGTERM is near: health paths answer 503, all else goes on */
    /* worker -> supervisor */
    XF_CHANNEL_ACCEPTING, /* my sockets are in my loop */
    /* supervisor -> agent */
    XF_CHANNEL_CONFIG,       /* a: edition; fds[0]: a sealed memfd with the text of its
                                configuration.  Comes before each EDITION */
    XF_CHANNEL_EDITION,      /* a: edition, b: workers, then c: 1 if from another binary; fds:
                                control, retired, stats[0..b) */
    XF_CHANNEL_EDITION_OVER, /* a: edition; all its workers are reaped and folded */
    XF_CHANNEL_WORKER_GONE,  /* a: edition, b: worker; its slot was folded and its counter is even
                                and will be used again by a successor */
    XF_CHANNEL_ADMIN,        /* fds: the admin socket, then the TCP listener if there is one */
    XF_CHANNEL_CHECK,        /* may this configuration replace the present one?  a: a number for
                                the answer; fds[0]: a sealed memfd with its text */
    XF_CHANNEL_RELOADED,     /* a: 1 success, 0 refused; text: why */
    XF_CHANNEL_STOPPING,     /* SIGTERM: leave the roster once every edition is over, then exit;
                                the end of file comes soon after */
    /* agent -> supervisor */
    XF_CHANNEL_ROUTED,  /* a: edition: its board holds a route for every service: accept */
    XF_CHANNEL_VERDICT, /* a: the number of the CHECK; b: 1 it may, 0 refused; text: why, such
                           as `cluster "web-v1" is blue of service "gateway"` */
    XF_CHANNEL_REEXEC,  /* an operator asked for it */
    XF_CHANNEL_RELOAD,
    /* supervisor -> logger */
    XF_CHANNEL_RINGS,      /* a: edition, b: rings; text: access_log.path; c: 1 when fds[0] is that
                              file, opened; then its workers' rings */
    XF_CHANNEL_RINGS_OVER, /* a: edition; its workers are gone: empty the rings, let them go */
    XF_CHANNEL_REOPEN,     /* SIGUSR1; a: edition; fds[0]: its file, opened anew */
    /* supervisor -> agent.  A re-execution leaves the workers of the binary before with the numbers
     * that they know: new kinds come at the end, and none is ever sent to workers that forked them.
     */
    XF_CHANNEL_REEXECED, /* a: how many re-executions were tried, b: what became of the last: 0
                            none was tried, 1 under way, 2 done, 3 refused; text: why */
    XF_CHANNEL_PING,     /* does your loop turn? */
    /* agent -> supervisor */
    XF_CHANNEL_PONG, /* it does */
    /* supervisor -> worker */
    XF_CHANNEL_SHUT, /* SIGTERM: nobody new gets in.  As LAMEDUCK, and every answer says close */
    XF_CHANNEL_KINDS
    /* shifter -> supervisor -> agent: none; they have a socket of their own (shifter/bus/bus.h) */
};

#define XF_CHANNEL_TEXT_BYTES 512

struct xf_channel_message {
    uint32_t kind;
    uint32_t fds_count;
    uint64_t a, b, c, d;
    char text[XF_CHANNEL_TEXT_BYTES];
    int fds[XF_CHANNEL_FDS_MAX]; /* received: close-on-exec, owned by the receiver */
};

/* Makes a pair, both ends close-on-exec and non-blocking.  False: errno says why. */
XF_NODISCARD bool xf_channel_pair(int ret[2]);
/* Sends one message; blocks never.  False: the other end is gone or its queue is full (EAGAIN). */
XF_NODISCARD bool xf_channel_send(int fd, const struct xf_channel_message *message);
enum xf_channel_result { XF_CHANNEL_GOT, XF_CHANNEL_EMPTY, XF_CHANNEL_CLOSED };
/* Receives one message; a malformed packet counts as CLOSED. */
enum xf_channel_result xf_channel_receive(int fd, struct xf_channel_message *ret);

#endif
