/*
 * test_slab.c -- buffers under a ceiling.
 */
#include "proxy/transport/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void sizes_are_met_and_counted(void **state)
{
    (void) state;
    struct xf_slab slab;
    _Atomic uint64_t gauge = 0;
    xf_slab_init(&slab, 8u << 20, &gauge);
    static const size_t sizes[] = {1, 1000, 1024, 5000, 262144 - sizeof(struct xf_buffer), 500000};
    struct xf_buffer *held[XF_COUNT(sizes)];
    for (unsigned i = 0; i < XF_COUNT(sizes); i++) {
        held[i] = xf_slab_get(&slab, sizes[i]);
        assert_non_null(held[i]);
        assert_true(held[i]->size >= sizes[i]);
        assert_true(held[i]->size < 2 * sizes[i] + XF_SLAB_BYTES_MIN);
        memset(held[i]->bytes, 'x', held[i]->size);
    }
    assert_true(atomic_load(&gauge) > 760000);
    for (unsigned i = 0; i < XF_COUNT(sizes); i++) {
        xf_slab_put(&slab, held[i]);
    }
    assert_int_equal(atomic_load(&gauge), 0);
    xf_slab_put(&slab, NULL);
    xf_slab_release(&slab);
}

static void a_freed_buffer_is_used_again(void **state)
{
    (void) state;
    struct xf_slab slab;
    _Atomic uint64_t gauge = 0;
    xf_slab_init(&slab, 8u << 20, &gauge);
    struct xf_buffer *first = xf_slab_get(&slab, 3000);
    xf_slab_put(&slab, first);
    assert_ptr_equal(xf_slab_get(&slab, 2500), first);
    xf_slab_put(&slab, first);
    xf_slab_release(&slab);
}

static void reads_shrink_then_pause_while_heads_still_pass(void **state)
{
    (void) state;
    struct xf_slab slab;
    _Atomic uint64_t gauge = 0;
    struct xf_buffer *held[4096];
    unsigned count = 0;
    size_t room, before = XF_SLAB_BYTES_MIN << 8;
    xf_slab_init(&slab, 16u << 20, &gauge);
    while ((room = xf_slab_room(&slab, 256u << 10, true)) > 0) {
        assert_true(room <= before);
        before = room;
        held[count] = xf_slab_get(&slab, room);
        assert_non_null(held[count]); /* what may be read can be kept */
        count++;
        assert_true(count < XF_COUNT(held));
    }
    assert_true(before <= 4096);
    assert_true(xf_slab_room(&slab, 256u << 10, false) == before); /* one that is not slow */
    assert_true(slab.used <= slab.share - slab.share / 16);
    struct xf_buffer *head = xf_slab_get(&slab, 1000);
    assert_non_null(head);
    xf_slab_put(&slab, head);
    assert_null(xf_slab_get(&slab, 1u << 20)); /* no class so large */
    while (count > 0) {
        xf_slab_put(&slab, held[--count]);
    }
    assert_int_equal(xf_slab_room(&slab, 256u << 10, true), 256u << 10);
    xf_slab_release(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_met_and_counted),
        cmocka_unit_test(a_freed_buffer_is_used_again),
        cmocka_unit_test(reads_shrink_then_pause_while_heads_still_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
