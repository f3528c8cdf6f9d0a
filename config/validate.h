/*
 * validate.h -- the tree of a file against the table of keys.
 */
#ifndef XF_CONFIG_VALIDATE_H
#define XF_CONFIG_VALIDATE_H

#include "config/yaml.h"

/* Complains about each unknown or missing key, wrong type, value out of range, unreadable file and
 * key that is not yet supported.  What keys mean to each other is relations.c. */
void xf_validate_tree(const struct xf_yaml_node *root, struct xf_problems *problems);

#endif
