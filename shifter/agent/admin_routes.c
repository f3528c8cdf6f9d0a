/*
 * admin_routes.c -- from a request to who answers it, by the table of admin_table.c.
 */
#include "shifter/agent/admin_routes.h"

#include "shifter/agent/admin_access.h"
#include "shifter/agent/admin_answer.h"
#include "shifter/agent/admin_events.h"
#include "shifter/agent/admin_reexec.h"
#include "shifter/admin/admin_table.h"
#include "shifter/agent/admin_verbs.h"
#include "shifter/agent/agent_state.h"
#include "shifter/agent/agent_view.h"
#include "shifter/dashboard/dashboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool split_path(const char *text, struct xf_admin_path *ret)
{
    ret->count = 0;
    while (*text == '/') {
        const char *begin = text + 1;
        size_t length = strcspn(begin, "/");
        if (ret->count == XF_ADMIN_SEGMENTS_MAX ||
            !xf_admin_decode(begin, length, ret->segment[ret->count], XF_ADMIN_TEXT_BYTES)) {
            return false;
        }
        ret->count++;
        text = begin + length;
    }
    return ret->count > 0;
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

/* ---- requests about one service, or one server ---- */

/* The service that steers what `name` is asked about; NULL: it was answered. */
static const char *find_service(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                                const char *name, const char *what)
{
    const struct xf_config_service *services = agent->config->services;
    int place = xf_config_find_service(agent->config, name);
    if (place >= 0 && services[place].follows >= 0 && strcmp(what, "fence") == 0) {
        place = services[place].follows; /* its fence is its leader's */
    }
    if (place < 0 || services[place].follows >= 0) {
        xf_admin_answer_text(exchange, 404, 2,
                             place < 0 ? "there is no such service; GET /v1/services lists them"
                                       : "this service follows another; steer the one it follows");
        return NULL;
    }
    return services[place].name;
}

static bool route_service(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                          const struct xf_admin_request *request, const struct xf_admin_path *path,
                          enum xf_admin_kind kind)
{
    const char *what = path->segment[3];
    int place = xf_config_find_service(agent->config, path->segment[2]);
    if (kind == XF_ADMIN_QUESTION && place >= 0 && agent->config->services[place].follows >= 0 &&
        strcmp(what, "status") == 0) { /* the leader knows only whom it follows: from here alone */
        xf_admin_answer_json(exchange, 200, xf_agent_view_status(agent, path->segment[2]));
        return true;
    }
    const char *service = find_service(agent, exchange, path->segment[2], what);
    if (service == NULL) {
        return true;
    }
    if (kind == XF_ADMIN_VERB) {
        return xf_admin_verb(agent, exchange, service, what, request);
    }
    return xf_admin_query(agent, exchange, service, what,
                          kind == XF_ADMIN_SIGNAL ? path->segment[4] : NULL, request->query);
}

/* ---- the table ---- */

/* False: there is nothing of that name after all. */
static bool answer(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                   const struct xf_admin_request *request, const struct xf_admin_path *path,
                   enum xf_admin_kind kind)
{
    switch (kind) {
    case XF_ADMIN_PAGE:
        return xf_dashboard_answer(exchange, request);
    case XF_ADMIN_HEALTH:
        xf_admin_answer(exchange, 200, "text/plain", "ok\n", 3);
        return true;
    case XF_ADMIN_READY:
        answer_ready(agent, exchange);
        return true;
    case XF_ADMIN_METRICS:
        answer_metrics(agent, exchange);
        return true;
    case XF_ADMIN_SERVICES:
        answer_services(agent, exchange);
        return true;
    case XF_ADMIN_EVENTS:
        xf_admin_events_listen(agent->events, exchange, request->method == XF_METHOD_HEAD);
        return true;
    case XF_ADMIN_SERVERS: /* of this host */
        xf_admin_answer_json(exchange, 200, xf_agent_view_servers(agent));
        return true;
    case XF_ADMIN_REEXEC: /* likewise */
        xf_admin_reexec(agent, exchange, request);
        return true;
    case XF_ADMIN_ORDER: /* likewise */
        return xf_admin_server(agent, exchange, path->segment[2], path->segment[3],
                               path->segment[4], request);
    case XF_ADMIN_QUESTION:
    case XF_ADMIN_SIGNAL:
    case XF_ADMIN_VERB:
        return route_service(agent, exchange, request, path, kind);
    }
    return false;
}

static void answer_nothing(struct xf_admin_exchange *exchange, const char *methods)
{
    char line[64];
    if (methods == NULL) {
        xf_admin_answer_text(exchange, 404, 2, "there is nothing at this path");
        return;
    }
    (void) snprintf(line, sizeof(line), "Allow: %s", methods);
    xf_admin_header(exchange, line);
    xf_admin_answer_text(exchange, 405, 2, "this path does not take that method");
}

void xf_admin_route(void *context, struct xf_admin_exchange *exchange,
                    const struct xf_admin_request *request)
{
    struct xf_agent *agent = context;
    struct xf_admin_request asked = *request;
    struct xf_admin_path path;
    const char *methods = NULL;
    const struct xf_admin_entry *entry = NULL;
    if (split_path(request->path, &path)) {
        entry = xf_admin_table_find(request->method, &path, &methods);
    }
    if (entry == NULL) {
        answer_nothing(exchange, methods);
        return;
    }
    if (xf_admin_access_check(agent, exchange, &asked, entry->role, entry->open) &&
        !answer(agent, exchange, &asked, &path, entry->kind)) {
        answer_nothing(exchange, NULL);
    }
}
