/*
 * deadlines.c -- the queues and their run; see deadlines.h.
 */
#include "proxy/transport/deadlines.h"

#include <stdlib.h>

bool xf_deadlines_init(struct xf_deadlines *deadlines, unsigned services)
{
    *deadlines = (struct xf_deadlines){.services = services};
    size_t count = (size_t) services * XF_DEADLINE_KINDS;
    deadlines->queues = calloc(count, sizeof(*deadlines->queues));
    if (deadlines->queues == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        xf_list_init(&deadlines->queues[i].head);
        deadlines->queues[i].limit_ms = -1;
    }
    return true;
}

void xf_deadlines_release(struct xf_deadlines *deadlines)
{
    free(deadlines->queues);
    deadlines->queues = NULL;
}

void xf_deadlines_set(struct xf_deadlines *deadlines, unsigned service, enum xf_deadline_kind kind,
                      int64_t limit_ms)
{
    XF_ASSERT(service < deadlines->services);
    deadlines->queues[service * XF_DEADLINE_KINDS + kind].limit_ms = limit_ms;
}

static unsigned run_queue(struct xf_deadlines *deadlines, struct xf_deadline_queue *queue,
                          enum xf_deadline_kind kind, uint64_t now_ms, unsigned most,
                          xf_deadline_expired *expired, void *context)
{
    unsigned ran = 0;
    while (ran < most && !xf_list_empty(&queue->head)) {
        struct xf_deadline *first = XF_CONTAINER_OF(queue->head.next, struct xf_deadline, link);
        if (first->at_ms > now_ms) {
            break;
        }
        xf_deadline_disarm(deadlines, kind, first);
        expired(context, kind, first);
        ran++;
    }
    return ran;
}

void xf_deadlines_run(struct xf_deadlines *deadlines, uint64_t now_ms, unsigned most,
                      xf_deadline_expired *expired, void *context)
{
    for (unsigned service = 0; service < deadlines->services && most > 0; service++) {
        for (unsigned kind = 0; kind < XF_DEADLINE_KINDS && most > 0; kind++) {
            struct xf_deadline_queue *queue =
                &deadlines->queues[service * XF_DEADLINE_KINDS + kind];
            most -= run_queue(deadlines, queue, (enum xf_deadline_kind) kind, now_ms, most, expired,
                              context);
        }
    }
}
