/*
 * journal_schema.h -- the journal's tables in PostgreSQL: numbered migrations that only go forward.
 *
 * Blocks, with time limits: for `crossfade db` alone.  The shifter only compares the number that it
 * finds with the one it knows; it never changes a schema by itself.
 */
#ifndef XF_SHIFTER_JOURNAL_SCHEMA_H
#define XF_SHIFTER_JOURNAL_SCHEMA_H

#include "config/base/error.h"

#include <libpq-fe.h>

struct xf_journal_migration {
    int number; /* 1, 2, 3 … without a gap */
    const char *name;
    const char *sql; /* several statements; run inside one transaction */
};

#define XF_JOURNAL_SCHEMA 1 /* the newest number below */

/* Ends with an entry whose number is 0. */
extern const struct xf_journal_migration xf_journal_migrations[];

/* The number that the database has; 0: none.  XF_E_DENIED, XF_E_FAILED. */
XF_NODISCARD int xf_journal_schema_read(PGconn *connection, int *ret, struct xf_error *err);
/* Brings the schema to XF_JOURNAL_SCHEMA, all at once or not at all; one such run at a time.
 * XF_E_REFUSED where it is newer, or the server is a standby. */
XF_NODISCARD int xf_journal_schema_migrate(PGconn *connection, int *ret_before,
                                           struct xf_error *err);

#endif
