/*
 * worker.c -- the worker process: its loop, its tick, and what the supervisor tells it.
 *
 * A turn is one event_base_loop(EVLOOP_ONCE).  Whatever reads a route word in a turn calls
 * xf_cycle_begin() first; the turn's end, after everything it began was carried on, calls
 * xf_cycle_end() (DESIGN.md section 9).  Memory of what ended in a turn is given back then.
 */
#include "proxy/worker/worker.h"

#include "proxy/worker/acceptor.h"
#include "proxy/board/channel.h"
#include "proxy/board/logring.h"
#include "proxy/worker/client.h"
#include "proxy/worker/drain.h"
#include "proxy/worker/exchange.h"
#include "proxy/worker/pool.h"

#include <event2/event_struct.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define TICK_FAST_MS    10u   /* while a limit of a request is running */
#define TICK_SLOW_MS    1000u /* else */
#define ORPHAN_MS       5000u /* the supervisor is gone: finish within this */
#define FRESH_MS        300u /* who has just connected may send his first request, though we stop */
#define STARVED_A_TURN  16u
#define EXPIRIES_A_TICK 4096u
#define MMAP_BYTES_MIN  (256 * 1024) /* larger blocks go back to the kernel when freed */

struct worker {
    struct xf_engine *engine;
    struct xf_acceptor *acceptor;
    struct event channel_event, tick;
    int channel_fd;
    bool tick_fast;
    bool orphan;
    bool retiring;           /* it ends when its last client does */
    uint64_t fresh_until_ms; /* 0: it does not stop, or that time is over */
    uint64_t end_ms;         /* CLOCK_BOOTTIME: what is left is cut then; 0: no end is set */
};

static uint64_t boottime_ms(void)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t) now.tv_sec * 1000u + (uint64_t) now.tv_nsec / 1000000u;
}

static void set_tick(struct worker *worker, bool fast)
{
    unsigned ms = fast ? TICK_FAST_MS : TICK_SLOW_MS;
    struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t) (ms % 1000) * 1000};
    worker->tick_fast = fast;
    (void) event_add(&worker->tick, &after);
}

static void on_deadline(void *context, enum xf_deadline_kind kind, struct xf_deadline *deadline)
{
    (void) context;
    switch (kind) {
    case XF_DEADLINE_IDLE:
    case XF_DEADLINE_HEADER:
    case XF_DEADLINE_LINGER:
    case XF_DEADLINE_WATCH:
        xf_client_expired(XF_CONTAINER_OF(deadline, struct xf_client, deadline), kind);
        break;
    case XF_DEADLINE_UPSTREAM_IDLE: {
        struct xf_upstream *upstream = XF_CONTAINER_OF(deadline, struct xf_upstream, deadline);
        xf_pool_remove(upstream);
        xf_upstream_close(upstream);
        break;
    }
    case XF_DEADLINE_BODY:
    case XF_DEADLINE_SEND:
    case XF_DEADLINE_TUNNEL_IDLE:
        xf_exchange_expired(XF_CONTAINER_OF(deadline, struct xf_exchange, client_deadline), kind);
        break;
    case XF_DEADLINE_TOTAL:
        xf_exchange_expired(XF_CONTAINER_OF(deadline, struct xf_exchange, total_deadline), kind);
        break;
    default:
        xf_exchange_expired(XF_CONTAINER_OF(deadline, struct xf_exchange, server_deadline), kind);
        break;
    }
}

/* Whether a limit or the judge's "slow" may fire before the slow tick. */
static bool is_busy(const struct xf_engine *engine)
{
    return engine->deadlines.urgent > 0 || engine->exchanges_count > engine->tunnels_count ||
           engine->draining;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct xf_engine *engine = worker->engine;
    (void) fd;
    (void) what;
    xf_engine_enter(engine);
    xf_ready_run(&engine->ready); /* who is heard in this turn is not late */
    xf_exchange_part_all(engine);
    xf_deadlines_run(&engine->deadlines, engine->now_ms, EXPIRIES_A_TICK, on_deadline, worker);
    for (unsigned i = 0; i < engine->config->services_count; i++) {
        xf_judged_tick(&engine->services[i].judged, xf_engine_cell(engine), xf_engine_now_us());
    }
    if (engine->log_ring != NULL) {
        xf_count(&engine->stats->log_dropped, xf_log_ring_take_lost(engine->log_ring));
    }
    xf_engine_review_weights(engine);
    xf_pool_review(engine);
    xf_drain_tick(engine, boottime_ms());
    if (worker->fresh_until_ms != 0 && engine->now_ms >= worker->fresh_until_ms) {
        worker->fresh_until_ms = 0;
        xf_client_close_idle(engine, true);
    }
    set_tick(worker, is_busy(engine) || worker->fresh_until_ms != 0);
}

static void retire(struct worker *worker, uint64_t end_ms)
{
    worker->engine->closing = true;
    worker->retiring = true;
    xf_acceptor_empty_queues(worker->acceptor); /* who is let in already is served */
    xf_acceptor_remove_all(worker->acceptor);
    atomic_store_explicit(&worker->engine->stats->accepting, 0, memory_order_release);
    if (end_ms != 0 && (worker->end_ms == 0 || end_ms < worker->end_ms)) {
        worker->end_ms = end_ms;
    }
}

static void stop(struct worker *worker, uint64_t end_ms)
{
    retire(worker, end_ms);
    worker->engine->stopping = true;
    xf_client_close_idle(worker->engine, false);
    worker->fresh_until_ms = worker->engine->now_ms + FRESH_MS;
    set_tick(worker, true);
    for (unsigned i = 0; i < worker->engine->config->servers_count; i++) {
        xf_pool_close_server(worker->engine, i);
    }
}

static void accept_now(struct worker *worker)
{
    struct xf_engine *engine = worker->engine;
    xf_acceptor_add(worker->acceptor, engine->index);
    atomic_store_explicit(&engine->stats->accepting, 1, memory_order_release);
    struct xf_channel_message *answer = calloc(1, sizeof(*answer));
    if (answer != NULL) {
        answer->kind = XF_CHANNEL_ACCEPTING;
        answer->a = engine->index;
        if (!xf_channel_send(worker->channel_fd, answer)) {
            xf_log(XF_LOG_WARNING, "channel.full", "message=accepting");
        }
        free(answer);
    }
}

static void obey(struct worker *worker, const struct xf_channel_message *message)
{
    switch (message->kind) {
    case XF_CHANNEL_ACCEPT:
        accept_now(worker);
        break;
    case XF_CHANNEL_ADOPT:
        xf_acceptor_add(worker->acceptor, message->a);
        break;
    case XF_CHANNEL_RELEASE:
        xf_acceptor_remove(worker->acceptor, message->a);
        break;
    case XF_CHANNEL_LAMEDUCK:
        worker->engine->lameduck = true;
        break;
    case XF_CHANNEL_SHUT:
        worker->engine->closing = true;
        break;
    case XF_CHANNEL_RETIRE:
        retire(worker, message->a);
        break;
    case XF_CHANNEL_STOP:
        stop(worker, message->a);
        break;
    default:
        break; /* a newer supervisor's message: none of ours */
    }
    for (unsigned i = 0; i < message->fds_count; i++) {
        (void) close(message->fds[i]);
    }
}

/* The supervisor is gone: no new connection, and an end soon. */
static void orphaned(struct worker *worker)
{
    worker->orphan = true;
    (void) event_del(&worker->channel_event);
    xf_acceptor_close_all(worker->acceptor);
    stop(worker, boottime_ms() + ORPHAN_MS);
    set_tick(worker, true);
}

static void on_channel(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    static struct xf_channel_message message; /* one worker per process; too large for the stack */
    (void) what;
    xf_engine_enter(worker->engine);
    for (;;) {
        switch (xf_channel_receive(fd, &message)) {
        case XF_CHANNEL_GOT:
            obey(worker, &message);
            break;
        case XF_CHANNEL_EMPTY:
            return;
        case XF_CHANNEL_CLOSED:
            orphaned(worker);
            return;
        }
    }
}

/* Whether somebody waits for buffers, and there are some again. */
static bool can_feed(const struct xf_engine *engine)
{
    return !xf_list_empty(&engine->starved) &&
           xf_slab_room(&engine->slab, XF_RELAY_BYTES_LOW, true) > 0;
}

/* Carries on what the last turns had to leave; true if there is still more. */
static bool carry_on(struct worker *worker)
{
    struct xf_engine *engine = worker->engine;
    struct xf_list now;
    for (unsigned i = 0; i < STARVED_A_TURN && can_feed(engine); i++) {
        struct xf_list *first = engine->starved.next;
        xf_list_remove(first);
        xf_list_append(&engine->again, first);
    }
    if (xf_list_empty(&engine->again)) {
        return false;
    }
    xf_engine_enter(engine);
    xf_list_init(&now); /* what is put back while this runs waits for the next turn */
    xf_list_insert_after(&engine->again, &now);
    xf_list_remove(&engine->again);
    while (!xf_list_empty(&now)) {
        struct xf_client *client = XF_CONTAINER_OF(now.next, struct xf_client, again);
        xf_list_remove(&client->again);
        xf_client_resume(client);
    }
    return !xf_list_empty(&engine->again) || can_feed(engine);
}

static void sweep(struct xf_objects *memory, struct xf_list *list, size_t link_at)
{
    while (!xf_list_empty(list)) {
        struct xf_list *link = list->next;
        xf_list_remove(link);
        xf_objects_put(memory, (char *) link - link_at);
    }
}

static void sweep_all(struct xf_engine *engine)
{
    sweep(&engine->exchanges_memory, &engine->swept_exchanges, offsetof(struct xf_exchange, link));
    sweep(&engine->upstreams_memory, &engine->swept_upstreams, offsetof(struct xf_upstream, link));
    sweep(&engine->clients_memory, &engine->swept_clients, offsetof(struct xf_client, link));
}

/* Whether nothing is left to do: told to go, and every client is gone or out of time. */
static bool finished(struct worker *worker)
{
    struct xf_engine *engine = worker->engine;
    if (!worker->retiring) {
        return false;
    }
    if (engine->clients_count == 0) {
        return true;
    }
    return worker->end_ms != 0 && boottime_ms() >= worker->end_ms;
}

static void cut_all(struct xf_engine *engine)
{
    struct xf_list *link = engine->clients.next;
    engine->stopping = true;
    while (link != &engine->clients) {
        struct xf_client *client = XF_CONTAINER_OF(link, struct xf_client, link);
        link = link->next;
        if (client->exchange != NULL) {
            xf_exchange_cut(client->exchange);
        }
        if (client->conn.open) {
            xf_client_close(client);
        }
    }
    for (unsigned i = 0; i < engine->config->servers_count; i++) {
        xf_pool_close_server(engine, i);
    }
    sweep_all(engine);
}

static void run(struct worker *worker)
{
    struct xf_engine *engine = worker->engine;
    bool more = false;
    while (!finished(worker)) {
        int flags = EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0);
        if (event_base_loop(engine->loop, flags) < 0) {
            break;
        }
        xf_ready_run(&engine->ready);
        more = carry_on(worker);
        xf_exchange_part_all(engine);
        xf_acceptor_review(worker->acceptor);
        sweep_all(engine);
        if (!worker->tick_fast && is_busy(engine)) {
            set_tick(worker, true);
        }
        engine->turn_begun = false;
        xf_cycle_end(engine->stats);
    }
    atomic_store_explicit(&engine->stats->accepting, 0, memory_order_release);
    cut_all(engine);
    xf_cycle_end(engine->stats);
}

static int start_up(struct worker *worker, const struct xf_worker_start *start,
                    struct xf_error *err)
{
    if (xf_engine_create(start, &worker->engine, err) != 0 ||
        xf_acceptor_create(worker->engine, start, &worker->acceptor, err) != 0) {
        return -1;
    }
    worker->engine->ready.gather = xf_gather_create();
    worker->engine->parting = xf_parting_create();
    struct event_base *loop = worker->engine->loop;
    worker->channel_fd = start->channel_fd;
    (void) event_assign(&worker->channel_event, loop, start->channel_fd, EV_READ | EV_PERSIST,
                        on_channel, worker);
    (void) evtimer_assign(&worker->tick, loop, on_tick, worker);
    if (event_add(&worker->channel_event, NULL) != 0) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for the loop");
    }
    set_tick(worker, false);
    return 0;
}

int xf_worker_run(const struct xf_worker_start *start)
{
    struct worker worker = {.channel_fd = -1};
    struct xf_error err;
    (void) mallopt(M_MMAP_THRESHOLD, MMAP_BYTES_MIN);
    int code = 0;
    if (start_up(&worker, start, &err) != 0) {
        xf_log(XF_LOG_ERROR, "worker.failed", "reason=\"%s\"", err.message);
        code = xf_error_exit_code(err.code);
    } else {
        run(&worker);
    }
    xf_acceptor_destroy(worker.acceptor);
    xf_engine_destroy(worker.engine);
    return code;
}
