/*
 * journal_receipts.h -- attempts to deliver a signal, on their way to the journal.
 *
 * They are no changes, so the log does not have them.  What the database lacks is kept here, the
 * newest XF_JOURNAL_RECEIPTS_MAX, and beside the journal's place in the store, so that the next
 * leader writes them after a kill.  Each has an id of its own: written twice it is one row.
 */
#ifndef XF_SHIFTER_JOURNAL_RECEIPTS_H
#define XF_SHIFTER_JOURNAL_RECEIPTS_H

#include "config/base/check.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define XF_JOURNAL_RECEIPTS_MAX 256u

struct xf_journal_receipt {
    const char *service, *key, *receiver, *sentence;
    unsigned sequence, attempt;
    bool accepted;
    int64_t at_ms;
};

/* `list` is a JSON array of the caller's; the oldest makes room.  False: no memory. */
bool xf_journal_receipts_add(json_t *list, const struct xf_journal_receipt *receipt);
/* Those of `service`, as a new array; NULL: no memory. */
XF_NODISCARD json_t *xf_journal_receipts_of(const json_t *list, const char *service);
/* What an earlier leader kept: each member of `kept` that is a receipt of `service`, and is not
 * there yet, is added.  `kept` comes from the store and may be anything. */
void xf_journal_receipts_recall(json_t *list, const char *service, const json_t *kept);
/* They have their rows: those with the ids of `written` go. */
void xf_journal_receipts_remove(json_t *list, const json_t *written);

#endif
