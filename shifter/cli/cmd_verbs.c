/*
 * cmd_verbs.c -- the verbs that change something: each builds its arguments and posts them.
 *
 * What a verb means is decided by the leader (control.c); here only words become numbers.
 */
#include "shifter/cli/cmd_verbs.h"

#include "config/base/text.h"
#include "shifter/cli/cli.h"
#include "shifter/plan/document.h"
#include "shifter/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGE   (XF_CLI_REACH | XF_CLI_CHANGE)
#define GATES_MS 330000 /* `start` and `finalize` answer when the plan's gates have */

/* Parses, finds the service and, where the verb is about the present step, pins it. */
static int begin(int argc, char **argv, unsigned groups, int positionals_min, int positionals_max,
                 bool pins, struct xf_cli *cli)
{
    int result = xf_cli_parse(argc, argv, groups, positionals_min, positionals_max, cli);
    if (result == 0) {
        result = xf_cli_service(cli);
    }
    if (result == 0 && pins) {
        result = xf_cli_pin_step(cli);
    }
    return result;
}

static int plain_verb(int argc, char **argv, const char *verb, bool pins)
{
    struct xf_cli cli;
    int result = begin(argc, argv, CHANGE, 0, 0, pins, &cli);
    return result != 0 ? result : xf_cli_change(&cli, verb, json_object(), NULL);
}

int xf_cmd_back(int argc, char **argv)
{
    return plain_verb(argc, argv, "back", true);
}

int xf_cmd_approve(int argc, char **argv)
{
    return plain_verb(argc, argv, "approve", true);
}

int xf_cmd_pause(int argc, char **argv)
{
    return plain_verb(argc, argv, "pause", false);
}

int xf_cmd_step(int argc, char **argv)
{
    struct xf_cli cli;
    int result = begin(argc, argv, CHANGE | XF_CLI_FULL, 0, 0, false, &cli);
    if (result != 0) {
        return result;
    }
    if (cli.full) {
        return xf_cli_change(&cli, "promote", json_pack("{s:b}", "full", 1), NULL);
    }
    result = xf_cli_pin_step(&cli);
    return result != 0 ? result : xf_cli_change(&cli, "step", json_object(), NULL);
}

int xf_cmd_weight(int argc, char **argv)
{
    struct xf_cli cli;
    int result = xf_cli_parse(argc, argv, CHANGE | XF_CLI_FORCE | XF_CLI_LOCAL, 1, 1, &cli);
    if (result != 0) {
        return result;
    }
    unsigned weight;
    if (!xf_parse_weight(cli.positional[0], &weight)) {
        xf_cli_note("crossfade: %s is not a weight: write a share from 0%% to 100%% with its sign "
                    "and at most two decimals, such as 25%% or 12.5%%",
                    cli.positional[0]);
        return 2;
    }
    result = xf_cli_service(&cli);
    if (result != 0) {
        return result;
    }
    return xf_cli_change(&cli, "weight",
                         json_pack("{s:i, s:b, s:b}", "weight", (int) weight, "force", cli.force,
                                   "local", cli.local),
                         NULL);
}

int xf_cmd_extend(int argc, char **argv)
{
    struct xf_cli cli;
    int result = xf_cli_parse(argc, argv, CHANGE, 1, 1, &cli);
    if (result != 0) {
        return result;
    }
    int64_t ms;
    if (!xf_parse_duration_ms(cli.positional[0], &ms) || ms <= 0) {
        xf_cli_note("crossfade: %s is not a duration: write for example 10m or 1h30m",
                    cli.positional[0]);
        return 2;
    }
    result = xf_cli_service(&cli);
    if (result == 0) {
        result = xf_cli_pin_step(&cli);
    }
    return result != 0
               ? result
               : xf_cli_change(&cli, "extend", json_pack("{s:I}", "ms", (json_int_t) ms), NULL);
}

int xf_cmd_resume(int argc, char **argv)
{
    struct xf_cli cli;
    int result = begin(argc, argv, CHANGE | XF_CLI_RESUME, 0, 1, false, &cli);
    if (result != 0) {
        return result;
    }
    json_t *arguments = json_pack("{s:b}", "at_once", cli.at_once);
    if (cli.positionals == 1) {
        enum xf_hold hold;
        if (!xf_hold_parse(cli.positional[0], &hold)) {
            xf_cli_note("crossfade: %s is no reason for a hold; `crossfade why` lists those that "
                        "stand",
                        cli.positional[0]);
            json_decref(arguments);
            return 2;
        }
        json_object_set_new(arguments, "hold", json_string(cli.positional[0]));
    }
    if (cli.of != NULL) {
        json_object_set_new(arguments, "of", json_string(cli.of));
    }
    return xf_cli_change(&cli, "resume", arguments, NULL);
}

int xf_cmd_abort(int argc, char **argv)
{
    struct xf_cli cli;
    int result =
        begin(argc, argv, CHANGE | XF_CLI_ABORT | XF_CLI_FORCE | XF_CLI_LOCAL, 0, 0, false, &cli);
    if (result != 0) {
        return result;
    }
    json_t *arguments = json_pack("{s:b, s:b}", "force", cli.force, "local", cli.local);
    if (cli.over_ms >= 0) {
        json_object_set_new(arguments, "over_ms", json_integer(cli.over_ms));
        if (cli.timeout_ms < 0) { /* it returns when weight 0 is in force everywhere */
            cli.timeout_ms = cli.over_ms + 60000;
        }
    }
    return xf_cli_change(&cli, "abort", arguments, NULL);
}

int xf_cmd_finalize(int argc, char **argv)
{
    struct xf_cli cli;
    int result = begin(argc, argv, CHANGE | XF_CLI_FINALIZE, 0, 0, false, &cli);
    if (result != 0) {
        return result;
    }
    json_t *arguments = json_object();
    if (cli.redo >= 0) {
        json_object_set_new(arguments, "redo", json_integer(cli.redo));
    }
    if (cli.skip >= 0) {
        json_object_set_new(arguments, "skip", json_integer(cli.skip));
    }
    if (cli.timeout_ms < 0) {
        cli.timeout_ms = GATES_MS;
    }
    return xf_cli_change(&cli, "finalize", arguments, NULL);
}

/* The body of `start` for a plan file: checked here first, so that errors name line and column
 * without a daemon.  NULL: printed. */
static json_t *plan_arguments(struct xf_cli *cli, const char *path, bool *ret_auto)
{
    size_t length = 0;
    char *text = xf_cli_read_plan(path, &length);
    if (text == NULL) {
        return NULL;
    }
    struct xf_plan *plan = NULL;
    struct xf_problems problems = {0};
    json_t *arguments = NULL;
    if (xf_plan_parse(path, text, length, &plan, &problems) != 0) {
        xf_problems_print(&problems, stderr);
    } else if (cli->service != NULL && strcmp(cli->service, plan->service) != 0) {
        xf_cli_note("crossfade: the plan is for service %s, --service says %s", plan->service,
                    cli->service);
    } else {
        snprintf(cli->service_bytes, sizeof(cli->service_bytes), "%s", plan->service);
        cli->service = cli->service_bytes;
        *ret_auto = plan->finalize_when == XF_FINALIZE_AUTO;
        arguments = json_pack("{s:s, s:s}", "plan", text, "file", path);
        if (arguments == NULL) {
            xf_cli_note("crossfade: %s: not UTF-8", path);
        }
    }
    xf_problems_release(&problems);
    xf_plan_destroy(plan);
    free(text);
    return arguments;
}

int xf_cmd_start(int argc, char **argv)
{
    struct xf_cli cli;
    int result = xf_cli_parse(argc, argv, CHANGE | XF_CLI_START, 0, 1, &cli);
    if (result != 0) {
        return result;
    }
    if ((cli.positionals == 1) == (cli.to != NULL)) {
        xf_cli_note("crossfade start: a plan file or --to CLUSTER is needed, and not both");
        return 2;
    }
    bool automatic = false;
    json_t *arguments;
    if (cli.positionals == 1) {
        arguments = plan_arguments(&cli, cli.positional[0], &automatic);
        if (arguments == NULL) {
            return 2;
        }
    } else {
        arguments = json_pack("{s:s}", "to", cli.to);
    }
    result = xf_cli_service(&cli);
    if (result != 0) {
        json_decref(arguments);
        return result;
    }
    int64_t wait_ms = cli.timeout_ms;
    if (cli.wait || cli.timeout_ms < 0) { /* with --wait, --timeout bounds the waiting */
        cli.timeout_ms = GATES_MS;
    }
    json_t *reply = NULL;
    result = xf_cli_change(&cli, "start", arguments, &reply);
    if (result == 0 && cli.wait) {
        const char *cutover = xf_cli_text(reply, "cutover", NULL);
        result = xf_cli_wait(&cli, automatic ? "finalized" : "safe", cutover, wait_ms);
    }
    json_decref(reply);
    return result;
}

int xf_cmd_drain(int argc, char **argv)
{
    struct xf_cli cli;
    int result = begin(argc, argv, CHANGE | XF_CLI_DRAIN, 0, 0, false, &cli);
    if (result != 0) {
        return result;
    }
    if (cli.now && cli.rate != NULL) {
        xf_cli_note("crossfade drain: --rate or --now, not both");
        return 2;
    }
    json_t *arguments = json_pack("{s:b}", "now", cli.now);
    if (cli.cluster != NULL) {
        json_object_set_new(arguments, "cluster", json_string(cli.cluster));
    }
    if (cli.rate != NULL) {
        json_object_set_new(arguments, "rate", json_string(cli.rate));
    }
    return xf_cli_change(&cli, "drain", arguments, NULL);
}

int xf_cmd_forget(int argc, char **argv)
{
    struct xf_cli cli;
    int result = begin(argc, argv, CHANGE | XF_CLI_YES, 1, 1, false, &cli);
    if (result != 0) {
        return result;
    }
    if (!cli.yes) {
        xf_cli_note("crossfade forget: a forgotten proxy no longer blocks the signal, even if it "
                    "still serves; make sure that %s is gone and repeat with --yes",
                    cli.positional[0]);
        return 2;
    }
    return xf_cli_change(&cli, "forget", json_pack("{s:s}", "proxy", cli.positional[0]), NULL);
}

int xf_cmd_fence(int argc, char **argv)
{
    struct xf_cli cli;
    int result = xf_cli_parse(argc, argv, CHANGE, 1, 1, &cli);
    if (result != 0) {
        return result;
    }
    bool up = strcmp(cli.positional[0], "up") == 0;
    if (!up && strcmp(cli.positional[0], "down") != 0) {
        xf_cli_note("crossfade fence: up or down");
        return 2;
    }
    result = xf_cli_service(&cli);
    return result != 0 ? result : xf_cli_change(&cli, "fence", json_pack("{s:b}", "up", up), NULL);
}
