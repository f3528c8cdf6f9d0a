/*
 * webhook.h -- one POST of a JSON body to a configured webhook, signed.
 *
 * `X-Crossfade-Signature: t=UNIX,v1=HEX` is HMAC-SHA256 over `UNIX.body` with the content of the
 * webhook's secret file, without the newline at its end.  The file is read at each attempt, so
 * that a secret may be changed while crossfade runs.
 */
#ifndef XF_SHIFTER_WEBHOOK_H
#define XF_SHIFTER_WEBHOOK_H

#include "config/base/clock.h"
#include "config/base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

#define XF_WEBHOOK_TIMEOUT_MS      10000
#define XF_WEBHOOK_SECRET_BYTES    4096u /* most a secret file may hold */
#define XF_WEBHOOK_SIGNATURE_BYTES 100u

struct event_base;
struct xf_webhook;

/* Comes once, later, from the loop; `accepted` means 2xx, `sentence` says how it went. */
typedef void xf_webhook_done(void *context, bool accepted, const char *sentence);

/* `may_send` as in http_call.h. */
XF_NODISCARD int xf_webhook_post(struct event_base *loop, const struct xf_clock *clock,
                                 const struct xf_config_webhook *webhook, const char *body,
                                 bool (*may_send)(void *context), xf_webhook_done *done,
                                 void *context, struct xf_webhook **ret, struct xf_error *err);
void xf_webhook_destroy(struct xf_webhook *webhook); /* accepts NULL; no call of `done` */

/* The header's value, `t=UNIX,v1=HEX`. */
void xf_webhook_sign(const void *secret, size_t secret_bytes, int64_t unix_s, const char *body,
                     char out[XF_WEBHOOK_SIGNATURE_BYTES]);

#endif
