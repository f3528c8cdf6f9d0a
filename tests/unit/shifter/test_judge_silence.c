/*
 * test_judge_silence.c -- when a cluster counts as answering nothing.
 */
#include "shifter/judge/judge_silence.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_MS INT64_C(1764374592000)

/* So many requests and answers a cell for so long, from `from_ms` after the start on. */
struct stretch {
    unsigned ms;
    unsigned blue_asked, blue_answered, green_asked, green_answered;
};

static int64_t feed(struct xf_silence *silence, const struct stretch *stretches, size_t count)
{
    int64_t t_ms = START_MS;
    for (size_t i = 0; i < count; i++) {
        for (unsigned ms = 0; ms < stretches[i].ms; ms += XF_CELL_MS) {
            struct xf_judge_cell cell;
            xf_judge_cell_init(&cell, t_ms, XF_CELL_MS);
            cell.asked[XF_JUDGE_BLUE] = stretches[i].blue_asked;
            cell.answered[XF_JUDGE_BLUE] = stretches[i].blue_answered;
            cell.asked[XF_JUDGE_GREEN] = stretches[i].green_asked;
            cell.answered[XF_JUDGE_GREEN] = stretches[i].green_answered;
            xf_silence_cell(silence, &cell);
            t_ms += XF_CELL_MS;
        }
    }
    return t_ms * 1000;
}

static void silence_is_seconds_of_requests_without_any_answer_while_blue_answers(void **state)
{
    (void) state;
    static const struct {
        const char *what;
        struct stretch stretches[4];
        enum xf_silence_finding found;
    } rows[] = {
        {"both answer", {{3000, 9, 9, 1, 1}}, XF_SILENCE_NONE},
        {"green hangs", {{500, 9, 9, 1, 1}, {2000, 9, 9, 1, 0}}, XF_SILENCE_GREEN},
        {"not for long enough", {{500, 9, 9, 1, 1}, {1950, 9, 9, 1, 0}}, XF_SILENCE_NONE},
        {"one answer came, late",
         {{500, 9, 9, 1, 1}, {1500, 9, 9, 1, 0}, {50, 9, 9, 1, 1}, {1500, 9, 9, 1, 0}},
         XF_SILENCE_NONE},
        {"too few requests",
         {{500, 9, 9, 1, 1}, {50, 9, 9, 9, 0}, {4000, 9, 9, 0, 0}},
         XF_SILENCE_NONE},
        {"few, but enough",
         {{500, 9, 9, 1, 1}, {50, 9, 9, 9, 0}, {4000, 9, 9, 0, 0}, {50, 9, 9, 1, 0}},
         XF_SILENCE_GREEN},
        {"nobody asks green", {{9000, 9, 9, 0, 0}}, XF_SILENCE_NONE},
        {"asked only now, after a long rest",
         {{500, 9, 9, 1, 1}, {9000, 9, 9, 0, 0}, {500, 9, 9, 9, 0}},
         XF_SILENCE_NONE},
        {"both hang", {{500, 9, 9, 1, 1}, {2000, 9, 0, 1, 0}}, XF_SILENCE_BOTH},
        {"blue hangs a little later: nobody knows yet",
         {{500, 9, 9, 1, 1}, {500, 9, 9, 1, 0}, {1550, 9, 0, 1, 0}},
         XF_SILENCE_NONE},
        {"blue is not asked", {{500, 9, 9, 1, 1}, {2500, 0, 0, 9, 0}}, XF_SILENCE_NONE},
        {"blue alone hangs", {{500, 9, 9, 1, 1}, {5000, 9, 0, 1, 1}}, XF_SILENCE_NONE},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_silence silence;
        xf_silence_init(&silence);
        int64_t now_us = feed(&silence, rows[i].stretches, XF_COUNT(rows[i].stretches));
        if (xf_silence_finding(&silence, now_us) != rows[i].found) {
            fail_msg("%s", rows[i].what);
        }
    }
}

static void what_was_sent_and_what_blue_answered_is_counted_since_the_last_answer(void **state)
{
    (void) state;
    static const struct stretch stretches[] = {{500, 9, 9, 2, 2}, {2000, 9, 8, 2, 0}};
    struct xf_silence silence;
    xf_silence_init(&silence);
    int64_t now_us = feed(&silence, stretches, XF_COUNT(stretches));
    const struct xf_silence_side *green = &silence.side[XF_JUDGE_GREEN];
    assert_int_equal(now_us - green->since_us, 2000000);
    assert_int_equal(green->asked, 80);
    assert_int_equal(green->other_answers, 320);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_seconds_of_requests_without_any_answer_while_blue_answers),
        cmocka_unit_test(what_was_sent_and_what_blue_answered_is_counted_since_the_last_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
