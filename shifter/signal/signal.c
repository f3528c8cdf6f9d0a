/*
 * signal.c -- see signal.h.
 *
 * Each receiver goes its own way:
 *   waiting --due--> asking --stands, within 2 s--> trying --took it--> accepted
 *      ^                |  no, or too late             | refused, unreachable
 *      +----------------+------------ back-off --------+
 * One question serves every receiver that is asking.
 */
#include "shifter/signal/signal.h"
#include "shifter/net/backoff.h"
#include "shifter/net/hook.h"
#include "shifter/signal/webhook.h"

#include "config/base/text.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNAL_MAGIC  0x7369676eu
#define RETRY_MS_MIN  1000
#define RETRY_MS_MAX  300000
#define RECEIVERS_MAX 2u

enum receiver_state { WAITING, ASKING, TRYING, ACCEPTED };

struct receiver {
    struct xf_signal *signal;
    const struct xf_config_webhook *webhook; /* one of the two is set */
    const struct xf_config_hook *hook;
    enum receiver_state state;
    unsigned attempts;
    struct xf_backoff backoff;
    struct event *due; /* the next attempt; also ends what is over, later, from the loop */
    struct xf_webhook *post;
    struct xf_hook *run;
};

struct xf_signal {
    unsigned magic;
    struct event_base *loop;
    const struct xf_clock *clock;
    struct xf_signal_record record;
    struct xf_signal_calls calls;
    char *body;
    struct receiver receivers[RECEIVERS_MAX];
    size_t receivers_count;
    bool asked;        /* a question is open */
    int64_t asked_ms;  /* when it was put; the boot-time clock runs through a suspend */
    struct event *end; /* `delivered`, from the loop */
};

const char *xf_signal_event_name(enum xf_signal_event event)
{
    return event == XF_SIGNAL_REVOKED ? "revoked" : "decommission";
}

char *xf_signal_body(const struct xf_signal_record *record)
{
    char at[XF_TIME_TEXT_BYTES];
    json_t *object =
        json_pack("{s:i, s:s, s:i, s:s, s:s, s:s, s:s, s:s}", "schema", XF_SIGNAL_SCHEMA, "key",
                  record->key, "sequence", (int) record->sequence, "event",
                  xf_signal_event_name(record->event), "service", record->service, "from",
                  record->from, "to", record->to, "at", xf_format_time(record->at_ms, at));
    char *body = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return body;
}

static bool is_fresh(const struct xf_signal *signal)
{
    return xf_clock_boottime_ms(signal->clock) - signal->asked_ms <= XF_SIGNAL_BEGIN_MS;
}

static bool receiver_may_send(void *context)
{
    struct receiver *receiver = context;
    XF_ASSERT(receiver->signal->magic == SIGNAL_MAGIC);
    return is_fresh(receiver->signal);
}

static void try_later(struct receiver *receiver)
{
    struct timeval wait = xf_backoff_next(&receiver->backoff);
    receiver->state = WAITING;
    event_add(receiver->due, &wait);
}

/* The store is away, or another leads now: the receiver is not to blame, so no back-off grows. */
static void ask_later(struct receiver *receiver)
{
    unsigned ms = receiver->backoff.ms_min;
    struct timeval wait = {ms / 1000, (suseconds_t) (ms % 1000) * 1000};
    receiver->state = WAITING;
    event_add(receiver->due, &wait);
}

static void end_if_delivered(struct xf_signal *signal)
{
    for (size_t i = 0; i < signal->receivers_count; i++) {
        if (signal->receivers[i].state != ACCEPTED) {
            return;
        }
    }
    event_active(signal->end, EV_TIMEOUT, 0);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_signal *signal = arg;
    XF_ASSERT(signal->magic == SIGNAL_MAGIC);
    signal->calls.delivered(signal->calls.context);
}

static void attempt_ended(struct receiver *receiver, bool accepted, const char *sentence)
{
    struct xf_signal *signal = receiver->signal;
    char name[XF_NAME_BYTES + 16];
    snprintf(name, sizeof(name), "%s %.64s", receiver->webhook != NULL ? "webhook" : "hook",
             receiver->webhook != NULL ? receiver->webhook->name : receiver->hook->name);
    if (accepted) {
        receiver->state = ACCEPTED;
    } else {
        try_later(receiver);
    }
    signal->calls.attempted(signal->calls.context, name, receiver->attempts, accepted, sentence);
    end_if_delivered(signal);
}

static void webhook_ended(void *context, bool accepted, const char *sentence)
{
    struct receiver *receiver = context;
    XF_ASSERT(receiver->signal->magic == SIGNAL_MAGIC);
    xf_webhook_destroy(receiver->post);
    receiver->post = NULL;
    attempt_ended(receiver, accepted, sentence);
}

static void hook_ended(void *context, const struct xf_hook_result *result)
{
    struct receiver *receiver = context;
    XF_ASSERT(receiver->signal->magic == SIGNAL_MAGIC);
    char sentence[XF_SENTENCE_BYTES];
    bool accepted = result->exit_status == 0;
    xf_hook_describe(result, sentence, sizeof(sentence));
    xf_hook_destroy(receiver->run);
    receiver->run = NULL;
    attempt_ended(receiver, accepted, sentence);
}

static int start_hook(struct receiver *receiver, struct xf_error *err)
{
    const struct xf_signal_record *record = &receiver->signal->record;
    char variables[6][XF_CUTOVER_ID_BYTES + 32];
    snprintf(variables[0], sizeof(variables[0]), "CROSSFADE_KEY=%s", record->key);
    snprintf(variables[1], sizeof(variables[1]), "CROSSFADE_SEQUENCE=%u", record->sequence);
    snprintf(variables[2], sizeof(variables[2]), "CROSSFADE_EVENT=%s",
             xf_signal_event_name(record->event));
    snprintf(variables[3], sizeof(variables[3]), "CROSSFADE_SERVICE=%s", record->service);
    snprintf(variables[4], sizeof(variables[4]), "CROSSFADE_FROM=%s", record->from);
    snprintf(variables[5], sizeof(variables[5]), "CROSSFADE_TO=%s", record->to);
    const char *environment[7] = {variables[0], variables[1], variables[2], variables[3],
                                  variables[4], variables[5], NULL};
    return xf_hook_start(receiver->signal->loop, receiver->hook->command, environment,
                         receiver->hook->timeout_ms, hook_ended, receiver, &receiver->run, err);
}

static void begin_attempt(struct receiver *receiver)
{
    struct xf_signal *signal = receiver->signal;
    struct xf_error err = {0};
    if (receiver->webhook == NULL && receiver->hook == NULL) {
        receiver->state = ACCEPTED; /* the check has published the record */
        end_if_delivered(signal);
        return;
    }
    receiver->state = TRYING;
    receiver->attempts++;
    int code =
        receiver->webhook != NULL
            ? xf_webhook_post(signal->loop, signal->clock, receiver->webhook, signal->body,
                              receiver_may_send, webhook_ended, receiver, &receiver->post, &err)
            : start_hook(receiver, &err);
    if (code != 0) {
        attempt_ended(receiver, false, err.message);
    }
}

static void ask(struct xf_signal *signal)
{
    if (!signal->asked) {
        signal->asked = true;
        signal->asked_ms = xf_clock_boottime_ms(signal->clock);
        signal->calls.check(signal->calls.context, signal);
    }
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct receiver *receiver = arg;
    XF_ASSERT(receiver->signal->magic == SIGNAL_MAGIC);
    receiver->state = ASKING;
    ask(receiver->signal);
}

void xf_signal_checked(struct xf_signal *signal, bool stands)
{
    XF_ASSERT(signal->magic == SIGNAL_MAGIC);
    bool go = stands && is_fresh(signal);
    signal->asked = false;
    for (size_t i = 0; i < signal->receivers_count; i++) {
        struct receiver *receiver = &signal->receivers[i];
        if (receiver->state != ASKING) {
            continue;
        }
        if (go) {
            begin_attempt(receiver);
        } else {
            ask_later(receiver);
        }
    }
}

static int add_receivers(struct xf_signal *signal, const struct xf_signal_options *options,
                         struct xf_error *err)
{
    const struct xf_config *config = options->config;
    for (unsigned i = 0; options->webhook[0] != '\0' && i < config->webhooks_count; i++) {
        if (strcmp(config->webhooks[i].name, options->webhook) == 0) {
            signal->receivers[signal->receivers_count++].webhook = &config->webhooks[i];
        }
    }
    if (options->webhook[0] != '\0' && signal->receivers_count == 0) {
        return XF_FAIL(err, XF_E_CONFIG, "signal: the configuration has no webhook \"%s\"",
                       options->webhook);
    }
    size_t before = signal->receivers_count;
    for (unsigned i = 0; options->hook[0] != '\0' && i < config->hooks_count; i++) {
        if (strcmp(config->hooks[i].name, options->hook) == 0) {
            signal->receivers[signal->receivers_count++].hook = &config->hooks[i];
        }
    }
    if (options->hook[0] != '\0' && signal->receivers_count == before) {
        return XF_FAIL(err, XF_E_CONFIG, "signal: the configuration has no hook \"%s\"",
                       options->hook);
    }
    if (signal->receivers_count == 0) {
        signal->receivers_count = 1; /* nobody is named: the store's record is all there is */
    }
    return 0;
}

static int start_receivers(struct xf_signal *signal, const struct xf_signal_options *options)
{
    unsigned ms_min = options->retry_ms_min != 0 ? options->retry_ms_min : RETRY_MS_MIN;
    unsigned ms_max = options->retry_ms_max != 0 ? options->retry_ms_max : RETRY_MS_MAX;
    for (size_t i = 0; i < signal->receivers_count; i++) {
        struct receiver *receiver = &signal->receivers[i];
        receiver->signal = signal;
        receiver->backoff = (struct xf_backoff){.ms_min = ms_min, .ms_max = ms_max};
        receiver->due = evtimer_new(signal->loop, on_due, receiver);
        if (receiver->due == NULL) {
            return -1;
        }
        event_active(receiver->due, EV_TIMEOUT, 0);
    }
    return 0;
}

int xf_signal_create(struct event_base *loop, const struct xf_clock *clock,
                     const struct xf_signal_record *record, const struct xf_signal_options *options,
                     const struct xf_signal_calls *calls, struct xf_signal **ret,
                     struct xf_error *err)
{
    struct xf_signal *signal = calloc(1, sizeof(*signal));
    if (signal == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "signal: out of memory");
    }
    *signal = (struct xf_signal){
        .magic = SIGNAL_MAGIC, .loop = loop, .clock = clock, .record = *record, .calls = *calls};
    if (add_receivers(signal, options, err) != 0) {
        xf_signal_destroy(signal);
        return -1;
    }
    signal->body = xf_signal_body(record);
    signal->end = evtimer_new(loop, on_end, signal);
    if (signal->body == NULL || signal->end == NULL || start_receivers(signal, options) != 0) {
        xf_signal_destroy(signal);
        return XF_FAIL(err, XF_E_NO_MEMORY, "signal: out of memory");
    }
    *ret = signal;
    return 0;
}

void xf_signal_destroy(struct xf_signal *signal)
{
    if (signal == NULL) {
        return;
    }
    for (size_t i = 0; i < signal->receivers_count; i++) {
        struct receiver *receiver = &signal->receivers[i];
        xf_webhook_destroy(receiver->post);
        xf_hook_destroy(receiver->run);
        if (receiver->due != NULL) {
            event_free(receiver->due);
        }
    }
    if (signal->end != NULL) {
        event_free(signal->end);
    }
    free(signal->body);
    free(signal);
}
