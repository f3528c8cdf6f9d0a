/*
 * admin_verbs.c -- forwards to the leader, and answers status and why itself where none is there.
 */
#include "shifter/agent/admin_verbs.h"

#include "shifter/agent/admin_access.h"
#include "shifter/agent/admin_answer.h"
#include "shifter/agent/agent_checks.h"
#include "shifter/agent/agent_forward.h"
#include "shifter/agent/agent_local.h"
#include "shifter/agent/agent_view.h"
#include "shifter/net/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUESTION_LIMIT_MS 3000
#define VERB_LIMIT_MS     (10 * 60 * 1000)
#define OVER_MS_MAX       (24 * 60 * 60 * 1000) /* the longest `abort --over` */

struct waiting { /* a request whose answer is the leader's to give */
    struct xf_agent *agent;
    struct xf_admin_exchange *exchange;
    struct xf_agent_pending *pending;
    char service[XF_NAME_BYTES];
    char verb[XF_VERB_BYTES];
    bool question;
};

static void waiting_gone(void *context)
{
    struct waiting *waiting = context;
    xf_agent_forward_cancel(waiting->pending);
    free(waiting);
}

static bool answer_locally(struct waiting *waiting)
{
    json_t *body;
    if (strcmp(waiting->verb, "status") == 0) {
        body = xf_agent_view_status(waiting->agent, waiting->service);
    } else if (strcmp(waiting->verb, "why") == 0) {
        body = xf_agent_view_why(waiting->agent, waiting->service);
    } else {
        return false;
    }
    xf_admin_answer_json(waiting->exchange, 200, body);
    return true;
}

/* {exit, message} and what the leader added. */
static json_t *verb_body(const struct xf_message_reply *reply)
{
    json_t *body = json_pack("{s:i, s:s}", "exit", reply->exit, "message", reply->message);
    if (body != NULL && json_is_object(reply->body)) {
        (void) json_object_update_missing(body, (json_t *) reply->body);
    }
    return body;
}

static void answered(void *context, const struct xf_message_reply *reply, int exit_code,
                     const char *why)
{
    struct waiting *waiting = context;
    struct xf_admin_exchange *exchange = waiting->exchange;
    if (reply == NULL && answer_locally(waiting)) {
        free(waiting);
        return;
    }
    bool question = waiting->question;
    free(waiting);
    if (reply == NULL) {
        xf_admin_answer_error(exchange, exit_code, why);
    } else if (question && exit_code == 0 && reply->body != NULL) {
        xf_admin_answer_json(exchange, 200, json_deep_copy(reply->body));
    } else if (question) { /* the one thing a question can miss is what it asked for */
        unsigned status = exit_code == 1 ? 404 : xf_admin_status_of(exit_code);
        xf_admin_answer_text(exchange, status, exit_code, why);
    } else {
        xf_admin_answer_json(exchange, xf_admin_status_of(exit_code), verb_body(reply));
    }
}

/* How long the leader may take; `abort --over` is answered at its end. */
static int64_t limit_ms(const struct xf_message_command *command, bool question)
{
    json_int_t over_ms = json_integer_value(json_object_get(command->arguments, "over_ms"));
    bool sound = over_ms > 0 && over_ms <= OVER_MS_MAX;
    return question ? QUESTION_LIMIT_MS : VERB_LIMIT_MS + (sound ? (int64_t) over_ms : 0);
}

static void forward(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                    const struct xf_message_command *command, bool question)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (waiting != NULL) {
        *waiting = (struct waiting){.agent = agent, .exchange = exchange, .question = question};
        memcpy(waiting->service, command->service, sizeof(waiting->service));
        memcpy(waiting->verb, command->verb, sizeof(waiting->verb));
        waiting->pending = xf_agent_forward_send(agent->forward, command,
                                                 limit_ms(command, question), answered, waiting);
    }
    if (waiting == NULL || waiting->pending == NULL) {
        free(waiting);
        xf_admin_answer_error(exchange, 7, "too many commands wait for the leader");
        return;
    }
    xf_admin_on_gone(exchange, waiting_gone, waiting);
}

/* ---- questions ---- */

/* The number behind `name=` in a query; 0 where it is missing or malformed. */
static uint64_t query_number(const char *query, const char *name)
{
    size_t length = strlen(name);
    while (*query != '\0') {
        size_t part = strcspn(query, "&");
        if (strncmp(query, name, length) == 0 && query[length] == '=') {
            char text[24];
            uint64_t value;
            size_t digits = part - length - 1;
            if (digits >= sizeof(text)) {
                return 0;
            }
            memcpy(text, query + length + 1, digits);
            text[digits] = '\0';
            return xf_parse_uint(text, INT64_MAX, &value) ? value : 0;
        }
        query += part + (query[part] == '&' ? 1 : 0);
    }
    return 0;
}

static json_t *question_arguments(const char *what, const char *key, const char *query)
{
    if (strcmp(what, "history") == 0) {
        return json_pack("{s:I, s:I}", "count", (json_int_t) query_number(query, "count"),
                         "since_ms", (json_int_t) query_number(query, "since_ms"));
    }
    return key != NULL ? json_pack("{s:s}", "key", key) : json_object();
}

bool xf_admin_query(struct xf_agent *agent, struct xf_admin_exchange *exchange, const char *service,
                    const char *what, const char *key, const char *query)
{
    if (strcmp(what, "plan") == 0) {
        xf_admin_answer_json(exchange, 200, xf_agent_view_plan(agent, service));
        return true;
    }
    bool local = strcmp(what, "status") == 0 || strcmp(what, "why") == 0;
    bool known = local || strcmp(what, "history") == 0 || key != NULL;
    if (!known || strlen(service) >= XF_NAME_BYTES) {
        return false;
    }
    struct xf_message_command command = {0};
    xf_agent_copy(command.service, sizeof(command.service), service);
    xf_agent_copy(command.verb, sizeof(command.verb), what);
    xf_agent_copy(command.actor, sizeof(command.actor), agent->self.name);
    xf_uuid_make(command.request);
    struct xf_agent_service *known_service = xf_agent_find(agent, service);
    if (local && (known_service == NULL || !xf_agent_bus_led(agent, known_service))) {
        struct waiting here = {.agent = agent, .exchange = exchange};
        memcpy(here.service, command.service, sizeof(here.service));
        memcpy(here.verb, command.verb, sizeof(here.verb));
        return answer_locally(&here);
    }
    command.arguments = question_arguments(what, key, query);
    forward(agent, exchange, &command, true);
    json_decref(command.arguments);
    return true;
}

/* ---- verbs ---- */

static void read_optional_number(struct xf_json *reader, const json_t *body, const char *key,
                                 bool *ret_set, int64_t *ret)
{
    json_t *value = json_object_get(body, key);
    *ret_set = value != NULL && !json_is_null(value);
    xf_json_int(reader, body, key, XF_JSON_OPTIONAL, 0, INT64_MAX, ret);
}

static int read_members(const json_t *body, struct xf_message_command *ret, struct xf_error *err)
{
    static const char *const known[] = {"request", "actor",     "reason", "if_generation",
                                        "if_step", "arguments", NULL};
    struct xf_json reader = {.what = "request", .err = err};
    int64_t generation = 0;
    xf_json_only(&reader, body, known);
    xf_json_string(&reader, body, "request", XF_JSON_OPTIONAL, ret->request, sizeof(ret->request));
    xf_json_string(&reader, body, "actor", XF_JSON_OPTIONAL, ret->actor, sizeof(ret->actor));
    xf_json_string(&reader, body, "reason", XF_JSON_OPTIONAL, ret->reason, sizeof(ret->reason));
    read_optional_number(&reader, body, "if_generation", &ret->if_generation_set, &generation);
    read_optional_number(&reader, body, "if_step", &ret->if_step_set, &ret->if_step);
    ret->if_generation = (uint64_t) generation;
    const json_t *arguments = xf_json_object(&reader, body, "arguments", XF_JSON_OPTIONAL);
    if (reader.failed) {
        err->code = XF_E_USAGE;
        return -1;
    }
    ret->arguments = arguments != NULL ? json_incref((json_t *) arguments) : json_object();
    return 0;
}

int xf_admin_read_command(const char *body, size_t length, const char *service, const char *verb,
                          struct xf_message_command *ret, struct xf_error *err)
{
    json_error_t where;
    struct xf_message_command command = {0};
    json_t *root =
        length > 0 ? json_loadb(body, length, JSON_REJECT_DUPLICATES, &where) : json_object();
    if (!json_is_object(root)) {
        json_decref(root);
        return XF_FAIL(err, XF_E_USAGE, "the body is no JSON object: %s",
                       root == NULL ? where.text : "it is something else");
    }
    int result = read_members(root, &command, err);
    json_decref(root);
    if (result != 0) {
        return -1;
    }
    xf_agent_copy(command.service, sizeof(command.service), service);
    xf_agent_copy(command.verb, sizeof(command.verb), verb);
    *ret = command;
    return 0;
}

/* `ACTOR (token NAME)`: who says so may be anybody, the token is known. */
static void name_token(char actor[XF_ACTOR_BYTES], const char *name)
{
    char told[XF_ACTOR_BYTES];
    xf_agent_copy(told, sizeof(told), actor);
    int room = (int) (XF_ACTOR_BYTES - strlen(name) - sizeof(" (token )"));
    while (room > 0 && ((unsigned char) told[room] & 0xc0) == 0x80) {
        room--; /* not into the middle of a letter */
    }
    (void) snprintf(actor, XF_ACTOR_BYTES, told[0] != '\0' ? "%.*s (token %s)" : "%.*stoken %s",
                    room, told, name);
}

static void fill_request(const struct xf_agent *agent, const struct xf_admin_request *request,
                         struct xf_message_command *command)
{
    if (command->request[0] == '\0') {
        xf_agent_copy(command->request, sizeof(command->request), request->idempotency_key);
    }
    if (command->request[0] == '\0') {
        xf_uuid_make(command->request);
    }
    if (request->who[0] != '\0') {
        name_token(command->actor, request->who);
    } else if (command->actor[0] == '\0') {
        (void) snprintf(command->actor, sizeof(command->actor), "uid:%u@%s",
                        (unsigned) request->uid, agent->self.name);
    }
}

/* What only an admin may: whatever overrides a refusal, cuts answers, or leaves an action out.
 * False: it was answered. */
static bool check_arguments(struct xf_admin_exchange *exchange,
                            const struct xf_admin_request *request, const json_t *arguments)
{
    static const struct {
        const char *key, *what;
    } table[] = {{"force", "force"}, {"now", "drain now"}, {"skip", "finalize skip"}};
    for (unsigned i = 0; i < XF_COUNT(table); i++) {
        const json_t *value = json_object_get(arguments, table[i].key);
        bool wanted = value != NULL && !json_is_false(value) && !json_is_null(value);
        if (wanted && !xf_admin_access_admin(exchange, request, table[i].what)) {
            return false;
        }
    }
    return true;
}

/* ---- break-glass ---- */

struct local_waiting {
    struct xf_admin_exchange *exchange;
    struct xf_agent_local_wait *wait;
};

static void local_gone(void *context)
{
    struct local_waiting *waiting = context;
    xf_agent_local_detach(waiting->wait);
    free(waiting);
}

static void local_done(void *context, int exit_code, const char *message)
{
    struct local_waiting *waiting = context;
    xf_admin_answer_error(waiting->exchange, exit_code, message);
    free(waiting);
}

/* `abort` and `weight` with `local`: for this proxy, whatever the fleet does. */
static void order_locally(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                          const struct xf_message_command *command)
{
    json_t *weight = json_object_get(command->arguments, "weight");
    bool abort = strcmp(command->verb, "abort") == 0;
    bool sound = json_is_integer(weight) && json_integer_value(weight) >= 0 &&
                 json_integer_value(weight) <= (json_int_t) XF_WEIGHT_FULL;
    if (!abort && (strcmp(command->verb, "weight") != 0 || !sound)) {
        xf_admin_answer_error(exchange, 2, "local goes with abort, and with a weight in 0..10000");
        return;
    }
    struct xf_agent_local_order order = {
        .service = command->service,
        .weight = abort ? 0 : (unsigned) json_integer_value(weight),
        .force = json_is_true(json_object_get(command->arguments, "force")),
        .actor = command->actor,
        .reason = command->reason};
    struct local_waiting *waiting = calloc(1, sizeof(*waiting));
    if (waiting == NULL) {
        xf_admin_answer_error(exchange, 1, "no memory");
        return;
    }
    waiting->exchange = exchange;
    struct xf_agent_local_wait *wait = xf_agent_local_order(agent, &order, local_done, waiting);
    if (wait != NULL) {
        waiting->wait = wait;
        xf_admin_on_gone(exchange, local_gone, waiting);
    }
}

bool xf_admin_verb(struct xf_agent *agent, struct xf_admin_exchange *exchange, const char *service,
                   const char *verb, const struct xf_admin_request *request)
{
    struct xf_message_command command;
    struct xf_error err = {0};
    if (strlen(request->idempotency_key) >= XF_REQUEST_ID_BYTES) {
        xf_admin_answer_error(exchange, 2, "Idempotency-Key is too long");
        return true;
    }
    if (xf_admin_read_command(request->body, request->body_length, service, verb, &command, &err) !=
        0) {
        xf_admin_answer_error(exchange, 2, err.message);
        return true;
    }
    fill_request(agent, request, &command);
    if (!check_arguments(exchange, request, command.arguments)) {
        xf_message_command_release(&command);
        return true;
    }
    if (json_is_true(json_object_get(command.arguments, "local"))) {
        order_locally(agent, exchange, &command);
    } else {
        forward(agent, exchange, &command, false);
    }
    xf_message_command_release(&command);
    return true;
}

/* ---- servers ---- */

/* The weight in the body's arguments, 1..1000; 0 where there is none. */
static unsigned ordered_weight(const struct xf_message_command *command)
{
    json_t *weight = json_object_get(command->arguments, "weight");
    json_int_t value = json_integer_value(weight);
    return json_is_integer(weight) && value >= 1 && value <= 1000 ? (unsigned) value : 0;
}

bool xf_admin_server(struct xf_agent *agent, struct xf_admin_exchange *exchange,
                     const char *cluster, const char *address, const char *order,
                     const struct xf_admin_request *request)
{
    static const char *const orders[] = {"drain", "ready", "weight"};
    unsigned word = 0;
    while (word < XF_COUNT(orders) && strcmp(orders[word], order) != 0) {
        word++;
    }
    if (word == XF_COUNT(orders)) {
        return false;
    }
    struct xf_message_command command;
    struct xf_error err = {0};
    if (xf_admin_read_command(request->body, request->body_length, "-", order, &command, &err) !=
        0) {
        xf_admin_answer_error(exchange, 2, err.message);
        return true;
    }
    unsigned weight = ordered_weight(&command);
    xf_message_command_release(&command);
    if (word == XF_SERVER_WEIGHT && weight == 0) {
        xf_admin_answer_error(exchange, 2, "arguments.weight must be a whole number, 1 to 1000");
    } else if (xf_agent_checks_order(agent, cluster, address, (enum xf_agent_server_word) word,
                                     weight, &err) != 0) {
        xf_admin_answer_text(exchange, 404, 2, err.message);
    } else {
        xf_admin_answer_error(exchange, 0, "done on this host");
    }
    return true;
}
