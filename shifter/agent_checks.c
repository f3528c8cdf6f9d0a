/*
 * agent_checks.c -- see agent_checks.h.
 */
#include "shifter/agent_checks.h"

#include <stdio.h>

/* The live edition that was made from the agent's configuration, or NULL. */
static const struct xf_agent_edition *newest_edition(const struct xf_agent *agent)
{
    for (unsigned i = agent->editions_count; i > 0; i--) {
        const struct xf_agent_edition *edition = agent->editions[i - 1];
        if (edition->config == agent->config && !edition->refused) {
            return edition;
        }
    }
    return NULL;
}

bool xf_agent_checks_up(const struct xf_agent *agent, unsigned server, char *reason, size_t bytes)
{
    const struct xf_agent_edition *edition = newest_edition(agent);
    if (edition == NULL) {
        (void) snprintf(reason, bytes, "no workers");
        return false;
    }
    const struct xf_server_health *health = xf_board_health(edition->board, server);
    bool up = atomic_load_explicit(&health->up, memory_order_relaxed) != 0;
    bool drained = atomic_load_explicit(&health->drained, memory_order_relaxed) != 0;
    xf_agent_copy(reason, bytes, drained ? "drained" : up ? "" : "check fails");
    return up && !drained;
}
