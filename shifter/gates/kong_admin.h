/*
 * kong_admin.h -- what Kong's Admin and Status API say about the nodes (KONG.md section 3).
 */
#ifndef XF_SHIFTER_KONG_ADMIN_H
#define XF_SHIFTER_KONG_ADMIN_H

#include "config/base/error.h"
#include "shifter/gates/kong_version.h"

#include <jansson.h>
#include <stdbool.h>

#define XF_KONG_NODES_MAX 64u

struct xf_kong_node {
    const char *url; /* borrowed from the plan */
    bool reachable;
    char problem[256]; /* why not */
    json_t *root;      /* GET /; NULL: none */
    json_t *status;    /* GET /status; NULL: none */
    bool version_known;
    struct xf_kong_version version;
    char version_text[64];
};

/* The nodes of one side, as the plan's `admin: […]` lists them. */
struct xf_kong_nodes {
    struct xf_kong_node items[XF_KONG_NODES_MAX];
    unsigned count;
};
/* Asks every node; a node that does not answer as Kong does is not reachable and says why. */
void xf_kong_nodes_ask(const json_t *urls, struct xf_kong_nodes *ret);
void xf_kong_nodes_release(struct xf_kong_nodes *nodes);
/* The first node that answered, or NULL. */
const struct xf_kong_node *xf_kong_nodes_first(const struct xf_kong_nodes *nodes);

/* Plugins that the node can run: keys of plugins.available_on_server (2.8: booleans, 3.x: tables).
 * A new array of names, or NULL where the node does not say. */
json_t *xf_kong_plugins_available(const struct xf_kong_node *node);
/* Plugins in use: plugins.enabled_in_cluster; borrowed, NULL where the node does not say. */
const json_t *xf_kong_plugins_enabled(const struct xf_kong_node *node);

/* All rows of a list such as GET /clustering/data-planes or /routes, page by page; a new array. */
XF_NODISCARD int xf_kong_list_all(const struct xf_kong_node *node, const char *first, json_t **ret,
                                  struct xf_error *err);

/* GET `url` as JSON object; fails for anything else. */
XF_NODISCARD int xf_kong_get(const char *url, int *ret_status, json_t **ret, struct xf_error *err);

#endif
