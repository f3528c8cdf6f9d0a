/*
 * kong_version.h -- Kong's version numbers and the upgrade paths between them.
 *
 * Pure.  The paths are Kong's own: the table of "Upgrade Kong Gateway 3.1.x" and of its later
 * editions (KONG.md section 4 of the design pages has the sources).  Enterprise numbers have four
 * parts and a suffix (`3.8.0.0-enterprise-edition`); only the numbers count.
 */
#ifndef XF_SHIFTER_KONG_VERSION_H
#define XF_SHIFTER_KONG_VERSION_H

#include "config/base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct xf_kong_version {
    int part[4]; /* major, minor, patch, Enterprise's fourth; -1: not given (or `x`) */
};

/* `3`, `3.1`, `3.1.x`, `3.1.0`, `3.8.0.0-enterprise-edition`; false leaves *ret alone. */
bool xf_kong_version_parse(const char *text, struct xf_kong_version *ret);
/* Compares the parts that both have. */
int xf_kong_version_compare(const struct xf_kong_version *a, const struct xf_kong_version *b);
/* Same major and minor. */
bool xf_kong_version_same_minor(const struct xf_kong_version *a, const struct xf_kong_version *b);

enum xf_kong_topology { XF_KONG_TRADITIONAL, XF_KONG_HYBRID, XF_KONG_DBLESS };
bool xf_kong_topology_parse(const char *text, enum xf_kong_topology *ret);
const char *xf_kong_topology_name(enum xf_kong_topology topology);

#define XF_KONG_PATH_MAX   32u
#define XF_KONG_NOTES_MAX  8u
#define XF_KONG_NAME_BYTES 16u

struct xf_kong_path {
    bool possible; /* false: `notes` say why (a downgrade, an unknown major) */
    bool direct;   /* one hop */
    unsigned hops_count;
    char hops[XF_KONG_PATH_MAX][XF_KONG_NAME_BYTES]; /* `2.8.2.x`, `3.0.x`, `3.1.x`: the last is
                                                        where one wants to be */
    unsigned notes_count;
    const char *notes[XF_KONG_NOTES_MAX]; /* literals */
};

/* The way from `from` to `to`. */
void xf_kong_path_find(const struct xf_kong_version *from, const struct xf_kong_version *to,
                       enum xf_kong_topology topology, struct xf_kong_path *ret);

/* How many names of Kong's list of core migrations version (major, minor) has; 0: unknown. */
size_t xf_kong_core_count(const struct xf_kong_version *version);
/* That list, oldest first: each version's is the beginning of the next one's. */
extern const char *const xf_kong_core_migrations[];

/* A plugin that has migrations of its own. */
#define XF_KONG_SUBSYSTEM_MIGRATIONS_MAX 5u
struct xf_kong_subsystem {
    const char *name;
    const char *migrations[XF_KONG_SUBSYSTEM_MIGRATIONS_MAX]; /* ends with NULL where shorter */
    unsigned since_3_0; /* how many of them (the last) came with 3.0 */
};
extern const struct xf_kong_subsystem xf_kong_plugin_subsystems[];
extern const size_t xf_kong_plugin_subsystems_count;
/* How many of the subsystem's migrations version has at least; 0 where it has none yet. */
size_t xf_kong_subsystem_count(const struct xf_kong_subsystem *subsystem,
                               const struct xf_kong_version *version);

#endif
