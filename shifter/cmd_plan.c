/*
 * cmd_plan.c -- `crossfade plan FILE`: the timeline of a plan, in words or as JSON.
 *
 * Reads, asks the daemon for the present rate where one runs, and changes nothing.
 */
#include "shifter/cmd_plan.h"

#include "shifter/cli.h"
#include "shifter/command.h"
#include "shifter/plan.h"
#include "shifter/timeline.h"

#include "config/base/clock.h"
#include "config/base/text.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    const char *plan_path;
    const char *config_path; /* NULL: the plan is not compared with a configuration */
    struct xf_cli cli;       /* how to reach the daemon */
    double rps;              /* negative: not given */
    bool json;
};

static int usage(const char *why)
{
    xf_cli_note("crossfade plan: %s", why);
    return xf_command_usage(xf_command_find("plan"));
}

static int take_option(struct request *request, int option)
{
    switch (option) {
    case 'c':
        request->config_path = optarg;
        return 0;
    case 'o':
        request->json = strcmp(optarg, "json") == 0;
        return request->json || strcmp(optarg, "text") == 0 ? 0 : usage("-o takes json or text");
    case 'r':
        return xf_parse_number(optarg, &request->rps) && request->rps > 0 && request->rps <= 1e9
                   ? 0
                   : usage("--rps takes a number above 0");
    case 's':
        request->cli.target.socket = optarg;
        return 0;
    case 'u':
        request->cli.target.url = optarg;
        return 0;
    case 't':
        request->cli.target.token_file = optarg;
        return 0;
    case 'a':
        request->cli.target.ca = optarg;
        return 0;
    case 'e':
        request->cli.target.certificate = optarg;
        return 0;
    case 'k':
        request->cli.target.key = optarg;
        return 0;
    default:
        return usage("unknown option, or a value is missing");
    }
}

static int parse_arguments(int argc, char **argv, struct request *ret)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"output", required_argument, NULL, 'o'},
        {"rps", required_argument, NULL, 'r'},    {"socket", required_argument, NULL, 's'},
        {"url", required_argument, NULL, 'u'},    {"token-file", required_argument, NULL, 't'},
        {"ca", required_argument, NULL, 'a'},     {"certificate", required_argument, NULL, 'e'},
        {"key", required_argument, NULL, 'k'},    {NULL, 0, NULL, 0}};
    int option;
    ret->plan_path = NULL;
    ret->config_path = NULL;
    ret->rps = -1;
    ret->json = false;
    int result = xf_cli_parse(1, argv, XF_CLI_REACH, 0, 0, &ret->cli); /* the defaults */
    optind = 1;
    opterr = 0;
    while (result == 0 && (option = getopt_long(argc, argv, "c:o:", longs, NULL)) != -1) {
        result = take_option(ret, option);
    }
    if (result == 0 && argc - optind != 1) {
        result = usage("one plan is needed");
    }
    ret->plan_path = result == 0 ? argv[optind] : NULL;
    return result;
}

/* Whether the plan fits the configuration; prints what does not. */
static int check_config(const struct request *request, const struct xf_plan *plan)
{
    struct xf_config *config = NULL;
    struct xf_problems problems = {0};
    if (request->config_path == NULL) {
        return 0;
    }
    int result = xf_config_read(request->config_path, &config, &problems);
    if (result == 0) {
        xf_problems_release(&problems);
        problems = (struct xf_problems){.file = request->plan_path};
        result = xf_plan_check(plan, config, &problems);
    }
    if (result != 0) {
        xf_problems_print(&problems, stderr);
    }
    xf_problems_release(&problems);
    xf_config_destroy(config);
    return result == 0 ? 0 : 2;
}

static int read_plan(const struct request *request, struct xf_plan **ret)
{
    size_t length = 0;
    struct xf_problems problems = {0};
    char *text = xf_cli_read_plan(request->plan_path, &length);
    if (text == NULL) {
        return 2;
    }
    int result = xf_plan_parse(request->plan_path, text, length, ret, &problems);
    if (result != 0) {
        xf_problems_print(&problems, stderr);
    }
    xf_problems_release(&problems);
    free(text);
    return result == 0 ? check_config(request, *ret) : 2;
}

/* Requests a second of the service, from the daemon; negative where none answers. */
static double present_rate(struct request *request, const struct xf_plan *plan)
{
    json_t *status = NULL;
    struct xf_error err;
    double rps = 0;
    request->cli.service = plan->service;
    if (xf_cli_try_get(&request->cli, "status", &status, &err) != 0) {
        return -1;
    }
    const char *name;
    json_t *cluster;
    json_object_foreach(json_object_get(status, "clusters"), name, cluster)
    {
        rps += xf_cli_number(cluster, "rps", 0);
    }
    json_decref(status);
    return rps > 0 ? rps : -1;
}

/* ---- JSON ---- */

static json_t *time_or_null(int64_t ms)
{
    char text[XF_TIME_TEXT_BYTES];
    return ms == XF_TIMELINE_NEVER ? json_null() : json_string(xf_format_time(ms, text));
}

static json_t *real_or_null(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

static json_t *step_json(const struct xf_plan_step *planned, const struct xf_timeline_step *step,
                         unsigned index)
{
    double seconds = step->evidence_ms < 0 ? -1 : (double) step->evidence_ms / 1000;
    return json_pack(
        "{s:i, s:f, s:f, s:f, s:b, s:o, s:o, s:o, s:o, s:{s:b, s:I, s:o}, s:{s:o, s:o, s:o}}",
        "index", (int) index, "weight", step->weight / 100.0, "ramp_s",
        (double) planned->ramp_ms / 1000, "hold_s", (double) planned->hold_ms / 1000, "approve",
        planned->approve, "begins", time_or_null(step->begins_ms), "reached",
        time_or_null(step->reached_ms), "held", time_or_null(step->held_ms), "ends",
        time_or_null(step->ends_ms), "evidence", "advisory", planned->evidence_advisory,
        "clean_responses", (json_int_t) step->clean, "seconds", real_or_null(seconds), "leak",
        "all", real_or_null(step->leak_all), "tenfold", real_or_null(step->leak_tenfold), "twice",
        real_or_null(step->leak_twice));
}

static void print_json(const struct xf_plan *plan, const struct xf_timeline *timeline)
{
    json_t *steps = json_array();
    json_t *warnings = json_array();
    for (unsigned i = 0; i < timeline->steps_count; i++) {
        json_array_append_new(steps, step_json(&plan->steps[i], &timeline->steps[i], i + 1));
    }
    for (unsigned i = 0; i < timeline->warnings_count; i++) {
        json_array_append_new(warnings, json_string(timeline->warnings[i]));
    }
    json_t *answer = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:{s:o, s:i}, s:b, s:o}", "plan", plan->name,
        "service", plan->service, "to", plan->to, "rps", real_or_null(timeline->rps), "begins",
        time_or_null(timeline->begins_ms), "soaked", time_or_null(timeline->ends_ms), "steps",
        steps, "worst", "failed", real_or_null(timeline->worst), "step",
        (int) timeline->worst_step + 1, "finalizes_itself", plan->finalize_when == XF_FINALIZE_AUTO,
        "warnings", warnings);
    xf_cli_print(answer);
    json_decref(answer);
}

/* ---- words ---- */

#define WHEN_BYTES 24

/* `2026-11-22 21:00:00Z`. */
static const char *when(int64_t ms, char out[WHEN_BYTES])
{
    char text[XF_TIME_TEXT_BYTES];
    if (ms == XF_TIMELINE_NEVER) {
        (void) snprintf(out, WHEN_BYTES, "never");
    } else {
        xf_format_time(ms, text);
        (void) snprintf(out, WHEN_BYTES, "%.10s %.8sZ", text, text + 11);
    }
    return out;
}

static const char *count(double value, char out[16])
{
    if (value < 0) {
        (void) snprintf(out, 16, "-");
    } else {
        (void) snprintf(out, 16, "%.0f", ceil(value));
    }
    return out;
}

static void print_waits(const struct xf_plan_step *planned, const struct xf_timeline_step *step)
{
    char text[XF_DURATION_TEXT_BYTES];
    printf("hold %s", xf_format_duration(planned->hold_ms, text));
    if (planned->evidence_advisory) {
        printf(", evidence waived");
    } else if (step->clean == 0) {
        printf(", evidence kept");
    } else {
        printf(", %llu clean responses", (unsigned long long) step->clean);
        if (step->evidence_ms >= 0) {
            printf(" (%s)", xf_format_duration((step->evidence_ms / 1000 + 1) * 1000, text));
        }
    }
    printf("%s\n", planned->approve ? ", approval" : "");
}

static void print_step(const struct xf_plan_step *planned, const struct xf_timeline_step *step,
                       unsigned index)
{
    char weight[XF_WEIGHT_TEXT_BYTES];
    char begins[WHEN_BYTES];
    char all[16];
    char tenfold[16];
    char twice[16];
    printf("%4u  %7s  %-20s  %8s %8s %8s  ", index, xf_format_weight(step->weight, weight),
           when(step->begins_ms, begins), count(step->leak_all, all),
           count(step->leak_tenfold, tenfold), count(step->leak_twice, twice));
    if (planned->ramp_ms > 0) {
        char ramp[XF_DURATION_TEXT_BYTES];
        printf("ramp %s, ", xf_format_duration(planned->ramp_ms, ramp));
    }
    print_waits(planned, step);
}

static void print_end(const struct xf_plan *plan, const struct xf_timeline *timeline)
{
    char at[WHEN_BYTES];
    char worst[16];
    printf("soaked, at the earliest: %s; then the drain, the signal, and finalize %s\n",
           when(timeline->ends_ms, at),
           plan->finalize_when == XF_FINALIZE_AUTO ? "by itself" : "by hand");
    if (timeline->worst >= 0) {
        printf(
            "at worst about %s requests fail before the guard acts (step %u, a fault that begins "
            "late in it)%s\n",
            count(timeline->worst, worst), timeline->worst_step + 1,
            plan->guard.rescue ? "; of these blue rescues what is safe to repeat" : "");
    }
    for (unsigned i = 0; i < timeline->warnings_count; i++) {
        printf("warning: %s\n", timeline->warnings[i]);
    }
}

static void print_text(const struct xf_plan *plan, const struct xf_timeline *timeline)
{
    char at[WHEN_BYTES];
    printf("%s: %s to %s, begins %s", plan->name, plan->service, plan->to,
           when(timeline->begins_ms, at));
    if (timeline->rps >= 0) {
        printf(", at %.4g requests a second", timeline->rps);
    }
    printf("\n\n                                       failed before the guard acts, if green\n"
           "                                       fails      fails    fails\n"
           "step   weight  begins, at the earliest    all    10x blue  2x blue  waits for\n");
    for (unsigned i = 0; i < timeline->steps_count; i++) {
        print_step(&plan->steps[i], &timeline->steps[i], i + 1);
    }
    putchar('\n');
    print_end(plan, timeline);
}

static int show(struct request *request, const struct xf_plan *plan)
{
    double rps = request->rps > 0 ? request->rps : present_rate(request, plan);
    struct xf_timeline *timeline = xf_timeline_make(plan, xf_clock_wall_ms(xf_clock_system()), rps);
    if (timeline == NULL) {
        xf_cli_note("crossfade plan: the judge takes no such guard, or memory is short");
        return 1;
    }
    if (request->json) {
        print_json(plan, timeline);
    } else {
        print_text(plan, timeline);
    }
    free(timeline);
    return 0;
}

int xf_cmd_plan(int argc, char **argv)
{
    struct request *request = calloc(1, sizeof(*request));
    struct xf_plan *plan = NULL;
    if (request == NULL) {
        return 1;
    }
    int result = parse_arguments(argc, argv, request);
    if (result == 0) {
        result = read_plan(request, &plan);
    }
    if (result == 0) {
        result = show(request, plan);
    }
    xf_plan_destroy(plan);
    free(request);
    return result;
}
