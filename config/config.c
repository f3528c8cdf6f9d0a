/*
 * config.c -- from a file to a configuration: read, check against the table, take, relate.
 */
#include "config/config.h"

#include "config/digest.h"
#include "config/reader.h"
#include "config/validate.h"
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void take_all(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    xf_read_host(reader, root);
    xf_read_store(reader, root);
    xf_read_clusters(reader, root);
    xf_read_services(reader, root);
    xf_read_listeners(reader, root);
    xf_read_named(reader, root);
    if (!reader->no_memory) {
        xf_check_relations(reader, root);
    }
}

/* Everything after YAML; the configuration is made even of a bad tree, to find all that is wrong.
 */
static struct xf_config *make_config(const char *name, const struct xf_yaml_node *root,
                                     struct xf_problems *problems)
{
    struct xf_arena *arena = xf_arena_create();
    struct xf_config *config = arena == NULL ? NULL : xf_arena_take(arena, 1, sizeof(*config));
    struct xf_reader *reader = calloc(1, sizeof(*reader));
    bool made = false;
    if (config != NULL && reader != NULL) {
        config->arena = arena;
        config->file = xf_arena_copy(arena, name, strlen(name));
        *reader = (struct xf_reader){.problems = problems, .arena = arena, .config = config};
        take_all(reader, root);
        made = config->file != NULL && !reader->no_memory && xf_digest_fill(config);
    }
    if (!made) {
        xf_problems_add(problems, 0, 0, false, "out of memory");
    }
    free(reader);
    if (problems->errors > 0) {
        xf_arena_destroy(arena);
        return NULL;
    }
    return config;
}

int xf_config_parse(const char *name, const char *text, size_t length, struct xf_config **ret,
                    struct xf_problems *ret_problems)
{
    struct xf_yaml *yaml = xf_yaml_parse_all(name, text, length, ret_problems);
    if (yaml == NULL) {
        return -1;
    }
    struct xf_config *config = NULL;
    const struct xf_yaml_node *root = xf_yaml_root(yaml);
    xf_validate_tree(root, ret_problems);
    if (root->kind == XF_YAML_MAPPING) {
        config = make_config(name, root, ret_problems);
    }
    xf_yaml_destroy(yaml);
    if (config == NULL) {
        return -1;
    }
    *ret = config;
    return 0;
}

static void close_file(int *file)
{
    if (*file >= 0) {
        close(*file);
    }
}

static void free_text(char **text)
{
    free(*text);
}

/* Reads at most XF_CONFIG_BYTES_MAX + 1 bytes, so that one too many shows.  -1: errno says why. */
static ssize_t read_whole(const char *path, char *text)
{
    XF_CLEANUP(close_file) int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t length = 0;
    while (file >= 0 && length <= XF_CONFIG_BYTES_MAX) {
        ssize_t got = read(file, text + length, XF_CONFIG_BYTES_MAX + 1 - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -1 : (ssize_t) length;
        }
        length += (size_t) got;
    }
    return file < 0 ? -1 : (ssize_t) length;
}

int xf_config_read(const char *path, struct xf_config **ret, struct xf_problems *ret_problems)
{
    *ret_problems = (struct xf_problems){.file = path};
    XF_CLEANUP(free_text) char *text = malloc(XF_CONFIG_BYTES_MAX + 1);
    if (text == NULL) {
        xf_problems_add(ret_problems, 0, 0, false, "out of memory");
        return -1;
    }
    ssize_t length = read_whole(path, text);
    if (length < 0) {
        xf_problems_add(ret_problems, 0, 0, false, "cannot read: %s", strerrordesc_np(errno));
        return -1;
    }
    if ((size_t) length > XF_CONFIG_BYTES_MAX) {
        xf_problems_add(ret_problems, 0, 0, false, "larger than %u bytes", XF_CONFIG_BYTES_MAX);
        return -1;
    }
    return xf_config_parse(path, text, (size_t) length, ret, ret_problems);
}

void xf_config_destroy(struct xf_config *config)
{
    if (config != NULL) {
        xf_arena_destroy(config->arena);
    }
}

int xf_config_find_service(const struct xf_config *config, const char *name)
{
    for (unsigned i = 0; i < config->services_count; i++) {
        if (strcmp(config->services[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

int xf_config_find_cluster(const struct xf_config *config, const char *name)
{
    for (unsigned i = 0; i < config->clusters_count; i++) {
        if (strcmp(config->clusters[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

int xf_config_pair(const struct xf_config *config, unsigned service, unsigned cluster)
{
    XF_ASSERT(service < config->services_count);
    const struct xf_config_service *owner = &config->services[service];
    for (unsigned i = 0; i < owner->clusters_count; i++) {
        if (owner->clusters[i] == cluster) {
            return (int) (owner->first_pair + i);
        }
    }
    return -1;
}
