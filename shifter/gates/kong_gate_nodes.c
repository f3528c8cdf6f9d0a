/*
 * kong_gate_nodes.c -- the `kong` gate's checks that ask Kong's nodes.
 *
 * `*.reachable` is the Admin API.  A green that answers `no Route matched` to everything calls
 * itself healthy, so emptiness is looked for with a real route.
 */
#include "shifter/gates/kong_gate.h"

#include "config/base/clock.h"
#include "shifter/net/fetch.h"
#include "shifter/net/url.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATA_PLANE_LIVE_S  90.0 /* they ping every 30 s (Kong's constants.lua) */
#define DATA_PLANE_KNOWN_S 86400.0
#define HASH_BYTES         33
#define LISTEN_MS          3000

void xf_kong_check_reachable(struct xf_kong_gate *gate, struct xf_kong_side *side)
{
    char check[XF_CHECK_NAME_BYTES];
    snprintf(check, sizeof(check), "%s.reachable", side->role);
    if (side->admin == NULL) {
        KONG_SKIP(gate, check, "the plan gives no `%s.admin`", side->role);
        return;
    }
    for (unsigned i = 0; i < side->nodes.count; i++) {
        const struct xf_kong_node *node = &side->nodes.items[i];
        if (!node->reachable) {
            KONG_CHECK(gate, check, false, "%.200s: %s", node->url, node->problem);
            return;
        }
    }
    KONG_CHECK(gate, check, side->nodes.count > 0, "%u Admin APIs answer", side->nodes.count);
}

/* Why the node there may still run, or NULL: a hung node, or another program, is not a stopped one,
 * and a name that cannot be looked up at the moment proves nothing. */
static const char *why_not_stopped(const char *url)
{
    struct xf_url parsed;
    struct xf_error err;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    bool listening = false;
    if (xf_url_parse(url, &parsed, &err) != 0) {
        return "cannot be asked";
    }
    snprintf(port, sizeof(port), "%u", parsed.port);
    int looked = getaddrinfo(parsed.host, port, &hints, &found);
    if (looked != 0) {
        bool gone = looked == EAI_NONAME || looked == EAI_NODATA;
        return gone ? NULL : "has a name that cannot be looked up now";
    }
    for (const struct addrinfo *one = found; one != NULL && !listening; one = one->ai_next) {
        int fd = socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        int code = 0;
        socklen_t bytes = sizeof(code);
        if (fd >= 0 && (connect(fd, one->ai_addr, one->ai_addrlen) == 0 || errno == EINPROGRESS)) {
            listening = poll(&wait, 1, LISTEN_MS) == 1 &&
                        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &bytes) == 0 && code == 0;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    freeaddrinfo(found);
    return listening ? "takes connections, but does not answer as Kong" : NULL;
}

void xf_kong_check_stopped(struct xf_kong_gate *gate, const char *name)
{
    const struct xf_kong_side *side = &gate->old_side;
    if (side->admin == NULL) {
        KONG_SKIP(gate, name, "the plan gives no `old.admin`");
        return;
    }
    for (unsigned i = 0; i < side->nodes.count; i++) {
        const struct xf_kong_node *node = &side->nodes.items[i];
        if (node->reachable || node->root != NULL) {
            KONG_CHECK(gate, name, false, "%.200s still answers as Kong %s: stop it first",
                       node->url, node->version_text[0] != '\0' ? node->version_text : "?");
            return;
        }
        const char *why = why_not_stopped(node->url);
        if (why != NULL) {
            KONG_CHECK(gate, name, false, "%.200s %s: it may run still", node->url, why);
            return;
        }
    }
    KONG_CHECK(gate, name, side->nodes.count > 0, "none of %u old Admin APIs listens",
               side->nodes.count);
}

void xf_kong_check_version(struct xf_kong_gate *gate, struct xf_kong_side *side)
{
    char check[XF_CHECK_NAME_BYTES];
    const struct xf_kong_version *wanted = side == &gate->old_side ? &gate->from : &gate->to;
    const char *wanted_text = side == &gate->old_side ? gate->from_text : gate->to_text;
    snprintf(check, sizeof(check), "%s.version", side->role);
    if (xf_kong_nodes_first(&side->nodes) == NULL) {
        KONG_SKIP(gate, check,
                  side->admin == NULL ? "the plan gives no `%s.admin`"
                                      : "%s.reachable did not pass",
                  side->role);
        return;
    }
    for (unsigned i = 0; i < side->nodes.count; i++) {
        const struct xf_kong_node *node = &side->nodes.items[i];
        if (!node->reachable) {
            continue;
        }
        if (!node->version_known || !xf_kong_version_same_minor(&node->version, wanted)) {
            KONG_CHECK(gate, check, false, "%.200s runs %s, the plan says %s", node->url,
                       node->version_text, wanted_text);
            return;
        }
    }
    KONG_CHECK(gate, check, true, "every node that answers runs %s", wanted_text);
}

void xf_kong_check_database_reachable(struct xf_kong_gate *gate)
{
    const char *check = "new.database_reachable";
    const struct xf_kong_side *side = &gate->new_side;
    if (xf_kong_nodes_first(&side->nodes) == NULL) {
        KONG_SKIP(gate, check,
                  side->admin == NULL ? "the plan gives no `new.admin`"
                                      : "new.reachable did not pass");
        return;
    }
    for (unsigned i = 0; i < side->nodes.count; i++) {
        const struct xf_kong_node *node = &side->nodes.items[i];
        const json_t *database = json_object_get(node->status, "database");
        if (node->reachable && !json_is_true(json_object_get(database, "reachable"))) {
            KONG_CHECK(
                gate, check, false,
                node->status == NULL
                    ? "%.200s: /status does not answer"
                    : "%.200s: its database is not reachable (/status answers 200 all the same)",
                node->url);
            return;
        }
    }
    KONG_CHECK(gate, check, true, "every new node reaches its database");
}

static bool hash_is_zero(const char *hash)
{
    return strlen(hash) == HASH_BYTES - 1 && strspn(hash, "0") == HASH_BYTES - 1;
}

const struct xf_config_cluster *xf_kong_side_cluster(const struct xf_kong_gate *gate,
                                                     const struct xf_kong_side *side)
{
    const char *name = side == &gate->new_side ? gate->context->to : gate->context->from;
    int index =
        name != NULL && name[0] != '\0' ? xf_config_find_cluster(gate->context->config, name) : -1;
    return index >= 0 ? &gate->context->config->clusters[index] : NULL;
}

/* A real route that must answer: `/orders`, `api.example.com/orders`, {path, host}, or a whole URL.
 */
struct route {
    char host[256]; /* the Host field; empty: the server's address */
    const char *path;
};

static bool read_route(const json_t *entry, struct route *ret, char *problem, size_t bytes)
{
    struct route route = {.path = json_string_value(entry)};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *) entry, key, value)
    {
        bool is_path = strcmp(key, "path") == 0;
        if (!json_is_string(value) || (!is_path && strcmp(key, "host") != 0)) {
            snprintf(problem, bytes, "routes: `%.60s`: an entry has the texts path and host", key);
            return false;
        }
        if (is_path) {
            route.path = json_string_value(value);
        } else {
            snprintf(route.host, sizeof(route.host), "%s", json_string_value(value));
        }
    }
    if (route.path == NULL) {
        snprintf(problem, bytes, "routes: each is a path such as /orders, or {path, host}");
        return false;
    }
    size_t first = strcspn(route.path, "/");
    if (json_is_string(entry) && first > 0 && strstr(route.path, "://") == NULL) {
        snprintf(route.host, sizeof(route.host), "%.*s", (int) first, route.path);
        route.path = route.path[first] == '/' ? route.path + first : "/";
    }
    *ret = route;
    return true;
}

/* One route through one server of green: false with `problem`. */
static bool route_answers(const char *address, const struct route *route, char *problem,
                          size_t bytes)
{
    char url[2048];
    struct xf_error err;
    struct xf_client_answer answer;
    const char *path = route->path;
    bool whole = strncmp(path, "http://", 7) == 0 || strncmp(path, "https://", 8) == 0;
    address = whole ? "" : address;
    snprintf(url, sizeof(url), "%s%.256s%s%.1500s", whole ? "" : "http://", address,
             whole || path[0] == '/' ? "" : "/", path);
    if (xf_fetch_as(url, route->host[0] != '\0' ? route->host : NULL, XF_FETCH_MS, &answer, &err) !=
        0) {
        snprintf(problem, bytes, "%.200s: %.300s", url, err.message);
        return false;
    }
    const char *message = json_string_value(json_object_get(answer.body, "message"));
    bool empty = answer.status == 404 && message != NULL && strstr(message, "no Route matched");
    bool failed = answer.status >= 500;
    if (empty || failed) {
        snprintf(problem, bytes, "%.200s%s%.100s answered %d%s%.100s", url,
                 route->host[0] != '\0' ? " with Host " : "", route->host, answer.status,
                 empty ? ": " : "", empty ? message : "");
    }
    xf_client_answer_release(&answer);
    return !empty && !failed;
}

/* Every configured route through every server of green; the number asked, 0 with `problem`. */
static unsigned ask_routes(struct xf_kong_gate *gate, const struct xf_config_cluster *cluster,
                           char *problem, size_t bytes)
{
    unsigned asked = 0;
    for (unsigned s = 0; s < cluster->servers_count; s++) {
        size_t i;
        json_t *entry;
        json_array_foreach(gate->routes, i, entry)
        {
            struct route route;
            if (!read_route(entry, &route, problem, bytes) ||
                !route_answers(cluster->servers[s].endpoint.text, &route, problem, bytes)) {
                return 0;
            }
            asked++;
        }
    }
    return asked;
}

/* Whether every route names its own server: then green's addresses are not needed. */
static bool only_whole_urls(const json_t *routes)
{
    size_t i;
    json_t *entry;
    json_array_foreach(routes, i, entry)
    {
        const char *text = json_string_value(entry);
        if (text == NULL || strstr(text, "://") == NULL) {
            return false;
        }
    }
    return true;
}

void xf_kong_check_not_empty(struct xf_kong_gate *gate)
{
    const char *check = "new.not_empty";
    for (unsigned i = 0; i < gate->new_side.nodes.count; i++) {
        const struct xf_kong_node *node = &gate->new_side.nodes.items[i];
        const char *hash = json_string_value(json_object_get(node->status, "configuration_hash"));
        if (hash != NULL && hash_is_zero(hash)) {
            KONG_CHECK(gate, check, false,
                       "%.200s has no configuration (its hash is all zeros): it answers 404 to "
                       "everything",
                       node->url);
            return;
        }
    }
    const struct xf_config_cluster *cluster = xf_kong_side_cluster(gate, &gate->new_side);
    if (gate->routes == NULL || cluster == NULL || cluster->servers_count == 0) {
        KONG_SKIP(gate, check,
                  gate->routes == NULL ? "the plan gives no `routes` (paths that must answer)"
                                       : "the new cluster is not in the configuration");
        return;
    }
    if (cluster->tls.enabled && !only_whole_urls(gate->routes)) {
        KONG_SKIP(gate, check,
                  "cluster `%s` speaks TLS: write `routes` as whole URLs (https://HOST/PATH)",
                  cluster->name);
        return;
    }
    char problem[512] = "";
    unsigned asked = ask_routes(gate, cluster, problem, sizeof(problem));
    if (problem[0] != '\0') {
        KONG_CHECK(gate, check, false, "%s", problem);
    } else {
        KONG_CHECK(gate, check, asked > 0, "%u requests to real routes of %s answered", asked,
                   cluster->name);
    }
}

void xf_kong_check_plugins(struct xf_kong_gate *gate)
{
    const struct xf_kong_node *old_node = xf_kong_nodes_first(&gate->old_side.nodes);
    const struct xf_kong_node *new_node = xf_kong_nodes_first(&gate->new_side.nodes);
    if (old_node == NULL && gate->sharing == XF_KONG_SHARED && gate->old_side.admin != NULL) {
        old_node = new_node; /* stopped; both have one store, so the new one tells what is used */
    }
    if (old_node == NULL || new_node == NULL) {
        KONG_SKIP(gate, "plugins", "the Admin APIs of both sides are needed");
        return;
    }
    const json_t *enabled = xf_kong_plugins_enabled(old_node);
    if (enabled == NULL) {
        KONG_CHECK(gate, "plugins", false, "%.200s does not list plugins.enabled_in_cluster",
                   old_node->url);
        return;
    }
    char missing[512] = "";
    for (unsigned n = 0; n < gate->new_side.nodes.count; n++) {
        const struct xf_kong_node *node = &gate->new_side.nodes.items[n];
        json_t *available = node->reachable ? xf_kong_plugins_available(node) : NULL;
        size_t i;
        json_t *name;
        json_array_foreach(enabled, i, name)
        {
            bool found = !node->reachable;
            size_t j;
            json_t *other;
            json_array_foreach(available, j, other)
            {
                found = found || json_equal(name, other);
            }
            const char *text = json_string_value(name);
            if (!found && text != NULL && strstr(missing, text) == NULL) {
                xf_kong_list(missing, sizeof(missing), text);
            }
        }
        json_decref(available);
    }
    if (missing[0] != '\0') {
        KONG_CHECK(gate, "plugins", false,
                   "the old cluster uses plugins that the new one has not: %s; install them",
                   missing);
    } else {
        KONG_CHECK(gate, "plugins", true, "the new cluster has the %zu plugins in use",
                   json_array_size(enabled));
    }
}

/* Data planes seen within a day, but not lately: on one store these are the cluster's own. */
static void list_silent_planes(const json_t *rows, double now_s, char *list, size_t bytes)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        double age_s = now_s - json_number_value(json_object_get(row, "last_seen"));
        const char *host = json_string_value(json_object_get(row, "hostname"));
        if (age_s > DATA_PLANE_LIVE_S && age_s <= DATA_PLANE_KNOWN_S) {
            xf_kong_list(list, bytes, host != NULL ? host : "?");
        }
    }
}

/* Looks at the live rows; returns their number and writes the first problem. */
static unsigned judge_data_planes(const json_t *rows, double now_s, char *problem, size_t bytes)
{
    unsigned live = 0;
    const char *common = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        double seen = json_number_value(json_object_get(row, "last_seen"));
        const char *status = json_string_value(json_object_get(row, "sync_status"));
        const char *hash = json_string_value(json_object_get(row, "config_hash"));
        const char *host = json_string_value(json_object_get(row, "hostname"));
        host = host != NULL ? host : "?";
        if (now_s - seen > DATA_PLANE_LIVE_S) {
            continue; /* a clone holds the old cluster's rows for 14 days */
        }
        live++;
        if (problem[0] != '\0') {
            continue;
        }
        if (status == NULL || strcmp(status, "normal") != 0) {
            snprintf(problem, bytes, "data plane %.80s: sync_status %.60s", host,
                     status != NULL ? status : "missing");
        } else if (hash == NULL || hash_is_zero(hash)) {
            snprintf(problem, bytes, "data plane %.80s has no configuration (hash of zeros)", host);
        } else if (common != NULL && strcmp(common, hash) != 0) {
            snprintf(problem, bytes, "data plane %.80s has another configuration than the first",
                     host);
        }
        common = common == NULL ? hash : common;
    }
    return live;
}

void xf_kong_check_data_planes(struct xf_kong_gate *gate)
{
    const struct xf_kong_node *node = xf_kong_nodes_first(&gate->new_side.nodes);
    struct xf_error err;
    json_t *rows = NULL;
    char problem[256] = "";
    if (node == NULL) {
        KONG_SKIP(gate, "data_planes", "the new control plane's Admin API is needed");
        return;
    }
    if (xf_kong_list_all(node, "/clustering/data-planes", &rows, &err) != 0) {
        KONG_CHECK(gate, "data_planes", false, "%s", err.message);
        return;
    }
    double now_s = (double) xf_clock_wall_ms(xf_clock_system()) / 1000;
    unsigned live = judge_data_planes(rows, now_s, problem, sizeof(problem));
    char silent[256] = "";
    if (gate->sharing == XF_KONG_SHARED) {
        list_silent_planes(rows, now_s, silent, sizeof(silent));
    }
    json_decref(rows);
    bool trap = gate->from.part[0] == 3 && gate->from.part[1] == 0 && gate->to.part[0] == 3 &&
                gate->to.part[1] == 1;
    const char *note =
        trap ? "; a 3.0 data plane that restarted while no control plane was up stays "
               "on the old protocol and is missing here: restart it"
             : "";
    if (problem[0] != '\0') {
        KONG_CHECK(gate, "data_planes", false, "%s%s", problem, note);
    } else if (live == 0) {
        KONG_CHECK(gate, "data_planes", false,
                   "no data plane was seen by the new control plane in the last %.0f s%s",
                   DATA_PLANE_LIVE_S, note);
    } else {
        KONG_CHECK(gate, "data_planes", true, "%u live data planes are in sync%s%s%s", live,
                   silent[0] != '\0' ? "; seen within a day, but not now: " : "", silent,
                   silent[0] != '\0' ? note : "");
    }
}
