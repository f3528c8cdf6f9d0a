/*
 * dashboard.h -- the page at `/` of the admin API, and the files beside it.
 *
 * Their sources stand beside this file; the build puts them into the program (cmake/embed.cmake).
 * They hold no data: what the page shows it asks of the same API as everybody, with the same
 * rights.  So anybody may read them.
 */
#ifndef XF_SHIFTER_DASHBOARD_H
#define XF_SHIFTER_DASHBOARD_H

#include "shifter/admin/admin.h"

#include <stdbool.h>
#include <stddef.h>

/* One file, as the build found it. */
struct xf_dashboard_file {
    const char *path; /* where it is served */
    const char *type;
    const char *etag; /* of its content, with its quotes */
    const char *bytes;
    size_t length;
};

/* Ends with a file whose path is NULL.  Defined by the build. */
extern const struct xf_dashboard_file xf_dashboard_files[];

/* Whether `field`, the value of If-None-Match, has `etag`: who asks has that file already. */
bool xf_dashboard_has(const char *field, const char *etag);

/* Answers with the file at the request's path; false where there is none. */
bool xf_dashboard_answer(struct xf_admin_exchange *exchange,
                         const struct xf_admin_request *request);

#endif
