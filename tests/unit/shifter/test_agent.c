/*
 * test_agent.c -- a real agent process: routes, in force, heartbeats, samples, admin API.
 */
#include "agent_bench.h"

#include <stdlib.h>

#define WRITE_1 "4b1c52a0-6f0e-4d5c-9a55-0d2b5a5a0001"
#define WRITE_2 "4b1c52a0-6f0e-4d5c-9a55-0d2b5a5a0002"
#define WRITE_3 "4b1c52a0-6f0e-4d5c-9a55-0d2b5a5a0003"

enum { GATEWAY, KONG_ADMIN };
enum { OLD, NEW };

static struct bench bench;
static uint64_t wanted; /* generation */

static int begin(void **state)
{
    (void) state;
    bench_begin(&bench, FIXTURE_CONFIG);
    return 0;
}

static int end(void **state)
{
    (void) state;
    bench_end(&bench);
    return 0;
}

static bool has_heartbeat(struct bench *b)
{
    return b->heartbeats > 0;
}

static bool is_in_force(struct bench *b)
{
    const struct xf_message_service *service = bench_service(b, "gateway");
    return service != NULL && service->version.generation == wanted && service->in_force;
}

static bool is_routed(struct bench *b)
{
    return b->routed > 0;
}

static void publish(enum xf_cutover_state state, unsigned weight, uint64_t generation,
                    const char *write_id)
{
    struct xf_document *document = fixture_document(state, weight);
    bench_publish(&bench, document, generation, write_id);
    xf_document_destroy(document);
}

/* Publishes and waits until it is confirmed. */
static void settle(enum xf_cutover_state state, unsigned weight, uint64_t generation,
                   const char *write_id)
{
    bench_until(&bench, has_heartbeat, 5000, "the first heartbeat");
    publish(state, weight, generation, write_id);
    wanted = generation;
    bench_until(&bench, is_in_force, 5000, "the version in force");
}

static void without_a_route_nobody_may_accept(void **state)
{
    (void) state;
    unsigned status;
    bench_until(&bench, has_heartbeat, 5000, "the first heartbeat");
    bench_run(&bench, 300);
    assert_int_equal(bench.routed, 0);
    assert_int_equal(bench_word(&bench, GATEWAY), 0);
    char *body = bench_get(&bench, "/readyz", &status);
    assert_int_equal(status, 503);
    assert_non_null(strstr(body, "has no route"));
    free(body);
}

static void a_state_becomes_words_and_is_confirmed(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    bench_until(&bench, is_routed, 5000, "ROUTED");
    uint64_t word = bench_word(&bench, GATEWAY);
    assert_int_equal(xf_route_generation(word), 5);
    assert_int_equal(xf_route_weight(word), 2500);
    assert_int_equal(xf_route_flags(word), XF_ROUTE_VALID | XF_ROUTE_CUTOVER);
    const struct xf_route_record *record =
        xf_board_record(bench.board, GATEWAY, xf_route_record_number(word));
    assert_int_equal(record->cluster[XF_GREEN], NEW);
    assert_string_equal(record->cutover, "move/7");
    assert_int_equal(xf_route_weight(bench_word(&bench, KONG_ADMIN)), 0);
    const struct xf_message_service *service = bench_service(&bench, "gateway");
    assert_string_equal(service->write_id, WRITE_1);
    assert_int_equal(service->weight, 2500);
    assert_null(bench_service(&bench, "kong-admin"));
}

static void a_lower_version_and_a_fork_change_nothing(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    uint64_t word = bench_word(&bench, GATEWAY);
    publish(XF_CUTOVER_SHIFTING, 9000, 4, WRITE_2);
    publish(XF_CUTOVER_SHIFTING, 9000, 5, WRITE_3);
    bench_run(&bench, 300);
    assert_int_equal(bench_word(&bench, GATEWAY), word);
    assert_string_equal(bench_service(&bench, "gateway")->write_id, WRITE_1);
}

static void a_document_with_a_foreign_cluster_is_not_in_force(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    uint64_t word = bench_word(&bench, GATEWAY);
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 5000);
    (void) snprintf(document->to, sizeof(document->to), "elsewhere");
    unsigned before = bench.heartbeats;
    bench_publish(&bench, document, 6, WRITE_2);
    xf_document_destroy(document);
    bench_run(&bench, 1500);
    assert_true(bench.heartbeats > before);
    assert_int_equal(bench_word(&bench, GATEWAY), word);
    assert_false(bench_service(&bench, "gateway")->in_force);
    assert_int_equal(bench_service(&bench, "gateway")->version.generation, 6);
}

static void a_worker_stopped_in_mid_turn_blocks_and_frees(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    xf_cycle_begin(bench.board->stats[1]);
    publish(XF_CUTOVER_SHIFTING, 5000, 6, WRITE_2);
    bench_run(&bench, 1300);
    assert_int_equal(xf_route_weight(bench_word(&bench, GATEWAY)), 5000);
    assert_false(bench_service(&bench, "gateway")->in_force);
    xf_cycle_end(bench.board->stats[1]);
    wanted = 6;
    bench_until(&bench, is_in_force, 5000, "in force as soon as the worker goes on");
}

static void a_stopped_worker_never_loses_its_record(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    unsigned held = xf_route_record_number(bench_word(&bench, GATEWAY));
    xf_cycle_begin(bench.board->stats[0]);
    for (unsigned i = 0; i < 3 * XF_ROUTE_RECORDS; i++) {
        char id[XF_UUID_TEXT_BYTES];
        xf_uuid_make(id);
        publish(XF_CUTOVER_SHIFTING, 2600 + i, 6 + i, id);
        bench_run(&bench, 5);
        assert_int_equal(xf_board_record(bench.board, GATEWAY, held)->revision, 0);
        uint64_t word = bench_word(&bench, GATEWAY);
        assert_true(xf_route_generation(word) == 5 || xf_route_record_number(word) != held);
    }
    xf_cycle_end(bench.board->stats[0]);
    wanted = 6 + 3 * XF_ROUTE_RECORDS - 1;
    bench_until(&bench, is_in_force, 5000, "the last version, once the worker goes on");
    assert_int_equal(xf_route_weight(bench_word(&bench, GATEWAY)), 2600 + 3 * XF_ROUTE_RECORDS - 1);
}

static bool is_quiet(struct bench *b)
{
    const struct xf_message_cluster *cluster = bench_cluster(b, "old");
    return cluster != NULL && cluster->quiet_ms >= 500;
}

static void quiet_time_begins_anew_with_each_request(void **state)
{
    (void) state;
    settle(XF_CUTOVER_DRAINING, 10000, 5, WRITE_1);
    bench_until(&bench, is_quiet, 5000, "an empty cluster is quiet");
    struct xf_stats_cluster *gauges = xf_stats_cluster(bench.board->stats[1], OLD);
    atomic_store(&gauges->tunnels, 1);
    bench_run(&bench, 1200);
    assert_int_equal(bench_cluster(&bench, "old")->quiet_ms, -1);
    assert_int_equal(bench_cluster(&bench, "old")->tunnels, 1);
    atomic_store(&gauges->tunnels, 0);
    bench_until(&bench, is_quiet, 5000, "quiet again");
    int64_t asked_ms = xf_clock_monotonic_ms(xf_clock_system());
    xf_count(&xf_stats_pair(bench.board->stats[0], 0)->requests, 1);
    bench_run(&bench, 1100);
    int64_t since_ms = xf_clock_monotonic_ms(xf_clock_system()) - asked_ms;
    assert_true(bench_cluster(&bench, "old")->quiet_ms < since_ms); /* a busy machine is late */
    bench_until(&bench, is_quiet, 5000, "quiet after a request between two looks");
}

static void hostile_counts_neither_wrap_nor_stop_a_heartbeat(void **state)
{
    (void) state;
    bench_until(&bench, has_heartbeat, 5000, "the first heartbeat");
    for (unsigned w = 0; w < BENCH_WORKERS; w++) {
        atomic_store(&xf_stats_cluster(bench.board->stats[w], OLD)->in_flight, UINT64_MAX);
        atomic_store(&xf_stats_pair(bench.board->stats[w], 0)->requests, UINT64_MAX);
        atomic_store(&xf_stats_pair(bench.board->stats[w], 0)->latency.count[3], UINT64_MAX);
    }
    unsigned before = bench.heartbeats;
    bench_run(&bench, 2300);
    assert_true(bench.heartbeats >= before + 2);
    assert_int_equal(bench_cluster(&bench, "old")->in_flight, INT64_MAX);
    assert_int_equal(bench_cluster(&bench, "old")->quiet_ms, -1);
}

/* Puts a cell that closed a moment ago into a worker's ring. */
static uint64_t put_cell(unsigned worker, uint32_t weight, uint32_t sent, uint32_t bad)
{
    int64_t store_us = xf_clock_system()->boottime_ns(NULL) / 1000 +
                       atomic_load(&bench.board->control->clock_offset_us);
    uint64_t number = (uint64_t) store_us / 1000 / XF_CELL_MS - 3;
    struct xf_cell *cell = &xf_stats_cells(bench.board->stats[worker], GATEWAY)[number % XF_CELLS];
    atomic_store(&cell->number, 0);
    atomic_store(&cell->attempt, 7);
    atomic_store(&cell->entry[0].weight, weight + 1);
    atomic_store(&cell->entry[0].sent[XF_GREEN], sent);
    atomic_store(&cell->entry[0].done[XF_GREEN], sent);
    atomic_store(&cell->entry[0].bad[XF_GREEN], bad);
    atomic_store(&cell->number, number);
    return number;
}

static bool has_sample(struct bench *b)
{
    return json_array_size(b->samples) > 0;
}

static int64_t sample_number(unsigned cell, unsigned at)
{
    json_t *entry = json_array_get(json_array_get(bench.samples, cell), 1);
    return json_integer_value(json_array_get(entry, at));
}

static void a_bad_answer_is_sent_at_once_and_once(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    bench_run(&bench, 100);
    uint64_t number = put_cell(0, 2500, 10, 2);
    (void) put_cell(1, 2500, 20, 3);
    bench_until(&bench, has_sample, 900, "a cell with a bad answer");
    bench_run(&bench, 1200);
    uint64_t sent = 0, bad = 0;
    for (unsigned i = 0; i < json_array_size(bench.samples); i++) {
        json_t *cell = json_array_get(bench.samples, i);
        uint64_t of = (uint64_t) json_integer_value(json_array_get(cell, 0));
        assert_true(of >= number && of <= number + 2);
        assert_int_equal(sample_number(i, 0), 2500);
        sent += (uint64_t) sample_number(i, 6);
        bad += (uint64_t) sample_number(i, 8);
    }
    assert_int_equal(sent, 30);
    assert_int_equal(bad, 5);
}

static void a_cell_of_another_attempt_or_weight_is_left_out(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    bench_run(&bench, 100);
    uint64_t number = put_cell(0, 2500, 10, 2);
    atomic_store(&xf_stats_cells(bench.board->stats[0], GATEWAY)[number % XF_CELLS].attempt, 6);
    (void) put_cell(1, XF_WEIGHT_FULL + 1, 10, 2);
    bench_run(&bench, 1300);
    assert_int_equal(json_array_size(bench.samples), 0);
}

static void status_and_why_are_answered_without_a_leader(void **state)
{
    (void) state;
    unsigned status;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    bench_unlead(&bench);
    bench_run(&bench, 100);
    char *body = bench_get(&bench, "/v1/services/gateway/status", &status);
    assert_int_equal(status, 200);
    json_t *object = json_loads(body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(object, "state")), "shifting");
    assert_true(json_is_null(json_object_get(object, "leader")));
    assert_true(json_is_real(json_object_get(json_object_get(object, "store"), "stale_s")));
    json_decref(object);
    free(body);
    body = bench_get(&bench, "/v1/services/gateway/why", &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "No leader answers"));
    free(body);
    bench_lead(&bench);
}

static void status_of_a_follower_shows_its_own_clusters_with_the_roles_they_have(void **state)
{
    (void) state;
    unsigned status;
    settle(XF_CUTOVER_DRAINING, XF_WEIGHT_FULL, 5, WRITE_1);
    char *body = bench_get(&bench, "/v1/services/kong-admin/status", &status);
    assert_int_equal(status, 200);
    json_t *object = json_loads(body, 0, NULL);
    const json_t *green = json_object_get(json_object_get(object, "clusters"), "new-admin");
    assert_string_equal(json_string_value(json_object_get(object, "service")), "kong-admin");
    assert_string_equal(json_string_value(json_object_get(object, "state")), "draining");
    assert_string_equal(json_string_value(json_object_get(object, "from")), "old-admin");
    assert_string_equal(json_string_value(json_object_get(object, "to")), "new-admin");
    assert_string_equal(json_string_value(json_object_get(green, "role")), "green");
    assert_true(json_is_object(json_object_get(object, "leader")));
    json_t *weight = json_object_get(object, "weight");
    assert_true(json_real_value(json_object_get(weight, "actual")) > 99.9);
    json_decref(object);
    free(body);
    body = bench_get(&bench, "/v1/services/kong-admin/why", &status);
    assert_int_equal(status, 404); /* what holds is its leader's */
    free(body);
}

static void answer_command(struct bench *b, int exit_code)
{
    json_t *body = json_pack("{s:s, s:[s]}", "state", "shifting", "lagging", "edge-2");
    struct xf_message_reply reply = {.exit = exit_code, .body = body};
    (void) snprintf(reply.request, sizeof(reply.request), "%s",
                    json_string_value(json_object_get(b->command, "request")));
    (void) snprintf(reply.message, sizeof(reply.message), "no: held by errors");
    json_t *message = xf_message_reply_make(&reply);
    xf_bus_publish(b->leader, message);
    json_decref(message);
    json_decref(body);
}

static void answer_soon(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct bench *b = arg;
    if (b->commands > 0) {
        answer_command(b, 3);
        b->commands = 0;
    }
}

static void a_verb_is_forwarded_and_its_answer_passed_on(void **state)
{
    (void) state;
    unsigned status;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    struct event *timer = event_new(bench.loop, -1, EV_PERSIST, answer_soon, &bench);
    event_add(timer, &(struct timeval){.tv_usec = 20000});
    static const char sent[] =
        "{\"request\": \"r-1\", \"actor\": \"me\", \"reason\": \"because\", \"if_generation\": 5, "
        "\"arguments\": {\"weight\": 5000}}";
    char request[512];
    (void) snprintf(request, sizeof(request),
                    "POST /v1/services/gateway/weight HTTP/1.1\r\nHost: x\r\n"
                    "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                    sizeof(sent) - 1, sent);
    char *body = bench_http(&bench, request, &status);
    event_free(timer);
    assert_int_equal(status, 409);
    json_t *object = json_loads(body, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(object, "exit")), 3);
    assert_string_equal(json_string_value(json_object_get(object, "message")),
                        "no: held by errors");
    assert_string_equal(json_string_value(json_object_get(object, "state")), "shifting");
    assert_string_equal(json_string_value(json_object_get(bench.command, "verb")), "weight");
    assert_string_equal(json_string_value(json_object_get(bench.command, "actor")), "me");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(bench.command, "arguments"), "weight")),
        5000);
    json_decref(object);
    free(body);
}

static void a_bad_request_is_refused_and_not_forwarded(void **state)
{
    (void) state;
    static const struct {
        const char *request;
        unsigned status;
    } table[] = {
        {"GET /v1/services/nobody/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
        {"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
        {"GET /v1/services/%zz/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
        {"POST /v1/services/gateway/explode HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
         "Content-Length: 0\r\n\r\n",
         404},
        {"POST /v1/services/gateway/pause HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
         "Content-Length: 3\r\n\r\n[1]",
         400},
        {"POST /v1/services/gateway/pause HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
         "Content-Length: 8\r\n\r\n{\"x\": 1}",
         400},
        {"POST /v1/services/gateway/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
         413},
        {"POST /v1/services/gateway/pause HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
         "\r\n0\r\n\r\n",
         411},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"nonsense\r\n\r\n", 400},
    };
    for (unsigned i = 0; i < XF_COUNT(table); i++) {
        unsigned status;
        char *body = bench_http(&bench, table[i].request, &status);
        if (status != table[i].status) {
            fail_msg("%u instead of %u for %s", status, table[i].status, table[i].request);
        }
        free(body);
    }
    assert_int_equal(bench.commands, 0);
}

static void requests_on_one_connection_are_answered_in_order(void **state)
{
    (void) state;
    unsigned status;
    char *body = bench_http(&bench,
                            "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                            "HEAD /v1/services HTTP/1.1\r\nHost: x\r\n\r\n"
                            "GET /v1/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                            &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "{\"services\": [\"gateway\"]}"));
    assert_true(strncmp(body, "ok\n", 3) == 0);
    free(body);
}

static void an_agent_that_was_killed_goes_on_where_it_was(void **state)
{
    (void) state;
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    bench_run(&bench, 600); /* until the snapshot is on disk */
    uint64_t word = bench_word(&bench, GATEWAY);
    char id[XF_UUID_TEXT_BYTES], boot[XF_UUID_TEXT_BYTES];
    memcpy(id, bench.heartbeat.proxy.id, sizeof(id));
    memcpy(boot, bench.heartbeat.proxy.boot, sizeof(boot));
    bench_kill_agent(&bench);
    bench.heartbeats = 0;
    bench_start_agent(&bench);
    bench_until(&bench, has_heartbeat, 5000, "the first heartbeat of the next agent");
    assert_string_equal(bench.heartbeat.proxy.id, id);
    assert_string_equal(bench.heartbeat.proxy.boot, boot);
    assert_int_equal(bench_service(&bench, "gateway")->version.generation, 5);
    assert_int_equal(bench_word(&bench, GATEWAY), word);
    publish(XF_CUTOVER_SHIFTING, 9000, 4, WRITE_2); /* a store that lost writes */
    bench_run(&bench, 300);
    assert_int_equal(bench_word(&bench, GATEWAY), word);
    settle(XF_CUTOVER_SHIFTING, 3000, 6, WRITE_2);
    assert_int_not_equal(xf_route_record_number(bench_word(&bench, GATEWAY)),
                         xf_route_record_number(word));
}

static char *post(const char *path, const char *sent, unsigned *ret_status)
{
    char request[1024];
    (void) snprintf(request, sizeof(request),
                    "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    "Content-Length: %zu\r\n\r\n%s",
                    path, strlen(sent), sent);
    return bench_http(&bench, request, ret_status);
}

static void assert_post(const char *path, const char *sent, unsigned expected, const char *says)
{
    unsigned status;
    char *body = post(path, sent, &status);
    if (status != expected || strstr(body, says) == NULL) {
        fail_msg("%u instead of %u: %s", status, expected, body);
    }
    free(body);
}

#define ABORT "/v1/services/gateway/abort"

static void break_glass_works_only_alone_and_only_backwards(void **state)
{
    (void) state;
    static const char local[] = "{\"arguments\": {\"local\": true}, \"reason\": \"fire\"}";
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    assert_post(ABORT, local, 422, "the store answers");
    bench_unlead(&bench);
    bench_run(&bench, 5500);
    assert_post("/v1/services/gateway/weight",
                "{\"arguments\": {\"local\": true, \"weight\": 5000}}", 422, "back, not forward");
    assert_int_equal(xf_route_weight(bench_word(&bench, GATEWAY)), 2500);
    assert_post(ABORT, local, 200, "this proxy serves 0%");
    assert_int_equal(xf_route_weight(bench_word(&bench, GATEWAY)), 0);

    bench_kill_agent(&bench); /* it stands, whoever dies */
    bench.heartbeats = 0;
    bench_start_agent(&bench);
    bench_lead(&bench);
    bench_until(&bench, has_heartbeat, 10000, "the first heartbeat");
    const struct xf_message_service *service = bench_service(&bench, "gateway");
    assert_true(service->override_on);
    assert_int_equal(service->override.weight, 0);
    assert_int_equal(service->override.base.generation, 5);
    assert_string_equal(service->override.reason, "fire");
    publish(XF_CUTOVER_SHIFTING, 3000, 6, WRITE_2); /* the fleet went on meanwhile */
    bench_run(&bench, 1300);
    assert_int_equal(xf_route_weight(bench_word(&bench, GATEWAY)), 0);
    assert_true(bench_service(&bench, "gateway")->override_on);
    publish(XF_CUTOVER_SHIFTING, 0, 7, WRITE_3); /* 0, but nothing keeps it there */
    bench_run(&bench, 1300);
    assert_true(bench_service(&bench, "gateway")->override_on);
    struct xf_document *taken = fixture_document(XF_CUTOVER_SHIFTING, 0);
    taken->holds[XF_HOLD_OVERRIDE].on = true;
    bench_publish(&bench, taken, 8, WRITE_3); /* the leader takes it over */
    xf_document_destroy(taken);
    wanted = 8;
    bench_until(&bench, is_in_force, 5000, "the document again");
    assert_false(bench_service(&bench, "gateway")->override_on);
}

static void break_glass_from_draining_waits_until_the_leader_counts_it_silent(void **state)
{
    (void) state;
    settle(XF_CUTOVER_DRAINING, 10000, 5, WRITE_1);
    bench_run(&bench, 10200); /* the bus is there and hears heartbeats, but nobody leads */
    bench.heartbeats = 0;
    int64_t began_ms = xf_clock_monotonic_ms(xf_clock_system());
    assert_post(ABORT, "{\"arguments\": {\"local\": true}}", 200, "this proxy serves 0%");
    int64_t took_ms = xf_clock_monotonic_ms(xf_clock_system()) - began_ms;
    assert_in_range(took_ms, 2500, 15000);   /* 4 s, and what a busy machine adds */
    assert_in_range(bench.heartbeats, 0, 2); /* one on its way, one when it was obeyed */
    uint64_t word = bench_word(&bench, GATEWAY);
    assert_int_equal(xf_route_weight(word), 0);
    assert_int_equal(xf_route_flags(word), XF_ROUTE_VALID | XF_ROUTE_CUTOVER | XF_ROUTE_EMPTYING);
    assert_int_equal(xf_route_weight(bench_word(&bench, KONG_ADMIN)), 0);
}

static void break_glass_from_draining_is_at_once_where_no_heartbeat_was_sent_lately(void **state)
{
    (void) state;
    settle(XF_CUTOVER_DRAINING, 10000, 5, WRITE_1);
    bench_unlead(&bench);
    bench_run(&bench, 5500);
    int64_t began_ms = xf_clock_monotonic_ms(xf_clock_system());
    assert_post(ABORT, "{\"arguments\": {\"local\": true}}", 200, "this proxy serves 0%");
    assert_true(xf_clock_monotonic_ms(xf_clock_system()) - began_ms < 3500);
    assert_int_equal(xf_route_weight(bench_word(&bench, GATEWAY)), 0);
}

static void break_glass_is_refused_past_the_point_of_no_return(void **state)
{
    (void) state;
    settle(XF_CUTOVER_FINALIZING, 10000, 5, WRITE_1);
    assert_post(ABORT, "{\"arguments\": {\"local\": true, \"force\": true}}", 422,
                "point of no return");
}

static void an_operator_drains_weighs_and_readies_a_server(void **state)
{
    (void) state;
    const struct xf_server_health *health = xf_board_health(bench.board, 0);
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    assert_post("/v1/servers/old/127.0.0.1%3A18010/drain", "", 200, "done");
    assert_int_equal(atomic_load(&health->drained), 1);
    assert_post("/v1/servers/old/127.0.0.1%3A18010/weight", "{\"arguments\": {\"weight\": 7}}", 200,
                "done");
    assert_int_equal(atomic_load(&health->weight), 7);
    assert_int_equal(atomic_load(&health->drained), 1);
    unsigned status;
    char *body = bench_get(&bench, "/v1/servers", &status);
    assert_non_null(strstr(body, "drained by an operator"));
    free(body);
    assert_post("/v1/servers/old/127.0.0.1%3A18010/ready", "", 200, "done");
    assert_int_equal(atomic_load(&health->drained), 0);
    assert_post("/v1/servers/old/127.0.0.1%3A18010/weight", "{\"arguments\": {\"weight\": 0}}", 400,
                "1 to 1000");
    assert_post("/v1/servers/old/10.9.9.9%3A1/drain", "", 404, "has no server");
}

#define CHECKED_CONFIG                                                                             \
    "store: sqlite:/tmp/none.db\n"                                                                 \
    "listeners: [{bind: \"127.0.0.1:18000\", service: gateway}]\n"                                 \
    "services: {gateway: {live: old}}\n"                                                           \
    "clusters:\n"                                                                                  \
    "  old:\n"                                                                                     \
    "    servers: [\"127.0.0.1:1\", \"localhost:1\"]\n"                                            \
    "    check: {every: 100ms, rise: 1, fall: 2}\n"

static int begin_checked(void **state)
{
    (void) state;
    bench_begin(&bench, CHECKED_CONFIG);
    return 0;
}

static bool all_down(struct bench *b)
{
    for (unsigned i = 0; i < 2; i++) {
        if (atomic_load(&xf_board_health(b->board, i)->up) != 0) {
            return false;
        }
    }
    return true;
}

static void servers_that_do_not_answer_are_taken_down(void **state)
{
    (void) state;
    assert_int_equal(xf_board_health(bench.board, 1)->address_bytes, 0);
    bench_until(&bench, all_down, 10000, "nobody listens at port 1");
    assert_int_not_equal(xf_board_health(bench.board, 1)->address_bytes, 0); /* localhost */
    unsigned before = bench.heartbeats;
    bench_run(&bench, 1200);
    assert_true(bench.heartbeats > before);
    assert_false(bench_cluster(&bench, "old")->servers[0].up);
    assert_string_equal(bench_cluster(&bench, "old")->servers[0].reason, "Connection refused");
}

static void the_next_agent_inherits_what_is_down(void **state)
{
    (void) state;
    bench_until(&bench, all_down, 10000, "nobody listens at port 1");
    bench_kill_agent(&bench);
    bench.heartbeats = 0;
    bench_start_agent(&bench);
    bench_until(&bench, has_heartbeat, 5000, "the first heartbeat of the next agent");
    assert_true(all_down(&bench));
    assert_false(bench_cluster(&bench, "old")->servers[1].up);
}

static bool has_left(struct bench *b)
{
    return b->heartbeat.left;
}

static void tell(unsigned kind)
{
    const struct xf_channel_message message = {.kind = kind, .a = 1};
    assert_true(xf_channel_send(bench.channel, &message));
}

/* A heartbeat behind the one that says so would make it a member again, and a silent one. */
static void who_left_the_fleet_says_no_more(void **state)
{
    (void) state;
    char path[128];
    char text[4096] = "";
    settle(XF_CUTOVER_SHIFTING, 2500, 5, WRITE_1);
    bench.heartbeats = 0;
    bench_until(&bench, has_heartbeat, 5000, "the beat of the second");
    bench_run(&bench, 880); /* the next one is due before the agent ends */
    tell(XF_CHANNEL_STOPPING);
    tell(XF_CHANNEL_EDITION_OVER);
    bench_until(&bench, has_left, 5000, "its leave");
    unsigned heard = bench.heartbeats;
    bench_run(&bench, 600);
    assert_int_equal(bench.heartbeats, heard);
    (void) snprintf(path, sizeof(path), "%s/snapshot", bench.directory);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    (void) fclose(file);
    assert_non_null(strstr(text, "\"left\":true"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_route_nobody_may_accept, begin, end),
        cmocka_unit_test_setup_teardown(a_state_becomes_words_and_is_confirmed, begin, end),
        cmocka_unit_test_setup_teardown(a_lower_version_and_a_fork_change_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_document_with_a_foreign_cluster_is_not_in_force, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_worker_stopped_in_mid_turn_blocks_and_frees, begin, end),
        cmocka_unit_test_setup_teardown(a_stopped_worker_never_loses_its_record, begin, end),
        cmocka_unit_test_setup_teardown(quiet_time_begins_anew_with_each_request, begin, end),
        cmocka_unit_test_setup_teardown(hostile_counts_neither_wrap_nor_stop_a_heartbeat, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_bad_answer_is_sent_at_once_and_once, begin, end),
        cmocka_unit_test_setup_teardown(a_cell_of_another_attempt_or_weight_is_left_out, begin,
                                        end),
        cmocka_unit_test_setup_teardown(status_and_why_are_answered_without_a_leader, begin, end),
        cmocka_unit_test_setup_teardown(
            status_of_a_follower_shows_its_own_clusters_with_the_roles_they_have, begin, end),
        cmocka_unit_test_setup_teardown(a_verb_is_forwarded_and_its_answer_passed_on, begin, end),
        cmocka_unit_test_setup_teardown(a_bad_request_is_refused_and_not_forwarded, begin, end),
        cmocka_unit_test_setup_teardown(requests_on_one_connection_are_answered_in_order, begin,
                                        end),
        cmocka_unit_test_setup_teardown(an_agent_that_was_killed_goes_on_where_it_was, begin, end),
        cmocka_unit_test_setup_teardown(break_glass_works_only_alone_and_only_backwards, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            break_glass_from_draining_waits_until_the_leader_counts_it_silent, begin, end),
        cmocka_unit_test_setup_teardown(
            break_glass_from_draining_is_at_once_where_no_heartbeat_was_sent_lately, begin, end),
        cmocka_unit_test_setup_teardown(break_glass_is_refused_past_the_point_of_no_return, begin,
                                        end),
        cmocka_unit_test_setup_teardown(an_operator_drains_weighs_and_readies_a_server, begin, end),
        cmocka_unit_test_setup_teardown(servers_that_do_not_answer_are_taken_down, begin_checked,
                                        end),
        cmocka_unit_test_setup_teardown(the_next_agent_inherits_what_is_down, begin_checked, end),
        cmocka_unit_test_setup_teardown(who_left_the_fleet_says_no_more, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
