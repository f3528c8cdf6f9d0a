/*
 * bus_message_parts.h -- what the files of bus_message share; nothing else includes it.
 */
#ifndef XF_SHIFTER_BUS_MESSAGE_PARTS_H
#define XF_SHIFTER_BUS_MESSAGE_PARTS_H

#include "shifter/bus/bus_message.h"
#include "shifter/net/json.h"

/* {"kind": …}; NULL without memory. */
json_t *xf_message_new(enum xf_message_kind kind);
/* `message`, or NULL (and it is freed) when something could not be put. */
json_t *xf_message_finish(json_t *message, bool ok);
json_t *xf_message_proxy_make(const struct xf_message_proxy *proxy);
void xf_message_proxy_read(struct xf_json *reader, const json_t *message,
                           struct xf_message_proxy *ret);
/* A service's or cluster's name, checked. */
void xf_message_name_read(struct xf_json *reader, const json_t *object, const char *key,
                          char out[XF_NAME_BYTES]);

#endif
