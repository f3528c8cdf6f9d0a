/*
 * test_eject.c -- ejection by failures in a row, its cap, its length, and the slow return.
 */
#include "proxy/worker/eject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SERVERS 4u

/* A worker's view of one cluster of four servers. */
struct world {
    struct xf_config_server configured[SERVERS];
    struct xf_config_cluster configured_cluster;
    struct xf_stats_server stats[SERVERS];
    struct xf_engine_cluster cluster;
    struct xf_engine_server servers[SERVERS];
    struct xf_engine engine;
};

static void begin(struct world *world, unsigned after, unsigned percent)
{
    static char name[] = "web-v1", server[] = "10.0.0.1:80";
    memset(world, 0, sizeof(*world));
    world->configured_cluster = (struct xf_config_cluster){.name = name,
                                                           .servers = world->configured,
                                                           .servers_count = SERVERS,
                                                           .eject_after = after,
                                                           .eject_percent = percent};
    world->cluster.config = &world->configured_cluster;
    for (unsigned i = 0; i < SERVERS; i++) {
        world->configured[i].endpoint.text = server;
        world->servers[i].config = &world->configured[i];
        world->servers[i].stats = &world->stats[i];
    }
    world->engine.clusters = &world->cluster;
    world->engine.servers = world->servers;
    world->engine.now_ms = 1000000;
}

static bool is_out(const struct world *world, unsigned server)
{
    return xf_eject_is_out(&world->engine, &world->servers[server]);
}

static void fails(struct world *world, unsigned server, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        xf_eject_failed(&world->engine, server);
    }
}

static void only_failures_in_a_row_take_a_server_out(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 3, 50);
    fails(&world, 0, 2);
    xf_eject_passed(&world.engine, 0);
    fails(&world, 0, 2);
    assert_false(is_out(&world, 0));
    fails(&world, 0, 1);
    assert_true(is_out(&world, 0));
    assert_false(is_out(&world, 1));
    assert_int_equal(xf_read(&world.stats[0].ejections), 1);
    assert_true(xf_read(&world.stats[0].ejected_until_ms) > 0);
}

static void nothing_is_ejected_where_it_is_off(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 0, 100);
    fails(&world, 0, 1000);
    assert_false(is_out(&world, 0));
}

static void a_cap_bounds_how_many_are_out(void **state)
{
    (void) state;
    static const struct {
        unsigned percent, out;
    } rows[] = {{0, 0}, {24, 0}, {25, 1}, {50, 2}, {74, 2}, {75, 3}, {100, 4}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct world world;
        begin(&world, 1, rows[i].percent);
        unsigned out = 0;
        for (unsigned server = 0; server < SERVERS; server++) {
            fails(&world, server, 5);
            out += is_out(&world, server);
        }
        assert_int_equal(out, rows[i].out);
    }
}

/* A cap that is free again lets the next one go: the one that kept failing needs no new count. */
static void who_fails_on_goes_as_soon_as_the_cap_lets_it(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 2, 25);
    fails(&world, 0, 2);
    fails(&world, 1, 5);
    assert_false(is_out(&world, 1));
    world.engine.now_ms += 10000;
    assert_false(is_out(&world, 0));
    fails(&world, 1, 1);
    assert_true(is_out(&world, 1));
}

static void each_ejection_is_longer_up_to_a_minute(void **state)
{
    (void) state;
    static const unsigned seconds[] = {10, 20, 40, 60, 60};
    struct world world;
    begin(&world, 3, 100);
    for (size_t i = 0; i < XF_COUNT(seconds); i++) {
        fails(&world, 0, i == 0 ? 3 : 1); /* later it is on trial: one is enough */
        assert_true(is_out(&world, 0));
        fails(&world, 0, 10); /* while it is out nothing counts */
        world.engine.now_ms += seconds[i] * 1000u - 1;
        assert_true(is_out(&world, 0));
        world.engine.now_ms += 1;
        assert_false(is_out(&world, 0));
    }
    assert_int_equal(xf_read(&world.stats[0].ejections), XF_COUNT(seconds));
}

static void a_success_ends_the_trial_but_not_an_ejection(void **state)
{
    (void) state;
    struct world world;
    begin(&world, 2, 100);
    fails(&world, 0, 2);
    xf_eject_passed(&world.engine, 0); /* an answer that was under way */
    assert_true(is_out(&world, 0));
    world.engine.now_ms += 10000;
    fails(&world, 0, 1);
    assert_true(is_out(&world, 0)); /* still on trial, so one was enough */
    world.engine.now_ms += 20000;
    xf_eject_passed(&world.engine, 0);
    fails(&world, 0, 1);
    assert_false(is_out(&world, 0));
    fails(&world, 0, 1);
    assert_true(is_out(&world, 0));
    world.engine.now_ms += 9999;
    assert_true(is_out(&world, 0));
    world.engine.now_ms += 1;
    assert_false(is_out(&world, 0)); /* 10 s again, not 40 */
}

static void a_share_grows_from_a_tenth_to_the_whole(void **state)
{
    (void) state;
    static const struct {
        unsigned age_ms, weight, expect;
    } rows[] = {{0, 100, 10},        {5000, 100, 55}, {9999, 100, 99}, {10000, 100, 100},
                {1000000, 100, 100}, {0, 1, 1},       {0, 0, 0},       {5000, 1000, 550}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct world world;
        begin(&world, 1, 100);
        world.configured_cluster.slow_start_ms = 10000;
        fails(&world, 0, 1);
        assert_int_equal(xf_eject_weight(&world.engine, &world.servers[0], 100), 100);
        world.engine.now_ms = world.servers[0].ejected_until_ms + rows[i].age_ms;
        assert_int_equal(xf_eject_weight(&world.engine, &world.servers[0], rows[i].weight),
                         rows[i].expect);
        assert_int_equal(xf_eject_weight(&world.engine, &world.servers[1], 100), 100);
        world.configured_cluster.slow_start_ms = 0;
        assert_int_equal(xf_eject_weight(&world.engine, &world.servers[0], rows[i].weight),
                         rows[i].weight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_failures_in_a_row_take_a_server_out),
        cmocka_unit_test(nothing_is_ejected_where_it_is_off),
        cmocka_unit_test(a_cap_bounds_how_many_are_out),
        cmocka_unit_test(who_fails_on_goes_as_soon_as_the_cap_lets_it),
        cmocka_unit_test(each_ejection_is_longer_up_to_a_minute),
        cmocka_unit_test(a_success_ends_the_trial_but_not_an_ejection),
        cmocka_unit_test(a_share_grows_from_a_tenth_to_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
