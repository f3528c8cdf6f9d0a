/*
 * json.h -- checked reading of JSON objects that came from a store, a bus or a client.
 *
 * A reader remembers the first thing that was wrong: fields are taken one after the other and
 * `failed` is asked once, at the end.  Outputs are written only when the value is good.  A key
 * that is missing is an error unless the call is told a default.
 */
#ifndef XF_SHIFTER_JSON_H
#define XF_SHIFTER_JSON_H

#include "config/base/error.h"
#include "config/base/version.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xf_json {
    const char *what;     /* for messages: `document`, `heartbeat` */
    struct xf_error *err; /* may be NULL */
    bool failed;
};

enum xf_json_need { XF_JSON_NEEDED, XF_JSON_OPTIONAL };

/* Sets `failed` and, for the first failure, the message. */
void xf_json_fail(struct xf_json *reader, const char *key, const char *problem);

/* `out` (of `bytes`) gets the string; one that is too long or has NUL or control bytes below
 * space (but newline and tab) is an error.  Optional and absent or null: left alone. */
void xf_json_string(struct xf_json *reader, const json_t *object, const char *key,
                    enum xf_json_need need, char *out, size_t bytes);
void xf_json_bool(struct xf_json *reader, const json_t *object, const char *key,
                  enum xf_json_need need, bool *out);
/* Whole numbers within [least, most]. */
void xf_json_int(struct xf_json *reader, const json_t *object, const char *key,
                 enum xf_json_need need, int64_t least, int64_t most, int64_t *out);
void xf_json_uint(struct xf_json *reader, const json_t *object, const char *key,
                  enum xf_json_need need, uint64_t most, uint64_t *out);
void xf_json_unsigned(struct xf_json *reader, const json_t *object, const char *key,
                      enum xf_json_need need, unsigned most, unsigned *out);
/* Borrowed; NULL when absent (an error where it is needed) or of another type (an error). */
const json_t *xf_json_object(struct xf_json *reader, const json_t *object, const char *key,
                             enum xf_json_need need);
/* The same for an array of at most `count_max` members. */
const json_t *xf_json_array(struct xf_json *reader, const json_t *object, const char *key,
                            enum xf_json_need need, size_t count_max);
/* Fails for a member of `object` that is not among the NULL-terminated `known`. */
void xf_json_only(struct xf_json *reader, const json_t *object, const char *const *known);

/* A version is {"epoch", "generation", "revision"}. */
void xf_json_version(struct xf_json *reader, const json_t *object, const char *key,
                     enum xf_json_need need, struct xf_version *out);
XF_NODISCARD json_t *xf_json_version_make(const struct xf_version *version);

/* Sets `key` to `value`, whose reference is taken; with no memory (value NULL) *ok becomes false.
 */
void xf_json_put(json_t *object, const char *key, json_t *value, bool *ok);
void xf_json_put_string(json_t *object, const char *key, const char *value, bool *ok);
void xf_json_put_int(json_t *object, const char *key, int64_t value, bool *ok);
void xf_json_put_bool(json_t *object, const char *key, bool value, bool *ok);

#endif
