/*
 * keys.c -- keys.def as a table, and how its rows are found.
 */
#include "config/keys.h"

#include "config/base/check.h"

#include <string.h>

static const struct xf_key keys[] = {
#define XF_KEY(path, type, range, fallback, support, meaning)                                      \
    {path, XF_KEY_##type, range, fallback, XF_KEY_##support, meaning},
#define XF_SCHEME(scheme, support)
#include "config/keys.def"
#undef XF_KEY
#undef XF_SCHEME
};

static const struct {
    const char *scheme;
    enum xf_key_support support;
} schemes[] = {
#define XF_KEY(path, type, range, fallback, support, meaning)
#define XF_SCHEME(scheme, support) {scheme, XF_KEY_##support},
#include "config/keys.def"
#undef XF_KEY
#undef XF_SCHEME
};

size_t xf_key_count(void)
{
    return XF_COUNT(keys);
}

const struct xf_key *xf_key_at(size_t index)
{
    XF_ASSERT(index < XF_COUNT(keys));
    return &keys[index];
}

const struct xf_key *xf_key_find(const char *path)
{
    for (size_t i = 0; i < XF_COUNT(keys); i++) {
        if (strcmp(keys[i].path, path) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

const char *xf_key_word(const struct xf_key *key)
{
    const char *dot = strrchr(key->path, '.');
    return dot == NULL ? key->path : dot + 1;
}

bool xf_key_below(const struct xf_key *key, const char *parent)
{
    size_t length = strlen(parent);
    const char *rest = key->path;
    if (length > 0) {
        if (strncmp(rest, parent, length) != 0 || rest[length] != '.') {
            return false;
        }
        rest += length + 1;
    }
    return strpbrk(rest, ".[*") == NULL;
}

const char *xf_key_type_text(enum xf_key_type type)
{
    static const char *const texts[] = {
        [XF_KEY_SECTION] = "a section of keys",
        [XF_KEY_SECTIONS] = "a section of keys, or a list of such sections",
        [XF_KEY_NAMED] = "a section of names",
        [XF_KEY_LIST] = "a list",
        [XF_KEY_CLUSTER] = "a section, a server's address or a list of them",
        [XF_KEY_TEXT] = "a text",
        [XF_KEY_NAME] = "a name of lower-case letters, digits and dashes",
        [XF_KEY_TOKEN] = "a token of letters, digits and dashes",
        [XF_KEY_BOOL] = "true or false",
        [XF_KEY_NUMBER] = "a whole number",
        [XF_KEY_DURATION] = "a duration such as 250ms, 10s or 1h30m",
        [XF_KEY_SIZE] = "a size such as 512, 64KiB or 1GiB",
        [XF_KEY_PERCENT] = "a percentage such as 12.5%",
        [XF_KEY_RATE] = "a rate such as 20/s",
        [XF_KEY_CHOICE] = "one of a few words",
        [XF_KEY_PATH] = "a path",
        [XF_KEY_FILE] = "a file",
        [XF_KEY_URL_PATH] = "a path that begins with /",
        [XF_KEY_BIND] = "a numeric address with its port such as 127.0.0.1:8000 or \"[::]:8443\"",
        [XF_KEY_SERVER] = "a host with its port such as 10.0.0.11:8000 or web.example:80",
        [XF_KEY_NETWORK] = "a network such as 10.0.0.0/8",
        [XF_KEY_STATUSES] = "a status or a range of them such as 200-299",
        [XF_KEY_STORE] = "a store's URL such as sqlite:/path or redis://host:6379/0",
        [XF_KEY_DATABASE] = "a URL such as postgresql://user@host/database",
        [XF_KEY_WEB_URL] = "a URL such as https://host/path",
    };
    XF_ASSERT((size_t) type < XF_COUNT(texts));
    return texts[type];
}

bool xf_key_scheme(const char *scheme, enum xf_key_support *ret)
{
    for (size_t i = 0; i < XF_COUNT(schemes); i++) {
        if (strcmp(schemes[i].scheme, scheme) == 0) {
            *ret = schemes[i].support;
            return true;
        }
    }
    return false;
}
