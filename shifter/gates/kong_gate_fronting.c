/*
 * kong_gate_fronting.c -- the check `fronting`: can crossfade stand before this Kong at all?
 *
 * Every proxy of the fleet must be believed (trusted_ips, real_ip_header), and no route may need
 * what an HTTP proxy cannot carry.  A proxy whose addresses are not known is named, not passed.
 */
#include "shifter/gates/kong_gate.h"

#include "shifter/bus/bus_message.h"
#include "shifter/net/source_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The address that a server sees of this host, by its address or name; false where it has neither
 * or no way leads there. */
static bool own_address(const struct xf_endpoint *server, char out[INET6_ADDRSTRLEN])
{
    if (server->numeric) {
        return xf_source_address((const struct sockaddr *) &server->address, server->address_bytes,
                                 out);
    }
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    snprintf(port, sizeof(port), "%u", server->port);
    if (getaddrinfo(server->host, port, &hints, &found) != 0) {
        return false;
    }
    bool known = xf_source_address(found->ai_addr, found->ai_addrlen, out);
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
    bool asked;          /* a node showed its configuration */
    bool compared;       /* an address of ours was held against trusted_ips */
    bool fleet;          /* of every proxy, not of this host alone */
    char strangers[256]; /* proxies whose addresses are not known */
    char problem[512];
};

struct asked_node { /* a node, and the cluster that it stands for */
    const struct xf_kong_node *node;
    const struct xf_config_cluster *cluster;
    const json_t *trusted;
};

/* One address of one proxy (NULL: this host). */
static void compare(const struct asked_node *asked, const char *proxy, const char *address,
                    struct belief *belief)
{
    belief->compared = true;
    if (!trusts(asked->trusted, address)) {
        snprintf(belief->problem, sizeof(belief->problem),
                 "%.150s: trusted_ips does not have the address %s of %s%.63s: Kong would take the "
                 "proxy for the client",
                 asked->node->url, address, proxy != NULL ? "proxy " : "this proxy",
                 proxy != NULL ? proxy : "");
    }
}

static void compare_own(const struct asked_node *asked, struct belief *belief)
{
    for (unsigned s = 0; s < asked->cluster->servers_count && belief->problem[0] == '\0'; s++) {
        char own[INET6_ADDRSTRLEN];
        if (own_address(&asked->cluster->servers[s].endpoint, own)) {
            compare(asked, NULL, own, belief);
        }
    }
}

/* What a proxy said of itself, server by server. */
static void compare_proxy(const struct asked_node *asked,
                          const struct xf_message_heartbeat *heartbeat, struct belief *belief)
{
    const struct xf_message_cluster *cluster =
        xf_message_cluster_of(heartbeat, asked->cluster->name);
    const char *name = heartbeat->proxy.name;
    bool known = false;
    for (size_t s = 0; cluster != NULL && s < cluster->servers_count; s++) {
        const char *from = cluster->servers[s].from;
        if (from[0] != '\0' && belief->problem[0] == '\0') {
            compare(asked, name, from, belief);
            known = true;
        }
    }
    if (!known && belief->problem[0] == '\0') {
        xf_kong_list_once(belief->strangers, sizeof(belief->strangers), name);
    }
}

static bool sends(const char *header, const struct xf_config_cluster *cluster)
{
    return strcasecmp(header, "X-Real-IP") == 0 || strcasecmp(header, "X-Forwarded-For") == 0 ||
           (strcasecmp(header, "proxy_protocol") == 0 && cluster != NULL && cluster->send_proxy);
}

static void ask_node_belief(const struct xf_kong_node *node,
                            const struct xf_config_cluster *cluster,
                            const struct xf_gate_context *context, struct belief *belief)
{
    const json_t *configuration = json_object_get(node->root, "configuration");
    const char *header = json_string_value(json_object_get(configuration, "real_ip_header"));
    struct asked_node asked = {node, cluster, json_object_get(configuration, "trusted_ips")};
    if (configuration == NULL) {
        return;
    }
    belief->asked = true;
    if (header != NULL && !sends(header, cluster)) {
        snprintf(belief->problem, sizeof(belief->problem),
                 "%.150s: real_ip_header is %.60s; crossfade sends X-Real-IP and "
                 "X-Forwarded-For",
                 node->url, header);
        return;
    }
    const struct xf_message_heartbeat *heartbeat;
    unsigned proxies = 0;
    while (cluster != NULL && context->proxy != NULL &&
           (heartbeat = context->proxy(context->fleet, proxies)) != NULL) {
        compare_proxy(&asked, heartbeat, belief);
        belief->fleet = true;
        proxies++;
    }
    if (cluster != NULL && proxies == 0) {
        compare_own(&asked, belief);
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
                ask_node_belief(node, xf_kong_side_cluster(gate, sides[i]), gate->context, ret);
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
    const char *who =
        belief.fleet ? "every proxy says" : "this host (not asked: other proxies) says";
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
    } else if (belief.strangers[0] != '\0') {
        KONG_SKIP(gate, "fronting",
                  "it is not known from which addresses these proxies come: %s; wait until they "
                  "are heard, or hold their addresses against trusted_ips by hand",
                  belief.strangers);
    } else if (!belief.compared) {
        KONG_SKIP(gate, "fronting", "no address of the new cluster's servers is known here");
    } else if (!routes_seen) {
        KONG_SKIP(gate, "fronting",
                  "Kong believes what %s of clients; its routes are seen neither in a database nor "
                  "at /routes of the Admin API",
                  who);
    } else {
        KONG_CHECK(gate, "fronting", true,
                   "Kong believes what %s of clients, and every route can pass", who);
    }
}
