/*
 * preset_kong.c -- the plan of a Kong upgrade with its `kong` gate filled in, and the
 * configuration it needs.
 *
 * What differs between the deployments is where the databases are and when Kong's migrations
 * run; the steps and the guard are the same.
 */
#include "shifter/cli/preset.h"

#include <stdio.h>

struct names {
    char old_cluster[XF_PRESET_NAME_BYTES], new_cluster[XF_PRESET_NAME_BYTES];
    const char *old_database, *new_database; /* NULL without one */
    char old_version[XF_PRESET_NAME_BYTES], new_version[XF_PRESET_NAME_BYTES];
};

static void write_version(const struct xf_kong_version *version, char ret[XF_PRESET_NAME_BYTES])
{
    size_t used = 0;
    ret[0] = '\0';
    for (unsigned i = 0; i < 4 && version->part[i] >= 0; i++) {
        used += (size_t) snprintf(ret + used, XF_PRESET_NAME_BYTES - used, "%s%d", i > 0 ? "." : "",
                                  version->part[i]);
    }
}

static void find_names(const struct xf_preset_kong *kong, struct names *ret)
{
    bool differ = xf_preset_kong_names(kong, ret->old_cluster, ret->new_cluster);
    XF_ASSERT(differ);
    bool one = kong->topology == XF_KONG_HYBRID || kong->shared;
    bool none = kong->topology == XF_KONG_DBLESS;
    ret->old_database = none ? NULL : one ? "kong" : "kong-old";
    ret->new_database = none ? NULL : one ? "kong" : "kong-new";
    write_version(&kong->from, ret->old_version);
    write_version(&kong->to, ret->new_version);
}

/* What must have been done before `start`. */
static const char *order_of(const struct xf_preset_kong *kong)
{
    if (kong->topology == XF_KONG_DBLESS) {
        return "# Before `start`: the new cluster runs, with the declarative configuration checked "
               "by\n"
               "# the new version (`kong config parse`).  There are no migrations.\n";
    }
    if (kong->topology == XF_KONG_HYBRID) {
        return "# Before `start`, in this order: stop the old control plane; `kong migrations up` "
               "and\n"
               "# `kong migrations finish`; start the new control plane, then the new data "
               "planes.\n"
               "# Old data planes go on serving; do not restart them while no control plane "
               "runs.\n";
    }
    if (kong->shared) {
        return "# Before `start`: `kong migrations up`, never `finish`: that comes after the old "
               "cluster\n"
               "# is stopped, and from then on there is no way back but a backup.  Kong advises "
               "this\n"
               "# way between patch versions only; a clone is the safe one.\n";
    }
    return "# Before `start`, in this order: `crossfade fence up`; clone the database; `kong\n"
           "# migrations up` and `kong migrations finish` against the clone; start the new "
           "cluster.\n";
}

static void write_head(const struct xf_preset_kong *kong, const struct names *names,
                       struct xf_text *plan)
{
    const char *sharing = "";
    if (kong->topology == XF_KONG_TRADITIONAL) {
        sharing = kong->shared ? ", one shared database" : ", a cloned database";
    }
    xf_text_printf(plan,
                   "# Kong Gateway %s to %s (%s%s); KONG.md is the runbook.\n"
                   "#   crossfade plan kong.yaml         what it does, when, and what could fail\n"
                   "#   crossfade preflight kong.yaml    the gates, changing nothing\n"
                   "#   crossfade start kong.yaml\n"
                   "%s"
                   "\n"
                   "name: kong-%s\n"
                   "service: gateway\n"
                   "to: %s                        # from: the cluster that is live\n"
                   "\n",
                   names->old_version, names->new_version, xf_kong_topology_name(kong->topology),
                   sharing, order_of(kong), names->new_version, names->new_cluster);
}

static const char steps_and_guard[] =
    "steps:                               # holds longer than caches take to warm\n"
    "  - {weight: 1%, hold: 10m}\n"
    "  - {weight: 5%, hold: 10m, approve: true}     # then wait for `crossfade approve`\n"
    "  - {weight: 25%, hold: 30m}\n"
    "  - {ramp: 50%, over: 1h}\n"
    "  - {weight: 80%, hold: 30m}         # above 75 % the old cluster is a poor measure\n"
    "  - {weight: 100%, hold: 30m}        # the soak: the old cluster stays warm\n"
    "\n"
    "guard:\n"
    "  errors: {worse_than: 1.2x, ignore_below: 0.05%, limit: 5%, then: retreat}\n"
    "  latency: {worse_than: 1.5x, then: hold}\n"
    "\n"
    "# windows: [\"Mon-Thu 22:00-06:00 Europe/Paris\"]     # the weight rises only then\n"
    "# deadline: 12h                      # with on_deadline: hold | abort\n"
    "\n";

static void write_side(const char *side, const char *database, const char *admin,
                       struct xf_text *plan)
{
    xf_text_printf(plan, "        %s: {", side);
    if (database != NULL) {
        xf_text_printf(plan, "database: %s, schema: public, ", database);
    }
    xf_text_printf(plan, "admin: [\"http://%s\"]}\n", admin);
}

static void write_gate(const struct xf_preset_kong *kong, const struct names *names,
                       struct xf_text *plan)
{
    xf_text_printf(plan,
                   "    - kong:\n"
                   "        topology: %s\n",
                   xf_kong_topology_name(kong->topology));
    if (kong->topology == XF_KONG_TRADITIONAL) {
        xf_text_printf(plan, "        database: %s\n", kong->shared ? "shared" : "clone");
    }
    xf_text_printf(plan, "        from_version: \"%s\"\n        to_version: \"%s\"\n",
                   names->old_version, names->new_version);
    write_side("old", names->old_database, "10.0.0.11:8001", plan);
    write_side("new", names->new_database, "10.0.1.11:8001", plan);
    xf_text_puts(plan,
                 "        routes: [/orders]            # real paths that the new cluster must "
                 "answer\n"
                 "        # templates: [\"...\"]         # texts of custom Nginx templates\n"
                 "        # allow: [plugins]           # errors that you accept, by the check's "
                 "name\n");
}

/* With a shared database finalize has its own conditions: the old cluster is stopped, `finish` runs
 * once it is, and a query proves it. */
static void write_finalize(const struct xf_preset_kong *kong, const struct names *names,
                           struct xf_text *plan)
{
    bool shared = kong->topology == XF_KONG_TRADITIONAL && kong->shared;
    if (shared) {
        xf_text_puts(plan, "  before_finalize:                   # after safe: the old nodes are "
                           "stopped\n");
        write_gate(kong, names, plan);
    }
    xf_text_puts(plan, "\n"
                       "finalize:\n"
                       "  when: manual                       # `crossfade finalize`, once it is "
                       "safe\n");
    if (shared) {
        xf_text_printf(
            plan,
            "  actions:                           # past the point of no return\n"
            "    - hook: kong-finish              # its exit code proves nothing, `verify` does\n"
            "      verify: {kong: {topology: traditional, database: shared, from_version: \"%s\", "
            "to_version: \"%s\",\n"
            "                      new: {database: %s, schema: public}}}\n",
            names->old_version, names->new_version, names->new_database);
    }
}

void xf_preset_kong_plan(const struct xf_preset_kong *kong, struct xf_text *plan)
{
    struct names names;
    find_names(kong, &names);
    write_head(kong, &names, plan);
    xf_text_puts(plan, steps_and_guard);
    xf_text_puts(plan, "gates:\n  before_start:\n");
    write_gate(kong, &names, plan);
    write_finalize(kong, &names, plan);
    if (kong->topology != XF_KONG_DBLESS) {
        xf_text_puts(plan, "\n"
                           "fence:                               # no configuration writes in the "
                           "meantime\n"
                           "  services: [kong-admin]\n"
                           "  methods: [POST, PUT, PATCH, DELETE]\n"
                           "  allow_paths: [\"/schemas/*/validate\"]\n");
    }
    xf_text_puts(plan, "\n"
                       "# When the old cluster may go; both must stand in the configuration:\n"
                       "# signal: {webhook: ops, hook: decommission-blue}\n"
                       "# Long connections are waited for; to close them at a rate:\n"
                       "# drain: {policy: paced, rate: 20/s}\n");
}

/* ---- the configuration ---- */

static void write_admin_clusters(const struct xf_preset_kong *kong, const struct names *names,
                                 struct xf_text *config)
{
    if (kong->topology == XF_KONG_TRADITIONAL) {
        xf_text_printf(config, "  %s-admin: 10.0.0.11:8001\n  %s-admin: 10.0.1.11:8001\n",
                       names->old_cluster, names->new_cluster);
    } else if (kong->topology == XF_KONG_HYBRID) {
        xf_text_printf(config, "  %s-admin: 10.0.1.11:8001      # the new control plane\n",
                       names->new_cluster);
    }
}

static void write_services(const struct xf_preset_kong *kong, const struct names *names,
                           struct xf_text *config)
{
    xf_text_printf(config,
                   "services:\n"
                   "  gateway:\n"
                   "    live: %s\n"
                   "    clusters: [%s, %s]\n",
                   names->old_cluster, names->old_cluster, names->new_cluster);
    if (kong->topology == XF_KONG_TRADITIONAL) {
        xf_text_printf(config,
                       "  kong-admin:                        # never split: it moves as a whole\n"
                       "    follows: gateway\n"
                       "    clusters: [%s-admin, %s-admin]\n",
                       names->old_cluster, names->new_cluster);
    } else if (kong->topology == XF_KONG_HYBRID) {
        xf_text_printf(config, "  kong-admin:\n    clusters: [%s-admin]\n", names->new_cluster);
    }
}

static void write_databases(const struct names *names, const struct xf_preset_kong *kong,
                            struct xf_text *config)
{
    if (names->old_database == NULL) {
        return;
    }
    xf_text_puts(config,
                 "databases:                           # a role with SELECT and nothing else\n");
    bool one = kong->shared || kong->topology == XF_KONG_HYBRID;
    xf_text_printf(config,
                   "  %s:\n"
                   "    url: postgresql://crossfade@10.0.0.21/kong\n"
                   "    # password_file: /etc/crossfade/%s.password\n",
                   names->old_database, names->old_database);
    if (!one) {
        xf_text_printf(config,
                       "  %s:                           # the clone\n"
                       "    url: postgresql://crossfade@10.0.1.21/kong\n"
                       "    # password_file: /etc/crossfade/%s.password\n",
                       names->new_database, names->new_database);
    }
}

void xf_preset_kong_config(const struct xf_preset_kong *kong, struct xf_text *config)
{
    struct names names;
    find_names(kong, &names);
    xf_text_puts(config,
                 "# What this plan needs in the configuration; addresses are examples.\n"
                 "# Kong itself needs crossfade's addresses in trusted_ips, and real_ip_header: "
                 "X-Real-IP or X-Forwarded-For.\n"
                 "listeners:\n"
                 "  - {bind: \"0.0.0.0:8000\", service: gateway}\n");
    if (kong->topology != XF_KONG_DBLESS) {
        xf_text_puts(config, "  - {bind: \"127.0.0.1:8001\", service: kong-admin}\n");
    }
    write_services(kong, &names, config);
    xf_text_printf(config,
                   "clusters:\n"
                   "  %s: [\"10.0.0.11:8000\", \"10.0.0.12:8000\"]\n"
                   "  %s: [\"10.0.1.11:8000\", \"10.0.1.12:8000\"]\n",
                   names.old_cluster, names.new_cluster);
    write_admin_clusters(kong, &names, config);
    write_databases(&names, kong, config);
    xf_text_puts(config,
                 "# webhooks: {ops: \"https://hooks.example/crossfade\"}\n"
                 "# hooks: {decommission-blue: {command: [/usr/local/bin/decommission-blue]}}\n");
    if (kong->topology == XF_KONG_TRADITIONAL && kong->shared) {
        xf_text_puts(config, "hooks:\n"
                             "  kong-finish: {command: [kong, migrations, finish], timeout: 5m}\n");
    }
}
