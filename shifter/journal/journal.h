/*
 * journal.h -- the copy of the log in PostgreSQL: whoever leads a service writes its entries there.
 *
 * The store's log is the spool, and the newest row is the cursor: it commits with its batch, so
 * that a lost answer, another leader or an outage leaves no gap and no duplicate.  Nothing here is
 * on a request's path and nothing blocks; while PostgreSQL is away the log of the store grows, up
 * to XF_JOURNAL_BACKLOG_MAX changes, where the hold `journal` stands.
 *
 *     lead --> count what the log has --> [link up: ask for the cursor --> does the log know it?]
 *          --> read a page behind it --> add its rows --> read the next …
 */
#ifndef XF_SHIFTER_JOURNAL_H
#define XF_SHIFTER_JOURNAL_H

#include "config/base/clock.h"
#include "config/config.h"
#include "shifter/store/store.h"

#include <jansson.h>
#include <stdbool.h>

struct event_base;
struct xf_journal;

/* Changes that may wait for their rows; then rises wait too.  Half of it ends that. */
#define XF_JOURNAL_BACKLOG_MAX 1000u
static_assert(XF_JOURNAL_BACKLOG_MAX <= XF_STORE_LOG_COUNT_MAX, "one read counts them");

struct xf_journal_calls {
    /* Whether this signal of `service` stands now, and this process leads. */
    bool (*stands)(void *context, const char *service, const json_t *signal);
    /* For the log of the program: the database came or went. */
    void (*note)(void *context, bool ok, const char *why);
    void *context;
};

struct xf_journal_view {
    bool ok;          /* rows are taken */
    uint64_t backlog; /* changes without their rows, as far as counted */
    bool behind;      /* there are some, or it is not known yet */
    char why[320];    /* what is wrong; empty: nothing */
};

/* NULL: out of memory.  Config, loop, clock and store outlive it. */
XF_NODISCARD struct xf_journal *xf_journal_create(struct event_base *loop,
                                                  const struct xf_clock *clock,
                                                  const struct xf_config *config,
                                                  struct xf_store *store,
                                                  const struct xf_journal_calls *calls);
/* This process leads `service` from now on, or anew; its log is read. */
void xf_journal_lead(struct xf_journal *journal, const char *service, const char *holder,
                     uint64_t epoch);
void xf_journal_leave(struct xf_journal *journal, const char *service);
/* A change stands in the log. */
void xf_journal_changed(struct xf_journal *journal, const char *service);
void xf_journal_look(const struct xf_journal *journal, const char *service,
                     struct xf_journal_view *ret);
/* One attempt to deliver a signal.  Kept until it is written, in the store as well, so that the
 * next leader writes it where this process is killed. */
void xf_journal_receipt(struct xf_journal *journal, const char *service, const char *key,
                        unsigned sequence, const char *receiver, unsigned attempt, bool accepted,
                        const char *sentence);
/* Whether the store has every receipt of `service` that the database lacks. */
bool xf_journal_receipts_kept(const struct xf_journal *journal, const char *service);
/* The newest `count` entries since `since_ms`, oldest first.  False: the journal cannot say it
 * now, or lacks some; else `callback` comes once, with LOST where it could not after all. */
bool xf_journal_history(struct xf_journal *journal, const char *service, int64_t since_ms,
                        size_t count, xf_store_got_log *callback, void *context);
/* Ends the connection; open questions are answered LOST.  Before the store is closed, which still
 * answers here; the journal is destroyed after that.  Both accept NULL. */
void xf_journal_stop(struct xf_journal *journal);
void xf_journal_destroy(struct xf_journal *journal);

#endif
