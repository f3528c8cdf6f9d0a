/*
 * kong_gate_nodes.c -- the `kong` gate's checks that ask Kong's nodes.
 *
 * `*.reachable` is the Admin API.  A green that answers `no Route matched` to everything calls
 * itself healthy, so emptiness is looked for with a real route.
 */
#include "shifter/kong_gate.h"

#include "config/base/clock.h"
#include "shifter/fetch.h"
#include "shifter/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
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

static const struct xf_config_cluster *side_cluster(const struct xf_kong_gate *gate,
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
    const struct xf_config_cluster *cluster = side_cluster(gate, &gate->new_side);
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

/* The address from which this host would reach one of a server's addresses. */
static bool own_address_towards(const struct sockaddr *address, socklen_t address_bytes, char *out,
                                size_t bytes)
{
    struct sockaddr_storage own;
    socklen_t own_bytes = sizeof(own);
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool known = connect(fd, address, address_bytes) == 0 &&
                 getsockname(fd, (struct sockaddr *) &own, &own_bytes) == 0;
    close(fd);
    if (!known) {
        return false;
    }
    const void *raw = own.ss_family == AF_INET6
                          ? (const void *) &((struct sockaddr_in6 *) &own)->sin6_addr
                          : (const void *) &((struct sockaddr_in *) &own)->sin_addr;
    return inet_ntop(own.ss_family, raw, out, (socklen_t) bytes) != NULL;
}

/* The same for a server, by address or by name; false where it has neither or no route. */
static bool own_address(const struct xf_endpoint *server, char *out, size_t bytes)
{
    if (server->numeric) {
        return own_address_towards((const struct sockaddr *) &server->address,
                                   server->address_bytes, out, bytes);
    }
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    snprintf(port, sizeof(port), "%u", server->port);
    if (getaddrinfo(server->host, port, &hints, &found) != 0) {
        return false;
    }
    bool known = own_address_towards(found->ai_addr, found->ai_addrlen, out, bytes);
    freeaddrinfo(found);
    return known;
}

static bool in_network(const char *address, const char *network)
{
    char base[64];
    unsigned char a[16];
    unsigned char b[16];
    snprintf(base, sizeof(base), "%.*s", (int) strcspn(network, "/"), network);
    int family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, address, a) != 1 || inet_pton(family, base, b) != 1) {
        return false;
    }
    const char *slash = strchr(network, '/');
    int bits = family == AF_INET6 ? 128 : 32;
    int prefix = slash != NULL ? (int) strtol(slash + 1, NULL, 10) : bits;
    if (prefix < 0 || prefix > bits) {
        return false;
    }
    for (int i = 0; i < prefix; i++) {
        if (((a[i / 8] ^ b[i / 8]) >> (7 - i % 8)) & 1) {
            return false;
        }
    }
    return true;
}

/* Whether Kong's trusted_ips (a list, or one text with commas) has `address`. */
static bool trusts(const json_t *trusted, const char *address)
{
    size_t i;
    json_t *entry;
    json_array_foreach(trusted, i, entry)
    {
        const char *text = json_string_value(entry);
        if (text != NULL && in_network(address, text)) {
            return true;
        }
    }
    const char *rest = json_string_value(trusted);
    while (rest != NULL && *rest != '\0') {
        char one[80];
        size_t length = strcspn(rest, ", ");
        snprintf(one, sizeof(one), "%.*s", (int) length, rest);
        if (one[0] != '\0' && in_network(address, one)) {
            return true;
        }
        rest += length + (rest[length] != '\0' ? 1 : 0);
    }
    return false;
}

/* What was found out about whether Kong's nodes believe what we say of the client. */
struct belief {
    bool asked;    /* a node showed its configuration */
    bool compared; /* our address was held against trusted_ips */
    char problem[512];
};

static void ask_node_belief(const struct xf_kong_node *node,
                            const struct xf_config_cluster *cluster, struct belief *belief)
{
    const json_t *configuration = json_object_get(node->root, "configuration");
    const json_t *trusted = json_object_get(configuration, "trusted_ips");
    const char *header = json_string_value(json_object_get(configuration, "real_ip_header"));
    if (configuration == NULL) {
        return;
    }
    belief->asked = true;
    if (header != NULL && strcasecmp(header, "X-Real-IP") != 0 &&
        strcasecmp(header, "X-Forwarded-For") != 0 &&
        !(strcasecmp(header, "proxy_protocol") == 0 && cluster != NULL && cluster->send_proxy)) {
        snprintf(belief->problem, sizeof(belief->problem),
                 "%.150s: real_ip_header is %.60s; crossfade sends X-Real-IP and "
                 "X-Forwarded-For",
                 node->url, header);
        return;
    }
    for (unsigned s = 0; cluster != NULL && s < cluster->servers_count; s++) {
        char own[INET6_ADDRSTRLEN];
        if (!own_address(&cluster->servers[s].endpoint, own, sizeof(own))) {
            continue;
        }
        belief->compared = true;
        if (!trusts(trusted, own)) {
            snprintf(belief->problem, sizeof(belief->problem),
                     "%.150s: trusted_ips does not have this proxy's address %s: "
                     "Kong would take the proxy for the client",
                     node->url, own);
            return;
        }
    }
}

/* Both clusters stand behind us.  An old node that does not show the key is not blamed. */
static void ask_belief(const struct xf_kong_gate *gate, struct belief *ret)
{
    const struct xf_kong_side *sides[] = {&gate->new_side, &gate->old_side};
    for (size_t i = 0; i < XF_COUNT(sides); i++) {
        for (unsigned n = 0; n < sides[i]->nodes.count && ret->problem[0] == '\0'; n++) {
            const struct xf_kong_node *node = &sides[i]->nodes.items[n];
            bool shown = json_object_get(json_object_get(node->root, "configuration"),
                                         "trusted_ips") != NULL;
            if (sides[i] == &gate->new_side || shown) {
                ask_node_belief(node, side_cluster(gate, sides[i]), ret);
            }
        }
    }
}

static bool needs_own_way(const json_t *route)
{
    static const char *const protocols[] = {"grpc", "grpcs",           "tcp",
                                            "tls",  "tls_passthrough", "udp"};
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(route, "protocols"), i, name)
    {
        for (size_t k = 0; k < XF_COUNT(protocols); k++) {
            const char *text = json_string_value(name);
            if (text != NULL && strcmp(text, protocols[k]) == 0) {
                return true;
            }
        }
    }
    return json_array_size(json_object_get(route, "snis")) > 0;
}

/* The same without a database, from the Admin API; false where it does not list its routes. */
static bool impassable_by_admin(const struct xf_kong_gate *gate, char *list, size_t bytes)
{
    const struct xf_kong_node *node = xf_kong_nodes_first(&gate->new_side.nodes);
    struct xf_error err;
    json_t *routes = NULL;
    if (node == NULL || xf_kong_list_all(node, "/routes", &routes, &err) != 0) {
        return false;
    }
    size_t i;
    json_t *route;
    json_array_foreach(routes, i, route)
    {
        char name[96];
        const char *text = json_string_value(json_object_get(route, "name"));
        text = text != NULL ? text : json_string_value(json_object_get(route, "id"));
        if (needs_own_way(route)) {
            snprintf(name, sizeof(name), "route %.80s", text != NULL ? text : "?");
            xf_kong_list(list, bytes, name);
        }
    }
    json_decref(routes);
    return true;
}

/* Names of routes that an HTTP proxy in front cannot carry, from the new database. */
static int impassable_routes(struct xf_kong_gate *gate, char *list, size_t bytes,
                             struct xf_error *err)
{
    struct xf_kong_database *database = &gate->new_side.database;
    json_t *tables = NULL;
    json_t *names = NULL;
    if (!gate->new_side.booted) {
        return 0;
    }
    if (xf_kong_config_tables(database, &tables, err) != 0) {
        return -1;
    }
    bool routes = json_object_get(tables, "routes") != NULL;
    bool plugins = json_object_get(tables, "plugins") != NULL;
    json_decref(tables);
    static const char routes_sql[] =
        "SELECT coalesce(json_agg(x.name ORDER BY x.name), '[]'::json)::text FROM (SELECT 'route ' "
        "|| coalesce(j->>'name', j->>'id', '?') AS name FROM (SELECT to_jsonb(r) j FROM routes r) "
        "y WHERE jsonb_exists_any(coalesce(nullif(j->'protocols', 'null'::jsonb), '[]'::jsonb), "
        "'{grpc,grpcs,tcp,tls,tls_passthrough,udp}'::text[]) OR "
        "(jsonb_typeof(j->'snis') = 'array' AND jsonb_array_length(j->'snis') > 0)) x";
    static const char plugins_sql[] =
        "SELECT coalesce(json_agg(DISTINCT 'plugin mtls-auth'::text), '[]'::json)::text FROM "
        "(SELECT "
        "to_jsonb(p) j FROM plugins p) y WHERE j->>'name' = 'mtls-auth' AND "
        "coalesce(j->>'enabled', 'true') <> 'false'";
    const char *queries[] = {routes ? routes_sql : NULL, plugins ? plugins_sql : NULL};
    for (size_t q = 0; q < XF_COUNT(queries); q++) {
        if (queries[q] == NULL) {
            continue;
        }
        if (xf_kong_rows(database, queries[q], &names, err) != 0) {
            return -1;
        }
        size_t i;
        json_t *name;
        json_array_foreach(names, i, name)
        {
            xf_kong_list(list, bytes, json_string_value(name));
        }
        json_decref(names);
    }
    return 0;
}

void xf_kong_check_fronting(struct xf_kong_gate *gate)
{
    char impassable[512] = "";
    struct xf_error err;
    struct belief belief = {0};
    if (impassable_routes(gate, impassable, sizeof(impassable), &err) != 0) {
        KONG_CHECK(gate, "fronting", false, "%s", err.message);
        return;
    }
    bool routes_seen =
        gate->new_side.booted || impassable_by_admin(gate, impassable, sizeof(impassable));
    ask_belief(gate, &belief);
    if (impassable[0] != '\0') {
        KONG_CHECK(gate, "fronting", false,
                   "cannot pass through an HTTP proxy: %s; take them to Kong by another way",
                   impassable);
    } else if (!belief.asked) {
        KONG_SKIP(gate, "fronting",
                  "the new Admin API is needed to see trusted_ips and "
                  "real_ip_header");
    } else if (belief.problem[0] != '\0' && gate->topology == XF_KONG_HYBRID) {
        KONG_SKIP(gate, "fronting",
                  "the data planes' own trusted_ips are not seen from their control plane, whose "
                  "say: %s",
                  belief.problem);
    } else if (belief.problem[0] != '\0') {
        KONG_CHECK(gate, "fronting", false, "%s", belief.problem);
    } else if (!belief.compared) {
        KONG_SKIP(gate, "fronting", "no address of the new cluster's servers is known here");
    } else if (!routes_seen) {
        KONG_SKIP(gate, "fronting",
                  "Kong believes this proxy's client addresses; its routes are seen neither in a "
                  "database nor at /routes of the Admin API");
    } else {
        KONG_CHECK(gate, "fronting", true,
                   "Kong believes this proxy's client addresses, and every route can pass");
    }
}
