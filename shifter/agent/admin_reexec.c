/*
 * admin_reexec.c -- /v1/reexec: passes the wish on, and tells what became of the last one.
 */
#include "shifter/agent/admin_reexec.h"

#include "shifter/agent/admin_answer.h"

#define EXIT_UNREACHABLE 7

static const char *outcome_name(unsigned outcome)
{
    static const char *const names[] = {"none", "running", "done", "refused"};
    return outcome < XF_COUNT(names) ? names[outcome] : "none";
}

void xf_admin_reexec_take(struct xf_agent *agent, const struct xf_channel_message *message)
{
    agent->reexec.attempts = message->a;
    agent->reexec.outcome = (unsigned) message->b;
    xf_agent_copy(agent->reexec.why, sizeof(agent->reexec.why), message->text);
}

static json_t *describe(const struct xf_agent *agent)
{
    const char *why = agent->reexec.why;
    return json_pack("{s:I, s:s, s:o, s:s}", "attempts", (json_int_t) agent->reexec.attempts,
                     "outcome", outcome_name(agent->reexec.outcome), "error",
                     why[0] != '\0' ? json_string(why) : json_null(), "version", XF_VERSION);
}

void xf_admin_reexec(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                     const struct xf_admin_request *request)
{
    if (request->method == XF_METHOD_GET || request->method == XF_METHOD_HEAD) {
        xf_admin_answer_json(exchange, 200, describe(agent));
        return;
    }
    struct xf_channel_message message = {.kind = XF_CHANNEL_REEXEC};
    if (!xf_channel_send(agent->start->channel_fd, &message)) {
        xf_admin_answer_error(exchange, EXIT_UNREACHABLE, "the supervisor cannot be told now");
        return;
    }
    xf_admin_answer_json(exchange, 202, describe(agent));
}
