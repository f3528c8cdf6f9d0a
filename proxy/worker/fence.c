/*
 * fence.c -- see fence.h.
 */
#include "proxy/worker/fence.h"

#include <stdio.h>
#include <string.h>

bool xf_fence_glob(const char *glob, const char *path, size_t length)
{
    const char *star = NULL;
    size_t at = 0, mark = 0;
    while (at < length) {
        if (*glob == '*') {
            star = glob++;
            mark = at;
        } else if (*glob != '\0' && *glob == path[at]) {
            glob++;
            at++;
        } else if (star != NULL && path[mark] != '/') {
            glob = star + 1;
            at = ++mark;
        } else {
            return false;
        }
    }
    while (*glob == '*') {
        glob++;
    }
    return *glob == '\0';
}

bool xf_fence_refuses(const struct xf_route_record *record, enum xf_http_method method,
                      const char *path, size_t length)
{
    if ((record->fence_methods >> method & 1) == 0) {
        return false;
    }
    for (unsigned i = 0; i < record->fence_paths_count && i < XF_FENCE_PATHS_MAX; i++) {
        if (xf_fence_glob(record->fence_allow[i], path, length)) {
            return false;
        }
    }
    return true;
}

void xf_fence_text(const struct xf_route_record *record, char out[XF_FENCE_TEXT_BYTES])
{
    /* A cutover's name has no character that JSON would escape (DESIGN.md section 1). */
    (void) snprintf(out, XF_FENCE_TEXT_BYTES,
                    "{\"error\":\"fenced\",\"message\":\"changes are refused while a cutover is "
                    "going on\",\"cutover\":\"%.*s\"}",
                    (int) strnlen(record->cutover, sizeof(record->cutover)), record->cutover);
}
