/*
 * http1_scan_lines.h -- the loop over field lines, to be inlined into each scanner.
 *
 * It is written once and compiled with each instruction set: a scanner hands in its own skip
 * functions as constants, and the compiler folds them in.  Only http1_scan*.c include this file.
 */
#ifndef XF_PROXY_HTTP1_SCAN_LINES_H
#define XF_PROXY_HTTP1_SCAN_LINES_H

#include "proxy/http/http1_scan.h"
#include "proxy/http/tokens.h"

typedef size_t (*xf_skip)(const char *bytes, size_t at, size_t end);

/* What is wrong with a line whose name ends at `at` without a colon behind it. */
const char *xf_scan_name_fault(const char *bytes, size_t begin, size_t at);

/* What is wrong with a line whose text ends at `at` without CRLF behind it. */
const char *xf_scan_text_fault(const char *bytes, size_t at);

/* The bytes [begin, stop) without white space around them. */
static inline struct xf_span xf_scan_trim(const char *bytes, size_t begin, size_t stop)
{
    while (begin < stop && xf_byte_is_space(bytes[begin])) {
        begin++;
    }
    while (stop > begin && xf_byte_is_space(bytes[stop - 1])) {
        stop--;
    }
    return (struct xf_span){(uint32_t) begin, (uint32_t) (stop - begin)};
}

static inline __attribute__((always_inline)) enum xf_scan_end
xf_scan_lines(const char *bytes, size_t end, struct xf_field *table, uint32_t room,
              struct xf_scan_fields *scan, xf_skip skip_token, xf_skip skip_text)
{
    size_t at = scan->at;
    uint32_t count = 0;
    for (;;) {
        if (at == end) {
            return XF_SCAN_SHORT;
        }
        if (bytes[at] == '\r') {
            if (at + 1 == end) {
                return XF_SCAN_SHORT;
            }
            scan->at = at + 2;
            scan->count = count;
            scan->reason = "bare CR in the head";
            return bytes[at + 1] == '\n' ? XF_SCAN_DONE : XF_SCAN_BAD;
        }
        if (count == room) {
            return XF_SCAN_MANY;
        }
        /* Both searches begin at the line's beginning, so that neither waits for the other: where
         * the next line begins depends on one of them alone. */
        size_t stop = skip_text(bytes, at, end);
        size_t colon = skip_token(bytes, at, end);
        if (colon == end) {
            return XF_SCAN_SHORT;
        }
        if (XF_UNLIKELY(bytes[colon] != ':' || colon == at)) {
            scan->reason = xf_scan_name_fault(bytes, at, colon);
            return XF_SCAN_BAD;
        }
        if (XF_UNLIKELY(end - stop < 2)) {
            if (stop == end || bytes[stop] == '\r') {
                return XF_SCAN_SHORT;
            }
            scan->reason = xf_scan_text_fault(bytes, stop);
            return XF_SCAN_BAD;
        }
        if (XF_UNLIKELY(bytes[stop] != '\r' || bytes[stop + 1] != '\n')) {
            scan->reason = xf_scan_text_fault(bytes, stop);
            return XF_SCAN_BAD;
        }
        table[count].name = (struct xf_span){(uint32_t) at, (uint32_t) (colon - at)};
        table[count].value = xf_scan_trim(bytes, colon + 1, stop);
        count++;
        at = stop + 2;
    }
}

#endif
