/*
 * explain.c -- the table of keys in words, for the command line and for KEYS.md.
 */
#include "config/explain.h"

#include "config/base/text.h"
#include "config/config.h"
#include "config/keys.h"

#include <stdio.h>
#include <string.h>

#define TYPE_TEXT_BYTES 256
#define KEYS_MAX        256

/* `a duration such as 10s, off or 1ms to 24h`: the type together with its range. */
static const char *type_text(const struct xf_key *key, char out[TYPE_TEXT_BYTES])
{
    bool ranged = key->type != XF_KEY_SECTION && key->type != XF_KEY_NAMED && key->range[0] != '\0';
    const char *type = xf_key_type_text(key->type);
    if (!ranged) {
        snprintf(out, TYPE_TEXT_BYTES, "%s", type);
        return out;
    }
    size_t used = (size_t) snprintf(out, TYPE_TEXT_BYTES, "%s: ", type);
    for (const char *p = key->range; *p != '\0' && used < TYPE_TEXT_BYTES - 8; p++) {
        const char *text = *p == '|' ? ", " : strncmp(p, "..", 2) == 0 ? " to " : NULL;
        used += (size_t) (text == NULL ? snprintf(out + used, TYPE_TEXT_BYTES - used, "%c", *p)
                                       : snprintf(out + used, TYPE_TEXT_BYTES - used, "%s", text));
        p += text != NULL && *p == '.' ? 1 : 0;
    }
    return out;
}

/* A key is supported only if all that it stands in is. */
static bool supported(const struct xf_key *key)
{
    for (size_t i = 0; i < xf_key_count(); i++) {
        const struct xf_key *above = xf_key_at(i);
        size_t length = strlen(above->path);
        if (above->support == XF_KEY_LATER && strncmp(key->path, above->path, length) == 0 &&
            (key->path[length] == '\0' || key->path[length] == '.' || key->path[length] == '[')) {
            return false;
        }
    }
    return true;
}

static const char *need_text(const struct xf_key *key)
{
    return !supported(key)                   ? "not yet supported"
           : key->support == XF_KEY_REQUIRED ? "required"
                                             : NULL;
}

/* `key` itself, or what begins with `asked` at the end of a word; names may stand for `*` and any
 * number for []: clusters.web.check is clusters.*.check. */
static bool asked_for(const struct xf_key *key, const char *asked)
{
    const char *k = key->path;
    const char *a = asked;
    while (*k != '\0' && *a != '\0') {
        if (*k == '*') {
            size_t name = strcspn(a, ".[");
            if (name == 0) {
                return false;
            }
            a += name;
            k++;
        } else if (*k == '[' && *a == '[') {
            a += strcspn(a, "]");
            a += *a == ']' ? 1 : 0;
            k += 2;
        } else if (*k == *a) {
            k++;
            a++;
        } else {
            return false;
        }
    }
    return *a == '\0' && (*k == '\0' || *k == '.' || *k == '[');
}

static void print_key(const struct xf_key *key, FILE *stream)
{
    char type[TYPE_TEXT_BYTES];
    fprintf(stream, "%s\n    %s\n    type: %s\n", key->path, key->meaning, type_text(key, type));
    if (key->fallback != NULL) {
        fprintf(stream, "    default: %s\n", key->fallback);
    }
    if (need_text(key) != NULL) {
        fprintf(stream, "    %s\n", need_text(key));
    }
}

/* The key that was probably meant: one that begins so, else the nearest by path or last word. */
static const char *nearest(const char *key)
{
    const char *names[2 * KEYS_MAX];
    size_t count = xf_key_count();
    XF_ASSERT(count <= KEYS_MAX); /* the table is ours */
    for (size_t i = 0; i < count; i++) {
        names[2 * i] = xf_key_at(i)->path;
        const char *word = xf_key_word(xf_key_at(i));
        names[2 * i + 1] = word[0] == '*' ? names[2 * i] : word;
        if (key[0] != '\0' && strncmp(names[2 * i], key, strlen(key)) == 0) {
            return names[2 * i];
        }
    }
    const char *near = xf_text_nearest(key, names, 2 * count);
    for (size_t i = 0; i < count && near != NULL; i++) {
        if (near == names[2 * i] || near == names[2 * i + 1]) {
            return names[2 * i];
        }
    }
    return NULL;
}

bool xf_config_explain(const char *key, void *stream, const char **ret_near)
{
    bool found = false;
    for (size_t i = 0; i < xf_key_count(); i++) {
        if (key == NULL || asked_for(xf_key_at(i), key)) {
            print_key(xf_key_at(i), stream);
            found = true;
        }
    }
    if (found) {
        return true;
    }
    *ret_near = nearest(key);
    return false;
}

static void print_cell(FILE *stream, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '|') {
            fputc('\\', stream);
        }
        fputc(*p, stream);
    }
}

void xf_config_explain_page(void *stream)
{
    fputs("# Keys of the configuration file\n\n"
          "Printed from `config/keys.def` by `./dev fmt`; do not edit. `*` is a name that you "
          "choose, `[]` an item of a list. `crossfade explain KEY` prints the same for one key.\n\n"
          "| key | value | default | meaning |\n|---|---|---|---|\n",
          stream);
    for (size_t i = 0; i < xf_key_count(); i++) {
        const struct xf_key *key = xf_key_at(i);
        char type[TYPE_TEXT_BYTES];
        fprintf(stream, "| `%s` | ", key->path);
        print_cell(stream, type_text(key, type));
        fputs(" | ", stream);
        if (key->fallback != NULL) {
            fprintf(stream, "`%s`", key->fallback);
        }
        if (need_text(key) != NULL) {
            fprintf(stream, "%s%s", key->fallback != NULL ? ", " : "", need_text(key));
        }
        fputs(" | ", stream);
        print_cell(stream, key->meaning);
        fputs(" |\n", stream);
    }
}
