/*
 * relations.c -- what keys mean to each other, once everything is taken.
 */
#include "config/base/text.h"
#include "config/endpoint.h"
#include "config/reader.h"

#include <string.h>
#include <unistd.h>

static void check_binds(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    const struct xf_config *config = reader->config;
    for (unsigned i = 0; i < config->listeners_count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (xf_endpoint_equal(&config->listeners[i].bind, &config->listeners[j].bind)) {
                xf_reader_complain(reader, xf_yaml_get(reader->listeners[i], "bind"),
                                   "bind: %s is taken by the listener on line %u",
                                   config->listeners[i].bind.text, reader->listeners[j]->line);
                break;
            }
        }
        if (config->admin.listen.text != NULL &&
            xf_endpoint_equal(&config->listeners[i].bind, &config->admin.listen)) {
            xf_reader_complain(reader, xf_yaml_get(xf_yaml_get(root, "admin"), "listen"),
                               "admin.listen: %s is taken by the listener on line %u",
                               config->admin.listen.text, reader->listeners[i]->line);
        }
    }
}

/* The tickets' keys are those of the host: what one listener seals another may open. */
static void check_tickets(struct xf_reader *reader)
{
    const struct xf_config *config = reader->config;
    const char *first = NULL;
    for (unsigned i = 0; i < config->listeners_count; i++) {
        const char *file = config->listeners[i].tls.ticket_keys_file;
        if (file != NULL && first != NULL && strcmp(file, first) != 0) {
            xf_reader_complain(reader, xf_yaml_get(reader->listeners[i], "tls"),
                               "ticket_keys_file: one file serves all listeners of a host");
        }
        first = first != NULL ? first : file;
    }
}

static void check_admin(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    const struct xf_config_admin *admin = &reader->config->admin;
    const struct xf_yaml_node *section = xf_yaml_get(root, "admin");
    const struct xf_yaml_node *listen = xf_yaml_get(section, "listen");
    const struct xf_yaml_node *tokens = xf_yaml_get(section, "tokens_file");
    if (admin->listen.text != NULL && tokens == NULL && admin->tls.client_ca == NULL) {
        xf_reader_complain(reader, listen,
                           "admin.listen needs admin.tokens_file (or tls with client_ca)");
    }
    if (admin->tokens_file != NULL && access(admin->tokens_file, F_OK) != 0) {
        xf_reader_warn(reader, tokens,
                       "admin.tokens_file: %.160s is not there yet: "
                       "`crossfade token add` makes it",
                       admin->tokens_file);
    } else if (admin->tokens_file != NULL && access(admin->tokens_file, R_OK) != 0) {
        xf_reader_complain(reader, tokens, "admin.tokens_file: cannot read %.160s",
                           admin->tokens_file);
    }
}

static void check_sticky(struct xf_reader *reader, const struct xf_config_service *service)
{
    const struct xf_yaml_node *node = xf_yaml_get(reader->services[service->index], "sticky");
    const struct xf_yaml_node *name = xf_yaml_get(node, "name");
    bool named = service->sticky.by == XF_STICKY_HEADER || service->sticky.by == XF_STICKY_COOKIE;
    if (node == NULL) {
        return;
    }
    if (service->follows >= 0) {
        xf_reader_complain(reader, node, "sticky has no meaning in a service that follows another");
    } else if (service->sticky.by == XF_STICKY_HEADER && name == NULL) {
        xf_reader_complain(reader, node, "sticky by header needs \"name\"");
    } else if (!named && name != NULL) {
        xf_reader_complain(reader, name, "name belongs to sticky by header or cookie");
    }
    const struct xf_yaml_node *otherwise = xf_yaml_get(node, "else");
    if (otherwise != NULL && !named) {
        xf_reader_complain(reader, otherwise, "else belongs to sticky by header or cookie");
    }
}

static void check_override(struct xf_reader *reader, const struct xf_config_service *service)
{
    const struct xf_yaml_node *node = xf_yaml_get(reader->services[service->index], "override");
    if (node == NULL) {
        return;
    }
    if (service->follows >= 0) {
        xf_reader_complain(reader, node,
                           "override has no meaning in a service that follows another");
    } else if (xf_yaml_get(node, "secret_file") == NULL && xf_yaml_get(node, "networks") == NULL) {
        xf_reader_complain(reader, node, "override needs secret_file or networks");
    }
}

static void check_follower(struct xf_reader *reader, struct xf_config_service *service)
{
    const struct xf_yaml_node *node = reader->services[service->index];
    const struct xf_yaml_node *follows = xf_yaml_get(node, "follows");
    const struct xf_yaml_node *live = xf_yaml_get(node, "live");
    const struct xf_config_service *leader = &reader->config->services[service->follows];
    if (leader == service) {
        xf_reader_complain(reader, follows, "service \"%s\" cannot follow itself", service->name);
        return;
    }
    if (xf_yaml_get(reader->services[leader->index], "follows") != NULL) {
        xf_reader_complain(reader, follows, "\"%s\" follows another service itself: name that one",
                           leader->name);
        return;
    }
    if (live != NULL) {
        xf_reader_complain(reader, live,
                           "live is not set in a service that follows: it is the pair of the "
                           "other's");
    }
    if (leader->clusters_count != service->clusters_count) {
        xf_reader_complain(
            reader, follows, "\"%s\" has %u clusters and \"%s\" has %u: they pair by position",
            service->name, service->clusters_count, leader->name, leader->clusters_count);
        return;
    }
    for (unsigned i = 0; i < leader->clusters_count; i++) {
        if (leader->clusters[i] == leader->live) {
            service->live = service->clusters[i];
        }
    }
}

static void check_services(struct xf_reader *reader)
{
    const struct xf_config *config = reader->config;
    bool served[XF_SERVICES_MAX] = {false};
    for (unsigned i = 0; i < config->listeners_count; i++) {
        served[config->listeners[i].service] = true;
    }
    for (unsigned i = 0; i < config->services_count; i++) {
        check_sticky(reader, &config->services[i]);
        check_override(reader, &config->services[i]);
        if (config->services[i].follows >= 0) {
            check_follower(reader, &config->services[i]);
        }
        if (!served[i]) {
            xf_reader_warn(reader, reader->services[i], "service \"%s\" has no listener",
                           config->services[i].name);
        }
    }
}

static void check_clusters(struct xf_reader *reader)
{
    const struct xf_config *config = reader->config;
    bool used[XF_CLUSTERS_MAX] = {false};
    for (unsigned i = 0; i < config->services_count; i++) {
        for (unsigned j = 0; j < config->services[i].clusters_count; j++) {
            used[config->services[i].clusters[j]] = true;
        }
    }
    for (unsigned i = 0; i < config->clusters_count; i++) {
        const struct xf_config_cluster *cluster = &config->clusters[i];
        bool regular = cluster->servers_count == 0;
        for (unsigned j = 0; j < cluster->servers_count; j++) {
            regular = regular || !cluster->servers[j].backup;
        }
        if (!regular) {
            xf_reader_complain(reader, reader->clusters[i],
                               "cluster \"%s\" has only backup servers", cluster->name);
        }
        if (!used[i]) {
            xf_reader_warn(reader, reader->clusters[i], "cluster \"%s\" serves no service",
                           cluster->name);
        }
    }
}

/* HTTP checks need a path; without one their other keys would silently do nothing. */
static void check_checks(struct xf_reader *reader)
{
    static const char *const words[] = {"expect", "body"};
    for (unsigned i = 0; i < reader->config->clusters_count; i++) {
        const struct xf_yaml_node *check = xf_yaml_get(reader->clusters[i], "check");
        for (size_t j = 0; j < XF_COUNT(words); j++) {
            const struct xf_yaml_node *node = xf_yaml_get(check, words[j]);
            if (node != NULL && xf_yaml_get(check, "path") == NULL) {
                xf_reader_complain(reader, node, "%s belongs to a check with \"path\"", words[j]);
            }
        }
    }
}

/* Half a client certificate would be a connection without one. */
static void check_upstream_tls(struct xf_reader *reader)
{
    for (unsigned i = 0; i < reader->config->clusters_count; i++) {
        const struct xf_config_upstream_tls *tls = &reader->config->clusters[i].tls;
        if ((tls->certificate == NULL) != (tls->key == NULL)) {
            xf_reader_complain(reader, xf_yaml_get(reader->clusters[i], "tls"),
                               "tls: \"certificate\" and \"key\" belong together");
        }
    }
}

/* A rate or a deadline without its policy is no mistake: a plan may choose that policy. */
static void check_drain(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    const struct xf_config_drain *drain = &reader->config->drain;
    const struct xf_yaml_node *section = xf_yaml_get(root, "drain");
    const struct xf_yaml_node *rate = xf_yaml_get(section, "rate");
    if (drain->policy == XF_DRAIN_PACED && rate == NULL) {
        xf_reader_complain(reader, section, "drain.policy paced needs \"rate\", for example 20/s");
    }
}

/* The store's keys that only Redis understands. */
static void check_store(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    static const char *const words[] = {"password_file", "ca", "certificate", "key"};
    const struct xf_yaml_node *section = xf_yaml_get(root, "store");
    for (size_t i = 0; i < XF_COUNT(words); i++) {
        const struct xf_yaml_node *node = xf_yaml_get(section, words[i]);
        if (node != NULL && reader->config->store.kind == XF_STORE_SQLITE) {
            xf_reader_complain(reader, node, "%s belongs to a store in Redis", words[i]);
        }
    }
}

/* The log's target: a path, or the system's log. */
static void check_access_log(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    const char *path = reader->config->access_log.path;
    if (path != NULL && path[0] != '/' && strcmp(path, "syslog:") != 0) {
        const struct xf_yaml_node *section = xf_yaml_get(root, "access_log");
        const struct xf_yaml_node *node = xf_yaml_get(section, "path");
        xf_reader_complain(reader, node == NULL ? section : node,
                           "access_log.path: expected an absolute path or syslog:");
    }
}

void xf_check_relations(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    check_binds(reader, root);
    check_admin(reader, root);
    check_services(reader);
    check_clusters(reader);
    check_checks(reader);
    check_upstream_tls(reader);
    check_tickets(reader);
    check_drain(reader, root);
    check_store(reader, root);
    check_access_log(reader, root);
}
