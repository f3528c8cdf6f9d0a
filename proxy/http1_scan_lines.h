/*
 * http1_scan_lines.h -- the loop over field lines, to be inlined into each scanner.
 *
 * It is written once and compiled with each instruction set: a scanner hands in its own skip
 * functions as constants, and the compiler folds them in.  Only http1_scan*.c include this file.
 */
#ifndef XF_PROXY_HTTP1_SCAN_LINES_H
#define XF_PROXY_HTTP1_SCAN_LINES_H

#include "proxy/http1_scan.h"
#include "proxy/tokens.h"

typedef size_t (*xf_skip)(const char *bytes, size_t at, size_t end);

/* What is wrong with a line whose name ends at `at` without a colon behind it. */
const char *xf_scan_name_fault(const char *bytes, size_t begin, size_t at);

/* What is wrong with a line whose text ends at `at` without CRLF behind it. */
const char *xf_scan_text_fault(const char *bytes, size_t at);

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
        size_t begin = at;
        at = skip_token(bytes, at, end);
        if (at == end) {
            return XF_SCAN_SHORT;
        }
        if (XF_UNLIKELY(bytes[at] != ':' || at == begin)) {
            scan->reason = xf_scan_name_fault(bytes, begin, at);
            return XF_SCAN_BAD;
        }
        table[count].name = (struct xf_span){(uint32_t) begin, (uint32_t) (at - begin)};
        at++;
        while (at < end && xf_byte_is_space(bytes[at])) {
            at++;
        }
        begin = at;
        at = skip_text(bytes, at, end);
        if (end - at < 2) {
            if (at < end && bytes[at] != '\r') {
                scan->reason = xf_scan_text_fault(bytes, at);
                return XF_SCAN_BAD;
            }
            return XF_SCAN_SHORT;
        }
        if (XF_UNLIKELY(bytes[at] != '\r' || bytes[at + 1] != '\n')) {
            scan->reason = xf_scan_text_fault(bytes, at);
            return XF_SCAN_BAD;
        }
        size_t stop = at;
        while (stop > begin && xf_byte_is_space(bytes[stop - 1])) {
            stop--;
        }
        table[count].value = (struct xf_span){(uint32_t) begin, (uint32_t) (stop - begin)};
        count++;
        at += 2;
    }
}

#endif
