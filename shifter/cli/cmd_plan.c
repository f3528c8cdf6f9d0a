/*
 * cmd_plan.c -- `crossfade plan FILE`: the timeline of a plan, in words or as JSON.
 *
 * Reads, asks the daemon for the present rate where one runs, and changes nothing.
 */
#include "shifter/cli/cmd_plan.h"

#include "shifter/cli/cli.h"
#include "shifter/cli/command.h"
#include "shifter/plan/plan.h"
#include "shifter/cli/timeline.h"

#include "config/base/clock.h"
#include "config/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the plan fits the configuration; prints what does not. */
static int check_config(const struct xf_cli *cli, const struct xf_plan *plan)
{
    struct xf_config *config = NULL;
    struct xf_problems problems = {0};
    if (cli->config == NULL) {
        return 0;
    }
    int result = xf_config_read(cli->config, &config, &problems);
    if (result == 0) {
        xf_problems_release(&problems);
        problems = (struct xf_problems){.file = cli->positional[0]};
        result = xf_plan_check(plan, config, &problems);
    }
    if (result != 0) {
        xf_problems_print(&problems, stderr);
    }
    xf_problems_release(&problems);
    xf_config_destroy(config);
    return result == 0 ? 0 : 2;
}

/* The plan, which fits the configuration and the service that are named. */
static int read_plan(const struct xf_cli *cli, struct xf_plan **ret)
{
    size_t length = 0;
    struct xf_problems problems = {0};
    char *text = xf_cli_read_plan(cli->positional[0], &length);
    if (text == NULL) {
        return 2;
    }
    int result = xf_plan_parse(cli->positional[0], text, length, ret, &problems);
    if (result != 0) {
        xf_problems_print(&problems, stderr);
    }
    xf_problems_release(&problems);
    free(text);
    if (result == 0 && cli->service != NULL && strcmp(cli->service, (*ret)->service) != 0) {
        xf_cli_note("crossfade plan: the plan is for service %s, --service says %s",
                    (*ret)->service, cli->service);
        result = -1;
    }
    return result == 0 ? check_config(cli, *ret) : 2;
}

/* Requests a second of the service, from the daemon; negative where none answers. */
static double present_rate(struct xf_cli *cli, const struct xf_plan *plan)
{
    json_t *status = NULL;
    struct xf_error err;
    double rps = 0;
    cli->service = plan->service;
    if (xf_cli_try_get(cli, "status", &status, &err) != 0) {
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

static int show(struct xf_cli *cli, const struct xf_plan *plan)
{
    double rps = cli->rps > 0 ? cli->rps : present_rate(cli, plan);
    struct xf_timeline *timeline = xf_timeline_make(plan, xf_clock_wall_ms(xf_clock_system()), rps);
    if (timeline == NULL) {
        xf_cli_note("crossfade plan: the judge takes no such guard, or memory is short");
        return 1;
    }
    if (cli->json) {
        print_json(plan, timeline);
    } else {
        print_text(plan, timeline);
    }
    free(timeline);
    return 0;
}

int xf_cmd_plan(int argc, char **argv)
{
    struct xf_cli cli;
    struct xf_plan *plan = NULL;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH | XF_CLI_PLAN, 1, 1, &cli);
    if (result == 0) {
        result = read_plan(&cli, &plan);
    }
    if (result == 0) {
        result = show(&cli, plan);
    }
    xf_plan_destroy(plan);
    return result;
}
