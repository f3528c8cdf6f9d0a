/*
 * action.h -- one action of finalize: its hook, then the proof that it did what it should.
 *
 * The hook runs in a child, the proof (a gate) in another; nothing here blocks the loop.  An exit
 * code proves nothing where there is a `verify`; without one it is all there is.
 */
#ifndef XF_SHIFTER_ACTION_H
#define XF_SHIFTER_ACTION_H

#include "config/base/error.h"
#include "config/config.h"
#include "shifter/plan/plan.h"

#include <stdbool.h>

struct event_base;
struct xf_action;

struct xf_action_request {
    const struct xf_config *config;
    const struct xf_plan_action *action; /* read at the start only */
    const char *service, *cutover, *from, *to;
    bool run; /* false: the hook was started by somebody else, only look what became of it */
};

/* Comes once, later, from the loop.  The action may be destroyed here. */
typedef void xf_action_done(void *context, bool proven, const char *sentence);

XF_NODISCARD int xf_action_start(struct event_base *loop, const struct xf_action_request *request,
                                 xf_action_done *done, void *context, struct xf_action **ret,
                                 struct xf_error *err);
/* Accepts NULL.  A hook that runs is left to its end: cutting a migration in two would be worse. */
void xf_action_destroy(struct xf_action *action);

#endif
