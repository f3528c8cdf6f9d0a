/*
 * test_websocket.c -- where WebSocket frames begin and end.
 */
#include "proxy/http/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Three frames: 5 bytes; 300 bytes with a 16-bit length and a mask; none. */
static size_t make_frames(unsigned char *out)
{
    size_t at = 0;
    memcpy(out, "\x81\x05hello", 7);
    at += 7;
    memcpy(out + at, "\x82\xfe\x01\x2cmask", 8);
    memset(out + at + 8, 'x', 300);
    at += 308;
    memcpy(out + at, "\x89\x00", 2);
    return at + 2;
}

static void places_between_frames_are_found_however_they_are_cut(void **state)
{
    (void) state;
    unsigned char bytes[400];
    size_t length = make_frames(bytes);
    for (size_t step = 1; step <= length; step++) {
        struct xf_websocket websocket = {0};
        size_t places = 0;
        for (size_t at = 0; at < length; at += step) {
            size_t count = length - at < step ? length - at : step;
            (void) xf_websocket_follow(&websocket, bytes + at, count, true);
            places += xf_websocket_between(&websocket);
        }
        assert_true(xf_websocket_between(&websocket));
        assert_true(step > 1 || places == 3);
    }
}

static void following_stops_at_the_first_place(void **state)
{
    (void) state;
    unsigned char bytes[400];
    size_t length = make_frames(bytes);
    struct xf_websocket websocket = {0};
    assert_int_equal(xf_websocket_follow(&websocket, bytes, 3, false), 3);
    assert_false(xf_websocket_between(&websocket));
    assert_int_equal(xf_websocket_follow(&websocket, bytes + 3, length - 3, false), 4);
    assert_true(xf_websocket_between(&websocket));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_between_frames_are_found_however_they_are_cut),
        cmocka_unit_test(following_stops_at_the_first_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
