/*
 * admin_routes.c -- the table of routes.
 *
 * The unix socket's mode decides who may use it.  The TCP port has no tokens yet, so it answers
 * what changes nothing and shows no secret, and refuses the rest.
 */
#include "shifter/admin_routes.h"

#include "shifter/admin_answer.h"
#include "shifter/admin_verbs.h"
#include "shifter/agent_state.h"
#include "shifter/agent_view.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_MAX 6u

struct path {
    char segment[SEGMENTS_MAX][XF_ADMIN_TEXT_BYTES];
    unsigned count;
};

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool xf_admin_decode(const char *segment, size_t length, char *out, size_t bytes)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int value = (unsigned char) segment[i];
        if (segment[i] == '%') {
            int high = length - i > 2 ? hex_of(segment[i + 1]) : -1;
            int low = high >= 0 ? hex_of(segment[i + 2]) : -1;
            if (low < 0) {
                return false;
            }
            value = high * 16 + low;
            i += 2;
        }
        if (value < 0x20 || value == 0x7f || used + 1 >= bytes) {
            return false;
        }
        out[used++] = (char) value;
    }
    out[used] = '\0';
    return true;
}

static bool split_path(const char *text, struct path *ret)
{
    ret->count = 0;
    while (*text == '/') {
        const char *begin = text + 1;
        size_t length = strcspn(begin, "/");
        if (ret->count == SEGMENTS_MAX ||
            !xf_admin_decode(begin, length, ret->segment[ret->count], XF_ADMIN_TEXT_BYTES)) {
            return false;
        }
        ret->count++;
        text = begin + length;
    }
    return ret->count > 0;
}

/* ---- who may ask ---- */

/* `host[:port]` is an address, localhost or this machine: a page in a browser cannot make one of
 * its own names mean this port (DNS rebinding). */
static bool host_is_ours(const char *host)
{
    char name[XF_ADMIN_TEXT_BYTES], own[XF_ADMIN_TEXT_BYTES] = "";
    unsigned char address[16];
    const char *begin = host[0] == '[' ? host + 1 : host;
    size_t length = strcspn(begin, host[0] == '[' ? "]" : ":");
    memcpy(name, begin, length);
    name[length] = '\0';
    if (gethostname(own, sizeof(own) - 1) == 0 && strcasecmp(name, own) == 0) {
        return true;
    }
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1 ||
           inet_pton(AF_INET6, name, address) == 1;
}

static bool may_read_over_tcp(const struct xf_agent *agent, const struct xf_admin_request *request,
                              const struct path *path)
{
    if (request->method != XF_METHOD_GET && request->method != XF_METHOD_HEAD) {
        return false;
    }
    if (path->count == 1) { /* metrics and probes: scrapers come by any name */
        return true;
    }
    if (request->origin[0] != '\0' || !host_is_ours(request->host) ||
        agent->config->admin.tokens_file != NULL) {
        return false;
    }
    return path->count == 2 || (path->count == 4 && (strcmp(path->segment[3], "status") == 0 ||
                                                     strcmp(path->segment[3], "why") == 0));
}

/* ---- answers of the agent's own ---- */

static void answer_services(struct xf_agent *agent, struct xf_admin_exchange *exchange)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < agent->config->services_count; i++) {
        if (agent->config->services[i].follows < 0) {
            (void) json_array_append_new(names, json_string(agent->config->services[i].name));
        }
    }
    xf_admin_answer_json(exchange, 200, json_pack("{s:o}", "services", names));
}

static void answer_ready(struct xf_agent *agent, struct xf_admin_exchange *exchange)
{
    char reason[1024];
    if (xf_agent_start_ready(agent, reason, sizeof(reason) - 1)) {
        xf_admin_answer(exchange, 200, "text/plain", "ready\n", 6);
        return;
    }
    size_t length = strlen(reason);
    reason[length++] = '\n';
    xf_admin_answer(exchange, 503, "text/plain", reason, length);
}

static void answer_metrics(struct xf_agent *agent, struct xf_admin_exchange *exchange)
{
    size_t length = 0;
    char *text = xf_agent_view_metrics(agent, &length);
    if (text == NULL) {
        xf_admin_answer_error(exchange, 1, "the metrics do not fit into memory");
        return;
    }
    xf_admin_answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
    free(text);
}

/* ---- the table ---- */

static bool is_get(const struct xf_admin_request *request)
{
    return request->method == XF_METHOD_GET || request->method == XF_METHOD_HEAD;
}

static bool route_own(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                      const struct xf_admin_request *request, const struct path *path)
{
    if (path->count != 1 || !is_get(request)) {
        return false;
    }
    if (strcmp(path->segment[0], "healthz") == 0) {
        xf_admin_answer(exchange, 200, "text/plain", "ok\n", 3);
    } else if (strcmp(path->segment[0], "readyz") == 0) {
        answer_ready(agent, exchange);
    } else if (strcmp(path->segment[0], "metrics") == 0) {
        answer_metrics(agent, exchange);
    } else {
        return false;
    }
    return true;
}

static bool route_service(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                          const struct xf_admin_request *request, const struct path *path)
{
    if (path->count < 4) {
        return false;
    }
    const char *service = path->segment[2], *what = path->segment[3];
    bool key = strcmp(what, "signal") == 0 && path->count == 5;
    if (path->count != 4 && !key) {
        return false;
    }
    int place = xf_config_find_service(agent->config, service);
    if (place >= 0 && agent->config->services[place].follows >= 0 && strcmp(what, "fence") == 0) {
        place = agent->config->services[place].follows; /* its fence is its leader's */
        service = agent->config->services[place].name;
    }
    if (place < 0 || agent->config->services[place].follows >= 0) {
        xf_admin_answer_text(exchange, 404, 2,
                             place < 0 ? "there is no such service; GET /v1/services lists them"
                                       : "this service follows another; steer the one it follows");
        return true;
    }
    if (is_get(request)) {
        return xf_admin_query(agent, exchange, service, what, key ? path->segment[4] : NULL,
                              request->query);
    }
    if (request->method != XF_METHOD_POST || key) {
        return false;
    }
    return xf_admin_verb(agent, exchange, service, what, request);
}

/* `/v1/servers` lists them, `/v1/servers/CLUSTER/ADDRESS/ORDER` is an order for this host. */
static bool route_servers(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                          const struct xf_admin_request *request, const struct path *path)
{
    if (path->count < 2 || strcmp(path->segment[0], "v1") != 0 ||
        strcmp(path->segment[1], "servers") != 0) {
        return false;
    }
    if (path->count == 2 && is_get(request)) {
        xf_admin_answer_json(exchange, 200, xf_agent_view_servers(agent));
        return true;
    }
    if (path->count != 5 || request->method != XF_METHOD_POST) {
        return false;
    }
    return xf_admin_server(agent, exchange, path->segment[2], path->segment[3], path->segment[4],
                           request);
}

void xf_admin_route(void *context, struct xf_admin_exchange *exchange,
                    const struct xf_admin_request *request)
{
    struct xf_agent *agent = context;
    struct path path;
    if (!split_path(request->path, &path)) {
        xf_admin_answer_text(exchange, 404, 2, "there is nothing at this path");
        return;
    }
    if (!request->local && !may_read_over_tcp(agent, request, &path)) {
        xf_admin_answer_error(exchange, 8, "not permitted over this port: use the admin socket");
        return;
    }
    if (route_servers(agent, exchange, request, &path)) {
        return;
    }
    bool v1 = path.count >= 2 && strcmp(path.segment[0], "v1") == 0 &&
              strcmp(path.segment[1], "services") == 0;
    if (v1 && path.count == 2 && is_get(request)) {
        answer_services(agent, exchange);
    } else if (!route_own(agent, exchange, request, &path) &&
               !(v1 && route_service(agent, exchange, request, &path))) {
        xf_admin_answer_text(exchange, 404, 2, "there is nothing at this path");
    }
}
