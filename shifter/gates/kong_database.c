/*
 * kong_database.c -- what Kong's database says about itself.
 */
#include "shifter/gates/kong_database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Kong's configuration; everything else (counters, sessions, locks) changes while it runs. */
static const char *const config_tables[] = {
    "workspaces",
    "services",
    "routes",
    "consumers",
    "certificates",
    "ca_certificates",
    "snis",
    "upstreams",
    "targets",
    "plugins",
    "vaults_beta",
    "sm_vaults",
    "key_sets",
    "keys",
    "acls",
    "basicauth_credentials",
    "hmacauth_credentials",
    "jwt_secrets",
    "keyauth_credentials",
    "oauth2_credentials",
};

/* One query whose first column of the first row is the answer; `out` is empty without a row. */
static int query_text(struct xf_kong_database *database, const char *sql, int count,
                      const char *const *parameters, char *out, size_t bytes, struct xf_error *err)
{
    PGresult *rows = NULL;
    if (xf_database_query(database->connection, sql, count, parameters, &rows, err) != 0) {
        return -1;
    }
    bool found = PQntuples(rows) > 0 && !PQgetisnull(rows, 0, 0);
    snprintf(out, bytes, "%s", found ? PQgetvalue(rows, 0, 0) : "");
    PQclear(rows);
    return 0;
}

/* The same for an answer that is JSON. */
static int query_json(struct xf_kong_database *database, const char *sql, int count,
                      const char *const *parameters, json_t **ret, struct xf_error *err)
{
    PGresult *rows = NULL;
    if (xf_database_query(database->connection, sql, count, parameters, &rows, err) != 0) {
        return -1;
    }
    json_error_t problem;
    const char *text = PQntuples(rows) > 0 ? PQgetvalue(rows, 0, 0) : "";
    json_t *value = json_loads(text[0] != '\0' ? text : "null", JSON_DECODE_ANY, &problem);
    PQclear(rows);
    if (value == NULL) {
        return XF_FAIL(err, XF_E_FAILED, "the database's answer is not JSON: %s", problem.text);
    }
    *ret = value;
    return 0;
}

int xf_kong_database_open(const struct xf_config *config, const char *name, const char *schema,
                          struct xf_kong_database *ret, struct xf_error *err)
{
    struct xf_kong_database database = {0};
    snprintf(database.name, sizeof(database.name), "%s", name);
    if (xf_database_open(config, name, &database.connection, err) != 0) {
        return -1;
    }
    int result = xf_database_is_standby(database.connection, &database.standby, err);
    if (result == 0 && schema != NULL) {
        snprintf(database.schema, sizeof(database.schema), "%s", schema);
    } else if (result == 0) {
        result = query_text(&database, "SELECT coalesce(current_schema(), 'public')", 0, NULL,
                            database.schema, sizeof(database.schema), err);
    }
    if (result == 0) {
        const char *parameters[] = {database.schema};
        char ignored[128];
        result =
            query_text(&database, "SELECT set_config('search_path', quote_ident($1::text), false)",
                       1, parameters, ignored, sizeof(ignored), err);
    }
    if (result != 0) {
        PQfinish(database.connection);
        return -1;
    }
    *ret = database;
    return 0;
}

void xf_kong_database_close(struct xf_kong_database *database)
{
    PQfinish(database->connection);
    *database = (struct xf_kong_database){0};
}

int xf_kong_bootstrapped(struct xf_kong_database *database, enum xf_kong_boot *ret,
                         struct xf_error *err)
{
    /* to_regclass, as information_schema hides the table from a role without privileges. */
    const char *parameters[] = {database->schema};
    char found[8];
    if (query_text(database,
                   "SELECT to_regclass(quote_ident($1::text) || '.schema_meta') IS NOT NULL", 1,
                   parameters, found, sizeof(found), err) != 0) {
        return -1;
    }
    if (strcmp(found, "t") != 0) {
        *ret = XF_KONG_NO_TABLE;
        return 0;
    }
    char rows[8];
    if (query_text(database,
                   "SELECT count(*) FROM schema_meta WHERE key = 'schema_meta' AND subsystem = "
                   "'core' AND (cardinality(executed) > 0 OR cardinality(pending) > 0)",
                   0, NULL, rows, sizeof(rows), err) != 0) {
        return -1;
    }
    *ret = strcmp(rows, "0") == 0 ? XF_KONG_NO_CORE : XF_KONG_BOOTED;
    return 0;
}

int xf_kong_schema_elsewhere(struct xf_kong_database *database, char *out, size_t bytes,
                             struct xf_error *err)
{
    const char *parameters[] = {database->schema};
    return query_text(database,
                      "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = "
                      "c.relnamespace WHERE c.relname = 'schema_meta' AND c.relkind = 'r' AND "
                      "n.nspname <> $1::text ORDER BY 1 LIMIT 1",
                      1, parameters, out, bytes, err);
}

int xf_kong_migrations(struct xf_kong_database *database, json_t **ret, struct xf_error *err)
{
    /* A name in both arrays counts as executed (Kong's state.lua). */
    return query_json(
        database,
        "SELECT coalesce(json_object_agg(m.subsystem, json_build_object("
        "'executed', to_json(coalesce(m.executed, '{}'::text[])), "
        "'pending', to_json(ARRAY(SELECT p FROM unnest(m.pending) p "
        "WHERE NOT (p = ANY (coalesce(m.executed, '{}'::text[]))))))), '{}'::json)::text "
        "FROM schema_meta m WHERE m.key = 'schema_meta'",
        0, NULL, ret, err);
}

int xf_kong_lock_owner(struct xf_kong_database *database, char *out, size_t bytes,
                       struct xf_error *err)
{
    const char *parameters[] = {database->schema};
    char found[8];
    out[0] = '\0';
    if (query_text(database, "SELECT to_regclass(quote_ident($1::text) || '.locks') IS NOT NULL", 1,
                   parameters, found, sizeof(found), err) != 0) {
        return -1;
    }
    if (strcmp(found, "t") == 0 &&
        query_text(database,
                   "SELECT coalesce(nullif(owner, ''), 'unknown') FROM locks "
                   "WHERE key = 'migrations' AND ttl >= now()",
                   0, NULL, out, bytes, err) != 0) {
        return -1;
    }
    if (out[0] != '\0') {
        return 0;
    }
    /* The row lives for 60 s and is not renewed: a longer migration shows by its table locks. */
    return query_text(
        database,
        "SELECT 'server process ' || l.pid || ', which changes table ' || c.relname "
        "FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n "
        "ON n.oid = c.relnamespace WHERE l.granted AND l.mode = "
        "'AccessExclusiveLock' AND l.pid <> pg_backend_pid() AND n.nspname = $1::text "
        "AND c.relkind IN ('r', 'p') AND l.database = (SELECT oid FROM pg_database "
        "WHERE datname = current_database()) ORDER BY l.pid, c.relname LIMIT 1",
        1, parameters, out, bytes, err);
}

int xf_kong_same_database(struct xf_kong_database *a, struct xf_kong_database *b, bool *ret,
                          struct xf_error *err)
{
    unsigned drawn[2];
    char numbers[2][16];
    if (getrandom(drawn, sizeof(drawn), 0) != (ssize_t) sizeof(drawn)) {
        return XF_FAIL(err, XF_E_SYSTEM, "getrandom failed");
    }
    for (int i = 0; i < 2; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "%u", drawn[i] >> 1);
    }
    const char *parameters[] = {numbers[0], numbers[1]};
    char text[16];
    if (query_text(a, "SELECT pg_advisory_lock_shared($1::int, $2::int)", 2, parameters, text,
                   sizeof(text), err) != 0) {
        return -1;
    }
    int seen = query_text(b,
                          "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = "
                          "$1::int::oid AND objid = $2::int::oid AND database = (SELECT oid FROM "
                          "pg_database WHERE datname = current_database())",
                          2, parameters, text, sizeof(text), err);
    char ignored[16];
    struct xf_error later;
    int unlocked = query_text(a, "SELECT pg_advisory_unlock_shared($1::int, $2::int)", 2,
                              parameters, ignored, sizeof(ignored), seen == 0 ? err : &later);
    if (seen != 0 || unlocked != 0) {
        return -1;
    }
    *ret = strcmp(text, "0") != 0;
    return 0;
}

int xf_kong_config_tables(struct xf_kong_database *database, json_t **ret, struct xf_error *err)
{
    char list[1024] = "{";
    for (size_t i = 0; i < XF_COUNT(config_tables); i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ",", config_tables[i]);
    }
    strncat(list, "}", sizeof(list) - strlen(list) - 1);
    const char *parameters[] = {database->schema, list};
    return query_json(database,
                      "SELECT coalesce(json_object_agg(t.relname, t.columns), '{}'::json)::text "
                      "FROM (SELECT c.relname, json_agg(a.attname ORDER BY a.attname) AS columns "
                      "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                      "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT "
                      "a.attisdropped WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p') AND "
                      "c.relname = ANY ($2::text[]) GROUP BY c.relname) t",
                      2, parameters, ret, err);
}

static bool is_config_table(const char *name)
{
    for (size_t i = 0; i < XF_COUNT(config_tables); i++) {
        if (strcmp(config_tables[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* `table` is one of config_tables, so its name may stand in the query. */
static int fingerprint_table(struct xf_kong_database *database, const char *table,
                             const json_t *without, char *out, size_t bytes, struct xf_error *err)
{
    char sql[512];
    char *columns = json_dumps(without != NULL ? without : json_object_get(without, ""), 0);
    const char *filter = strcmp(table, "keyauth_credentials") == 0
                             ? " WHERE coalesce(to_jsonb(r)->>'ttl', '') = ''"
                             : "";
    snprintf(sql, sizeof(sql),
             "SELECT count(*) || ':' || coalesce(md5(string_agg(h, '' ORDER BY h)), '') FROM "
             "(SELECT md5((to_jsonb(r) - ARRAY(SELECT json_array_elements_text($1::json)))::text) "
             "h FROM \"%s\" r%s) x",
             table, filter);
    const char *parameters[] = {columns != NULL ? columns : "[]"};
    int result = query_text(database, sql, 1, parameters, out, bytes, err);
    free(columns);
    return result;
}

int xf_kong_fingerprints(struct xf_kong_database *database, const json_t *tables,
                         const json_t *without, json_t **ret, struct xf_error *err)
{
    char text[128];
    if (query_text(database, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, text,
                   sizeof(text), err) != 0) {
        return -1;
    }
    json_t *prints = json_object();
    const char *table;
    json_t *columns;
    int result = 0;
    json_object_foreach((json_t *) tables, table, columns)
    {
        if (!is_config_table(table)) {
            continue;
        }
        result = fingerprint_table(database, table, json_object_get(without, table), text,
                                   sizeof(text), err);
        if (result != 0) {
            break;
        }
        json_object_set_new(prints, table, json_string(text));
    }
    struct xf_error later;
    char ignored[16];
    if (query_text(database, "ROLLBACK", 0, NULL, ignored, sizeof(ignored),
                   result == 0 ? err : &later) != 0) {
        result = -1;
    }
    if (result != 0) {
        json_decref(prints);
        return -1;
    }
    *ret = prints;
    return 0;
}

int xf_kong_rows(struct xf_kong_database *database, const char *sql, json_t **ret,
                 struct xf_error *err)
{
    return query_json(database, sql, 0, NULL, ret, err);
}

int xf_kong_clock(struct xf_kong_database *database, double *ret, struct xf_error *err)
{
    char text[64];
    if (query_text(database, "SELECT extract(epoch FROM clock_timestamp())", 0, NULL, text,
                   sizeof(text), err) != 0) {
        return -1;
    }
    *ret = strtod(text, NULL);
    return 0;
}
