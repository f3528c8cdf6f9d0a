/*
 * replay.c -- judges a recorded run offline: schedule, order of events, the judge's answers.
 *
 * Three kinds of event are merged in the order of time: a request is sent, it passes send + tau,
 * it ends.  The split that judges it is the one in force when it was sent.
 */
#include "shifter/judge/replay.h"

#include "config/base/check.h"
#include "proxy/board/histogram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_NONE INT64_MAX

int xf_replay_schedule_parse(const char *text, struct xf_replay_schedule *ret, struct xf_error *err)
{
    struct xf_replay_schedule schedule = {.count = 0};
    const char *at = text;
    for (;;) {
        char *end;
        double ms = strtod(at, &end);
        if (end == at || *end != ':' || !(ms >= 0 && ms <= 1e12)) {
            return XF_FAIL(err, XF_E_USAGE,
                           "schedule \"%s\": milliseconds and `:` are expected "
                           "at \"%.20s\"",
                           text, at);
        }
        at = end + 1;
        double rho = strtod(at, &end);
        if (end == at || (*end != ';' && *end != '\0') || !(rho >= 0 && rho <= 1)) {
            return XF_FAIL(err, XF_E_USAGE,
                           "schedule \"%s\": a share from 0 to 1 is expected at "
                           "\"%.20s\"",
                           text, at);
        }
        int64_t t_us = llround(ms * 1000);
        if (schedule.count == XF_REPLAY_STEPS_MAX) {
            return XF_FAIL(err, XF_E_USAGE, "schedule: more than %u steps", XF_REPLAY_STEPS_MAX);
        }
        if (schedule.count > 0 && t_us <= schedule.steps[schedule.count - 1].t_us) {
            return XF_FAIL(err, XF_E_USAGE, "schedule \"%s\": times must rise", text);
        }
        schedule.steps[schedule.count++] = (struct xf_replay_step){.t_us = t_us, .rho = rho};
        if (*end == '\0') {
            *ret = schedule;
            return 0;
        }
        at = end + 1;
    }
}

void xf_replay_plan(const struct xf_replay_trace *trace, const struct xf_replay_schedule *schedule,
                    struct xf_judge_options *ret)
{
    unsigned steps = 0;
    int64_t begun_us = 0;
    int64_t ended_us = 0;
    for (unsigned i = 0; i < schedule->count; i++) {
        if (schedule->steps[i].rho > 0 && steps++ == 0) {
            begun_us = schedule->steps[i].t_us;
        }
    }
    for (size_t i = 0; i < trace->count; i++) {
        if (trace->responses[i].done_us > ended_us) {
            ended_us = trace->responses[i].done_us;
        }
    }
    ret->steps = steps > 0 ? steps : 1;
    ret->planned_ms = ended_us - begun_us > 1000 ? (ended_us - begun_us) / 1000 : 1;
}

static int compare_done(const void *a, const void *b)
{
    const struct xf_replay_response *x = a;
    const struct xf_replay_response *y = b;
    return (x->done_us > y->done_us) - (x->done_us < y->done_us);
}

static bool sorted(const struct xf_replay_trace *trace)
{
    for (size_t i = 1; i < trace->count; i++) {
        if (trace->responses[i].done_us < trace->responses[i - 1].done_us) {
            return false;
        }
    }
    return true;
}

/* Into the order of completion, which a trace mostly has already. */
static void sort_done(struct xf_replay_trace *trace)
{
    if (!sorted(trace)) {
        qsort(trace->responses, trace->count, sizeof(*trace->responses), compare_done);
    }
}

/* Steps as an access log shows them: each time the weight reaches a new height. */
int xf_replay_schedule_derive(struct xf_replay_trace *trace, struct xf_replay_schedule *ret,
                              struct xf_error *err)
{
    ret->count = 0;
    sort_done(trace);
    double highest = 0;
    for (size_t i = 0; i < trace->count; i++) {
        const struct xf_replay_response *response = &trace->responses[i];
        if (response->rho < 0) {
            return XF_FAIL(err, XF_E_USAGE, "no weights are recorded: give --schedule");
        }
        if (response->rho <= highest) {
            continue;
        }
        if (ret->count == XF_REPLAY_STEPS_MAX) {
            return XF_FAIL(err, XF_E_USAGE, "more than %u weights are recorded: give --schedule",
                           XF_REPLAY_STEPS_MAX);
        }
        highest = response->rho;
        int64_t t_us = response->sent_us;
        if (ret->count > 0 && t_us <= ret->steps[ret->count - 1].t_us) {
            t_us = ret->steps[ret->count - 1].t_us + 1;
        }
        ret->steps[ret->count++] = (struct xf_replay_step){.t_us = t_us, .rho = highest};
    }
    return 0;
}

void xf_replay_forget_weights(struct xf_replay_trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        trace->responses[i].rho = -1;
    }
}

struct slow_event {
    int64_t t_us;
    uint32_t response;
};

struct run {
    const struct xf_replay_response *responses;
    size_t count;
    const struct xf_replay_schedule *schedule;
    uint32_t *by_sent;
    struct slow_event *slow;
    size_t slow_count;
    uint64_t tau_us[XF_REPLAY_STEPS_MAX]; /* frozen at each step; 0: not known */
    struct xf_judge judge;
};

static int compare_sent(const void *a, const void *b, void *context)
{
    const struct run *run = context;
    uint32_t i = *(const uint32_t *) a;
    uint32_t j = *(const uint32_t *) b;
    int64_t x = run->responses[i].sent_us;
    int64_t y = run->responses[j].sent_us;
    return x != y ? (x > y) - (x < y) : (i > j) - (i < j);
}

static int compare_slow(const void *a, const void *b)
{
    const struct slow_event *x = a;
    const struct slow_event *y = b;
    if (x->t_us != y->t_us) {
        return x->t_us < y->t_us ? -1 : 1;
    }
    return (x->response > y->response) - (x->response < y->response);
}

/* The step in force at `t_us`: the last that has begun; -1 before the first. */
static int step_at(const struct xf_replay_schedule *schedule, int64_t t_us)
{
    int low = -1;
    int high = (int) schedule->count;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (schedule->steps[middle].t_us <= t_us) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static double rho_of(const struct run *run, const struct xf_replay_response *response)
{
    if (response->rho >= 0) {
        return response->rho;
    }
    int step = step_at(run->schedule, response->sent_us);
    return step < 0 ? 0 : run->schedule->steps[step].rho;
}

/* Blue's p99 as it was when each step began. */
static void freeze_tau(struct run *run)
{
    uint64_t buckets[XF_HISTOGRAM_BUCKETS] = {0};
    size_t next = 0;
    for (unsigned i = 0; i < run->schedule->count; i++) {
        int64_t t_us = run->schedule->steps[i].t_us;
        for (; next < run->count && run->responses[next].done_us < t_us; next++) {
            const struct xf_replay_response *response = &run->responses[next];
            if (!response->green) {
                buckets[xf_histogram_bucket((uint64_t) (response->done_us - response->sent_us))]++;
            }
        }
        run->tau_us[i] = xf_judge_tau_us(buckets);
    }
}

static int find_slow(struct run *run, struct xf_error *err)
{
    run->slow = calloc(run->count + 1, sizeof(*run->slow));
    if (run->slow == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for %zu responses", run->count);
    }
    for (size_t i = 0; i < run->count; i++) {
        const struct xf_replay_response *response = &run->responses[i];
        int step = step_at(run->schedule, response->sent_us);
        int64_t tau_us = step < 0 ? 0 : (int64_t) run->tau_us[step];
        if (tau_us > 0 && response->done_us - response->sent_us > tau_us) {
            run->slow[run->slow_count++] =
                (struct slow_event){.t_us = response->sent_us + tau_us, .response = (uint32_t) i};
        }
    }
    qsort(run->slow, run->slow_count, sizeof(*run->slow), compare_slow);
    return 0;
}

static int sort_sent(struct run *run, struct xf_error *err)
{
    run->by_sent = calloc(run->count + 1, sizeof(*run->by_sent));
    if (run->by_sent == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for %zu responses", run->count);
    }
    for (size_t i = 0; i < run->count; i++) {
        run->by_sent[i] = (uint32_t) i;
    }
    qsort_r(run->by_sent, run->count, sizeof(*run->by_sent), compare_sent, run);
    return 0;
}

/* Where the three streams and the schedule have been read to. */
struct cursor {
    size_t sent;
    size_t slow;
    size_t done;
    unsigned step;
};

static void count_one(struct run *run, int64_t t_us, const struct xf_replay_response *response,
                      struct xf_judge_counts counts)
{
    struct xf_judge_counts role[2] = {{.sent = 0}, {.sent = 0}};
    role[response->green ? XF_JUDGE_GREEN : XF_JUDGE_BLUE] = counts;
    xf_judge_count(&run->judge, t_us, rho_of(run, response), role);
}

/* Before the first step blue teaches what is normal. */
static void learn(struct run *run, const struct xf_replay_response *response)
{
    struct xf_judge_counts counts = {.done = 1, .bad = response->bad};
    struct xf_judge_cell cell;
    xf_judge_cell_init(&cell, response->done_us / 1000, 0);
    xf_judge_cell_add(&cell, 0, XF_JUDGE_BLUE, &counts);
    xf_judge_learn(&run->judge, &cell);
}

static void begin_step(struct run *run, const struct xf_replay_step *step)
{
    if (step->rho > 0) {
        xf_judge_step_at(&run->judge, step->t_us, step->rho);
    } else {
        xf_judge_advance_us(&run->judge, step->t_us);
        xf_judge_set_rho(&run->judge, 0);
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Takes the next event; false at the end. */
static bool take_event(struct run *run, struct cursor *at, bool learning)
{
    const struct xf_replay_response *responses = run->responses;
    int64_t sent_us =
        at->sent < run->count ? responses[run->by_sent[at->sent]].sent_us : EVENT_NONE;
    int64_t slow_us = at->slow < run->slow_count ? run->slow[at->slow].t_us : EVENT_NONE;
    int64_t done_us = at->done < run->count ? responses[at->done].done_us : EVENT_NONE;
    int64_t next_us = least(sent_us, least(slow_us, done_us));
    if (at->step < run->schedule->count && run->schedule->steps[at->step].t_us <= next_us) {
        begin_step(run, &run->schedule->steps[at->step++]);
        return true;
    }
    if (next_us == EVENT_NONE) {
        return false;
    }
    if (sent_us == next_us) {
        const struct xf_replay_response *response = &responses[run->by_sent[at->sent++]];
        count_one(run, next_us, response, (struct xf_judge_counts){.sent = 1});
    } else if (slow_us == next_us) {
        const struct xf_replay_response *response = &responses[run->slow[at->slow++].response];
        count_one(run, next_us, response, (struct xf_judge_counts){.slow = 1});
    } else {
        const struct xf_replay_response *response = &responses[at->done++];
        if (learning && !run->judge.stepped && !response->green) {
            learn(run, response);
        }
        struct xf_judge_counts counts = {
            .done = 1, .bad = response->bad, .bad_4xx = response->bad_4xx};
        count_one(run, next_us, response, counts);
    }
    return true;
}

static bool decided(const struct xf_judge *judge)
{
    return judge->findings[XF_JUDGE_ERRORS].standing || judge->findings[XF_JUDGE_BUDGET].standing ||
           judge->findings[XF_JUDGE_LATENCY].standing;
}

static double ms_of(int64_t us)
{
    return us < 0 ? -1 : (double) us / 1000;
}

static void write_result(const struct run *run, struct xf_replay_result *ret)
{
    const struct xf_judge *judge = &run->judge;
    static const enum xf_judge_rule rules[] = {XF_JUDGE_ERRORS, XF_JUDGE_BUDGET, XF_JUDGE_LATENCY};
    int64_t first_us = EVENT_NONE;
    *ret = (struct xf_replay_result){.verdict = XF_JUDGE_NONE, .t_ms = -1};
    for (size_t i = 0; i < XF_COUNT(rules); i++) {
        const struct xf_judge_finding *finding = &judge->findings[rules[i]];
        if (finding->standing && finding->at_us < first_us) {
            first_us = finding->at_us;
            ret->verdict = rules[i];
            ret->t_ms = ms_of(finding->at_us);
        }
    }
    ret->soft_hold_ms = ms_of(judge->marks.soft_hold_us);
    ret->both_ms = ms_of(judge->marks.both_us);
    ret->srm_ms = ms_of(judge->marks.router_us);
    ret->promote_ms = ms_of(judge->marks.enough_us);

    struct xf_judge_verdict verdict;
    xf_judge_verdict_of(judge, ret->verdict, &verdict);
    if (ret->verdict == XF_JUDGE_NONE && xf_judge_verdict(judge, &verdict) == XF_JUDGE_NONE) {
        xf_judge_verdict_of(judge, XF_JUDGE_EVIDENCE, &verdict);
    }
    const char *sentence =
        verdict.sentence[0] != '\0'
            ? verdict.sentence
            : "nothing found: green is no worse than blue, and good enough to advance";
    snprintf(ret->sentence, sizeof(ret->sentence), "%s", sentence);
}

static void release_run(struct run *run)
{
    free(run->by_sent);
    free(run->slow);
}

int xf_replay_run(struct xf_replay_trace *trace, const struct xf_replay_schedule *schedule,
                  const struct xf_replay_options *options, struct xf_replay_result *ret,
                  struct xf_error *err)
{
    sort_done(trace);
    XF_CLEANUP(release_run)
    struct run run = {.responses = trace->responses, .count = trace->count, .schedule = schedule};
    freeze_tau(&run);
    if (find_slow(&run, err) != 0 || sort_sent(&run, err) != 0) {
        return -1;
    }
    xf_judge_init(&run.judge, &options->judge, 0);
    struct cursor at = {.sent = 0};
    while (take_event(&run, &at, options->learn_budget)) {
        if (decided(&run.judge)) {
            break;
        }
    }
    if (!decided(&run.judge)) {
        xf_judge_advance_us(&run.judge, run.judge.seen_us + XF_BUDGET_BLOCK_US +
                                            (int64_t) run.judge.blip_ms * 1000);
    }
    write_result(&run, ret);
    return 0;
}
