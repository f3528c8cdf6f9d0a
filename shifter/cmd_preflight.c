/*
 * cmd_preflight.c -- `crossfade preflight PLAN`: runs a plan's gates and changes nothing.
 *
 * With -c FILE, or where no daemon runs, the gates run right here with that configuration.
 */
#include "shifter/cmd_preflight.h"

#include "shifter/cli.h"
#include "shifter/gate.h"
#include "shifter/plan.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_DEFAULT "/etc/crossfade/crossfade.yaml"

struct request {
    const char *plan_path;
    const char *config_path;
    const char *only; /* names separated by commas; NULL: all */
    bool json;
};

static int usage(const char *why)
{
    xf_cli_note("crossfade preflight: %s; usage: crossfade preflight PLAN [--only NAME,…] "
                "[-c FILE] [-o json]",
                why);
    return 2;
}

static int parse_arguments(int argc, char **argv, struct request *ret)
{
    static const struct option longs[] = {{"only", required_argument, NULL, 'n'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"output", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    opterr = 0;
    *ret = (struct request){.config_path = CONFIG_DEFAULT};
    while ((option = getopt_long(argc, argv, "c:o:", longs, NULL)) != -1) {
        switch (option) {
        case 'n':
            ret->only = optarg;
            break;
        case 'c':
            ret->config_path = optarg;
            break;
        case 'o':
            if (strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0) {
                return usage("-o takes json or text");
            }
            ret->json = strcmp(optarg, "json") == 0;
            break;
        default:
            return usage("unknown option, or a value is missing");
        }
    }
    if (argc - optind != 1) {
        return usage("one plan is needed");
    }
    ret->plan_path = argv[optind];
    return 0;
}

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

static void print_checks(const struct xf_checks *checks)
{
    for (unsigned i = 0; i < checks->count; i++) {
        const struct xf_check *check = &checks->items[i];
        const char *mark = check->passed                            ? "ok  "
                           : check->severity == XF_SEVERITY_WARNING ? "warn"
                                                                    : "FAIL";
        printf("%s  %-10s %-26s %s\n", mark, check->gate, check->check, check->message);
    }
    printf("%s\n", xf_checks_passed(checks) ? "preflight passed" : "preflight FAILED");
}

/* Reads plan and configuration; prints what is wrong with either.  0 or 2. */
static int read_inputs(const struct request *request, struct xf_plan **ret_plan,
                       struct xf_config **ret_config)
{
    size_t length = 0;
    struct xf_problems problems = {0};
    char *text = xf_cli_read_plan(request->plan_path, &length);
    if (text == NULL) {
        return 2;
    }
    int result = xf_plan_parse(request->plan_path, text, length, ret_plan, &problems);
    free(text);
    if (result == 0) {
        xf_problems_release(&problems);
        result = xf_config_read(request->config_path, ret_config, &problems);
    }
    if (result == 0) {
        xf_problems_release(&problems);
        problems = (struct xf_problems){.file = request->plan_path};
        result = xf_plan_check(*ret_plan, *ret_config, &problems);
    }
    if (result != 0) {
        xf_problems_print(&problems, stderr);
    }
    xf_problems_release(&problems);
    return result == 0 ? 0 : 2;
}

int xf_cmd_preflight(int argc, char **argv)
{
    struct request request;
    struct xf_plan *plan = NULL;
    struct xf_config *config = NULL;
    struct xf_checks checks = {0};
    int result = parse_arguments(argc, argv, &request);
    if (result != 0) {
        return result;
    }
    result = read_inputs(&request, &plan, &config);
    if (result == 0) {
        struct xf_gate_context context = {
            .config = config, .from = plan->from, .to = plan->to, .phase = XF_GATE_BEFORE_START};
        xf_gates_run(plan->before_start_json, &context, &checks);
        keep_wanted(&checks, request.only);
        if (request.json) {
            json_t *answer = xf_checks_json(&checks);
            xf_cli_print(answer);
            json_decref(answer);
        } else {
            print_checks(&checks);
        }
        result = xf_checks_passed(&checks) ? 0 : 1;
    }
    xf_checks_release(&checks);
    xf_plan_destroy(plan);
    xf_config_destroy(config);
    return result;
}
