/*
 * control_bench.h -- a bench for the pure core: one document on a fake clock, with facts that a
 * test sets and decisions that are applied at once.
 */
#ifndef XF_TESTS_CONTROL_BENCH_H
#define XF_TESTS_CONTROL_BENCH_H

#include "shifter/control/control.h"

struct bench {
    struct xf_config config;
    struct xf_document *document;
    struct xf_version version;
    struct xf_progress progress;
    struct xf_facts facts;
    unsigned requests;
    char answer[XF_SENTENCE_BYTES];
    char last_verb[32]; /* of the newest log entry */
    unsigned changes;
};

/* A service `web`, live on `web-v1`, one proxy that has everything in force and sees everything
 * up, a judge that finds enough evidence. */
void bench_open(struct bench *bench);
void bench_close(struct bench *bench);
/* Runs ticks of 100 ms; changes happen at once. */
void bench_run(struct bench *bench, int64_t ms);
/* Runs until `state` or `ms` have passed; whether it came. */
bool bench_until(struct bench *bench, enum xf_cutover_state state, int64_t ms);
/* `arguments`: JSON or NULL.  Returns the exit code; the message is in `answer`. */
int bench_verb(struct bench *bench, const char *actor, const char *verb, const char *arguments);
int bench_start(struct bench *bench, const char *plan);
/* A rule of the judge stands from now on; XF_JUDGE_NONE: none does. */
void bench_judge(struct bench *bench, enum xf_judge_rule rule);
bool bench_held(const struct bench *bench, enum xf_hold hold);

#endif
