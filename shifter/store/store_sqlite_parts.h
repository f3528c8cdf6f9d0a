/*
 * store_sqlite_parts.h -- what store_sqlite.c and store_sqlite_write.c share.
 */
#ifndef XF_SHIFTER_STORE_SQLITE_PARTS_H
#define XF_SHIFTER_STORE_SQLITE_PARTS_H

#include "shifter/store/store_answer.h"
#include "shifter/store/store_kinds.h"
#include "shifter/store/store_sqlite_file.h"

#define XF_SQLITE_MAGIC 0x73716c31u

struct xf_sqlite_store {
    struct xf_store base; /* first: the interface hands it back */
    unsigned magic;
    struct xf_sqlite_file file;
    const struct xf_clock *clock;
    struct xf_store_answers answers;
    struct event *probe;
    struct xf_store_prune prune;
};

struct xf_sqlite_store *xf_sqlite_store_of(struct xf_store *base);

/* Prepares `sql` and binds by `types`: s text, i sqlite3_int64.  NULL on failure. */
sqlite3_stmt *xf_sqlite_query(struct xf_sqlite_store *store, const char *sql, const char *types,
                              ...);
/* SQLITE_ROW, SQLITE_DONE, or an error; a statement that could not be prepared is one too. */
int xf_sqlite_step(struct xf_sqlite_store *store, sqlite3_stmt *statement);
/* Runs a statement that changes; frees it.  SQLITE_OK or an error. */
int xf_sqlite_run(struct xf_sqlite_store *store, sqlite3_stmt *statement);
bool xf_sqlite_number(sqlite3_stmt *row, int column, uint64_t *ret);
const char *xf_sqlite_text(sqlite3_stmt *row, int column);

int xf_sqlite_begin(struct xf_sqlite_store *store);
/* Ends a transaction: commits where both code and result are OK.  A commit that failed may yet
 * be found after a crash, so its result is LOST.  Gives the answer. */
void xf_sqlite_finish(struct xf_sqlite_store *store, struct xf_store_answer *answer, int code,
                      enum xf_store_result result);
/* The end of a read: `code` is that of its last step. */
void xf_sqlite_finish_read(struct xf_sqlite_store *store, struct xf_store_answer *answer, int code,
                           enum xf_store_result result);
/* SQLITE_OK; *ret_present says whether there is a lease that can be read. */
int xf_sqlite_find_lease(struct xf_sqlite_store *store, const char *service,
                         struct xf_store_lease *ret, bool *ret_present);

/* The calls of store.h that change. */
void xf_sqlite_write(struct xf_store *base, const struct xf_store_write *write,
                     xf_store_done *callback, void *context);
void xf_sqlite_write_checkpoint(struct xf_store *base, const char *service, const char *name,
                                const char *holder, uint64_t epoch, const char *text,
                                xf_store_done *callback, void *context);
void xf_sqlite_swap_lease(struct xf_store *base, const char *service,
                          const struct xf_store_lease *seen, const struct xf_store_lease *next,
                          xf_store_done *callback, void *context);
void xf_sqlite_write_signal(struct xf_store *base, const char *service, const char *holder,
                            uint64_t epoch, const char *record, xf_store_done *callback,
                            void *context);
void xf_sqlite_check_signal(struct xf_store *base, const char *service, const char *holder,
                            uint64_t epoch, const char *record, xf_store_done *callback,
                            void *context);

#endif
