/*
 * database.h -- a read-only look into a database that the configuration names.
 *
 * Blocks, with time limits: for gates, in a child or in the CLI.  Nothing here writes: the session
 * is read-only, and the role needs SELECT only.  No message ever holds a password.
 */
#ifndef XF_SHIFTER_DATABASE_H
#define XF_SHIFTER_DATABASE_H

#include "config/base/error.h"
#include "config/config.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* Connects to `config->databases` entry `name`; XF_E_CONFIG when there is none of that name,
 * XF_E_UNREACHABLE otherwise.  The caller ends it with PQfinish(). */
XF_NODISCARD int xf_database_open(const struct xf_config *config, const char *name, PGconn **ret,
                                  struct xf_error *err);
/* Runs one query with text parameters; rows, or an error with the server's primary message.  The
 * caller ends it with PQclear(). */
XF_NODISCARD int xf_database_query(PGconn *connection, const char *sql, int parameters_count,
                                   const char *const *parameters, PGresult **ret,
                                   struct xf_error *err);
/* A standby answers reads, but shows neither its primary's locks nor its newest rows. */
XF_NODISCARD int xf_database_is_standby(PGconn *connection, bool *ret, struct xf_error *err);
/* One or several statements without parameters, in the server's simple way: the last result, or
 * NULL.  `ret_hung`: the server said nothing for `limit_ms`; the connection is cut then. */
XF_NODISCARD PGresult *xf_database_run(PGconn *connection, const char *sql, int64_t limit_ms,
                                       bool *ret_hung);
/* Whether a result says that a COPY began: PQgetResult() then gives such ones for ever. */
bool xf_database_is_copy(const PGresult *rows);

#endif
