/*
 * action.c -- one action of finalize: its hook, then the proof.
 */
#include "shifter/controller/action.h"

#include "shifter/controller/gate_runner.h"
#include "shifter/net/hook.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTION_MAGIC   0x61637430u
#define VERIFY_MS      120000
#define SENTENCE_BYTES XF_SENTENCE_BYTES
#define VARIABLES      4

struct xf_action {
    unsigned magic;
    struct event_base *loop;
    const struct xf_config *config;
    char *verify_json; /* owned; NULL: none */
    char from[XF_NAME_BYTES], to[XF_NAME_BYTES];
    struct xf_hook *hook;
    struct xf_gate_runner *gates;
    struct event *soon; /* ends it from the loop where nothing else does */
    bool ran, exited_0;
    char ended[SENTENCE_BYTES / 2]; /* how the hook ended, in words */
    xf_action_done *done;
    void *context;
};

static void tell(struct xf_action *action, bool proven, const char *what)
{
    char sentence[SENTENCE_BYTES];
    (void) snprintf(sentence, sizeof(sentence), "%s%s%s", action->ended,
                    action->ended[0] != '\0' && what[0] != '\0' ? "; " : "", what);
    action->done(action->context, proven, sentence); /* may destroy it */
}

/* The errors among the checks, or how many passed. */
static void describe(const json_t *result, char *out, size_t bytes)
{
    size_t i;
    json_t *check;
    unsigned passed = 0;
    size_t length = 0;
    out[0] = '\0';
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        const char *severity = json_string_value(json_object_get(check, "severity"));
        const char *name = json_string_value(json_object_get(check, "check"));
        const char *message = json_string_value(json_object_get(check, "message"));
        bool good = json_is_true(json_object_get(check, "passed"));
        passed += good;
        if (!good && severity != NULL && strcmp(severity, "error") == 0 && length + 1 < bytes) {
            int more =
                snprintf(out + length, bytes - length, "%s%.48s: %.300s", length > 0 ? "; " : "",
                         name != NULL ? name : "?", message != NULL ? message : "");
            length += more > 0 ? (size_t) more : 0;
        }
    }
    if (out[0] == '\0') {
        (void) snprintf(out, bytes, "verified by %u checks", passed);
    }
}

static void gates_ended(void *context, const json_t *result)
{
    struct xf_action *action = context;
    char found[SENTENCE_BYTES];
    XF_ASSERT(action->magic == ACTION_MAGIC);
    xf_gate_runner_destroy(action->gates);
    action->gates = NULL;
    describe(result, found, sizeof(found));
    tell(action, json_is_true(json_object_get(result, "passed")), found);
}

static void verify(struct xf_action *action)
{
    struct xf_error err;
    if (action->verify_json == NULL) {
        bool proven = action->ran && action->exited_0;
        tell(action, proven,
             proven        ? "the plan has no `verify`, so its exit code must do"
             : action->ran ? ""
                           : "it was started, and the plan has no `verify` to tell its outcome");
        return;
    }
    struct xf_gate_context context = {
        .config = action->config, .from = action->from, .to = action->to, .phase = XF_GATE_VERIFY};
    if (xf_gate_runner_start(action->loop, action->verify_json, &context, VERIFY_MS, gates_ended,
                             action, &action->gates, &err) != 0) {
        tell(action, false, err.message);
    }
}

static void hook_ended(void *context, const struct xf_hook_result *result)
{
    struct xf_action *action = context;
    XF_ASSERT(action->magic == ACTION_MAGIC);
    xf_hook_describe(result, action->ended, sizeof(action->ended));
    xf_printable(action->ended);
    action->exited_0 = result->exit_status == 0;
    action->ran = true;
    xf_hook_destroy(action->hook);
    action->hook = NULL;
    verify(action);
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_action *action = arg;
    XF_ASSERT(action->magic == ACTION_MAGIC);
    verify(action);
}

static void start_hook(struct xf_action *action, const struct xf_action_request *request)
{
    const struct xf_config_hook *hook = NULL;
    for (unsigned i = 0; i < request->config->hooks_count; i++) {
        if (strcmp(request->config->hooks[i].name, request->action->hook) == 0) {
            hook = &request->config->hooks[i];
        }
    }
    if (hook == NULL) {
        (void) snprintf(action->ended, sizeof(action->ended),
                        "no hook `%s` in the configuration: nothing was run",
                        request->action->hook);
        return;
    }
    char variables[VARIABLES][XF_CUTOVER_ID_BYTES + 32];
    (void) snprintf(variables[0], sizeof(variables[0]), "CROSSFADE_SERVICE=%s", request->service);
    (void) snprintf(variables[1], sizeof(variables[1]), "CROSSFADE_CUTOVER=%s", request->cutover);
    (void) snprintf(variables[2], sizeof(variables[2]), "CROSSFADE_FROM=%s", request->from);
    (void) snprintf(variables[3], sizeof(variables[3]), "CROSSFADE_TO=%s", request->to);
    const char *environment[VARIABLES + 1] = {variables[0], variables[1], variables[2],
                                              variables[3], NULL};
    struct xf_error err;
    if (xf_hook_start(action->loop, hook->command, environment, hook->timeout_ms, hook_ended,
                      action, &action->hook, &err) != 0) {
        (void) snprintf(action->ended, sizeof(action->ended), "%.240s", err.message);
    }
}

int xf_action_start(struct event_base *loop, const struct xf_action_request *request,
                    xf_action_done *done, void *context, struct xf_action **ret,
                    struct xf_error *err)
{
    static const struct timeval now = {0, 0};
    struct xf_action *action = calloc(1, sizeof(*action));
    if (action == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "action: out of memory");
    }
    *action = (struct xf_action){.magic = ACTION_MAGIC,
                                 .loop = loop,
                                 .config = request->config,
                                 .done = done,
                                 .context = context};
    (void) snprintf(action->from, sizeof(action->from), "%s", request->from);
    (void) snprintf(action->to, sizeof(action->to), "%s", request->to);
    const char *verify_json = request->action->verify_json;
    action->verify_json = verify_json != NULL ? strdup(verify_json) : NULL;
    action->soon = evtimer_new(loop, on_soon, action);
    if (action->soon == NULL || (verify_json != NULL && action->verify_json == NULL)) {
        xf_action_destroy(action);
        return XF_FAIL(err, XF_E_NO_MEMORY, "action: out of memory");
    }
    if (request->run) {
        start_hook(action, request);
    }
    if (action->hook == NULL && event_add(action->soon, &now) != 0) {
        xf_action_destroy(action);
        return XF_FAIL(err, XF_E_NO_MEMORY, "action: out of memory");
    }
    *ret = action;
    return 0;
}

void xf_action_destroy(struct xf_action *action)
{
    if (action == NULL) {
        return;
    }
    xf_hook_abandon(action->hook);
    xf_gate_runner_destroy(action->gates);
    if (action->soon != NULL) {
        event_free(action->soon);
    }
    free(action->verify_json);
    action->magic = 0;
    free(action);
}
