/*
 * control_bench.c -- a bench for the pure core; see control_bench.h.
 */
#include "control_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void bench_open(struct bench *bench)
{
    *bench = (struct bench){0};
    bench->config.drain.quiet_ms = 1000;
    bench->document = xf_document_create("web", "web-v1");
    bench->version = (struct xf_version){1, 1, 0};
    bench->facts = (struct xf_facts){
        .wall_ms = 1790000000000,
        .boot_ms = 5000,
        .store_ok = true,
        .seed = 42,
        .config = &bench->config,
        .fleet = {.members = 1,
                  .in_force = true,
                  .blue_quiet_ms = -1,
                  .blue_up = true,
                  .green_up = true},
        .judged = true,
        .judge_listened = true,
        .evidence = {.enough = true, .sentence = "enough"},
    };
}

void bench_close(struct bench *bench)
{
    xf_document_destroy(bench->document);
}

static void apply(struct bench *bench, struct xf_decision *decision)
{
    /* what is decided must survive the store */
    char *text = xf_document_write(decision->document);
    assert_non_null(text);
    struct xf_document *read = NULL;
    struct xf_error err = {0};
    if (xf_document_read(text, &read, &err) != 0) {
        fail_msg("a decision makes a document that does not read back: %s", err.message);
    }
    free(text);
    snprintf(bench->last_verb, sizeof(bench->last_verb), "%s",
             json_string_value(json_object_get(decision->entry, "verb")));
    xf_document_destroy(bench->document);
    bench->document = read;
    bench->version.generation += !decision->revision;
    bench->version.revision = decision->revision ? bench->version.revision + 1 : 0;
    bench->changes++;
    xf_decision_release(decision);
}

static void tick(struct bench *bench)
{
    struct xf_decision decision;
    struct xf_facts *facts = &bench->facts;
    facts->wall_ms += 100;
    facts->boot_ms += 100;
    facts->judge_attempt = bench->document->attempts;
    facts->judge_verdict_attempt = bench->document->verdict_attempt;
    facts->judge_step_entry = bench->document->step_entry;
    xf_progress_tick(&bench->progress, bench->document, facts->boot_ms, facts->fleet.in_force,
                     xf_control_counts(bench->document, facts));
    xf_control_tick(bench->document, &bench->progress, facts, &decision);
    if (decision.document != NULL) {
        apply(bench, &decision);
    }
}

void bench_run(struct bench *bench, int64_t ms)
{
    for (; ms > 0; ms -= 100) {
        tick(bench);
    }
}

bool bench_until(struct bench *bench, enum xf_cutover_state state, int64_t ms)
{
    for (; ms > 0 && bench->document->state != state; ms -= 100) {
        tick(bench);
    }
    return bench->document->state == state;
}

static int run_verb(struct bench *bench, const struct xf_message_command *command,
                    struct xf_plan *plan)
{
    struct xf_decision decision;
    xf_control_command(bench->document, &bench->version, &bench->progress, command, &plan,
                       &bench->facts, &decision);
    xf_plan_destroy(plan);
    int exit_code = decision.exit_code;
    memcpy(bench->answer, decision.message, sizeof(bench->answer));
    if (decision.document != NULL) {
        assert_int_equal(exit_code, 0);
        apply(bench, &decision);
    }
    return exit_code;
}

int bench_verb(struct bench *bench, const char *actor, const char *verb, const char *arguments)
{
    struct xf_message_command command = {0};
    snprintf(command.request, sizeof(command.request), "r%u", bench->requests++);
    snprintf(command.verb, sizeof(command.verb), "%s", verb);
    snprintf(command.actor, sizeof(command.actor), "%s", actor);
    snprintf(command.service, sizeof(command.service), "web");
    command.arguments = json_loads(arguments != NULL ? arguments : "{}", 0, NULL);
    assert_non_null(command.arguments);
    struct xf_plan *plan = NULL;
    const char *to = json_string_value(json_object_get(command.arguments, "to"));
    if (strcmp(verb, "start") == 0 && to != NULL) {
        plan = xf_plan_bare("web", to);
    }
    int exit_code = run_verb(bench, &command, plan);
    json_decref(command.arguments);
    return exit_code;
}

int bench_start(struct bench *bench, const char *text)
{
    struct xf_plan *plan = NULL;
    struct xf_problems problems;
    if (xf_plan_parse("plan", text, strlen(text), &plan, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        fail();
    }
    xf_problems_release(&problems);
    struct xf_message_command command = {.verb = "start", .actor = "ann@h", .service = "web"};
    snprintf(command.request, sizeof(command.request), "r%u", bench->requests++);
    command.arguments = json_object();
    int exit_code = run_verb(bench, &command, plan);
    json_decref(command.arguments);
    return exit_code;
}

void bench_judge(struct bench *bench, enum xf_judge_rule rule)
{
    bench->facts.standing = rule == XF_JUDGE_NONE ? 0 : 1u << rule;
    if (rule != XF_JUDGE_NONE) {
        struct xf_judge_verdict *verdict = &bench->facts.verdicts[rule];
        *verdict = (struct xf_judge_verdict){.rule = rule, .measured = 0.1, .limit = 0.05};
        snprintf(verdict->sentence, sizeof(verdict->sentence), "green fails (%s)",
                 xf_judge_rule_name(rule));
    }
}

bool bench_held(const struct bench *bench, enum xf_hold hold)
{
    return bench->document->holds[hold].on;
}
