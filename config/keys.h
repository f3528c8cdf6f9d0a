/*
 * keys.h -- the table of all configuration keys, made from keys.def.
 *
 * The reader, the validator, `crossfade explain`, the documentation and the tests all take their
 * keys from here, so none can know a key that the others do not.
 */
#ifndef XF_CONFIG_KEYS_H
#define XF_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* What a value looks like.  The comment says what `range` holds for it. */
enum xf_key_type {
    XF_KEY_SECTION,  /* keys of its own; range: the key meant by a value in short form, or "" */
    XF_KEY_SECTIONS, /* such a section, or a list of them */
    XF_KEY_NAMED,    /* sections under names that the operator chooses; range: what one is called */
    XF_KEY_LIST,     /* a list; its items are the key with [] */
    XF_KEY_CLUSTER,  /* a section, or its servers alone: one address or a list of them */
    XF_KEY_TEXT,     /* any text */
    XF_KEY_NAME,     /* of a service or cluster */
    XF_KEY_TOKEN,    /* an HTTP token: header, cookie, protocol */
    XF_KEY_BOOL,
    XF_KEY_NUMBER,   /* range: words and low..high, parted by | */
    XF_KEY_DURATION, /* likewise */
    XF_KEY_SIZE,     /* likewise */
    XF_KEY_PERCENT,  /* likewise */
    XF_KEY_RATE,     /* events in a unit of time */
    XF_KEY_CHOICE,   /* range: the words, parted by | */
    XF_KEY_PATH,     /* a path that need not exist */
    XF_KEY_FILE,     /* a file that must be readable and not empty */
    XF_KEY_URL_PATH, /* of a request: begins with a slash */
    XF_KEY_BIND,     /* a numeric address with its port */
    XF_KEY_SERVER,   /* a host with its port */
    XF_KEY_NETWORK,  /* CIDR */
    XF_KEY_STATUSES, /* 200 or 200-299 */
    XF_KEY_STORE,    /* a store's URL */
    XF_KEY_DATABASE, /* a PostgreSQL URL */
    XF_KEY_WEB_URL,  /* http:// or https:// */
};

enum xf_key_support { XF_KEY_YES, XF_KEY_REQUIRED, XF_KEY_LATER };

struct xf_key {
    const char *path; /* clusters.*.check.path; * is a chosen name, [] an item of a list */
    enum xf_key_type type;
    const char *range;
    const char *fallback; /* the default as one would write it; NULL: none */
    enum xf_key_support support;
    const char *meaning;
};

size_t xf_key_count(void);
const struct xf_key *xf_key_at(size_t index);
const struct xf_key *xf_key_find(const char *path); /* NULL: no such key */
/* The last word of the path: `check` for clusters.*.check. */
const char *xf_key_word(const struct xf_key *key);
/* True where `key` stands directly below `parent` ("" for the top); items and names are not. */
bool xf_key_below(const struct xf_key *key, const char *parent);
/* How a value of that type is called in a sentence: `a duration such as 250ms, 10s or 1h30m`. */
const char *xf_key_type_text(enum xf_key_type type);

/* Whether the store's scheme (`redis://`) may be used already; false where it is unknown. */
bool xf_key_scheme(const char *scheme, enum xf_key_support *ret);

#endif
