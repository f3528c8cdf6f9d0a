/*
 * kong_gate.h -- the `kong` gate's parts: what a plan says about Kong, and what was looked up.
 *
 * kong_gate.c reads the options and says which checks apply; kong_gate_database.c and
 * kong_gate_nodes.c make them.  Each check is `passed` only on evidence: what cannot be looked at
 * is a failure or `not checked`, never a pass.
 */
#ifndef XF_SHIFTER_KONG_GATE_H
#define XF_SHIFTER_KONG_GATE_H

#include "shifter/gates/gate.h"
#include "shifter/gates/kong_admin.h"
#include "shifter/gates/kong_database.h"

enum xf_kong_sharing { XF_KONG_CLONE, XF_KONG_SHARED };

struct xf_kong_side {
    const char *role;          /* "old" or "new" */
    const char *database_name; /* NULL: the plan names none */
    const char *schema;        /* NULL: the role's own */
    const json_t *admin;       /* array of URLs; NULL: none given */
    struct xf_kong_database database;
    bool booted;        /* the database is open, bootstrapped and a primary */
    json_t *migrations; /* of the database; NULL until read */
    struct xf_kong_nodes nodes;
};

struct xf_kong_gate {
    const struct xf_gate_context *context;
    struct xf_checks *checks;
    enum xf_kong_topology topology;
    enum xf_kong_sharing sharing;
    struct xf_kong_version from, to;
    const char *from_text, *to_text;
    struct xf_kong_side old_side, new_side;
    const json_t *routes, *templates;
};

/* One row of the result, gate `kong`. */
#define KONG_CHECK(gate, name, passed, ...)                                                        \
    xf_checks_add((gate)->checks, "kong", (name), (passed), XF_SEVERITY_ERROR, __VA_ARGS__)
#define KONG_WARN(gate, name, passed, ...)                                                         \
    xf_checks_add((gate)->checks, "kong", (name), (passed), XF_SEVERITY_WARNING, __VA_ARGS__)
#define KONG_SKIP(gate, name, ...) xf_checks_skip((gate)->checks, "kong", (name), __VA_ARGS__)

/* Opens a side's database, reads what it has executed; the check SIDE.bootstrapped. */
void xf_kong_check_bootstrapped(struct xf_kong_gate *gate, struct xf_kong_side *side);
void xf_kong_check_level(struct xf_kong_gate *gate);
void xf_kong_check_pending(struct xf_kong_gate *gate);
void xf_kong_check_old_unchanged(struct xf_kong_gate *gate);
void xf_kong_check_distinct(struct xf_kong_gate *gate);
void xf_kong_check_clone_current(struct xf_kong_gate *gate);
void xf_kong_check_lock(struct xf_kong_gate *gate);
void xf_kong_check_counters(struct xf_kong_gate *gate);
void xf_kong_check_strategy(struct xf_kong_gate *gate);
void xf_kong_check_clock(struct xf_kong_gate *gate);

void xf_kong_check_reachable(struct xf_kong_gate *gate, struct xf_kong_side *side);
/* The old nodes must be gone: `name` is old.control_plane_stopped or old.stopped. */
void xf_kong_check_stopped(struct xf_kong_gate *gate, const char *name);
void xf_kong_check_version(struct xf_kong_gate *gate, struct xf_kong_side *side);
void xf_kong_check_database_reachable(struct xf_kong_gate *gate);
void xf_kong_check_not_empty(struct xf_kong_gate *gate);
void xf_kong_check_plugins(struct xf_kong_gate *gate);
void xf_kong_check_data_planes(struct xf_kong_gate *gate);
void xf_kong_check_fronting(struct xf_kong_gate *gate); /* kong_gate_fronting.c */

/* The cluster that is this side of the cutover; NULL: the configuration has none. */
const struct xf_config_cluster *xf_kong_side_cluster(const struct xf_kong_gate *gate,
                                                     const struct xf_kong_side *side);

/* Appends `name` to a list in words, bounded: `a, b, c and more`. */
void xf_kong_list(char *list, size_t bytes, const char *name);
/* The same, unless it has that name already. */
void xf_kong_list_once(char *list, size_t bytes, const char *name);

#endif
