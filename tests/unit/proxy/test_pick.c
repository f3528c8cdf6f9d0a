/*
 * test_pick.c -- the split, the sticky slot, and the choice among servers.
 */
#include "proxy/board/pick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct xf_random fixed = {{1, 2, 3, 4}};

static unsigned greens(struct xf_pick_block *block, uint64_t word, unsigned count)
{
    unsigned green = 0;
    for (unsigned i = 0; i < count; i++) {
        green += xf_pick_next(block, word, &fixed) == XF_GREEN;
    }
    return green;
}

static void a_block_of_1000_is_exact_to_the_carry(void **state)
{
    (void) state;
    for (unsigned weight = 0; weight <= XF_WEIGHT_FULL; weight += 7) {
        struct xf_pick_block block;
        xf_pick_init(&block, &fixed);
        unsigned green = greens(&block, xf_route_word(1, 0, XF_ROUTE_VALID, weight), 1000);
        assert_true(green == weight / 10 || green == weight / 10 + 1);
    }
}

static void no_stray_at_0_and_at_100_per_cent(void **state)
{
    (void) state;
    struct xf_pick_block block;
    xf_pick_init(&block, &fixed);
    for (uint32_t generation = 1; generation < 50; generation++) {
        /* Words change within their blocks, and carries are left over from a weight between. */
        assert_int_equal(greens(&block, xf_route_word(generation, 0, 0, 0), 777), 0);
        (void) greens(&block, xf_route_word(generation, 0, 0, 3333), 501);
        assert_int_equal(greens(&block, xf_route_word(generation, 0, 0, XF_WEIGHT_FULL), 777), 777);
    }
}

static void carries_make_the_long_run_exact(void **state)
{
    (void) state;
    struct xf_pick_block block = {0};
    unsigned green = greens(&block, xf_route_word(1, 0, 0, 1), 10000000 / 1000);
    assert_int_equal(green, 1);
    green = greens(&block, xf_route_word(2, 0, 0, 1234), 100000);
    assert_in_range(green, 12339, 12341);
}

static void the_order_within_a_block_is_shuffled(void **state)
{
    (void) state;
    struct xf_pick_block block = {0};
    uint64_t word = xf_route_word(1, 0, 0, 2500);
    unsigned first_half[40], longest_run = 0, run = 0;
    for (unsigned b = 0; b < XF_COUNT(first_half); b++) {
        first_half[b] = greens(&block, word, 500);
        for (unsigned i = 0; i < 500; i++) {
            run = xf_pick_next(&block, word, &fixed) == XF_GREEN ? 0 : run + 1;
            longest_run = run > longest_run ? run : longest_run;
        }
        assert_in_range(first_half[b], 85, 165);
    }
    assert_true(longest_run > 8); /* a plain "every fourth" has runs of 3 */
}

static void a_sticky_key_crosses_once_as_the_weight_rises(void **state)
{
    (void) state;
    unsigned green_at_half = 0;
    for (unsigned key = 0; key < 5000; key++) {
        unsigned slot = xf_pick_slot(xf_pick_hash(&key, sizeof(key), 42));
        assert_true(slot < XF_WEIGHT_FULL);
        assert_int_equal(xf_pick_role(slot, 0), XF_BLUE);
        assert_int_equal(xf_pick_role(slot, slot), XF_BLUE);
        assert_int_equal(xf_pick_role(slot, slot + 1), XF_GREEN);
        assert_int_equal(xf_pick_role(slot, XF_WEIGHT_FULL), XF_GREEN);
        green_at_half += xf_pick_role(slot, 5000) == XF_GREEN;
    }
    assert_in_range(green_at_half, 2360, 2640);
    /* The layout that other proxies and other binaries must agree on. */
    assert_int_equal(xf_pick_slot(0xffffffffffffffffull), 9999);
    assert_int_equal(xf_pick_slot(0x8000000000000000ull), 5000);
}

struct row {
    struct xf_pick_server servers[4];
    unsigned seen[4];
};

static struct xf_pick_server look(void *context, unsigned index)
{
    return ((struct row *) context)->servers[index];
}

static void draw(struct row *row, unsigned count)
{
    struct xf_pick_servers servers = {look, row, 4, 1000};
    memset(row->seen, 0, sizeof(row->seen));
    for (unsigned i = 0; i < count; i++) {
        int index = xf_pick_server(&servers, &fixed);
        if (index >= 0) {
            row->seen[index]++;
        }
    }
}

static void only_usable_servers_are_chosen(void **state)
{
    (void) state;
    struct row row = {.servers = {{true, false, 100, 0},
                                  {false, false, 1000, 0},
                                  {true, false, 0, 0},
                                  {true, true, 1000, 0}}};
    draw(&row, 1000);
    assert_int_equal(row.seen[0], 1000);
    row.servers[0].usable = false;
    draw(&row, 1000);
    assert_int_equal(row.seen[3], 1000); /* the backup */
    row.servers[3].usable = false;
    draw(&row, 10);
    assert_int_equal(row.seen[0] + row.seen[1] + row.seen[2] + row.seen[3], 0);
}

static void weights_share_and_the_busy_one_is_spared(void **state)
{
    (void) state;
    struct row row = {.servers = {{true, false, 300, 0}, {true, false, 100, 0}}};
    draw(&row, 10000);
    assert_in_range(row.seen[0], 7200, 7800);
    row.servers[1].weight = 300;
    row.servers[0].in_flight = 5;
    draw(&row, 1000);
    assert_in_range(row.seen[1], 990, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_of_1000_is_exact_to_the_carry),
        cmocka_unit_test(no_stray_at_0_and_at_100_per_cent),
        cmocka_unit_test(carries_make_the_long_run_exact),
        cmocka_unit_test(the_order_within_a_block_is_shuffled),
        cmocka_unit_test(a_sticky_key_crosses_once_as_the_weight_rises),
        cmocka_unit_test(only_usable_servers_are_chosen),
        cmocka_unit_test(weights_share_and_the_busy_one_is_spared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
