/*
 * test_edition.c -- the state machine of an edition: every pair of state and event.
 */
#include "proxy/supervisor/edition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NONE XF_EDITION_STATES /* no arrow */

/* [state][event]: routed, all accept, superseded, stop, empty */
static const enum xf_edition_state expected[XF_EDITION_STATES][XF_EDITION_EVENTS] = {
    [XF_EDITION_STARTING] = {XF_EDITION_OPENING, NONE, XF_EDITION_RETIRING, XF_EDITION_RETIRING,
                             NONE},
    [XF_EDITION_OPENING] = {NONE, XF_EDITION_SERVING, XF_EDITION_RETIRING, XF_EDITION_RETIRING,
                            NONE},
    [XF_EDITION_SERVING] = {NONE, NONE, XF_EDITION_RETIRING, XF_EDITION_RETIRING, NONE},
    [XF_EDITION_RETIRING] = {NONE, NONE, NONE, NONE, XF_EDITION_OVER},
    [XF_EDITION_OVER] = {NONE, NONE, NONE, NONE, NONE},
};

static void every_pair_of_state_and_event_is_as_the_picture_says(void **state)
{
    (void) state;
    for (unsigned from = 0; from < XF_EDITION_STATES; from++) {
        for (unsigned on = 0; on < XF_EDITION_EVENTS; on++) {
            enum xf_edition_state to = NONE;
            bool arrow =
                xf_edition_next((enum xf_edition_state) from, (enum xf_edition_event) on, &to);
            assert_int_equal(to, expected[from][on]);
            assert_int_equal(arrow, expected[from][on] != NONE);
        }
    }
}

static void feeding_changes_the_state_only_along_an_arrow(void **state)
{
    (void) state;
    struct xf_edition edition = {.state = XF_EDITION_STARTING};
    assert_false(xf_edition_feed(&edition, XF_ON_ALL_ACCEPT));
    assert_int_equal(edition.state, XF_EDITION_STARTING);
    assert_true(xf_edition_feed(&edition, XF_ON_ROUTED));
    assert_int_equal(edition.state, XF_EDITION_OPENING);
}

static void every_state_has_a_name_of_its_own(void **state)
{
    (void) state;
    for (unsigned a = 0; a < XF_EDITION_STATES; a++) {
        for (unsigned b = 0; b < a; b++) {
            assert_string_not_equal(xf_edition_state_name((enum xf_edition_state) a),
                                    xf_edition_state_name((enum xf_edition_state) b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_state_and_event_is_as_the_picture_says),
        cmocka_unit_test(feeding_changes_the_state_only_along_an_arrow),
        cmocka_unit_test(every_state_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
