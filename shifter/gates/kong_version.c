/*
 * kong_version.c -- Kong's version numbers and the upgrade paths between them, as data.
 */
#include "shifter/gates/kong_version.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool xf_kong_version_parse(const char *text, struct xf_kong_version *ret)
{
    struct xf_kong_version version = {{-1, -1, -1, -1}};
    const char *p = text;
    for (size_t i = 0; i < XF_COUNT(version.part); i++) {
        if (i > 0 && *p == 'x') {
            p++;
            break;
        }
        if (!isdigit((unsigned char) *p)) {
            return false;
        }
        int value = 0;
        while (isdigit((unsigned char) *p)) {
            value = value * 10 + (*p++ - '0');
            if (value > 9999) {
                return false;
            }
        }
        version.part[i] = value;
        if (*p != '.') {
            break;
        }
        p++;
    }
    if (*p != '\0' && *p != '-' && *p != '+') { /* `-enterprise-edition`, `-rc.1` */
        return false;
    }
    *ret = version;
    return true;
}

int xf_kong_version_compare(const struct xf_kong_version *a, const struct xf_kong_version *b)
{
    for (size_t i = 0; i < XF_COUNT(a->part); i++) {
        if (a->part[i] < 0 || b->part[i] < 0) {
            return 0;
        }
        if (a->part[i] != b->part[i]) {
            return a->part[i] < b->part[i] ? -1 : 1;
        }
    }
    return 0;
}

bool xf_kong_version_same_minor(const struct xf_kong_version *a, const struct xf_kong_version *b)
{
    return a->part[0] == b->part[0] && a->part[1] == b->part[1];
}

static const char *const topologies[] = {[XF_KONG_TRADITIONAL] = "traditional",
                                         [XF_KONG_HYBRID] = "hybrid",
                                         [XF_KONG_DBLESS] = "dbless"};

bool xf_kong_topology_parse(const char *text, enum xf_kong_topology *ret)
{
    for (size_t i = 0; i < XF_COUNT(topologies); i++) {
        if (strcmp(text, topologies[i]) == 0) {
            *ret = (enum xf_kong_topology) i;
            return true;
        }
    }
    return false;
}

const char *xf_kong_topology_name(enum xf_kong_topology topology)
{
    return topologies[topology];
}

/* The minors of each major, in order; a hop leads from one to the next. */
static const int last_minor_of_major[] = {[0] = 15, [1] = 5, [2] = 8, [3] = 9};

/* `rest` follows major and minor: `.x`, or a patch that matters. */
static void add_hop(struct xf_kong_path *path, int major, int minor, const char *rest)
{
    if (path->hops_count < XF_KONG_PATH_MAX) {
        snprintf(path->hops[path->hops_count++], XF_KONG_NAME_BYTES, "%u.%u%s",
                 (unsigned) major % 1000, (unsigned) minor % 1000, rest);
    }
}

static void add_note(struct xf_kong_path *path, const char *note)
{
    if (path->notes_count < XF_KONG_NOTES_MAX) {
        path->notes[path->notes_count++] = note;
    }
}

/* From 1.x and 2.x into 3.x: 2.8.2 first where a database is shared between versions, then 3.0. */
static void enter_major_3(const struct xf_kong_version *from, enum xf_kong_topology topology,
                          struct xf_kong_path *path)
{
    bool at_2_8_2 = from->part[0] == 2 && from->part[1] == 8 && from->part[2] >= 2;
    if (from->part[0] < 2 || (!at_2_8_2 && topology != XF_KONG_DBLESS)) {
        add_hop(path, 2, 8, ".2.x");
        add_note(path, topology == XF_KONG_TRADITIONAL
                           ? "2.8.2 is needed for blue-green only: it is the first 2.x that reads "
                             "the route paths that `migrations up` of 3.0 rewrites"
                           : "2.8.2 first, by Kong's own table of upgrade paths");
    }
    add_hop(path, 3, 0, ".x");
    if (topology == XF_KONG_HYBRID) {
        add_note(path,
                 "2.8 data planes cannot follow a control plane of 3.x: no 2.8 and 3.x in one "
                 "hybrid cluster");
    }
    add_note(path, "2.8 to 3.0: `migrations up` rewrites routes.paths and is not harmless; read "
                   "the breaking changes of 3.0 (plugin priorities, Kong.serve_admin_api)");
}

static bool hybrid_trap(const struct xf_kong_version *version)
{
    struct xf_kong_version fixed = {{3, 1, 1, 3}};
    return version->part[0] == 3 && version->part[1] == 1 &&
           (version->part[2] < 1 || (version->part[2] == 1 && version->part[3] < 3)) &&
           xf_kong_version_compare(version, &fixed) <= 0;
}

void xf_kong_path_find(const struct xf_kong_version *from, const struct xf_kong_version *to,
                       enum xf_kong_topology topology, struct xf_kong_path *ret)
{
    struct xf_kong_path path = {.possible = true};
    int major = from->part[0];
    int minor = from->part[1] < 0 ? 0 : from->part[1];
    int to_minor = to->part[1] < 0 ? 0 : to->part[1];
    if (to->part[0] > 3 || major > 3) {
        path.possible = false;
        add_note(&path, "only versions up to 3.x are known here; see Kong's own page");
        *ret = path;
        return;
    }
    if (xf_kong_version_compare(to, from) < 0) {
        path.possible = false;
        add_note(&path, "Kong cannot be downgraded: migrations are irreversible; go back by "
                        "restoring the backup, or by weight while the old cluster lives");
        *ret = path;
        return;
    }
    if (major < 3 && to->part[0] == 3) {
        enter_major_3(from, topology, &path);
        major = 3;
        minor = 0;
    } else if (major < 2 && to->part[0] == 2) {
        add_note(&path, "1.x to 2.x: read the changelog of 2.0; the last 1.x first");
        add_hop(&path, 2, 0, ".x");
        major = 2;
        minor = 0;
    }
    bool from_trap = topology == XF_KONG_HYBRID && hybrid_trap(from) && to_minor > 1;
    if (from_trap && to->part[0] == 3) {
        add_hop(&path, 3, 1, ".1.3");
        add_note(&path, "hybrid 3.1.0 to 3.1.1.2 speak another protocol than 3.2: pass through "
                        "3.1.1.3, which speaks both");
    }
    while (minor < to_minor && minor < last_minor_of_major[to->part[0]]) {
        minor++;
        bool over_trap = topology == XF_KONG_HYBRID && major == 3 && minor == 1 && to_minor > 1;
        add_hop(&path, major, minor, over_trap ? ".1.3" : ".x");
    }
    if (path.hops_count == 0) {
        add_hop(&path, major, to_minor, ".x");
    }
    if (topology == XF_KONG_HYBRID && to->part[0] == 3 && to_minor == 1) {
        add_note(&path, "open-source control planes 3.1.0 and 3.1.1 serve only the new protocol: "
                        "2.8 data planes cannot connect, and a 3.0 data plane that restarts while "
                        "no control plane is up never syncs again; Enterprise speaks both from "
                        "3.1.1.2 on: take 3.1.1.3");
    }
    if (topology == XF_KONG_HYBRID) {
        add_note(&path, "control plane first, then the data planes; plugins on both");
    }
    path.direct = path.hops_count == 1;
    *ret = path;
}

const char *const xf_kong_core_migrations[] = {
    "000_base",       "003_100_to_110", "004_110_to_120", "005_120_to_130", "006_130_to_140",
    "007_140_to_150", "008_150_to_200", "009_200_to_210", "010_210_to_211", "011_212_to_213",
    "012_213_to_220", "013_220_to_230", "014_230_to_270", "015_270_to_280", "016_280_to_300",
    "017_300_to_310", "018_310_to_320", "019_320_to_330", "020_330_to_340", "021_340_to_350",
    "022_350_to_360", "023_360_to_370", "024_380_to_390",
};

size_t xf_kong_core_count(const struct xf_kong_version *version)
{
    static const struct {
        int major, minor;
        size_t count;
    } levels[] = {{2, 7, 13}, {2, 8, 14}, {3, 0, 15}, {3, 1, 16}, {3, 2, 17}, {3, 3, 18},
                  {3, 4, 19}, {3, 5, 20}, {3, 6, 21}, {3, 7, 22}, {3, 8, 22}, {3, 9, 23}};
    for (size_t i = 0; i < XF_COUNT(levels); i++) {
        if (version->part[0] == levels[i].major && version->part[1] == levels[i].minor) {
            return levels[i].count;
        }
    }
    return 0;
}

const struct xf_kong_subsystem xf_kong_plugin_subsystems[] = {
    {"acl", {"000_base_acl", "002_130_to_140", "003_200_to_210", "004_212_to_213"}, 0},
    {"acme", {"000_base_acme", "001_280_to_300"}, 1},
    {"basic-auth", {"000_base_basic_auth", "002_130_to_140", "003_200_to_210"}, 0},
    {"bot-detection", {"001_200_to_210"}, 0},
    {"hmac-auth", {"000_base_hmac_auth", "002_130_to_140", "003_200_to_210"}, 0},
    {"http-log", {"001_280_to_300"}, 1},
    {"ip-restriction", {"001_200_to_210"}, 0},
    {"jwt", {"000_base_jwt", "002_130_to_140", "003_200_to_210"}, 0},
    {"key-auth", {"000_base_key_auth", "002_130_to_140", "003_200_to_210"}, 0},
    {"oauth2", {"000_base_oauth2", "003_130_to_140", "004_200_to_210", "005_210_to_211"}, 0},
    {"post-function", {"001_280_to_300"}, 1},
    {"pre-function", {"001_280_to_300"}, 1},
    {"rate-limiting", {"000_base_rate_limiting", "003_10_to_112", "004_200_to_210"}, 0},
    {"response-ratelimiting", {"000_base_response_rate_limiting"}, 0},
    {"session", {"000_base_session", "001_add_ttl_index"}, 0},
};
const size_t xf_kong_plugin_subsystems_count = XF_COUNT(xf_kong_plugin_subsystems);

size_t xf_kong_subsystem_count(const struct xf_kong_subsystem *subsystem,
                               const struct xf_kong_version *version)
{
    size_t count = 0;
    while (count < XF_KONG_SUBSYSTEM_MIGRATIONS_MAX && subsystem->migrations[count] != NULL) {
        count++;
    }
    return version->part[0] < 3 ? count - subsystem->since_3_0 : count;
}
