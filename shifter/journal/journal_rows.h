/*
 * journal_rows.h -- entries of the log as rows of the journal, and the statements that add and read
 * them.  Pure: JSON in, JSON out.
 */
#ifndef XF_SHIFTER_JOURNAL_ROWS_H
#define XF_SHIFTER_JOURNAL_ROWS_H

#include "shifter/store/store.h"

#include <jansson.h>

#define XF_JOURNAL_ROWS_MAX        200u
#define XF_JOURNAL_BATCH_BYTES_MAX (1024u * 1024u)

/* $1: the rows (JSON), $2: the installation, $3: the service.  Answers how many were added.  One
 * statement, so one transaction: rows, cursor (the newest row) and NOTIFY together or not at all.
 */
extern const char xf_journal_add_sql[];
/* $1: receipts (JSON), $2: the installation. */
extern const char xf_journal_receipts_sql[];
/* $1, $2 as above: generation, revision and write_id of the newest row. */
extern const char xf_journal_cursor_sql[];
/* $1, $2, $3: since, in milliseconds, $4: at most so many: the newest of them, oldest first. */
extern const char xf_journal_history_sql[];

/* Whether this signal (an entry's `signal`) is what stands now: only then it is announced. */
typedef bool xf_journal_stands(void *context, const json_t *signal);

/* Rows of the first of these entries, as many as fit a batch; *ret_used says how many.  The caller
 * frees the text; NULL: out of memory.  What is no JSON is kept as a row that says so. */
char *xf_journal_rows_make(const struct xf_store_entry *entries, size_t count, int64_t wall_ms,
                           xf_journal_stands *stands, void *context, size_t *ret_used);

#endif
