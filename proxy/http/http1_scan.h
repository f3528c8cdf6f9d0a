/*
 * http1_scan.h -- the loops of the head parser that touch every byte.
 *
 * The same loops exist three times: portable C, SSE4.2 and AVX2.  All give the same results for
 * every input, which the tests and the fuzz targets check; none reads outside [at, end).
 * Only the parsers and their tests include this file.
 */
#ifndef XF_PROXY_HTTP1_SCAN_H
#define XF_PROXY_HTTP1_SCAN_H

#include "proxy/http/http1.h"

enum xf_scan_end {
    XF_SCAN_DONE,  /* the empty line was read; `at` is behind it */
    XF_SCAN_SHORT, /* ran out of input, nothing wrong so far */
    XF_SCAN_MANY,  /* more lines than the table has room for */
    XF_SCAN_BAD,   /* see `reason` */
};

struct xf_scan_fields {
    size_t at;      /* in: where the field lines begin; out: behind the empty line */
    uint32_t count; /* out: entries filled; `known` and `nominated` are left to the caller */
    const char *reason;
};

struct xf_scanner {
    const char *name;
    /* Index of the first byte that may not stand in a token, a target, a field's text; or end. */
    size_t (*token)(const char *bytes, size_t at, size_t end);
    size_t (*target)(const char *bytes, size_t at, size_t end);
    size_t (*text)(const char *bytes, size_t at, size_t end);
    /* Reads field lines up to and with the empty line that ends them. */
    enum xf_scan_end (*fields)(const char *bytes, size_t end, struct xf_field *table, uint32_t room,
                               struct xf_scan_fields *scan);
};

/* The fastest scanner that this processor runs. */
const struct xf_scanner *xf_scanner_best(void);

/* The scanner number `index` that this processor runs, 0 being the portable one; NULL behind the
 * last.  For tests and benchmarks. */
const struct xf_scanner *xf_scanner_at(unsigned index);

/* The parsers of http1.h with a given scanner. */
enum xf_http_verdict xf_http_request_with(const struct xf_scanner *scanner, const char *bytes,
                                          size_t length, size_t seen,
                                          const struct xf_http_limits *limits,
                                          struct xf_field *fields, struct xf_http_request *ret,
                                          struct xf_http_refusal *ret_refusal);
enum xf_http_verdict xf_http_response_with(const struct xf_scanner *scanner, const char *bytes,
                                           size_t length, size_t seen,
                                           enum xf_http_method request_method,
                                           const struct xf_http_limits *limits,
                                           struct xf_field *fields, struct xf_http_response *ret,
                                           struct xf_http_refusal *ret_refusal);

#endif
