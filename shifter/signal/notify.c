/*
 * notify.c -- see notify.h.
 *
 * One queue; each entry has its own attempts, so that a webhook that is down holds up no other.
 */
#include "shifter/signal/notify.h"
#include "shifter/net/backoff.h"
#include "shifter/signal/webhook.h"

#include "config/base/list.h"
#include "config/base/text.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTIFY_MAGIC    0x6e6f7466u
#define RETRY_MS_MIN    1000
#define RETRY_MS_FACTOR 60
#define BODY_BYTES_MAX  16384

struct waiting { /* one notification for one webhook */
    struct xf_list node;
    struct xf_notify *notify;
    const struct xf_config_webhook *webhook;
    char *body;
    unsigned tries;
    struct xf_backoff backoff;
    struct event *due;
    struct xf_webhook *post;
};

struct xf_notify {
    unsigned magic;
    struct event_base *loop;
    const struct xf_clock *clock;
    const struct xf_config *config;
    unsigned retry_ms_min;
    struct xf_notify_calls calls;
    struct xf_list waiting;
    unsigned waiting_count;
};

static const char *severity_name(enum xf_log_level severity)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
    return severity >= XF_LOG_ERROR && severity <= XF_LOG_DEBUG ? names[severity - XF_LOG_ERROR]
                                                                : "error";
}

/* Slack's text: its three special characters are escaped. */
static void append_slack(struct xf_text *text, const char *string)
{
    for (; *string != '\0'; string++) {
        switch (*string) {
        case '&':
            xf_text_puts(text, "&amp;");
            break;
        case '<':
            xf_text_puts(text, "&lt;");
            break;
        case '>':
            xf_text_puts(text, "&gt;");
            break;
        default:
            xf_text_append(text, string, 1);
        }
    }
}

static json_t *slack_object(const struct xf_notification *notification)
{
    char weight[XF_WEIGHT_TEXT_BYTES];
    XF_CLEANUP(xf_text_release) struct xf_text text;
    xf_text_init(&text, BODY_BYTES_MAX);
    xf_text_printf(&text, "*%s* ", severity_name(notification->severity));
    append_slack(&text, notification->service);
    xf_text_puts(&text, " ");
    append_slack(&text, notification->cutover);
    xf_text_printf(&text, " (%s, %s): ", notification->state,
                   xf_format_weight(notification->weight, weight));
    append_slack(&text, notification->sentence);
    return text.failed ? NULL : json_pack("{s:s}", "text", text.data);
}

static json_t *plain_object(const struct xf_notification *notification)
{
    char at[XF_TIME_TEXT_BYTES];
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:f, s:s, s:s}", "schema", XF_NOTIFY_SCHEMA,
                     "event", notification->event, "severity",
                     severity_name(notification->severity), "service", notification->service,
                     "cutover", notification->cutover, "state", notification->state, "weight",
                     notification->weight / 100.0, "sentence", notification->sentence, "at",
                     xf_format_time(notification->at_ms, at));
}

char *xf_notify_body(const struct xf_notification *notification, enum xf_webhook_format format)
{
    json_t *object =
        format == XF_WEBHOOK_SLACK ? slack_object(notification) : plain_object(notification);
    char *body = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(object);
    return body;
}

static void waiting_free(struct waiting *waiting)
{
    xf_list_remove(&waiting->node);
    waiting->notify->waiting_count--;
    xf_webhook_destroy(waiting->post);
    if (waiting->due != NULL) {
        event_free(waiting->due);
    }
    free(waiting->body);
    free(waiting);
}

static void give_up(struct waiting *waiting, const char *why)
{
    struct xf_notify *notify = waiting->notify;
    const char *name = waiting->webhook->name;
    char sentence[XF_ERROR_MESSAGE_BYTES];
    snprintf(sentence, sizeof(sentence), "%s", why);
    waiting_free(waiting);
    notify->calls.dropped(notify->calls.context, name, sentence);
}

static void try_ended(struct waiting *waiting, bool accepted, const char *sentence)
{
    if (accepted) {
        waiting_free(waiting);
    } else if (waiting->tries >= XF_NOTIFY_TRIES) {
        give_up(waiting, sentence);
    } else {
        struct timeval wait = xf_backoff_next(&waiting->backoff);
        xf_webhook_destroy(waiting->post);
        waiting->post = NULL;
        event_add(waiting->due, &wait);
    }
}

static void posted(void *context, bool accepted, const char *sentence)
{
    struct waiting *waiting = context;
    XF_ASSERT(waiting->notify->magic == NOTIFY_MAGIC);
    try_ended(waiting, accepted, sentence);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct waiting *waiting = arg;
    struct xf_notify *notify = waiting->notify;
    XF_ASSERT(notify->magic == NOTIFY_MAGIC);
    struct xf_error err = {0};
    waiting->tries++;
    if (xf_webhook_post(notify->loop, notify->clock, waiting->webhook, waiting->body, NULL, posted,
                        waiting, &waiting->post, &err) != 0) {
        try_ended(waiting, false, err.message);
    }
}

static void queue(struct xf_notify *notify, const struct xf_config_webhook *webhook,
                  const struct xf_notification *notification)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (waiting == NULL) {
        return;
    }
    unsigned ms_min = notify->retry_ms_min;
    *waiting = (struct waiting){
        .notify = notify,
        .webhook = webhook,
        .backoff = {.ms_min = ms_min, .ms_max = ms_min * RETRY_MS_FACTOR},
    };
    xf_list_append(&notify->waiting, &waiting->node);
    notify->waiting_count++;
    waiting->body = xf_notify_body(notification, webhook->format);
    waiting->due = evtimer_new(notify->loop, on_due, waiting);
    if (waiting->body == NULL || waiting->due == NULL) {
        waiting_free(waiting);
        return;
    }
    event_active(waiting->due, EV_TIMEOUT, 0);
}

void xf_notify_tell(struct xf_notify *notify, const struct xf_plan_notify *targets, unsigned count,
                    const struct xf_notification *notification)
{
    const struct xf_config *config = notify->config;
    for (unsigned i = 0; i < count; i++) {
        if ((unsigned) notification->severity > targets[i].severity) {
            continue;
        }
        for (unsigned k = 0; k < config->webhooks_count; k++) {
            if (strcmp(config->webhooks[k].name, targets[i].webhook) != 0) {
                continue;
            }
            if (notify->waiting_count >= XF_NOTIFY_WAITING_MAX) {
                waiting_free(XF_CONTAINER_OF(notify->waiting.next, struct waiting, node));
            }
            queue(notify, &config->webhooks[k], notification);
        }
    }
}

struct xf_notify *xf_notify_create(struct event_base *loop, const struct xf_clock *clock,
                                   const struct xf_config *config, unsigned retry_ms_min,
                                   const struct xf_notify_calls *calls)
{
    struct xf_notify *notify = calloc(1, sizeof(*notify));
    if (notify == NULL) {
        return NULL;
    }
    *notify = (struct xf_notify){.magic = NOTIFY_MAGIC,
                                 .loop = loop,
                                 .clock = clock,
                                 .config = config,
                                 .retry_ms_min = retry_ms_min != 0 ? retry_ms_min : RETRY_MS_MIN,
                                 .calls = *calls};
    xf_list_init(&notify->waiting);
    return notify;
}

void xf_notify_destroy(struct xf_notify *notify)
{
    if (notify == NULL) {
        return;
    }
    while (!xf_list_empty(&notify->waiting)) {
        waiting_free(XF_CONTAINER_OF(notify->waiting.next, struct waiting, node));
    }
    free(notify);
}
