/*
 * tenure_command.c -- commands in their order, and answers that wait until all have obeyed.
 */
#include "shifter/controller/tenure_parts.h"

#include "config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *split_names(const char *names)
{
    json_t *array = json_array();
    while (names != NULL && *names != '\0') {
        size_t length = strcspn(names, ",");
        (void) json_array_append_new(array, json_stringn(names, length));
        names += length;
        names += strspn(names, ", ");
    }
    return array;
}

/* The members of API.md's answer to a verb. */
static json_t *answer_body(const struct xf_tenure *tenure, int exit_code, const char *message,
                           const char *lagging, const char *silent)
{
    const struct xf_document *document = tenure->document;
    char version[XF_VERSION_TEXT_BYTES];
    json_t *cutover = document != NULL && document->cutover[0] != '\0'
                          ? json_string(document->cutover)
                          : json_null();
    return json_pack("{s:i, s:s, s:o, s:I, s:s, s:s, s:o, s:o}", "exit", exit_code, "message",
                     message, "cutover", cutover, "generation",
                     (json_int_t) tenure->version.generation, "version",
                     xf_version_format(&tenure->version, version), "state",
                     document != NULL ? xf_cutover_state_name(document->state) : "unknown",
                     "lagging", split_names(lagging), "silent", split_names(silent));
}

static void reply(struct xf_tenure *tenure, const char *request, int exit_code, const char *message,
                  const char *lagging, const char *silent)
{
    struct xf_message_reply answer = {.exit = exit_code};
    json_t *body = answer_body(tenure, exit_code, message, lagging, silent);
    (void) snprintf(answer.request, sizeof(answer.request), "%s", request);
    (void) snprintf(answer.message, sizeof(answer.message), "%s", message);
    answer.body = body;
    tenure->calls.reply(tenure->calls.context, &answer);
    json_decref(body);
}

void xf_tenure_answer(struct xf_tenure *tenure, const char *request, int exit_code,
                      const char *message)
{
    reply(tenure, request, exit_code, message, NULL, NULL);
}

void xf_tenure_wait_for(struct xf_tenure *tenure, const struct xf_message_command *command,
                        int exit_code, const char *message)
{
    for (unsigned i = 0; i < tenure->waiters_count; i++) {
        if (strcmp(tenure->waiters[i].request, command->request) == 0) {
            return; /* asked again: one answer serves */
        }
    }
    if (tenure->waiters_count == XF_WAITERS_MAX) {
        xf_tenure_answer(tenure, command->request, exit_code, message);
        return;
    }
    struct xf_waiter *waiter = &tenure->waiters[tenure->waiters_count++];
    *waiter = (struct xf_waiter){
        .exit_code = exit_code, .version = tenure->version, .since_ms = xf_tenure_now(tenure)};
    memcpy(waiter->request, command->request, sizeof(waiter->request));
    (void) snprintf(waiter->message, sizeof(waiter->message), "%s", message);
    enum xf_cutover_state state = tenure->document->state;
    bool aborts = strcmp(command->verb, "abort") == 0 && state == XF_CUTOVER_ABORTING;
    if (aborts || (state == XF_CUTOVER_SAFE && tenure->document->signal.sequence == 2)) {
        waiter->falls = tenure->document->attempts;
        memcpy(waiter->green, tenure->document->to, sizeof(waiter->green));
    }
}

/* Whether an abort is not yet at weight 0: it takes its time (--over), or the receivers of the
 * signal are told first that it is revoked; who refuses that is not waited for for long. */
static bool still_falls(const struct xf_tenure *tenure, struct xf_waiter *waiter)
{
    const struct xf_document *document = tenure->document;
    int64_t now = xf_tenure_now(tenure);
    if (waiter->falls == 0) {
        return false;
    }
    bool same = document->attempts == waiter->falls;
    waiter->version = tenure->version;
    if (same && document->state == XF_CUTOVER_SAFE && now - waiter->since_ms < XF_REVOKE_WAIT_MS) {
        return true;
    }
    waiter->since_ms = now;
    if (same && document->state == XF_CUTOVER_ABORTING && document->weight > 0) {
        return true;
    }
    waiter->falls = 0;
    return false;
}

/* `; 3 tunnels left on v2`, behind an abort's message. */
static const char *tunnels_left(const struct xf_tenure *tenure, const struct xf_waiter *waiter,
                                char ret[XF_NAME_BYTES + 48])
{
    uint64_t tunnels = xf_tenure_held(tenure, waiter->green).tunnels;
    ret[0] = '\0';
    if (tunnels > 0) {
        (void) snprintf(ret, XF_NAME_BYTES + 48, "; %llu tunnel%s left on %s",
                        (unsigned long long) tunnels, tunnels == 1 ? "" : "s", waiter->green);
    }
    return ret;
}

void xf_tenure_waiters_tick(struct xf_tenure *tenure)
{
    int64_t now = xf_tenure_now(tenure);
    for (unsigned i = 0; i < tenure->waiters_count;) {
        if (still_falls(tenure, &tenure->waiters[i])) {
            i++;
            continue;
        }
        struct xf_waiter waiter = tenure->waiters[i];
        char lagging[XF_SENTENCE_BYTES];
        char silent[XF_SENTENCE_BYTES];
        struct xf_roster_question question = {.service = tenure->service->name,
                                              .version = waiter.version,
                                              .write_id = "",
                                              .green = "",
                                              .now_ms = now};
        bool reached = xf_roster_reached(tenure->options.roster, &question, lagging, silent);
        if (!reached && now - waiter.since_ms < XF_WAIT_MS) {
            i++;
            continue;
        }
        tenure->waiters_count--;
        memmove(&tenure->waiters[i], &tenure->waiters[i + 1],
                (tenure->waiters_count - i) * sizeof(waiter));
        char message[XF_SENTENCE_BYTES];
        char tunnels[XF_NAME_BYTES + 48];
        (void) snprintf(message, sizeof(message), "%.240s%s%s%.60s%s%.60s", waiter.message,
                        tunnels_left(tenure, &waiter, tunnels),
                        lagging[0] != '\0' ? "; not yet in force on " : "", lagging,
                        silent[0] != '\0' ? "; silent: " : "", silent);
        reply(tenure, waiter.request, waiter.exit_code, message, lagging, silent);
    }
}

void xf_tenure_commands_drop(struct xf_tenure *tenure, int exit_code, const char *why)
{
    while (tenure->commands_count > 0) {
        struct xf_message_command *command = tenure->commands[tenure->commands_first];
        tenure->commands_first = (tenure->commands_first + 1) % XF_COMMANDS_MAX;
        tenure->commands_count--;
        xf_tenure_answer(tenure, command->request, exit_code, why);
        xf_message_command_release(command);
        free(command);
    }
}

void xf_tenure_command(struct xf_tenure *tenure, const struct xf_message_command *command)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    struct xf_message_command *kept = NULL;
    if (tenure->options.store->kind != XF_STORE_SQLITE && !xf_lease_leads(tenure->lease)) {
        return; /* the leader's; without one it comes again */
    }
    if (tenure->document != NULL && xf_tenure_question(tenure, command)) {
        return;
    }
    if (tenure->commands_count < XF_COMMANDS_MAX) {
        kept = malloc(sizeof(*kept));
    }
    if (kept == NULL) {
        xf_tenure_answer(tenure, command->request, 7, "too many commands at once; try again");
        return;
    }
    *kept = *command;
    kept->arguments = json_incref(command->arguments);
    unsigned slot = (tenure->commands_first + tenure->commands_count) % XF_COMMANDS_MAX;
    tenure->commands[slot] = kept;
    tenure->commands_ms[slot] = xf_tenure_now(tenure);
    tenure->commands_count++;
}

/* The plan that a `start` brings; NULL: another verb, or what is wrong was answered. */
bool xf_tenure_bring_plan(struct xf_tenure *tenure, const struct xf_message_command *command,
                          struct xf_plan **ret)
{
    const char *text = json_string_value(json_object_get(command->arguments, "plan"));
    const char *file = json_string_value(json_object_get(command->arguments, "file"));
    const char *to = json_string_value(json_object_get(command->arguments, "to"));
    struct xf_problems problems = {.file = file != NULL ? file : "plan"};
    *ret = NULL;
    if (text != NULL) {
        if (xf_plan_parse(problems.file, text, strlen(text), ret, &problems) != 0) {
            *ret = NULL;
        }
    } else if (to != NULL && xf_name_valid(to)) {
        *ret = xf_plan_bare(tenure->service->name, to);
    } else {
        xf_problems_add(&problems, 0, 0, false, "start needs a plan or the name of a cluster");
    }
    if (*ret != NULL && xf_plan_check(*ret, tenure->options.config, &problems) != 0) {
        xf_plan_destroy(*ret);
        *ret = NULL;
    }
    if (*ret == NULL) {
        char message[XF_SENTENCE_BYTES] = "out of memory";
        size_t length = 0;
        for (unsigned i = 0; i < problems.count && length + 2 < sizeof(message); i++) {
            const struct xf_problem *item = &problems.items[i];
            char place[32] = "";
            if (item->line > 0) {
                (void) snprintf(place, sizeof(place), ":%u:%u", item->line, item->column);
            }
            int more = snprintf(message + length, sizeof(message) - length, "%s%.100s%s: %s",
                                i > 0 ? "\n" : "", problems.file, place, item->message);
            length += more > 0 ? (size_t) more : 0;
        }
        xf_tenure_answer(tenure, command->request, 2, message);
    }
    xf_problems_release(&problems);
    return *ret != NULL;
}

/* Whether a `forget` names somebody who may be forgotten; else it is answered. */
static bool may_forget(struct xf_tenure *tenure, const struct xf_message_command *command)
{
    const char *proxy = json_string_value(json_object_get(command->arguments, "proxy"));
    const struct xf_roster *roster = tenure->options.roster;
    char message[XF_SENTENCE_BYTES];
    bool speaks = false;
    if (proxy == NULL) {
        return true;
    }
    for (unsigned i = 0; i < xf_roster_count(roster); i++) { /* a name may stand twice */
        const struct xf_member *member = xf_roster_member(roster, i);
        bool meant = strcmp(member->heartbeat.proxy.id, proxy) == 0 ||
                     strcmp(member->heartbeat.proxy.name, proxy) == 0;
        if (meant && xf_member_silent(member, xf_tenure_now(tenure))) {
            return true;
        }
        speaks = speaks || meant;
    }
    if (speaks) {
        (void) snprintf(message, sizeof(message),
                        "forget: %.64s still speaks; stop it (SIGTERM), then it leaves by itself",
                        proxy);
        xf_tenure_answer(tenure, command->request, 6, message);
    } else if (xf_roster_forgotten(tenure->options.roster, proxy)) {
        (void) snprintf(message, sizeof(message), "%.64s is forgotten already", proxy);
        xf_tenure_answer(tenure, command->request, 0, message);
    } else {
        (void) snprintf(message, sizeof(message),
                        "forget: the fleet has no proxy \"%.64s\"; `status` names them", proxy);
        xf_tenure_answer(tenure, command->request, 2, message);
    }
    return false;
}

/* Whether the request's change stands already: then its first answer is due. */
static bool is_known(const struct xf_tenure *tenure, const char *request)
{
    const struct xf_document *document = tenure->document;
    for (unsigned i = 0; i < document->requests_count; i++) {
        if (strcmp(document->requests[i].id, request) == 0) {
            return true;
        }
    }
    return false;
}

static void run(struct xf_tenure *tenure, const struct xf_message_command *command)
{
    struct xf_plan *plan = NULL;
    struct xf_facts facts;
    struct xf_decision decision;
    if (strcmp(command->verb, "forget") == 0 && !is_known(tenure, command->request) &&
        !may_forget(tenure, command)) {
        return;
    }
    if (strcmp(command->verb, "start") == 0 && !xf_tenure_bring_plan(tenure, command, &plan)) {
        return;
    }
    if (xf_tenure_asked(tenure, command)) {
        return;
    }
    if (xf_tenure_gates_wait(tenure, command, plan)) {
        xf_plan_destroy(plan);
        return;
    }
    xf_tenure_facts(tenure, plan, &facts);
    xf_control_command(tenure->document, &tenure->version, &tenure->progress, command, &plan,
                       &facts, &decision);
    xf_plan_destroy(plan);
    if (decision.document != NULL) {
        xf_tenure_write(tenure, &decision, command, false);
    } else if (decision.known) {
        xf_tenure_wait_for(tenure, command, decision.exit_code, decision.message);
    } else {
        xf_tenure_answer(tenure, command->request, decision.exit_code, decision.message);
    }
}

/* The command whose gates have passed is decided as if it came now. */
static void run_gated(struct xf_tenure *tenure)
{
    bool automatic = tenure->gated->request[0] == '\0';
    if (automatic) { /* nobody waits; its id must differ from every other's */
        xf_tenure_uuid(tenure, tenure->gated->request);
    }
    run(tenure, tenure->gated);
    xf_tenure_gates_drop(tenure);
}

/* Runs the first command that waits; those that waited too long for the store are refused. */
void xf_tenure_commands_tick(struct xf_tenure *tenure)
{
    int64_t now = xf_tenure_now(tenure);
    if (tenure->commands_count == 0 && tenure->gated == NULL && !tenure->write.on) {
        tenure->requeued = false; /* it has been answered, with a change or without */
    }
    if (tenure->gates_passed && !tenure->write.on && xf_tenure_leads(tenure) &&
        xf_tenure_store_ok(tenure)) {
        run_gated(tenure);
    }
    while (tenure->commands_count > 0 && !tenure->write.on) {
        unsigned slot = tenure->commands_first;
        struct xf_message_command *command = tenure->commands[slot];
        bool late = now - tenure->commands_ms[slot] >= XF_COMMAND_AGE_MS;
        bool ready = xf_tenure_leads(tenure) && xf_tenure_store_ok(tenure);
        if (!ready && !late) {
            return;
        }
        tenure->commands_first = (slot + 1) % XF_COMMANDS_MAX;
        tenure->commands_count--;
        if (late) {
            xf_tenure_answer(tenure, command->request, 7,
                             "the store does not answer, or nobody leads; not done");
        } else {
            run(tenure, command);
        }
        xf_message_command_release(command);
        free(command);
    }
}
