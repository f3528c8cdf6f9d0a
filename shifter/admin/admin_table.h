/*
 * admin_table.h -- every request that the admin API answers, with who may ask.
 *
 * openapi.json describes the same requests, and a test holds the two against each other.
 */
#ifndef XF_SHIFTER_ADMIN_TABLE_H
#define XF_SHIFTER_ADMIN_TABLE_H

#include "shifter/admin/admin.h"

#define XF_ADMIN_SEGMENTS_MAX 6u

/* The segments of a path, decoded. */
struct xf_admin_path {
    char segment[XF_ADMIN_SEGMENTS_MAX][XF_ADMIN_TEXT_BYTES];
    unsigned count;
};

enum xf_admin_kind {
    XF_ADMIN_PAGE,
    XF_ADMIN_HEALTH,
    XF_ADMIN_READY,
    XF_ADMIN_METRICS,
    XF_ADMIN_SERVICES,
    XF_ADMIN_EVENTS,
    XF_ADMIN_QUESTION, /* segment 3 says which */
    XF_ADMIN_SIGNAL,
    XF_ADMIN_VERB, /* likewise */
    XF_ADMIN_SERVERS,
    XF_ADMIN_ORDER, /* segment 4 says which */
    XF_ADMIN_REEXEC,
};

/* Requests that need less than their role. */
enum xf_admin_open {
    XF_ADMIN_CLOSED,
    XF_ADMIN_OPEN_HERE, /* from this host nobody needs a token */
    XF_ADMIN_OPEN_PAGE, /* nobody does, by a name that is ours */
    XF_ADMIN_OPEN,      /* nobody does */
};

struct xf_admin_entry {
    enum xf_http_method method; /* a GET answers HEAD too */
    const char *path;           /* `{name}` stands for any one segment */
    enum xf_admin_kind kind;
    enum xf_admin_role role; /* that is needed at least */
    enum xf_admin_open open;
};

/* Ends with an entry whose path is NULL. */
extern const struct xf_admin_entry xf_admin_table[];

/* The entry of a request.  NULL: none; *ret_methods then says in words what the path takes, NULL
 * where there is no such path. */
const struct xf_admin_entry *xf_admin_table_find(enum xf_http_method method,
                                                 const struct xf_admin_path *path,
                                                 const char **ret_methods);

#endif
