/*
 * validate.c -- the tree of a file against the table of keys.
 *
 * Walks both together: the place in the file is a concrete path (`clusters.web-v1.check`), its row
 * in the table a pattern (`clusters.*.check`).  The depth of the walk is that of the table.
 */
#include "config/validate.h"

#include "config/base/limits.h"
#include "config/base/text.h"
#include "config/keys.h"
#include "config/values.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATTERN_BYTES 96
#define PLACE_BYTES   256
#define OWNER_BYTES   96
#define SCHEME_BYTES  24
#define SIBLINGS_MAX  32

/* Where the walk stands.  Each step down makes a new one on the stack. */
struct place {
    char pattern[PATTERN_BYTES]; /* clusters.*.check */
    char path[PLACE_BYTES];      /* clusters.web-v1.check */
    char owner[OWNER_BYTES];     /* cluster "web-v1"; empty outside */
    char inside[PLACE_BYTES];    /* check: the part of the path below the owner */
};

static void check_value(const struct xf_yaml_node *node, const struct xf_key *key,
                        const struct place *place, struct xf_problems *problems);

static void complain(struct xf_problems *problems, const struct xf_yaml_node *node,
                     const struct place *place, const char *what)
{
    xf_problems_add(problems, node->line, node->column, false, "%s: %s",
                    place->path[0] == '\0' ? "the file" : place->path, what);
}

/* ` in check of cluster "web-v1"`, ` in timeouts`, or nothing at the top. */
static void describe(const struct place *place, char out[PLACE_BYTES])
{
    const char *owner = place->owner;
    const char *inside = place->inside;
    bool both = owner[0] != '\0' && inside[0] != '\0';
    snprintf(out, PLACE_BYTES, "%s%.96s%s%.120s",
             owner[0] != '\0' || inside[0] != '\0' ? " in " : "", inside, both ? " of " : "",
             owner);
}

static void unknown_key(const struct xf_yaml_node *node, const struct place *place,
                        struct xf_problems *problems)
{
    const char *siblings[SIBLINGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < xf_key_count() && count < SIBLINGS_MAX; i++) {
        if (xf_key_below(xf_key_at(i), place->pattern)) {
            siblings[count++] = xf_key_word(xf_key_at(i));
        }
    }
    const char *near = xf_text_nearest(node->key, siblings, count);
    char where[PLACE_BYTES];
    describe(place, where);
    xf_problems_add(problems, node->key_line, node->key_column, false,
                    "unknown key \"%.64s\"%s%s%s%s", node->key, where,
                    near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                    near == NULL ? "" : "\"?)");
}

static const char *dot_after(const char *path)
{
    return path[0] == '\0' ? "" : ".";
}

/* One step down to an entry: `word` is what the file says, `pattern` what the table calls it. */
static struct place step(const struct place *from, const char *pattern, const char *word)
{
    struct place to;
    snprintf(to.pattern, sizeof(to.pattern), "%.60s%s%.30s", from->pattern,
             dot_after(from->pattern), pattern);
    snprintf(to.path, sizeof(to.path), "%.150s%s%.64s", from->path, dot_after(from->path), word);
    snprintf(to.inside, sizeof(to.inside), "%.150s%s%.64s", from->inside, dot_after(from->inside),
             word);
    memcpy(to.owner, from->owner, sizeof(to.owner));
    return to;
}

/* One step down to item number `index` of a list. */
static struct place step_item(const struct place *from, unsigned index)
{
    struct place to;
    snprintf(to.pattern, sizeof(to.pattern), "%.90s[]", from->pattern);
    snprintf(to.path, sizeof(to.path), "%.200s[%u]", from->path, index);
    snprintf(to.inside, sizeof(to.inside), "%.200s[%u]", from->inside, index);
    memcpy(to.owner, from->owner, sizeof(to.owner));
    return to;
}

static void check_section(const struct xf_yaml_node *node, const struct place *place,
                          struct xf_problems *problems)
{
    for (const struct xf_yaml_node *n = node->children; n != NULL; n = n->next) {
        char pattern[PATTERN_BYTES + 80];
        snprintf(pattern, sizeof(pattern), "%s%s%.64s", place->pattern, dot_after(place->pattern),
                 n->key);
        const struct xf_key *key = xf_key_find(pattern);
        if (key == NULL || !xf_key_below(key, place->pattern)) {
            unknown_key(n, place, problems);
            continue;
        }
        struct place below = step(place, n->key, n->key);
        check_value(n, key, &below, problems);
    }
    for (size_t i = 0; i < xf_key_count(); i++) {
        const struct xf_key *key = xf_key_at(i);
        if (key->support == XF_KEY_REQUIRED && xf_key_below(key, place->pattern) &&
            xf_yaml_get(node, xf_key_word(key)) == NULL) {
            char where[PLACE_BYTES];
            describe(place, where);
            xf_problems_add(problems, node->line, node->column, false, "missing key \"%s\"%s",
                            xf_key_word(key), where);
        }
    }
}

static void check_named(const struct xf_yaml_node *node, const struct xf_key *key,
                        const struct place *place, struct xf_problems *problems)
{
    char pattern[PATTERN_BYTES + 2];
    snprintf(pattern, sizeof(pattern), "%s.*", place->pattern);
    const struct xf_key *section = xf_key_find(pattern);
    XF_ASSERT(section != NULL);
    for (const struct xf_yaml_node *n = node->children; n != NULL; n = n->next) {
        if (!xf_name_valid(n->key)) {
            xf_problems_add(problems, n->key_line, n->key_column, false,
                            "\"%.64s\" is no name for a %s: 1 to 63 lower-case letters, digits "
                            "and dashes, not beginning with a dash",
                            n->key, key->range);
        }
        struct place below = step(place, "*", n->key);
        snprintf(below.owner, sizeof(below.owner), "%s \"%.64s\"", key->range, n->key);
        below.inside[0] = '\0';
        check_value(n, section, &below, problems);
    }
}

static void check_list(const struct xf_yaml_node *node, const struct place *place,
                       struct xf_problems *problems)
{
    unsigned index = 0;
    for (const struct xf_yaml_node *n = node->children; n != NULL; n = n->next) {
        struct place below = step_item(place, index++);
        const struct xf_key *item = xf_key_find(below.pattern);
        XF_ASSERT(item != NULL);
        check_value(n, item, &below, problems);
    }
}

/* A file is tried by reading it: a path that exists may still be of somebody else or a folder. */
static void check_file(const struct xf_yaml_node *node, const struct place *place,
                       struct xf_problems *problems)
{
    char byte;
    int file = open(node->scalar, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t got = file < 0 ? -1 : read(file, &byte, 1);
    if (got < 0) {
        xf_problems_add(problems, node->line, node->column, false, "%s: cannot read %.160s: %s",
                        place->path, node->scalar, strerrordesc_np(errno));
    } else if (got == 0) {
        xf_problems_add(problems, node->line, node->column, false, "%s: %.160s is empty",
                        place->path, node->scalar);
    }
    if (file >= 0) {
        close(file);
    }
}

static void check_scheme(const struct xf_yaml_node *node, const struct place *place,
                         struct xf_problems *problems)
{
    char scheme[SCHEME_BYTES];
    size_t length = strcspn(node->scalar, ":");
    length += strncmp(node->scalar + length, "://", 3) == 0 ? 3 : 1;
    enum xf_key_support support;
    if (length >= sizeof(scheme) || strchr(node->scalar, ':') == NULL) {
        complain(problems, node, place,
                 "expected a store's URL such as sqlite:/path or redis://host:6379/0");
        return;
    }
    memcpy(scheme, node->scalar, length);
    scheme[length] = '\0';
    if (!xf_key_scheme(scheme, &support)) {
        complain(problems, node, place,
                 "unknown kind of store: expected a URL such as sqlite:/path or "
                 "redis://host:6379/0");
    } else if (support == XF_KEY_LATER) {
        xf_problems_add(problems, node->line, node->column, false, "%s: %s is not yet supported",
                        place->path, scheme);
    }
}

static void check_scalar(const struct xf_yaml_node *node, const struct xf_key *key,
                         const struct place *place, struct xf_problems *problems)
{
    char why[XF_VALUE_WHY_BYTES];
    if (node->kind != XF_YAML_SCALAR) {
        snprintf(why, sizeof(why), "expected %s", xf_key_type_text(key->type));
        complain(problems, node, place, why);
    } else if (!xf_value_fits(key, node->scalar, node->quoted, why)) {
        complain(problems, node, place, why);
    } else if (key->type == XF_KEY_FILE) {
        check_file(node, place, problems);
    } else if (key->type == XF_KEY_STORE) {
        check_scheme(node, place, problems);
    }
}

/* A section, or the value of the one key that its short form means. */
static void check_section_or_short(const struct xf_yaml_node *node, const struct xf_key *key,
                                   const struct place *place, struct xf_problems *problems)
{
    if (node->kind == XF_YAML_MAPPING) {
        check_section(node, place, problems);
        return;
    }
    if (node->kind == XF_YAML_SCALAR && key->range[0] != '\0') {
        char pattern[PATTERN_BYTES + 32];
        snprintf(pattern, sizeof(pattern), "%s.%s", key->path, key->range);
        const struct xf_key *short_key = xf_key_find(pattern);
        XF_ASSERT(short_key != NULL);
        check_scalar(node, short_key, place, problems);
        return;
    }
    complain(problems, node, place,
             node->kind == XF_YAML_SCALAR && node->scalar[0] == '\0'
                 ? "is empty: give it keys, or leave it out"
                 : "expected a section of keys");
}

static void check_sections(const struct xf_yaml_node *node, const struct xf_key *key,
                           const struct place *place, struct xf_problems *problems)
{
    unsigned index = 0;
    if (node->kind != XF_YAML_SEQUENCE) {
        check_section_or_short(node, key, place, problems);
        return;
    }
    for (const struct xf_yaml_node *n = node->children; n != NULL; n = n->next) {
        struct place below = step_item(place, index++);
        memcpy(below.pattern, place->pattern, sizeof(below.pattern)); /* the keys are the same */
        check_section_or_short(n, key, &below, problems);
    }
    if (index == 0) {
        complain(problems, node, place, "is empty: give it a section, or leave it out");
    }
}

static void check_cluster(const struct xf_yaml_node *node, const struct place *place,
                          struct xf_problems *problems)
{
    struct place servers = *place;
    snprintf(servers.pattern, sizeof(servers.pattern), "%.60s.servers", place->pattern);
    if (node->kind == XF_YAML_MAPPING) {
        check_section(node, place, problems);
    } else if (node->kind == XF_YAML_SEQUENCE) {
        check_list(node, &servers, problems);
    } else {
        check_scalar(node, xf_key_find("clusters.*.servers[].address"), place, problems);
    }
}

static void check_value(const struct xf_yaml_node *node, const struct xf_key *key,
                        const struct place *place, struct xf_problems *problems)
{
    if (key->support == XF_KEY_LATER) {
        xf_problems_add(problems, node->key == NULL ? node->line : node->key_line,
                        node->key == NULL ? node->column : node->key_column, false,
                        "%s is not yet supported", place->path);
        return;
    }
    switch (key->type) {
    case XF_KEY_SECTION:
        check_section_or_short(node, key, place, problems);
        break;
    case XF_KEY_SECTIONS:
        check_sections(node, key, place, problems);
        break;
    case XF_KEY_CLUSTER:
        check_cluster(node, place, problems);
        break;
    case XF_KEY_NAMED:
        if (node->kind == XF_YAML_MAPPING) {
            check_named(node, key, place, problems);
        } else {
            complain(problems, node, place, "expected names with a section each");
        }
        break;
    case XF_KEY_LIST:
        if (node->kind == XF_YAML_SEQUENCE) {
            check_list(node, place, problems);
        } else {
            complain(problems, node, place, "expected a list");
        }
        break;
    default:
        check_scalar(node, key, place, problems);
        break;
    }
}

void xf_validate_tree(const struct xf_yaml_node *root, struct xf_problems *problems)
{
    static const struct place top;
    if (root->kind == XF_YAML_MAPPING) {
        check_section(root, &top, problems);
    } else {
        complain(problems, root, &top, "expected keys such as listeners, services and clusters");
    }
}
