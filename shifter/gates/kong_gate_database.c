/*
 * kong_gate_database.c -- the `kong` gate's checks that look into the databases.
 *
 * Exit codes of `kong migrations` prove nothing, so these ask the tables (KONG.md sections 0, 1).
 */
#include "shifter/gates/kong_gate.h"

#include "config/base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CLOCK_S_MAX 5.0

static void boot_problem(struct xf_kong_gate *gate, const struct xf_kong_side *side,
                         const char *check, enum xf_kong_boot boot)
{
    const struct xf_kong_database *database = &side->database;
    char elsewhere[64] = "";
    struct xf_error err;
    if (boot == XF_KONG_NO_CORE) {
        KONG_CHECK(gate, check, false,
                   "database `%s`: schema_meta has no core row: run `kong migrations bootstrap`",
                   database->name);
        return;
    }
    if (xf_kong_schema_elsewhere(&((struct xf_kong_side *) side)->database, elsewhere,
                                 sizeof(elsewhere), &err) == 0 &&
        elsewhere[0] != '\0') {
        KONG_CHECK(gate, check, false,
                   "database `%s` has no schema_meta in schema `%s`, but one in `%s`: set "
                   "`%s.schema` to Kong's pg_schema",
                   database->name, database->schema, elsewhere, side->role);
        return;
    }
    KONG_CHECK(gate, check, false,
               "database `%s` has no schema_meta in schema `%s`: not Kong's database, or never "
               "bootstrapped",
               database->name, database->schema);
}

/* A connection that was lost is no database to the checks that follow. */
static void forget_lost(struct xf_kong_side *side)
{
    if (PQstatus(side->database.connection) != CONNECTION_OK) {
        xf_kong_database_close(&side->database);
    }
}

void xf_kong_check_bootstrapped(struct xf_kong_gate *gate, struct xf_kong_side *side)
{
    char check[XF_CHECK_NAME_BYTES];
    struct xf_error err;
    enum xf_kong_boot boot;
    snprintf(check, sizeof(check), "%s.bootstrapped", side->role);
    if (side->database_name == NULL) {
        KONG_SKIP(gate, check, "the plan gives no `%s.database`", side->role);
        return;
    }
    if (xf_kong_database_open(gate->context->config, side->database_name, side->schema,
                              &side->database, &err) != 0) {
        KONG_CHECK(gate, check, false, "%s", err.message);
        return;
    }
    if (side->database.standby) {
        KONG_CHECK(
            gate, check, false,
            "database `%s` is a standby: it shows neither its primary's locks nor its newest "
            "rows; point it to the primary (target_session_attrs=read-write)",
            side->database_name);
        return;
    }
    if (xf_kong_bootstrapped(&side->database, &boot, &err) != 0) {
        KONG_CHECK(gate, check, false, "database `%s`: %s", side->database_name, err.message);
        forget_lost(side);
        return;
    }
    if (boot != XF_KONG_BOOTED) {
        boot_problem(gate, side, check, boot);
        return;
    }
    if (xf_kong_migrations(&side->database, &side->migrations, &err) != 0) {
        KONG_CHECK(gate, check, false, "database `%s`: %s", side->database_name, err.message);
        forget_lost(side);
        return;
    }
    side->booted = true;
    KONG_CHECK(gate, check, true, "database `%s` is bootstrapped in schema `%s`",
               side->database_name, side->database.schema);
}

static bool has_name(const json_t *names, const char *wanted)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        const char *text = json_string_value(name);
        if (text != NULL && strcmp(text, wanted) == 0) {
            return true;
        }
    }
    return false;
}

static bool subsystem_has(const json_t *row, const char *migration)
{
    return has_name(json_object_get(row, "executed"), migration) ||
           has_name(json_object_get(row, "pending"), migration);
}

/* Adds `SUBSYSTEM:NAME` for each migration of `wanted` that `row` lacks. */
static void list_missing(const json_t *row, const char *subsystem, const char *const *wanted,
                         size_t count, char *missing, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (!subsystem_has(row, wanted[i])) {
            char name[128];
            snprintf(name, sizeof(name), "%.50s:%s", subsystem, wanted[i]);
            xf_kong_list(missing, bytes, name);
        }
    }
}

/* Names of the core row that version `level` does not know: the database is newer. */
static void list_extra(const json_t *core, size_t known, char *extra, size_t bytes)
{
    static const char *const arrays[] = {"executed", "pending"};
    for (size_t a = 0; a < XF_COUNT(arrays); a++) {
        size_t i;
        json_t *name;
        json_array_foreach(json_object_get(core, arrays[a]), i, name)
        {
            const char *text = json_string_value(name);
            bool expected = false;
            for (size_t k = 0; k < known && text != NULL; k++) {
                expected = expected || strcmp(xf_kong_core_migrations[k], text) == 0;
            }
            if (text != NULL && !expected && strstr(extra, text) == NULL) {
                xf_kong_list(extra, bytes, text);
            }
        }
    }
}

/* A plugin's migrations count where it has a row, or where the new cluster loads the plugin. */
static void list_missing_plugins(struct xf_kong_gate *gate, char *missing, size_t bytes)
{
    const struct xf_kong_node *node = xf_kong_nodes_first(&gate->new_side.nodes);
    json_t *loaded = node != NULL ? xf_kong_plugins_available(node) : NULL;
    for (size_t i = 0; i < xf_kong_plugin_subsystems_count; i++) {
        const struct xf_kong_subsystem *subsystem = &xf_kong_plugin_subsystems[i];
        const json_t *row = json_object_get(gate->new_side.migrations, subsystem->name);
        size_t count = xf_kong_subsystem_count(subsystem, &gate->to);
        if (row != NULL || has_name(loaded, subsystem->name)) {
            list_missing(row, subsystem->name, subsystem->migrations, count, missing, bytes);
        }
    }
    json_decref(loaded);
}

void xf_kong_check_level(struct xf_kong_gate *gate)
{
    const struct xf_kong_side *side = &gate->new_side;
    if (!side->booted) {
        KONG_SKIP(gate, "new.level", "new.bootstrapped did not pass");
        return;
    }
    size_t known = xf_kong_core_count(&gate->to);
    if (known == 0) {
        KONG_SKIP(gate, "new.level", "the migrations of %s are not known here", gate->to_text);
        return;
    }
    const json_t *core = json_object_get(side->migrations, "core");
    char missing[512] = "";
    char extra[512] = "";
    list_missing(core, "core", xf_kong_core_migrations, known, missing, sizeof(missing));
    list_missing_plugins(gate, missing, sizeof(missing));
    list_extra(core, known, extra, sizeof(extra));
    if (missing[0] != '\0') {
        KONG_CHECK(gate, "new.level", false,
                   "database `%s` is not at %s: missing %s; run `kong migrations up` of %s",
                   side->database_name, gate->to_text, missing, gate->to_text);
    } else if (extra[0] != '\0') {
        KONG_CHECK(gate, "new.level", false,
                   "database `%s` is newer than %s: it has %s; Kong cannot be downgraded",
                   side->database_name, gate->to_text, extra);
    } else {
        KONG_CHECK(gate, "new.level", true, "database `%s` has every migration of %s",
                   side->database_name, gate->to_text);
    }
}

static void list_pending(const json_t *migrations, char *list, size_t bytes)
{
    const char *subsystem;
    json_t *row;
    json_object_foreach((json_t *) migrations, subsystem, row)
    {
        size_t i;
        json_t *name;
        json_array_foreach(json_object_get(row, "pending"), i, name)
        {
            char both[160];
            snprintf(both, sizeof(both), "%.60s:%.80s", subsystem,
                     json_string_value(name) != NULL ? json_string_value(name) : "?");
            xf_kong_list(list, bytes, both);
        }
    }
}

void xf_kong_check_pending(struct xf_kong_gate *gate)
{
    const struct xf_kong_side *side = &gate->new_side;
    if (!side->booted) {
        KONG_SKIP(gate, "new.pending", "new.bootstrapped did not pass");
        return;
    }
    char pending[512] = "";
    list_pending(side->migrations, pending, sizeof(pending));
    /* On a database that both clusters share, `finish` comes after blue is gone. */
    bool may_pend = gate->sharing == XF_KONG_SHARED && gate->topology == XF_KONG_TRADITIONAL &&
                    gate->context->phase != XF_GATE_VERIFY;
    if (pending[0] == '\0') {
        KONG_CHECK(gate, "new.pending", true, "no migration of `%s` is pending",
                   side->database_name);
    } else if (may_pend) {
        KONG_CHECK(
            gate, "new.pending", true,
            "pending in the shared database: %s; `kong migrations finish` is a finalize action",
            pending);
    } else {
        KONG_CHECK(
            gate, "new.pending", false,
            "database `%s` has pending migrations: %s; run `kong migrations finish` (its exit "
            "code 0 proves nothing: check again)",
            side->database_name, pending);
    }
}

void xf_kong_check_old_unchanged(struct xf_kong_gate *gate)
{
    const struct xf_kong_side *side = &gate->old_side;
    if (!side->booted) {
        KONG_SKIP(gate, "old.unchanged", "old.bootstrapped did not pass");
        return;
    }
    size_t known = xf_kong_core_count(&gate->from);
    char extra[512] = "";
    char pending[512] = "";
    list_pending(side->migrations, pending, sizeof(pending));
    if (known > 0) {
        list_extra(json_object_get(side->migrations, "core"), known, extra, sizeof(extra));
    }
    if (extra[0] != '\0') {
        KONG_CHECK(
            gate, "old.unchanged", false,
            "the old database `%s` was migrated beyond %s: it has %s; the migrations were run "
            "against the wrong database",
            side->database_name, gate->from_text, extra);
    } else if (pending[0] != '\0') {
        KONG_CHECK(gate, "old.unchanged", false,
                   "the old database `%s` has pending migrations: %s; they were begun on the wrong "
                   "database, or an earlier upgrade was never finished",
                   side->database_name, pending);
    } else if (known == 0) {
        KONG_SKIP(gate, "old.unchanged", "the migrations of %s are not known here",
                  gate->from_text);
    } else {
        KONG_CHECK(gate, "old.unchanged", true, "database `%s` is as %s left it",
                   side->database_name, gate->from_text);
    }
}

void xf_kong_check_distinct(struct xf_kong_gate *gate)
{
    struct xf_kong_side *old_side = &gate->old_side;
    struct xf_kong_side *new_side = &gate->new_side;
    struct xf_error err;
    bool same = false;
    if (old_side->database.connection == NULL || new_side->database.connection == NULL ||
        old_side->database.standby || new_side->database.standby) {
        bool named = old_side->database_name != NULL && new_side->database_name != NULL;
        KONG_SKIP(gate, "distinct", "%s",
                  named ? "both databases must be reachable primaries"
                        : "the plan gives no `old.database` and `new.database`");
        return;
    }
    if (xf_kong_same_database(&old_side->database, &new_side->database, &same, &err) != 0) {
        KONG_CHECK(gate, "distinct", false, "cannot be told: %s", err.message);
        return;
    }
    same = same && strcmp(old_side->database.schema, new_side->database.schema) == 0;
    bool wanted_same = gate->sharing == XF_KONG_SHARED;
    if (same == wanted_same) {
        KONG_CHECK(gate, "distinct", true, "`%s` and `%s` are %s", old_side->database_name,
                   new_side->database_name, same ? "one database" : "two databases");
    } else {
        KONG_CHECK(
            gate, "distinct", false,
            same ? "`%s` and `%s` are one and the same database: clone it, and point the new "
                   "cluster to the clone"
                 : "`%s` and `%s` are two databases, but the plan says that old and new share one",
            old_side->database_name, new_side->database_name);
    }
}

/* Columns that `columns` has and `others` lacks. */
static json_t *only_in(const json_t *columns, const json_t *others)
{
    json_t *only = json_array();
    size_t i;
    json_t *name;
    json_array_foreach(columns, i, name)
    {
        if (!has_name(others, json_string_value(name))) {
            json_array_append(only, name);
        }
    }
    return only;
}

/* Tables on both sides, and per side the columns that the other lacks.  Between 2.x and 3.0 the
 * migrations themselves rewrite routes.paths, plugins.config and targets (KONG.md section 0). */
static void common_tables(const json_t *old_tables, const json_t *new_tables, bool crosses_major,
                          json_t *old_without, json_t *new_without, json_t *common)
{
    const char *table;
    json_t *columns;
    json_object_foreach((json_t *) old_tables, table, columns)
    {
        json_t *others = json_object_get(new_tables, table);
        if (others == NULL || (crosses_major && strcmp(table, "targets") == 0)) {
            continue;
        }
        json_t *left = only_in(columns, others);
        json_t *right = only_in(others, columns);
        if (crosses_major && strcmp(table, "routes") == 0) {
            json_array_append_new(left, json_string("paths"));
            json_array_append_new(right, json_string("paths"));
        }
        if (crosses_major && strcmp(table, "plugins") == 0) {
            json_array_append_new(left, json_string("config"));
            json_array_append_new(right, json_string("config"));
        }
        json_object_set_new(old_without, table, left);
        json_object_set_new(new_without, table, right);
        json_object_set(common, table, columns);
    }
}

static void compare_prints(struct xf_kong_gate *gate, const json_t *old_prints,
                           const json_t *new_prints)
{
    char differing[512] = "";
    const char *table;
    json_t *print;
    json_object_foreach((json_t *) old_prints, table, print)
    {
        if (!json_equal(print, json_object_get(new_prints, table))) {
            xf_kong_list(differing, sizeof(differing), table);
        }
    }
    if (differing[0] != '\0') {
        KONG_CHECK(
            gate, "clone.current", false,
            "the clone differs from the original in: %s; something was written after the clone "
            "was made: raise the fence, clone again, migrate again",
            differing);
    } else {
        KONG_CHECK(gate, "clone.current", true, "%zu configuration tables agree",
                   json_object_size(old_prints));
    }
}

void xf_kong_check_clone_current(struct xf_kong_gate *gate)
{
    struct xf_kong_side *old_side = &gate->old_side;
    struct xf_kong_side *new_side = &gate->new_side;
    if (!old_side->booted || !new_side->booted) {
        KONG_SKIP(gate, "clone.current", "both databases must be bootstrapped");
        return;
    }
    struct xf_error err;
    json_t *old_tables = NULL;
    json_t *new_tables = NULL;
    json_t *old_prints = NULL;
    json_t *new_prints = NULL;
    json_t *old_without = json_object();
    json_t *new_without = json_object();
    json_t *common = json_object();
    bool crosses_major = gate->from.part[0] != gate->to.part[0];
    if (xf_kong_config_tables(&old_side->database, &old_tables, &err) != 0 ||
        xf_kong_config_tables(&new_side->database, &new_tables, &err) != 0) {
        KONG_CHECK(gate, "clone.current", false, "%s", err.message);
    } else {
        common_tables(old_tables, new_tables, crosses_major, old_without, new_without, common);
        if (xf_kong_fingerprints(&old_side->database, common, old_without, &old_prints, &err) !=
                0 ||
            xf_kong_fingerprints(&new_side->database, common, new_without, &new_prints, &err) !=
                0) {
            KONG_CHECK(gate, "clone.current", false, "%s", err.message);
        } else {
            compare_prints(gate, old_prints, new_prints);
        }
    }
    json_decref(old_tables);
    json_decref(new_tables);
    json_decref(old_prints);
    json_decref(new_prints);
    json_decref(old_without);
    json_decref(new_without);
    json_decref(common);
}

void xf_kong_check_lock(struct xf_kong_gate *gate)
{
    struct xf_kong_side *sides[] = {&gate->old_side, &gate->new_side};
    unsigned looked = 0;
    for (size_t i = 0; i < XF_COUNT(sides); i++) {
        char owner[128] = "";
        struct xf_error err;
        if (!sides[i]->booted) {
            continue;
        }
        looked++;
        if (xf_kong_lock_owner(&sides[i]->database, owner, sizeof(owner), &err) != 0) {
            KONG_CHECK(gate, "lock", false, "database `%s`: %s", sides[i]->database_name,
                       err.message);
            return;
        }
        if (owner[0] != '\0') {
            KONG_CHECK(gate, "lock", false,
                       "a migration is in progress on `%s` (lock held by %s): wait for it to end",
                       sides[i]->database_name, owner);
            return;
        }
    }
    if (looked == 0) {
        KONG_SKIP(gate, "lock", "no database is bootstrapped");
    } else {
        KONG_CHECK(gate, "lock", true, "no migration holds the lock");
    }
}

/* The database whose plugins tell how the service is used: the old one, else the new one. */
static struct xf_kong_side *plugins_side(struct xf_kong_gate *gate, const char *check,
                                         struct xf_error *err)
{
    struct xf_kong_side *side = gate->old_side.booted   ? &gate->old_side
                                : gate->new_side.booted ? &gate->new_side
                                                        : NULL;
    json_t *tables = NULL;
    if (side == NULL) {
        KONG_SKIP(gate, check, "no database is bootstrapped");
        return NULL;
    }
    if (xf_kong_config_tables(&side->database, &tables, err) != 0) {
        KONG_CHECK(gate, check, false, "%s", err->message);
        return NULL;
    }
    bool there = json_object_get(tables, "plugins") != NULL;
    json_decref(tables);
    if (!there) {
        KONG_SKIP(gate, check, "database `%s` has no table `plugins`", side->database_name);
    }
    return there ? side : NULL;
}

void xf_kong_check_counters(struct xf_kong_gate *gate)
{
    struct xf_error err;
    json_t *names = NULL;
    struct xf_kong_side *side = plugins_side(gate, "counters", &err);
    if (side == NULL) {
        return;
    }
    if (xf_kong_rows(&side->database,
                     "SELECT coalesce(json_agg(DISTINCT x.name), '[]'::json)::text FROM (SELECT "
                     "CASE WHEN j->>'name' IN ('rate-limiting', 'response-ratelimiting') THEN "
                     "(j->>'name') || ' (policy ' || (j->'config'->>'policy') || ')' ELSE "
                     "j->>'name' END AS name FROM (SELECT to_jsonb(p) j FROM plugins p) y WHERE "
                     "coalesce(j->>'enabled', 'true') <> 'false' AND ((j->>'name' IN "
                     "('rate-limiting', 'response-ratelimiting') AND j->'config'->>'policy' IN "
                     "('cluster', 'local')) OR j->>'name' = 'oauth2' OR (j->>'name' IN "
                     "('session', 'acme') AND coalesce(j->'config'->>'storage', 'kong') = "
                     "'kong'))) x",
                     &names, &err) != 0) {
        KONG_SKIP(gate, "counters", "database `%s`: %s", side->database_name, err.message);
        return;
    }
    char list[512] = "";
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        xf_kong_list(list, sizeof(list),
                     json_string_value(name) != NULL ? json_string_value(name) : "?");
    }
    if (list[0] == '\0') {
        KONG_WARN(gate, "counters", true,
                  "no plugin keeps counters or sessions apart on each side");
    } else if (gate->sharing == XF_KONG_SHARED && strstr(list, "local") == NULL) {
        KONG_WARN(gate, "counters", true, "both sides share what these keep: %s", list);
    } else {
        KONG_WARN(
            gate, "counters", false,
            "old and new count or remember apart: %s; use redis for both, or lower the limits by "
            "the weight; choose sticky assignment; what green issued is unknown to blue after a "
            "rollback",
            list);
    }
    json_decref(names);
}

void xf_kong_check_strategy(struct xf_kong_gate *gate)
{
    struct xf_error err;
    json_t *found = NULL;
    struct xf_kong_side *side = plugins_side(gate, "strategy", &err);
    if (side == NULL) {
        return;
    }
    if (xf_kong_rows(&side->database,
                     "SELECT count(*)::text FROM (SELECT to_jsonb(p) j FROM plugins p) y WHERE "
                     "j->>'name' = 'rate-limiting-advanced' AND j->'config'->>'strategy' = "
                     "'cluster' AND coalesce(j->>'enabled', 'true') <> 'false'",
                     &found, &err) != 0) {
        KONG_CHECK(gate, "strategy", false, "database `%s`: %s", side->database_name, err.message);
        return;
    }
    long long count = (long long) json_integer_value(found);
    json_decref(found);
    KONG_CHECK(gate, "strategy", count == 0,
               count == 0
                   ? "Rate Limiting Advanced does not use the cluster strategy (%lld)"
                   : "Rate Limiting Advanced uses the `cluster` strategy %lld times: it does "
                     "not work in hybrid mode; use redis",
               count);
}

void xf_kong_check_clock(struct xf_kong_gate *gate)
{
    struct xf_kong_side *sides[] = {&gate->old_side, &gate->new_side};
    unsigned looked = 0;
    for (size_t i = 0; i < XF_COUNT(sides); i++) {
        double there = 0;
        struct xf_error err;
        if (sides[i]->database.connection == NULL) {
            continue;
        }
        if (xf_kong_clock(&sides[i]->database, &there, &err) != 0) {
            KONG_SKIP(gate, "clock", "database `%s`: %s", sides[i]->database_name, err.message);
            return;
        }
        looked++;
        double here = (double) xf_clock_wall_ms(xf_clock_system()) / 1000;
        if (fabs(there - here) > CLOCK_S_MAX) {
            KONG_WARN(gate, "clock", false,
                      "the clock of database `%s` differs by %.0f s from this host's: locks and "
                      "last_seen cannot be judged well; check NTP",
                      sides[i]->database_name, there - here);
            return;
        }
    }
    if (looked == 0) {
        KONG_SKIP(gate, "clock", "no database is reachable");
    } else {
        KONG_WARN(gate, "clock", true, "clocks agree within %.0f s", CLOCK_S_MAX);
    }
}
