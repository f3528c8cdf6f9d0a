/*
 * test_cutover.c -- every (state, event) pair of the state machine.
 */
#include "shifter/plan/cutover.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NONE XF_CUTOVER_STATES

static void every_pair_of_state_and_event_is_as_drawn(void **state)
{
    (void) state;
    enum { IDLE, PRE, SHIFT, SOAK, DRAIN, SAFE, FING, FED, ABING, ABED };
    static const unsigned wanted[XF_CUTOVER_STATES][XF_CUTOVER_EVENTS] = {
        /*          START PASSED FAILED FULL  CONTENT LOWERED QUIET FINALIZE VERIFIED ABORT REVOKED
         *          EMPTIED */
        [IDLE] = {PRE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE},
        [PRE] = {NONE, SHIFT, IDLE, NONE, NONE, NONE, NONE, NONE, NONE, IDLE, NONE, NONE},
        [SHIFT] = {NONE, NONE, NONE, SOAK, NONE, SHIFT, NONE, NONE, NONE, ABING, NONE, NONE},
        [SOAK] = {NONE, NONE, NONE, NONE, DRAIN, SHIFT, NONE, NONE, NONE, ABING, NONE, NONE},
        [DRAIN] = {NONE, NONE, NONE, NONE, NONE, SHIFT, SAFE, NONE, NONE, ABING, NONE, NONE},
        [SAFE] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, FING, NONE, NONE, ABING, NONE},
        [FING] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, FED, NONE, NONE, NONE},
        [FED] = {PRE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE},
        [ABING] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, ABED},
        [ABED] = {PRE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE},
    };
    for (unsigned from = 0; from < XF_CUTOVER_STATES; from++) {
        for (unsigned on = 0; on < XF_CUTOVER_EVENTS; on++) {
            enum xf_cutover_state to = NONE;
            bool arrow =
                xf_cutover_next((enum xf_cutover_state) from, (enum xf_cutover_event) on, &to);
            assert_int_equal(arrow, wanted[from][on] != NONE);
            assert_int_equal(to, wanted[from][on]);
        }
    }
}

static void names_read_back_and_strangers_do_not(void **state)
{
    (void) state;
    for (unsigned i = 0; i < XF_CUTOVER_STATES; i++) {
        enum xf_cutover_state read;
        assert_true(
            xf_cutover_state_parse(xf_cutover_state_name((enum xf_cutover_state) i), &read));
        assert_int_equal(read, i);
    }
    enum xf_cutover_state read;
    assert_false(xf_cutover_state_parse("held", &read));
}

static void only_three_states_are_at_rest(void **state)
{
    (void) state;
    unsigned resting = 0;
    for (unsigned i = 0; i < XF_CUTOVER_STATES; i++) {
        resting += !xf_cutover_runs((enum xf_cutover_state) i);
    }
    assert_int_equal(resting, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_state_and_event_is_as_drawn),
        cmocka_unit_test(names_read_back_and_strangers_do_not),
        cmocka_unit_test(only_three_states_are_at_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
