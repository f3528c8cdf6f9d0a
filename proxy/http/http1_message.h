/*
 * http1_message.h -- what request and response heads have in common, for the two parsers only.
 */
#ifndef XF_PROXY_HTTP1_MESSAGE_H
#define XF_PROXY_HTTP1_MESSAGE_H

#include "proxy/http/http1_scan.h"

/* A head on its way through a parser. */
struct xf_head {
    const struct xf_scanner *scanner;
    const char *bytes;
    size_t end; /* what may be looked at: the input, cut at the limit */
    bool full;  /* the input reaches the limit: running out of it is a refusal */
    size_t at;  /* the next byte */
    struct xf_field *fields;
    uint32_t count;
    uint32_t repeated; /* bit `known` set: this field came on more than one line */
    uint16_t *first;   /* XF_FIELD_NAMES entries of the result, zeroed */
    struct xf_http_refusal *refusal;
};

/* Fills `refusal` and returns BAD. */
enum xf_http_verdict xf_head_refuse(struct xf_head *head, uint16_t status, const char *reason);

/* MORE, or the refusal `status` where the limit is reached. */
enum xf_http_verdict xf_head_short(struct xf_head *head, uint16_t status);

/*
 * Whether the bytes from `seen` on cannot have changed an earlier MORE: no line ended among them,
 * no control character came and the limit is not reached.
 */
bool xf_head_unchanged(const struct xf_head *head, size_t seen);

/* Reads the field lines and fills known and first; MORE, BAD (400, 431) or DONE. */
enum xf_http_verdict xf_head_fields(struct xf_head *head, uint32_t room);

/* Whether the known field `known` is there. */
static inline bool xf_head_has(const struct xf_head *head, enum xf_field_name known)
{
    return head->first[known] != 0;
}

/* The next line of field `known` from index *at on (0 at first), or NULL; moves *at behind it. */
const struct xf_field *xf_head_next(const struct xf_head *head, enum xf_field_name known,
                                    uint32_t *at);

/* What the Connection lines say; marks the fields they nominate. */
struct xf_connection {
    bool close;
    bool keep_alive;
    bool upgrade;
};
#define XF_CONNECTION_MEMBERS_MAX 64u /* each is compared with every field */

/* False: more than XF_CONNECTION_MEMBERS_MAX members. */
bool xf_head_connection(struct xf_head *head, struct xf_connection *ret);

/* Reads the Content-Length lines.  NULL and *ret set, or what is wrong (RFC 9112 6.3). */
const char *xf_head_length(const struct xf_head *head, uint64_t *ret);

enum xf_coding {
    XF_CODING_CHUNKED, /* exactly one `chunked` and nothing else */
    XF_CODING_UNKNOWN, /* well formed, but another coding is in it */
    XF_CODING_BAD,     /* malformed, or `chunked` twice or not last */
};
enum xf_coding xf_head_coding(const struct xf_head *head);

#endif
