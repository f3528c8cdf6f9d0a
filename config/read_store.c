/*
 * read_store.c -- the store's URL and what goes with it.
 *
 *     sqlite:PATH
 *     redis://[user@]host[:port][,…][/database]      rediss:// likewise; several: of one Cluster
 *     redis+sentinel://[user@]h1[:port],h2[:port]/master[/database]
 */
#include "config/base/text.h"
#include "config/endpoint.h"
#include "config/reader.h"

#include <stdio.h>
#include <string.h>

#define REDIS_PORT    6379
#define SENTINEL_PORT 26379
#define DATABASE_MAX  1023
#define ENDPOINTS_MAX 16

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static char *copy(struct xf_reader *reader, const char *text, size_t length)
{
    char *copied = xf_arena_copy(reader->arena, text, length);
    reader->no_memory = reader->no_memory || copied == NULL;
    return copied;
}

/* Reads `host[:port]`, the port optional, as one more endpoint. */
static bool add_endpoint(struct xf_reader *reader, const char *text, size_t length, unsigned port)
{
    struct xf_config_store *store = &reader->config->store;
    char full[XF_HOST_BYTES + 16];
    const char *bracket = memchr(text, ']', length);
    const char *from = bracket == NULL ? text : bracket;
    bool has_port = memchr(from, ':', length - (size_t) (from - text)) != NULL;
    if (length >= XF_HOST_BYTES || store->endpoints_count == ENDPOINTS_MAX) {
        return false;
    }
    int used = snprintf(full, sizeof(full), "%.*s", (int) length, text);
    if (!has_port) {
        snprintf(full + used, sizeof(full) - (size_t) used, ":%u", port);
    }
    if (!xf_endpoint_parse(full, reader->arena, &store->endpoints[store->endpoints_count])) {
        return false;
    }
    store->endpoints_count++;
    return true;
}

/* The hosts between user and path, parted by commas: Sentinels, or servers of a Redis Cluster. */
static bool read_hosts(struct xf_reader *reader, const char *text, size_t length, bool sentinel)
{
    struct xf_config_store *store = &reader->config->store;
    store->endpoints = xf_reader_take(reader, ENDPOINTS_MAX, sizeof(*store->endpoints));
    if (store->endpoints == NULL) {
        return false;
    }
    for (;;) {
        const char *comma = memchr(text, ',', length);
        size_t part = comma == NULL ? length : (size_t) (comma - text);
        if (!add_endpoint(reader, text, part, sentinel ? SENTINEL_PORT : REDIS_PORT)) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        text += part + 1;
        length -= part + 1;
    }
}

/* What follows the hosts: `/database`, or `/master[/database]` for Sentinel. */
static bool read_path(struct xf_reader *reader, const char *path, bool sentinel)
{
    struct xf_config_store *store = &reader->config->store;
    if (sentinel) {
        size_t length = *path == '/' ? strcspn(path + 1, "/") : 0;
        if (length == 0) {
            return false;
        }
        store->sentinel_master = copy(reader, path + 1, length);
        path += 1 + length;
    }
    uint64_t database = 0;
    if (strcmp(path, "") != 0 && strcmp(path, "/") != 0 &&
        (path[0] != '/' || !xf_parse_uint(path + 1, DATABASE_MAX, &database))) {
        return false;
    }
    store->database = (unsigned) database;
    return sentinel || store->endpoints_count == 1 || database == 0;
}

static void read_redis(struct xf_reader *reader, const struct xf_yaml_node *node, const char *url)
{
    struct xf_config_store *store = &reader->config->store;
    bool sentinel = begins(url, "redis+sentinel://");
    store->kind = XF_STORE_REDIS;
    store->tls = begins(url, "rediss://");
    const char *hosts = strstr(url, "://") + 3;
    size_t length = strcspn(hosts, "/?#");
    const char *path = hosts + length;
    const char *at = memrchr(hosts, '@', length);
    if (at != NULL) {
        size_t user = (size_t) (at - hosts);
        if (memchr(hosts, ':', user) != NULL) {
            xf_reader_complain(reader, node,
                               "store: a Redis URL may hold no password: write it into a file and "
                               "name that with password_file");
            return;
        }
        store->user = user == 0 ? NULL : copy(reader, hosts, user);
        length -= user + 1;
        hosts = at + 1;
    }
    store->url = copy(reader, url, strlen(url));
    if ((!read_hosts(reader, hosts, length, sentinel) || !read_path(reader, path, sentinel)) &&
        !reader->no_memory) {
        xf_reader_complain(reader, node, "store: expected %s",
                           sentinel ? "redis+sentinel://h1,h2,h3/master"
                                    : "redis://[user@]host[:port][/database], or "
                                      "redis://h1,h2,h3 of one Redis Cluster, which has no other "
                                      "database than 0");
    }
}

static void read_sqlite(struct xf_reader *reader, const struct xf_yaml_node *node, const char *url)
{
    struct xf_config_store *store = &reader->config->store;
    store->kind = XF_STORE_SQLITE;
    store->url = copy(reader, url, strlen(url));
    store->path = copy(reader, url + strlen("sqlite:"), strlen(url) - strlen("sqlite:"));
    if (store->path != NULL && store->path[0] != '/') {
        xf_reader_complain(reader, node, "store: expected sqlite:/path with an absolute path");
    }
}

void xf_read_store(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config_store *store = &reader->config->store;
    const struct xf_yaml_node *node = xf_yaml_get(root, "store");
    const char *url = xf_reader_text(node, "store.url");
    store->namespace_name = xf_reader_string(reader, node, "store.namespace");
    store->password_file = xf_reader_string(reader, node, "store.password_file");
    store->ca = xf_reader_string(reader, node, "store.ca");
    store->certificate = xf_reader_string(reader, node, "store.certificate");
    store->key = xf_reader_string(reader, node, "store.key");
    if (url == NULL) {
        const char *folder = reader->config->state_dir;
        store->kind = XF_STORE_SQLITE;
        store->path = xf_arena_format(reader->arena, "%s/state.db", folder == NULL ? "" : folder);
        store->url =
            xf_arena_format(reader->arena, "sqlite:%s", store->path == NULL ? "" : store->path);
        reader->no_memory = reader->no_memory || store->path == NULL || store->url == NULL;
        return;
    }
    const struct xf_yaml_node *place = xf_yaml_get(node, "url");
    place = place == NULL ? node : place;
    if (begins(url, "sqlite:")) {
        read_sqlite(reader, place, url);
    } else if (strstr(url, "://") != NULL) {
        read_redis(reader, place, url);
    }
}
