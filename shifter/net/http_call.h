/*
 * http_call.h -- one HTTP/1.1 request to somebody else's server, and its answer.
 *
 * For webhooks and gates: a connection of its own, verified TLS for https://, one time limit over
 * everything, an answer of bounded size read by the proxy's strict parser.  Follows no redirect.
 */
#ifndef XF_SHIFTER_HTTP_CALL_H
#define XF_SHIFTER_HTTP_CALL_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct xf_http_call;

struct xf_http_call_options {
    const char *method;
    const char *url;
    const char *ca;      /* PEM file for https://; NULL: the system's */
    const char *headers; /* further complete lines, each with its CRLF; NULL: none */
    const char *body;    /* NULL: none */
    size_t body_bytes;
    int64_t timeout_ms;
    size_t answer_bytes_max; /* of the answer's body */
    /* Asked when the connection stands, immediately before the request goes out; false ends the
     * call without it.  NULL: nobody is asked. */
    bool (*may_send)(void *context);
};

struct xf_http_answer {
    unsigned status;
    const char *body; /* terminated */
    size_t body_bytes;
};

/* Comes once, later, from the loop; `answer` is NULL where there is none, and `why` says it.  The
 * call may be destroyed here. */
typedef void xf_http_call_done(void *context, const struct xf_http_answer *answer, const char *why);

XF_NODISCARD int xf_http_call_start(struct event_base *loop,
                                    const struct xf_http_call_options *options,
                                    xf_http_call_done *done, void *context,
                                    struct xf_http_call **ret, struct xf_error *err);
void xf_http_call_destroy(struct xf_http_call *call); /* accepts NULL; no call of `done` */

#endif
