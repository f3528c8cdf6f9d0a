/*
 * read_named.c -- hooks, databases and webhooks: what plans may name.
 */
#include "config/reader.h"

#include <string.h>

static char *copy(struct xf_reader *reader, const char *text)
{
    char *copied = xf_arena_copy(reader->arena, text, strlen(text));
    reader->no_memory = reader->no_memory || copied == NULL;
    return copied;
}

static void read_hook(struct xf_reader *reader, struct xf_config_hook *hook,
                      const struct xf_yaml_node *node)
{
    const struct xf_yaml_node *list = xf_yaml_get(node, "command");
    hook->name = copy(reader, node->key);
    hook->command = xf_reader_take(reader, xf_reader_count(list) + 1, sizeof(*hook->command));
    unsigned count = 0;
    for (const struct xf_yaml_node *n = list == NULL ? NULL : list->children;
         n != NULL && hook->command != NULL; n = n->next) {
        if (n->kind == XF_YAML_SCALAR) {
            hook->command[count++] = copy(reader, n->scalar);
        }
    }
    if (list != NULL && list->kind == XF_YAML_SEQUENCE && count == 0) {
        xf_reader_complain(reader, list, "hook \"%s\" has no command", node->key);
    }
    xf_reader_duration(node, "hooks.*.timeout", &hook->timeout_ms);
    xf_reader_bool(node, "hooks.*.repeatable", &hook->repeatable);
}

static void read_database(struct xf_reader *reader, struct xf_config_database *database,
                          const struct xf_yaml_node *node)
{
    database->name = copy(reader, node->key);
    database->url = xf_reader_string(reader, node, "databases.*.url");
    database->password_file = xf_reader_string(reader, node, "databases.*.password_file");
}

static void read_webhook(struct xf_reader *reader, struct xf_config_webhook *webhook,
                         const struct xf_yaml_node *node)
{
    webhook->name = copy(reader, node->key);
    webhook->url = xf_reader_string(reader, node, "webhooks.*.url");
    webhook->secret_file = xf_reader_string(reader, node, "webhooks.*.secret_file");
    webhook->format = (enum xf_webhook_format) xf_reader_choice(node, "webhooks.*.format");
}

/* The entries of a section of names; NULL and 0 where there are none. */
static const struct xf_yaml_node *entries_of(const struct xf_yaml_node *root, const char *section,
                                             unsigned *ret_count)
{
    const struct xf_yaml_node *node = xf_yaml_get(root, section);
    if (node == NULL || node->kind != XF_YAML_MAPPING) {
        *ret_count = 0;
        return NULL;
    }
    *ret_count = xf_reader_count(node);
    return node->children;
}

void xf_read_named(struct xf_reader *reader, const struct xf_yaml_node *root)
{
    struct xf_config *config = reader->config;
    unsigned count;
    const struct xf_yaml_node *n = entries_of(root, "hooks", &count);
    config->hooks = xf_reader_take(reader, count, sizeof(*config->hooks));
    for (; n != NULL && config->hooks != NULL; n = n->next) {
        read_hook(reader, &config->hooks[config->hooks_count++], n);
    }
    n = entries_of(root, "databases", &count);
    config->databases = xf_reader_take(reader, count, sizeof(*config->databases));
    for (; n != NULL && config->databases != NULL; n = n->next) {
        read_database(reader, &config->databases[config->databases_count++], n);
    }
    n = entries_of(root, "webhooks", &count);
    config->webhooks = xf_reader_take(reader, count, sizeof(*config->webhooks));
    for (; n != NULL && config->webhooks != NULL; n = n->next) {
        read_webhook(reader, &config->webhooks[config->webhooks_count++], n);
    }
}
