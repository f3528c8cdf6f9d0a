/*
 * test_bus_message.c -- what is made is read back; what is damaged is refused.
 */
#include "shifter/bus/bus_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_A "6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f1"
#define ID_B "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f2"

static struct xf_message_proxy proxy(void)
{
    struct xf_message_proxy it = {.name = "edge-1"};
    strcpy(it.id, ID_A);
    strcpy(it.boot, ID_B);
    return it;
}

static void a_heartbeat_is_read_back_as_it_was_made(void **state)
{
    (void) state;
    uint64_t latency[XF_HISTOGRAM_BUCKETS] = {[3] = 7, [639] = 1};
    struct xf_message_pair pair = {
        .cluster = "web-v1", .requests = 100, .errors = 3, .latency = latency};
    struct xf_message_service service = {.name = "web",
                                         .version = {2, 9, 1},
                                         .write_id = ID_A,
                                         .in_force = true,
                                         .weight = 1250,
                                         .override_on = true,
                                         .pairs = &pair,
                                         .pairs_count = 1};
    strcpy(service.override.id, ID_B);
    strcpy(service.override.actor, "root@host");
    struct xf_message_server server = {
        .address = "127.0.0.1:80", .reason = "refused", .from = "10.0.0.9"};
    struct xf_message_cluster cluster = {
        .name = "web-v1", .in_flight = 4, .quiet_ms = -1, .servers = &server, .servers_count = 1};
    struct xf_message_heartbeat made = {.proxy = proxy(),
                                        .reload_ok = true,
                                        .services = &service,
                                        .services_count = 1,
                                        .clusters = &cluster,
                                        .clusters_count = 1};
    json_t *message = xf_message_heartbeat_make(&made);
    assert_non_null(message);
    enum xf_message_kind kind;
    assert_true(xf_message_kind_of(message, &kind));
    assert_int_equal(kind, XF_MESSAGE_HEARTBEAT);
    struct xf_message_heartbeat read;
    struct xf_error err;
    assert_int_equal(xf_message_heartbeat_read(message, &read, &err), 0);
    assert_string_equal(read.proxy.id, ID_A);
    assert_int_equal(read.services[0].version.generation, 9);
    assert_true(read.services[0].in_force);
    assert_true(read.services[0].override_on);
    assert_int_equal(read.services[0].pairs[0].latency[3], 7);
    assert_int_equal(read.services[0].pairs[0].latency[639], 1);
    assert_int_equal(read.clusters[0].quiet_ms, -1);
    assert_string_equal(read.clusters[0].servers[0].reason, "refused");
    assert_string_equal(read.clusters[0].servers[0].from, "10.0.0.9");
    xf_message_heartbeat_release(&read);
    json_decref(message);
}

static void samples_keep_both_roles_apart(void **state)
{
    (void) state;
    struct xf_message_cell cells[2] = {{.number = 10}, {.number = 12, .entries_count = 1}};
    cells[1].entries[0].weight = 500;
    cells[1].entries[0].counts.bad[1] = 3;
    cells[1].entries[0].counts.sent[0] = 9;
    cells[1].entries[0].counts.done[1] = 4;
    cells[1].asked[1] = 9;
    cells[1].answered[0] = 8;
    struct xf_message_samples made = {.proxy = proxy(),
                                      .seq = 5,
                                      .service = "web",
                                      .attempt = 2,
                                      .cells = cells,
                                      .cells_count = 2};
    json_t *message = xf_message_samples_make(&made);
    struct xf_message_samples read;
    assert_int_equal(xf_message_samples_read(message, &read, NULL), 0);
    assert_int_equal(read.cells_count, 2);
    assert_int_equal(read.cells[1].entries[0].weight, 500);
    assert_int_equal(read.cells[1].entries[0].counts.bad[1], 3);
    assert_int_equal(read.cells[1].entries[0].counts.bad[0], 0);
    assert_int_equal(read.cells[1].entries[0].counts.sent[0], 9);
    assert_int_equal(read.cells[1].asked[1], 9);
    assert_int_equal(read.cells[1].answered[0], 8);
    assert_int_equal(read.cells[1].answered[1], 0);
    xf_message_samples_release(&read);
    json_object_del(message, "answers"); /* an agent of an earlier release */
    assert_int_equal(xf_message_samples_read(message, &read, NULL), 0);
    assert_int_equal(read.cells[1].asked[1], 0);
    assert_int_equal(read.cells[1].answered[1], 4);
    xf_message_samples_release(&read);
    json_object_set_new(message, "answers", json_pack("[[i,i,i,i]]", 1, 1, 1, 1));
    assert_int_equal(xf_message_samples_read(message, &read, NULL), -1);
    json_decref(message);
}

static void a_command_without_conditions_has_none(void **state)
{
    (void) state;
    struct xf_message_command made = {
        .request = "r1", .service = "web", .verb = "pause", .actor = "a@b"};
    json_t *message = xf_message_command_make(&made);
    struct xf_message_command read;
    assert_int_equal(xf_message_command_read(message, &read, NULL), 0);
    assert_false(read.if_generation_set);
    assert_false(read.if_step_set);
    assert_true(json_is_object(read.arguments));
    xf_message_command_release(&read);
    json_decref(message);

    made.if_generation_set = true;
    made.if_generation = 7;
    message = xf_message_command_make(&made);
    assert_int_equal(xf_message_command_read(message, &read, NULL), 0);
    assert_true(read.if_generation_set);
    assert_int_equal(read.if_generation, 7);
    xf_message_command_release(&read);
    json_decref(message);
}

static void state_and_reply_are_read_back(void **state)
{
    (void) state;
    struct xf_message_state made = {.service = "web",
                                    .version = {1, 2, 3},
                                    .write_id = ID_A,
                                    .document = "{\"a\": 1}",
                                    .progress = {.step_elapsed_ms = -1,
                                                 .step_remaining_ms = -1,
                                                 .tunnels = 4,
                                                 .in_flight = 5,
                                                 .ordered_in_flight = 6,
                                                 .proxies = 7},
                                    .store_time_ms = 77};
    strcpy(made.leader.id, ID_B);
    json_t *message = xf_message_state_make(&made);
    struct xf_message_state read;
    assert_int_equal(xf_message_state_read(message, &read, NULL), 0);
    assert_string_equal(read.document, "{\"a\": 1}");
    assert_int_equal(read.version.revision, 3);
    assert_int_equal(read.progress.tunnels, 4);
    assert_int_equal(read.progress.in_flight, 5);
    assert_int_equal(read.progress.ordered_in_flight, 6);
    assert_int_equal(read.progress.proxies, 7);
    json_decref(message);

    struct xf_message_reply reply = {.request = "r1", .exit = 6, .message = "not in this state"};
    message = xf_message_reply_make(&reply);
    struct xf_message_reply back;
    assert_int_equal(xf_message_reply_read(message, &back, NULL), 0);
    assert_int_equal(back.exit, 6);
    assert_null(back.body);
    json_decref(message);
}

static void what_is_damaged_is_refused_with_the_field(void **state)
{
    (void) state;
    static const char *const heartbeats[] = {
        "{}",
        "{\"proxy\":{\"id\":\"x\",\"name\":\"e\",\"boot\":\"" ID_A "\"},\"services\":[],"
        "\"clusters\":[]}",
        "{\"proxy\":{\"id\":\"" ID_A "\",\"name\":\"e\",\"boot\":\"" ID_B
        "\"},\"services\":[{\"name\":\"a\\r\\nX: y\"}],\"clusters\":[]}",
        "{\"proxy\":{\"id\":\"" ID_A "\",\"name\":\"e\",\"boot\":\"" ID_B
        "\"},\"services\":[],\"clusters\":[{\"name\":\"c\",\"in_flight\":-1,\"tunnels\":0,"
        "\"pooled\":0,\"quiet_ms\":0}]}",
    };
    for (size_t i = 0; i < XF_COUNT(heartbeats); i++) {
        json_t *message = json_loads(heartbeats[i], 0, NULL);
        assert_non_null(message);
        struct xf_message_heartbeat read;
        struct xf_error err = {0};
        assert_int_equal(xf_message_heartbeat_read(message, &read, &err), -1);
        assert_true(strlen(err.message) > 0);
        json_decref(message);
    }
    static const char *const cells[] = {"[[-1]]", "[[1],[1]]", "[[1,[1,2]]]", "[7]",
                                        "[[1,[10001,0,0,0,0,0,0,0,0,0,0]]]"};
    for (size_t i = 0; i < XF_COUNT(cells); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"proxy\":{\"id\":\"" ID_A "\",\"name\":\"e\",\"boot\":\"" ID_B
                 "\"},\"seq\":1,\"service\":\"web\",\"attempt\":1,\"cells\":%s}",
                 cells[i]);
        json_t *message = json_loads(text, 0, NULL);
        assert_non_null(message);
        struct xf_message_samples read;
        assert_int_equal(xf_message_samples_read(message, &read, NULL), -1);
        json_decref(message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heartbeat_is_read_back_as_it_was_made),
        cmocka_unit_test(samples_keep_both_roles_apart),
        cmocka_unit_test(a_command_without_conditions_has_none),
        cmocka_unit_test(state_and_reply_are_read_back),
        cmocka_unit_test(what_is_damaged_is_refused_with_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
