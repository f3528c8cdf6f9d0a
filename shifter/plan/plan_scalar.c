/*
 * plan_scalar.c -- the values that stand in a plan, each with its complaint.
 */
#include "shifter/plan/plan_parts.h"

#include "config/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void xf_plan_complain(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                      const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    reader->failed = true;
    xf_problems_add(reader->problems, node != NULL ? node->line : 1,
                    node != NULL ? node->column : 1, false, "%s", message);
}

bool xf_plan_keys(struct xf_plan_reader *reader, const struct xf_yaml_node *mapping,
                  const char *where, const char *const *known, size_t count)
{
    if (mapping->kind != XF_YAML_MAPPING) {
        xf_plan_complain(reader, mapping, "%s must be a mapping of keys", where);
        return false;
    }
    for (const struct xf_yaml_node *entry = mapping->children; entry != NULL; entry = entry->next) {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++) {
            found = strcmp(entry->key, known[i]) == 0;
        }
        if (found) {
            continue;
        }
        const char *near = xf_text_nearest(entry->key, known, count);
        struct xf_yaml_node at = {.line = entry->key_line, .column = entry->key_column};
        if (near != NULL) {
            xf_plan_complain(reader, &at, "unknown key \"%.80s\" in %s (did you mean \"%s\"?)",
                             entry->key, where, near);
        } else {
            xf_plan_complain(reader, &at, "unknown key \"%.80s\" in %s", entry->key, where);
        }
    }
    return true;
}

/* The scalar's text, or NULL after a complaint. */
static const char *scalar(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                          const char *wanted)
{
    if (node->kind != XF_YAML_SCALAR) {
        xf_plan_complain(reader, node, "\"%s\" must be %s", node->key != NULL ? node->key : "entry",
                         wanted);
        return NULL;
    }
    return node->scalar;
}

static void complain_value(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                           const char *wanted)
{
    xf_plan_complain(reader, node, "\"%s\" must be %s, not \"%.80s\"",
                     node->key != NULL ? node->key : "entry", wanted, node->scalar);
}

void xf_plan_text(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                  bool (*valid)(const char *), char ret[XF_NAME_BYTES])
{
    const char *text = node != NULL ? scalar(reader, node, "a name") : NULL;
    if (text == NULL) {
        return;
    }
    if (!valid(text) || strlen(text) >= XF_NAME_BYTES) {
        complain_value(reader, node, "a name of a-z, 0-9 and - (a plan's also of .)");
        return;
    }
    (void) snprintf(ret, XF_NAME_BYTES, "%s", text);
}

void xf_plan_bool(struct xf_plan_reader *reader, const struct xf_yaml_node *node, bool *ret)
{
    const char *text = node != NULL ? scalar(reader, node, "true or false") : NULL;
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "true") == 0) {
        *ret = true;
    } else if (strcmp(text, "false") == 0) {
        *ret = false;
    } else {
        complain_value(reader, node, "true or false");
    }
}

void xf_plan_duration(struct xf_plan_reader *reader, const struct xf_yaml_node *node, int64_t least,
                      int64_t *ret)
{
    const char *text = node != NULL ? scalar(reader, node, "a duration such as 10m") : NULL;
    if (text == NULL) {
        return;
    }
    int64_t ms;
    if (text[0] == '-') {
        xf_plan_complain(reader, node, "\"%s\" must not be negative",
                         node->key != NULL ? node->key : "entry");
    } else if (!xf_parse_duration_ms(text, &ms)) {
        complain_value(reader, node, "a duration such as 10m");
    } else if (ms < least || ms > XF_PLAN_DURATION_MS_MAX) {
        char text_least[XF_DURATION_TEXT_BYTES];
        xf_plan_complain(reader, node, "\"%s\" must be from %s to 366d",
                         node->key != NULL ? node->key : "entry",
                         xf_format_duration(least, text_least));
    } else {
        *ret = ms;
    }
}

void xf_plan_weight(struct xf_plan_reader *reader, const struct xf_yaml_node *node, unsigned *ret)
{
    const char *text = node != NULL ? scalar(reader, node, "a percentage such as 12.5%") : NULL;
    if (text != NULL && !xf_parse_weight(text, ret)) {
        complain_value(reader, node, "a percentage from 0% to 100%, such as 12.5%");
    }
}

/* `text` without its last character `unit` as a number. */
static bool number_with_unit(const char *text, char unit, double *ret)
{
    size_t length = strlen(text);
    char digits[32];
    if (length < 2 || length > sizeof(digits) || text[length - 1] != unit) {
        return false;
    }
    memcpy(digits, text, length - 1);
    digits[length - 1] = '\0';
    return xf_parse_number(digits, ret);
}

void xf_plan_share(struct xf_plan_reader *reader, const struct xf_yaml_node *node, double most,
                   double *ret)
{
    const char *text = node != NULL ? scalar(reader, node, "a percentage such as 0.05%") : NULL;
    double percent;
    if (text == NULL) {
        return;
    }
    if (!number_with_unit(text, '%', &percent) || percent <= 0.0 || percent > most * 100.0) {
        char wanted[80];
        (void) snprintf(wanted, sizeof(wanted), "a percentage above 0%% and at most %g%%",
                        most * 100.0);
        complain_value(reader, node, wanted);
        return;
    }
    *ret = percent / 100.0;
}

void xf_plan_ratio(struct xf_plan_reader *reader, const struct xf_yaml_node *node, double *ret)
{
    const char *text = node != NULL ? scalar(reader, node, "a ratio such as 1.2x") : NULL;
    double ratio;
    if (text == NULL) {
        return;
    }
    if (!number_with_unit(text, 'x', &ratio) || ratio < 1.0 || ratio > 1000.0) {
        complain_value(reader, node, "a ratio from 1x to 1000x, such as 1.2x");
        return;
    }
    *ret = ratio;
}

void xf_plan_choice(struct xf_plan_reader *reader, const struct xf_yaml_node *node,
                    const char *const *words, size_t count, unsigned *ret)
{
    const char *text = node != NULL ? scalar(reader, node, "a word") : NULL;
    if (text == NULL) {
        return;
    }
    char wanted[160] = "";
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = (unsigned) i;
            return;
        }
        int written = snprintf(wanted + length, sizeof(wanted) - length, "%s%s",
                               i > 0 ? " or " : "", words[i]);
        length += written > 0 && (size_t) written < sizeof(wanted) - length ? (size_t) written : 0;
    }
    complain_value(reader, node, wanted);
}

bool xf_plan_is_word(const struct xf_yaml_node *node, const char *word)
{
    return node != NULL && node->kind == XF_YAML_SCALAR && strcmp(node->scalar, word) == 0;
}
