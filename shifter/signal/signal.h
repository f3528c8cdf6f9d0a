/*
 * signal.h -- delivers the record that says that a cluster may be decommissioned, or that it may
 * not after all (DESIGN.md section 12).
 *
 * Delivered at least once to each receiver, the webhook and the hook that the plan names, always
 * with the same key, until each took it (2xx, exit 0).  Immediately before every attempt the owner
 * is asked whether lease and record still stand; the attempt begins within 2 s of that question,
 * or it is asked again.  A larger sequence wins: its owner destroys this delivery and makes the
 * next.
 */
#ifndef XF_SHIFTER_SIGNAL_H
#define XF_SHIFTER_SIGNAL_H

#include "config/base/clock.h"
#include "config/base/error.h"
#include "config/base/limits.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_SIGNAL_SCHEMA   1
#define XF_SIGNAL_BEGIN_MS 2000 /* most between asking and beginning */

struct event_base;

enum xf_signal_event { XF_SIGNAL_DECOMMISSION = 1, XF_SIGNAL_REVOKED = 2 };

struct xf_signal_record {
    char key[XF_CUTOVER_ID_BYTES];
    unsigned sequence; /* 1 decommission, 2 revoked */
    enum xf_signal_event event;
    char service[XF_NAME_BYTES], from[XF_NAME_BYTES], to[XF_NAME_BYTES];
    int64_t at_ms; /* wall clock, when the record was made */
};
const char *xf_signal_event_name(enum xf_signal_event event);
/* `{schema, key, sequence, event, service, from, to, at}`: what receivers, store and
 * `GET …/signal/KEY` show.  The caller frees it; NULL: out of memory. */
XF_NODISCARD char *xf_signal_body(const struct xf_signal_record *record);

struct xf_signal;
struct xf_signal_calls {
    /* Ask the store whether holder, epoch and record stand, then call xf_signal_checked, at once
     * or later. */
    void (*check)(void *context, struct xf_signal *signal);
    /* One attempt ended: for the log.  `receiver` is `webhook NAME` or `hook NAME`. */
    void (*attempted)(void *context, const char *receiver, unsigned attempt, bool accepted,
                      const char *sentence);
    /* Every receiver took it.  Comes once; also, from the loop, where there is no receiver. */
    void (*delivered)(void *context);
    void *context;
};
struct xf_signal_options {
    const struct xf_config *config; /* has webhooks and hooks; outlives the signal */
    const char *webhook;            /* names; empty: none */
    const char *hook;
    unsigned retry_ms_min, retry_ms_max; /* 0: 1 s and 5 min */
};

/* Fails where a name is not in the configuration.  Neither it nor destroy calls back. */
XF_NODISCARD int xf_signal_create(struct event_base *loop, const struct xf_clock *clock,
                                  const struct xf_signal_record *record,
                                  const struct xf_signal_options *options,
                                  const struct xf_signal_calls *calls, struct xf_signal **ret,
                                  struct xf_error *err);
/* The answer to `check`; false: not now, it will be asked again later. */
void xf_signal_checked(struct xf_signal *signal, bool stands);
/* Accepts NULL; ends what is under way.  Not from inside one of the callbacks. */
void xf_signal_destroy(struct xf_signal *signal);

#endif
