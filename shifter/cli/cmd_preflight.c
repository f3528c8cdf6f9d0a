/*
 * cmd_preflight.c -- `crossfade preflight PLAN`: runs a plan's gates and changes nothing.
 *
 * Through the daemon, whose leader runs them; with -c FILE right here, with that configuration.
 */
#include "shifter/cli/cmd_preflight.h"

#include "shifter/cli/cli.h"
#include "shifter/gates/gate.h"
#include "shifter/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATES_MS 330000 /* the daemon ends them after five minutes */

static bool is_wanted(const struct xf_check *check, const char *only)
{
    for (const char *p = only; p != NULL && *p != '\0';) {
        size_t length = strcspn(p, ",");
        bool same = (strlen(check->check) == length && strncmp(check->check, p, length) == 0) ||
                    (strlen(check->gate) == length && strncmp(check->gate, p, length) == 0);
        if (same) {
            return true;
        }
        p += length + (p[length] == ',' ? 1 : 0);
    }
    return only == NULL;
}

static void keep_wanted(struct xf_checks *checks, const char *only)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < checks->count; i++) {
        if (is_wanted(&checks->items[i], only)) {
            if (kept != i) {
                checks->items[kept] = checks->items[i];
            }
            kept++;
        }
    }
    checks->count = kept;
}

/* Reads the plan, and the configuration where `config_path` names one; prints what is wrong with
 * either.  0 or 2. */
static int read_inputs(const char *plan_path, const char *config_path, char **ret_text,
                       struct xf_plan **ret_plan, struct xf_config **ret_config)
{
    size_t length = 0;
    struct xf_problems problems = {0};
    *ret_text = xf_cli_read_plan(plan_path, &length);
    if (*ret_text == NULL) {
        return 2;
    }
    int result = xf_plan_parse(plan_path, *ret_text, length, ret_plan, &problems);
    if (result == 0 && config_path != NULL) {
        xf_problems_release(&problems);
        result = xf_config_read(config_path, ret_config, &problems);
    }
    if (result == 0 && config_path != NULL) {
        xf_problems_release(&problems);
        problems = (struct xf_problems){.file = plan_path};
        result = xf_plan_check(*ret_plan, *ret_config, &problems);
    }
    if (result != 0) {
        xf_problems_print(&problems, stderr);
    }
    xf_problems_release(&problems);
    return result == 0 ? 0 : 2;
}

static void show(const json_t *answer, bool json)
{
    if (json) {
        xf_cli_print(answer);
        return;
    }
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(answer, "checks"), i, check)
    {
        bool warning = strcmp(xf_cli_text(check, "severity", ""), "warning") == 0;
        char message[XF_CHECK_MESSAGE_BYTES];
        snprintf(message, sizeof(message), "%s", xf_cli_text(check, "message", ""));
        xf_printable(message);
        printf("%s  %-10s %-26s %s\n",
               xf_cli_true(check, "passed") ? "ok  "
               : warning                    ? "warn"
                                            : "FAIL",
               xf_cli_text(check, "gate", "?"), xf_cli_text(check, "check", "?"), message);
    }
    printf("%s\n", xf_cli_true(answer, "passed") ? "preflight passed" : "preflight FAILED");
}

/* A name that no check has is a mistake, and must not look like a pass. */
static bool nothing_named(const struct xf_cli *cli, size_t count)
{
    if (cli->only != NULL && count == 0) {
        xf_cli_note("crossfade: no check of this plan is named %s", cli->only);
        return true;
    }
    return false;
}

/* The gates run here, with that configuration. */
static int run_here(const struct xf_cli *cli, const struct xf_plan *plan,
                    const struct xf_config *config)
{
    struct xf_checks checks = {0};
    int service = xf_config_find_service(config, plan->service);
    const char *live =
        service >= 0 ? config->clusters[config->services[service].live].name : plan->from;
    struct xf_gate_context context = {.config = config,
                                      .from = plan->from[0] != '\0' ? plan->from : live,
                                      .to = plan->to,
                                      .phase = XF_GATE_BEFORE_START};
    xf_gates_run(plan->before_start_json, &context, &checks);
    keep_wanted(&checks, cli->only);
    if (nothing_named(cli, checks.count)) {
        xf_checks_release(&checks);
        return 2;
    }
    json_t *answer = xf_checks_json(&checks);
    show(answer, cli->json);
    json_decref(answer);
    bool passed = xf_checks_passed(&checks);
    xf_checks_release(&checks);
    return passed ? 0 : 1;
}

/* The leader runs them, with its configuration, from where it stands. */
static int run_there(struct xf_cli *cli, const struct xf_plan *plan, const char *text)
{
    json_t *reply = NULL;
    json_t *arguments = json_pack("{s:s, s:s}", "plan", text, "file", cli->positional[0]);
    if (cli->only != NULL) {
        json_object_set_new(arguments, "only", json_string(cli->only));
    }
    cli->service = plan->service;
    cli->timeout_ms = GATES_MS;
    int result = xf_cli_ask(cli, "preflight", arguments, &reply);
    const json_t *checks = json_object_get(reply, "checks");
    if (checks == NULL) {
        if (reply == NULL && result == 7) {
            xf_cli_note("no daemon answers; `-c FILE` runs the gates here with that configuration");
        } else if (reply != NULL) {
            xf_cli_note("crossfade: %s", xf_cli_text(reply, "message", "the daemon refused"));
        }
    } else if (nothing_named(cli, json_array_size(checks))) {
        result = 2;
    } else {
        json_t *answer =
            json_pack("{s:b, s:O}", "passed", xf_cli_true(reply, "passed"), "checks", checks);
        show(answer, cli->json);
        json_decref(answer);
    }
    json_decref(reply);
    return result;
}

int xf_cmd_preflight(int argc, char **argv)
{
    struct xf_cli cli;
    struct xf_plan *plan = NULL;
    struct xf_config *config = NULL;
    char *text = NULL;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH | XF_CLI_GATES, 1, 1, &cli);
    if (result != 0) {
        return result;
    }
    result = read_inputs(cli.positional[0], cli.config, &text, &plan, &config);
    if (result == 0 && cli.service != NULL && strcmp(cli.service, plan->service) != 0) {
        xf_cli_note("crossfade: the plan is for service %s, --service says %s", plan->service,
                    cli.service);
        result = 2;
    } else if (result == 0) {
        result = config != NULL ? run_here(&cli, plan, config) : run_there(&cli, plan, text);
    }
    free(text);
    xf_plan_destroy(plan);
    xf_config_destroy(config);
    return result;
}
