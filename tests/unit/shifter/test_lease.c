/*
 * test_lease.c -- leadership on a fake clock and a fake store that loses answers on demand.
 */
#include "shifter/store/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"

/* A store of one lease.  Answers wait until they are delivered, or are lost. */
struct fake {
    struct xf_store base;
    int64_t now_ms;
    struct xf_clock clock;
    bool present;
    struct xf_store_lease stored;
    uint64_t document_epoch;
    bool mute; /* nothing arrives and nothing is answered */
    bool deaf; /* it arrives, the answer is lost */
    unsigned swaps;
    struct {
        xf_store_done *done;
        xf_store_got_lease *lease;
        xf_store_got_state *state;
        void *context;
        enum xf_store_result result;
    } waiting[32];
    unsigned waiting_count;
};

struct seat { /* one candidate */
    struct xf_lease *lease;
    unsigned led, lost;
    uint64_t epoch;
};

static int64_t fake_ns(void *context)
{
    return ((struct fake *) context)->now_ms * 1000000;
}

static int64_t fake_ms(void *context)
{
    return ((struct fake *) context)->now_ms;
}

static void fake_read_lease(struct xf_store *base, const char *service,
                            xf_store_got_lease *callback, void *context)
{
    struct fake *fake = (struct fake *) base;
    (void) service;
    fake->waiting[fake->waiting_count].lease = callback;
    fake->waiting[fake->waiting_count].context = context;
    fake->waiting[fake->waiting_count++].result =
        fake->mute || fake->deaf ? XF_STORE_LOST : XF_STORE_OK;
}

static void fake_read_state(struct xf_store *base, const char *service,
                            xf_store_got_state *callback, void *context)
{
    struct fake *fake = (struct fake *) base;
    (void) service;
    fake->waiting[fake->waiting_count].state = callback;
    fake->waiting[fake->waiting_count].context = context;
    fake->waiting[fake->waiting_count++].result = fake->mute ? XF_STORE_LOST : XF_STORE_OK;
}

static bool same(const struct xf_store_lease *a, const struct xf_store_lease *b)
{
    return a->beat == b->beat && strcmp(a->holder, b->holder) == 0;
}

static void fake_swap(struct xf_store *base, const char *service, const struct xf_store_lease *seen,
                      const struct xf_store_lease *next, xf_store_done *callback, void *context)
{
    struct fake *fake = (struct fake *) base;
    enum xf_store_result result = XF_STORE_OK;
    (void) service;
    if (fake->mute) {
        result = XF_STORE_LOST;
    } else if (same(&fake->stored, seen)) {
        fake->stored = *next;
        fake->present = true;
        fake->swaps++;
    } else if (!same(&fake->stored, next)) {
        result = XF_STORE_STALE;
    }
    fake->waiting[fake->waiting_count].done = callback;
    fake->waiting[fake->waiting_count].context = context;
    fake->waiting[fake->waiting_count++].result = fake->deaf ? XF_STORE_LOST : result;
}

static const struct xf_store_vtable fake_calls = {
    .read_lease = fake_read_lease, .read_state = fake_read_state, .swap_lease = fake_swap};

static void deliver(struct fake *fake)
{
    while (fake->waiting_count > 0) {
        struct xf_store_state document = {.version = {fake->document_epoch, 1, 0},
                                          .document = "{}"};
        unsigned last = --fake->waiting_count;
        void *context = fake->waiting[last].context;
        enum xf_store_result result = fake->waiting[last].result;
        bool ok = result == XF_STORE_OK;
        xf_store_done *done = fake->waiting[last].done;
        xf_store_got_lease *lease = fake->waiting[last].lease;
        xf_store_got_state *state = fake->waiting[last].state;
        memset(&fake->waiting[last], 0, sizeof(fake->waiting[last]));
        if (done != NULL) {
            done(context, result, "");
        } else if (lease != NULL) {
            bool there = ok && fake->present;
            lease(context, ok && !there ? XF_STORE_ABSENT : result, there ? &fake->stored : NULL,
                  "");
        } else {
            state(context, result, ok ? &document : NULL, "");
        }
    }
}

static void seat_led(void *context, uint64_t epoch)
{
    struct seat *seat = context;
    seat->led++;
    seat->epoch = epoch;
}

static void seat_lost(void *context, const char *why)
{
    assert_true(why[0] != '\0');
    ((struct seat *) context)->lost++;
}

static void fake_init(struct fake *fake, enum xf_store_kind kind)
{
    *fake = (struct fake){.now_ms = 1000000};
    fake->base = (struct xf_store){.calls = &fake_calls, .kind = kind};
    fake->clock = (struct xf_clock){fake_ns, fake_ns, fake_ms, fake};
}

static void sit(struct fake *fake, struct seat *seat, const char *holder)
{
    struct xf_lease_calls calls = {seat_led, seat_lost, seat};
    *seat = (struct seat){0};
    seat->lease = xf_lease_create(&fake->base, &fake->clock, "gateway", holder, &calls);
}

/* Lets `ms` pass in steps of 50, ticking those seats that are not NULL. */
static void pass(struct fake *fake, struct seat *one, struct seat *two, int ms)
{
    for (int t = 0; t < ms; t += 50) {
        fake->now_ms += 50;
        if (one != NULL) {
            xf_lease_tick(one->lease);
        }
        if (two != NULL) {
            xf_lease_tick(two->lease);
        }
        deliver(fake);
        if (one != NULL && two != NULL) {
            assert_false(xf_lease_leads(one->lease) && xf_lease_leads(two->lease));
        }
    }
}

static void the_holder_of_the_file_lock_leads_at_once_in_a_larger_epoch(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one;
    fake_init(&fake, XF_STORE_SQLITE);
    fake.present = true;
    fake.stored = (struct xf_store_lease){.holder = B, .epoch = 4, .beat = 9};
    fake.document_epoch = 6;
    sit(&fake, &one, A);
    pass(&fake, &one, NULL, 50);
    assert_int_equal(one.led, 1);
    assert_int_equal(one.epoch, 7);
    assert_true(xf_lease_leads(one.lease));
    fake.now_ms += 3600000; /* no beat is needed */
    assert_true(xf_lease_leads(one.lease));
    pass(&fake, &one, NULL, 5000);
    assert_int_equal(one.lost, 0);
    assert_int_equal(fake.swaps, 1);
    xf_lease_destroy(one.lease);
}

static void an_epoch_met_elsewhere_is_exceeded(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one;
    fake_init(&fake, XF_STORE_SQLITE);
    fake.document_epoch = 6;
    sit(&fake, &one, A);
    xf_lease_met_epoch(one.lease, 40);
    xf_lease_met_epoch(one.lease, 12);
    pass(&fake, &one, NULL, 50);
    assert_int_equal(one.epoch, 41);
    xf_lease_destroy(one.lease);
}

static void a_candidate_waits_3_s_and_not_while_the_leader_beats(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one, two;
    fake_init(&fake, XF_STORE_REDIS);
    sit(&fake, &one, A);
    sit(&fake, &two, B);
    pass(&fake, &one, NULL, 2900);
    assert_int_equal(one.led, 0);
    pass(&fake, &one, NULL, 1000);
    assert_int_equal(one.led, 1);
    pass(&fake, &one, &two, 30000);
    assert_int_equal(two.led, 0);
    assert_int_equal(one.lost, 0);
    pass(&fake, NULL, &two, 4100); /* the leader stands still */
    assert_int_equal(two.led, 1);
    assert_true(two.epoch > one.epoch);
    assert_false(xf_lease_leads(one.lease));
    pass(&fake, &one, &two, 10000);
    assert_int_equal(one.lost, 1);
    assert_int_equal(one.led, 1);
    xf_lease_destroy(one.lease);
    xf_lease_destroy(two.lease);
}

static void a_leader_without_acknowledged_beats_stops_2_s_after_the_last_was_sent(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one;
    fake_init(&fake, XF_STORE_REDIS);
    sit(&fake, &one, A);
    pass(&fake, &one, NULL, 8000);
    assert_int_equal(one.led, 1);
    fake.mute = true;
    pass(&fake, &one, NULL, 950);
    assert_true(xf_lease_leads(one.lease));
    pass(&fake, &one, NULL, 1100);
    assert_false(xf_lease_leads(one.lease));
    assert_int_equal(one.lost, 1);
    fake.mute = false; /* the lease is still its own: no need to wait 3 s */
    pass(&fake, &one, NULL, 500);
    assert_int_equal(one.led, 2);
    assert_true(one.epoch >= 2);
    xf_lease_destroy(one.lease);
}

static void a_beat_whose_answer_was_lost_is_sent_again_and_counts_once(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one;
    fake_init(&fake, XF_STORE_REDIS);
    sit(&fake, &one, A);
    pass(&fake, &one, NULL, 8000);
    uint64_t beat = fake.stored.beat;
    fake.deaf = true;
    while (fake.stored.beat == beat) {
        pass(&fake, &one, NULL, 50);
    }
    pass(&fake, &one, NULL, 300); /* one more try goes unheard */
    fake.deaf = false;
    assert_int_equal(fake.stored.beat, beat + 1);
    pass(&fake, &one, NULL, 3000);
    assert_int_equal(one.lost, 0);
    assert_true(xf_lease_leads(one.lease));
    xf_lease_destroy(one.lease);
}

static void
a_lease_that_was_deleted_is_taken_again_by_its_last_holder_at_once_by_others_after_3_s(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one;
    fake_init(&fake, XF_STORE_REDIS);
    sit(&fake, &one, A);
    pass(&fake, &one, NULL, 8000);
    fake.present = false;
    fake.stored = (struct xf_store_lease){0};
    pass(&fake, &one, NULL, 1500);
    assert_int_equal(one.lost, 1);
    assert_int_equal(one.led, 2);
    fake.present = false;
    fake.stored = (struct xf_store_lease){0};
    struct seat two;
    sit(&fake, &two, B);
    pass(&fake, &two, NULL, 2500);
    assert_int_equal(two.led, 0);
    pass(&fake, &two, NULL, 1500);
    assert_int_equal(two.led, 1);
    xf_lease_destroy(two.lease);
    xf_lease_destroy(one.lease);
}

static void a_lease_that_was_given_up_is_taken_at_once(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one, two;
    fake_init(&fake, XF_STORE_REDIS);
    sit(&fake, &one, A);
    sit(&fake, &two, B);
    pass(&fake, &one, &two, 8000);
    struct seat *leader = one.led > 0 ? &one : &two;
    struct seat *other = one.led > 0 ? &two : &one;
    xf_lease_give_up(leader->lease);
    assert_false(xf_lease_leads(leader->lease));
    pass(&fake, leader, other, 1000);
    assert_int_equal(other->led, 1);
    assert_int_equal(leader->lost, 0);
    xf_lease_destroy(one.lease);
    xf_lease_destroy(two.lease);
}

static void an_answer_that_comes_after_its_lease_was_destroyed_harms_nothing(void **state)
{
    (void) state;
    struct fake fake;
    struct seat one;
    fake_init(&fake, XF_STORE_REDIS);
    sit(&fake, &one, A);
    xf_lease_tick(one.lease);
    assert_int_equal(fake.waiting_count, 1);
    xf_lease_destroy(one.lease);
    deliver(&fake);
    assert_int_equal(one.led, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_holder_of_the_file_lock_leads_at_once_in_a_larger_epoch),
        cmocka_unit_test(an_epoch_met_elsewhere_is_exceeded),
        cmocka_unit_test(a_candidate_waits_3_s_and_not_while_the_leader_beats),
        cmocka_unit_test(a_leader_without_acknowledged_beats_stops_2_s_after_the_last_was_sent),
        cmocka_unit_test(a_beat_whose_answer_was_lost_is_sent_again_and_counts_once),
        cmocka_unit_test(
            a_lease_that_was_deleted_is_taken_again_by_its_last_holder_at_once_by_others_after_3_s),
        cmocka_unit_test(a_lease_that_was_given_up_is_taken_at_once),
        cmocka_unit_test(an_answer_that_comes_after_its_lease_was_destroyed_harms_nothing),
    };
    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
