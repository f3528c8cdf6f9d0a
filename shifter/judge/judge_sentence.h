/*
 * judge_sentence.h -- verdicts in words, with numbers.
 *
 * JUDGE.md section 5 words them.  Everything comes from the arguments, so that a verdict read
 * from the log gives the same sentence again.  Pure.
 */
#ifndef XF_SHIFTER_JUDGE_SENTENCE_H
#define XF_SHIFTER_JUDGE_SENTENCE_H

#include "shifter/judge/judge.h"

/* The verdict of `rule` from what it found; XF_JUDGE_NONE or a rule that found nothing gives an
 * empty sentence. */
void xf_judge_sentence_finding(const struct xf_judge_options *options, unsigned attempt,
                               enum xf_judge_rule rule, const struct xf_judge_finding *finding,
                               struct xf_judge_verdict *ret);

/* What the evidence for the next step rests on. */
struct xf_judge_evidence_basis {
    struct xf_promote promote;
    double against;     /* evidence against green */
    double alarm;       /* where that pauses */
    int64_t elapsed_us; /* since the evidence began */
    int64_t at_us;
    double rho;
};
void xf_judge_evidence_basis(const struct xf_judge *judge, struct xf_judge_evidence_basis *ret);
void xf_judge_sentence_evidence(const struct xf_judge_evidence_basis *basis,
                                struct xf_judge_evidence *ret);
/* The same as a verdict; rule none where there is enough. */
void xf_judge_sentence_evidence_verdict(const struct xf_judge_evidence_basis *basis,
                                        struct xf_judge_verdict *ret);

#define XF_SHARE_TEXT_BYTES 16
/* 0.0352 -> "3.5 %", 1 -> "100 %". */
const char *xf_format_share(double share, char out[XF_SHARE_TEXT_BYTES]);
#define XF_COUNT_TEXT_BYTES 32
/* 5758 -> "5,758". */
const char *xf_format_count(uint64_t count, char out[XF_COUNT_TEXT_BYTES]);

#endif
