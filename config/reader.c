/*
 * reader.c -- taking single values out of a tree.
 */
#include "config/reader.h"

#include "config/base/text.h"
#include "config/keys.h"
#include "config/values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *xf_reader_text(const struct xf_yaml_node *section, const char *pattern)
{
    const struct xf_key *key = xf_key_find(pattern);
    XF_ASSERT(key != NULL);
    const struct xf_yaml_node *node = xf_yaml_get(section, xf_key_word(key));
    if (section != NULL && section->kind == XF_YAML_SCALAR) {
        char parent[128];
        snprintf(parent, sizeof(parent), "%.*s",
                 (int) (strlen(pattern) - strlen(xf_key_word(key)) - 1), pattern);
        const struct xf_key *above = xf_key_find(parent);
        node = above != NULL && strcmp(above->range, xf_key_word(key)) == 0 ? section : NULL;
    }
    char why[XF_VALUE_WHY_BYTES];
    bool fits = node != NULL && node->kind == XF_YAML_SCALAR &&
                xf_value_fits(key, node->scalar, node->quoted, why);
    return fits ? node->scalar : key->fallback;
}

char *xf_reader_string(struct xf_reader *reader, const struct xf_yaml_node *section,
                       const char *pattern)
{
    const char *text = xf_reader_text(section, pattern);
    if (text == NULL) {
        return NULL;
    }
    char *copy = xf_arena_copy(reader->arena, text, strlen(text));
    reader->no_memory = reader->no_memory || copy == NULL;
    return copy;
}

void xf_reader_duration(const struct xf_yaml_node *section, const char *pattern, int64_t *ret)
{
    const char *text = xf_reader_text(section, pattern);
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "off") == 0) {
        *ret = XF_OFF;
        return;
    }
    bool read = xf_parse_duration_ms(text, ret);
    XF_ASSERT(read); /* it fitted its key, or is a default of ours */
}

void xf_reader_size(const struct xf_yaml_node *section, const char *pattern, uint64_t *ret)
{
    const char *text = xf_reader_text(section, pattern);
    if (text != NULL) {
        bool read = xf_parse_size(text, ret);
        XF_ASSERT(read);
    }
}

void xf_reader_number(const struct xf_yaml_node *section, const char *pattern, unsigned *ret)
{
    const char *text = xf_reader_text(section, pattern);
    uint64_t number;
    if (text != NULL) {
        bool read = xf_parse_uint(text, UINT32_MAX, &number);
        XF_ASSERT(read);
        *ret = (unsigned) number;
    }
}

void xf_reader_percent(const struct xf_yaml_node *section, const char *pattern, unsigned *ret)
{
    const char *text = xf_reader_text(section, pattern);
    unsigned weight;
    if (text != NULL) {
        bool read = xf_parse_weight(text, &weight);
        XF_ASSERT(read);
        *ret = weight / (XF_WEIGHT_FULL / 100);
    }
}

void xf_reader_bool(const struct xf_yaml_node *section, const char *pattern, bool *ret)
{
    const char *text = xf_reader_text(section, pattern);
    if (text != NULL) {
        bool read = xf_value_bool(text, ret);
        XF_ASSERT(read);
    }
}

unsigned xf_reader_choice(const struct xf_yaml_node *section, const char *pattern)
{
    const char *text = xf_reader_text(section, pattern);
    int place = text == NULL ? 0 : xf_value_choice(xf_key_find(pattern)->range, text);
    XF_ASSERT(place >= 0);
    return (unsigned) place;
}

void *xf_reader_take(struct xf_reader *reader, size_t count, size_t bytes)
{
    void *memory = xf_arena_take(reader->arena, count, bytes);
    reader->no_memory = reader->no_memory || memory == NULL;
    return memory;
}

unsigned xf_reader_count(const struct xf_yaml_node *list)
{
    unsigned count = 0;
    for (const struct xf_yaml_node *n = list == NULL ? NULL : list->children; n != NULL;
         n = n->next) {
        count++;
    }
    return count;
}

/* Where to point a finger: at the key of an entry, else at the value. */
static void add_problem(struct xf_reader *reader, const struct xf_yaml_node *node, bool warning,
                        const char *format, va_list arguments)
{
    char *message = NULL;
    if (vasprintf(&message, format, arguments) < 0) {
        reader->no_memory = true;
        return;
    }
    xf_problems_add(reader->problems, node->line, node->column, warning, "%s", message);
    free(message);
}

void xf_reader_complain(struct xf_reader *reader, const struct xf_yaml_node *node,
                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_problem(reader, node, false, format, arguments);
    va_end(arguments);
}

void xf_reader_warn(struct xf_reader *reader, const struct xf_yaml_node *node, const char *format,
                    ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_problem(reader, node, true, format, arguments);
    va_end(arguments);
}
