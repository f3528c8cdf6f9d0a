/*
 * admin_table.c -- see admin_table.h.
 */
#include "shifter/admin/admin_table.h"

#include <string.h>

#define SERVICE "/v1/services/{service}/"
#define SERVER  "/v1/servers/{cluster}/{address}/"
#define VERB(name)                                                                                 \
    {                                                                                              \
        XF_METHOD_POST, SERVICE name, XF_ADMIN_VERB, XF_ADMIN_OPERATOR, XF_ADMIN_CLOSED            \
    }
#define QUERY(name)                                                                                \
    {                                                                                              \
        XF_METHOD_GET, SERVICE name, XF_ADMIN_QUESTION, XF_ADMIN_VIEWER, XF_ADMIN_CLOSED           \
    }
#define ORDER(name)                                                                                \
    {                                                                                              \
        XF_METHOD_POST, SERVER name, XF_ADMIN_ORDER, XF_ADMIN_OPERATOR, XF_ADMIN_CLOSED            \
    }
#define PAGE(path)                                                                                 \
    {                                                                                              \
        XF_METHOD_GET, path, XF_ADMIN_PAGE, XF_ADMIN_NOBODY, XF_ADMIN_OPEN_PAGE                    \
    }

const struct xf_admin_entry xf_admin_table[] = {
    PAGE("/"),
    PAGE("/dashboard.js"),
    PAGE("/dashboard.css"),
    PAGE("/dashboard/{file}"),
    {XF_METHOD_GET, "/healthz", XF_ADMIN_HEALTH, XF_ADMIN_NOBODY, XF_ADMIN_OPEN},
    {XF_METHOD_GET, "/readyz", XF_ADMIN_READY, XF_ADMIN_NOBODY, XF_ADMIN_OPEN},
    {XF_METHOD_GET, "/metrics", XF_ADMIN_METRICS, XF_ADMIN_VIEWER, XF_ADMIN_OPEN_HERE},
    {XF_METHOD_GET, "/v1/services", XF_ADMIN_SERVICES, XF_ADMIN_VIEWER, XF_ADMIN_CLOSED},
    {XF_METHOD_GET, "/v1/events", XF_ADMIN_EVENTS, XF_ADMIN_VIEWER, XF_ADMIN_CLOSED},
    {XF_METHOD_GET, "/events", XF_ADMIN_EVENTS, XF_ADMIN_VIEWER, XF_ADMIN_CLOSED},
    QUERY("status"),
    QUERY("why"),
    QUERY("history"),
    QUERY("plan"),
    {XF_METHOD_GET, SERVICE "signal/{key}", XF_ADMIN_SIGNAL, XF_ADMIN_VIEWER, XF_ADMIN_CLOSED},
    VERB("start"),
    VERB("weight"),
    VERB("step"),
    VERB("promote"),
    VERB("back"),
    VERB("extend"),
    VERB("approve"),
    VERB("pause"),
    VERB("resume"),
    VERB("abort"),
    VERB("drain"),
    VERB("fence"),
    VERB("finalize"),
    VERB("preflight"),
    VERB("drift"),
    {XF_METHOD_POST, SERVICE "forget", XF_ADMIN_VERB, XF_ADMIN_ADMIN, XF_ADMIN_CLOSED},
    {XF_METHOD_GET, "/v1/servers", XF_ADMIN_SERVERS, XF_ADMIN_VIEWER, XF_ADMIN_CLOSED},
    ORDER("drain"),
    ORDER("ready"),
    ORDER("weight"),
    {XF_METHOD_GET, "/v1/reexec", XF_ADMIN_REEXEC, XF_ADMIN_VIEWER, XF_ADMIN_CLOSED},
    {XF_METHOD_POST, "/v1/reexec", XF_ADMIN_REEXEC, XF_ADMIN_ADMIN, XF_ADMIN_CLOSED},
    {.path = NULL},
};

static bool matches(const char *pattern, const struct xf_admin_path *path)
{
    for (unsigned i = 0; i < path->count; i++) {
        if (*pattern != '/') {
            return false;
        }
        pattern++;
        size_t length = strcspn(pattern, "/");
        const char *segment = path->segment[i];
        bool same = strlen(segment) == length && strncmp(segment, pattern, length) == 0;
        if (*pattern == '{' ? segment[0] == '\0' : !same) {
            return false;
        }
        pattern += length;
    }
    return *pattern == '\0';
}

const struct xf_admin_entry *xf_admin_table_find(enum xf_http_method method,
                                                 const struct xf_admin_path *path,
                                                 const char **ret_methods)
{
    enum xf_http_method wanted = method == XF_METHOD_HEAD ? XF_METHOD_GET : method;
    *ret_methods = NULL;
    for (const struct xf_admin_entry *entry = xf_admin_table; entry->path != NULL; entry++) {
        if (!matches(entry->path, path)) {
            continue;
        }
        if (entry->method == wanted) {
            return entry;
        }
        const char *one = entry->method == XF_METHOD_GET ? "GET, HEAD" : "POST";
        *ret_methods = *ret_methods != NULL ? "GET, HEAD, POST" : one;
    }
    return NULL;
}
