/*
 * bus_message.c -- heads of all messages, and those of commands, states and replies; the
 * heartbeat and the samples, which are long, have files of their own.
 */
#include "shifter/bus/bus_message.h"

#include "shifter/bus/bus_message_parts.h"
#include "shifter/net/json.h"

#include <string.h>

static const char *const kind_names[] = {
    [XF_MESSAGE_HEARTBEAT] = "heartbeat", [XF_MESSAGE_SAMPLES] = "samples",
    [XF_MESSAGE_COMMAND] = "command",     [XF_MESSAGE_STATE] = "state",
    [XF_MESSAGE_REPLY] = "reply",         [XF_MESSAGE_OFFER] = "offer",
    [XF_MESSAGE_ABSENT] = "absent",
};

bool xf_message_kind_of(const json_t *message, enum xf_message_kind *ret)
{
    const char *kind = json_string_value(json_object_get(message, "kind"));
    for (size_t i = 0; kind != NULL && i < XF_COUNT(kind_names); i++) {
        if (strcmp(kind, kind_names[i]) == 0) {
            *ret = (enum xf_message_kind) i;
            return true;
        }
    }
    return false;
}

json_t *xf_message_new(enum xf_message_kind kind)
{
    return json_pack("{s:s}", "kind", kind_names[kind]);
}

json_t *xf_message_finish(json_t *message, bool ok)
{
    if (!ok) {
        json_decref(message);
        return NULL;
    }
    return message;
}

json_t *xf_message_proxy_make(const struct xf_message_proxy *proxy)
{
    return json_pack("{s:s, s:s, s:s}", "id", proxy->id, "name", proxy->name, "boot", proxy->boot);
}

static void read_uuid(struct xf_json *reader, const json_t *object, const char *key, char *out)
{
    char text[XF_UUID_TEXT_BYTES] = "";
    xf_json_string(reader, object, key, XF_JSON_NEEDED, text, sizeof(text));
    if (!reader->failed && !xf_uuid_valid(text)) {
        xf_json_fail(reader, key, "is not a UUID");
    }
    memcpy(out, text, sizeof(text));
}

void xf_message_proxy_read(struct xf_json *reader, const json_t *message,
                           struct xf_message_proxy *ret)
{
    const json_t *proxy = xf_json_object(reader, message, "proxy", XF_JSON_NEEDED);
    if (proxy == NULL) {
        return;
    }
    read_uuid(reader, proxy, "id", ret->id);
    read_uuid(reader, proxy, "boot", ret->boot);
    xf_json_string(reader, proxy, "name", XF_JSON_NEEDED, ret->name, sizeof(ret->name));
}

void xf_message_name_read(struct xf_json *reader, const json_t *object, const char *key,
                          char out[XF_NAME_BYTES])
{
    xf_json_string(reader, object, key, XF_JSON_NEEDED, out, XF_NAME_BYTES);
    if (!reader->failed && !xf_name_valid(out)) {
        xf_json_fail(reader, key, "is not a valid name");
    }
}

json_t *xf_message_command_make(const struct xf_message_command *command)
{
    json_t *message = xf_message_new(XF_MESSAGE_COMMAND);
    bool ok = message != NULL;
    xf_json_put_string(message, "request", command->request, &ok);
    xf_json_put_string(message, "service", command->service, &ok);
    xf_json_put_string(message, "verb", command->verb, &ok);
    xf_json_put(message, "arguments",
                command->arguments != NULL ? json_incref(command->arguments) : json_object(), &ok);
    xf_json_put_string(message, "actor", command->actor, &ok);
    xf_json_put_string(message, "reason", command->reason, &ok);
    if (command->if_generation_set) {
        xf_json_put_int(message, "if_generation", (int64_t) command->if_generation, &ok);
    }
    if (command->if_step_set) {
        xf_json_put_int(message, "if_step", command->if_step, &ok);
    }
    xf_json_put_int(message, "sent_ms", command->sent_ms, &ok);
    return xf_message_finish(message, ok);
}

int xf_message_command_read(const json_t *message, struct xf_message_command *ret,
                            struct xf_error *err)
{
    struct xf_json reader = {.what = "command", .err = err};
    struct xf_message_command read = {0};
    xf_json_string(&reader, message, "request", XF_JSON_NEEDED, read.request, sizeof(read.request));
    xf_message_name_read(&reader, message, "service", read.service);
    xf_json_string(&reader, message, "verb", XF_JSON_NEEDED, read.verb, sizeof(read.verb));
    xf_json_string(&reader, message, "actor", XF_JSON_NEEDED, read.actor, sizeof(read.actor));
    xf_json_string(&reader, message, "reason", XF_JSON_OPTIONAL, read.reason, sizeof(read.reason));
    read.if_generation_set = !json_is_null(json_object_get(message, "if_generation")) &&
                             json_object_get(message, "if_generation") != NULL;
    read.if_step_set = !json_is_null(json_object_get(message, "if_step")) &&
                       json_object_get(message, "if_step") != NULL;
    xf_json_uint(&reader, message, "if_generation", XF_JSON_OPTIONAL, INT64_MAX,
                 &read.if_generation);
    xf_json_int(&reader, message, "if_step", XF_JSON_OPTIONAL, -1, XF_PLAN_STEPS_MAX,
                &read.if_step);
    xf_json_int(&reader, message, "sent_ms", XF_JSON_OPTIONAL, 0, INT64_MAX, &read.sent_ms);
    const json_t *arguments = xf_json_object(&reader, message, "arguments", XF_JSON_OPTIONAL);
    if (!reader.failed && (read.request[0] == '\0' || read.actor[0] == '\0')) {
        xf_json_fail(&reader, read.request[0] == '\0' ? "request" : "actor", "is empty");
    }
    if (reader.failed) {
        return -1;
    }
    read.arguments = arguments != NULL ? json_incref((json_t *) arguments) : json_object();
    if (read.arguments == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "command: out of memory");
    }
    *ret = read;
    return 0;
}

void xf_message_command_release(struct xf_message_command *command)
{
    json_decref(command->arguments);
    command->arguments = NULL;
}

/* Borrowed; NULL: refused. */
static const char *read_document(struct xf_json *reader, const json_t *message)
{
    const json_t *document = json_object_get(message, "document");
    if (!json_is_string(document) || json_string_length(document) > XF_DOCUMENT_BYTES_MAX) {
        xf_json_fail(reader, "document", "is not a string of bearable length");
        return NULL;
    }
    return json_string_value(document);
}

json_t *xf_message_state_make(const struct xf_message_state *state)
{
    json_t *message = xf_message_new(XF_MESSAGE_STATE);
    bool ok = message != NULL;
    xf_json_put_string(message, "service", state->service, &ok);
    xf_json_put(message, "version", xf_json_version_make(&state->version), &ok);
    xf_json_put_string(message, "write_id", state->write_id, &ok);
    xf_json_put_string(message, "document", state->document, &ok);
    xf_json_put(message, "progress",
                json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:I}", "step_elapsed_ms",
                          (json_int_t) state->progress.step_elapsed_ms, "step_remaining_ms",
                          (json_int_t) state->progress.step_remaining_ms, "tunnels",
                          (json_int_t) state->progress.tunnels, "ordered_tunnels",
                          (json_int_t) state->progress.ordered_tunnels, "in_flight",
                          (json_int_t) state->progress.in_flight, "ordered_in_flight",
                          (json_int_t) state->progress.ordered_in_flight, "proxies",
                          (int) state->progress.proxies, "journal", (int) state->progress.journal,
                          "journal_backlog", (json_int_t) state->progress.journal_backlog),
                &ok);
    xf_json_put_int(message, "store_time_ms", state->store_time_ms, &ok);
    xf_json_put(message, "leader",
                json_pack("{s:s, s:s}", "id", state->leader.id, "name", state->leader.name), &ok);
    return xf_message_finish(message, ok);
}

int xf_message_state_read(const json_t *message, struct xf_message_state *ret, struct xf_error *err)
{
    struct xf_json reader = {.what = "state", .err = err};
    struct xf_message_state read = {0};
    xf_message_name_read(&reader, message, "service", read.service);
    xf_json_version(&reader, message, "version", XF_JSON_NEEDED, &read.version);
    read_uuid(&reader, message, "write_id", read.write_id);
    read.document = read_document(&reader, message);
    const json_t *progress = xf_json_object(&reader, message, "progress", XF_JSON_NEEDED);
    xf_json_int(&reader, progress, "step_elapsed_ms", XF_JSON_NEEDED, -1, INT64_MAX,
                &read.progress.step_elapsed_ms);
    xf_json_int(&reader, progress, "step_remaining_ms", XF_JSON_NEEDED, -1, INT64_MAX,
                &read.progress.step_remaining_ms);
    xf_json_uint(&reader, progress, "tunnels", XF_JSON_NEEDED, INT64_MAX, &read.progress.tunnels);
    xf_json_uint(&reader, progress, "ordered_tunnels", XF_JSON_OPTIONAL, INT64_MAX,
                 &read.progress.ordered_tunnels);
    xf_json_uint(&reader, progress, "in_flight", XF_JSON_OPTIONAL, INT64_MAX,
                 &read.progress.in_flight);
    xf_json_uint(&reader, progress, "ordered_in_flight", XF_JSON_OPTIONAL, INT64_MAX,
                 &read.progress.ordered_in_flight);
    xf_json_unsigned(&reader, progress, "proxies", XF_JSON_OPTIONAL, XF_PROXIES_MAX,
                     &read.progress.proxies);
    xf_json_unsigned(&reader, progress, "journal", XF_JSON_OPTIONAL, 2, &read.progress.journal);
    xf_json_uint(&reader, progress, "journal_backlog", XF_JSON_OPTIONAL, INT64_MAX,
                 &read.progress.journal_backlog);
    xf_json_int(&reader, message, "store_time_ms", XF_JSON_NEEDED, 0, INT64_MAX,
                &read.store_time_ms);
    const json_t *leader = xf_json_object(&reader, message, "leader", XF_JSON_NEEDED);
    read_uuid(&reader, leader, "id", read.leader.id);
    xf_json_string(&reader, leader, "name", XF_JSON_NEEDED, read.leader.name,
                   sizeof(read.leader.name));
    if (reader.failed) {
        return -1;
    }
    *ret = read;
    return 0;
}

json_t *xf_message_reply_make(const struct xf_message_reply *reply)
{
    json_t *message = xf_message_new(XF_MESSAGE_REPLY);
    bool ok = message != NULL;
    xf_json_put_string(message, "request", reply->request, &ok);
    xf_json_put_int(message, "exit", reply->exit, &ok);
    xf_json_put_string(message, "message", reply->message, &ok);
    if (reply->body != NULL) {
        xf_json_put(message, "body", json_incref((json_t *) reply->body), &ok);
    }
    return xf_message_finish(message, ok);
}

int xf_message_reply_read(const json_t *message, struct xf_message_reply *ret, struct xf_error *err)
{
    struct xf_json reader = {.what = "reply", .err = err};
    struct xf_message_reply read = {0};
    int64_t exit = 0;
    xf_json_string(&reader, message, "request", XF_JSON_NEEDED, read.request, sizeof(read.request));
    xf_json_int(&reader, message, "exit", XF_JSON_NEEDED, 0, 255, &exit);
    xf_json_string(&reader, message, "message", XF_JSON_NEEDED, read.message, sizeof(read.message));
    read.body = xf_json_object(&reader, message, "body", XF_JSON_OPTIONAL);
    if (reader.failed) {
        return -1;
    }
    read.exit = (int) exit;
    *ret = read;
    return 0;
}

json_t *xf_message_offer_make(const struct xf_message_offer *offer)
{
    json_t *message = xf_message_new(XF_MESSAGE_OFFER);
    bool ok = message != NULL;
    xf_json_put_string(message, "service", offer->service, &ok);
    xf_json_put(message, "version", xf_json_version_make(&offer->version), &ok);
    xf_json_put_string(message, "write_id", offer->write_id, &ok);
    xf_json_put_string(message, "document", offer->document, &ok);
    return xf_message_finish(message, ok);
}

int xf_message_offer_read(const json_t *message, struct xf_message_offer *ret, struct xf_error *err)
{
    struct xf_json reader = {.what = "offer", .err = err};
    struct xf_message_offer read = {0};
    xf_message_name_read(&reader, message, "service", read.service);
    xf_json_version(&reader, message, "version", XF_JSON_NEEDED, &read.version);
    read_uuid(&reader, message, "write_id", read.write_id);
    read.document = read_document(&reader, message);
    if (reader.failed) {
        return -1;
    }
    *ret = read;
    return 0;
}

json_t *xf_message_absent_make(const char *service)
{
    json_t *message = xf_message_new(XF_MESSAGE_ABSENT);
    bool ok = message != NULL;
    xf_json_put_string(message, "service", service, &ok);
    return xf_message_finish(message, ok);
}

int xf_message_absent_read(const json_t *message, char ret_service[XF_NAME_BYTES],
                           struct xf_error *err)
{
    struct xf_json reader = {.what = "absent", .err = err};
    char service[XF_NAME_BYTES] = "";
    xf_message_name_read(&reader, message, "service", service);
    if (reader.failed) {
        return -1;
    }
    memcpy(ret_service, service, sizeof(service));
    return 0;
}
