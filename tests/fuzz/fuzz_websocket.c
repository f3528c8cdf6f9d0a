/*
 * fuzz_websocket.c -- the places between WebSocket frames: a reading of the whole, byte by byte and
 * straight from RFC 6455 5.2, agrees with what is found in pieces of any size.
 */
#include "fuzz.h"

#include "proxy/http/websocket.h"

#include <stdbool.h>

/* Marks the offsets at which a frame has just ended. */
static void find_ends(const uint8_t *data, size_t size, bool *ends)
{
    size_t at = 0;
    while (size - at >= 2) {
        size_t head = 2 + ((data[at + 1] & 0x80) != 0 ? 4 : 0);
        uint64_t payload = data[at + 1] & 0x7f;
        size_t wide = payload == 126 ? 2 : payload == 127 ? 8 : 0;
        if (size - at < head + wide) {
            return;
        }
        for (size_t i = 0; i < wide; i++) {
            payload = (i == 0 ? 0 : payload << 8) | data[at + 2 + i];
        }
        head += wide;
        if (size - at - head < payload) {
            return;
        }
        at += head + (size_t) payload;
        ends[at] = true;
    }
}

/* Goes on from end to end, as a drain does, in pieces of `piece` bytes. */
static void check_steps(const uint8_t *data, size_t size, const bool *ends, size_t piece)
{
    struct xf_websocket websocket = {0};
    for (size_t from = 0; from < size; from += piece) {
        size_t length = size - from < piece ? size - from : piece;
        char *exact = fuzz_exact(data + from, length);
        for (size_t at = 0; at < length;) {
            size_t step = xf_websocket_follow(&websocket, exact + at, length - at, false);
            FUZZ_CHECK(step > 0 && step <= length - at);
            for (size_t i = 1; i < step; i++) {
                FUZZ_CHECK(!ends[from + at + i]);
            }
            at += step;
            FUZZ_CHECK(xf_websocket_between(&websocket) == ends[from + at]);
        }
        free(exact);
    }
}

static void check_all(const uint8_t *data, size_t size, const bool *ends, size_t piece)
{
    struct xf_websocket websocket = {0};
    for (size_t from = 0; from < size; from += piece) {
        size_t length = size - from < piece ? size - from : piece;
        FUZZ_CHECK(xf_websocket_follow(&websocket, data + from, length, true) == length);
        FUZZ_CHECK(xf_websocket_between(&websocket) == ends[from + length]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool *ends = calloc(size + 1, sizeof(*ends));
    size_t piece = 1 + fuzz_hash(data, size) % 9;
    FUZZ_CHECK(ends != NULL);
    find_ends(data, size, ends);
    check_steps(data, size, ends, size + 1);
    check_steps(data, size, ends, piece);
    check_all(data, size, ends, piece);
    free(ends);
    return 0;
}
