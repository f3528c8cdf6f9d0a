/*
 * judge.c -- the judge of one attempt: from counts to blocks, from blocks to findings.
 *
 * It cuts blocks, hands them to the detectors and keeps what they find.  A block of errors opens
 * with the first error and closes one blip later.  Live, an error's time is known to its cell
 * only, so a block opens with the cell of its first error; a burst that is shorter than the blip by
 * a cell is then always one piece of evidence, wherever it lies on the grid (README.md).
 */
#include "shifter/judge/judge.h"

#include "shifter/judge/judge_sentence.h"

#include "config/base/check.h"
#include "proxy/board/histogram.h"

#include <math.h>

/* Parts of false_pause (JUDGE.md section 5); 4xx takes 10 of the 50 of errors. */
#define PART_ERRORS          0.5
#define PART_ERRORS_WITH_4XX 0.4
#define PART_4XX             0.1
#define PART_LATENCY         0.4
#define PART_BUDGET          0.1

#define BLUE_LEARNT_MIN   1000u /* responses from which blue's own error share is known */
#define BUDGET_TIMES_BLUE 3.0
#define BUDGET_RAISED_MAX 0.5 /* a blue that is broken anyway does not switch the budget off */
#define TAU_RESPONSES_MIN 1000u
#define TAU_QUANTILE      0.99

static double part_of(const struct xf_judge *judge, double part)
{
    return judge->options.false_pause * part / judge->options.judges;
}

static void init_stream(struct xf_judge *judge, enum xf_judge_stream which, double part)
{
    const struct xf_judge_options *options = &judge->options;
    bool latency = which == XF_STREAM_SLOW;
    struct xf_detector_options detector = {
        .worse_than = latency ? options->latency_worse_than : options->worse_than,
        .latency = latency,
        .alpha = part_of(judge, part),
        .floor = latency ? options->latency_ignore_below : options->ignore_below,
        .steps = options->steps,
        .planned_us = options->planned_ms * 1000,
    };
    struct xf_judge_stream_state *stream = &judge->streams[which];
    *stream = (struct xf_judge_stream_state){.watched = true};
    stream->totals.t_us = judge->begun_us;
    xf_detector_init(&stream->detector, &detector, judge->begun_us);
    xf_trail_start(&stream->trail, &stream->detector);
}

static void init_budget(struct xf_judge *judge)
{
    struct xf_budget_options options = {.limit = judge->limit,
                                        .alpha = part_of(judge, PART_BUDGET),
                                        .steps = judge->options.steps,
                                        .planned_us = judge->options.planned_ms * 1000,
                                        .plain = judge->options.plain};
    xf_budget_init(&judge->budget, &options, judge->begun_us);
    xf_budget_trail_start(&judge->budget_trail, &judge->budget);
}

static void init_promote(struct xf_judge *judge, int64_t t_us)
{
    struct xf_promote_options options = {.errors_below = judge->options.prove_errors_below,
                                         .ratio_below = judge->options.prove_ratio_below};
    xf_promote_init(&judge->promote, &options, t_us);
}

/* Everything that an attempt gathers. */
static void begin_attempt(struct xf_judge *judge, int64_t t_us)
{
    const struct xf_judge_options *options = &judge->options;
    judge->begun_us = t_us;
    judge->seen_us = t_us;
    judge->stepped = false;
    init_stream(judge, XF_STREAM_ERRORS, options->watch_4xx ? PART_ERRORS_WITH_4XX : PART_ERRORS);
    init_stream(judge, XF_STREAM_4XX, PART_4XX);
    init_stream(judge, XF_STREAM_SLOW, PART_LATENCY);
    judge->streams[XF_STREAM_4XX].watched = options->watch_4xx;
    judge->streams[XF_STREAM_SLOW].watched = options->latency;
    init_budget(judge);
    init_promote(judge, t_us);
    xf_router_init(&judge->router, options->steps, t_us);
    xf_silence_init(&judge->silence);
    judge->marks = (struct xf_judge_marks){-1, -1, -1, -1};
    for (unsigned rule = 0; rule < XF_JUDGE_RULES; rule++) {
        judge->findings[rule] = (struct xf_judge_finding){.standing = false};
    }
}

void xf_judge_init(struct xf_judge *judge, const struct xf_judge_options *options, int64_t t_ms)
{
    XF_ASSERT(xf_judge_options_check(options, NULL) == 0);

    *judge = (struct xf_judge){
        .options = *options,
        .attempt = 1,
        .blip_ms = options->blip_ms != 0 ? options->blip_ms : XF_JUDGE_BLIP_MS,
        .limit = options->limit,
    };
    xf_blip_init(&judge->blip);
    begin_attempt(judge, t_ms * 1000);
}

void xf_judge_reset(struct xf_judge *judge, int64_t t_ms)
{
    judge->attempt++;
    begin_attempt(judge, t_ms * 1000);
    if (judge->rho > 0) {
        xf_judge_step_at(judge, t_ms * 1000, judge->rho);
    }
}

/* ---- before the start ---- */

void xf_judge_learn(struct xf_judge *judge, const struct xf_judge_cell *cell)
{
    uint64_t bad = 0;
    for (unsigned i = 0; i < cell->entry_count; i++) {
        const struct xf_judge_counts *blue = &cell->entries[i].role[XF_JUDGE_BLUE];
        judge->blue_done += blue->done;
        bad += blue->bad;
    }
    judge->blue_bad += bad;
    xf_blip_cell(&judge->blip, cell->t_ms, bad);
    xf_blip_seen(&judge->blip, cell->t_ms + (int64_t) cell->length_ms);
}

static void take_blip(struct xf_judge *judge, unsigned blip_ms)
{
    if (judge->options.blip_ms == 0 && blip_ms > judge->blip_ms) {
        judge->blip_ms = blip_ms;
    }
}

void xf_judge_learnt(struct xf_judge *judge, const struct xf_learnt *learnt)
{
    judge->blue_done += learnt->done;
    judge->blue_bad += learnt->bad;
    take_blip(judge, learnt->blip_ms);
}

/* What was learnt from blue is frozen when the first step begins. */
static void apply_learnt(struct xf_judge *judge)
{
    take_blip(judge, xf_blip_ms(&judge->blip));
    if (judge->blue_done < BLUE_LEARNT_MIN) {
        return;
    }
    double own = (double) judge->blue_bad / (double) judge->blue_done;
    double raised = fmin(BUDGET_TIMES_BLUE * own, BUDGET_RAISED_MAX);
    if (raised > judge->limit) {
        judge->limit = raised;
        init_budget(judge);
    }
}

/* ---- steps ---- */

void xf_judge_step_at(struct xf_judge *judge, int64_t t_us, double rho)
{
    xf_judge_advance_us(judge, t_us);
    if (!judge->stepped) {
        if (judge->attempt == 1) {
            apply_learnt(judge);
        }
        judge->stepped = true;
        init_promote(judge, t_us);
    } else if (xf_promote_value(&judge->promote) >= XF_PROMOTE_ENOUGH) {
        xf_promote_renew(&judge->promote, t_us, rho < 1);
    }
    judge->rho = rho;
    for (unsigned i = 0; i < XF_STREAMS; i++) {
        struct xf_judge_stream_state *stream = &judge->streams[i];
        xf_detector_step(&stream->detector, t_us);
        if (stream->trail.count == 0) {
            xf_trail_start(&stream->trail, &stream->detector);
        }
    }
    xf_budget_step(&judge->budget, t_us);
    if (judge->budget_trail.count == 0) {
        xf_budget_trail_start(&judge->budget_trail, &judge->budget);
    }
    xf_router_step(&judge->router, t_us, rho);
    judge->findings[XF_JUDGE_ROUTER].standing = false;
}

void xf_judge_step_started(struct xf_judge *judge, int64_t t_ms, unsigned weight)
{
    XF_ASSERT(weight <= XF_WEIGHT_FULL);
    xf_judge_step_at(judge, t_ms * 1000, (double) weight / XF_WEIGHT_FULL);
}

void xf_judge_set_rho(struct xf_judge *judge, double rho)
{
    if (!judge->stepped && rho > 0) { /* a weight by hand, or a ramp after a reset at weight 0 */
        xf_judge_step_at(judge, judge->seen_us, rho);
        return;
    }
    judge->rho = rho;
    xf_router_set_rho(&judge->router, rho);
}

void xf_judge_set_weight(struct xf_judge *judge, unsigned weight)
{
    XF_ASSERT(weight <= XF_WEIGHT_FULL);
    xf_judge_set_rho(judge, (double) weight / XF_WEIGHT_FULL);
}

/* ---- closing blocks ---- */

static void mark(int64_t *first_us, int64_t t_us)
{
    if (*first_us < 0) {
        *first_us = t_us;
    }
}

static void latch(struct xf_judge *judge, enum xf_judge_rule rule,
                  const struct xf_judge_finding *finding)
{
    if (!judge->findings[rule].standing) {
        judge->findings[rule] = *finding;
    }
}

static int64_t block_us(const struct xf_judge *judge)
{
    return (int64_t) judge->blip_ms * 1000;
}

static bool soft_hold(const struct xf_judge *judge)
{
    return judge->streams[XF_STREAM_ERRORS].detector.value >= XF_JUDGE_SOFT_HOLD ||
           judge->streams[XF_STREAM_4XX].detector.value >= XF_JUDGE_SOFT_HOLD;
}

static void mark_enough(struct xf_judge *judge, int64_t t_us)
{
    if (judge->marks.enough_us < 0 && !soft_hold(judge) &&
        xf_promote_value(&judge->promote) >= XF_PROMOTE_ENOUGH) {
        judge->marks.enough_us = t_us;
    }
}

static void close_stream(struct xf_judge *judge, enum xf_judge_stream which, int64_t t_us)
{
    struct xf_judge_stream_state *stream = &judge->streams[which];
    struct xf_detector *detector = &stream->detector;
    stream->open = false;
    stream->totals.t_us = t_us;
    double mass = xf_detector_block(detector, &stream->block, &stream->totals);
    enum xf_judge_rule rule = which == XF_STREAM_SLOW ? XF_JUDGE_LATENCY : XF_JUDGE_ERRORS;
    if (!judge->findings[rule].standing) { /* what a verdict rests on is kept with it */
        xf_trail_push(&stream->trail, detector, &stream->block, &stream->totals, mass);
    }
    if (which == XF_STREAM_ERRORS) {
        xf_promote_block(&judge->promote, &stream->block);
    }
    if (soft_hold(judge)) {
        mark(&judge->marks.soft_hold_us, t_us);
    }
    if (which == XF_STREAM_ERRORS) {
        mark_enough(judge, t_us);
    }
    if (xf_detector_alarm(detector)) {
        struct xf_judge_finding finding = {.standing = true,
                                           .kind = which == XF_STREAM_4XX ? XF_FINDING_4XX
                                                                          : XF_FINDING_FAILS,
                                           .at_us = t_us,
                                           .rho = judge->rho,
                                           .n = detector->value,
                                           .window = xf_detector_window(detector)};
        latch(judge, rule, &finding);
    }
}

static void close_budget(struct xf_judge *judge, int64_t t_us)
{
    struct xf_budget *budget = &judge->budget;
    struct xf_budget_block block;
    if (judge->budget_trail.stale) {
        xf_budget_trail_start(&judge->budget_trail, budget);
    }
    budget->totals.t_us = t_us;
    enum xf_budget_finding found = xf_budget_close(budget, &block);
    if (!judge->findings[XF_JUDGE_BUDGET].standing) {
        xf_budget_trail_push(&judge->budget_trail, &block);
    }
    struct xf_judge_finding finding = {.standing = true,
                                       .at_us = t_us,
                                       .rho = judge->rho,
                                       .n = budget->value,
                                       .limit = judge->limit,
                                       .window = xf_budget_window(budget)};
    if (found == XF_BUDGET_OVER) {
        latch(judge, XF_JUDGE_BUDGET, &finding);
    } else if (found == XF_BUDGET_BOTH) {
        judge->findings[XF_JUDGE_BOTH] = finding;
        mark(&judge->marks.both_us, t_us);
        xf_budget_cut_back(budget);
        judge->budget_trail.stale = !judge->findings[XF_JUDGE_BUDGET].standing;
    }
}

static void look_at_router(struct xf_judge *judge, int64_t t_us)
{
    struct xf_judge_finding *finding = &judge->findings[XF_JUDGE_ROUTER];
    if (xf_router_look(&judge->router, t_us)) {
        const struct xf_router_segment *found = &judge->router.found;
        int64_t at_us = judge->router.looked_us;
        *finding = (struct xf_judge_finding){.at_us = at_us, .rho = found->rho, .n = found->log_bf};
        finding->window =
            (struct xf_totals){.t_us = at_us, .done_blue = found->blue, .done_green = found->green};
        mark(&judge->marks.router_us, at_us);
    }
    finding->standing = judge->router.flagged;
}

/* A green that was found slow and answers nothing at all fails, though nothing has failed yet;
 * where blue answers nothing either it is not green. */
static void look_at_silence(struct xf_judge *judge, int64_t t_us)
{
    const struct xf_silence_side *green = &judge->silence.side[XF_JUDGE_GREEN];
    const struct xf_silence_side *blue = &judge->silence.side[XF_JUDGE_BLUE];
    struct xf_judge_finding finding = {
        .standing = true, .kind = XF_FINDING_SILENCE, .at_us = t_us, .rho = judge->rho};
    enum xf_silence_finding found = xf_silence_finding(&judge->silence, t_us);
    finding.window.done_green = finding.window.bad_green = green->asked;
    if (found == XF_SILENCE_GREEN && judge->findings[XF_JUDGE_LATENCY].standing) {
        finding.n = judge->findings[XF_JUDGE_LATENCY].n;
        finding.window.t_us = green->since_us;
        finding.window.done_blue = green->other_answers;
        latch(judge, XF_JUDGE_ERRORS, &finding);
    } else if (found == XF_SILENCE_BOTH) {
        finding.window.t_us = blue->since_us > green->since_us ? blue->since_us : green->since_us;
        finding.window.done_blue = finding.window.bad_blue = blue->asked;
        judge->findings[XF_JUDGE_BOTH] = finding;
        mark(&judge->marks.both_us, t_us);
    }
}

void xf_judge_advance_us(struct xf_judge *judge, int64_t t_us)
{
    for (unsigned i = 0; i < XF_STREAMS; i++) {
        struct xf_judge_stream_state *stream = &judge->streams[i];
        int64_t due_us = stream->block.opened_us + block_us(judge);
        if (stream->open && due_us <= t_us) {
            close_stream(judge, i, due_us);
        }
    }
    if (xf_budget_due(&judge->budget, t_us)) {
        close_budget(judge, judge->budget.opened_us + XF_BUDGET_BLOCK_US);
    }
    if (judge->promote.open && t_us - judge->promote.opened_us >= XF_PROMOTE_BLOCK_US) {
        int64_t closed_us = judge->promote.opened_us + XF_PROMOTE_BLOCK_US;
        xf_promote_advance(&judge->promote, t_us);
        mark_enough(judge, closed_us);
    }
    if (judge->stepped) {
        look_at_router(judge, t_us);
    }
    if (judge->stepped && t_us > judge->seen_us) {
        look_at_silence(judge, t_us);
    }
    if (t_us > judge->seen_us) {
        judge->seen_us = t_us;
    }
    struct xf_judge_finding *both = &judge->findings[XF_JUDGE_BOTH];
    both->standing =
        both->standing && judge->seen_us - both->at_us < (int64_t) XF_JUDGE_BOTH_QUIET_MS * 1000;
}

void xf_judge_advance(struct xf_judge *judge, int64_t t_ms)
{
    xf_judge_advance_us(judge, t_ms * 1000);
}

/* ---- counting ---- */

static void count_stream(struct xf_judge_stream_state *stream, int64_t t_us, double rho,
                         const struct xf_totals *add)
{
    stream->totals.done_blue += add->done_blue;
    stream->totals.done_green += add->done_green;
    stream->totals.bad_blue += add->bad_blue;
    stream->totals.bad_green += add->bad_green;
    if (!stream->watched || rho >= 1 || (add->bad_blue == 0 && add->bad_green == 0)) {
        return;
    }
    if (!stream->open) {
        stream->open = true;
        stream->block.count = 0;
        stream->block.opened_us = t_us;
    }
    xf_block_add(&stream->block, rho, add->bad_green, add->bad_blue);
}

void xf_judge_count(struct xf_judge *judge, int64_t t_us, double rho,
                    const struct xf_judge_counts role[2])
{
    xf_judge_advance_us(judge, t_us);
    if (!judge->stepped || rho <= 0) {
        return; /* no green could have been chosen: nothing to compare */
    }
    const struct xf_judge_counts *blue = &role[XF_JUDGE_BLUE];
    const struct xf_judge_counts *green = &role[XF_JUDGE_GREEN];
    struct xf_totals add = {.done_blue = blue->done, .done_green = green->done};
    add.bad_blue = blue->bad;
    add.bad_green = green->bad;
    count_stream(&judge->streams[XF_STREAM_ERRORS], t_us, rho, &add);
    add.bad_blue = blue->bad_4xx;
    add.bad_green = green->bad_4xx;
    count_stream(&judge->streams[XF_STREAM_4XX], t_us, rho, &add);
    add.done_blue = judge->options.sticky ? blue->done : blue->sent; /* a hung one has no end */
    add.done_green = judge->options.sticky ? green->done : green->sent;
    add.bad_blue = blue->slow;
    add.bad_green = green->slow;
    count_stream(&judge->streams[XF_STREAM_SLOW], t_us, rho, &add);

    struct xf_totals totals = judge->streams[XF_STREAM_ERRORS].totals;
    totals.t_us = t_us;
    xf_budget_add(&judge->budget, t_us, &totals, green->done, green->bad);
    if (xf_budget_due(&judge->budget, t_us)) {
        close_budget(judge, t_us);
    }
    xf_promote_green(&judge->promote, t_us, green->done, green->bad);
    xf_promote_blue(&judge->promote, blue->done);
    if (rho == judge->router.now.rho) {
        xf_router_sent(&judge->router, blue->sent, green->sent);
    }
}

void xf_judge_feed(struct xf_judge *judge, const struct xf_judge_cell *cell)
{
    int64_t t_us = cell->t_ms * 1000;
    for (unsigned i = 0; i < cell->entry_count && i < XF_JUDGE_ENTRIES_MAX; i++) {
        const struct xf_judge_entry *entry = &cell->entries[i];
        xf_judge_count(judge, t_us, (double) entry->weight / XF_WEIGHT_FULL, entry->role);
    }
    xf_silence_cell(&judge->silence, cell);
    xf_judge_advance_us(judge, t_us + (int64_t) cell->length_ms * 1000);
}

/* ---- answers ---- */

unsigned xf_judge_standing(const struct xf_judge *judge)
{
    unsigned standing = 0;
    for (unsigned rule = XF_JUDGE_ERRORS; rule < XF_JUDGE_EVIDENCE; rule++) {
        standing |= (unsigned) judge->findings[rule].standing << rule;
    }
    return standing;
}

enum xf_judge_rule xf_judge_verdict(const struct xf_judge *judge, struct xf_judge_verdict *ret)
{
    unsigned standing = xf_judge_standing(judge);
    enum xf_judge_rule rule =
        standing == 0 ? XF_JUDGE_NONE : (enum xf_judge_rule) __builtin_ctz(standing);
    xf_judge_verdict_of(judge, rule, ret);
    return rule;
}

void xf_judge_evidence_basis(const struct xf_judge *judge, struct xf_judge_evidence_basis *ret)
{
    const struct xf_detector *errors = &judge->streams[XF_STREAM_ERRORS].detector;
    const struct xf_detector *client = &judge->streams[XF_STREAM_4XX].detector;
    const struct xf_detector *worst = client->value > errors->value ? client : errors;
    *ret = (struct xf_judge_evidence_basis){.promote = judge->promote,
                                            .against = worst->value,
                                            .alarm = 1 / worst->options.alpha,
                                            .elapsed_us = judge->seen_us - judge->promote.begun_us,
                                            .at_us = judge->seen_us,
                                            .rho = judge->rho};
}

void xf_judge_verdict_of(const struct xf_judge *judge, enum xf_judge_rule rule,
                         struct xf_judge_verdict *ret)
{
    if (rule == XF_JUDGE_EVIDENCE) {
        struct xf_judge_evidence_basis basis;
        xf_judge_evidence_basis(judge, &basis);
        xf_judge_sentence_evidence_verdict(&basis, ret);
        return;
    }
    xf_judge_sentence_finding(&judge->options, judge->attempt, rule, &judge->findings[rule], ret);
}

void xf_judge_evidence(const struct xf_judge *judge, struct xf_judge_evidence *ret)
{
    struct xf_judge_evidence_basis basis;
    xf_judge_evidence_basis(judge, &basis);
    xf_judge_sentence_evidence(&basis, ret);
}

const char *xf_judge_rule_name(enum xf_judge_rule rule)
{
    static const char *const names[XF_JUDGE_RULES] = {"none", "errors", "budget",  "latency",
                                                      "both", "router", "evidence"};
    return rule < XF_JUDGE_RULES ? names[rule] : "none";
}

uint64_t xf_judge_tau_us(const uint64_t buckets[XF_HISTOGRAM_BUCKETS])
{
    uint64_t total = 0;
    for (unsigned i = 0; i < XF_HISTOGRAM_BUCKETS; i++) {
        total += buckets[i];
    }
    return total < TAU_RESPONSES_MIN ? 0 : xf_histogram_quantile(buckets, TAU_QUANTILE);
}
