/*
 * resp_node.h -- one connection to one Redis; for resp.c, which others use.
 *
 * RESP2 with hiredis' reader and formatter on our own stream.  Connects by itself, again and
 * again with jittered back-off, authenticates, selects the database, names itself; after that
 * commands are pipelined and answered in order.  What the server says is a stranger's: an answer
 * that is too large, malformed, unasked for or too late closes the connection.
 */
#ifndef XF_SHIFTER_RESP_NODE_H
#define XF_SHIFTER_RESP_NODE_H

#include "shifter/store/resp.h"

struct xf_resp_node;

/* To `host` and `port`; NULL: to where the configuration says.  Returns at once and connects from
 * the loop; `config` outlives it.  `ready` is told of each failure, also before the first success.
 * NULL: out of memory. */
XF_NODISCARD struct xf_resp_node *xf_resp_node_create(struct event_base *loop,
                                                      const struct xf_clock *clock,
                                                      const struct xf_config_store *config,
                                                      const char *host, uint16_t port,
                                                      const struct xf_resp_calls *calls);
const char *xf_resp_node_why(const struct xf_resp_node *node);  /* why it is not ready */
const char *xf_resp_node_host(const struct xf_resp_node *node); /* where it is connected to */
/* Sends a command as it is; its answer must come within `limit_ms`.  False: not sent, `done` is
 * not called. */
XF_NODISCARD bool xf_resp_node_send(struct xf_resp_node *node, const char *text, size_t length,
                                    int64_t limit_ms, xf_resp_done *done, void *context);
void xf_resp_node_reconnect(struct xf_resp_node *node, const char *why);
/* Accepts NULL.  What is open is answered with NULL from inside this call. */
void xf_resp_node_destroy(struct xf_resp_node *node);

#endif
