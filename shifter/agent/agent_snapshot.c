/*
 * agent_snapshot.c -- writing and reading back the snapshot's text.
 *
 *     crossfade-snapshot 1 LENGTH CHECKSUM\n{"schema":1,"proxy":…,"services":[…]}
 *
 * The checksum is XXH3 of the JSON; the length makes a cut file plain.
 */
#include "shifter/agent/agent_snapshot.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SNAPSHOT_SCHEMA 1
#define SNAPSHOT_MAGIC  "crossfade-snapshot"
#define HEADER_BYTES    96

static json_t *format_override(const struct xf_local_override *override)
{
    if (!override->on) {
        return json_null();
    }
    return json_pack("{s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I}", "id", override->id, "weight",
                     (int) override->weight, "actor", override->actor, "reason", override->reason,
                     "epoch", (json_int_t) override->base.epoch, "generation",
                     (json_int_t) override->base.generation, "revision",
                     (json_int_t) override->base.revision, "at_ms", (json_int_t) override->at_ms);
}

static json_t *format_service(const struct xf_snapshot_service *service)
{
    char *text = xf_document_write(service->document);
    json_t *document = text != NULL ? json_loads(text, 0, NULL) : NULL;
    free(text);
    if (document == NULL) {
        return NULL;
    }
    return json_pack(
        "{s:I, s:I, s:I, s:s, s:o, s:o, s:i}", "epoch", (json_int_t) service->version.epoch,
        "generation", (json_int_t) service->version.generation, "revision",
        (json_int_t) service->version.revision, "write_id", service->write_id, "document", document,
        "override", format_override(&service->override), "fleet", (int) service->fleet);
}

static json_t *format_services(const struct xf_snapshot *snapshot)
{
    json_t *services = json_array();
    for (unsigned i = 0; i < snapshot->services_count; i++) {
        if (json_array_append_new(services, format_service(&snapshot->services[i])) != 0) {
            json_decref(services);
            return NULL;
        }
    }
    return services;
}

char *xf_snapshot_format(const struct xf_snapshot *snapshot, size_t *ret_length)
{
    json_t *root = json_pack("{s:i, s:s, s:I, s:b, s:b, s:o}", "schema", SNAPSHOT_SCHEMA, "proxy",
                             snapshot->proxy, "saved_ms", (json_int_t) snapshot->saved_ms, "left",
                             snapshot->left, "forgotten", snapshot->forgotten, "services",
                             format_services(snapshot));
    char *body = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (body == NULL) {
        return NULL;
    }
    size_t length = strlen(body);
    struct xf_text text;
    xf_text_init(&text, XF_SNAPSHOT_BYTES_MAX);
    xf_text_printf(&text, SNAPSHOT_MAGIC " %d %zu %016" PRIx64 "\n", SNAPSHOT_SCHEMA, length,
                   (uint64_t) XXH3_64bits(body, length));
    xf_text_append(&text, body, length);
    free(body);
    *ret_length = text.length;
    char *ret = xf_text_take(&text);
    xf_text_release(&text);
    return ret;
}

/* The JSON behind the header line, or NULL when length or checksum do not agree. */
static const char *check_header(const char *text, size_t length, size_t *ret_length)
{
    const char *end = memchr(text, '\n', length < HEADER_BYTES ? length : HEADER_BYTES);
    if (end == NULL) {
        return NULL;
    }
    const char *body = end + 1;
    size_t body_length = length - (size_t) (body - text);
    char expected[HEADER_BYTES];
    int bytes = snprintf(expected, sizeof(expected), SNAPSHOT_MAGIC " %d %zu %016" PRIx64 "\n",
                         SNAPSHOT_SCHEMA, body_length, (uint64_t) XXH3_64bits(body, body_length));
    if ((size_t) bytes != (size_t) (body - text) || memcmp(text, expected, (size_t) bytes) != 0) {
        return NULL;
    }
    *ret_length = body_length;
    return body;
}

static bool read_number(json_t *object, const char *key, uint64_t *ret)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *ret = (uint64_t) json_integer_value(value);
    return true;
}

static bool read_version(json_t *object, struct xf_version *ret)
{
    return read_number(object, "epoch", &ret->epoch) &&
           read_number(object, "generation", &ret->generation) &&
           read_number(object, "revision", &ret->revision);
}

static bool read_text(json_t *object, const char *key, char *out, size_t bytes)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strlen(text) >= bytes) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* False where there is one that does not read: it must not be forgotten silently. */
static bool read_override(json_t *entry, struct xf_local_override *ret)
{
    json_t *override = json_object_get(entry, "override");
    uint64_t weight;
    if (override == NULL || json_is_null(override)) {
        return true;
    }
    if (!read_number(override, "weight", &weight) || weight > XF_WEIGHT_FULL ||
        !read_version(override, &ret->base) ||
        !read_text(override, "id", ret->id, sizeof(ret->id)) ||
        !read_text(override, "actor", ret->actor, sizeof(ret->actor)) ||
        !read_text(override, "reason", ret->reason, sizeof(ret->reason))) {
        return false;
    }
    uint64_t at_ms = 0;
    (void) read_number(override, "at_ms", &at_ms); /* older ones do not say it */
    ret->at_ms = (int64_t) at_ms;
    ret->weight = (unsigned) weight;
    ret->on = true;
    return true;
}

static int read_service(json_t *entry, struct xf_snapshot_service *ret, struct xf_error *err)
{
    if (!read_version(entry, &ret->version) ||
        !read_text(entry, "write_id", ret->write_id, sizeof(ret->write_id)) ||
        !read_override(entry, &ret->override)) {
        return XF_FAIL(err, XF_E_FAILED, "snapshot: a service without a version");
    }
    uint64_t fleet = 0;
    (void) read_number(entry, "fleet", &fleet);
    ret->fleet = fleet < XF_PROXIES_MAX ? (unsigned) fleet : XF_PROXIES_MAX;
    char *text = json_dumps(json_object_get(entry, "document"), JSON_COMPACT);
    if (text == NULL) {
        return XF_FAIL(err, XF_E_FAILED, "snapshot: a service without a document");
    }
    int result = xf_document_read(text, &ret->document, err);
    free(text);
    return result;
}

static int read_services(json_t *services, struct xf_snapshot *ret, struct xf_error *err)
{
    size_t count = json_array_size(services);
    if (!json_is_array(services) || count > XF_SERVICES_MAX) {
        return XF_FAIL(err, XF_E_FAILED, "snapshot: no list of services");
    }
    ret->services = calloc(count + 1, sizeof(ret->services[0]));
    if (ret->services == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "snapshot: no memory");
    }
    for (size_t i = 0; i < count; i++) {
        if (read_service(json_array_get(services, i), &ret->services[i], err) != 0) {
            return -1;
        }
        ret->services_count++;
    }
    return 0;
}

static int read_root(json_t *root, struct xf_snapshot *ret, struct xf_error *err)
{
    const char *proxy = json_string_value(json_object_get(root, "proxy"));
    uint64_t saved_ms;
    if (proxy == NULL || !xf_uuid_valid(proxy) || !read_number(root, "saved_ms", &saved_ms)) {
        return XF_FAIL(err, XF_E_FAILED, "snapshot: not written by a proxy");
    }
    memcpy(ret->proxy, proxy, XF_UUID_TEXT_BYTES);
    ret->saved_ms = (int64_t) saved_ms;
    ret->left = json_is_true(json_object_get(root, "left"));
    ret->forgotten = json_is_true(json_object_get(root, "forgotten"));
    return read_services(json_object_get(root, "services"), ret, err);
}

int xf_snapshot_parse(const char *text, size_t length, struct xf_snapshot *ret,
                      struct xf_error *err)
{
    size_t body_length;
    const char *body = check_header(text, length, &body_length);
    json_t *root = body != NULL ? json_loadb(body, body_length, 0, NULL) : NULL;
    if (root == NULL) {
        return XF_FAIL(err, XF_E_FAILED,
                       "snapshot: damaged (its length or checksum does not agree)");
    }
    struct xf_snapshot snapshot = {0};
    int result = read_root(root, &snapshot, err);
    json_decref(root);
    if (result != 0) {
        xf_snapshot_release(&snapshot);
        return -1;
    }
    *ret = snapshot;
    return 0;
}

void xf_snapshot_release(struct xf_snapshot *snapshot)
{
    for (unsigned i = 0; i < snapshot->services_count; i++) {
        xf_document_destroy(snapshot->services[i].document);
    }
    free(snapshot->services);
    memset(snapshot, 0, sizeof(*snapshot));
}

bool xf_snapshot_usable(const struct xf_snapshot *snapshot, int64_t wall_ms, int64_t age_ms_max,
                        struct xf_error *err)
{
    if (snapshot->left) {
        (void) XF_FAIL(err, XF_E_REFUSED,
                       "the snapshot was written when this proxy left the fleet; the fleet may "
                       "have finished without it (--allow-stale serves with it)");
        return false;
    }
    if (snapshot->forgotten) {
        (void) XF_FAIL(err, XF_E_REFUSED,
                       "this proxy was forgotten; the fleet may have finished without it "
                       "(--allow-stale serves with its snapshot)");
        return false;
    }
    char age[XF_DURATION_TEXT_BYTES];
    int64_t ms = wall_ms - snapshot->saved_ms;
    if (ms > age_ms_max) {
        (void) XF_FAIL(err, XF_E_REFUSED,
                       "the snapshot is %s old, more than proxy.snapshot_max_age "
                       "(--allow-stale serves with it)",
                       xf_format_duration(ms / 1000 * 1000, age));
        return false;
    }
    return true;
}
