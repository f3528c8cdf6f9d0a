/*
 * cmd_replay.c -- `crossfade replay`: arguments in, one answer out.
 */
#include "shifter/cli/cmd_replay.h"

#include "shifter/judge/judge_sentence.h"
#include "shifter/judge/replay.h"

#include "config/base/check.h"
#include "config/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *trace;
    const char *schedule;
    struct xf_replay_clusters clusters;
    bool json;
    bool planned; /* plan_ms was given */
    bool stepped; /* nsteps was given */
    bool limited; /* pmax was given */
    struct xf_replay_options options;
};

static const char usage[] =
    "usage: crossfade replay TRACE --schedule \"0:0;10000:0.01\" [--blue NAME --green NAME]\n"
    "           [plan_ms=N] [nsteps=N] [blip_ms=100] [floor=0.0005] [r0=1.2] [r0_lat=1.5]\n"
    "           [pmax=0.05] [p_ok=0.01] [r1=2] [-o json]\n"
    "TRACE is a CSV file (t_ms,cluster,result,latency_us) or crossfade's access log in JSON, "
    "whose\n"
    "clusters --blue and --green name; a log that records weights needs no schedule.\n";

/* One `key=value`; the value is a decimal number. */
static int set_parameter(struct arguments *arguments, const char *text, struct xf_error *err)
{
    struct xf_judge_options *judge = &arguments->options.judge;
    const struct {
        const char *key;
        double *number;
    } keys[] = {
        {"floor", &judge->ignore_below},        {"r0", &judge->worse_than},
        {"r0_lat", &judge->latency_worse_than}, {"pmax", &judge->limit},
        {"p_ok", &judge->prove_errors_below},   {"r1", &judge->prove_ratio_below},
    };
    const char *equals = strchr(text, '=');
    size_t length = (size_t) (equals - text);
    double value;
    if (!xf_parse_number(equals + 1, &value)) {
        return XF_FAIL(err, XF_E_USAGE, "%s: the value must be a decimal number", text);
    }
    for (size_t i = 0; i < XF_COUNT(keys); i++) {
        if (strlen(keys[i].key) == length && strncmp(keys[i].key, text, length) == 0) {
            *keys[i].number = value;
            if (keys[i].number == &judge->limit) {
                arguments->limited = true;
            }
            return 0;
        }
    }
    if (value != floor(value) || value > 1e13) {
        return XF_FAIL(err, XF_E_USAGE, "%s: unknown parameter, or not a whole number", text);
    }
    if (strncmp(text, "plan_ms=", 8) == 0) {
        judge->planned_ms = (int64_t) value;
        arguments->planned = true;
    } else if (strncmp(text, "nsteps=", 7) == 0 && value <= XF_PLAN_STEPS_MAX) {
        judge->steps = (unsigned) value;
        arguments->stepped = true;
    } else if (strncmp(text, "blip_ms=", 8) == 0 && value >= 1 && value <= XF_JUDGE_BLIP_MS_MAX) {
        judge->blip_ms = (unsigned) value;
    } else {
        return XF_FAIL(err, XF_E_USAGE, "%s: unknown parameter, or out of range", text);
    }
    return 0;
}

/* An option with a value: the value, or NULL with `err` filled. */
static const char *option_value(int argc, char **argv, int *at, struct xf_error *err)
{
    if (*at + 1 >= argc) {
        (void) XF_FAIL(err, XF_E_USAGE, "%s needs a value", argv[*at]);
        return NULL;
    }
    return argv[++*at];
}

static int parse_option(struct arguments *arguments, int argc, char **argv, int *at,
                        struct xf_error *err)
{
    const char *option = argv[*at];
    const char *value = option_value(argc, argv, at, err);
    if (value == NULL) {
        return -1;
    }
    if (strcmp(option, "--schedule") == 0) {
        arguments->schedule = value;
    } else if (strcmp(option, "--blue") == 0) {
        arguments->clusters.blue = value;
    } else if (strcmp(option, "--green") == 0) {
        arguments->clusters.green = value;
    } else if (strcmp(option, "-o") == 0 && strcmp(value, "json") == 0) {
        arguments->json = true;
    } else if (strcmp(option, "-o") != 0 || strcmp(value, "text") != 0) {
        return XF_FAIL(err, XF_E_USAGE, "unknown option %s %s", option, value);
    }
    return 0;
}

static int parse_arguments(int argc, char **argv, struct arguments *ret, struct xf_error *err)
{
    *ret = (struct arguments){.json = false};
    xf_judge_options_default(&ret->options.judge);
    ret->options.judge.exact = true;
    ret->options.judge.blip_ms = XF_JUDGE_BLIP_MS;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (parse_option(ret, argc, argv, &i, err) != 0) {
                return -1;
            }
        } else if (ret->trace != NULL && strchr(argv[i], '=') != NULL) {
            if (set_parameter(ret, argv[i], err) != 0) {
                return -1;
            }
        } else if (ret->trace == NULL) {
            ret->trace = argv[i];
        } else {
            return XF_FAIL(err, XF_E_USAGE, "what is \"%s\"?", argv[i]);
        }
    }
    if (ret->trace == NULL) {
        return XF_FAIL(err, XF_E_USAGE, "no trace is named");
    }
    return 0;
}

static int judge_trace(struct arguments *arguments, struct xf_replay_result *ret,
                       struct xf_error *err)
{
    XF_CLEANUP(xf_replay_trace_release) struct xf_replay_trace trace = {.count = 0};
    struct xf_replay_schedule schedule;
    if (arguments->schedule != NULL &&
        xf_replay_schedule_parse(arguments->schedule, &schedule, err) != 0) {
        return -1;
    }
    if (xf_replay_read(arguments->trace, &arguments->clusters, &trace, err) != 0) {
        return -1;
    }
    if (arguments->schedule != NULL) {
        xf_replay_forget_weights(&trace);
    } else if (xf_replay_schedule_derive(&trace, &schedule, err) != 0) {
        return -1;
    }
    struct xf_judge_options *judge = &arguments->options.judge;
    struct xf_judge_options planned = *judge;
    xf_replay_plan(&trace, &schedule, &planned);
    judge->planned_ms = arguments->planned ? judge->planned_ms : planned.planned_ms;
    judge->steps = arguments->stepped ? judge->steps : planned.steps;
    judge->plain = !trace.log; /* a log is judged as the guard would have judged it live */
    arguments->options.learn_budget = trace.log && !arguments->limited;
    if (xf_judge_options_check(judge, err) != 0) {
        err->code = XF_E_USAGE;
        return -1;
    }
    return xf_replay_run(&trace, &schedule, &arguments->options, ret, err);
}

static void print_json_time(const char *key, double ms)
{
    printf("\"%s\": %.*f, ", key, ms == floor(ms) ? 0 : 3, ms);
}

static void print_json(const struct xf_replay_result *result)
{
    struct xf_text text;
    xf_text_init(&text, 8 * XF_SENTENCE_BYTES);
    xf_text_json(&text, result->sentence, strlen(result->sentence));
    printf("{\"verdict\": \"%s\", ", xf_judge_rule_name(result->verdict));
    print_json_time("t_ms", result->t_ms);
    print_json_time("soft_hold_ms", result->soft_hold_ms);
    print_json_time("both_ms", result->both_ms);
    print_json_time("srm_ms", result->srm_ms);
    print_json_time("promote_ms", result->promote_ms);
    printf("\"sentence\": %s}\n", text.failed ? "\"\"" : text.data);
    xf_text_release(&text);
}

static void print_line(const char *label, double ms)
{
    if (ms < 0) {
        printf("%-10s -\n", label);
    } else {
        printf("%-10s %.3f s\n", label, ms / 1000);
    }
}

static void print_text(const struct xf_replay_result *result)
{
    printf("%-10s %s\n", "verdict", xf_judge_rule_name(result->verdict));
    print_line("at", result->t_ms);
    print_line("soft hold", result->soft_hold_ms);
    print_line("both", result->both_ms);
    print_line("router", result->srm_ms);
    print_line("promote", result->promote_ms);
    printf("%s\n", result->sentence);
}

int xf_cmd_replay(int argc, char **argv)
{
    struct xf_error err = {.code = XF_E_NONE};
    struct arguments arguments;
    struct xf_replay_result result;
    if (parse_arguments(argc, argv, &arguments, &err) != 0) {
        fprintf(stderr, "crossfade replay: %s\n%s", err.message, usage);
        return 2;
    }
    if (judge_trace(&arguments, &result, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return xf_error_exit_code(err.code);
    }
    if (arguments.json) {
        print_json(&result);
    } else {
        print_text(&result);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
