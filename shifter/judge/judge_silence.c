/*
 * judge_silence.c -- see judge_silence.h.
 */
#include "shifter/judge/judge_silence.h"

void xf_silence_init(struct xf_silence *silence)
{
    *silence = (struct xf_silence){0};
}

/* Requests of a cell in which something was answered may have been before that answer. */
static void count_side(struct xf_silence_side *side, const struct xf_judge_cell *cell,
                       enum xf_judge_role role)
{
    int64_t t_us = cell->t_ms * 1000;
    if (cell->answered[role] > 0) {
        side->answered_us = t_us + (int64_t) cell->length_ms * 1000;
        side->asked = 0;
        side->other_answers = 0;
        return;
    }
    if (side->asked == 0) {
        side->since_us = t_us;
    }
    side->asked += cell->asked[role];
    if (side->asked > 0) {
        side->other_answers += cell->answered[1 - role];
    }
}

void xf_silence_cell(struct xf_silence *silence, const struct xf_judge_cell *cell)
{
    count_side(&silence->side[XF_JUDGE_BLUE], cell, XF_JUDGE_BLUE);
    count_side(&silence->side[XF_JUDGE_GREEN], cell, XF_JUDGE_GREEN);
}

static bool silent(const struct xf_silence_side *side, int64_t now_us)
{
    return side->asked >= XF_SILENCE_ASKED_MIN && now_us - side->since_us >= XF_SILENCE_US;
}

enum xf_silence_finding xf_silence_finding(const struct xf_silence *silence, int64_t now_us)
{
    const struct xf_silence_side *blue = &silence->side[XF_JUDGE_BLUE];
    const struct xf_silence_side *green = &silence->side[XF_JUDGE_GREEN];
    if (!silent(green, now_us)) {
        return XF_SILENCE_NONE;
    }
    if (silent(blue, now_us)) {
        return XF_SILENCE_BOTH;
    }
    bool fresh = now_us - blue->answered_us <= XF_SILENCE_FRESH_US;
    return fresh && green->other_answers > 0 ? XF_SILENCE_GREEN : XF_SILENCE_NONE;
}
