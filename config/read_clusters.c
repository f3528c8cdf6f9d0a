/*
 * read_clusters.c -- clusters and their servers.
 */
#include "config/base/text.h"
#include "config/endpoint.h"
#include "config/reader.h"
#include "config/values.h"

#include <string.h>

/* Takes one server, given as an address or as a section, unless its address is bad (which has
 * been said already) or stands in the cluster before. */
static void read_server(struct xf_reader *reader, struct xf_config_cluster *cluster,
                        const struct xf_yaml_node *node)
{
    struct xf_config_server server = {.weight = 0};
    const char *address = xf_reader_text(node, "clusters.*.servers[].address");
    if (address == NULL) {
        return;
    }
    if (!xf_endpoint_parse(address, reader->arena, &server.endpoint)) {
        reader->no_memory = true; /* it fitted its key */
        return;
    }
    xf_reader_number(node, "clusters.*.servers[].weight", &server.weight);
    xf_reader_bool(node, "clusters.*.servers[].backup", &server.backup);
    xf_reader_number(node, "clusters.*.servers[].max_in_flight", &server.in_flight_max);
    for (unsigned i = 0; i < cluster->servers_count; i++) {
        if (xf_endpoint_equal(&cluster->servers[i].endpoint, &server.endpoint)) {
            xf_reader_complain(reader, node, "%s stands in cluster \"%s\" twice", address,
                               cluster->name);
            return;
        }
    }
    cluster->servers[cluster->servers_count++] = server;
}

static void read_servers(struct xf_reader *reader, struct xf_config_cluster *cluster,
                         const struct xf_yaml_node *node)
{
    const struct xf_yaml_node *list = node;
    if (node->kind == XF_YAML_MAPPING) {
        list = xf_yaml_get(node, "servers");
    }
    bool alone = list != NULL && list->kind == XF_YAML_SCALAR && list == node;
    unsigned entries = alone ? 1 : xf_reader_count(list);
    cluster->first_server = reader->config->servers_count;
    if (entries > XF_SERVERS_MAX - reader->config->servers_count) {
        xf_reader_complain(reader, node, "more than %u servers over all clusters", XF_SERVERS_MAX);
        return;
    }
    cluster->servers = xf_reader_take(reader, entries, sizeof(*cluster->servers));
    if (cluster->servers == NULL) {
        return;
    }
    if (alone) {
        read_server(reader, cluster, list);
    } else if (list != NULL && list->kind == XF_YAML_SEQUENCE) {
        for (const struct xf_yaml_node *n = list->children; n != NULL; n = n->next) {
            read_server(reader, cluster, n);
        }
        if (entries == 0) {
            xf_reader_complain(reader, list, "cluster \"%s\" has no server", cluster->name);
        }
    }
    reader->config->servers_count += cluster->servers_count;
}

static void read_check(struct xf_reader *reader, struct xf_config_check *check,
                       const struct xf_yaml_node *node)
{
    check->path = xf_reader_string(reader, node, "clusters.*.check.path");
    check->body = xf_reader_string(reader, node, "clusters.*.check.body");
    xf_reader_duration(node, "clusters.*.check.every", &check->every_ms);
    xf_reader_duration(node, "clusters.*.check.timeout", &check->timeout_ms);
    xf_reader_number(node, "clusters.*.check.rise", &check->rise);
    xf_reader_number(node, "clusters.*.check.fall", &check->fall);
    bool read = xf_value_statuses(xf_reader_text(node, "clusters.*.check.expect"),
                                  &check->expect_low, &check->expect_high);
    XF_ASSERT(read); /* it fitted its key */
}

static void read_tls(struct xf_reader *reader, struct xf_config_upstream_tls *tls,
                     const struct xf_yaml_node *node)
{
    tls->enabled = node != NULL;
    xf_reader_bool(node, "clusters.*.tls.verify", &tls->verify);
    tls->ca = xf_reader_string(reader, node, "clusters.*.tls.ca");
    tls->server_name = xf_reader_string(reader, node, "clusters.*.tls.server_name");
    tls->certificate = xf_reader_string(reader, node, "clusters.*.tls.certificate");
    tls->key = xf_reader_string(reader, node, "clusters.*.tls.key");
    tls->groups = xf_reader_string(reader, node, "clusters.*.tls.groups");
}

static void read_cluster(struct xf_reader *reader, const struct xf_yaml_node *node)
{
    struct xf_config *config = reader->config;
    unsigned index = config->clusters_count++;
    struct xf_config_cluster *cluster = &config->clusters[index];
    reader->clusters[index] = node;
    cluster->index = index;
    cluster->name = xf_arena_copy(reader->arena, node->key, strlen(node->key));
    if (cluster->name == NULL) {
        reader->no_memory = true;
        return;
    }
    read_servers(reader, cluster, node);
    const struct xf_yaml_node *section = node->kind == XF_YAML_MAPPING ? node : NULL;
    read_check(reader, &cluster->check, xf_yaml_get(section, "check"));
    read_tls(reader, &cluster->tls, xf_yaml_get(section, "tls"));
    xf_reader_number(section, "clusters.*.max_in_flight", &cluster->in_flight_max);
    xf_reader_bool(section, "clusters.*.send_proxy", &cluster->send_proxy);
    const struct xf_yaml_node *eject = xf_yaml_get(section, "eject");
    xf_reader_number(eject, "clusters.*.eject.after", &cluster->eject_after);
    xf_reader_percent(eject, "clusters.*.eject.at_most", &cluster->eject_percent);
    xf_reader_duration(section, "clusters.*.slow_start", &cluster->slow_start_ms);
}

void xf_read_clusters(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    const struct xf_yaml_node *section = xf_yaml_get(root, "clusters");
    unsigned entries = xf_reader_count(section);
    struct xf_config *config = reader->config;
    if (section == NULL || section->kind != XF_YAML_MAPPING) {
        return;
    }
    if (entries > XF_CLUSTERS_MAX) {
        xf_reader_complain(reader, section, "more than %u clusters", XF_CLUSTERS_MAX);
        entries = XF_CLUSTERS_MAX;
    } else if (entries == 0) {
        xf_reader_complain(reader, section, "there is no cluster");
    }
    config->clusters = xf_reader_take(reader, entries, sizeof(*config->clusters));
    if (config->clusters == NULL) {
        return;
    }
    for (const struct xf_yaml_node *n = section->children;
         n != NULL && config->clusters_count < entries; n = n->next) {
        read_cluster(reader, n);
    }
}
