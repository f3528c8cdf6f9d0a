/*
 * judge_budget.h -- does green fail more than the budget, whatever blue does?
 *
 * JUDGE.md 2a "abs": the relative test is blind at 100 % and slow above 75 %.  It makes its own
 * blocks, of at least 100 ms and 10 green responses.  Where blue fails about as much, it is not
 * green: `both`.  Pure; times in microseconds.
 */
#ifndef XF_SHIFTER_JUDGE_BUDGET_H
#define XF_SHIFTER_JUDGE_BUDGET_H

#include "shifter/judge/judge_detector.h"

#define XF_BUDGET_ALTERNATIVES 4u
#define XF_BUDGET_BLOCK_US     100000
#define XF_BUDGET_BLOCK_GREEN  10u

struct xf_budget_options {
    double limit; /* pmax */
    double alpha;
    unsigned steps;
    int64_t planned_us;
    bool plain; /* `both` by the point estimates of JUDGE.md 2a alone */
};

enum xf_budget_finding {
    XF_BUDGET_QUIET,
    XF_BUDGET_OVER, /* green is over its budget and blue is not */
    XF_BUDGET_BOTH, /* blue fails at least half as much */
};

/* A closed block of green responses, with the counts after it. */
struct xf_budget_block {
    int64_t opened_us;
    uint64_t done;
    uint64_t bad;
    double mass; /* prior mass it brings */
    struct xf_totals totals;
};

struct xf_budget {
    struct xf_budget_options options;
    double share[XF_BUDGET_ALTERNATIVES]; /* p_k */
    double sum[XF_BUDGET_ALTERNATIVES];
    double cusum[XF_BUDGET_ALTERNATIVES];
    struct xf_totals since[XF_BUDGET_ALTERNATIVES];
    struct xf_totals recent; /* while both fail: where blue's recent share begins */
    bool open;
    int64_t opened_us;
    uint64_t block_done;
    uint64_t block_bad;
    bool stepped; /* a step has begun */
    int64_t last_us;
    double pending;
    double mass;
    double value;
    double value_max;
    struct xf_totals totals; /* after everything added */
};

void xf_budget_init(struct xf_budget *budget, const struct xf_budget_options *options,
                    int64_t begun_us);
void xf_budget_step(struct xf_budget *budget, int64_t t_us);
/* Green responses that ended at `t_us`; `totals` are the counts after them. */
void xf_budget_add(struct xf_budget *budget, int64_t t_us, const struct xf_totals *totals,
                   uint64_t done_green, uint64_t bad_green);
/* Whether the open block may close at `t_us`; and closing it. */
bool xf_budget_due(const struct xf_budget *budget, int64_t t_us);
enum xf_budget_finding xf_budget_close(struct xf_budget *budget, struct xf_budget_block *ret_block);
/* A closed block once more, with its prior mass given: for recomputing a verdict. */
void xf_budget_block_mass(struct xf_budget *budget, const struct xf_budget_block *block);
/* What the evidence says now. */
enum xf_budget_finding xf_budget_finding(const struct xf_budget *budget);
/* After XF_BUDGET_BOTH was acted on: the evidence falls back to the threshold, which only lowers
 * it, so that `both` ends soon after the shared trouble does.  Nothing where it is plain. */
void xf_budget_cut_back(struct xf_budget *budget);
struct xf_totals xf_budget_window(const struct xf_budget *budget);

#endif
