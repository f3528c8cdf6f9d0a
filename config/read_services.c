/*
 * read_services.c -- services, and the listeners before them.
 */
#include "config/base/text.h"
#include "config/endpoint.h"
#include "config/reader.h"
#include "config/time_limits.h"

#include <ctype.h>
#include <string.h>

#define COOKIE_NAME "crossfade" /* where the file gives none */

static void unknown_name(struct xf_reader *reader, const struct xf_yaml_node *node,
                         const char *what, const char *const *names, unsigned count)
{
    const char *near = xf_text_nearest(node->scalar, names, count);
    xf_reader_complain(reader, node, "there is no %s \"%.64s\"%s%s%s", what, node->scalar,
                       near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                       near == NULL ? "" : "\"?)");
}

/* The cluster that a scalar names, or -1 with a complaint. */
static int find_cluster(struct xf_reader *reader, const struct xf_yaml_node *node)
{
    const struct xf_config *config = reader->config;
    const char *names[XF_CLUSTERS_MAX];
    if (node->kind != XF_YAML_SCALAR || !xf_name_valid(node->scalar)) {
        return -1; /* said already */
    }
    int index = xf_config_find_cluster(config, node->scalar);
    for (unsigned i = 0; index < 0 && i < config->clusters_count; i++) {
        names[i] = config->clusters[i].name;
    }
    if (index < 0) {
        unknown_name(reader, node, "cluster", names, config->clusters_count);
    }
    return index;
}

static int find_service(struct xf_reader *reader, const struct xf_yaml_node *node)
{
    const struct xf_config *config = reader->config;
    const char *names[XF_SERVICES_MAX];
    if (node->kind != XF_YAML_SCALAR || !xf_name_valid(node->scalar)) {
        return -1;
    }
    int index = xf_config_find_service(config, node->scalar);
    for (unsigned i = 0; index < 0 && i < config->services_count; i++) {
        names[i] = config->services[i].name;
    }
    if (index < 0) {
        unknown_name(reader, node, "service", names, config->services_count);
    }
    return index;
}

static bool has_cluster(const struct xf_config_service *service, unsigned cluster)
{
    for (unsigned i = 0; i < service->clusters_count; i++) {
        if (service->clusters[i] == cluster) {
            return true;
        }
    }
    return false;
}

static void read_listed(struct xf_reader *reader, struct xf_config_service *service,
                        const struct xf_yaml_node *list)
{
    for (const struct xf_yaml_node *n = list->children; n != NULL; n = n->next) {
        int cluster = find_cluster(reader, n);
        if (cluster < 0) {
            continue;
        }
        if (has_cluster(service, (unsigned) cluster)) {
            xf_reader_complain(reader, n, "service \"%s\" has cluster \"%s\" twice", service->name,
                               n->scalar);
        } else if (service->clusters_count == XF_SERVICE_CLUSTERS_MAX) {
            xf_reader_complain(reader, n, "service \"%s\" has more than %u clusters", service->name,
                               XF_SERVICE_CLUSTERS_MAX);
            return;
        } else {
            service->clusters[service->clusters_count++] = (unsigned) cluster;
        }
    }
    if (list->kind == XF_YAML_SEQUENCE && list->children == NULL) {
        xf_reader_complain(reader, list, "service \"%s\" has no cluster", service->name);
    }
}

/* The clusters that may serve it: those listed, else all where it is the only service. */
static void read_clusters_of(struct xf_reader *reader, struct xf_config_service *service,
                             const struct xf_yaml_node *node, unsigned services)
{
    const struct xf_config *config = reader->config;
    const struct xf_yaml_node *list = xf_yaml_get(node, "clusters");
    if (list != NULL) {
        read_listed(reader, service, list);
        return;
    }
    if (services > 1) {
        xf_reader_complain(reader, node,
                           "service \"%s\" needs \"clusters\": there is more than one service",
                           service->name);
        return;
    }
    if (config->clusters_count > XF_SERVICE_CLUSTERS_MAX) {
        xf_reader_complain(reader, node, "service \"%s\" has more than %u clusters: list its own",
                           service->name, XF_SERVICE_CLUSTERS_MAX);
        return;
    }
    for (unsigned i = 0; i < config->clusters_count; i++) {
        service->clusters[service->clusters_count++] = i;
    }
}

static void read_sticky(struct xf_reader *reader, struct xf_config_sticky *sticky,
                        const struct xf_yaml_node *node)
{
    static const enum xf_sticky_by otherwise[] = {XF_STICKY_NONE, XF_STICKY_CLIENT_IP};
    sticky->by = (enum xf_sticky_by) xf_reader_choice(node, "services.*.sticky.by");
    sticky->name = xf_reader_string(reader, node, "services.*.sticky.name");
    sticky->otherwise = otherwise[xf_reader_choice(node, "services.*.sticky.else")];
    if (sticky->by == XF_STICKY_COOKIE && sticky->name == NULL) {
        sticky->name = xf_arena_copy(reader->arena, COOKIE_NAME, strlen(COOKIE_NAME));
        reader->no_memory = reader->no_memory || sticky->name == NULL;
    }
    if (sticky->by == XF_STICKY_HEADER) {
        for (char *p = sticky->name; p != NULL && *p != '\0'; p++) {
            *p = (char) tolower((unsigned char) *p);
        }
    }
}

static void read_override(struct xf_reader *reader, struct xf_config_override *override,
                          const struct xf_yaml_node *node)
{
    if (node == NULL) {
        return;
    }
    override->header = xf_reader_string(reader, node, "services.*.override.header");
    for (char *p = override->header; p != NULL && *p != '\0'; p++) {
        *p = (char) tolower((unsigned char) *p);
    }
    override->secret_file = xf_reader_string(reader, node, "services.*.override.secret_file");
    override->networks =
        xf_read_networks(reader, xf_yaml_get(node, "networks"), &override->networks_count);
}

static void read_service(struct xf_reader *reader, const struct xf_yaml_node *node,
                         unsigned services)
{
    struct xf_config *config = reader->config;
    unsigned index = config->services_count++;
    struct xf_config_service *service = &config->services[index];
    reader->services[index] = node;
    service->index = index;
    service->follows = -1;
    service->name = xf_arena_copy(reader->arena, node->key, strlen(node->key));
    if (service->name == NULL) {
        reader->no_memory = true;
        return;
    }
    read_clusters_of(reader, service, node, services);
    read_sticky(reader, &service->sticky, xf_yaml_get(node, "sticky"));
    service->fallback = (enum xf_fallback) xf_reader_choice(node, "services.*.fallback");
    service->timeouts = config->timeouts;
    service->limits = config->limits;
    xf_read_timeouts(xf_yaml_get(node, "timeouts"), "services.*.timeouts", &service->timeouts);
    xf_read_limits(xf_yaml_get(node, "limits"), "services.*.limits", &service->limits);
    read_override(reader, &service->override, xf_yaml_get(node, "override"));
    service->first_pair = config->pairs_count;
    config->pairs_count += service->clusters_count;
}

/* What names other things of the file can be taken only once all services are there. */
static void read_references(struct xf_reader *reader, struct xf_config_service *service)
{
    const struct xf_yaml_node *node = reader->services[service->index];
    const struct xf_yaml_node *live = xf_yaml_get(node, "live");
    const struct xf_yaml_node *follows = xf_yaml_get(node, "follows");
    if (follows != NULL) {
        service->follows = find_service(reader, follows);
        return;
    }
    service->live = service->clusters_count > 0 ? service->clusters[0] : 0;
    int cluster = live == NULL ? -1 : find_cluster(reader, live);
    if (cluster >= 0 && !has_cluster(service, (unsigned) cluster)) {
        xf_reader_complain(reader, live, "live: cluster \"%s\" is none of the clusters of \"%s\"",
                           live->scalar, service->name);
    } else if (cluster >= 0) {
        service->live = (unsigned) cluster;
    } else if (live == NULL && service->clusters_count > 1) {
        xf_reader_complain(reader, node,
                           "service \"%s\" needs \"live\": which of its clusters serves now",
                           service->name);
    }
}

void xf_read_services(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config *config = reader->config;
    const struct xf_yaml_node *section = xf_yaml_get(root, "services");
    unsigned entries = xf_reader_count(section);
    if (section == NULL || section->kind != XF_YAML_MAPPING) {
        return;
    }
    if (entries > XF_SERVICES_MAX) {
        xf_reader_complain(reader, section, "more than %u services", XF_SERVICES_MAX);
        entries = XF_SERVICES_MAX;
    } else if (entries == 0) {
        xf_reader_complain(reader, section, "there is no service");
    }
    config->services = xf_reader_take(reader, entries, sizeof(*config->services));
    if (config->services == NULL) {
        return;
    }
    for (const struct xf_yaml_node *n = section->children;
         n != NULL && config->services_count < entries; n = n->next) {
        read_service(reader, n, entries);
    }
    for (unsigned i = 0; i < config->services_count && !reader->no_memory; i++) {
        read_references(reader, &config->services[i]);
    }
}

static void read_certificate(struct xf_reader *reader, struct xf_config_tls *tls,
                             const struct xf_yaml_node *node)
{
    tls->certificate = xf_reader_string(reader, node, "listeners[].tls.certificate");
    tls->key = xf_reader_string(reader, node, "listeners[].tls.key");
    tls->client_ca = xf_reader_string(reader, node, "listeners[].tls.client_ca");
    tls->ticket_keys_file = xf_reader_string(reader, node, "listeners[].tls.ticket_keys_file");
}

/* One section, or a list of them. */
static void read_certificates(struct xf_reader *reader, struct xf_config_listener *listener,
                              const struct xf_yaml_node *node)
{
    bool list = node != NULL && node->kind == XF_YAML_SEQUENCE;
    const struct xf_yaml_node *entry = list ? node->children : node;
    unsigned count = list ? xf_reader_count(node) : 1;
    read_certificate(reader, &listener->tls, entry);
    if (count < 2) {
        return;
    }
    listener->tls_more = xf_reader_take(reader, count - 1, sizeof(listener->tls_more[0]));
    while (listener->tls_more != NULL && (entry = entry->next) != NULL) {
        struct xf_config_tls *tls = &listener->tls_more[listener->tls_more_count++];
        read_certificate(reader, tls, entry);
        if (tls->client_ca != NULL || tls->ticket_keys_file != NULL) {
            xf_reader_complain(reader, entry,
                               "client_ca and ticket_keys_file stand with the first certificate");
        }
    }
}

static void read_listener(struct xf_reader *reader, const struct xf_yaml_node *node)
{
    struct xf_config *config = reader->config;
    struct xf_config_listener listener = {.service = 0};
    const char *bind = xf_reader_text(node, "listeners[].bind");
    if (bind == NULL) {
        return;
    }
    if (!xf_endpoint_parse(bind, reader->arena, &listener.bind)) {
        reader->no_memory = true; /* it fitted its key */
        return;
    }
    const struct xf_yaml_node *service = xf_yaml_get(node, "service");
    if (service != NULL) {
        int index = find_service(reader, service);
        listener.service = index < 0 ? 0 : (unsigned) index;
    } else if (config->services_count > 1) {
        xf_reader_complain(reader, node, "missing key \"service\": there is more than one service");
    }
    read_certificates(reader, &listener, xf_yaml_get(node, "tls"));
    listener.health = xf_reader_string(reader, node, "listeners[].health");
    xf_reader_bool(node, "listeners[].proxy_protocol", &listener.proxy_protocol);
    reader->listeners[config->listeners_count] = node;
    config->listeners[config->listeners_count++] = listener;
}

void xf_read_listeners(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config *config = reader->config;
    const struct xf_yaml_node *list = xf_yaml_get(root, "listeners");
    unsigned entries = xf_reader_count(list);
    if (list == NULL || list->kind != XF_YAML_SEQUENCE) {
        return;
    }
    if (entries > XF_LISTENERS_MAX) {
        xf_reader_complain(reader, list, "more than %u listeners", XF_LISTENERS_MAX);
        entries = XF_LISTENERS_MAX;
    } else if (entries == 0) {
        xf_reader_complain(reader, list, "there is no listener");
    }
    config->listeners = xf_reader_take(reader, entries, sizeof(*config->listeners));
    if (config->listeners == NULL) {
        return;
    }
    for (const struct xf_yaml_node *n = list->children;
         n != NULL && config->listeners_count < entries; n = n->next) {
        read_listener(reader, n);
    }
}
