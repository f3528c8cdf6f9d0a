/*
 * read_host.c -- what concerns the host as a whole: places, workers, limits, logs, draining.
 */
#include "config/base/text.h"
#include "config/cpus.h"
#include "config/endpoint.h"
#include "config/paths.h"
#include "config/reader.h"
#include "config/time_limits.h"
#include "config/values.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* The value, or `fallback` where the file has none: for defaults that only the host knows. */
static char *string_or(struct xf_reader *reader, const struct xf_yaml_node *section,
                       const char *word, const char *pattern, const char *fallback)
{
    if (xf_yaml_get(section, word) != NULL) {
        return xf_reader_string(reader, section, pattern);
    }
    char *copy = xf_arena_copy(reader->arena, fallback, strlen(fallback));
    reader->no_memory = reader->no_memory || copy == NULL;
    return copy;
}

static void read_places(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config *config = reader->config;
    const struct xf_yaml_node *proxy = xf_yaml_get(root, "proxy");
    const struct xf_yaml_node *admin = xf_yaml_get(root, "admin");
    struct xf_paths paths;
    char host[256] = "localhost";
    xf_paths_default(&paths);
    if (gethostname(host, sizeof(host) - 1) != 0) {
        snprintf(host, sizeof(host), "localhost");
    }
    config->proxy_name = string_or(reader, proxy, "name", "proxy.name", host);
    config->state_dir = string_or(reader, proxy, "state_dir", "proxy.state_dir", paths.state_dir);
    xf_reader_duration(proxy, "proxy.snapshot_max_age", &config->snapshot_max_age_ms);
    config->admin.socket = string_or(reader, admin, "socket", "admin.socket", paths.socket);
    size_t longest = sizeof(((struct sockaddr_un *) NULL)->sun_path) - 1;
    const struct xf_yaml_node *socket = xf_yaml_get(admin, "socket");
    if (config->admin.socket != NULL && strlen(config->admin.socket) > longest) {
        xf_reader_complain(reader, socket == NULL ? root : socket,
                           "admin.socket: a socket's path has at most %zu characters", longest);
    }
    const char *listen = xf_reader_text(admin, "admin.listen");
    if (listen != NULL && !xf_endpoint_parse(listen, reader->arena, &config->admin.listen)) {
        reader->no_memory = true;
    }
    config->admin.tokens_file = xf_reader_string(reader, admin, "admin.tokens_file");
    const struct xf_yaml_node *tls = xf_yaml_get(admin, "tls");
    config->admin.tls.certificate = xf_reader_string(reader, tls, "admin.tls.certificate");
    config->admin.tls.key = xf_reader_string(reader, tls, "admin.tls.key");
    config->admin.tls.client_ca = xf_reader_string(reader, tls, "admin.tls.client_ca");
}

static void read_journal(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config_journal *journal = &reader->config->journal;
    const struct xf_yaml_node *section = xf_yaml_get(root, "journal");
    journal->url = xf_reader_string(reader, section, "journal.url");
    journal->password_file = xf_reader_string(reader, section, "journal.password_file");
    xf_reader_bool(section, "journal.required", &journal->required);
}

static void read_workers(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    if (strcmp(xf_reader_text(root, "workers"), "auto") == 0) {
        reader->config->workers = xf_cpus_usable();
    } else {
        xf_reader_number(root, "workers", &reader->config->workers);
    }
}

struct xf_config_network *xf_read_networks(struct xf_reader *reader,
                                           const struct xf_yaml_node *list, unsigned *ret_count)
{
    struct xf_config_network *networks =
        xf_reader_take(reader, xf_reader_count(list), sizeof(*networks));
    unsigned count = 0;
    for (const struct xf_yaml_node *n = list == NULL ? NULL : list->children;
         n != NULL && networks != NULL; n = n->next) {
        if (n->kind == XF_YAML_SCALAR && xf_value_network(n->scalar, &networks[count])) {
            count++;
        }
    }
    *ret_count = count;
    return networks;
}

static void read_upgrade(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config *config = reader->config;
    const struct xf_yaml_node *list = xf_yaml_get(root, "upgrade");
    const struct xf_yaml_node websocket = {.kind = XF_YAML_SCALAR, .scalar = "websocket"};
    const struct xf_yaml_node *first = list == NULL ? &websocket : list->children;
    unsigned entries = list == NULL ? 1 : xf_reader_count(list);
    config->upgrade = xf_reader_take(reader, entries, sizeof(*config->upgrade));
    for (const struct xf_yaml_node *n = first; n != NULL && config->upgrade != NULL; n = n->next) {
        char *token = n->kind == XF_YAML_SCALAR
                          ? xf_arena_copy(reader->arena, n->scalar, strlen(n->scalar))
                          : NULL;
        for (char *p = token; p != NULL && *p != '\0'; p++) {
            *p = (char) tolower((unsigned char) *p);
        }
        if (token != NULL && strcmp(token, "h2c") == 0) {
            xf_reader_complain(reader, n, "upgrade: h2c is never forwarded (RFC 9110 7.8)");
        }
        config->upgrade[config->upgrade_count] = token;
        config->upgrade_count += token == NULL ? 0 : 1;
    }
}

static void read_drain(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config_drain *drain = &reader->config->drain;
    const struct xf_yaml_node *section = xf_yaml_get(root, "drain");
    drain->policy = (enum xf_drain_policy) xf_reader_choice(section, "drain.policy");
    const char *rate = xf_reader_text(section, "drain.rate");
    if (rate != NULL) {
        bool read = xf_value_rate(rate, &drain->rate);
        XF_ASSERT(read); /* it fitted its key */
    }
    xf_reader_duration(section, "drain.deadline", &drain->deadline_ms);
    xf_reader_duration(section, "drain.quiet", &drain->quiet_ms);
}

void xf_read_host(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config *config = reader->config;
    read_places(reader, root);
    read_journal(reader, root);
    read_workers(reader, root);
    xf_read_timeouts(xf_yaml_get(root, "timeouts"), "timeouts", &config->timeouts);
    xf_read_limits(xf_yaml_get(root, "limits"), "limits", &config->limits);
    const struct xf_yaml_node *forwarded = xf_yaml_get(root, "forwarded");
    config->trusted =
        xf_read_networks(reader, xf_yaml_get(forwarded, "trusted"), &config->trusted_count);
    const struct xf_yaml_node *log = xf_yaml_get(root, "access_log");
    config->access_log.path = xf_reader_string(reader, log, "access_log.path");
    config->access_log.format = (enum xf_log_format) xf_reader_choice(log, "access_log.format");
    read_upgrade(reader, root);
    read_drain(reader, root);
}
