/*
 * test_deadlines.c -- time limits as queues.
 */
#include "proxy/transport/deadlines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static unsigned fired;
static struct xf_deadline *last;

static void note(void *context, enum xf_deadline_kind kind, struct xf_deadline *deadline)
{
    (void) kind;
    assert_ptr_equal(context, &fired);
    assert_false(xf_deadline_armed(deadline));
    fired++;
    last = deadline;
}

static void run(struct xf_deadlines *deadlines, uint64_t now_ms)
{
    xf_deadlines_run(deadlines, now_ms, 1000, note, &fired);
}

static void what_is_due_fires_in_order_and_once(void **state)
{
    (void) state;
    struct xf_deadlines deadlines;
    struct xf_deadline nodes[3];
    fired = 0;
    assert_true(xf_deadlines_init(&deadlines, 2));
    xf_deadlines_set(&deadlines, 1, XF_DEADLINE_BODY, 100);
    for (unsigned i = 0; i < 3; i++) {
        xf_deadline_init(&nodes[i]);
        xf_deadline_arm(&deadlines, 1, XF_DEADLINE_BODY, &nodes[i], 1000 + i);
    }
    assert_int_equal(deadlines.urgent, 3);
    run(&deadlines, 1099);
    assert_int_equal(fired, 0);
    run(&deadlines, 1100);
    assert_int_equal(fired, 1);
    assert_ptr_equal(last, &nodes[0]);
    xf_deadline_disarm(&deadlines, XF_DEADLINE_BODY, &nodes[1]);
    xf_deadline_disarm(&deadlines, XF_DEADLINE_BODY, &nodes[1]); /* twice is harmless */
    run(&deadlines, 5000);
    assert_int_equal(fired, 2);
    assert_ptr_equal(last, &nodes[2]);
    assert_int_equal(deadlines.urgent, 0);
    xf_deadlines_release(&deadlines);
}

static void a_limit_that_is_off_never_fires_and_idle_ones_are_not_urgent(void **state)
{
    (void) state;
    struct xf_deadlines deadlines;
    struct xf_deadline off, idle;
    fired = 0;
    assert_true(xf_deadlines_init(&deadlines, 1));
    xf_deadlines_set(&deadlines, 0, XF_DEADLINE_TOTAL, -1);
    xf_deadlines_set(&deadlines, 0, XF_DEADLINE_IDLE, 10);
    xf_deadline_init(&off);
    xf_deadline_init(&idle);
    xf_deadline_arm(&deadlines, 0, XF_DEADLINE_TOTAL, &off, 0);
    xf_deadline_arm(&deadlines, 0, XF_DEADLINE_IDLE, &idle, 0);
    assert_false(xf_deadline_armed(&off));
    assert_int_equal(deadlines.urgent, 0);
    run(&deadlines, 1000000);
    assert_int_equal(fired, 1);
    xf_deadlines_release(&deadlines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_fires_in_order_and_once),
        cmocka_unit_test(a_limit_that_is_off_never_fires_and_idle_ones_are_not_urgent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
