/*
 * deadlines.h -- time limits as queues in order of their deadline.
 *
 * Belongs to one worker.  Every kind of limit has one duration within a service, so a queue that
 * is appended to is always sorted: arming and disarming are a few stores, and the tick looks at
 * heads only.  No event is added for a request (SPEED.md 4.8).
 */
#ifndef XF_PROXY_DEADLINES_H
#define XF_PROXY_DEADLINES_H

#include "config/base/check.h"
#include "config/base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum xf_deadline_kind {
    XF_DEADLINE_IDLE,          /* a client between requests */
    XF_DEADLINE_UPSTREAM_IDLE, /* a pooled connection */
    XF_DEADLINE_TUNNEL_IDLE,   /* the kinds up to here are for long waits */
    XF_DEADLINE_HEADER,        /* first byte of a head to its end */
    XF_DEADLINE_WATCH,         /* a client that the loop does not know yet */
    XF_DEADLINE_LINGER,        /* reading on after a refusal */
    XF_DEADLINE_BODY,          /* between two pieces of a request's body */
    XF_DEADLINE_SEND,          /* a client that does not take its answer */
    XF_DEADLINE_QUEUE,
    XF_DEADLINE_CONNECT,
    XF_DEADLINE_FIRST_BYTE,
    XF_DEADLINE_UPSTREAM_BODY,
    XF_DEADLINE_TOTAL,
    XF_DEADLINE_KINDS
};

/* A node lives in the object it guards; in no queue it points at itself. */
struct xf_deadline {
    struct xf_list link;
    uint64_t at_ms;
};

struct xf_deadline_queue {
    struct xf_list head;
    int64_t limit_ms; /* below 0: this limit does not apply */
};

struct xf_deadlines {
    struct xf_deadline_queue *queues; /* [services][XF_DEADLINE_KINDS] */
    unsigned services;
    uint64_t urgent; /* nodes armed in kinds that a coarse tick would not do for */
};

/* Called for a node whose time has come; it is in no queue any more. */
typedef void xf_deadline_expired(void *context, enum xf_deadline_kind kind,
                                 struct xf_deadline *deadline);

XF_NODISCARD bool xf_deadlines_init(struct xf_deadlines *deadlines, unsigned services);
void xf_deadlines_release(struct xf_deadlines *deadlines);
void xf_deadlines_set(struct xf_deadlines *deadlines, unsigned service, enum xf_deadline_kind kind,
                      int64_t limit_ms);

/* Runs every node that is due at `now_ms`, at most `most` of them. */
void xf_deadlines_run(struct xf_deadlines *deadlines, uint64_t now_ms, unsigned most,
                      xf_deadline_expired *expired, void *context);

static inline void xf_deadline_init(struct xf_deadline *deadline)
{
    xf_list_init(&deadline->link);
    deadline->at_ms = 0;
}

static inline bool xf_deadline_armed(const struct xf_deadline *deadline)
{
    return !xf_list_empty(&deadline->link);
}

/* Takes the node out of whatever queue it is in.  `kind` is the kind it was armed with. */
static inline void xf_deadline_disarm(struct xf_deadlines *deadlines, enum xf_deadline_kind kind,
                                      struct xf_deadline *deadline)
{
    if (xf_deadline_armed(deadline)) {
        xf_list_remove(&deadline->link);
        deadlines->urgent -= kind > XF_DEADLINE_TUNNEL_IDLE;
    }
}

/* Arms an unarmed node; nothing happens where the limit is off. */
static inline void xf_deadline_arm(struct xf_deadlines *deadlines, unsigned service,
                                   enum xf_deadline_kind kind, struct xf_deadline *deadline,
                                   uint64_t now_ms)
{
    struct xf_deadline_queue *queue = &deadlines->queues[service * XF_DEADLINE_KINDS + kind];
    if (queue->limit_ms < 0) {
        return;
    }
    deadline->at_ms = now_ms + (uint64_t) queue->limit_ms;
    xf_list_append(&queue->head, &deadline->link);
    deadlines->urgent += kind > XF_DEADLINE_TUNNEL_IDLE;
}

#endif
