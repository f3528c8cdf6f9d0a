/*
 * test_exchange_queue.c -- caps: who is let past, who waits, who is next, and that nobody is
 * forgotten.
 */
#include "proxy/worker/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define REQUESTS 6u

/* A worker with one cluster and requests that chose it. */
struct world {
    struct xf_config_service configured;
    struct xf_engine_service service;
    struct xf_stats_cluster stats;
    struct xf_engine_cluster cluster;
    struct xf_engine engine;
    struct xf_client clients[REQUESTS];
    struct xf_exchange requests[REQUESTS];
};

static void begin(struct world *world, uint32_t admitted_max)
{
    memset(world, 0, sizeof(*world));
    world->configured.timeouts.queue = 1000;
    world->service.config = &world->configured;
    world->cluster.stats = &world->stats;
    world->cluster.admitted_max = admitted_max;
    xf_list_init(&world->cluster.queue);
    world->engine.services = &world->service;
    world->engine.clusters = &world->cluster;
    xf_list_init(&world->engine.again);
    for (unsigned i = 0; i < REQUESTS; i++) {
        world->clients[i].engine = &world->engine;
        xf_list_init(&world->clients[i].again);
        world->requests[i] =
            (struct xf_exchange){.engine = &world->engine, .client = &world->clients[i]};
        xf_list_init(&world->requests[i].queued);
    }
}

/* What a request does when it looks for a server: it is let past, or waits. */
static bool try(struct world *world, unsigned request)
{
    if (xf_exchange_admit(&world->requests[request])) {
        return true;
    }
    assert_true(xf_exchange_enqueue(&world->requests[request]));
    return false;
}

/* Of a cap of one: 0 is let past, 1 and 2 wait. */
static void begin_with_two_waiting(struct world *world)
{
    begin(world, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(try(world, i), i == 0);
    }
}

/* The one that goes on in the next turn; -1: none. */
static int next_in_turn(struct world *world)
{
    if (xf_list_empty(&world->engine.again)) {
        return -1;
    }
    struct xf_client *client = XF_CONTAINER_OF(world->engine.again.next, struct xf_client, again);
    xf_list_remove(&client->again);
    return (int) (client - world->clients);
}

static void without_a_cap_nobody_waits_and_nothing_is_counted(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 0);
    for (unsigned i = 0; i < REQUESTS; i++) {
        assert_true(try(&world, i));
    }
    assert_int_equal(world.cluster.admitted, 0);
    for (unsigned i = 0; i < REQUESTS; i++) {
        xf_exchange_leave(&world.requests[i]);
    }
    assert_int_equal(next_in_turn(&world), -1);
}

static void those_beyond_the_cap_go_on_in_order_of_arrival(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 2);
    for (unsigned i = 0; i < REQUESTS; i++) {
        assert_int_equal(try(&world, i), i < 2);
    }
    assert_int_equal(xf_read(&world.stats.queued), REQUESTS - 2);
    for (unsigned i = 2; i < REQUESTS; i++) {
        xf_exchange_leave(&world.requests[i - 2]);
        assert_int_equal(next_in_turn(&world), i);
        assert_int_equal(world.requests[i].state, XF_EXCHANGE_CHOOSING);
        assert_true(try(&world, i));
        assert_int_equal(world.cluster.admitted, 2);
    }
    xf_exchange_leave(&world.requests[REQUESTS - 2]);
    xf_exchange_leave(&world.requests[REQUESTS - 1]);
    assert_int_equal(world.cluster.admitted, 0);
    assert_int_equal(xf_read(&world.stats.queued), 0);
    assert_int_equal(next_in_turn(&world), -1);
}

/* Between being woken and going on lies a turn; a newcomer of that turn may not slip in. */
static void nobody_overtakes_who_was_called(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 2);
    assert_true(try(&world, 0));
    assert_true(try(&world, 1));
    assert_false(try(&world, 2));
    xf_exchange_leave(&world.requests[0]);
    xf_exchange_leave(&world.requests[1]); /* one place is 2's, another one is free */
    assert_int_equal(world.cluster.called, 1);
    assert_false(try(&world, 3));
    assert_int_equal(next_in_turn(&world), 2);
    assert_true(try(&world, 2));
    assert_int_equal(world.cluster.called, 0);
    xf_exchange_leave(&world.requests[2]);
    assert_int_equal(next_in_turn(&world), 3);
}

static void who_finds_no_server_free_returns_to_the_head(void **state)
{
    (void) state;
    struct world world;
    begin_with_two_waiting(&world);
    xf_exchange_leave(&world.requests[0]);
    assert_int_equal(next_in_turn(&world), 1);
    assert_true(xf_exchange_admit(&world.requests[1]));
    assert_true(xf_exchange_enqueue(&world.requests[1])); /* each server has as many as it may */
    assert_int_equal(world.cluster.admitted, 0);
    xf_cluster_wake(&world.engine, 0);
    assert_int_equal(next_in_turn(&world), 1);
}

static void two_who_return_together_keep_their_order(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 2);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(try(&world, i), i < 2);
    }
    xf_exchange_leave(&world.requests[0]);
    xf_exchange_leave(&world.requests[1]);
    xf_cluster_wake(&world.engine, 0); /* 2 and 3 were called, and 4 waits */
    for (int i = 2; i < 4; i++) {
        assert_int_equal(next_in_turn(&world), i);
        assert_true(xf_exchange_admit(&world.requests[i]));
    }
    for (unsigned i = 2; i < 4; i++) { /* no server has room for them after all */
        assert_true(xf_exchange_enqueue(&world.requests[i]));
    }
    xf_cluster_wake(&world.engine, 0);
    for (int i = 2; i < 5; i++) {
        assert_int_equal(next_in_turn(&world), i);
        assert_true(xf_exchange_admit(&world.requests[i]));
        xf_exchange_leave(&world.requests[i]); /* calls the next */
    }
}

static void who_leaves_the_queue_takes_no_place_and_makes_none(void **state)
{
    (void) state;
    struct world world;
    begin_with_two_waiting(&world);
    xf_exchange_leave(&world.requests[1]); /* the client hung up */
    assert_int_equal(xf_read(&world.stats.queued), 1);
    assert_int_equal(next_in_turn(&world), -1);
    assert_int_equal(world.cluster.admitted, 1);
    xf_exchange_leave(&world.requests[0]);
    assert_int_equal(next_in_turn(&world), 2);
}

/* It ends before its turn comes: the place that it was given goes to the next. */
static void who_was_called_and_ends_passes_its_place_on(void **state)
{
    (void) state;
    struct world world;
    begin_with_two_waiting(&world);
    xf_exchange_leave(&world.requests[0]);
    assert_int_equal(next_in_turn(&world), 1);
    xf_exchange_leave(&world.requests[1]);
    assert_int_equal(world.cluster.called, 1);
    assert_int_equal(next_in_turn(&world), 2);
    assert_true(try(&world, 2));
    assert_int_equal(world.cluster.called, 0);
    assert_int_equal(world.cluster.admitted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_cap_nobody_waits_and_nothing_is_counted),
        cmocka_unit_test(those_beyond_the_cap_go_on_in_order_of_arrival),
        cmocka_unit_test(nobody_overtakes_who_was_called),
        cmocka_unit_test(who_finds_no_server_free_returns_to_the_head),
        cmocka_unit_test(two_who_return_together_keep_their_order),
        cmocka_unit_test(who_leaves_the_queue_takes_no_place_and_makes_none),
        cmocka_unit_test(who_was_called_and_ends_passes_its_place_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
