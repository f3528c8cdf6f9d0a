/*
 * exchange_state.h -- the states of a request that is being served, as a table.
 *
 *            +----------- failed, may be tried again ----------+
 *            v                                                 |
 *        CHOOSING --dial--> CONNECTING --ready--> WAITING -----+      CHOOSING <--room-- QUEUED
 *            |                   |                 ^  |  |                  --wait-->
 *            |                   +--- failed ---+  |  |  +--switch--> TUNNEL --end--> ENDED
 *            +--ready (a pooled connection)-----|--+  |
 *            ^                                  |     +--head--> ANSWERING --last--> FLUSHING
 *            +----------------------------------+                    |                   |
 *                                                                   end                 end
 *                                                                    v                   v
 *                                                                  ENDED <---------------+
 *
 * From every state `end` leads to ENDED.  What a state means is said at the enum; the effects are
 * in the exchange_*.c files.
 */
#ifndef XF_PROXY_EXCHANGE_STATE_H
#define XF_PROXY_EXCHANGE_STATE_H

#include <stdbool.h>

enum xf_exchange_state {
    XF_EXCHANGE_CHOOSING,   /* no server yet, or none any more */
    XF_EXCHANGE_QUEUED,     /* its cluster or all its servers have as many as they may */
    XF_EXCHANGE_CONNECTING, /* a connection is being made; nothing was sent */
    XF_EXCHANGE_WAITING,    /* the request goes out, no final answer came */
    XF_EXCHANGE_ANSWERING,  /* the answer's head went to the client, its body follows */
    XF_EXCHANGE_FLUSHING,   /* the answer is whole, the client has not taken all of it */
    XF_EXCHANGE_TUNNEL,     /* 101: bytes both ways */
    XF_EXCHANGE_ENDED,
    XF_EXCHANGE_STATES
};

enum xf_exchange_event {
    XF_ON_WAIT,
    XF_ON_ROOM,
    XF_ON_DIAL,
    XF_ON_READY,
    XF_ON_FAILED,
    XF_ON_HEAD,
    XF_ON_SWITCH,
    XF_ON_LAST,
    XF_ON_END,
    XF_EXCHANGE_EVENTS
};

/* False: there is no such arrow. */
bool xf_exchange_next(enum xf_exchange_state from, enum xf_exchange_event on,
                      enum xf_exchange_state *ret);
const char *xf_exchange_state_name(enum xf_exchange_state state);

#endif
