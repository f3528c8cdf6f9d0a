/*
 * reader.h -- taking a configuration out of a tree that validate.c has seen.
 *
 * What was wrong is already in the problems, so taking is lenient: an unfit value counts as its
 * default.  Problems that only show while taking (an unknown cluster, one address twice) are added.
 */
#ifndef XF_CONFIG_READER_H
#define XF_CONFIG_READER_H

#include "config/arena.h"
#include "config/config.h"
#include "config/yaml.h"

struct xf_reader {
    struct xf_problems *problems;
    struct xf_arena *arena;
    struct xf_config *config;
    bool no_memory;
    /* Where things stand in the file, by their index in the configuration. */
    const struct xf_yaml_node *listeners[XF_LISTENERS_MAX];
    const struct xf_yaml_node *services[XF_SERVICES_MAX];
    const struct xf_yaml_node *clusters[XF_CLUSTERS_MAX];
};

/* The scalar at the last word of `pattern` inside `section`, else that key's default, else NULL.
 * `section` may be NULL or a scalar (the short form, where the key is the one it means). */
const char *xf_reader_text(const struct xf_yaml_node *section, const char *pattern);
/* The same as a copy that the configuration owns. */
char *xf_reader_string(struct xf_reader *reader, const struct xf_yaml_node *section,
                       const char *pattern);
/* Each leaves *ret alone where there is neither a fit value nor a default. */
void xf_reader_duration(const struct xf_yaml_node *section, const char *pattern, int64_t *ret);
void xf_reader_size(const struct xf_yaml_node *section, const char *pattern, uint64_t *ret);
void xf_reader_number(const struct xf_yaml_node *section, const char *pattern, unsigned *ret);
void xf_reader_percent(const struct xf_yaml_node *section, const char *pattern, unsigned *ret);
void xf_reader_bool(const struct xf_yaml_node *section, const char *pattern, bool *ret);
/* Position of the value among the words of the key's range. */
unsigned xf_reader_choice(const struct xf_yaml_node *section, const char *pattern);

/* Zeroed memory of the configuration; NULL sets no_memory. */
void *xf_reader_take(struct xf_reader *reader, size_t count, size_t bytes);
unsigned xf_reader_count(const struct xf_yaml_node *list); /* entries; 0 for NULL and scalars */
void xf_reader_complain(struct xf_reader *reader, const struct xf_yaml_node *node,
                        const char *format, ...) XF_PRINTF(3, 4);
void xf_reader_warn(struct xf_reader *reader, const struct xf_yaml_node *node, const char *format,
                    ...) XF_PRINTF(3, 4);

/* The networks of a list; unfit ones are left out. */
struct xf_config_network *xf_read_networks(struct xf_reader *reader,
                                           const struct xf_yaml_node *list, unsigned *ret_count);

/* The parts, in the order in which they must be taken. */
void xf_read_host(struct xf_reader *reader, const struct xf_yaml_node *root);
void xf_read_store(struct xf_reader *reader, const struct xf_yaml_node *root);
void xf_read_clusters(struct xf_reader *reader, const struct xf_yaml_node *root);
void xf_read_services(struct xf_reader *reader, const struct xf_yaml_node *root);
void xf_read_listeners(struct xf_reader *reader, const struct xf_yaml_node *root);
void xf_read_named(struct xf_reader *reader, const struct xf_yaml_node *root);

/* What keys mean to each other, once everything is taken. */
void xf_check_relations(struct xf_reader *reader, const struct xf_yaml_node *root);

#endif
