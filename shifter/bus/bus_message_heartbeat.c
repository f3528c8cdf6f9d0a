/*
 * bus_message_heartbeat.c -- the heartbeat of a proxy; see bus_message.h.
 */
#include "shifter/bus/bus_message.h"

#include "shifter/bus/bus_message_parts.h"
#include "shifter/net/json.h"

#include <stdlib.h>
#include <string.h>

#define LEARNT_MAX ((uint64_t) 1 << 50) /* a sum over the fleet does not overflow */

/* [[bucket, count], …] of the buckets that are not 0. */
static json_t *latency_make(const uint64_t *latency)
{
    json_t *array = json_array();
    bool ok = array != NULL;
    for (unsigned i = 0; latency != NULL && i < XF_HISTOGRAM_BUCKETS; i++) {
        if (latency[i] != 0) {
            ok = json_array_append_new(
                     array, json_pack("[i, I]", (int) i, (json_int_t) latency[i])) == 0 &&
                 ok;
        }
    }
    return xf_message_finish(array, ok);
}

static void latency_read(struct xf_json *reader, const json_t *pair, uint64_t **ret)
{
    const json_t *array =
        xf_json_array(reader, pair, "latency", XF_JSON_OPTIONAL, XF_HISTOGRAM_BUCKETS);
    if (array == NULL || json_array_size(array) == 0) {
        return;
    }
    *ret = calloc(XF_HISTOGRAM_BUCKETS, sizeof(**ret));
    if (*ret == NULL) {
        xf_json_fail(reader, "latency", "does not fit into memory");
        return;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *bucket = json_array_get(json_array_get(array, i), 0);
        const json_t *count = json_array_get(json_array_get(array, i), 1);
        if (!json_is_integer(bucket) || json_integer_value(bucket) < 0 ||
            json_integer_value(bucket) >= (json_int_t) XF_HISTOGRAM_BUCKETS ||
            !json_is_integer(count) || json_integer_value(count) < 0) {
            xf_json_fail(reader, "latency", "holds what is no [bucket, count]");
            return;
        }
        (*ret)[json_integer_value(bucket)] = (uint64_t) json_integer_value(count);
    }
}

static json_t *pair_make(const struct xf_message_pair *pair)
{
    json_t *object = json_object();
    bool ok = object != NULL;
    xf_json_put_string(object, "cluster", pair->cluster, &ok);
    xf_json_put_int(object, "requests", (int64_t) pair->requests, &ok);
    xf_json_put_int(object, "errors", (int64_t) pair->errors, &ok);
    xf_json_put_int(object, "rescued", (int64_t) pair->rescued, &ok);
    xf_json_put_int(object, "client_aborts", (int64_t) pair->client_aborts, &ok);
    xf_json_put_int(object, "no_route", (int64_t) pair->no_route, &ok);
    xf_json_put(object, "latency", latency_make(pair->latency), &ok);
    return xf_message_finish(object, ok);
}

static void pair_read(struct xf_json *reader, const json_t *object, struct xf_message_pair *ret)
{
    xf_message_name_read(reader, object, "cluster", ret->cluster);
    xf_json_uint(reader, object, "requests", XF_JSON_NEEDED, INT64_MAX, &ret->requests);
    xf_json_uint(reader, object, "errors", XF_JSON_NEEDED, INT64_MAX, &ret->errors);
    xf_json_uint(reader, object, "rescued", XF_JSON_OPTIONAL, INT64_MAX, &ret->rescued);
    xf_json_uint(reader, object, "client_aborts", XF_JSON_OPTIONAL, INT64_MAX, &ret->client_aborts);
    xf_json_uint(reader, object, "no_route", XF_JSON_OPTIONAL, INT64_MAX, &ret->no_route);
    latency_read(reader, object, &ret->latency);
}

static json_t *service_make(const struct xf_message_service *service)
{
    json_t *object = json_object();
    bool ok = object != NULL;
    xf_json_put_string(object, "name", service->name, &ok);
    xf_json_put(object, "version", xf_json_version_make(&service->version), &ok);
    xf_json_put_string(object, "write_id", service->write_id, &ok);
    xf_json_put_bool(object, "in_force", service->in_force, &ok);
    xf_json_put_int(object, "weight", service->weight, &ok);
    xf_json_put_string(object, "digest", service->digest, &ok);
    xf_json_put_int(object, "fenced", (int64_t) service->fenced, &ok);
    if (service->override_on) {
        xf_json_put(object, "override",
                    json_pack("{s:s, s:i, s:s, s:s, s:o}", "id", service->override.id, "weight",
                              (int) service->override.weight, "actor", service->override.actor,
                              "reason", service->override.reason, "base",
                              xf_json_version_make(&service->override.base)),
                    &ok);
    }
    if (service->learnt.done > 0) {
        xf_json_put(object, "learnt",
                    json_pack("{s:I, s:I, s:i}", "done", (json_int_t) service->learnt.done, "bad",
                              (json_int_t) service->learnt.bad, "blip_ms",
                              (int) service->learnt.blip_ms),
                    &ok);
    }
    json_t *pairs = json_array();
    for (size_t i = 0; i < service->pairs_count; i++) {
        ok = json_array_append_new(pairs, pair_make(&service->pairs[i])) == 0 && ok;
    }
    xf_json_put(object, "pairs", pairs, &ok);
    return xf_message_finish(object, ok);
}

static void override_read(struct xf_json *reader, const json_t *object,
                          struct xf_message_service *ret)
{
    const json_t *override = xf_json_object(reader, object, "override", XF_JSON_OPTIONAL);
    if (override == NULL) {
        return;
    }
    ret->override_on = true;
    xf_json_string(reader, override, "id", XF_JSON_NEEDED, ret->override.id,
                   sizeof(ret->override.id));
    xf_json_unsigned(reader, override, "weight", XF_JSON_NEEDED, XF_WEIGHT_FULL,
                     &ret->override.weight);
    xf_json_string(reader, override, "actor", XF_JSON_NEEDED, ret->override.actor,
                   sizeof(ret->override.actor));
    xf_json_string(reader, override, "reason", XF_JSON_OPTIONAL, ret->override.reason,
                   sizeof(ret->override.reason));
    xf_json_version(reader, override, "base", XF_JSON_NEEDED, &ret->override.base);
}

static void learnt_read(struct xf_json *reader, const json_t *object, struct xf_learnt *ret)
{
    const json_t *learnt = xf_json_object(reader, object, "learnt", XF_JSON_OPTIONAL);
    if (learnt != NULL) {
        xf_json_uint(reader, learnt, "done", XF_JSON_NEEDED, LEARNT_MAX, &ret->done);
        xf_json_uint(reader, learnt, "bad", XF_JSON_NEEDED, ret->done, &ret->bad);
        xf_json_unsigned(reader, learnt, "blip_ms", XF_JSON_NEEDED, XF_BLIP_MS_MAX, &ret->blip_ms);
    }
}

static void service_read(struct xf_json *reader, const json_t *object,
                         struct xf_message_service *ret)
{
    xf_message_name_read(reader, object, "name", ret->name);
    xf_json_version(reader, object, "version", XF_JSON_NEEDED, &ret->version);
    xf_json_string(reader, object, "write_id", XF_JSON_NEEDED, ret->write_id,
                   sizeof(ret->write_id));
    xf_json_bool(reader, object, "in_force", XF_JSON_NEEDED, &ret->in_force);
    xf_json_unsigned(reader, object, "weight", XF_JSON_NEEDED, XF_WEIGHT_FULL, &ret->weight);
    xf_json_string(reader, object, "digest", XF_JSON_OPTIONAL, ret->digest, sizeof(ret->digest));
    xf_json_uint(reader, object, "fenced", XF_JSON_OPTIONAL, INT64_MAX, &ret->fenced);
    override_read(reader, object, ret);
    learnt_read(reader, object, &ret->learnt);
    const json_t *pairs =
        xf_json_array(reader, object, "pairs", XF_JSON_OPTIONAL, XF_SERVICE_CLUSTERS_MAX);
    size_t count = pairs != NULL ? json_array_size(pairs) : 0;
    ret->pairs = count > 0 ? calloc(count, sizeof(*ret->pairs)) : NULL;
    if (count > 0 && ret->pairs == NULL) {
        xf_json_fail(reader, "pairs", "does not fit into memory");
        return;
    }
    ret->pairs_count = count;
    for (size_t i = 0; i < count && !reader->failed; i++) {
        pair_read(reader, json_array_get(pairs, i), &ret->pairs[i]);
    }
}

static json_t *cluster_make(const struct xf_message_cluster *cluster)
{
    json_t *object = json_object();
    bool ok = object != NULL;
    xf_json_put_string(object, "name", cluster->name, &ok);
    xf_json_put_int(object, "in_flight", (int64_t) cluster->in_flight, &ok);
    xf_json_put_int(object, "tunnels", (int64_t) cluster->tunnels, &ok);
    xf_json_put_int(object, "pooled", (int64_t) cluster->pooled, &ok);
    xf_json_put_int(object, "quiet_ms", cluster->quiet_ms, &ok);
    json_t *servers = json_array();
    for (size_t i = 0; i < cluster->servers_count; i++) {
        const struct xf_message_server *server = &cluster->servers[i];
        ok = json_array_append_new(
                 servers, json_pack("{s:s, s:b, s:s, s:s, s:I}", "address", server->address, "up",
                                    server->up, "reason", server->reason, "from", server->from,
                                    "in_flight", (json_int_t) server->in_flight)) == 0 &&
             ok;
    }
    xf_json_put(object, "servers", servers, &ok);
    return xf_message_finish(object, ok);
}

static void cluster_read(struct xf_json *reader, const json_t *object,
                         struct xf_message_cluster *ret)
{
    xf_message_name_read(reader, object, "name", ret->name);
    xf_json_uint(reader, object, "in_flight", XF_JSON_NEEDED, INT64_MAX, &ret->in_flight);
    xf_json_uint(reader, object, "tunnels", XF_JSON_NEEDED, INT64_MAX, &ret->tunnels);
    xf_json_uint(reader, object, "pooled", XF_JSON_NEEDED, INT64_MAX, &ret->pooled);
    xf_json_int(reader, object, "quiet_ms", XF_JSON_NEEDED, -1, INT64_MAX, &ret->quiet_ms);
    const json_t *servers =
        xf_json_array(reader, object, "servers", XF_JSON_OPTIONAL, XF_SERVERS_MAX);
    size_t count = servers != NULL ? json_array_size(servers) : 0;
    ret->servers = count > 0 ? calloc(count, sizeof(*ret->servers)) : NULL;
    if (count > 0 && ret->servers == NULL) {
        xf_json_fail(reader, "servers", "does not fit into memory");
        return;
    }
    ret->servers_count = count;
    for (size_t i = 0; i < count && !reader->failed; i++) {
        const json_t *server = json_array_get(servers, i);
        struct xf_message_server *to = &ret->servers[i];
        xf_json_string(reader, server, "address", XF_JSON_NEEDED, to->address, sizeof(to->address));
        xf_json_bool(reader, server, "up", XF_JSON_NEEDED, &to->up);
        xf_json_string(reader, server, "reason", XF_JSON_OPTIONAL, to->reason, sizeof(to->reason));
        xf_json_string(reader, server, "from", XF_JSON_OPTIONAL, to->from, sizeof(to->from));
        xf_json_uint(reader, server, "in_flight", XF_JSON_NEEDED, INT64_MAX, &to->in_flight);
    }
}

json_t *xf_message_heartbeat_make(const struct xf_message_heartbeat *heartbeat)
{
    json_t *message = xf_message_new(XF_MESSAGE_HEARTBEAT);
    bool ok = message != NULL;
    xf_json_put(message, "proxy", xf_message_proxy_make(&heartbeat->proxy), &ok);
    xf_json_put_string(message, "config_digest", heartbeat->config_digest, &ok);
    xf_json_put_bool(message, "reload_ok", heartbeat->reload_ok, &ok);
    xf_json_put_string(message, "reload_error", heartbeat->reload_error, &ok);
    json_t *services = json_array();
    for (size_t i = 0; i < heartbeat->services_count; i++) {
        ok = json_array_append_new(services, service_make(&heartbeat->services[i])) == 0 && ok;
    }
    xf_json_put(message, "services", services, &ok);
    json_t *clusters = json_array();
    for (size_t i = 0; i < heartbeat->clusters_count; i++) {
        ok = json_array_append_new(clusters, cluster_make(&heartbeat->clusters[i])) == 0 && ok;
    }
    xf_json_put(message, "clusters", clusters, &ok);
    xf_json_put_bool(message, "left", heartbeat->left, &ok);
    return xf_message_finish(message, ok);
}

static void heartbeat_lists_read(struct xf_json *reader, const json_t *message,
                                 struct xf_message_heartbeat *ret)
{
    const json_t *services =
        xf_json_array(reader, message, "services", XF_JSON_NEEDED, XF_SERVICES_MAX);
    const json_t *clusters =
        xf_json_array(reader, message, "clusters", XF_JSON_NEEDED, XF_CLUSTERS_MAX);
    if (reader->failed) {
        return;
    }
    ret->services = calloc(json_array_size(services) + 1, sizeof(*ret->services));
    ret->clusters = calloc(json_array_size(clusters) + 1, sizeof(*ret->clusters));
    if (ret->services == NULL || ret->clusters == NULL) {
        xf_json_fail(reader, "services", "does not fit into memory");
        return;
    }
    for (; ret->services_count < json_array_size(services) && !reader->failed;
         ret->services_count++) {
        service_read(reader, json_array_get(services, ret->services_count),
                     &ret->services[ret->services_count]);
    }
    for (; ret->clusters_count < json_array_size(clusters) && !reader->failed;
         ret->clusters_count++) {
        cluster_read(reader, json_array_get(clusters, ret->clusters_count),
                     &ret->clusters[ret->clusters_count]);
    }
}

int xf_message_heartbeat_read(const json_t *message, struct xf_message_heartbeat *ret,
                              struct xf_error *err)
{
    struct xf_json reader = {.what = "heartbeat", .err = err};
    struct xf_message_heartbeat read = {.reload_ok = true};
    xf_message_proxy_read(&reader, message, &read.proxy);
    xf_json_string(&reader, message, "config_digest", XF_JSON_OPTIONAL, read.config_digest,
                   sizeof(read.config_digest));
    xf_json_bool(&reader, message, "reload_ok", XF_JSON_OPTIONAL, &read.reload_ok);
    xf_json_string(&reader, message, "reload_error", XF_JSON_OPTIONAL, read.reload_error,
                   sizeof(read.reload_error));
    xf_json_bool(&reader, message, "left", XF_JSON_OPTIONAL, &read.left);
    heartbeat_lists_read(&reader, message, &read);
    if (reader.failed) {
        xf_message_heartbeat_release(&read);
        return -1;
    }
    *ret = read;
    return 0;
}

void xf_message_heartbeat_release(struct xf_message_heartbeat *heartbeat)
{
    for (size_t i = 0; i < heartbeat->services_count; i++) {
        for (size_t j = 0; j < heartbeat->services[i].pairs_count; j++) {
            free(heartbeat->services[i].pairs[j].latency);
        }
        free(heartbeat->services[i].pairs);
    }
    for (size_t i = 0; i < heartbeat->clusters_count; i++) {
        free(heartbeat->clusters[i].servers);
    }
    free(heartbeat->services);
    free(heartbeat->clusters);
    *heartbeat = (struct xf_message_heartbeat){0};
}

const struct xf_message_cluster *xf_message_cluster_of(const struct xf_message_heartbeat *heartbeat,
                                                       const char *name)
{
    for (size_t i = 0; i < heartbeat->clusters_count; i++) {
        if (strcmp(heartbeat->clusters[i].name, name) == 0) {
            return &heartbeat->clusters[i];
        }
    }
    return NULL;
}
