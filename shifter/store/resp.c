/*
 * resp.c -- see resp.h.
 *
 * One connection to where the configuration says.  A server of a Redis Cluster answers for its own
 * slots only and names who has the others: then there is one more connection to each that was
 * named, and what was learned is kept while that connection stands.
 *
 *     call --slot known--> its place ----MOVED---> remembered, and sent there
 *        |                   ^       \---ASK-----> sent there once, behind ASKING
 *        +--unknown--> the configured place, or any that is ready
 */
#include "shifter/store/resp.h"
#include "shifter/store/resp_node.h"
#include "shifter/store/resp_slot.h"

#include "config/base/check.h"
#include "config/base/list.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESP_MAGIC    0x72657370u
#define PLACES_MAX    33u /* the configured one, and servers of a cluster */
#define SLOTS_MAX     (2u * XF_SERVICES_MAX)
#define REDIRECTS_MAX 5u
#define PARKED_MS     2000  /* a call waits so long for the connection to who was named */
#define UNUSED_MS     10000 /* one that was named and cannot be reached is tried so long */

static const struct timeval sweep_every = {0, 500000};

struct call {
    struct xf_list node; /* while it is parked */
    struct xf_resp *resp;
    char *text; /* owned: it may have to be sent again */
    size_t length;
    int slot;
    unsigned place, redirects;
    bool asking;
    int64_t limit_ms, until_ms; /* until: while it is parked */
    xf_resp_done *done;
    void *context;
};

struct place {
    struct xf_resp *resp;
    struct xf_resp_node *node; /* NULL: none */
    char host[XF_RESP_NODE_HOST_BYTES];
    uint16_t port;
    bool ready;
    unsigned connection;   /* its number, while it is ready */
    int64_t down_ms;       /* since when it is not ready */
    struct xf_list parked; /* calls that wait for it */
};

struct xf_resp {
    unsigned magic;
    struct event_base *loop;
    const struct xf_clock *clock;
    const struct xf_config_store *config;
    struct xf_resp_calls calls;
    struct event *sweep;
    struct place places[PLACES_MAX]; /* [0]: the configured one */
    struct {
        int slot;
        unsigned place;
    } slots[SLOTS_MAX]; /* as learned from MOVED */
    unsigned slots_count;
    size_t calls_count, calls_bytes;
    unsigned connections;     /* numbers given so far */
    unsigned answering;       /* whose answer is handed over just now */
    char asking_refused[128]; /* what ASKING was answered, where this user may not run it */
    bool ready, ending;
};

/* ---- slots ---- */

static int find_slot(const struct xf_resp *resp, int slot)
{
    for (unsigned i = 0; slot != XF_RESP_NO_SLOT && i < resp->slots_count; i++) {
        if (resp->slots[i].slot == slot) {
            return (int) i;
        }
    }
    return -1;
}

static void remember(struct xf_resp *resp, int slot, unsigned place)
{
    int found = find_slot(resp, slot);
    if (found < 0 && resp->slots_count < SLOTS_MAX) {
        found = (int) resp->slots_count++;
    }
    if (found >= 0) {
        resp->slots[found].slot = slot;
        resp->slots[found].place = place;
    }
}

static void forget(struct xf_resp *resp, unsigned place)
{
    for (unsigned i = 0; i < resp->slots_count;) {
        if (resp->slots[i].place == place) {
            resp->slots[i] = resp->slots[--resp->slots_count];
        } else {
            i++;
        }
    }
}

/* Where a call for `slot` goes first. */
static unsigned place_for(const struct xf_resp *resp, int slot)
{
    int found = find_slot(resp, slot);
    unsigned i = 0;
    if (found >= 0) {
        return resp->slots[found].place;
    }
    while (i < PLACES_MAX && !resp->places[i].ready) {
        i++;
    }
    return i < PLACES_MAX ? i : 0;
}

/* ---- calls ---- */

static void free_call(struct call *call)
{
    call->resp->calls_count--;
    call->resp->calls_bytes -= call->length;
    redisFreeCommand(call->text);
    free(call);
}

static void finish(struct call *call, const redisReply *reply, const char *why)
{
    struct xf_resp *resp = call->resp;
    resp->answering = resp->places[call->place].connection;
    call->done(call->context, reply, why);
    resp->answering = 0;
    free_call(call);
}

static void asked(void *context, const redisReply *reply, const char *why)
{
    (void) why;
    struct place *place = context;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
        strncmp(reply->str, "NOPERM", 6) == 0) {
        (void) snprintf(place->resp->asking_refused, sizeof(place->resp->asking_refused), "%s",
                        reply->str);
    }
}

static void answered(void *context, const redisReply *reply, const char *why);

static bool send_now(struct call *call, struct place *place)
{
    static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
    bool first = !call->asking || xf_resp_node_send(place->node, asking, sizeof(asking) - 1,
                                                    call->limit_ms, asked, place);
    call->asking = false;
    return first &&
           xf_resp_node_send(place->node, call->text, call->length, call->limit_ms, answered, call);
}

/* False: it cannot be sent there. */
static bool send_call(struct call *call, unsigned index)
{
    struct xf_resp *resp = call->resp;
    struct place *place = &resp->places[index];
    call->place = index;
    if (place->ready) {
        return send_now(call, place);
    }
    if (index == 0 || place->node == NULL) {
        return false;
    }
    call->until_ms = xf_clock_monotonic_ms(resp->clock) + PARKED_MS;
    xf_list_append(&place->parked, &call->node);
    return true;
}

/* ---- redirects ---- */

static void on_place_ready(void *context, bool up, const char *why);

static struct place *make_place(struct xf_resp *resp, const char *host, uint16_t port)
{
    unsigned i = 1;
    while (i < PLACES_MAX && resp->places[i].node != NULL) {
        i++;
    }
    if (i == PLACES_MAX) {
        return NULL;
    }
    struct place *place = &resp->places[i];
    struct xf_resp_calls calls = {on_place_ready, place};
    place->resp = resp;
    (void) snprintf(place->host, sizeof(place->host), "%s", host);
    place->port = port;
    place->ready = false;
    place->down_ms = xf_clock_monotonic_ms(resp->clock);
    xf_list_init(&place->parked);
    place->node = xf_resp_node_create(resp->loop, resp->clock, resp->config, host, port, &calls);
    event_add(resp->sweep, &sweep_every);
    return place->node != NULL ? place : NULL;
}

static struct place *find_place(struct xf_resp *resp, const char *host, uint16_t port)
{
    for (unsigned i = 1; i < PLACES_MAX; i++) {
        struct place *place = &resp->places[i];
        if (place->node != NULL && place->port == port && strcmp(place->host, host) == 0) {
            return place;
        }
    }
    return make_place(resp, host, port);
}

/* True: the call is on its way to where the answer says. */
static bool follow(struct call *call, const redisReply *reply)
{
    struct xf_resp *resp = call->resp;
    struct xf_resp_redirect to;
    if (resp->ending || call->redirects >= REDIRECTS_MAX || !xf_resp_redirect_read(reply, &to) ||
        to.slot != call->slot) {
        return false;
    }
    const char *own = xf_resp_node_host(resp->places[call->place].node);
    struct place *place = find_place(resp, to.host[0] != '\0' ? to.host : own, to.port);
    if (place == NULL) {
        return false;
    }
    unsigned index = (unsigned) (place - resp->places);
    if (!to.ask) {
        remember(resp, to.slot, index);
    }
    call->redirects++;
    call->asking = to.ask;
    return send_call(call, index);
}

/* A user who may not run ASKING is sent to and fro: the server's word about that is the answer. */
static void finish_refused(struct call *call)
{
    char text[sizeof(call->resp->asking_refused)];
    memcpy(text, call->resp->asking_refused, sizeof(text));
    call->resp->asking_refused[0] = '\0';
    redisReply refusal = {.type = REDIS_REPLY_ERROR, .str = text, .len = (int) strlen(text)};
    finish(call, &refusal, NULL);
}

static void answered(void *context, const redisReply *reply, const char *why)
{
    struct call *call = context;
    XF_ASSERT(call->resp->magic == RESP_MAGIC);
    bool error = reply != NULL && reply->type == REDIS_REPLY_ERROR;
    if (error && call->resp->asking_refused[0] != '\0' && strncmp(reply->str, "ASK ", 4) == 0) {
        finish_refused(call);
    } else if (!error || !follow(call, reply)) {
        finish(call, reply, why);
    }
}

/* ---- places ---- */

static void tell_ready(struct xf_resp *resp, const char *why)
{
    bool any = false;
    for (unsigned i = 0; i < PLACES_MAX; i++) {
        any = any || resp->places[i].ready;
    }
    if (any != resp->ready && !resp->ending) {
        resp->ready = any;
        resp->calls.ready(resp->calls.context, any, any ? NULL : why);
    }
}

static struct call *pop_parked(struct place *place)
{
    if (place->node == NULL || xf_list_empty(&place->parked)) {
        return NULL;
    }
    struct call *call = XF_CONTAINER_OF(place->parked.next, struct call, node);
    xf_list_remove(&call->node);
    return call;
}

static void drop_parked(struct place *place, const char *why)
{
    for (struct call *call; (call = pop_parked(place)) != NULL;) {
        finish(call, NULL, why);
    }
}

static void on_place_ready(void *context, bool up, const char *why)
{
    struct place *place = context;
    struct xf_resp *resp = place->resp;
    XF_ASSERT(resp->magic == RESP_MAGIC);
    if (place->ready && !up) {
        place->down_ms = xf_clock_monotonic_ms(resp->clock);
    }
    place->ready = up;
    place->connection = up ? ++resp->connections : 0;
    if (!up) {
        forget(resp, (unsigned) (place - resp->places));
        drop_parked(place, why);
    }
    for (struct call *call; up && (call = pop_parked(place)) != NULL;) {
        if (!send_now(call, place)) {
            finish(call, NULL, "it could not be sent");
        }
    }
    tell_ready(resp, why);
}

/* What waits for a server that does not come, and servers that cannot be reached any more. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_resp *resp = arg;
    XF_ASSERT(resp->magic == RESP_MAGIC);
    int64_t now = xf_clock_monotonic_ms(resp->clock);
    bool more = false;
    for (unsigned i = 1; i < PLACES_MAX; i++) {
        struct place *place = &resp->places[i];
        while (place->node != NULL && !xf_list_empty(&place->parked) &&
               XF_CONTAINER_OF(place->parked.next, struct call, node)->until_ms <= now) {
            finish(pop_parked(place), NULL, xf_resp_node_why(place->node));
        }
        if (place->node != NULL && !place->ready && now - place->down_ms >= UNUSED_MS) {
            forget(resp, i);
            drop_parked(place, xf_resp_node_why(place->node));
            xf_resp_node_destroy(place->node);
            place->node = NULL;
        }
        more = more || place->node != NULL;
    }
    if (more) {
        event_add(resp->sweep, &sweep_every);
    }
}

/* ---- life ---- */

struct xf_resp *xf_resp_create(struct event_base *loop, const struct xf_clock *clock,
                               const struct xf_config_store *config,
                               const struct xf_resp_calls *calls)
{
    struct xf_resp *resp = calloc(1, sizeof(*resp));
    if (resp == NULL) {
        return NULL;
    }
    resp->magic = RESP_MAGIC;
    resp->loop = loop;
    resp->clock = clock;
    resp->config = config;
    resp->calls = *calls;
    resp->places[0].resp = resp;
    xf_list_init(&resp->places[0].parked);
    struct xf_resp_calls own = {on_place_ready, &resp->places[0]};
    resp->sweep = evtimer_new(loop, on_sweep, resp);
    resp->places[0].node =
        resp->sweep != NULL ? xf_resp_node_create(loop, clock, config, NULL, 0, &own) : NULL;
    if (resp->places[0].node == NULL) {
        xf_resp_destroy(resp);
        return NULL;
    }
    return resp;
}

bool xf_resp_is_ready(const struct xf_resp *resp)
{
    return resp->ready;
}

const char *xf_resp_why(const struct xf_resp *resp)
{
    return xf_resp_node_why(resp->places[0].node);
}

static bool start(struct xf_resp *resp, unsigned place, int slot, size_t count,
                  const char *const *arguments, const size_t *lengths, int64_t block_ms,
                  xf_resp_done *done, void *context)
{
    struct call *call = resp->ready && !resp->ending && resp->calls_count < XF_RESP_CALLS_MAX
                            ? calloc(1, sizeof(*call))
                            : NULL;
    if (call == NULL) {
        return false;
    }
    const char **borrowed = (const char **) (uintptr_t) arguments; /* hiredis does not write */
    int length = redisFormatCommandArgv(&call->text, (int) count, borrowed, lengths);
    if (length < 0) {
        free(call);
        return false;
    }
    call->resp = resp;
    call->length = (size_t) length;
    call->slot = slot;
    call->limit_ms = XF_RESP_ANSWER_MS + block_ms;
    call->done = done;
    call->context = context;
    resp->calls_count++;
    resp->calls_bytes += call->length;
    if (resp->calls_bytes > XF_RESP_OUT_BYTES_MAX || !send_call(call, place)) {
        free_call(call);
        return false;
    }
    return true;
}

bool xf_resp_call(struct xf_resp *resp, size_t count, const char *const *arguments,
                  const size_t *lengths, int64_t block_ms, xf_resp_done *done, void *context)
{
    XF_ASSERT(resp->magic == RESP_MAGIC);
    int slot = xf_resp_slot_of(count, arguments);
    return start(resp, place_for(resp, slot), slot, count, arguments, lengths, block_ms, done,
                 context);
}

unsigned xf_resp_answering(const struct xf_resp *resp)
{
    return resp->answering;
}

bool xf_resp_call_on(struct xf_resp *resp, unsigned connection, size_t count,
                     const char *const *arguments, int64_t block_ms, xf_resp_done *done,
                     void *context)
{
    XF_ASSERT(resp->magic == RESP_MAGIC);
    unsigned place = 0;
    while (place < PLACES_MAX &&
           !(resp->places[place].ready && resp->places[place].connection == connection)) {
        place++;
    }
    return place < PLACES_MAX &&
           start(resp, place, XF_RESP_NO_SLOT, count, arguments, NULL, block_ms, done, context);
}

void xf_resp_reconnect(struct xf_resp *resp, const char *why)
{
    for (unsigned i = 0; i < PLACES_MAX; i++) {
        if (resp->places[i].node != NULL) {
            xf_resp_node_reconnect(resp->places[i].node, why);
        }
    }
}

void xf_resp_destroy(struct xf_resp *resp)
{
    if (resp == NULL) {
        return;
    }
    resp->ending = true;
    for (unsigned i = 0; i < PLACES_MAX; i++) {
        struct place *place = &resp->places[i];
        place->ready = false;
        drop_parked(place, "closed");
        xf_resp_node_destroy(place->node);
    }
    if (resp->sweep != NULL) {
        event_free(resp->sweep);
    }
    free(resp);
}
