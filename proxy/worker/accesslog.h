/*
 * accesslog.h -- one line per request, as JSON or in the combined format.
 *
 * Lines go into the worker's ring and never wait (logring.h).  A line is formatted only where
 * there is a log; what must be remembered of the head until then stands in one buffer.
 *
 *     {"time":…,"service":…,"client":…,"method":…,"path":…,"status":200,"bytes":128,
 *      "cluster":…,"server":…,"why":"weight","weight":12.5,"generation":7,"connect_ms":0.1,
 *      "first_byte_ms":1.2,"total_ms":1.3,"retries":0,"ended":"done"}
 *
 * A head that was refused has a line, too: of no cluster, ended by the proxy, with "reason" behind
 * that, and with as much of method and path as could be told for sure.
 *
 * Names and units are an interface: `crossfade replay` reads them.
 */
#ifndef XF_PROXY_ACCESSLOG_H
#define XF_PROXY_ACCESSLOG_H

#include "config/base/text.h"
#include "config/config.h"
#include "proxy/http/fields.h"

struct xf_access_entry {
    int64_t wall_ms;                                      /* the end */
    const char *service, *cluster, *server, *why, *ended; /* cluster, server, why: NULL for none */
    const char *client;
    struct xf_piece method, target, referer, agent;
    unsigned status;
    uint64_t bytes;
    int weight; /* at dispatch, hundredths of a per cent; below 0: outside a cutover */
    uint32_t generation;
    uint64_t connect_us, first_byte_us, total_us; /* from the request's begin; 0: never */
    unsigned retries;
    const char *reason; /* why its head was refused; NULL: it was not */
};

#define XF_ACCESS_METHOD_BYTES_MAX 32u
#define XF_ACCESS_TARGET_BYTES_MAX 2048u

/* Method and path of what begins at `bytes` and is no valid head, each empty where it cannot be
 * told.  An absolute target is left out: it may hold a password.  What is no visible ASCII is
 * never taken. */
void xf_access_find_request(const char *bytes, size_t length, struct xf_piece *ret_method,
                            struct xf_piece *ret_target);

/* Appends the line with its line feed to `out`, which the caller has cleared. */
void xf_access_format(struct xf_text *out, enum xf_log_format format,
                      const struct xf_access_entry *entry);

#endif
