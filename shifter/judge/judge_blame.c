/*
 * judge_blame.c -- which servers and which paths carry green's errors?
 */
#include "shifter/judge/judge_blame.h"

#include "shifter/judge/judge_sentence.h"

#include "config/base/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define STANDS_OUT 0.6   /* of all excess errors: then it is named alone */
#define TIMES_REST 2.0   /* and its failing share is so many times that of the rest */
#define CHANCE_MAX 0.005 /* that this many fall on it if all were alike */
#define ALONE_MIN  3u    /* errors of its own, at least */
#define DRAWS_MAX  10000u
#define IDENTIFIER 16u /* hexadecimal digits and dashes that make a segment an identifier */

void xf_blame_init(struct xf_blame *blame)
{
    blame->count = 0;
    blame->done = 0;
    blame->bad = 0;
}

/* Printable ASCII, cut to what fits. */
static size_t clean_text(const char *text, size_t length, char out[XF_BLAME_TEXT_BYTES])
{
    size_t used = length < XF_BLAME_TEXT_BYTES - 1 ? length : XF_BLAME_TEXT_BYTES - 1;
    for (size_t i = 0; i < used; i++) {
        out[i] = text[i] > 0x20 && text[i] < 0x7f ? text[i] : '?';
    }
    out[used] = '\0';
    return used;
}

static struct xf_blame_key *find_key(struct xf_blame *blame, uint64_t hash)
{
    for (unsigned i = 0; i < blame->count; i++) {
        if (blame->keys[i].hash == hash) {
            return &blame->keys[i];
        }
    }
    return NULL;
}

/* A place for a key that fails: a free one, or that of the key with the fewest errors, whose
 * errors it inherits as an overestimate. */
static struct xf_blame_key *make_key(struct xf_blame *blame, uint64_t hash)
{
    struct xf_blame_key *place = &blame->keys[0];
    uint64_t over = 0;
    if (blame->count < XF_BLAME_KEYS) {
        place = &blame->keys[blame->count++];
    } else {
        for (unsigned i = 1; i < blame->count; i++) {
            if (blame->keys[i].bad < place->bad) {
                place = &blame->keys[i];
            }
        }
        over = place->bad;
    }
    *place = (struct xf_blame_key){.hash = hash, .done = over, .bad = over, .over = over};
    return place;
}

void xf_blame_add(struct xf_blame *blame, const char *text, size_t length, uint64_t done,
                  uint64_t bad)
{
    char clean[XF_BLAME_TEXT_BYTES];
    size_t used = clean_text(text, length, clean);
    uint64_t hash = XXH3_64bits(clean, used);
    blame->done += done;
    blame->bad += bad;
    struct xf_blame_key *key = find_key(blame, hash);
    if (key == NULL && bad == 0) {
        return;
    }
    if (key == NULL) {
        key = make_key(blame, hash);
        memcpy(key->text, clean, used + 1);
    }
    key->done += done;
    key->bad += bad;
}

void xf_blame_merge(struct xf_blame *blame, const struct xf_blame *from)
{
    uint64_t kept_done = 0;
    uint64_t kept_bad = 0;
    for (unsigned i = 0; i < from->count && i < XF_BLAME_KEYS; i++) {
        const struct xf_blame_key *key = &from->keys[i];
        uint64_t bad = key->bad - key->over;
        uint64_t done = key->done - key->over;
        xf_blame_add(blame, key->text, strnlen(key->text, sizeof(key->text)), done, bad);
        kept_done += done;
        kept_bad += bad;
    }
    blame->done += from->done > kept_done ? from->done - kept_done : 0;
    blame->bad += from->bad > kept_bad ? from->bad - kept_bad : 0;
}

/* ---- paths ---- */

static bool is_identifier(const char *segment, size_t length)
{
    bool digits = length > 0;
    bool hexadecimal = length >= IDENTIFIER;
    for (size_t i = 0; i < length; i++) {
        char c = segment[i];
        bool digit = c >= '0' && c <= '9';
        digits = digits && digit;
        hexadecimal =
            hexadecimal && (digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-');
    }
    return digits || hexadecimal;
}

size_t xf_blame_path(const char *target, size_t length, char out[XF_BLAME_TEXT_BYTES])
{
    size_t used = 0;
    size_t at = 0;
    while (at < length && target[at] != '?' && target[at] != '#') {
        size_t end = at;
        while (end < length && target[end] != '/' && target[end] != '?' && target[end] != '#') {
            end++;
        }
        bool identifier = is_identifier(target + at, end - at);
        size_t take = identifier ? 1 : end - at;
        for (size_t i = 0; i < take && used < XF_BLAME_TEXT_BYTES - 1; i++) {
            out[used++] = identifier ? '*' : target[at + i];
        }
        at = end;
        if (at < length && target[at] == '/') {
            if (used < XF_BLAME_TEXT_BYTES - 1) {
                out[used++] = '/';
            }
            at++;
        }
    }
    out[used] = '\0';
    return used;
}

/* ---- who carries the excess ---- */

static double positive(double value)
{
    return value > 0 ? value : 0;
}

static void insert_item(struct xf_blame_item items[XF_BLAME_TOP], unsigned *count,
                        const struct xf_blame_item *item)
{
    unsigned at = *count;
    while (at > 0 && items[at - 1].excess < item->excess) {
        at--;
    }
    if (at == XF_BLAME_TOP) {
        return;
    }
    unsigned last = *count < XF_BLAME_TOP ? *count : XF_BLAME_TOP - 1;
    memmove(&items[at + 1], &items[at], (last - at) * sizeof(items[0]));
    items[at] = *item;
    *count = last + 1;
}

unsigned xf_blame_top(const struct xf_blame *blame, double expected,
                      struct xf_blame_item ret[XF_BLAME_TOP])
{
    double all = positive((double) blame->bad - expected * (double) blame->done);
    unsigned count = 0;
    for (unsigned i = 0; i < blame->count && all > 0; i++) {
        const struct xf_blame_key *key = &blame->keys[i];
        struct xf_blame_item item = {.done = key->done - key->over, .bad = key->bad - key->over};
        item.excess = (double) item.bad - expected * (double) item.done;
        item.of_all = item.excess / all;
        memcpy(item.text, key->text, sizeof(item.text));
        if (item.excess > 0) {
            insert_item(ret, &count, &item);
        }
    }
    return count;
}

/* The probability of at least `hits` in `draws` of chance `p` each. */
static double tail(uint64_t hits, uint64_t draws, double p)
{
    if (hits == 0 || p >= 1) {
        return 1;
    }
    if (p <= 0) {
        return 0;
    }
    double log_term = (double) draws * log1p(-p);
    double below = 0;
    for (uint64_t i = 0; i < hits; i++) {
        below += exp(log_term);
        log_term += log((double) (draws - i) / (double) (i + 1)) + log(p) - log1p(-p);
    }
    return below < 1 ? 1 - below : 0;
}

/* Whether its part of the bad ones is too large for chance among so few of them. */
static bool is_no_chance(const struct xf_blame *blame, const struct xf_blame_item *item)
{
    uint64_t draws = blame->bad < DRAWS_MAX ? blame->bad : DRAWS_MAX;
    double part = (double) item->bad / (double) blame->bad;
    uint64_t hits = (uint64_t) (part * (double) draws);
    return item->bad >= ALONE_MIN &&
           tail(hits, draws, (double) item->done / (double) blame->done) <= CHANCE_MAX;
}

static bool stands_out(const struct xf_blame *blame, const struct xf_blame_item *item)
{
    double rest_done = positive((double) blame->done - (double) item->done);
    double rest_bad = positive((double) blame->bad - (double) item->bad);
    if (item->of_all < STANDS_OUT || rest_done == 0) {
        return false;
    }
    return (double) item->bad * rest_done > TIMES_REST * rest_bad * (double) item->done &&
           is_no_chance(blame, item);
}

#define PHRASE_BYTES 400
static void name_keys(const struct xf_blame *blame, double expected, const char *kind,
                      char out[PHRASE_BYTES])
{
    struct xf_blame_item items[XF_BLAME_TOP];
    unsigned count = xf_blame_top(blame, expected, items);
    out[0] = '\0';
    if (count == 0) {
        return;
    }
    bool alone = stands_out(blame, &items[0]);
    size_t used =
        (size_t) snprintf(out, PHRASE_BYTES, "%s%s ", alone ? "mostly " : "",
                          alone || count == 1 ? kind : (kind[0] == 's' ? "servers" : "paths"));
    for (unsigned i = 0; i < (alone ? 1 : count) && used < PHRASE_BYTES; i++) {
        char bad[XF_COUNT_TEXT_BYTES];
        char all[XF_COUNT_TEXT_BYTES];
        used += (size_t) snprintf(
            out + used, PHRASE_BYTES - used, "%s%s (%s of %s errors)", i > 0 ? ", " : "",
            items[i].text, xf_format_count(items[i].bad, bad), xf_format_count(blame->bad, all));
    }
}

void xf_blame_phrase(const struct xf_blame *servers, const struct xf_blame *paths, double expected,
                     char out[XF_SENTENCE_BYTES])
{
    char on_servers[PHRASE_BYTES];
    char on_paths[PHRASE_BYTES];
    name_keys(servers, expected, "server", on_servers);
    name_keys(paths, expected, "path", on_paths);
    int room = (int) XF_SENTENCE_BYTES / 2 - 4;
    snprintf(out, XF_SENTENCE_BYTES, "%.*s%s%.*s", room, on_servers,
             on_servers[0] != '\0' && on_paths[0] != '\0' ? "; " : "", room, on_paths);
}
