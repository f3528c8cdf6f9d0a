/*
 * controller.c -- the shifter process; see controller.h.
 *
 * Rules: nothing here decides about a cutover; nothing here blocks the loop.
 */
#include "shifter/controller/controller.h"

#include "config/base/log.h"
#include "shifter/controller/action.h"
#include "shifter/bus/bus.h"
#include "shifter/bus/bus_message.h"
#include "shifter/plan/cutover.h"
#include "shifter/controller/gate_runner.h"
#include "shifter/journal/journal.h"
#include "shifter/signal/notify.h"
#include "shifter/controller/own_copy.h"
#include "shifter/control/roster.h"
#include "shifter/signal/signal.h"
#include "shifter/store/store.h"
#include "shifter/controller/tenure.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define TICK_US   50000
#define GATES_MS  300000 /* all gates of one command together */
#define DURING_MS 30000  /* one gate during a cutover */
#define AWAY_MS   1000   /* the store is away so long before it is told why */
#define AGAIN_MS  10000  /* before another reason is told */

struct delivery { /* of one service's signal */
    struct controller *controller;
    struct xf_tenure *tenure;
    struct xf_signal *signal;
    unsigned sequence;
    bool waiting;   /* an attempt waits for the answer of the check */
    bool delivered; /* every receiver took it; to be told */
};

struct gating { /* of one service's command that waits for its gates */
    struct xf_tenure *tenure;
    struct xf_gate_runner *runner;
};

struct looking { /* at what gates say, beside the commands */
    struct xf_tenure *tenure;
    enum xf_tenure_look purpose;
    struct xf_gate_runner *runner;
};

struct acting { /* on one service's finalize action */
    struct xf_tenure *tenure;
    struct xf_action *action;
};

struct asking { /* one gate of one service's cutover, asked during it */
    struct controller *controller;
    struct xf_tenure *tenure;
    struct xf_gate_runner *runner;
    unsigned index;
    uint64_t attempt;
    struct asking *next;
};

struct hearers { /* of one service's news: the plan is gone when a cutover is over */
    struct xf_plan_notify targets[XF_PLAN_NOTIFY_MAX];
    unsigned count;
    char cutover[XF_CUTOVER_ID_BYTES];
};

struct controller {
    const struct xf_child_start *start;
    const struct xf_config *config;
    const struct xf_clock *clock;
    struct event_base *loop;
    struct event *tick, *channel;
    struct xf_store *store;
    struct xf_own_copy *copy;   /* NULL: the store is this host's own */
    bool copy_fails;            /* the disk did not take it */
    struct xf_journal *journal; /* NULL: none is configured */
    struct xf_notify *notify;
    struct xf_bus_leader *bus;
    struct xf_roster *roster;
    char holder[XF_UUID_TEXT_BYTES];
    struct xf_tenure *tenures[XF_SERVICES_MAX];
    struct delivery deliveries[XF_SERVICES_MAX];
    struct gating gatings[XF_SERVICES_MAX];
    struct acting actings[XF_SERVICES_MAX];
    struct looking lookings[XF_SERVICES_MAX][XF_LOOKS];
    struct hearers hearers[XF_SERVICES_MAX];
    struct asking *askings; /* gates of gates.during that run now */
    unsigned tenures_count;
    struct xf_log_limit odd_messages, twins;
    unsigned probes; /* of the store's, that were told */
    struct {
        char text[192]; /* why the store is away, as told last */
        int64_t ms;
    } away;
};

static struct xf_tenure *tenure_of(struct controller *controller, const char *service)
{
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        if (strcmp(xf_tenure_service(controller->tenures[i]), service) == 0) {
            return controller->tenures[i];
        }
    }
    return NULL;
}

/* ---- what a tenure calls ---- */

static void publish(void *context, const struct xf_message_state *state)
{
    struct controller *controller = context;
    json_t *message = xf_message_state_make(state);
    if (message != NULL) {
        xf_bus_publish(controller->bus, message);
        json_decref(message);
    }
}

static void reply(void *context, const struct xf_message_reply *reply)
{
    struct controller *controller = context;
    json_t *message = xf_message_reply_make(reply);
    if (message != NULL) {
        xf_bus_publish(controller->bus, message);
        json_decref(message);
    }
}

static double side_weight(const json_t *entry, const char *side)
{
    return json_number_value(json_object_get(json_object_get(entry, side), "weight"));
}

static const char *member(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return text != NULL ? text : "";
}

static void notification_dropped(void *context, const char *webhook, const char *why)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    (void) context;
    xf_log(XF_LOG_WARNING, "notify.dropped", "webhook=%s text=%s", webhook,
           xf_log_quote(why, quoted));
}

/* Who hears of `cutover`; none, where another or no plan is known. */
static const struct hearers *hearers_of(struct controller *controller, const char *service,
                                        const char *cutover)
{
    static const struct hearers nobody = {.count = 0};
    unsigned i = 0;
    while (i < controller->tenures_count &&
           strcmp(xf_tenure_service(controller->tenures[i]), service) != 0) {
        i++;
    }
    if (i == controller->tenures_count) {
        return &nobody;
    }
    struct hearers *hearers = &controller->hearers[i];
    const struct xf_document *document = xf_tenure_document(controller->tenures[i]);
    if (document != NULL && document->plan != NULL &&
        document->plan->notify_count <= XF_PLAN_NOTIFY_MAX) {
        hearers->count = document->plan->notify_count;
        memcpy(hearers->cutover, document->cutover, sizeof(hearers->cutover));
        for (unsigned k = 0; k < hearers->count; k++) {
            hearers->targets[k] = document->plan->notify[k];
        }
    }
    return strcmp(hearers->cutover, cutover) == 0 ? hearers : &nobody;
}

/* News for people: a verdict and an abort are warnings, every other change a notice. */
static void notify_change(struct controller *controller, const char *service, const json_t *entry)
{
    const struct hearers *hearers = hearers_of(controller, service, member(entry, "cutover"));
    const json_t *after = json_object_get(entry, "after");
    const char *state = member(after, "state");
    bool warning = json_is_object(json_object_get(entry, "verdict")) ||
                   strcmp(state, "aborting") == 0 || strcmp(state, "aborted") == 0;
    struct xf_notification news = {
        .severity = warning ? XF_LOG_WARNING : XF_LOG_NOTICE,
        .event = "cutover.change",
        .service = service,
        .cutover = member(entry, "cutover"),
        .state = state,
        .weight = (unsigned) (side_weight(entry, "after") * 100.0 + 0.5),
        .sentence = member(entry, "sentence"),
        .at_ms = xf_clock_wall_ms(controller->clock),
    };
    xf_notify_tell(controller->notify, hearers->targets, hearers->count, &news);
}

/* The plan's own fence stands now: one that was raised by hand over a service that follows nobody
 * ends, so that the end of the cutover is its end too. */
static void take_fences_over(struct controller *controller, const char *service)
{
    const struct xf_tenure *starting = tenure_of(controller, service);
    const struct xf_document *document = xf_tenure_document(starting);
    const struct xf_plan *plan = document != NULL ? document->plan : NULL;
    for (unsigned i = 0; plan != NULL && i < plan->fence_services_count; i++) {
        struct xf_tenure *fenced = tenure_of(controller, plan->fence_services[i]);
        const struct xf_document *own = fenced != NULL ? xf_tenure_document(fenced) : NULL;
        if (fenced == starting || own == NULL || !own->fence.up || own->plan != NULL ||
            !xf_tenure_leads(fenced)) {
            continue;
        }
        struct xf_message_command command = {.arguments = json_pack("{s:b}", "up", 0),
                                             .sent_ms = xf_clock_wall_ms(controller->clock)};
        xf_uuid_make(command.request);
        (void) snprintf(command.service, sizeof(command.service), "%s", plan->fence_services[i]);
        (void) snprintf(command.verb, sizeof(command.verb), "fence");
        (void) snprintf(command.actor, sizeof(command.actor), "crossfade");
        (void) snprintf(command.reason, sizeof(command.reason), "taken over by %s",
                        document->cutover);
        xf_tenure_command(fenced, &command);
        xf_message_command_release(&command);
    }
}

static void note(void *context, const char *service, const char *event, const char *text,
                 const json_t *entry)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    char actor[XF_LOG_QUOTE_BYTES];
    if (entry == NULL) {
        xf_log(XF_LOG_WARNING, event, "service=%s text=%s", service, xf_log_quote(text, quoted));
        return;
    }
    const json_t *after = json_object_get(entry, "after");
    xf_log(XF_LOG_NOTICE, event,
           "service=%s cutover=%s verb=%s state=%s from_weight=%g%% to_weight=%g%% actor=%s "
           "sentence=%s",
           service, member(entry, "cutover"), member(entry, "verb"), member(after, "state"),
           side_weight(entry, "before"), side_weight(entry, "after"),
           xf_log_quote(member(entry, "actor"), actor),
           xf_log_quote(member(entry, "sentence"), quoted));
    notify_change(context, service, entry);
    if (strcmp(member(entry, "verb"), "start") == 0) {
        take_fences_over(context, service);
    }
}

/* A route names live, blue and green; a follower's cutover is its leader's. */
static const char *in_use_by(void *context, const char *service, const char *cluster)
{
    struct controller *controller = context;
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        const struct xf_tenure *tenure = controller->tenures[i];
        const struct xf_document *document = xf_tenure_document(tenure);
        if (strcmp(xf_tenure_service(tenure), service) == 0) {
            continue;
        }
        if (!xf_tenure_knows(tenure)) { /* it may */
            return xf_tenure_service(tenure);
        }
        bool runs = xf_cutover_runs(document->state);
        if ((!runs && strcmp(document->live, cluster) == 0) ||
            (runs &&
             (strcmp(document->from, cluster) == 0 || strcmp(document->to, cluster) == 0))) {
            return xf_tenure_service(tenure);
        }
    }
    return NULL;
}

static const char *signalled_by(void *context, const char *service, const char *cluster)
{
    struct controller *controller = context;
    (void) service;
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        const struct xf_document *document = xf_tenure_document(controller->tenures[i]);
        if (document != NULL && document->signal.sequence == 1 &&
            (document->state == XF_CUTOVER_SAFE || document->state == XF_CUTOVER_FINALIZING) &&
            strcmp(document->signalled, cluster) == 0) {
            return xf_tenure_service(controller->tenures[i]);
        }
    }
    return NULL;
}

/* ---- delivering a signal ---- */

static struct delivery *delivery_of(struct controller *controller, const char *service)
{
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        if (strcmp(xf_tenure_service(controller->tenures[i]), service) == 0) {
            return &controller->deliveries[i];
        }
    }
    return NULL;
}

static void signal_check(void *context, struct xf_signal *signal)
{
    struct delivery *delivery = context;
    (void) signal;
    delivery->waiting = true;
    xf_tenure_signal_check(delivery->tenure);
}

static void signal_checked(void *context, const char *service, bool stands)
{
    struct delivery *delivery = delivery_of(context, service);
    if (delivery != NULL && delivery->signal != NULL && delivery->waiting) {
        delivery->waiting = false;
        xf_signal_checked(delivery->signal, stands);
    }
}

static void signal_attempted(void *context, const char *receiver, unsigned attempt, bool accepted,
                             const char *sentence)
{
    struct delivery *delivery = context;
    char quoted[XF_LOG_QUOTE_BYTES];
    xf_log(accepted ? XF_LOG_NOTICE : XF_LOG_WARNING, "signal.attempted",
           "service=%s sequence=%u receiver=\"%s\" attempt=%u accepted=%s text=%s",
           xf_tenure_service(delivery->tenure), delivery->sequence, receiver, attempt,
           accepted ? "yes" : "no", xf_log_quote(sentence, quoted));
    const struct xf_document *document = xf_tenure_document(delivery->tenure);
    if (delivery->controller->journal != NULL && document != NULL) {
        xf_journal_receipt(delivery->controller->journal, xf_tenure_service(delivery->tenure),
                           document->signal.key, delivery->sequence, receiver, attempt, accepted,
                           sentence);
    }
}

static void signal_delivered(void *context)
{
    struct delivery *delivery = context;
    delivery->delivered = true;
}

/* The document says that a signal was accepted only once its receipts outlive this process. */
static void tell_delivered(struct delivery *delivery)
{
    const struct xf_journal *journal = delivery->controller->journal;
    if (delivery->delivered &&
        (journal == NULL ||
         xf_journal_receipts_kept(journal, xf_tenure_service(delivery->tenure)))) {
        delivery->delivered = false;
        xf_tenure_delivered(delivery->tenure, delivery->sequence);
    }
}

/* ---- the journal ---- */

static bool journal_stands(void *context, const char *service, const json_t *signal)
{
    const struct xf_tenure *tenure = tenure_of(context, service);
    const struct xf_document *document = tenure != NULL ? xf_tenure_document(tenure) : NULL;
    const char *key = json_string_value(json_object_get(signal, "key"));
    return document != NULL && xf_tenure_leads(tenure) && key != NULL &&
           strcmp(key, document->signal.key) == 0 &&
           json_integer_value(json_object_get(signal, "sequence")) == document->signal.sequence;
}

static void journal_note(void *context, bool ok, const char *why)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    (void) context;
    xf_log(ok ? XF_LOG_NOTICE : XF_LOG_WARNING, ok ? "journal.up" : "journal.down", "text=%s",
           xf_log_quote(ok ? "it takes rows" : why, quoted));
}

static int make_journal(struct controller *controller, struct xf_error *err)
{
    struct xf_journal_calls calls = {journal_stands, journal_note, controller};
    if (controller->config->journal.url != NULL) {
        controller->journal = xf_journal_create(controller->loop, controller->clock,
                                                controller->config, controller->store, &calls);
        if (controller->journal == NULL) {
            return XF_FAIL(err, XF_E_NO_MEMORY, "shifter: no memory for the journal");
        }
    }
    return 0;
}

/* ---- gates ---- */

static void gates_ended(void *context, const json_t *result)
{
    struct gating *gating = context;
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        char quoted[XF_LOG_QUOTE_BYTES];
        const char *gate = json_string_value(json_object_get(check, "gate"));
        const char *name = json_string_value(json_object_get(check, "check"));
        const char *text = json_string_value(json_object_get(check, "message"));
        xf_log(XF_LOG_NOTICE, "gate.check", "service=%s gate=%s check=%s passed=%s text=%s",
               xf_tenure_service(gating->tenure), gate != NULL ? gate : "?",
               name != NULL ? name : "?",
               json_is_true(json_object_get(check, "passed")) ? "yes" : "no",
               xf_log_quote(text != NULL ? text : "", quoted));
    }
    xf_gate_runner_destroy(gating->runner);
    gating->runner = NULL;
    xf_tenure_gates_done(gating->tenure, result);
}

static void free_asking(struct asking *asking)
{
    struct asking **link = &asking->controller->askings;
    while (*link != asking) {
        link = &(*link)->next;
    }
    *link = asking->next;
    xf_gate_runner_destroy(asking->runner);
    free(asking);
}

static void asking_ended(void *context, const json_t *result)
{
    struct asking *asking = context;
    xf_tenure_during_done(asking->tenure, asking->index, asking->attempt, result);
    free_asking(asking);
}

/* Without an answer the gate knows nothing, and holds. */
static void ask_gate(void *context, const char *service, unsigned index, uint64_t attempt,
                     const char *gates_json, const char *from, const char *to)
{
    struct controller *controller = context;
    struct xf_gate_context gate_context = {
        .config = controller->config, .from = from, .to = to, .phase = XF_GATE_DURING};
    struct xf_error err;
    struct xf_tenure *tenure = tenure_of(controller, service);
    struct asking *asking = calloc(1, sizeof(*asking));
    XF_ASSERT(tenure != NULL);
    if (asking == NULL) {
        xf_tenure_during_done(tenure, index, attempt, NULL);
        return;
    }
    *asking = (struct asking){.controller = controller,
                              .tenure = tenure,
                              .index = index,
                              .attempt = attempt,
                              .next = controller->askings};
    controller->askings = asking;
    if (xf_gate_runner_start(controller->loop, gates_json, &gate_context, DURING_MS, asking_ended,
                             asking, &asking->runner, &err) != 0) {
        xf_log(XF_LOG_WARNING, "gate.not_run", "service=%s reason=\"%s\"", service, err.message);
        xf_tenure_during_done(tenure, index, attempt, NULL);
        free_asking(asking);
    }
}

static void run_gates(void *context, const char *service, const char *gates_json, const char *from,
                      const char *to, bool finalize)
{
    struct controller *controller = context;
    struct gating *gating = NULL;
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        if (strcmp(xf_tenure_service(controller->tenures[i]), service) == 0) {
            gating = &controller->gatings[i];
        }
    }
    struct xf_gate_context gate_context = {.config = controller->config,
                                           .from = from,
                                           .to = to,
                                           .phase = finalize ? XF_GATE_BEFORE_FINALIZE
                                                             : XF_GATE_BEFORE_START,
                                           .proxy = xf_roster_said,
                                           .fleet = controller->roster};
    struct xf_error err;
    XF_ASSERT(gating != NULL);
    XF_ASSERT(gating->runner == NULL);
    if (xf_gate_runner_start(controller->loop, gates_json, &gate_context, GATES_MS, gates_ended,
                             gating, &gating->runner, &err) != 0) {
        struct xf_checks checks = {0};
        xf_checks_add(&checks, "gates", "run", false, XF_SEVERITY_ERROR, "%s", err.message);
        json_t *result = xf_checks_json(&checks);
        xf_checks_release(&checks);
        xf_tenure_gates_done(gating->tenure, result);
        json_decref(result);
    }
}

static void look_ended(void *context, const json_t *result)
{
    struct looking *looking = context;
    xf_gate_runner_destroy(looking->runner);
    looking->runner = NULL;
    xf_tenure_looked(looking->tenure, looking->purpose, result);
}

static void look(void *context, const char *service, enum xf_tenure_look purpose,
                 const char *gates_json, const char *from, const char *to)
{
    struct controller *controller = context;
    struct looking *looking = NULL;
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        if (strcmp(xf_tenure_service(controller->tenures[i]), service) == 0) {
            looking = &controller->lookings[i][purpose];
        }
    }
    struct xf_gate_context gate_context = {.config = controller->config,
                                           .from = from,
                                           .to = to,
                                           .phase = XF_GATE_BEFORE_START,
                                           .proxy = xf_roster_said,
                                           .fleet = controller->roster};
    struct xf_error err;
    XF_ASSERT(looking != NULL);
    XF_ASSERT(looking->runner == NULL);
    looking->purpose = purpose;
    if (xf_gate_runner_start(controller->loop, gates_json, &gate_context, GATES_MS, look_ended,
                             looking, &looking->runner, &err) != 0) {
        struct xf_checks checks = {0};
        xf_checks_add(&checks, "gates", "run", false, XF_SEVERITY_ERROR, "%s", err.message);
        json_t *result = xf_checks_json(&checks);
        xf_checks_release(&checks);
        xf_tenure_looked(looking->tenure, purpose, result);
        json_decref(result);
    }
}

/* ---- finalize actions ---- */

static void action_ended(void *context, bool proven, const char *sentence)
{
    struct acting *acting = context;
    char quoted[XF_LOG_QUOTE_BYTES];
    xf_log(proven ? XF_LOG_NOTICE : XF_LOG_WARNING, "finalize.action",
           "service=%s proven=%s text=%s", xf_tenure_service(acting->tenure), proven ? "yes" : "no",
           xf_log_quote(sentence, quoted));
    xf_action_destroy(acting->action);
    acting->action = NULL;
    xf_tenure_action_done(acting->tenure, proven, sentence);
}

static void run_action(void *context, const char *service, const struct xf_document *document,
                       const struct xf_plan_action *action, bool run)
{
    struct controller *controller = context;
    struct acting *acting = NULL;
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        if (strcmp(xf_tenure_service(controller->tenures[i]), service) == 0) {
            acting = &controller->actings[i];
        }
    }
    struct xf_action_request request = {.config = controller->config,
                                        .action = action,
                                        .service = service,
                                        .cutover = document->cutover,
                                        .from = document->from,
                                        .to = document->to,
                                        .run = run};
    struct xf_error err;
    XF_ASSERT(acting != NULL);
    XF_ASSERT(acting->action == NULL);
    xf_log(XF_LOG_NOTICE, "finalize.action", "service=%s cutover=%s hook=%s run=%s", service,
           document->cutover, action->hook, run ? "yes" : "no");
    if (xf_action_start(controller->loop, &request, action_ended, acting, &acting->action, &err) !=
        0) {
        xf_tenure_action_done(acting->tenure, false, err.message);
    }
}

static void deliver(void *context, const char *service, const struct xf_signal_record *record,
                    const struct xf_plan *plan)
{
    struct controller *controller = context;
    struct delivery *delivery = delivery_of(controller, service);
    xf_signal_destroy(delivery->signal);
    delivery->signal = NULL;
    delivery->waiting = false;
    delivery->delivered = false;
    if (record == NULL) {
        return;
    }
    xf_log(XF_LOG_NOTICE, "signal", "key=%s sequence=%u event=%s service=%s from=%s to=%s",
           record->key, record->sequence, xf_signal_event_name(record->event), service,
           record->from, record->to);
    struct xf_signal_options options = {.config = controller->config,
                                        .webhook = plan != NULL ? plan->signal_webhook : "",
                                        .hook = plan != NULL ? plan->signal_hook : ""};
    struct xf_signal_calls calls = {.check = signal_check,
                                    .attempted = signal_attempted,
                                    .delivered = signal_delivered,
                                    .context = delivery};
    struct xf_error err;
    delivery->sequence = record->sequence;
    if (xf_signal_create(controller->loop, controller->clock, record, &options, &calls,
                         &delivery->signal, &err) != 0) {
        char quoted[XF_LOG_QUOTE_BYTES];
        xf_log(XF_LOG_ERROR, "signal.failed", "service=%s problem=%s", service,
               xf_log_quote(err.message, quoted));
    }
}

/* ---- the bus ---- */

static void odd_message(struct controller *controller, const struct xf_error *err)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    xf_log_limited(&controller->odd_messages, 5, XF_LOG_WARNING, "bus.odd_message", "problem=%s",
                   xf_log_quote(err->message, quoted));
}

/* What must not be: one identity on two hosts, and a member that was forgotten and lives. */
static void alarm_member(struct controller *controller, const struct xf_member *member)
{
    if (member == NULL || !(member->twice || member->returned)) {
        return;
    }
    const struct xf_message_proxy *proxy = &member->heartbeat.proxy;
    if (member->returned) {
        xf_roster_noticed(controller->roster, proxy->id);
        xf_log(XF_LOG_ERROR, "roster.returned",
               "proxy=%s id=%s text=\"it was forgotten and speaks "
               "again: it blocks the signal like every other member\"",
               proxy->name, proxy->id);
    }
    if (member->twice) {
        xf_log_limited(&controller->twins, 1, XF_LOG_ERROR, "roster.twice",
                       "proxy=%s id=%s boot=%s text=\"this identity was heard with another boot a "
                       "moment ago: a restart, or two hosts with one state_dir\"",
                       proxy->name, proxy->id, proxy->boot);
    }
}

static void on_heartbeat(struct controller *controller, const json_t *message)
{
    struct xf_message_heartbeat heartbeat;
    struct xf_error err;
    if (xf_message_heartbeat_read(message, &heartbeat, &err) != 0) {
        odd_message(controller, &err);
        return;
    }
    char id[XF_UUID_TEXT_BYTES];
    memcpy(id, heartbeat.proxy.id, sizeof(id));
    if (!xf_roster_heartbeat(controller->roster, &heartbeat,
                             xf_clock_boottime_ms(controller->clock))) {
        (void) XF_FAIL(&err, XF_E_FAILED, "heartbeat: too many proxies, or out of memory");
        odd_message(controller, &err);
    }
    alarm_member(controller, xf_roster_find(controller->roster, id));
}

static void on_samples(struct controller *controller, const json_t *message)
{
    struct xf_message_samples samples;
    struct xf_error err;
    if (xf_message_samples_read(message, &samples, &err) != 0) {
        odd_message(controller, &err);
        return;
    }
    struct xf_tenure *tenure = tenure_of(controller, samples.service);
    if (tenure != NULL) {
        xf_tenure_samples(tenure, &samples);
    }
    xf_message_samples_release(&samples);
}

static void on_offer(struct controller *controller, const json_t *message)
{
    struct xf_message_offer offer;
    struct xf_error err;
    if (xf_message_offer_read(message, &offer, &err) != 0) {
        odd_message(controller, &err);
        return;
    }
    struct xf_tenure *tenure = tenure_of(controller, offer.service);
    if (tenure != NULL) {
        xf_tenure_offer(tenure, &offer);
    }
}

static void refuse_command(struct controller *controller, const struct xf_message_command *command)
{
    struct xf_message_reply answer = {.exit = 2};
    memcpy(answer.request, command->request, sizeof(answer.request));
    (void) snprintf(answer.message, sizeof(answer.message),
                    "there is no service \"%s\" with cutovers of its own", command->service);
    reply(controller, &answer);
}

static void on_command(struct controller *controller, const json_t *message)
{
    struct xf_message_command command;
    struct xf_error err;
    if (xf_message_command_read(message, &command, &err) != 0) {
        odd_message(controller, &err);
        const char *request = json_string_value(json_object_get(message, "request"));
        struct xf_message_reply answer = {.exit = 2};
        if (request != NULL && strlen(request) < sizeof(answer.request)) {
            (void) snprintf(answer.request, sizeof(answer.request), "%s", request);
            (void) snprintf(answer.message, sizeof(answer.message), "%.500s", err.message);
            reply(controller, &answer);
        }
        return;
    }
    struct xf_tenure *tenure = tenure_of(controller, command.service);
    if (tenure != NULL) {
        xf_tenure_command(tenure, &command);
        xf_tenure_tick(tenure);
    } else {
        refuse_command(controller, &command);
    }
    xf_message_command_release(&command);
}

static void on_message(void *context, json_t *message)
{
    struct controller *controller = context;
    enum xf_message_kind kind;
    if (!xf_message_kind_of(message, &kind)) {
        struct xf_error err;
        (void) XF_FAIL(&err, XF_E_FAILED, "a message of no known kind");
        odd_message(controller, &err);
    } else if (kind == XF_MESSAGE_HEARTBEAT) {
        on_heartbeat(controller, message);
    } else if (kind == XF_MESSAGE_SAMPLES) {
        on_samples(controller, message);
    } else if (kind == XF_MESSAGE_COMMAND) {
        on_command(controller, message);
    } else if (kind == XF_MESSAGE_OFFER) {
        on_offer(controller, message);
    }
}

/* ---- the process ---- */

/* What the server cannot promise, or does not permit, at each connection. */
static void tell_probe(struct controller *controller)
{
    const struct xf_store *store = controller->store;
    char quoted[XF_LOG_QUOTE_BYTES];
    if (store->probes == controller->probes) {
        return;
    }
    controller->probes = store->probes;
    if (store->denied[0] != '\0') {
        xf_log(XF_LOG_ERROR, "store.denied",
               "command=%s text=\"the store's user may not run it: nothing is led before it may; "
               "STORE.md names the rights that are needed\"",
               store->denied);
    } else if (store->warnings[0] != '\0') {
        xf_log(XF_LOG_WARNING, "store.warning", "text=%s", xf_log_quote(store->warnings, quoted));
    }
}

static void save_copy(struct controller *controller)
{
    struct xf_error err = {0};
    char quoted[XF_LOG_QUOTE_BYTES];
    xf_own_copy_save(controller->copy, controller->tenures, controller->tenures_count,
                     xf_clock_wall_ms(controller->clock));
    bool fails = !xf_own_copy_ok(controller->copy, &err);
    if (fails != controller->copy_fails) {
        controller->copy_fails = fails;
        xf_log(fails ? XF_LOG_ERROR : XF_LOG_NOTICE, fails ? "shifter.copy_failed" : "shifter.copy",
               "text=%s", xf_log_quote(fails ? err.message : "it is on disk again", quoted));
    }
}

/* Why the store does not answer: once, and again where it changes, but not all the time. */
static void tell_away(struct controller *controller)
{
    const struct xf_store *store = controller->store;
    int64_t now = xf_clock_boottime_ms(controller->clock);
    char quoted[XF_LOG_QUOTE_BYTES];
    if (store->ok) {
        controller->away.text[0] = '\0';
    } else if (store->away[0] != '\0' && strcmp(store->away, controller->away.text) != 0 &&
               now - store->ok_since_ms >= AWAY_MS &&
               (controller->away.ms == 0 || now - controller->away.ms >= AGAIN_MS)) {
        snprintf(controller->away.text, sizeof(controller->away.text), "%s", store->away);
        controller->away.ms = now;
        xf_log(XF_LOG_ERROR, "store.away", "text=%s", xf_log_quote(store->away, quoted));
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct controller *controller = arg;
    tell_probe(controller);
    tell_away(controller);
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        tell_delivered(&controller->deliveries[i]);
        xf_tenure_tick(controller->tenures[i]);
    }
    if (controller->copy != NULL) {
        save_copy(controller);
    }
}

/* Nothing is said on the channel but its end: the supervisor is gone, or wants this to stop. */
static void on_channel(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct controller *controller = arg;
    struct xf_channel_message message;
    enum xf_channel_result result;
    while ((result = xf_channel_receive(fd, &message)) == XF_CHANNEL_GOT) {
        for (uint32_t i = 0; i < message.fds_count; i++) {
            close(message.fds[i]);
        }
    }
    if (result == XF_CHANNEL_CLOSED) {
        event_base_loopbreak(controller->loop);
    }
}

static const struct xf_snapshot_service *copy_of(const struct controller *controller,
                                                 unsigned service)
{
    return controller->copy != NULL
               ? xf_own_copy_find(controller->copy, controller->config->services[service].name)
               : NULL;
}

static int open_copy(struct controller *controller, struct xf_error *err)
{
    char why[XF_ERROR_MESSAGE_BYTES], quoted[XF_LOG_QUOTE_BYTES];
    if (controller->config->store.kind == XF_STORE_SQLITE) {
        return 0;
    }
    controller->copy = xf_own_copy_open(controller->start->state_dir_fd, controller->holder, why);
    if (controller->copy == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "shifter: no memory for its own copy");
    }
    if (why[0] != '\0') {
        xf_log(XF_LOG_WARNING, "shifter.copy_refused", "problem=%s", xf_log_quote(why, quoted));
    }
    return 0;
}

static int make_tenures(struct controller *controller, struct xf_error *err)
{
    struct xf_tenure_calls calls = {.publish = publish,
                                    .reply = reply,
                                    .note = note,
                                    .deliver = deliver,
                                    .checked = signal_checked,
                                    .gates = run_gates,
                                    .look = look,
                                    .action = run_action,
                                    .during = ask_gate,
                                    .in_use_by = in_use_by,
                                    .signalled_by = signalled_by,
                                    .context = controller};
    for (unsigned i = 0; i < controller->config->services_count; i++) {
        if (controller->config->services[i].follows >= 0) {
            continue;
        }
        struct xf_tenure_options options = {.config = controller->config,
                                            .service = i,
                                            .store = controller->store,
                                            .clock = controller->clock,
                                            .roster = controller->roster,
                                            .journal = controller->journal,
                                            .copy = copy_of(controller, i),
                                            .holder = controller->holder,
                                            .name = controller->config->proxy_name};
        struct xf_tenure *tenure = xf_tenure_create(&options, &calls);
        if (tenure == NULL) {
            return XF_FAIL(err, XF_E_NO_MEMORY, "shifter: no memory to begin");
        }
        unsigned slot = controller->tenures_count++;
        controller->tenures[slot] = tenure;
        controller->deliveries[slot] =
            (struct delivery){.controller = controller, .tenure = tenure};
        controller->gatings[slot].tenure = tenure;
        controller->actings[slot].tenure = tenure;
        for (unsigned k = 0; k < XF_LOOKS; k++) {
            controller->lookings[slot][k].tenure = tenure;
        }
    }
    return 0;
}

static int begin(struct controller *controller, struct xf_error *err)
{
    struct xf_bus_leader_calls bus_calls = {.received = on_message, .context = controller};
    const struct timeval every = {0, TICK_US};
    xf_uuid_make(controller->holder);
    controller->loop = event_base_new();
    controller->roster = xf_roster_create(controller->config);
    if (controller->loop == NULL || controller->roster == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "shifter: no memory to begin");
    }
    struct xf_notify_calls notify_calls = {notification_dropped, controller};
    controller->notify =
        xf_notify_create(controller->loop, controller->clock, controller->config, 0, &notify_calls);
    if (controller->notify == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "shifter: no memory to begin");
    }
    if (xf_store_open(controller->config, controller->loop, controller->clock, &controller->store,
                      err) != 0 ||
        xf_bus_lead(controller->config, controller->loop, &bus_calls, &controller->bus, err) != 0 ||
        make_journal(controller, err) != 0 || open_copy(controller, err) != 0 ||
        make_tenures(controller, err) != 0) {
        return -1;
    }
    controller->tick = event_new(controller->loop, -1, EV_PERSIST, on_tick, controller);
    controller->channel = event_new(controller->loop, controller->start->channel_fd,
                                    EV_READ | EV_PERSIST, on_channel, controller);
    if (controller->tick == NULL || controller->channel == NULL ||
        event_add(controller->tick, &every) != 0 || event_add(controller->channel, NULL) != 0) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "shifter: no memory for its timers");
    }
    return 0;
}

/* The store first: what it still owes is answered while the tenures live. */
static void release(struct controller *controller)
{
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        xf_signal_destroy(controller->deliveries[i].signal);
        controller->deliveries[i].signal = NULL;
        xf_gate_runner_destroy(controller->gatings[i].runner);
        controller->gatings[i].runner = NULL;
        for (unsigned k = 0; k < XF_LOOKS; k++) {
            xf_gate_runner_destroy(controller->lookings[i][k].runner);
            controller->lookings[i][k].runner = NULL;
        }
        xf_action_destroy(controller->actings[i].action);
        controller->actings[i].action = NULL;
    }
    while (controller->askings != NULL) {
        free_asking(controller->askings);
    }
    xf_journal_stop(controller->journal);
    if (controller->store != NULL) {
        xf_store_close(controller->store);
    }
    xf_journal_destroy(controller->journal);
    for (unsigned i = 0; i < controller->tenures_count; i++) {
        xf_tenure_destroy(controller->tenures[i]);
    }
    xf_own_copy_close(controller->copy);
    xf_notify_destroy(controller->notify);
    xf_bus_leader_destroy(controller->bus);
    xf_roster_destroy(controller->roster);
    if (controller->tick != NULL) {
        event_free(controller->tick);
    }
    if (controller->channel != NULL) {
        event_free(controller->channel);
    }
    if (controller->loop != NULL) {
        event_base_free(controller->loop);
    }
}

int xf_shifter_main(const struct xf_child_start *start)
{
    struct controller *controller = calloc(1, sizeof(*controller));
    struct xf_error err = {0};
    if (controller == NULL) {
        return 1;
    }
    controller->start = start;
    controller->config = start->config;
    controller->clock = xf_clock_system();
    signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_DUMPABLE, 0);
    int result = begin(controller, &err);
    if (result == 0) {
        event_base_dispatch(controller->loop);
    } else {
        char quoted[XF_LOG_QUOTE_BYTES];
        xf_log(XF_LOG_ERROR, "shifter.failed", "problem=%s", xf_log_quote(err.message, quoted));
    }
    release(controller);
    free(controller);
    return result == 0 ? 0 : xf_error_exit_code(err.code);
}
