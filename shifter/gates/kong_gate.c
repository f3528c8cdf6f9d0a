/*
 * kong_gate.c -- the `kong` gate: its options, and which checks apply to which deployment.
 */
#include "shifter/gates/kong_gate.h"

#include "shifter/gates/gate_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void xf_kong_list(char *list, size_t bytes, const char *name)
{
    size_t used = strlen(list);
    if (used + strlen(name) + 16 > bytes) {
        if (used + 12 < bytes && strstr(list, " and more") == NULL) {
            snprintf(list + used, bytes - used, " and more");
        }
        return;
    }
    snprintf(list + used, bytes - used, "%s%s", used > 0 ? ", " : "", name);
}

void xf_kong_list_once(char *list, size_t bytes, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = list; *p != '\0' && (p = strstr(p, name)) != NULL; p++) {
        bool begins = p == list || (p - list >= 2 && strncmp(p - 2, ", ", 2) == 0);
        const char *behind = p + length;
        bool ends =
            *behind == '\0' || strncmp(behind, ", ", 2) == 0 || strcmp(behind, " and more") == 0;
        if (begins && ends) {
            return;
        }
    }
    xf_kong_list(list, bytes, name);
}

/* A string option; NULL where it is absent.  Another type is a problem. */
static const char *text_option(const json_t *options, const char *key, char *problem, size_t bytes)
{
    const json_t *value = json_object_get(options, key);
    if (value != NULL && !json_is_string(value) && problem[0] == '\0') {
        snprintf(problem, bytes, "%s: a text is needed", key);
    }
    return json_string_value(value);
}

static const json_t *list_option(const json_t *options, const char *key, char *problem,
                                 size_t bytes)
{
    const json_t *value = json_object_get(options, key);
    if (value != NULL && !json_is_array(value) && problem[0] == '\0') {
        snprintf(problem, bytes, "%s: a list is needed", key);
        return NULL;
    }
    return json_array_size(value) > 0 ? value : NULL;
}

static void read_side(const json_t *options, const char *role, struct xf_kong_side *ret,
                      char *problem, size_t bytes)
{
    const json_t *side = json_object_get(options, role);
    if (side != NULL && !json_is_object(side) && problem[0] == '\0') {
        snprintf(problem, bytes, "%s: a mapping of database, schema and admin is needed", role);
    }
    ret->role = role;
    ret->database_name = text_option(side, "database", problem, bytes);
    ret->schema = text_option(side, "schema", problem, bytes);
    ret->admin = list_option(side, "admin", problem, bytes);
}

static bool read_versions(const json_t *options, struct xf_kong_gate *gate, char *problem,
                          size_t bytes)
{
    gate->from_text = text_option(options, "from_version", problem, bytes);
    gate->to_text = text_option(options, "to_version", problem, bytes);
    if (problem[0] != '\0') {
        return false;
    }
    if (gate->from_text == NULL || !xf_kong_version_parse(gate->from_text, &gate->from)) {
        snprintf(problem, bytes, "from_version: a version such as \"3.0\" is needed, in quotes");
    } else if (gate->to_text == NULL || !xf_kong_version_parse(gate->to_text, &gate->to)) {
        snprintf(problem, bytes, "to_version: a version such as \"3.1\" is needed, in quotes");
    }
    return problem[0] == '\0';
}

static bool read_options(const json_t *options, struct xf_kong_gate *gate, char *problem,
                         size_t bytes)
{
    static const char *const known[] = {"topology", "database", "from_version", "to_version", "old",
                                        "new",      "routes",   "templates",    "allow"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *) options, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < XF_COUNT(known); i++) {
            found = found || strcmp(known[i], key) == 0;
        }
        if (!found) {
            snprintf(problem, bytes, "unknown key `%.60s`", key);
            return false;
        }
    }
    const char *topology = text_option(options, "topology", problem, bytes);
    const char *sharing = text_option(options, "database", problem, bytes);
    read_side(options, "old", &gate->old_side, problem, bytes);
    read_side(options, "new", &gate->new_side, problem, bytes);
    gate->routes = list_option(options, "routes", problem, bytes);
    gate->templates = list_option(options, "templates", problem, bytes);
    if (problem[0] == '\0' && topology != NULL &&
        !xf_kong_topology_parse(topology, &gate->topology)) {
        snprintf(problem, bytes, "topology: traditional, hybrid or dbless");
    }
    if (problem[0] == '\0' && sharing != NULL && strcmp(sharing, "clone") != 0 &&
        strcmp(sharing, "shared") != 0) {
        snprintf(problem, bytes, "database: clone or shared");
    }
    /* A hybrid's new control plane points to the old one's store. */
    bool one = sharing != NULL ? strcmp(sharing, "shared") == 0 : gate->topology == XF_KONG_HYBRID;
    gate->sharing = one ? XF_KONG_SHARED : XF_KONG_CLONE;
    return problem[0] == '\0' && read_versions(options, gate, problem, bytes);
}

/* `2.8` in the plan names a minor; which patch of it runs matters, and the nodes say it.  Without
 * them it is taken for the last one. */
static struct xf_kong_version true_origin(const struct xf_kong_gate *gate)
{
    struct xf_kong_version from = gate->from;
    const struct xf_kong_node *node = xf_kong_nodes_first(&gate->old_side.nodes);
    if (from.part[2] < 0 && node != NULL && node->version_known &&
        xf_kong_version_same_minor(&node->version, &from)) {
        from = node->version;
    }
    if (from.part[0] == 2 && from.part[1] == 8 && from.part[2] < 0) {
        from.part[2] = 2;
    }
    return from;
}

static void check_path(struct xf_kong_gate *gate)
{
    struct xf_kong_path path;
    char hops[256] = "";
    struct xf_kong_version from = true_origin(gate);
    xf_kong_path_find(&from, &gate->to, gate->topology, &path);
    for (unsigned i = 0; i < path.hops_count; i++) {
        xf_kong_list(hops, sizeof(hops), path.hops[i]);
    }
    if (!path.possible) {
        KONG_CHECK(gate, "path", false, "%s to %s: %s", gate->from_text, gate->to_text,
                   path.notes[0]);
    } else if (!path.direct) {
        KONG_CHECK(gate, "path", false,
                   "%s to %s is not direct: upgrade through %s, one cutover each", gate->from_text,
                   gate->to_text, hops);
    } else {
        KONG_CHECK(gate, "path", true, "%s to %s is direct%s%s", gate->from_text, gate->to_text,
                   path.notes_count > 0 ? "; " : "", path.notes_count > 0 ? path.notes[0] : "");
    }
}

/* A template's text stands in the plan, as a plan holds no paths. */
static void check_templates(struct xf_kong_gate *gate)
{
    if (gate->templates == NULL) {
        KONG_SKIP(gate, "templates",
                  "the plan gives no `templates` (texts of custom Nginx templates)");
        return;
    }
    if (gate->to.part[0] < 3) {
        KONG_CHECK(gate, "templates", true, "Kong.serve_admin_api is still there in %s",
                   gate->to_text);
        return;
    }
    size_t i;
    json_t *entry;
    char bad[128] = "";
    json_array_foreach(gate->templates, i, entry)
    {
        const char *text = json_string_value(entry);
        if (text == NULL || strstr(text, "serve_admin_api") != NULL) {
            char number[24];
            snprintf(number, sizeof(number), "%zu", i + 1);
            xf_kong_list(bad, sizeof(bad), number);
        }
    }
    if (bad[0] != '\0') {
        KONG_CHECK(
            gate, "templates", false,
            "template %s uses Kong.serve_admin_api, removed in 3.0: write Kong.admin_content", bad);
    } else {
        KONG_CHECK(gate, "templates", true, "%zu templates do not use Kong.serve_admin_api",
                   json_array_size(gate->templates));
    }
}

/* After an action of finalize only the database can prove anything: `kong migrations finish` exits
 * 0 also when it did nothing. */
static void run_verify(struct xf_kong_gate *gate)
{
    if (gate->new_side.database_name == NULL && gate->sharing == XF_KONG_SHARED) {
        gate->new_side.database_name = gate->old_side.database_name;
        gate->new_side.schema = gate->old_side.schema;
    }
    if (gate->new_side.database_name == NULL) { /* `not checked` must not count as a proof */
        KONG_CHECK(gate, "new.bootstrapped", false,
                   "nothing to verify by: `verify` names no `new.database`");
        return;
    }
    xf_kong_check_bootstrapped(gate, &gate->new_side);
    xf_kong_check_level(gate);
    xf_kong_check_pending(gate);
    xf_kong_check_lock(gate);
}

static void run_all(struct xf_kong_gate *gate)
{
    bool database = gate->topology != XF_KONG_DBLESS;
    bool hybrid = gate->topology == XF_KONG_HYBRID;
    bool finalizing = gate->context->phase == XF_GATE_BEFORE_FINALIZE;
    xf_kong_nodes_ask(gate->old_side.admin, &gate->old_side.nodes);
    xf_kong_nodes_ask(gate->new_side.admin, &gate->new_side.nodes);
    check_path(gate);
    if (hybrid) {
        xf_kong_check_stopped(gate, "old.control_plane_stopped");
    } else if (finalizing && gate->sharing == XF_KONG_SHARED) {
        xf_kong_check_stopped(gate, "old.stopped");
    } else {
        xf_kong_check_reachable(gate, &gate->old_side);
    }
    xf_kong_check_reachable(gate, &gate->new_side);
    if (database) {
        xf_kong_check_bootstrapped(gate, &gate->old_side);
        xf_kong_check_bootstrapped(gate, &gate->new_side);
        xf_kong_check_level(gate);
        xf_kong_check_pending(gate);
        if (gate->sharing == XF_KONG_CLONE) {
            xf_kong_check_old_unchanged(gate);
        }
        xf_kong_check_distinct(gate);
        if (gate->sharing == XF_KONG_CLONE) {
            xf_kong_check_clone_current(gate);
        }
        xf_kong_check_lock(gate);
    }
    if (!hybrid && !(finalizing && gate->sharing == XF_KONG_SHARED)) {
        xf_kong_check_version(gate, &gate->old_side);
    }
    xf_kong_check_version(gate, &gate->new_side);
    if (database) {
        xf_kong_check_database_reachable(gate);
    }
    xf_kong_check_not_empty(gate);
    xf_kong_check_plugins(gate);
    if (hybrid) {
        xf_kong_check_data_planes(gate);
    }
    xf_kong_check_fronting(gate);
    if (database) {
        xf_kong_check_counters(gate);
    }
    if (hybrid) {
        xf_kong_check_strategy(gate);
    }
    check_templates(gate);
    if (database) {
        xf_kong_check_clock(gate);
    }
}

/* `allow: [plugins]` turns a named error into a warning that still shows. */
static void apply_allow(const json_t *allow, struct xf_checks *checks, unsigned first)
{
    size_t i;
    json_t *name;
    json_array_foreach(allow, i, name)
    {
        for (unsigned row = first; row < checks->count; row++) {
            struct xf_check *check = &checks->items[row];
            const char *allowed = json_string_value(name);
            if (allowed != NULL && strcmp(check->check, allowed) == 0 && !check->passed &&
                check->severity == XF_SEVERITY_ERROR) {
                char message[XF_CHECK_MESSAGE_BYTES];
                snprintf(message, sizeof(message), "allowed by the plan: %.990s", check->message);
                memcpy(check->message, message, sizeof(message));
                check->severity = XF_SEVERITY_WARNING;
            }
        }
    }
}

static void release_side(struct xf_kong_side *side)
{
    xf_kong_database_close(&side->database);
    xf_kong_nodes_release(&side->nodes);
    json_decref(side->migrations);
}

void xf_gate_kong(const json_t *options, const struct xf_gate_context *context,
                  struct xf_checks *checks)
{
    char problem[256] = "";
    unsigned first = checks->count;
    struct xf_kong_gate *gate = calloc(1, sizeof(*gate));
    if (gate == NULL) {
        checks->failed = true;
        return;
    }
    gate->context = context;
    gate->checks = checks;
    if (!read_options(options, gate, problem, sizeof(problem))) {
        KONG_CHECK(gate, "options", false, "%s", problem);
    } else if (context->phase == XF_GATE_VERIFY) {
        run_verify(gate);
    } else {
        run_all(gate);
    }
    apply_allow(json_object_get(options, "allow"), checks, first);
    release_side(&gate->old_side);
    release_side(&gate->new_side);
    free(gate);
}
