/*
 * yaml.h -- a YAML (or JSON) file as a tree that remembers where everything stood.
 *
 * libyaml does the reading; here its events become nodes with line and column.  Duplicate keys,
 * anchors, aliases and tags are errors; so is anything past the bounds of limits.h.
 */
#ifndef XF_CONFIG_YAML_H
#define XF_CONFIG_YAML_H

#include "config/base/check.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

enum xf_yaml_kind { XF_YAML_SCALAR, XF_YAML_SEQUENCE, XF_YAML_MAPPING };

struct xf_yaml_node {
    enum xf_yaml_kind kind;
    unsigned line, column; /* from 1 */
    const char *scalar;    /* SCALAR: its text; NUL bytes are refused */
    bool quoted;           /* SCALAR: written in quotes, so never null or a number */
    const char *key;       /* inside a MAPPING: this entry's key */
    unsigned key_line, key_column;
    struct xf_yaml_node *children; /* first entry of a SEQUENCE or MAPPING */
    struct xf_yaml_node *next;     /* next entry of the same parent */
};

struct xf_yaml;

/* Parses one document.  -1: *ret_problems holds what is wrong. */
XF_NODISCARD int xf_yaml_parse(const char *name, const char *text, size_t length,
                               struct xf_yaml **ret, struct xf_problems *ret_problems);
/* The same for a reader that goes on to find more: the tree also comes when there are complaints,
 * as long as the file could be read to its end (of duplicate keys, xf_yaml_get finds the first).
 * NULL: it could not. */
XF_NODISCARD struct xf_yaml *xf_yaml_parse_all(const char *name, const char *text, size_t length,
                                               struct xf_problems *ret_problems);
void xf_yaml_destroy(struct xf_yaml *yaml); /* accepts NULL */
const struct xf_yaml_node *xf_yaml_root(const struct xf_yaml *yaml);
/* The entry of that key, or NULL. */
const struct xf_yaml_node *xf_yaml_get(const struct xf_yaml_node *mapping, const char *key);

/* Adds a complaint, in the order of the file; control characters of the message become `?`.  Keeps
 * at most 100, errors before warnings; `errors` counts them all. */
void xf_problems_add(struct xf_problems *problems, unsigned line, unsigned column, bool warning,
                     const char *format, ...) XF_PRINTF(5, 6);

#endif
