/*
 * fence.h -- what a cutover keeps clients from changing until it is over (DESIGN.md section 6).
 *
 * Pure.  The fence stands in the route record, so it goes up and down with a route word.
 */
#ifndef XF_PROXY_FENCE_H
#define XF_PROXY_FENCE_H

#include "proxy/http/http1.h"
#include "proxy/board/route.h"

/* Whether the fence stops this request: its method is listed and no glob allows its path. */
bool xf_fence_refuses(const struct xf_route_record *record, enum xf_http_method method,
                      const char *path, size_t length);

/* A glob against a path: `*` is one segment or a part of one, never a slash. */
bool xf_fence_glob(const char *glob, const char *path, size_t length);

#define XF_FENCE_TEXT_BYTES 256
/* The JSON body of the refusal; it names the cutover. */
void xf_fence_text(const struct xf_route_record *record, char out[XF_FENCE_TEXT_BYTES]);

#endif
