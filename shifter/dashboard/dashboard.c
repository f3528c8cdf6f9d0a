/*
 * dashboard.c -- see dashboard.h.
 *
 * The page may load nothing but what stands beside it, run no script that is not a file here, be
 * shown in no frame, and no string may become HTML in it: a hostile name in what it shows stays
 * text, whatever the page's own code does.
 */
#include "shifter/dashboard/dashboard.h"

#include <string.h>

static const char *const lines[] = {
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Referrer-Policy: no-referrer",
    "X-Frame-Options: DENY",
    "Cross-Origin-Opener-Policy: same-origin",
    "Cross-Origin-Resource-Policy: same-origin",
};

bool xf_dashboard_has(const char *field, const char *etag)
{
    return strcmp(field, "*") == 0 || strstr(field, etag) != NULL; /* the quotes belong to it */
}

bool xf_dashboard_answer(struct xf_admin_exchange *exchange, const struct xf_admin_request *request)
{
    const struct xf_dashboard_file *file = xf_dashboard_files;
    while (file->path != NULL && strcmp(file->path, request->path) != 0) {
        file++;
    }
    if (file->path == NULL) {
        return false;
    }
    for (unsigned i = 0; i < XF_COUNT(lines); i++) {
        xf_admin_header(exchange, lines[i]);
    }
    xf_admin_etag(exchange, file->etag);
    if (xf_dashboard_has(request->if_none_match, file->etag)) {
        xf_admin_answer(exchange, 304, file->type, "", 0);
    } else {
        xf_admin_answer(exchange, 200, file->type, file->bytes, file->length);
    }
    return true;
}
