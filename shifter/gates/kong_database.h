/*
 * kong_database.h -- what Kong's database says about itself (KONG.md sections 1 and 6).
 *
 * The queries are Kong's own facts; names from the database are handed on as JSON values and never
 * reach a query.  Secrets stay in the server: fingerprints are hashed there.
 */
#ifndef XF_SHIFTER_KONG_DATABASE_H
#define XF_SHIFTER_KONG_DATABASE_H

#include "shifter/gates/database.h"
#include "shifter/gates/kong_version.h"

#include <jansson.h>
#include <stddef.h>

struct xf_kong_database {
    PGconn *connection; /* NULL: not open */
    char name[XF_NAME_BYTES];
    char schema[64];
    bool standby;
};

/* Opens the database and points the session at `schema` (NULL: the role's own, else `public`). */
XF_NODISCARD int xf_kong_database_open(const struct xf_config *config, const char *name,
                                       const char *schema, struct xf_kong_database *ret,
                                       struct xf_error *err);
void xf_kong_database_close(struct xf_kong_database *database);

enum xf_kong_boot {
    XF_KONG_BOOTED,
    XF_KONG_NO_TABLE, /* no schema_meta in this schema */
    XF_KONG_NO_CORE,  /* the table is there, the core row is not */
};
XF_NODISCARD int xf_kong_bootstrapped(struct xf_kong_database *database, enum xf_kong_boot *ret,
                                      struct xf_error *err);
/* Another schema of this database that has a schema_meta; empty where there is none. */
XF_NODISCARD int xf_kong_schema_elsewhere(struct xf_kong_database *database, char *out,
                                          size_t bytes, struct xf_error *err);

/* {SUBSYSTEM: {executed: [NAME…], pending: [NAME…]}}; `pending` less what is executed. */
XF_NODISCARD int xf_kong_migrations(struct xf_kong_database *database, json_t **ret,
                                    struct xf_error *err);
/* The live holder of the migrations lock: its owner, or empty. */
XF_NODISCARD int xf_kong_lock_owner(struct xf_kong_database *database, char *out, size_t bytes,
                                    struct xf_error *err);
/* Whether both look at one database (by an advisory lock), whatever the schema. */
XF_NODISCARD int xf_kong_same_database(struct xf_kong_database *a, struct xf_kong_database *b,
                                       bool *ret, struct xf_error *err);

/* {TABLE: [COLUMN…]} of the configuration tables that exist in the schema. */
XF_NODISCARD int xf_kong_config_tables(struct xf_kong_database *database, json_t **ret,
                                       struct xf_error *err);
/*
 * {TABLE: "COUNT:MD5"} of each table of `tables` (as above), all in one repeatable-read, read-only
 * transaction.  `without` is {TABLE: [COLUMN…]}: columns left out; NULL: none.
 */
XF_NODISCARD int xf_kong_fingerprints(struct xf_kong_database *database, const json_t *tables,
                                      const json_t *without, json_t **ret, struct xf_error *err);
/* The rows of a fixed query as an array of objects; `sql` is a literal of ours that yields one
 * json column. */
XF_NODISCARD int xf_kong_rows(struct xf_kong_database *database, const char *sql, json_t **ret,
                              struct xf_error *err);
/* The server's clock in seconds since 1970. */
XF_NODISCARD int xf_kong_clock(struct xf_kong_database *database, double *ret,
                               struct xf_error *err);

#endif
