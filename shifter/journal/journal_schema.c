/*
 * journal_schema.c -- see journal_schema.h.
 *
 * BEGIN --> advisory lock --> compare numbers --> each missing migration --> COMMIT
 */
#include "shifter/journal/journal_schema.h"

#include "config/base/text.h"
#include "shifter/gates/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER    "crossfade_owner"
#define QUERY_MS 20000 /* the server's own limits are lower; this is for one that hangs */
#define LOCK_SQL "SELECT pg_advisory_xact_lock(hashtext('crossfade journal'))"
#define OWNER_SQL                                                                                  \
    "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '" OWNER                                  \
    "' AND pg_has_role(oid, 'MEMBER'))"

static int fail(PGconn *connection, PGresult *rows, struct xf_error *err)
{
    const char *state = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    char line[256];
    const char *message = primary != NULL ? primary : PQerrorMessage(connection);
    snprintf(line, sizeof(line), "%.*s", (int) strcspn(message, "\n"), message);
    bool denied = state != NULL && strcmp(state, "42501") == 0;
    bool locked = state != NULL && (strcmp(state, "55P03") == 0 || strcmp(state, "57014") == 0);
    bool away = PQstatus(connection) != CONNECTION_OK;
    PQclear(rows);
    if (locked) {
        return XF_FAIL(err, XF_E_FAILED,
                       "journal: %s: another `crossfade db migrate` runs, or somebody holds a lock "
                       "on the tables: try again",
                       line);
    }
    if (denied) {
        return XF_FAIL(err, XF_E_DENIED, "journal: %s: run this as the owner (JOURNAL.md)", line);
    }
    return XF_FAIL(err, away ? XF_E_UNREACHABLE : XF_E_FAILED, "journal: %s", line);
}

/* The result of `sql`, or NULL: then nothing was said in time. */
static PGresult *query(PGconn *connection, const char *sql, struct xf_error *err)
{
    bool hung = false;
    PGresult *rows = xf_database_run(connection, sql, QUERY_MS, &hung);
    if (hung) {
        (void) XF_FAIL(err, XF_E_UNREACHABLE,
                       "journal: PostgreSQL said nothing for %d s: it hangs, or the link to it is "
                       "gone; what was not committed is undone",
                       QUERY_MS / 1000);
    } else if (rows == NULL) {
        (void) fail(connection, rows, err);
    }
    return rows;
}

static int run(PGconn *connection, const char *sql, struct xf_error *err)
{
    PGresult *rows = query(connection, sql, err);
    ExecStatusType status = PQresultStatus(rows);
    if (rows != NULL && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        return fail(connection, rows, err);
    }
    PQclear(rows);
    return rows != NULL ? 0 : -1;
}

/* One value of one row as a number; `t` and `f` are 1 and 0, and NULL is 0. */
static int ask(PGconn *connection, const char *sql, int *ret, struct xf_error *err)
{
    PGresult *rows = query(connection, sql, err);
    if (rows == NULL) {
        return -1;
    }
    if (PQresultStatus(rows) != PGRES_TUPLES_OK || PQntuples(rows) != 1) {
        return fail(connection, rows, err);
    }
    const char *text = PQgetvalue(rows, 0, 0);
    *ret = text[0] == 't' ? 1 : (int) strtol(text, NULL, 10);
    PQclear(rows);
    return 0;
}

int xf_journal_schema_read(PGconn *connection, int *ret, struct xf_error *err)
{
    int there = 0;
    if (ask(connection,
            "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'crossfade' AND c.relname = 'migration')",
            &there, err) != 0) {
        return -1;
    }
    *ret = 0;
    return there ? ask(connection, "SELECT max(number) FROM crossfade.migration", ret, err) : 0;
}

/* The schema belongs to the owner's role where there is one that we may be. */
static int become_owner(PGconn *connection, struct xf_error *err)
{
    int owner = 0;
    int schema = 0;
    if (ask(connection, OWNER_SQL, &owner, err) != 0 ||
        ask(connection, "SELECT to_regnamespace('crossfade') IS NOT NULL", &schema, err) != 0) {
        return -1;
    }
    if (!schema &&
        run(connection,
            owner ? "CREATE SCHEMA crossfade AUTHORIZATION " OWNER : "CREATE SCHEMA crossfade",
            err) != 0) {
        return -1;
    }
    return owner ? run(connection, "SET LOCAL ROLE " OWNER, err) : 0;
}

static int apply(PGconn *connection, int before, struct xf_error *err)
{
    for (const struct xf_journal_migration *m = xf_journal_migrations; m->number != 0; m++) {
        char note[256];
        snprintf(note, sizeof(note),
                 "INSERT INTO crossfade.migration(number, name) VALUES (%d, '%s')", m->number,
                 m->name);
        if (m->number > before &&
            (run(connection, m->sql, err) != 0 || run(connection, note, err) != 0)) {
            return -1;
        }
    }
    return 0;
}

static int migrate(PGconn *connection, int *ret_before, struct xf_error *err)
{
    int standby = 0;
    if (ask(connection, "SELECT pg_is_in_recovery()", &standby, err) != 0) {
        return -1;
    }
    if (standby) {
        return XF_FAIL(
            err, XF_E_REFUSED,
            "journal: the server is a read-only standby: name its primary in journal.url, "
            "or all servers with target_session_attrs=read-write");
    }
    if (run(connection, LOCK_SQL, err) != 0 ||
        xf_journal_schema_read(connection, ret_before, err) != 0) {
        return -1;
    }
    if (*ret_before > XF_JOURNAL_SCHEMA) {
        return XF_FAIL(
            err, XF_E_REFUSED,
            "journal: the schema is %d, this crossfade knows %d: use the newer crossfade",
            *ret_before, XF_JOURNAL_SCHEMA);
    }
    return *ret_before == XF_JOURNAL_SCHEMA ||
                   (become_owner(connection, err) == 0 && apply(connection, *ret_before, err) == 0)
               ? 0
               : -1;
}

int xf_journal_schema_migrate(PGconn *connection, int *ret_before, struct xf_error *err)
{
    if (run(connection, "BEGIN", err) != 0) {
        return -1;
    }
    if (migrate(connection, ret_before, err) != 0) {
        struct xf_error later; /* what went wrong first is told */
        (void) run(connection, "ROLLBACK", &later);
        return -1;
    }
    return run(connection, "COMMIT", err);
}
