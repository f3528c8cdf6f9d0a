/*
 * replay.h -- judges a recorded run offline: what would the guard have said?
 *
 * The live detectors on exact times (JUDGE.md 2a); only the cutting of blocks differs from the
 * fleet's cells.  A recording is read whole into memory: it is an operator's own file.
 */
#ifndef XF_SHIFTER_REPLAY_H
#define XF_SHIFTER_REPLAY_H

#include "config/base/error.h"
#include "shifter/judge/judge.h"

#include <stddef.h>
#include <stdint.h>

#define XF_REPLAY_STEPS_MAX     XF_PLAN_STEPS_MAX
#define XF_REPLAY_LINE_BYTES    (64u * 1024u) /* a longer line is not ours */
#define XF_REPLAY_RESPONSES_MAX ((size_t) 1 << 28)

/* From `t_us` on, green's share is `rho`. */
struct xf_replay_step {
    int64_t t_us;
    double rho;
};

struct xf_replay_schedule {
    unsigned count;
    struct xf_replay_step steps[XF_REPLAY_STEPS_MAX];
};

/* One response, in the order of completion. */
struct xf_replay_response {
    int64_t done_us;
    int64_t sent_us;
    double rho; /* recorded with the request; negative: by the schedule */
    uint8_t green;
    uint8_t bad;
    uint8_t bad_4xx;
};

struct xf_replay_trace {
    struct xf_replay_response *responses;
    size_t count;
    size_t capacity;
    bool log; /* crossfade's own access log, not a trace in CSV */
};

struct xf_replay_clusters { /* of an access log; NULL: the trace has blue and green */
    const char *blue;
    const char *green;
};

struct xf_replay_result {
    enum xf_judge_rule verdict; /* none, errors, budget, latency: the first; the rest is skipped */
    double t_ms;                /* all times: -1 where it did not happen */
    double soft_hold_ms;
    double both_ms;
    double srm_ms;
    double promote_ms;
    char sentence[XF_SENTENCE_BYTES];
};

/* Reads "0:0;10000:0.01": milliseconds and shares, rising times. */
XF_NODISCARD int xf_replay_schedule_parse(const char *text, struct xf_replay_schedule *ret,
                                          struct xf_error *err);

/* Reads a trace (CSV: t_ms,cluster,result,latency_us) or, by its first byte `{`, crossfade's own
 * access log.  An error's message begins with `path:line:`. */
XF_NODISCARD int xf_replay_read(const char *path, const struct xf_replay_clusters *clusters,
                                struct xf_replay_trace *ret, struct xf_error *err);
void xf_replay_trace_release(struct xf_replay_trace *trace); /* accepts what was never read */

struct xf_replay_options {
    struct xf_judge_options judge; /* must have passed xf_judge_options_check */
    bool learn_budget;             /* a blue that fails much itself raises the budget */
};

/* Where the parameters are not given: steps are those of the schedule, the plan lasts from its
 * first step to the end of the trace. */
void xf_replay_plan(const struct xf_replay_trace *trace, const struct xf_replay_schedule *schedule,
                    struct xf_judge_options *ret);

/* The schedule that an access log itself shows: a step each time the recorded weight reaches a new
 * height.  Sorts the trace. */
XF_NODISCARD int xf_replay_schedule_derive(struct xf_replay_trace *trace,
                                           struct xf_replay_schedule *ret, struct xf_error *err);

/* Forgets what the log recorded: the schedule decides. */
void xf_replay_forget_weights(struct xf_replay_trace *trace);

/* Judges `trace`, which it sorts. */
XF_NODISCARD int xf_replay_run(struct xf_replay_trace *trace,
                               const struct xf_replay_schedule *schedule,
                               const struct xf_replay_options *options,
                               struct xf_replay_result *ret, struct xf_error *err);

#endif
