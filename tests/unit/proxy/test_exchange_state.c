/*
 * test_exchange_state.c -- every (state, event) pair of an exchange.
 */
#include "proxy/worker/exchange_state.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NO -1

static void every_pair_goes_where_the_picture_says(void **state)
{
    (void) state;
    static const int wanted[XF_EXCHANGE_STATES][XF_EXCHANGE_EVENTS] = {
        /* WAIT, ROOM, DIAL, READY, FAILED, HEAD, SWITCH, LAST, END */
        {XF_EXCHANGE_QUEUED, NO, XF_EXCHANGE_CONNECTING, XF_EXCHANGE_WAITING, XF_EXCHANGE_CHOOSING,
         NO, NO, NO, XF_EXCHANGE_ENDED},
        {NO, XF_EXCHANGE_CHOOSING, NO, NO, XF_EXCHANGE_CHOOSING, NO, NO, NO, XF_EXCHANGE_ENDED},
        {NO, NO, NO, XF_EXCHANGE_WAITING, XF_EXCHANGE_CHOOSING, NO, NO, NO, XF_EXCHANGE_ENDED},
        {NO, NO, NO, NO, XF_EXCHANGE_CHOOSING, XF_EXCHANGE_ANSWERING, XF_EXCHANGE_TUNNEL, NO,
         XF_EXCHANGE_ENDED},
        {NO, NO, NO, NO, NO, NO, NO, XF_EXCHANGE_FLUSHING, XF_EXCHANGE_ENDED},
        {NO, NO, NO, NO, NO, NO, NO, NO, XF_EXCHANGE_ENDED},
        {NO, NO, NO, NO, NO, NO, NO, NO, XF_EXCHANGE_ENDED},
        {NO, NO, NO, NO, NO, NO, NO, NO, NO},
    };
    for (unsigned from = 0; from < XF_EXCHANGE_STATES; from++) {
        for (unsigned on = 0; on < XF_EXCHANGE_EVENTS; on++) {
            enum xf_exchange_state to;
            bool exists =
                xf_exchange_next((enum xf_exchange_state) from, (enum xf_exchange_event) on, &to);
            assert_int_equal(exists, wanted[from][on] != NO);
            assert_true(!exists || (int) to == wanted[from][on]);
        }
        assert_non_null(xf_exchange_state_name((enum xf_exchange_state) from));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_goes_where_the_picture_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
