/*
 * json.c -- checked reading of JSON objects; see json.h.
 */
#include "shifter/net/json.h"

#include <string.h>

void xf_json_fail(struct xf_json *reader, const char *key, const char *problem)
{
    if (!reader->failed) {
        reader->failed = true;
        (void) XF_FAIL(reader->err, XF_E_CONFIG, "%s: \"%s\" %s", reader->what, key, problem);
    }
}

/* The member, or NULL: absent, null where that may be, or an error already noted. */
static const json_t *take(struct xf_json *reader, const json_t *object, const char *key,
                          enum xf_json_need need)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_null(value)) {
        return value;
    }
    if (need == XF_JSON_NEEDED) {
        xf_json_fail(reader, key, "is missing");
    }
    return NULL;
}

static bool printable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) text[i];
        if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

void xf_json_string(struct xf_json *reader, const json_t *object, const char *key,
                    enum xf_json_need need, char *out, size_t bytes)
{
    const json_t *value = take(reader, object, key, need);
    if (value == NULL) {
        return;
    }
    if (!json_is_string(value)) {
        xf_json_fail(reader, key, "is not a string");
        return;
    }
    size_t length = json_string_length(value);
    if (length >= bytes) {
        xf_json_fail(reader, key, "is too long");
    } else if (!printable(json_string_value(value), length)) {
        xf_json_fail(reader, key, "holds control bytes");
    } else {
        memcpy(out, json_string_value(value), length);
        out[length] = '\0';
    }
}

void xf_json_bool(struct xf_json *reader, const json_t *object, const char *key,
                  enum xf_json_need need, bool *out)
{
    const json_t *value = take(reader, object, key, need);
    if (value == NULL) {
        return;
    }
    if (!json_is_boolean(value)) {
        xf_json_fail(reader, key, "is not true or false");
        return;
    }
    *out = json_is_true(value);
}

void xf_json_int(struct xf_json *reader, const json_t *object, const char *key,
                 enum xf_json_need need, int64_t least, int64_t most, int64_t *out)
{
    const json_t *value = take(reader, object, key, need);
    if (value == NULL) {
        return;
    }
    if (!json_is_integer(value)) {
        xf_json_fail(reader, key, "is not a whole number");
        return;
    }
    int64_t number = json_integer_value(value);
    if (number < least || number > most) {
        xf_json_fail(reader, key, "is out of range");
        return;
    }
    *out = number;
}

void xf_json_uint(struct xf_json *reader, const json_t *object, const char *key,
                  enum xf_json_need need, uint64_t most, uint64_t *out)
{
    int64_t value = -1;
    xf_json_int(reader, object, key, need, 0, most > INT64_MAX ? INT64_MAX : (int64_t) most,
                &value);
    if (value >= 0) {
        *out = (uint64_t) value;
    }
}

void xf_json_unsigned(struct xf_json *reader, const json_t *object, const char *key,
                      enum xf_json_need need, unsigned most, unsigned *out)
{
    int64_t value = -1;
    xf_json_int(reader, object, key, need, 0, most, &value);
    if (value >= 0) {
        *out = (unsigned) value;
    }
}

const json_t *xf_json_object(struct xf_json *reader, const json_t *object, const char *key,
                             enum xf_json_need need)
{
    const json_t *value = take(reader, object, key, need);
    if (value != NULL && !json_is_object(value)) {
        xf_json_fail(reader, key, "is not an object");
        return NULL;
    }
    return value;
}

const json_t *xf_json_array(struct xf_json *reader, const json_t *object, const char *key,
                            enum xf_json_need need, size_t count_max)
{
    const json_t *value = take(reader, object, key, need);
    if (value == NULL) {
        return NULL;
    }
    if (!json_is_array(value)) {
        xf_json_fail(reader, key, "is not an array");
        return NULL;
    }
    if (json_array_size(value) > count_max) {
        xf_json_fail(reader, key, "has too many members");
        return NULL;
    }
    return value;
}

void xf_json_only(struct xf_json *reader, const json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *) object, key, value)
    {
        bool found = false;
        for (size_t i = 0; known[i] != NULL && !found; i++) {
            found = strcmp(known[i], key) == 0;
        }
        if (!found) {
            xf_json_fail(reader, key, "is not known");
            return;
        }
    }
}

void xf_json_version(struct xf_json *reader, const json_t *object, const char *key,
                     enum xf_json_need need, struct xf_version *out)
{
    const json_t *value = xf_json_object(reader, object, key, need);
    if (value == NULL) {
        return;
    }
    struct xf_version version = {0};
    xf_json_uint(reader, value, "epoch", XF_JSON_NEEDED, INT64_MAX, &version.epoch);
    xf_json_uint(reader, value, "generation", XF_JSON_NEEDED, INT64_MAX, &version.generation);
    xf_json_uint(reader, value, "revision", XF_JSON_NEEDED, INT64_MAX, &version.revision);
    if (!reader->failed) {
        *out = version;
    }
}

json_t *xf_json_version_make(const struct xf_version *version)
{
    return json_pack("{s:I, s:I, s:I}", "epoch", (json_int_t) version->epoch, "generation",
                     (json_int_t) version->generation, "revision", (json_int_t) version->revision);
}

void xf_json_put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value) != 0) {
        *ok = false;
    }
}

void xf_json_put_string(json_t *object, const char *key, const char *value, bool *ok)
{
    xf_json_put(object, key, json_string(value), ok);
}

void xf_json_put_int(json_t *object, const char *key, int64_t value, bool *ok)
{
    xf_json_put(object, key, json_integer(value), ok);
}

void xf_json_put_bool(json_t *object, const char *key, bool value, bool *ok)
{
    xf_json_put(object, key, json_boolean(value), ok);
}
