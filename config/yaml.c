/*
 * yaml.c -- libyaml's events become a tree; everything foreign is bounded here.
 *
 * The tree is built with a stack of its own, never by recursion, so the depth of a file cannot
 * become the depth of ours.
 */
#include "config/yaml.h"

#include "config/arena.h"
#include "config/base/limits.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

struct xf_yaml {
    struct xf_arena *arena;
    struct xf_yaml_node *root;
};

/* One open sequence or mapping. */
struct level {
    struct xf_yaml_node *node;
    struct xf_yaml_node *last; /* its newest entry */
    unsigned count;
    const char *key; /* read, its value not yet; NULL: a key comes next */
    unsigned key_line, key_column;
};

struct builder {
    struct xf_yaml *yaml;
    struct xf_problems *problems;
    struct level levels[XF_YAML_DEPTH_MAX];
    unsigned depth;
    unsigned nodes;
    unsigned documents;
};

/* Complains at the place of `event`; returns false so that a caller can stop. */
static bool refuse(struct builder *builder, const yaml_event_t *event, const char *message)
{
    xf_problems_add(builder->problems, (unsigned) event->start_mark.line + 1,
                    (unsigned) event->start_mark.column + 1, false, "%s", message);
    return false;
}

static bool out_of_memory(struct builder *builder)
{
    xf_problems_add(builder->problems, 0, 0, false, "out of memory");
    return false;
}

/* Takes a scalar as the next key of the mapping at `level`. */
static bool take_key(struct builder *builder, struct level *level, const yaml_event_t *event)
{
    const char *text = (const char *) event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        return refuse(builder, event, "a NUL character has no place here");
    }
    if (++level->count > XF_YAML_ENTRIES_MAX) {
        return refuse(builder, event, "too many entries in one place");
    }
    for (const struct xf_yaml_node *n = level->node->children; n != NULL; n = n->next) {
        if (strcmp(n->key, text) == 0) {
            xf_problems_add(builder->problems, (unsigned) event->start_mark.line + 1,
                            (unsigned) event->start_mark.column + 1, false,
                            "duplicate key \"%s\" (first on line %u)", text, n->key_line);
            break;
        }
    }
    level->key = xf_arena_copy(builder->yaml->arena, text, event->data.scalar.length);
    level->key_line = (unsigned) event->start_mark.line + 1;
    level->key_column = (unsigned) event->start_mark.column + 1;
    return level->key != NULL || out_of_memory(builder);
}

/* Makes the node of `event` and hangs it below the innermost open one. */
static struct xf_yaml_node *add_node(struct builder *builder, const yaml_event_t *event,
                                     enum xf_yaml_kind kind)
{
    if (++builder->nodes > XF_YAML_NODES_MAX) {
        refuse(builder, event, "the file has too many entries");
        return NULL;
    }
    struct xf_yaml_node *node = xf_arena_take(builder->yaml->arena, 1, sizeof(*node));
    if (node == NULL) {
        out_of_memory(builder);
        return NULL;
    }
    node->kind = kind;
    node->line = (unsigned) event->start_mark.line + 1;
    node->column = (unsigned) event->start_mark.column + 1;
    if (builder->depth == 0) {
        builder->yaml->root = node;
        return node;
    }
    struct level *level = &builder->levels[builder->depth - 1];
    if (level->node->kind == XF_YAML_MAPPING) {
        node->key = level->key;
        node->key_line = level->key_line;
        node->key_column = level->key_column;
        level->key = NULL;
    } else if (++level->count > XF_YAML_ENTRIES_MAX) {
        refuse(builder, event, "too many entries in one place");
        return NULL;
    }
    if (level->last == NULL) {
        level->node->children = node;
    } else {
        level->last->next = node;
    }
    level->last = node;
    return node;
}

static bool awaits_key(const struct builder *builder)
{
    if (builder->depth == 0) {
        return false;
    }
    const struct level *level = &builder->levels[builder->depth - 1];
    return level->node->kind == XF_YAML_MAPPING && level->key == NULL;
}

static bool take_scalar(struct builder *builder, const yaml_event_t *event)
{
    if (event->data.scalar.anchor != NULL) {
        return refuse(builder, event, "anchors are not used here");
    }
    if (event->data.scalar.tag != NULL) {
        return refuse(builder, event, "tags are not used here");
    }
    if (awaits_key(builder)) {
        return take_key(builder, &builder->levels[builder->depth - 1], event);
    }
    struct xf_yaml_node *node = add_node(builder, event, XF_YAML_SCALAR);
    if (node == NULL) {
        return false;
    }
    const char *text = (const char *) event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        return refuse(builder, event, "a NUL character has no place here");
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->scalar = xf_arena_copy(builder->yaml->arena, text, event->data.scalar.length);
    return node->scalar != NULL || out_of_memory(builder);
}

static bool open_level(struct builder *builder, const yaml_event_t *event, enum xf_yaml_kind kind,
                       bool anchored, bool tagged)
{
    if (anchored) {
        return refuse(builder, event, "anchors are not used here");
    }
    if (tagged) {
        return refuse(builder, event, "tags are not used here");
    }
    if (awaits_key(builder)) {
        return refuse(builder, event, "a key must be a plain word");
    }
    if (builder->depth == XF_YAML_DEPTH_MAX) {
        return refuse(builder, event, "nested too deeply");
    }
    struct xf_yaml_node *node = add_node(builder, event, kind);
    if (node == NULL) {
        return false;
    }
    builder->levels[builder->depth++] = (struct level){.node = node};
    return true;
}

static bool take_event(struct builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++builder->documents > 1) {
            return refuse(builder, event, "one document is enough: nothing may follow it");
        }
        return true;
    case YAML_ALIAS_EVENT:
        return refuse(builder, event, "aliases are not used here");
    case YAML_SCALAR_EVENT:
        return take_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(builder, event, XF_YAML_SEQUENCE,
                          event->data.sequence_start.anchor != NULL,
                          event->data.sequence_start.tag != NULL);
    case YAML_MAPPING_START_EVENT:
        return open_level(builder, event, XF_YAML_MAPPING, event->data.mapping_start.anchor != NULL,
                          event->data.mapping_start.tag != NULL);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        return true;
    default:
        return true;
    }
}

/* Says what libyaml did not like.  Its reader knows only an offset, its scanner a mark. */
static void report_syntax(struct xf_problems *problems, const yaml_parser_t *parser,
                          const char *text, size_t length)
{
    const char *what = parser->problem == NULL ? "not readable" : parser->problem;
    if (parser->error == YAML_MEMORY_ERROR) {
        xf_problems_add(problems, 0, 0, false, "out of memory");
        return;
    }
    if (parser->error == YAML_READER_ERROR) {
        unsigned line = 1, column = 1;
        for (size_t i = 0; i < parser->problem_offset && i < length; i++) {
            line += text[i] == '\n' ? 1 : 0;
            column = text[i] == '\n' ? 1 : column + 1;
        }
        xf_problems_add(problems, line, column, false, "%s", what);
        return;
    }
    const char *context = parser->context == NULL ? "" : parser->context;
    xf_problems_add(problems, (unsigned) parser->problem_mark.line + 1,
                    (unsigned) parser->problem_mark.column + 1, false, "%s%s%s", what,
                    context[0] == '\0' ? "" : " ", context);
}

/* True when the file was read to its end; complaints may stand in the problems nevertheless. */
static bool run_parser(struct builder *builder, const char *text, size_t length)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return out_of_memory(builder);
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *) text, length);
    bool more = true;
    bool whole = false;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            report_syntax(builder->problems, &parser, text, length);
            break;
        }
        whole = event.type == YAML_STREAM_END_EVENT;
        more = !whole && take_event(builder, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return whole;
}

struct xf_yaml *xf_yaml_parse_all(const char *name, const char *text, size_t length,
                                  struct xf_problems *ret_problems)
{
    *ret_problems = (struct xf_problems){.file = name};
    struct xf_yaml *yaml = calloc(1, sizeof(*yaml));
    if (yaml != NULL) {
        yaml->arena = xf_arena_create();
    }
    struct builder *builder = calloc(1, sizeof(*builder));
    bool whole = false;
    if (yaml == NULL || yaml->arena == NULL || builder == NULL) {
        xf_problems_add(ret_problems, 0, 0, false, "out of memory");
    } else {
        *builder = (struct builder){.yaml = yaml, .problems = ret_problems};
        whole = run_parser(builder, text, length);
        if (whole && yaml->root == NULL) {
            xf_problems_add(ret_problems, 1, 1, false, "the file is empty");
            whole = false;
        }
    }
    free(builder);
    if (!whole) {
        xf_yaml_destroy(yaml);
        return NULL;
    }
    return yaml;
}

int xf_yaml_parse(const char *name, const char *text, size_t length, struct xf_yaml **ret,
                  struct xf_problems *ret_problems)
{
    struct xf_yaml *yaml = xf_yaml_parse_all(name, text, length, ret_problems);
    if (yaml == NULL || ret_problems->errors > 0) {
        xf_yaml_destroy(yaml);
        return -1;
    }
    *ret = yaml;
    return 0;
}

void xf_yaml_destroy(struct xf_yaml *yaml)
{
    if (yaml != NULL) {
        xf_arena_destroy(yaml->arena);
        free(yaml);
    }
}

const struct xf_yaml_node *xf_yaml_root(const struct xf_yaml *yaml)
{
    return yaml->root;
}

const struct xf_yaml_node *xf_yaml_get(const struct xf_yaml_node *mapping, const char *key)
{
    if (mapping == NULL || mapping->kind != XF_YAML_MAPPING) {
        return NULL;
    }
    for (const struct xf_yaml_node *n = mapping->children; n != NULL; n = n->next) {
        if (strcmp(n->key, key) == 0) {
            return n;
        }
    }
    return NULL;
}
