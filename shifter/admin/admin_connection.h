/*
 * admin_connection.h -- one client of the admin server; only admin*.c includes this.
 */
#ifndef XF_SHIFTER_ADMIN_CONNECTION_H
#define XF_SHIFTER_ADMIN_CONNECTION_H

#include "config/base/clock.h"
#include "config/base/list.h"
#include "shifter/admin/admin.h"

#include <event2/event.h>

struct xf_admin_peer {
    bool local;
    uid_t uid; /* if local */
    unsigned char address[XF_ADMIN_ADDRESS_BYTES];
};

#define XF_ADMIN_LINES_BYTES 1024u

struct xf_admin_exchange {
    void (*gone)(void *context);
    void *gone_context;
    char lines[XF_ADMIN_LINES_BYTES]; /* further ones of the head, each with its end */
    bool may_be_kept;
};

enum xf_admin_phase { XF_ADMIN_READING, XF_ADMIN_WAITING, XF_ADMIN_WRITING, XF_ADMIN_STREAMING };

struct xf_admin_connection {
    struct xf_list node;
    struct xf_admin *admin;
    int fd;
    struct xf_admin_peer peer;
    struct ssl_st *tls;   /* OpenSSL's SSL; NULL: plain text */
    bool tls_wants_write; /* before it can read on */
    struct event *readable, *writable;
    enum xf_admin_phase phase;
    struct xf_admin_exchange exchange;
    bool in_handler; /* the answer came before handle() returned: go on there, not deeper */

    char *in; /* bytes read and not yet used */
    size_t in_length, in_capacity, in_seen;
    size_t in_needed; /* head and body of the request that is being read; 0: not known yet */
    int64_t began_ms; /* monotonic: when the first bytes of its present request came */
    bool begun;       /* they have */
    bool keep_alive, head_only;

    char *out;
    size_t out_length, out_sent;
};

struct xf_admin {
    struct event_base *loop;
    const struct xf_clock *clock;
    struct xf_admin_calls calls;
    struct xf_list connections;
    unsigned connections_count, tcp_count;
    struct xf_list listeners;
    struct ssl_ctx_st *tls; /* owned; NULL: the port is plain */
    struct xf_field fields[XF_ADMIN_FIELDS_MAX];
};

/* Takes `fd`; closes it when there is no room. */
void xf_admin_connection_open(struct xf_admin *admin, int fd, const struct xf_admin_peer *peer);
void xf_admin_connection_close(struct xf_admin_connection *connection);

#endif
