/*
 * database.c -- a read-only look into a database that the configuration names.
 */
#include "shifter/database.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PASSWORD_BYTES 1024
#define CONNECT_S      "5"
#define SESSION_OPTIONS                                                                            \
    "-c default_transaction_read_only=on -c statement_timeout=15000 -c lock_timeout=3000 "         \
    "-c idle_in_transaction_session_timeout=60000 -c TimeZone=UTC"

static const struct xf_config_database *find_database(const struct xf_config *config,
                                                      const char *name)
{
    for (unsigned i = 0; i < config->databases_count; i++) {
        if (strcmp(config->databases[i].name, name) == 0) {
            return &config->databases[i];
        }
    }
    return NULL;
}

static int read_password(const char *path, char out[PASSWORD_BYTES], struct xf_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return XF_FAIL(err, XF_E_CONFIG, "password_file %s: %s", path, strerror(errno));
    }
    char *line = fgets(out, PASSWORD_BYTES, file);
    fclose(file);
    if (line == NULL) {
        return XF_FAIL(err, XF_E_CONFIG, "password_file %s: empty", path);
    }
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

/* The first line of libpq's message: the rest repeats it for other addresses. */
static void first_line(const char *message, char *out, size_t bytes)
{
    snprintf(out, bytes, "%.*s", (int) strcspn(message, "\n"), message);
}

int xf_database_open(const struct xf_config *config, const char *name, PGconn **ret,
                     struct xf_error *err)
{
    const struct xf_config_database *database = find_database(config, name);
    char password[PASSWORD_BYTES] = "";
    if (database == NULL) {
        return XF_FAIL(err, XF_E_CONFIG,
                       "no database `%s` in the configuration: add it under `databases`", name);
    }
    if (database->password_file != NULL &&
        read_password(database->password_file, password, err) != 0) {
        return -1;
    }
    const char *keywords[] = {"connect_timeout",
                              "tcp_user_timeout",
                              "application_name",
                              "gssencmode",
                              "options",
                              "dbname",
                              password[0] != '\0' ? "password" : NULL,
                              NULL};
    const char *values[] = {CONNECT_S,       "10000",       "crossfade", "disable",
                            SESSION_OPTIONS, database->url, password,    NULL};
    PGconn *connection = PQconnectdbParams(keywords, values, 1);
    explicit_bzero(password, sizeof(password));
    if (PQstatus(connection) != CONNECTION_OK) {
        char line[256];
        first_line(connection != NULL ? PQerrorMessage(connection) : "out of memory", line,
                   sizeof(line));
        PQfinish(connection);
        return XF_FAIL(err, XF_E_UNREACHABLE, "database `%s` cannot be reached: %s", name, line);
    }
    *ret = connection;
    return 0;
}

int xf_database_query(PGconn *connection, const char *sql, int parameters_count,
                      const char *const *parameters, PGresult **ret, struct xf_error *err)
{
    PGresult *rows =
        PQexecParams(connection, sql, parameters_count, NULL, parameters, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(rows);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *ret = rows;
        return 0;
    }
    const char *state = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    char line[256];
    first_line(primary != NULL ? primary : PQerrorMessage(connection), line, sizeof(line));
    bool denied = state != NULL && strcmp(state, "42501") == 0;
    PQclear(rows);
    return denied ? XF_FAIL(err, XF_E_DENIED,
                            "%s: the role %s needs USAGE on the schema and SELECT on its tables",
                            line, PQuser(connection))
                  : XF_FAIL(err, XF_E_FAILED, "%s", line);
}

int xf_database_is_standby(PGconn *connection, bool *ret, struct xf_error *err)
{
    PGresult *rows = NULL;
    if (xf_database_query(connection, "SELECT pg_is_in_recovery()", 0, NULL, &rows, err) != 0) {
        return -1;
    }
    *ret = strcmp(PQgetvalue(rows, 0, 0), "t") == 0;
    PQclear(rows);
    return 0;
}
