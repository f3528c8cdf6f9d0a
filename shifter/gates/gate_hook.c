/*
 * gate_hook.c -- the `hook` gate: a configured command whose exit status is the answer.
 */
#include "shifter/gates/gate_kinds.h"

#include "shifter/net/hook.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

struct run {
    struct event_base *loop;
    struct xf_checks *checks;
    const char *name;
};

static void hook_ended(void *context, const struct xf_hook_result *result)
{
    struct run *run = context;
    char words[512];
    xf_hook_describe(result, words, sizeof(words));
    xf_checks_add(run->checks, "hook", run->name, result->exit_status == 0, XF_SEVERITY_ERROR, "%s",
                  words);
    event_base_loopbreak(run->loop);
}

void xf_gate_hook(const json_t *name, const struct xf_gate_context *context,
                  struct xf_checks *checks)
{
    const char *wanted = json_string_value(name);
    const struct xf_config_hook *found = NULL;
    for (unsigned i = 0; wanted != NULL && i < context->config->hooks_count; i++) {
        if (strcmp(context->config->hooks[i].name, wanted) == 0) {
            found = &context->config->hooks[i];
        }
    }
    if (found == NULL) {
        xf_checks_add(checks, "hook", wanted != NULL ? wanted : "name", false, XF_SEVERITY_ERROR,
                      "no such hook in the configuration: add it under `hooks`");
        return;
    }
    struct run run = {.loop = event_base_new(), .checks = checks, .name = wanted};
    struct xf_hook *hook = NULL;
    struct xf_error err;
    const char *environment[] = {NULL};
    if (run.loop == NULL) {
        checks->failed = true;
        return;
    }
    if (xf_hook_start(run.loop, found->command, environment, found->timeout_ms, hook_ended, &run,
                      &hook, &err) != 0) {
        xf_checks_add(checks, "hook", wanted, false, XF_SEVERITY_ERROR, "%s", err.message);
    } else {
        event_base_dispatch(run.loop);
    }
    xf_hook_destroy(hook);
    event_base_free(run.loop);
}
