/*
 * judge_sentence.c -- verdicts in words, with numbers.
 */
#include "shifter/judge/judge_sentence.h"

#include "config/base/check.h"
#include "config/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *xf_format_share(double share, char out[XF_SHARE_TEXT_BYTES])
{
    double percent = 100 * share;
    if (percent >= 99.5) {
        snprintf(out, XF_SHARE_TEXT_BYTES, "%.0f %%", percent);
    } else if (percent >= 0.0001) {
        snprintf(out, XF_SHARE_TEXT_BYTES, "%.2g %%", percent);
    } else {
        snprintf(out, XF_SHARE_TEXT_BYTES, "0 %%");
    }
    return out;
}

const char *xf_format_count(uint64_t count, char out[XF_COUNT_TEXT_BYTES])
{
    char digits[XF_COUNT_TEXT_BYTES];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

/* The texts that every verdict needs. */
struct words {
    char weight[24];
    char green[XF_SHARE_TEXT_BYTES];
    char blue[XF_SHARE_TEXT_BYTES];
    char limit[XF_SHARE_TEXT_BYTES];
    char green_counts[72]; /* "38 of 1,079" */
    char blue_counts[72];
    char since[XF_TIME_TEXT_BYTES];
    char n[XF_COUNT_TEXT_BYTES];
    char attempt[32]; /* "" for the first */
};

static void write_counts(char out[72], uint64_t bad, uint64_t done)
{
    char a[XF_COUNT_TEXT_BYTES];
    char b[XF_COUNT_TEXT_BYTES];
    snprintf(out, 72, "%s of %s", xf_format_count(bad, a), xf_format_count(done, b));
}

/* On a wall clock hh:mm:ss of UTC, else seconds since the start of the trace. */
static void write_since(char out[XF_TIME_TEXT_BYTES], int64_t t_us, bool exact)
{
    if (exact) {
        snprintf(out, XF_TIME_TEXT_BYTES, "%.3f s", (double) t_us / 1e6);
        return;
    }
    char whole[XF_TIME_TEXT_BYTES];
    xf_format_time(t_us / 1000, whole);
    const char *clock = strchr(whole, 'T');
    snprintf(out, XF_TIME_TEXT_BYTES, "%.8sZ", clock != NULL ? clock + 1 : whole);
}

static void write_n(char out[XF_COUNT_TEXT_BYTES], double n)
{
    if (n < 1e9) {
        xf_format_count((uint64_t) n, out);
    } else {
        snprintf(out, XF_COUNT_TEXT_BYTES, "10^%.0f", floor(log10(n)));
    }
}

static void find_words(const struct xf_judge_options *options, unsigned attempt,
                       const struct xf_judge_finding *finding, struct words *ret)
{
    const struct xf_totals *window = &finding->window;
    snprintf(ret->weight, sizeof(ret->weight), "%.4g %%", 100 * finding->rho);
    xf_format_share(xf_totals_green_share(window), ret->green);
    xf_format_share(xf_totals_blue_share(window), ret->blue);
    xf_format_share(finding->limit, ret->limit);
    write_counts(ret->green_counts, window->bad_green, window->done_green);
    write_counts(ret->blue_counts, window->bad_blue, window->done_blue);
    write_since(ret->since, window->t_us, options->exact);
    write_n(ret->n, finding->n);
    ret->attempt[0] = '\0';
    if (attempt > 1) {
        snprintf(ret->attempt, sizeof(ret->attempt), " (attempt %u)", attempt);
    }
}

static void write_router(const struct xf_judge_finding *finding, const struct words *w,
                         char out[XF_SENTENCE_BYTES])
{
    const struct xf_totals *sent = &finding->window;
    uint64_t all = sent->done_blue + sent->done_green;
    char share[XF_SHARE_TEXT_BYTES];
    char counts[72];
    xf_format_share(all > 0 ? (double) sent->done_green / (double) all : 0, share);
    write_counts(counts, sent->done_green, all);
    snprintf(out, XF_SENTENCE_BYTES,
             "frozen%s: green was sent %s of the requests (%s) instead of %s; verdicts are not "
             "trusted until the split is right",
             w->attempt, share, counts, w->weight);
}

/* "2.1 s": how long nothing was answered. */
#define SILENT_TEXT_BYTES 32
static void write_silent(char out[SILENT_TEXT_BYTES], const struct xf_judge_finding *finding)
{
    snprintf(out, SILENT_TEXT_BYTES, "%.1f s",
             (double) (finding->at_us - finding->window.t_us) / 1e6);
}

static void write_silence(enum xf_judge_rule rule, const struct xf_judge_options *options,
                          const struct xf_judge_finding *finding, const struct words *w,
                          char out[XF_SENTENCE_BYTES])
{
    char green[XF_COUNT_TEXT_BYTES];
    char blue[XF_COUNT_TEXT_BYTES];
    char silent[SILENT_TEXT_BYTES];
    xf_format_count(finding->window.done_green, green);
    xf_format_count(finding->window.done_blue, blue);
    write_silent(silent, finding);
    if (rule == XF_JUDGE_BOTH) {
        snprintf(out, XF_SENTENCE_BYTES,
                 "frozen%s: green and blue both answer nothing (%s and %s requests sent in %s), so "
                 "this is not green; the rollout resumes when it ends",
                 w->attempt, green, blue, silent);
        return;
    }
    snprintf(out, XF_SENTENCE_BYTES,
             "paused at %s%s: green answers nothing: %s requests sent in %s, none answered, while "
             "blue answered %s, since %s; a green no more than %.3gx slower would look like this "
             "in fewer than 1 of %s rollouts",
             w->weight, w->attempt, green, silent, blue, w->since, options->latency_worse_than,
             w->n);
}

static void write_finding(const struct xf_judge_options *options, enum xf_judge_rule rule,
                          const struct xf_judge_finding *finding, const struct words *w,
                          char out[XF_SENTENCE_BYTES])
{
    if (finding->kind == XF_FINDING_SILENCE) {
        write_silence(rule, options, finding, w, out);
        return;
    }
    switch (rule) {
    case XF_JUDGE_ERRORS:
        snprintf(out, XF_SENTENCE_BYTES,
                 "paused at %s%s: green %s %s (%s), blue %s (%s) since %s; a green no more than "
                 "%.3gx worse would look like this in fewer than 1 of %s rollouts",
                 w->weight, w->attempt,
                 finding->kind == XF_FINDING_4XX ? "answers 4xx to" : "fails", w->green,
                 w->green_counts, w->blue, w->blue_counts, w->since, options->worse_than, w->n);
        break;
    case XF_JUDGE_BUDGET:
        snprintf(out, XF_SENTENCE_BYTES,
                 "paused at %s%s: green fails %s (%s), its budget is %s, blue %s (%s) since %s; a "
                 "green within its budget would look like this in fewer than 1 of %s rollouts",
                 w->weight, w->attempt, w->green, w->green_counts, w->limit, w->blue,
                 w->blue_counts, w->since, w->n);
        break;
    case XF_JUDGE_LATENCY:
        snprintf(out, XF_SENTENCE_BYTES,
                 "paused at %s%s: %s of green requests are slower than blue's p99 (%s), blue's own "
                 "%s (%s); fewer than 1 in %s",
                 w->weight, w->attempt, w->green, w->green_counts, w->blue, w->blue_counts, w->n);
        break;
    case XF_JUDGE_BOTH:
        snprintf(out, XF_SENTENCE_BYTES,
                 "frozen%s: green and blue both fail (%s / %s), so this is not green; the rollout "
                 "resumes when it ends",
                 w->attempt, w->green, w->blue);
        break;
    case XF_JUDGE_ROUTER:
        write_router(finding, w, out);
        break;
    default:
        out[0] = '\0';
        break;
    }
}

/* What the rule compares. */
static void measure(const struct xf_judge_options *options, enum xf_judge_rule rule,
                    const struct xf_judge_finding *finding, struct xf_judge_verdict *ret)
{
    const struct xf_totals *window = &finding->window;
    double blue = xf_totals_blue_share(window);
    ret->measured = xf_totals_green_share(window);
    switch (rule) {
    case XF_JUDGE_ERRORS:
        ret->limit = fmax(options->worse_than * blue, options->ignore_below);
        break;
    case XF_JUDGE_LATENCY:
        ret->limit = fmax(options->latency_worse_than * blue, options->latency_ignore_below);
        break;
    case XF_JUDGE_BUDGET:
        ret->limit = finding->limit;
        break;
    case XF_JUDGE_BOTH:
        ret->limit = blue;
        break;
    case XF_JUDGE_ROUTER:
        ret->limit = finding->rho;
        ret->measured = (double) window->done_green /
                        fmax(1, (double) (window->done_green + window->done_blue));
        break;
    default:
        break;
    }
}

void xf_judge_sentence_finding(const struct xf_judge_options *options, unsigned attempt,
                               enum xf_judge_rule rule, const struct xf_judge_finding *finding,
                               struct xf_judge_verdict *ret)
{
    *ret = (struct xf_judge_verdict){.rule = XF_JUDGE_NONE};
    if (rule == XF_JUDGE_NONE || finding->at_us == 0) {
        return;
    }
    ret->rule = rule;
    ret->n = rule == XF_JUDGE_ROUTER ? 0 : finding->n;
    ret->samples_blue = finding->window.done_blue;
    ret->samples_green = finding->window.done_green;
    ret->bad_blue = finding->window.bad_blue;
    ret->bad_green = finding->window.bad_green;
    ret->since_ms = finding->window.t_us / 1000;
    ret->at_ms = finding->at_us / 1000;
    ret->weight = (unsigned) lround(finding->rho * XF_WEIGHT_FULL);
    measure(options, rule, finding, ret);

    struct words words;
    find_words(options, attempt, finding, &words);
    write_finding(options, rule, finding, &words, ret->sentence);
}

#define WAIT_TEXT_BYTES 48
/* "about 33 min at this rate" */
static void write_wait(char out[WAIT_TEXT_BYTES], int64_t ms)
{
    if (ms < 0) {
        snprintf(out, WAIT_TEXT_BYTES, "no traffic to tell how long");
    } else if (ms < 90 * 1000) {
        snprintf(out, WAIT_TEXT_BYTES, "about %" PRId64 " s at this rate", (ms + 999) / 1000);
    } else if (ms < 90 * 60 * 1000) {
        snprintf(out, WAIT_TEXT_BYTES, "about %" PRId64 " min at this rate", (ms + 30000) / 60000);
    } else {
        snprintf(out, WAIT_TEXT_BYTES, "about %" PRId64 " h at this rate",
                 (ms + 1800000) / 3600000);
    }
}

/* Time for `missing` more blocks at the rate of the past; -1: no rate yet.  Until green has
 * answered its part of blue's traffic is what it will get. */
static int64_t missing_ms(const struct xf_judge_evidence_basis *basis, uint64_t missing)
{
    double blocks = (double) basis->promote.blocks;
    if (blocks < 1) {
        blocks = (double) (basis->promote.blue + basis->promote.green) * basis->rho;
    }
    if (blocks <= 0 || basis->elapsed_us <= 0) {
        return -1;
    }
    double ms = (double) missing * (double) basis->elapsed_us / 1000 / blocks;
    return (int64_t) fmin(ms, 1e15);
}

#define PART_TEXT_BYTES 64
#define COUNT_MAX       1e15 /* evidence has no bound, its text has */
/* "437", or "312 more without errors" once there were some. */
static void write_needed(char out[PART_TEXT_BYTES], const struct xf_promote *promote,
                         const struct xf_judge_evidence *evidence)
{
    char count[XF_COUNT_TEXT_BYTES];
    bool clean = evidence->green_bad == 0;
    xf_format_count(clean ? xf_promote_needed(&promote->options) : evidence->missing, count);
    snprintf(out, PART_TEXT_BYTES, "%s%s", count, clean ? "" : " more without errors");
}

/* "rule out only > 11 %" */
static void write_rules_out(char out[PART_TEXT_BYTES], double rules_out)
{
    char share[XF_SHARE_TEXT_BYTES];
    if (rules_out > 0.999) {
        snprintf(out, PART_TEXT_BYTES, "rule out nothing");
    } else {
        snprintf(out, PART_TEXT_BYTES, "rule out only > %s", xf_format_share(rules_out, share));
    }
}

static void write_evidence(const struct xf_judge_evidence_basis *basis,
                           const struct xf_judge_evidence *evidence, char out[XF_SENTENCE_BYTES])
{
    if (evidence->soft_hold) {
        char against[XF_COUNT_TEXT_BYTES], alarm[XF_COUNT_TEXT_BYTES];
        snprintf(out, XF_SENTENCE_BYTES,
                 "not advancing: green looks worse than blue (evidence %s, it pauses at %s)",
                 xf_format_count((uint64_t) fmin(basis->against, COUNT_MAX), against),
                 xf_format_count((uint64_t) fmin(basis->alarm, COUNT_MAX), alarm));
        return;
    }
    const struct xf_promote *promote = &basis->promote;
    char green[XF_COUNT_TEXT_BYTES];
    char bad[XF_COUNT_TEXT_BYTES];
    char limit[XF_SHARE_TEXT_BYTES];
    char rules_out[PART_TEXT_BYTES];
    char needed[PART_TEXT_BYTES];
    char wait[WAIT_TEXT_BYTES];
    xf_format_count(evidence->green, green);
    xf_format_count(evidence->green_bad, bad);
    xf_format_share(promote->options.errors_below, limit);
    write_rules_out(rules_out, evidence->rules_out);
    write_needed(needed, promote, evidence);
    write_wait(wait, evidence->missing_ms);
    snprintf(out, XF_SENTENCE_BYTES,
             "not advancing: %s green response%s, %s error%s, %s; %s needed to rule out %s (%s)",
             green, evidence->green == 1 ? "" : "s", evidence->green_bad == 0 ? "no" : bad,
             evidence->green_bad == 1 ? "" : "s", rules_out, needed, limit, wait);
}

void xf_judge_sentence_evidence(const struct xf_judge_evidence_basis *basis,
                                struct xf_judge_evidence *ret)
{
    const struct xf_promote *promote = &basis->promote;
    *ret = (struct xf_judge_evidence){.value = xf_promote_value(promote),
                                      .soft_hold = basis->against >= XF_JUDGE_SOFT_HOLD,
                                      .green = promote->green,
                                      .green_bad = promote->green_bad};
    ret->enough = !ret->soft_hold && ret->value >= XF_PROMOTE_ENOUGH;
    ret->rules_out = xf_promote_rules_out(promote);
    ret->missing = xf_promote_missing(promote);
    ret->missing_ms = missing_ms(basis, ret->missing);
    if (!ret->enough) {
        write_evidence(basis, ret, ret->sentence);
    }
}

void xf_judge_sentence_evidence_verdict(const struct xf_judge_evidence_basis *basis,
                                        struct xf_judge_verdict *ret)
{
    struct xf_judge_evidence evidence;
    xf_judge_sentence_evidence(basis, &evidence);
    *ret = (struct xf_judge_verdict){.rule = evidence.enough ? XF_JUDGE_NONE : XF_JUDGE_EVIDENCE,
                                     .measured = evidence.rules_out,
                                     .limit = basis->promote.options.errors_below,
                                     .samples_green = evidence.green,
                                     .bad_green = evidence.green_bad,
                                     .since_ms = basis->promote.begun_us / 1000,
                                     .at_ms = basis->at_us / 1000};
    ret->weight = (unsigned) lround(basis->rho * XF_WEIGHT_FULL);
    memcpy(ret->sentence, evidence.sentence, sizeof(ret->sentence));
}
