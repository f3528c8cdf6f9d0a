/*
 * admin_events.c -- see admin_events.h.
 */
#include "shifter/agent/admin_events.h"

#include "config/base/list.h"
#include "shifter/agent/admin_answer.h"
#include "shifter/agent/agent_state.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US       200000
#define COMMENT_MS    15000 /* so that what stands between does not think the stream dead */
#define PER_CENT      100.0 /* hundredths in one per cent */
#define EVENT_BYTES   8192u
#define REAL_DIGITS   12
#define SERVICES_MAX  64u
#define STREAM_TYPE   "text/event-stream"
#define COMMENT_LINES ": still here\n\n"

struct listener {
    struct xf_list node;
    struct xf_admin_events *events;
    struct xf_admin_exchange *exchange;
};

struct xf_admin_events {
    struct xf_agent *agent;
    struct event *look_event;
    struct xf_list listeners;
    unsigned count;
    int64_t said_ms;           /* monotonic: when something was sent last */
    char **last;               /* by service: what was told last; NULL: nothing */
    unsigned services_count;   /* of `last` */
    const void *last_services; /* of the agent, when `last` was made */
};

/* ---- what is said of a service ---- */

static json_t *list_holds(const struct xf_document *document)
{
    json_t *holds = json_array();
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        if (document->holds[i].on) {
            (void) json_array_append_new(holds, json_string(xf_hold_name((enum xf_hold) i)));
        }
    }
    return holds;
}

/* One line of JSON; NULL: nothing is known of the service, or no memory. */
static char *describe(const struct xf_agent_service *service)
{
    char version[XF_VERSION_TEXT_BYTES];
    const struct xf_document *document = service->document;
    if (document == NULL) {
        return NULL;
    }
    json_t *actual = service->routed ? json_real(service->weight / PER_CENT) : json_null();
    json_t *cutover = document->cutover[0] != '\0' ? json_string(document->cutover) : json_null();
    json_t *object =
        json_pack("{s:s, s:o, s:s, s:{s:f, s:o}, s:o, s:I, s:s}", "service", service->name,
                  "cutover", cutover, "state", xf_cutover_state_name(document->state), "weight",
                  "desired", document->weight / PER_CENT, "actual", actual, "holds",
                  list_holds(document), "generation", (json_int_t) service->version.generation,
                  "version", xf_version_format(&service->version, version));
    char *text =
        object != NULL ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    json_decref(object);
    return text;
}

static void frame(const char *description, struct xf_text *ret)
{
    xf_text_init(ret, EVENT_BYTES);
    xf_text_printf(ret, "event: change\ndata: %s\n\n", description);
}

/* ---- telling ---- */

static void tell_all(struct xf_admin_events *events, const char *bytes, size_t length)
{
    struct xf_list *next;
    for (struct xf_list *node = events->listeners.next; node != &events->listeners; node = next) {
        next = node->next; /* who does not keep up is gone after the call */
        xf_admin_stream_send(XF_CONTAINER_OF(node, struct listener, node)->exchange, bytes, length);
    }
    events->said_ms = xf_agent_now_ms(events->agent);
}

static void forget(struct xf_admin_events *events)
{
    for (unsigned i = 0; i < events->services_count; i++) {
        free(events->last[i]);
    }
    free(events->last);
    events->last = NULL;
    events->services_count = 0;
}

/* After a reload the services may be others. */
static bool fit(struct xf_admin_events *events)
{
    const struct xf_agent *agent = events->agent;
    if (events->last != NULL && events->last_services == agent->services &&
        events->services_count == agent->services_count) {
        return true;
    }
    forget(events);
    events->last = calloc(agent->services_count + 1, sizeof(events->last[0]));
    if (events->last == NULL) {
        return false;
    }
    events->services_count = agent->services_count;
    events->last_services = agent->services;
    return true;
}

static void look_at(struct xf_admin_events *events, unsigned place)
{
    struct xf_text text;
    char *now = describe(&events->agent->services[place]);
    char *before = events->last[place];
    if (now == NULL || (before != NULL && strcmp(now, before) == 0)) {
        free(now);
        return;
    }
    free(before);
    events->last[place] = now;
    frame(now, &text);
    if (!text.failed) {
        tell_all(events, text.data, text.length);
    }
    xf_text_release(&text);
}

static void look(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_admin_events *events = arg;
    if (!fit(events)) {
        return;
    }
    for (unsigned i = 0; i < events->services_count; i++) {
        if (events->agent->config->services[i].follows < 0) {
            look_at(events, i);
        }
    }
    if (xf_agent_now_ms(events->agent) - events->said_ms >= COMMENT_MS) {
        tell_all(events, COMMENT_LINES, strlen(COMMENT_LINES));
    }
}

/* ---- listeners ---- */

static void listener_gone(void *context)
{
    struct listener *listener = context;
    struct xf_admin_events *events = listener->events;
    xf_list_remove(&listener->node);
    free(listener);
    if (--events->count == 0) {
        event_del(events->look_event);
        forget(events);
    }
}

/* What is now, for one who has just come. */
static void tell_present(struct xf_admin_events *events, struct xf_text *ret)
{
    for (unsigned i = 0; i < events->agent->services_count; i++) {
        char *now = events->agent->config->services[i].follows < 0
                        ? describe(&events->agent->services[i])
                        : NULL;
        if (now != NULL) {
            xf_text_printf(ret, "event: change\ndata: %s\n\n", now);
        }
        free(now);
    }
}

void xf_admin_events_listen(struct xf_admin_events *events, struct xf_admin_exchange *exchange,
                            bool head_only)
{
    if (head_only) {
        xf_admin_answer(exchange, 200, STREAM_TYPE, "", 0);
        return;
    }
    struct listener *listener =
        events->count < XF_ADMIN_LISTENERS_MAX ? calloc(1, sizeof(*listener)) : NULL;
    if (listener == NULL) {
        xf_admin_answer_error(exchange, 7, "too many listen to the events of this host already");
        return;
    }
    if (events->count++ == 0) {
        events->said_ms = xf_agent_now_ms(events->agent);
        event_add(events->look_event, &(struct timeval){.tv_usec = LOOK_US});
    }
    look(-1, 0, events); /* those before hear what is new; the one to come hears it below */
    *listener = (struct listener){.events = events, .exchange = exchange};
    xf_list_init(&listener->node);
    xf_list_append(&events->listeners, &listener->node);
    struct xf_text text;
    xf_text_init(&text, EVENT_BYTES * SERVICES_MAX);
    tell_present(events, &text);
    xf_admin_on_gone(exchange, listener_gone, listener);
    xf_admin_stream(exchange, STREAM_TYPE, text.data, text.length);
    xf_text_release(&text);
}

struct xf_admin_events *xf_admin_events_create(struct xf_agent *agent)
{
    struct xf_admin_events *events = calloc(1, sizeof(*events));
    if (events == NULL) {
        return NULL;
    }
    events->agent = agent;
    xf_list_init(&events->listeners);
    events->look_event = event_new(agent->loop, -1, EV_PERSIST, look, events);
    if (events->look_event == NULL) {
        free(events);
        return NULL;
    }
    return events;
}

void xf_admin_events_destroy(struct xf_admin_events *events)
{
    if (events == NULL) {
        return;
    }
    XF_ASSERT(events->count == 0);
    event_free(events->look_event);
    forget(events);
    free(events);
}
