/*
 * kong_drift.c -- fingerprints of Kong's configuration tables against a baseline.
 */
#include "shifter/gates/kong_drift.h"

#include "shifter/gates/kong_database.h"
#include "shifter/gates/kong_gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- baselines ---- */

/* The entry of that database; NULL: there is none yet. */
static json_t *find_database(const json_t *list, const json_t *database, const json_t *schema)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_equal(json_object_get(entry, "database"), database) &&
            json_equal(json_object_get(entry, "schema"), schema)) {
            return entry;
        }
    }
    return NULL;
}

static void add_side(json_t *list, const json_t *gate, const char *role)
{
    const json_t *side = json_object_get(json_object_get(gate, "kong"), role);
    json_t *database = json_object_get(side, "database");
    json_t *schema = json_object_get(side, "schema");
    json_t *none = json_null();
    schema = json_is_string(schema) ? schema : none;
    bool is_new = strcmp(role, "new") == 0;
    json_t *entry = json_is_string(database) ? find_database(list, database, schema) : NULL;
    if (entry != NULL && is_new) {
        (void) json_object_set_new(entry, "new", json_true()); /* both live on it */
    } else if (entry == NULL && json_is_string(database)) {
        (void) json_array_append_new(list, json_pack("{s:O, s:O, s:b, s:n}", "database", database,
                                                     "schema", schema, "new", is_new, "tables"));
    }
}

char *xf_kong_drift_begin(const char *gates_json)
{
    json_t *list = json_array();
    json_t *gates = gates_json != NULL ? json_loads(gates_json, 0, NULL) : NULL;
    size_t i;
    json_t *gate;
    json_array_foreach(gates, i, gate)
    {
        add_side(list, gate, "old");
        add_side(list, gate, "new");
    }
    char *text = json_array_size(list) > 0 ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(gates);
    json_decref(list);
    return text;
}

char *xf_kong_drift_forget(const char *baseline)
{
    json_t *list = json_loads(baseline, 0, NULL);
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        (void) json_object_set_new(entry, "tables", json_null());
    }
    char *text = list != NULL ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

bool xf_kong_drift_incomplete(const char *baseline)
{
    json_t *list = json_loads(baseline, 0, NULL);
    bool incomplete = false;
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        incomplete = incomplete || !json_is_object(json_object_get(entry, "tables"));
    }
    json_decref(list);
    return incomplete;
}

char *xf_kong_drift_fill(const char *baseline, const json_t *found)
{
    json_t *list = json_loads(baseline, 0, NULL);
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        json_t *tables = json_object_get(json_array_get(found, i), "tables");
        bool same = json_equal(json_object_get(entry, "database"),
                               json_object_get(json_array_get(found, i), "database"));
        if (same && json_is_object(tables) && !json_is_object(json_object_get(entry, "tables"))) {
            (void) json_object_set(entry, "tables", tables);
        }
    }
    char *text = list != NULL ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

char *xf_kong_drift_gate(const char *gates_json, const char *baseline, bool finalize)
{
    json_t *gates = gates_json != NULL ? json_loads(gates_json, 0, NULL) : json_array();
    json_t *known = json_loads(baseline, 0, NULL);
    json_t *gate = known != NULL ? json_pack("{s:{s:o, s:b}}", "drift", "baseline", known,
                                             "finalize", finalize)
                                 : NULL;
    bool ok = gate != NULL && json_array_append_new(gates, gate) == 0;
    char *text = ok ? json_dumps(gates, JSON_COMPACT) : NULL;
    json_decref(gates);
    return text;
}

/* ---- the gate ---- */

static int look(const struct xf_gate_context *context, const json_t *entry, json_t **ret,
                struct xf_error *err)
{
    struct xf_kong_database database = {0};
    json_t *tables = NULL;
    const char *name = json_string_value(json_object_get(entry, "database"));
    const char *schema = json_string_value(json_object_get(entry, "schema"));
    if (name == NULL) {
        return XF_FAIL(err, XF_E_CONFIG, "no database is named");
    }
    if (xf_kong_database_open(context->config, name, schema, &database, err) != 0) {
        return -1;
    }
    int result = xf_kong_config_tables(&database, &tables, err);
    if (result == 0) {
        result = xf_kong_fingerprints(&database, tables, NULL, ret, err);
    }
    json_decref(tables);
    xf_kong_database_close(&database);
    return result;
}

/* Tables whose print differs, or that came or went. */
static json_t *changed_tables(const json_t *before, const json_t *now)
{
    json_t *changed = json_array();
    const char *table;
    json_t *print;
    json_object_foreach((json_t *) before, table, print)
    {
        if (!json_equal(print, json_object_get(now, table))) {
            (void) json_array_append_new(changed, json_string(table));
        }
    }
    json_object_foreach((json_t *) now, table, print)
    {
        if (json_object_get(before, table) == NULL) {
            (void) json_array_append_new(changed, json_string(table));
        }
    }
    return changed;
}

/* One database: adds its row to `found`, its words to `drifted` or `unseen`; whether it was seen.
 */
static bool check_database(const struct xf_gate_context *context, const json_t *entry,
                           json_t *found, char *drifted, char *unseen, size_t bytes)
{
    struct xf_error err = {0};
    json_t *now = NULL;
    const json_t *before = json_object_get(entry, "tables");
    const char *name = json_string_value(json_object_get(entry, "database"));
    json_t *row = json_pack("{s:O?, s:O?}", "database", json_object_get(entry, "database"),
                            "schema", json_object_get(entry, "schema"));
    bool seen = look(context, entry, &now, &err) == 0;
    json_t *changed = json_is_object(before) && seen ? changed_tables(before, now) : json_array();
    char list[512] = "";
    size_t i;
    json_t *table;
    json_array_foreach(changed, i, table)
    {
        xf_kong_list(list, sizeof(list), json_string_value(table));
    }
    size_t used = strlen(drifted);
    if (list[0] != '\0') {
        (void) snprintf(drifted + used, bytes - used, "%sdatabase `%.60s`: %s",
                        used > 0 ? "; " : "", name != NULL ? name : "?", list);
    }
    used = strlen(unseen);
    if (!seen) {
        xf_printable(err.message);
        (void) snprintf(unseen + used, bytes - used, "%s%.200s", used > 0 ? "; " : "", err.message);
    }
    (void) json_object_set_new(row, "problem", seen ? json_null() : json_string(err.message));
    (void) json_object_set_new(row, "tables", seen ? now : json_null());
    (void) json_object_set_new(row, "changed", changed);
    (void) json_array_append_new(found, row);
    return seen;
}

void xf_gate_drift(const json_t *options, const struct xf_gate_context *context,
                   struct xf_checks *checks)
{
    char drifted[900] = "";
    char unseen[900] = "";
    json_t *found = json_array();
    bool finalize = json_is_true(json_object_get(options, "finalize"));
    bool needed = false; /* one that was not seen */
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(options, "baseline"), i, entry)
    {
        bool seen = check_database(context, entry, found, drifted, unseen, sizeof(drifted));
        needed = needed || (!seen && finalize && json_is_true(json_object_get(entry, "new")));
    }
    if (drifted[0] != '\0') {
        xf_checks_add(checks, "kong", "drift", false, XF_SEVERITY_ERROR,
                      "configuration was changed since the start in %s; `resume drift` accepts it",
                      drifted);
    } else if (needed) {
        xf_checks_add(checks, "kong", "drift", false, XF_SEVERITY_ERROR,
                      "the database that the new cluster lives on cannot be compared, and after "
                      "finalize there is no way back: %s",
                      unseen);
    } else if (unseen[0] != '\0') {
        xf_checks_skip(checks, "kong", "drift", "%s", unseen);
    } else {
        xf_checks_add(checks, "kong", "drift", true, XF_SEVERITY_ERROR,
                      "%zu databases are as they were", json_array_size(found));
    }
    json_decref(checks->fingerprints);
    checks->fingerprints = found;
}
