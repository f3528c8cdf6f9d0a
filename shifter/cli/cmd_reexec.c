/*
 * cmd_reexec.c -- `reexec`: asks the daemon to become the binary on disk, and waits until it has.
 *
 * The agent that is asked is replaced on the way, so its connections end; the next one tells what
 * became of it.
 */
#include "config/base/clock.h"
#include "shifter/cli/cli.h"
#include "shifter/cli/cmd_host.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PATH       "/v1/reexec"
#define ANSWER_MS  5000
#define EVERY_MS   100
#define DEFAULT_MS 60000

/* 0: `*ret` is the daemon's answer, owned by the caller; else an exit code, with `err`. */
static int call(const struct xf_cli *cli, const char *method, json_t **ret, struct xf_error *err)
{
    struct xf_client_request request = {.method = method, .path = PATH, .timeout_ms = ANSWER_MS};
    struct xf_client_answer answer;
    json_t *nothing = strcmp(method, "POST") == 0 ? json_object() : NULL;
    request.body = nothing;
    int failed = xf_client_call(&cli->target, &request, &answer, err);
    json_decref(nothing);
    if (failed != 0) {
        return xf_error_exit_code(err->code);
    }
    int code = 0;
    if (answer.status != 200 && answer.status != 202) {
        code = (int) xf_cli_number(answer.body, "exit", 1);
        code = code != 0 ? code : 1;
        (void) XF_FAIL(err, XF_E_FAILED, "%s",
                       xf_cli_text(answer.body, "message", "the daemon refused"));
    } else {
        *ret = json_incref(answer.body);
    }
    xf_client_answer_release(&answer);
    return code;
}

static int tell(const struct xf_cli *cli, const json_t *answer)
{
    bool done = strcmp(xf_cli_text(answer, "outcome", ""), "done") == 0;
    if (cli->json) {
        xf_cli_print(answer);
    } else if (done) {
        printf("re-executed: version %s serves\n", xf_cli_text(answer, "version", "?"));
    }
    if (!done) {
        xf_cli_note("crossfade: refused, nothing has changed: %s",
                    xf_cli_text(answer, "error", "no reason was given"));
    }
    return done ? 0 : 1;
}

/* Whether `answer` is about a later attempt than `before`, and that one is over. */
static bool is_over(const json_t *answer, double before)
{
    const char *outcome = xf_cli_text(answer, "outcome", "");
    return xf_cli_number(answer, "attempts", 0) > before &&
           (strcmp(outcome, "done") == 0 || strcmp(outcome, "refused") == 0);
}

static int follow(const struct xf_cli *cli, double before)
{
    const struct xf_clock *clock = xf_clock_system();
    const struct timespec pause = {0, EVERY_MS * 1000000};
    int64_t limit_ms = cli->timeout_ms >= 0 ? cli->timeout_ms : DEFAULT_MS;
    int64_t until_ms = xf_clock_monotonic_ms(clock) + limit_ms;
    struct xf_error err = {0};
    int code;
    do {
        json_t *answer = NULL;
        nanosleep(&pause, NULL);
        code = call(cli, "GET", &answer, &err);
        if (code == 0 && is_over(answer, before)) {
            code = tell(cli, answer);
            json_decref(answer);
            return code;
        }
        json_decref(answer);
    } while (xf_clock_monotonic_ms(clock) < until_ms);
    if (code == 0) {
        (void) XF_FAIL(&err, XF_E_TIMED_OUT, "the re-execution is not over after %lld ms",
                       (long long) limit_ms);
    }
    return xf_cli_fail(&err);
}

int xf_cmd_reexec(int argc, char **argv)
{
    struct xf_cli cli;
    struct xf_error err = {0};
    json_t *answer = NULL;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH | XF_CLI_CHANGE, 0, 0, &cli);
    if (result != 0) {
        return result;
    }
    int code = call(&cli, "GET", &answer, &err);
    double before = xf_cli_number(answer, "attempts", 0);
    json_decref(answer);
    answer = NULL;
    if (code == 0) {
        code = call(&cli, "POST", &answer, &err);
        json_decref(answer);
    }
    if (code != 0) {
        xf_cli_note("crossfade: %s", err.message);
        return code;
    }
    return follow(&cli, before);
}
