/*
 * database.c -- a read-only look into a database that the configuration names.
 */
#include "shifter/gates/database.h"

#include "config/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PASSWORD_BYTES 1024
#define CONNECT_S      "5"
#define QUERY_MS       20000 /* of the client: a server that hangs keeps no limit of its own */
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

/* What to do, for the reasons that a person meets; libpq gives no code for them. */
static const char *advice(const char *message)
{
    static const struct {
        const char *part, *advice;
    } known[] = {
        {"Connection refused",
         "is PostgreSQL running, and do its listen_addresses and the firewall allow this host?"},
        {"timeout expired", "it hangs, is overloaded, or a firewall drops the packets"},
        {"could not translate host name", "check the host's name and DNS"},
        {"password authentication failed", "check the user and password_file"},
        {"no password supplied", "name a password_file under `databases`"},
        {"no pg_hba.conf entry", "allow this host, role and database in its pg_hba.conf"},
        {"is not permitted to log in", "give the role LOGIN"},
        {"permission denied for database", "GRANT CONNECT on it to the role"},
        {"too many", "it has no free connection: raise max_connections, or the role's limit"},
        {"remaining connection slots", "it has no free connection: raise max_connections"},
        {"starting up", "wait until it has started"},
        {"shutting down", "it is being stopped"},
        {"recovery mode", "wait until it has recovered"},
        {"not accepting connections", "it recovers, or is a standby without hot_standby"},
        {"session is read-only", "the URL asks for a primary and this is none: name the primary"},
        {"server is in hot standby mode",
         "the URL asks for a primary and this is none: name the primary"},
        {"No space left", "its disk is full: make room first"},
        {"role \"", "create the role, with SELECT on Kong's tables and nothing else"},
        {"database \"", "check the database's name in its URL"},
    };
    for (size_t i = 0; i < XF_COUNT(known); i++) {
        if (strstr(message, known[i].part) != NULL) {
            return known[i].advice;
        }
    }
    return "check its URL under `databases`";
}

/* libpq quotes a malformed URL, and a password with it: then nothing of it is said. */
static bool is_clean_url(const char *url)
{
    char *ignored = NULL;
    PQconninfoOption *parts = PQconninfoParse(url, &ignored);
    PQfreemem(ignored);
    bool whole = parts != NULL;
    for (const PQconninfoOption *part = parts; whole && part->keyword != NULL; part++) {
        bool place = strcmp(part->keyword, "host") == 0 || strcmp(part->keyword, "port") == 0 ||
                     strcmp(part->keyword, "dbname") == 0;
        /* `user:pa@ss@host` makes a host of half the password */
        whole = !(place && part->val != NULL && strchr(part->val, '@') != NULL);
    }
    PQconninfoFree(parts);
    return whole;
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
    if (!is_clean_url(database->url)) {
        return XF_FAIL(err, XF_E_CONFIG,
                       "the URL of database `%s` cannot be understood: write it as "
                       "postgresql://USER@HOST:PORT/NAME, special characters as %%XX, and the "
                       "password into a password_file",
                       name);
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
        return XF_FAIL(err, XF_E_UNREACHABLE, "database `%s` cannot be reached: %s; %s", name, line,
                       advice(line));
    }
    *ret = connection;
    return 0;
}

/* Waits for the socket; false at the deadline. */
static bool wait_until(const PGconn *connection, int64_t deadline_ms)
{
    struct pollfd wait = {.fd = PQsocket(connection), .events = POLLIN};
    for (;;) {
        int64_t left = deadline_ms - xf_clock_monotonic_ms(xf_clock_system());
        int ready = left > 0 ? poll(&wait, 1, (int) left) : 0;
        if (ready >= 0 || errno != EINTR) {
            return ready > 0;
        }
    }
}

bool xf_database_is_copy(const PGresult *rows)
{
    ExecStatusType status = PQresultStatus(rows);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* Ends a connection that cannot be waited for: what follows on it fails at once. */
static void cut(PGconn *connection)
{
    PGresult *rest;
    (void) shutdown(PQsocket(connection), SHUT_RDWR);
    while ((rest = PQgetResult(connection)) != NULL && !xf_database_is_copy(rest) &&
           PQstatus(connection) == CONNECTION_OK) {
        PQclear(rest);
    }
    PQclear(rest);
}

/* The last result of what was sent; NULL with *hung where the server said nothing.  Such a
 * connection is cut. */
static PGresult *read_answer(PGconn *connection, int64_t limit_ms, bool *hung)
{
    PGresult *last = NULL;
    int64_t deadline_ms = xf_clock_monotonic_ms(xf_clock_system()) + limit_ms;
    for (;;) {
        while (PQisBusy(connection)) {
            if (!wait_until(connection, deadline_ms)) {
                *hung = true;
                PQclear(last);
                cut(connection);
                return NULL;
            }
            if (PQconsumeInput(connection) != 1) {
                break; /* PQgetResult() says why */
            }
        }
        PGresult *next = PQgetResult(connection);
        if (next == NULL) {
            return last;
        }
        PQclear(last);
        last = next;
        if (xf_database_is_copy(next)) {
            cut(connection); /* it would never end */
            return last;
        }
    }
}

PGresult *xf_database_run(PGconn *connection, const char *sql, int64_t limit_ms, bool *ret_hung)
{
    *ret_hung = false;
    return PQsendQuery(connection, sql) == 1 ? read_answer(connection, limit_ms, ret_hung) : NULL;
}

int xf_database_query(PGconn *connection, const char *sql, int parameters_count,
                      const char *const *parameters, PGresult **ret, struct xf_error *err)
{
    bool hung = false;
    int sent =
        PQsendQueryParams(connection, sql, parameters_count, NULL, parameters, NULL, NULL, 0);
    PGresult *rows = sent == 1 ? read_answer(connection, QUERY_MS, &hung) : NULL;
    if (hung) {
        return XF_FAIL(err, XF_E_TIMED_OUT,
                       "PostgreSQL took the query and said nothing for %d s: it hangs, or the link "
                       "to it is gone",
                       QUERY_MS / 1000);
    }
    ExecStatusType status = PQresultStatus(rows);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *ret = rows;
        return 0;
    }
    if (xf_database_is_copy(rows)) {
        PQclear(rows);
        return XF_FAIL(err, XF_E_FAILED, "COPY gives no rows: write the query as SELECT");
    }
    const char *state = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    char line[256];
    first_line(primary != NULL ? primary : PQerrorMessage(connection), line, sizeof(line));
    char code[6] = "";
    snprintf(code, sizeof(code), "%s", state != NULL ? state : "");
    PQclear(rows);
    if (strcmp(code, "42501") == 0) {
        return XF_FAIL(err, XF_E_DENIED,
                       "%s: the role %s needs USAGE on the schema and SELECT on its tables", line,
                       PQuser(connection));
    }
    if (strncmp(code, "53", 2) == 0) { /* insufficient_resources: disk, memory, connections */
        return XF_FAIL(err, XF_E_FAILED, "%s: PostgreSQL is out of disk or memory: make room first",
                       line);
    }
    if (strcmp(code, "57014") == 0 || strcmp(code, "55P03") == 0) {
        return XF_FAIL(err, XF_E_FAILED,
                       "%s: it is overloaded, or somebody (a migration?) holds locks on the tables",
                       line);
    }
    if (PQstatus(connection) == CONNECTION_BAD) {
        return XF_FAIL(err, XF_E_UNREACHABLE,
                       "the connection was lost (%s): PostgreSQL was stopped, or the link is down",
                       line);
    }
    return XF_FAIL(err, XF_E_FAILED, "%s", line);
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
