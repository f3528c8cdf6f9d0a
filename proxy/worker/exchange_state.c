/*
 * exchange_state.c -- the arrows of exchange_state.h.
 */
#include "proxy/worker/exchange_state.h"

#include "config/base/check.h"

#define NONE 0xff

static const unsigned char arrows[XF_EXCHANGE_STATES][XF_EXCHANGE_EVENTS] = {
    /* WAIT, ROOM, DIAL, READY, FAILED, HEAD, SWITCH, LAST, END */
    [XF_EXCHANGE_CHOOSING] = {XF_EXCHANGE_QUEUED, NONE, XF_EXCHANGE_CONNECTING, XF_EXCHANGE_WAITING,
                              XF_EXCHANGE_CHOOSING, NONE, NONE, NONE, XF_EXCHANGE_ENDED},
    [XF_EXCHANGE_QUEUED] = {NONE, XF_EXCHANGE_CHOOSING, NONE, NONE, XF_EXCHANGE_CHOOSING, NONE,
                            NONE, NONE, XF_EXCHANGE_ENDED},
    [XF_EXCHANGE_CONNECTING] = {NONE, NONE, NONE, XF_EXCHANGE_WAITING, XF_EXCHANGE_CHOOSING, NONE,
                                NONE, NONE, XF_EXCHANGE_ENDED},
    [XF_EXCHANGE_WAITING] = {NONE, NONE, NONE, NONE, XF_EXCHANGE_CHOOSING, XF_EXCHANGE_ANSWERING,
                             XF_EXCHANGE_TUNNEL, NONE, XF_EXCHANGE_ENDED},
    [XF_EXCHANGE_ANSWERING] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, XF_EXCHANGE_FLUSHING,
                               XF_EXCHANGE_ENDED},
    [XF_EXCHANGE_FLUSHING] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, XF_EXCHANGE_ENDED},
    [XF_EXCHANGE_TUNNEL] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, XF_EXCHANGE_ENDED},
    [XF_EXCHANGE_ENDED] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE},
};

static const char *const names[XF_EXCHANGE_STATES] = {
    "choosing", "queued", "connecting", "waiting", "answering", "flushing", "tunnel", "ended",
};

bool xf_exchange_next(enum xf_exchange_state from, enum xf_exchange_event on,
                      enum xf_exchange_state *ret)
{
    XF_ASSERT(from < XF_EXCHANGE_STATES);
    XF_ASSERT(on < XF_EXCHANGE_EVENTS);
    if (arrows[from][on] == NONE) {
        return false;
    }
    *ret = (enum xf_exchange_state) arrows[from][on];
    return true;
}

const char *xf_exchange_state_name(enum xf_exchange_state state)
{
    XF_ASSERT(state < XF_EXCHANGE_STATES);
    return names[state];
}
