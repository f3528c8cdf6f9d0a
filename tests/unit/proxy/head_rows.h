/*
 * head_rows.h -- runs one head through every scanner, whole and in pieces, for the parser tests.
 *
 * Each row is tried at once, byte by byte, and cut in two at every position; all scanners and all
 * ways must agree.  The bytes stand in a heap block of their exact length, so that a sanitizer
 * sees a read behind them.
 */
#ifndef XF_TESTS_HEAD_ROWS_H
#define XF_TESTS_HEAD_ROWS_H

#include "proxy/http/http1_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROW_FIELDS 128

struct head_row {
    const char *clause; /* what decides */
    const char *bytes;
    size_t length;
    unsigned status; /* 0: accepted; XF_ROW_MORE: not complete; else refused with it */
};
#define XF_ROW_MORE 1u

#define ROW(clause, bytes, status)                                                                 \
    {                                                                                              \
        clause, bytes, sizeof(bytes) - 1, status                                                   \
    }

/* What one way of reading gave. */
struct head_outcome {
    enum xf_http_verdict verdict;
    struct xf_http_refusal refusal;
    struct xf_http_request request;
    struct xf_http_response response;
    struct xf_field fields[ROW_FIELDS];
};

typedef void (*head_parse)(const struct xf_scanner *scanner, const char *bytes, size_t length,
                           size_t seen, struct head_outcome *ret);

static inline void same_outcome(const struct head_row *row, const char *way,
                                const struct head_outcome *a, const struct head_outcome *b)
{
    size_t fields = a->request.fields + a->response.fields;
    bool same = a->verdict == b->verdict && a->refusal.status == b->refusal.status &&
                memcmp(&a->request, &b->request, sizeof(a->request)) == 0 &&
                memcmp(&a->response, &b->response, sizeof(a->response)) == 0;
    for (size_t i = 0; same && i < fields; i++) {
        same = a->fields[i].name.at == b->fields[i].name.at &&
               a->fields[i].name.length == b->fields[i].name.length &&
               a->fields[i].value.at == b->fields[i].value.at &&
               a->fields[i].value.length == b->fields[i].value.length &&
               a->fields[i].known == b->fields[i].known &&
               a->fields[i].nominated == b->fields[i].nominated;
    }
    if (!same) {
        fail_msg("%s: %s gives verdict %d status %u, at once %d and %u, for: %s", row->clause, way,
                 b->verdict, b->refusal.status, a->verdict, a->refusal.status, row->bytes);
    }
}

static inline void read_whole(head_parse parse, const struct xf_scanner *scanner, const char *bytes,
                              size_t length, size_t seen, struct head_outcome *ret)
{
    char *exact = malloc(length > 0 ? length : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, length);
    memset(ret, 0, sizeof(*ret));
    parse(scanner, exact, length, seen, ret);
    free(exact);
}

/* Every prefix in turn, each call told what the one before has seen. */
static inline void read_bytewise(head_parse parse, const struct xf_scanner *scanner,
                                 const struct head_row *row, struct head_outcome *ret)
{
    for (size_t i = 1; i <= row->length; i++) {
        read_whole(parse, scanner, row->bytes, i, i - 1, ret);
        if (ret->verdict != XF_HTTP_MORE) {
            return;
        }
    }
}

static inline void read_halves(head_parse parse, const struct xf_scanner *scanner,
                               const struct head_row *row, size_t cut, struct head_outcome *ret)
{
    read_whole(parse, scanner, row->bytes, cut, 0, ret);
    if (ret->verdict == XF_HTTP_MORE) {
        read_whole(parse, scanner, row->bytes, row->length, cut, ret);
    }
}

/* Leaves the outcome of reading at once in *ret. */
static inline void run_row(head_parse parse, const struct head_row *row, struct head_outcome *ret)
{
    static struct head_outcome other;
    const struct xf_scanner *scanner;
    read_whole(parse, xf_scanner_at(0), row->bytes, row->length, 0, ret);
    for (unsigned i = 0; (scanner = xf_scanner_at(i)) != NULL; i++) {
        read_whole(parse, scanner, row->bytes, row->length, 0, &other);
        same_outcome(row, scanner->name, ret, &other);
        read_bytewise(parse, scanner, row, &other);
        same_outcome(row, "byte by byte", ret, &other);
        for (size_t cut = 0; cut <= row->length; cut++) {
            read_halves(parse, scanner, row, cut, &other);
            same_outcome(row, "cut in two", ret, &other);
        }
    }
}

static inline void run_rows(head_parse parse, const struct head_row *rows, size_t count)
{
    static struct head_outcome outcome;
    for (size_t i = 0; i < count; i++) {
        run_row(parse, &rows[i], &outcome);
        unsigned status = outcome.verdict == XF_HTTP_BAD    ? outcome.refusal.status
                          : outcome.verdict == XF_HTTP_MORE ? XF_ROW_MORE
                                                            : 0;
        if (status != rows[i].status) {
            fail_msg("row %zu, %s: expected %u, got %u (%s) for: %s", i, rows[i].clause,
                     rows[i].status, status,
                     outcome.verdict == XF_HTTP_BAD ? outcome.refusal.reason : "", rows[i].bytes);
        }
        if (outcome.verdict == XF_HTTP_BAD) {
            assert_non_null(outcome.refusal.reason);
        }
    }
}

#endif
