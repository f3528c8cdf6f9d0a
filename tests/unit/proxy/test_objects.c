/*
 * test_objects.c -- chunks and free lists.
 */
#include "proxy/transport/objects.h"

#include <stdint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void objects_are_zeroed_aligned_and_used_again(void **state)
{
    (void) state;
    struct xf_objects objects;
    unsigned char *held[1000];
    xf_objects_init(&objects, 250);
    for (unsigned round = 0; round < 2; round++) {
        void *chunks = objects.chunks;
        for (unsigned i = 0; i < XF_COUNT(held); i++) {
            held[i] = xf_objects_get(&objects);
            assert_non_null(held[i]);
            assert_int_equal((uintptr_t) held[i] % 16, 0);
            for (unsigned b = 0; b < 250; b++) {
                assert_int_equal(held[i][b], 0);
            }
            memset(held[i], 0xee, 250);
        }
        assert_true(round == 0 || objects.chunks == chunks); /* nothing new was cut */
        for (unsigned i = 0; i < XF_COUNT(held); i++) {
            xf_objects_put(&objects, held[i]);
        }
    }
    xf_objects_release(&objects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_zeroed_aligned_and_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
