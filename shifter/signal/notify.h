/*
 * notify.h -- tells people what happens to a cutover, over the webhooks that its plan names.
 *
 * A notification is news, not a record: it is tried a few times and then given up, and when many
 * wait the oldest goes.  Nothing ever waits for one.
 */
#ifndef XF_SHIFTER_NOTIFY_H
#define XF_SHIFTER_NOTIFY_H

#include "config/base/clock.h"
#include "config/base/log.h"
#include "config/config.h"
#include "shifter/plan/plan.h"

#include <stdint.h>

#define XF_NOTIFY_SCHEMA      1
#define XF_NOTIFY_WAITING_MAX 64u /* over all webhooks */
#define XF_NOTIFY_TRIES       5u

struct event_base;
struct xf_notify;

struct xf_notification {
    enum xf_log_level severity;
    const char *event; /* `cutover.retreat`, as in the log */
    const char *service, *cutover, *state;
    unsigned weight;      /* wanted now */
    const char *sentence; /* for people */
    int64_t at_ms;        /* wall clock */
};

struct xf_notify_calls {
    /* One was given up after its tries: for the log. */
    void (*dropped)(void *context, const char *webhook, const char *why);
    void *context;
};

/* `config` has the webhooks and outlives it.  NULL: out of memory. */
XF_NODISCARD struct xf_notify *xf_notify_create(struct event_base *loop,
                                                const struct xf_clock *clock,
                                                const struct xf_config *config,
                                                unsigned retry_ms_min, /* 0: 1 s */
                                                const struct xf_notify_calls *calls);
/* Queues it for each target whose severity it reaches (a smaller number is more severe).  Calls
 * nothing back. */
void xf_notify_tell(struct xf_notify *notify, const struct xf_plan_notify *targets, unsigned count,
                    const struct xf_notification *notification);
/* The body for a webhook of this format; the caller frees it.  NULL: out of memory. */
XF_NODISCARD char *xf_notify_body(const struct xf_notification *notification,
                                  enum xf_webhook_format format);
void xf_notify_destroy(struct xf_notify *notify); /* accepts NULL; not from its callback */

#endif
