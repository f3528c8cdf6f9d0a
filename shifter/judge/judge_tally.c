/*
 * judge_tally.c -- see judge_tally.h.
 */
#include "shifter/judge/judge_tally.h"

#include "config/base/check.h"
#include "shifter/net/json.h"

#include <string.h>

#define COUNT_MAX ((uint64_t) 1 << 40)

static const char *const stream_names[XF_STREAMS] = {
    [XF_STREAM_ERRORS] = "errors", [XF_STREAM_4XX] = "4xx", [XF_STREAM_SLOW] = "slow"};

void xf_tally_init(struct xf_tally *tally)
{
    memset(tally, 0, sizeof(*tally));
}

void xf_tally_done(struct xf_tally *tally, enum xf_judge_role role, uint64_t count)
{
    tally->done[role] += count;
}

void xf_tally_bad(struct xf_tally *tally, enum xf_judge_stream stream, enum xf_judge_role role,
                  const char *server, const char *target, size_t length)
{
    char path[XF_BLAME_TEXT_BYTES];
    size_t used = xf_blame_path(target, length, path);
    xf_blame_add(&tally->streams[stream].paths[role], path, used, 1, 1);
    if (role == XF_JUDGE_GREEN && server != NULL) {
        xf_blame_add(&tally->streams[stream].servers, server, strlen(server), 1, 1);
    }
}

static void fade(struct xf_blame *blame)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < blame->count; i++) {
        struct xf_blame_key key = blame->keys[i];
        key.done /= 2;
        key.bad /= 2;
        key.over /= 2;
        if (key.bad > key.over) {
            blame->keys[kept++] = key;
        }
    }
    blame->count = kept;
    blame->done /= 2;
    blame->bad /= 2;
}

void xf_tally_fade(struct xf_tally *tally)
{
    for (unsigned role = 0; role < 2; role++) {
        tally->done[role] /= 2;
    }
    for (unsigned i = 0; i < XF_STREAMS; i++) {
        fade(&tally->streams[i].servers);
        fade(&tally->streams[i].paths[XF_JUDGE_BLUE]);
        fade(&tally->streams[i].paths[XF_JUDGE_GREEN]);
    }
}

/* ---- to and from messages ---- */

static uint64_t bad_of(const struct xf_blame *blame, const char *text)
{
    for (unsigned i = 0; i < blame->count; i++) {
        if (strcmp(blame->keys[i].text, text) == 0) {
            return blame->keys[i].bad - blame->keys[i].over;
        }
    }
    return 0;
}

/* The keys with the most bad ones, XF_TALLY_SENT_MAX at most; returns how many. */
static unsigned largest(const struct xf_blame *blame,
                        const struct xf_blame_key *ret[XF_TALLY_SENT_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < blame->count; i++) {
        const struct xf_blame_key *key = &blame->keys[i];
        unsigned at = count;
        while (at > 0 && ret[at - 1]->bad - ret[at - 1]->over < key->bad - key->over) {
            at--;
        }
        if (at == XF_TALLY_SENT_MAX) {
            continue;
        }
        unsigned last = count < XF_TALLY_SENT_MAX ? count : XF_TALLY_SENT_MAX - 1;
        memmove(&ret[at + 1], &ret[at], (last - at) * sizeof(*ret));
        ret[at] = key;
        count = last + 1;
    }
    return count;
}

static json_t *stream_json(const struct xf_tally_stream *stream)
{
    const struct xf_blame_key *keys[XF_TALLY_SENT_MAX];
    const struct xf_blame *blue = &stream->paths[XF_JUDGE_BLUE];
    const struct xf_blame *green = &stream->paths[XF_JUDGE_GREEN];
    json_t *servers = json_array();
    json_t *paths = json_array();
    unsigned count = largest(&stream->servers, keys);
    for (unsigned i = 0; i < count; i++) {
        (void) json_array_append_new(
            servers,
            json_pack("[s, I]", keys[i]->text, (json_int_t) (keys[i]->bad - keys[i]->over)));
    }
    count = largest(green, keys);
    for (unsigned i = 0; i < count; i++) {
        (void) json_array_append_new(paths, json_pack("[s, I, I]", keys[i]->text,
                                                      (json_int_t) bad_of(blue, keys[i]->text),
                                                      (json_int_t) (keys[i]->bad - keys[i]->over)));
    }
    return json_pack("{s:[I, I], s:o, s:o}", "bad", (json_int_t) blue->bad, (json_int_t) green->bad,
                     "servers", servers, "paths", paths);
}

json_t *xf_tally_json(const struct xf_tally *tally, unsigned attempt)
{
    json_t *message = json_pack("{s:i, s:[I, I]}", "attempt", (int) attempt, "done",
                                (json_int_t) tally->done[XF_JUDGE_BLUE],
                                (json_int_t) tally->done[XF_JUDGE_GREEN]);
    bool ok = message != NULL;
    for (unsigned i = 0; i < XF_STREAMS; i++) {
        if (tally->streams[i].paths[XF_JUDGE_GREEN].bad > 0) {
            xf_json_put(message, stream_names[i], stream_json(&tally->streams[i]), &ok);
        }
    }
    if (!ok) {
        json_decref(message);
        return NULL;
    }
    return message;
}

static uint64_t count_at(struct xf_json *reader, const json_t *array, size_t at)
{
    const json_t *number = json_array_get(array, at);
    json_int_t value = json_integer_value(number);
    if (!json_is_integer(number) || value < 0 || (uint64_t) value > COUNT_MAX) {
        xf_json_fail(reader, "blame", "holds a number that is none");
        return 0;
    }
    return (uint64_t) value;
}

static void add_key(struct xf_json *reader, struct xf_blame *blame, const char *text,
                    uint64_t count)
{
    if (text == NULL) {
        xf_json_fail(reader, "blame", "holds a name that is none");
    } else {
        xf_blame_add(blame, text, strlen(text), count, count);
    }
}

static void add_stream(struct xf_json *reader, struct xf_tally_stream *sum, const json_t *stream)
{
    const json_t *bad = xf_json_array(reader, stream, "bad", XF_JSON_NEEDED, 2);
    const json_t *servers =
        xf_json_array(reader, stream, "servers", XF_JSON_NEEDED, XF_TALLY_SENT_MAX);
    const json_t *paths = xf_json_array(reader, stream, "paths", XF_JSON_NEEDED, XF_TALLY_SENT_MAX);
    size_t i;
    json_t *item;
    json_array_foreach(servers, i, item)
    {
        add_key(reader, &sum->servers, json_string_value(json_array_get(item, 0)),
                count_at(reader, item, 1));
    }
    json_array_foreach(paths, i, item)
    {
        const char *text = json_string_value(json_array_get(item, 0));
        add_key(reader, &sum->paths[XF_JUDGE_BLUE], text, count_at(reader, item, 1));
        add_key(reader, &sum->paths[XF_JUDGE_GREEN], text, count_at(reader, item, 2));
    }
    for (unsigned role = 0; role < 2; role++) { /* of all paths, those that were not told too */
        uint64_t told = sum->paths[role].bad;
        uint64_t all = count_at(reader, bad, role);
        sum->paths[role].bad = all > told ? all : told;
    }
}

int xf_tally_add_json(struct xf_tally *sum, const json_t *message, unsigned *ret_attempt,
                      struct xf_error *err)
{
    struct xf_json reader = {.what = "samples", .err = err};
    struct xf_tally one;
    unsigned attempt = 0;
    xf_tally_init(&one);
    xf_json_unsigned(&reader, message, "attempt", XF_JSON_NEEDED, INT32_MAX, &attempt);
    const json_t *done = xf_json_array(&reader, message, "done", XF_JSON_NEEDED, 2);
    for (unsigned role = 0; role < 2; role++) {
        one.done[role] = count_at(&reader, done, role);
    }
    for (unsigned i = 0; i < XF_STREAMS; i++) {
        const json_t *stream = xf_json_object(&reader, message, stream_names[i], XF_JSON_OPTIONAL);
        if (stream != NULL) {
            add_stream(&reader, &one.streams[i], stream);
        }
    }
    if (reader.failed) {
        return -1;
    }
    for (unsigned role = 0; role < 2; role++) {
        sum->done[role] += one.done[role];
        for (unsigned i = 0; i < XF_STREAMS; i++) {
            xf_blame_merge(&sum->streams[i].paths[role], &one.streams[i].paths[role]);
        }
    }
    for (unsigned i = 0; i < XF_STREAMS; i++) {
        xf_blame_merge(&sum->streams[i].servers, &one.streams[i].servers);
    }
    *ret_attempt = attempt;
    return 0;
}

/* ---- explaining ---- */

/* Gives every key its share of green's responses: a server an even one; a path by where blue's
 * own bad ones fall, so that what both share is no excess. */
static void apportion(const struct xf_tally *tally, const struct xf_tally_stream *stream,
                      unsigned servers, struct xf_blame *ret_servers, struct xf_blame *ret_paths)
{
    uint64_t done = tally->done[XF_JUDGE_GREEN];
    const struct xf_blame *blue = &stream->paths[XF_JUDGE_BLUE];
    *ret_servers = stream->servers;
    *ret_paths = stream->paths[XF_JUDGE_GREEN];
    ret_servers->done = done > ret_servers->bad ? done : ret_servers->bad;
    ret_paths->done = done > ret_paths->bad ? done : ret_paths->bad;
    for (unsigned i = 0; i < ret_servers->count; i++) {
        struct xf_blame_key *key = &ret_servers->keys[i];
        key->done = key->over + (servers > 0 ? done / servers : 0);
    }
    for (unsigned i = 0; i < ret_paths->count; i++) {
        struct xf_blame_key *key = &ret_paths->keys[i];
        double part = blue->bad > 0 ? (double) bad_of(blue, key->text) / (double) blue->bad : 0;
        key->done = key->over + (uint64_t) ((double) done * part);
    }
}

static json_t *items_json(const struct xf_blame *blame, double expected, const char *kind)
{
    struct xf_blame_item items[XF_BLAME_TOP];
    unsigned count = xf_blame_top(blame, expected, items);
    json_t *array = json_array();
    for (unsigned i = 0; i < count; i++) {
        (void) json_array_append_new(array, json_pack("{s:s, s:I, s:f}", kind, items[i].text, "bad",
                                                      (json_int_t) items[i].bad, "excess",
                                                      items[i].excess));
    }
    return array;
}

json_t *xf_tally_explain(const struct xf_tally *tally, enum xf_judge_stream stream,
                         unsigned servers)
{
    const struct xf_tally_stream *from = &tally->streams[stream];
    struct xf_blame of_servers;
    struct xf_blame of_paths;
    char sentence[XF_SENTENCE_BYTES];
    uint64_t blue = tally->done[XF_JUDGE_BLUE];
    double expected = blue > 0 ? (double) from->paths[XF_JUDGE_BLUE].bad / (double) blue : 0;
    apportion(tally, from, servers, &of_servers, &of_paths);
    xf_blame_phrase(&of_servers, &of_paths, expected, sentence);
    if (sentence[0] == '\0') {
        return NULL;
    }
    return json_pack("{s:s, s:I, s:o, s:o, s:s}", "of", stream_names[stream], "bad",
                     (json_int_t) of_paths.bad, "servers",
                     items_json(&of_servers, expected, "server"), "paths",
                     items_json(&of_paths, expected, "path"), "sentence", sentence);
}
