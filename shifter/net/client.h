/*
 * client.h -- the CLI's end of the admin API: one request, one answer, then the connection closes.
 *
 * Blocks, with time limits: only command-line programs use it, never the daemon.
 */
#ifndef XF_SHIFTER_CLIENT_H
#define XF_SHIFTER_CLIENT_H

#include "config/base/error.h"

#include <jansson.h>
#include <stdint.h>

struct xf_client_target {
    const char *socket; /* path of the admin socket; used unless url is set */
    const char *url;    /* http://host:port or https://host:port; NULL: the socket */
    const char *ca;     /* PEM file of who vouches for an https URL; NULL: the system's */
    const char *certificate, *key; /* of ours, PEM; NULL: none */
    const char *token_file;        /* its first line is sent as a bearer token; NULL: none */
};

struct xf_client_request {
    const char *method; /* GET or POST */
    const char *host;   /* the Host field where it is not the target's; NULL: the target's */
    const char *path;   /* with query, already escaped */
    const json_t *body; /* borrowed; NULL: none */
    int64_t timeout_ms; /* for the whole exchange; < 0: no limit */
};

struct xf_client_answer {
    int status;   /* of HTTP */
    json_t *body; /* owned; NULL where the answer was no JSON */
    char *text;   /* owned; the body as it came */
};

/*
 * Fails with XF_E_UNREACHABLE (nobody there, no answer), XF_E_TIMED_OUT, XF_E_DENIED (socket
 * permissions) or XF_E_USAGE (a bad URL).  An answer of any status is a success.
 */
XF_NODISCARD int xf_client_call(const struct xf_client_target *target,
                                const struct xf_client_request *request,
                                struct xf_client_answer *ret, struct xf_error *err);
void xf_client_answer_release(struct xf_client_answer *answer);

#endif
