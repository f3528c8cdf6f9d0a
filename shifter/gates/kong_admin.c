/*
 * kong_admin.c -- what Kong's Admin and Status API say about the nodes.
 */
#include "shifter/gates/kong_admin.h"

#include "shifter/net/fetch.h"
#include "shifter/gates/gate.h"

#include <stdio.h>
#include <string.h>

#define PAGES_MAX 1000u
#define URL_BYTES 2048u

static bool join_url(const char *base, const char *path, char out[URL_BYTES])
{
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/') {
        length--;
    }
    int written = snprintf(out, URL_BYTES, "%.*s%s", (int) length, base, path);
    return written > 0 && (size_t) written < URL_BYTES;
}

int xf_kong_get(const char *url, int *ret_status, json_t **ret, struct xf_error *err)
{
    struct xf_client_answer answer;
    if (xf_fetch(url, XF_FETCH_MS, &answer, err) != 0) {
        return -1;
    }
    int status = answer.status;
    json_t *body = json_is_object(answer.body) ? json_incref(answer.body) : NULL;
    xf_client_answer_release(&answer);
    if (body == NULL) {
        return XF_FAIL(err, XF_E_FAILED,
                       "%.200s answered %d without a JSON object: is it Kong's Admin API?", url,
                       status);
    }
    *ret_status = status;
    *ret = body;
    return 0;
}

static void ask_node(struct xf_kong_node *node)
{
    char url[URL_BYTES];
    struct xf_error err;
    int status = 0;
    if (!join_url(node->url, "/", url)) {
        snprintf(node->problem, sizeof(node->problem), "the URL is too long");
        return;
    }
    if (xf_kong_get(url, &status, &node->root, &err) != 0) {
        snprintf(node->problem, sizeof(node->problem), "%.250s", err.message);
        return;
    }
    const char *version = json_string_value(json_object_get(node->root, "version"));
    if (status != 200 || version == NULL) {
        snprintf(node->problem, sizeof(node->problem),
                 "answered %d without a version: is it Kong's Admin API?", status);
        return;
    }
    node->reachable = true;
    snprintf(node->version_text, sizeof(node->version_text), "%s", version);
    node->version_known = xf_kong_version_parse(version, &node->version);
    if (join_url(node->url, "/status", url) &&
        xf_kong_get(url, &status, &node->status, &err) == 0 && status != 200) {
        json_decref(node->status);
        node->status = NULL;
    }
}

void xf_kong_nodes_ask(const json_t *urls, struct xf_kong_nodes *ret)
{
    *ret = (struct xf_kong_nodes){0};
    size_t i;
    json_t *url;
    json_array_foreach(urls, i, url)
    {
        if (json_is_string(url) && ret->count < XF_KONG_NODES_MAX) {
            struct xf_kong_node *node = &ret->items[ret->count++];
            node->url = json_string_value(url);
            ask_node(node);
        }
    }
}

void xf_kong_nodes_release(struct xf_kong_nodes *nodes)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        json_decref(nodes->items[i].root);
        json_decref(nodes->items[i].status);
    }
    *nodes = (struct xf_kong_nodes){0};
}

const struct xf_kong_node *xf_kong_nodes_first(const struct xf_kong_nodes *nodes)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        if (nodes->items[i].reachable) {
            return &nodes->items[i];
        }
    }
    return NULL;
}

json_t *xf_kong_plugins_available(const struct xf_kong_node *node)
{
    const json_t *available =
        json_object_get(json_object_get(node->root, "plugins"), "available_on_server");
    if (!json_is_object(available)) {
        return NULL;
    }
    json_t *names = json_array();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *) available, name, value)
    {
        if (!json_is_false(value) && !json_is_null(value)) {
            json_array_append_new(names, json_string(name));
        }
    }
    return names;
}

const json_t *xf_kong_plugins_enabled(const struct xf_kong_node *node)
{
    const json_t *enabled =
        json_object_get(json_object_get(node->root, "plugins"), "enabled_in_cluster");
    /* Lua has one empty table: no plugin in use is written as an object. */
    bool empty_object = json_is_object(enabled) && json_object_size(enabled) == 0;
    return json_is_array(enabled) || empty_object ? enabled : NULL;
}

int xf_kong_list_all(const struct xf_kong_node *node, const char *first, json_t **ret,
                     struct xf_error *err)
{
    char path[URL_BYTES];
    snprintf(path, sizeof(path), "%s", first);
    json_t *all = json_array();
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        char url[URL_BYTES];
        int status = 0;
        json_t *body = NULL;
        if (!join_url(node->url, path, url)) {
            break;
        }
        if (xf_kong_get(url, &status, &body, err) != 0) {
            json_decref(all);
            return -1;
        }
        const json_t *data = json_object_get(body, "data");
        if (status != 200 || !(json_is_array(data) || json_object_size(data) == 0)) {
            json_decref(body);
            json_decref(all);
            return XF_FAIL(err, XF_E_FAILED, "%.200s answered %d%s", url, status,
                           strncmp(first, "/clustering", 11) == 0
                               ? ": is this node a control plane (role: control_plane)?"
                               : "");
        }
        json_array_extend(all, (json_t *) data);
        const char *next = json_string_value(json_object_get(body, "next"));
        bool more = next != NULL && next[0] == '/' && strlen(next) < sizeof(path);
        if (more) {
            snprintf(path, sizeof(path), "%s", next);
        }
        json_decref(body);
        if (!more) {
            break;
        }
    }
    *ret = all;
    return 0;
}
